//! The program over a Redis: the same console, members from the leases, and what happens when nodes or the Redis die.

use rustix::process::Signal;

use crate::ports::free_port;
use crate::process::{Node, Plan, program, state_of, values};
use crate::server::Server;

/// Leases that end soon, so that a death is noticed soon.
const LEASE: (&str, &str) = ("HEADCOUNT_REDIS_LEASE", "900ms");

/// A node over a Redis, with a short lease.
fn spawn(name: &str, server: &Server) -> Node {
    let plan = Plan::over(name, &url(server));
    let mut command = program();
    command.args(["node", "--name", name, "--backend", &url(server)]).env(LEASE.0, LEASE.1);
    Node::spawn(plan, command)
}

fn start(name: &str, server: &Server) -> Node {
    let mut node = spawn(name, server);
    node.ready();
    node
}

fn url(server: &Server) -> String {
    format!("redis://127.0.0.1:{}/0", server.port)
}

#[tokio::test]
async fn a_node_killed_with_kill_9_loses_what_it_owned_and_a_live_one_keeps_all_of_it() {
    let server = Server::start().await;
    let (mut a, mut b) = (start("a", &server), start("b", &server));
    for (node, player) in [(&mut a, "alice"), (&mut b, "bob")] {
        node.ask(&format!("OWNED SADD lobby {player}"));
        node.ask("OWNED SADD lobby both");
        node.ask(&format!("OWNED HSET at {player} here"));
        node.ask("OWNED INCRBY players 10");
    }
    b.ask("SADD lobby shared");
    a.eventually_shows("SMEMBERS lobby", &["\"alice\"", "\"bob\"", "\"both\"", "\"shared\""]);
    b.kill();
    // Nothing of a's may be missing on the way, and nothing that nobody owned.
    a.eventually("SMEMBERS lobby", "bob is gone", |lines| {
        let lobby = values(lines);
        assert!(["\"alice\"", "\"both\"", "\"shared\""].iter().all(|player| lobby.contains(player)), "{lobby:?}");
        !lobby.contains(&"\"bob\"")
    });
    a.eventually_shows("HGETALL at", &["\"alice\"", "\"here\""]);
    a.eventually_shows("GET players", &["\"10\""]);
    a.eventually("MEMBERS", "b is gone", |lines| state_of(lines, "b").is_none());
    assert_eq!(state_of(&a.ask("MEMBERS"), "a"), Some("up"));
    let mut again = start("b", &server);
    again.ask("OWNED SADD lobby bob");
    a.eventually_shows("SMEMBERS lobby", &["\"alice\"", "\"bob\"", "\"both\"", "\"shared\""]);
}

#[tokio::test]
async fn the_console_is_the_same_and_says_what_there_is_not_over_a_redis() {
    let server = Server::start().await;
    let mut a = spawn("a", &server);
    assert_eq!(a.ready(), format!("ready a 127.0.0.1:{} backend=redis members=1 by=lease", server.port));
    let mut b = start("b", &server);
    assert_eq!(b.ask("SUBSCRIBE chat"), ["1) \"subscribe\"", "2) \"chat\"", "3) (integer) 1"]);
    b.ask("PSUBSCRIBE ch*");
    assert_eq!(a.ask("PUBLISH chat \"hello all\""), ["(integer) 2"]);
    let mut heard = [b.message(), b.message()];
    heard.sort();
    assert_eq!(heard, ["message chat \"hello all\"", "pmessage ch* chat \"hello all\""]);
    assert_eq!(a.ask("RPUSH jobs one two"), ["(integer) 2"]);
    assert_eq!(b.ask("BLPOP empty jobs 2.5"), ["1) \"jobs\"", "2) \"one\""]);
    assert_eq!(a.ask("HOMED INCR ticket"), ["(integer) 1"]);
    assert_eq!(b.ask("HOMED INCR ticket"), ["(integer) 2"]);
    assert!(a.ask("OWNED RPUSH jobs x").concat().starts_with("(error) ERR redis: "));
    assert!(a.ask("DIGEST").concat().starts_with("(error) ERR redis: a digest compares copies"));
    a.ask("OWNED HSET at alice a");
    let stats = a.ask("STATS");
    for line in ["connected:1", "lease_held:1", "owned_rows:1", "topics:0"] {
        assert!(stats.iter().any(|told| told == line), "{line} is not in {stats:?}");
    }
    let members = a.ask("MEMBERS");
    assert_eq!((state_of(&members, "a"), state_of(&members, "b")), (Some("up"), Some("up")), "{members:?}");
    assert_eq!(members.iter().filter(|line| line.ends_with("(this node)")).count(), 1, "{members:?}");
    a.send("QUIT\n");
    assert!(a.exit().success());
    assert_eq!(b.ask("EXISTS at"), ["(integer) 0"], "what a owned is gone when it has left");
    b.eventually("MEMBERS", "a is gone", |lines| state_of(lines, "a").is_none());
}

#[tokio::test]
async fn a_second_node_of_a_name_is_refused_and_the_first_goes_on() {
    let server = Server::start().await;
    let mut first = start("a", &server);
    first.ask("OWNED SADD lobby alice");
    let mut second = spawn("a", &server);
    assert_eq!(second.exit().code(), Some(1));
    let error = second.error();
    assert!(error.contains("another live process has the name a on the Redis at 127.0.0.1:"), "{error}");
    assert_eq!(first.ask("SMEMBERS lobby"), ["1) \"alice\""]);
    assert_eq!(first.ask("OWNED SADD lobby bob"), ["(integer) 1"]);
}

#[tokio::test]
async fn without_a_redis_a_node_ends_with_words_or_waits_for_it_as_it_was_told() {
    let port = free_port();
    let nowhere = format!("redis://:hidden@127.0.0.1:{port}/0");
    let mut hasty = Plan::over("a", &nowhere).spawn();
    assert_eq!(hasty.exit().code(), Some(1));
    let error = hasty.error();
    assert!(
        error.contains(&format!("127.0.0.1:{port} cannot be reached")) && error.contains("wait_for_redis"),
        "{error}"
    );
    assert!(!hasty.log().contains("hidden"), "a password is in the log: {}", hasty.log());
    let mut command = program();
    command.args(["node", "--name", "a", "--backend", &format!("redis://127.0.0.1:{port}")]);
    command.env("HEADCOUNT_REDIS_WAIT_FOR_REDIS", "10m");
    let mut patient = Node::spawn(Plan::over("a", "waits"), command);
    patient.logs("cannot be reached yet; trying again");
    let _server = Server::start_silent(port, &[]);
    patient.ready();
    assert_eq!(patient.ask("INCR n"), ["(integer) 1"]);
}

#[tokio::test]
async fn a_wrong_password_and_an_address_that_is_none_end_a_node_with_words() {
    let server = Server::start_with(&["--requirepass", "secret"]).await;
    let table = [
        (format!("redis://:wrong@127.0.0.1:{}/0", server.port), "refuses user or password"),
        (url(&server), "password"),
        (
            "http://me:wrong@host".to_owned(),
            "setting `backend` is \"http://..@host\", but must be \"cluster\", or a Redis's",
        ),
    ];
    for (address, words) in table {
        let mut node = Plan::over("a", &address).spawn();
        assert_eq!(node.exit().code(), Some(1), "{address}");
        let error = node.error();
        assert!(error.contains(words), "{address}: {error}");
        assert!(!node.log().contains("wrong@"), "a password is in the log: {}", node.log());
    }
    let mut right = Plan::over("a", &format!("redis://default:secret@127.0.0.1:{}/0", server.port)).start();
    assert_eq!(right.ask("INCR n"), ["(integer) 1"]);
}

#[tokio::test]
async fn a_redis_that_dies_and_comes_back_empty_gets_what_nodes_own_and_their_subscriptions() {
    let mut server = Server::start().await;
    let (mut a, mut b) = (start("a", &server), start("b", &server));
    a.ask("OWNED SADD lobby alice");
    b.ask("OWNED SADD lobby bob");
    b.ask("SUBSCRIBE chat");
    server.kill();
    let answer = a.ask("SADD lobby nobody").concat();
    assert!(answer.starts_with("(error) ERR redis: "), "{answer}");
    let members = a.ask("MEMBERS").concat();
    assert!(members.starts_with("(error) ERR redis: "), "who is there is not known: {members}");
    server.start_again().await;
    a.eventually_shows("SMEMBERS lobby", &["\"alice\"", "\"bob\""]);
    assert_eq!(b.message(), "gap chat unknown");
    assert_eq!(a.ask("PUBLISH chat again"), ["(integer) 1"]);
    assert_eq!(b.message(), "message chat \"again\"");
    a.eventually("MEMBERS", "both are up", |lines| {
        (state_of(lines, "a"), state_of(lines, "b")) == (Some("up"), Some("up"))
    });
}

#[tokio::test]
async fn settings_that_mean_nothing_over_a_redis_are_named() {
    let server = Server::start().await;
    let mut node = Plan::over("a", &url(&server)).flags(&["--seeds", "127.0.0.1:1", "--require-join"]).start();
    node.logs("these settings have no effect: seeds, require_join");
    assert_eq!(node.ask("PING"), ["PONG"]);
}

#[tokio::test]
async fn a_redis_that_may_evict_leases_is_told_of_at_the_start_and_one_that_may_not_or_does_not_say_is_not() {
    const WARNED: &str = "maxmemory-policy noeviction";
    let server = Server::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let node = start("a", &server);
    node.logs(WARNED);
    assert_eq!(node.log().matches(WARNED).count(), 1);
    server.other(&["ACL", "SETUSER", "player", "on", ">pw", "~*", "&*", "+@all", "-info", "-config"]).await;
    let player = Plan::over("b", &format!("redis://player:pw@127.0.0.1:{}/0", server.port)).start();
    assert!(!player.log().contains("WARN"), "{}", player.log());
    for (policy, most) in [("noeviction", "100mb"), ("volatile-lru", "100mb"), ("allkeys-lru", "0")] {
        server.other(&["CONFIG", "SET", "maxmemory-policy", policy, "maxmemory", most]).await;
        let mut node = start("c", &server);
        assert!(!node.log().contains("WARN"), "{policy} {most}: {}", node.log());
        node.signal(Signal::TERM);
        node.exit();
    }
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_is_told_of_once_with_the_reason() {
    let server = Server::start().await;
    let mut node = start("a", &server);
    node.ask("OWNED SADD lobby alice");
    server.other(&["CONFIG", "SET", "maxmemory", "1"]).await;
    node.logs("it has reached its maxmemory");
    crate::server::until("several heartbeats were refused", async || {
        let stats = server.info("errorstats").await;
        let refused = stats.lines().find_map(|line| line.strip_prefix("errorstat_OOM:count="));
        refused.is_some_and(|refused| refused.parse::<u32>().unwrap() >= 4)
    })
    .await;
    assert_eq!(node.log().matches("WARN").count(), 1, "{}", node.log());
    server.other(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(node.ask("OWNED SADD lobby bob"), ["(integer) 1"]);
    node.logs("the lease of this node is renewed again");
}

#[tokio::test]
async fn a_node_whose_name_was_taken_while_it_was_gone_says_so_once_and_serves_on_without_owning() {
    let server = Server::start().await;
    let mut node = start("a", &server);
    let take = "redis.call('FLUSHALL') redis.call('HSET', 'headcount:names', 'a', 'another')
        redis.call('ZADD', 'headcount:leases', '9e15', 'another')";
    server.other(&["EVAL", take, "0"]).await;
    node.logs("another live process has the name a");
    let asked = server.calls("evalsha").await;
    crate::server::until("several heartbeats", async || server.calls("evalsha").await >= asked + 12).await;
    assert_eq!(node.log().matches("another live process").count(), 1, "{}", node.log());
    let refused = node.ask("OWNED SADD lobby alice").concat();
    assert!(refused.contains("nothing was written") && refused.contains("has the name a"), "{refused}");
    assert_eq!(node.ask("SADD lobby shared"), ["(integer) 1"]);
    server.other(&["DEL", "headcount:names", "headcount:leases"]).await;
    node.eventually("OWNED SADD lobby alice", "it owns again", |lines| lines.concat().starts_with("(integer)"));
}
