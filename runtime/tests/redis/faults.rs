//! What can happen to a Redis, and to the way there.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use headcount::{Error, Event, Presence, RedisClients, RedisPresence};
use tokio::time::Instant;

use crate::ports::free_port;
use crate::proxy::Proxy;
use crate::server::{DEADLINE, Server, next, until};

/// The words of a backend's error.
fn message(error: Error) -> String {
    let Error::Backend { backend: "redis", message } = error else { panic!("{error:?}") };
    message
}

#[tokio::test]
async fn without_a_redis_connecting_fails_at_once_and_says_where_it_looked() {
    let port = free_port();
    let error = RedisPresence::builder().host("127.0.0.1", port).connect().await.unwrap_err();
    let message = message(error);
    assert!(
        message.contains(&format!("127.0.0.1:{port} cannot be reached")) && message.contains("wait_for_redis"),
        "{message}"
    );
    let error = RedisPresence::builder().url("http://nowhere").connect().await.unwrap_err();
    assert!(error.to_string().contains("its address cannot be used"), "{error}");
}

#[tokio::test]
async fn who_is_told_to_wait_connects_when_the_redis_comes() {
    let port = free_port();
    let waiting = RedisPresence::builder().host("127.0.0.1", port).wait_for_redis(DEADLINE).connect();
    let waiting = tokio::spawn(waiting);
    tokio::task::yield_now().await;
    let _server = Server::start_silent(port, &[]);
    let presence = waiting.await.unwrap().unwrap();
    assert_eq!(presence.incr("n").await, Ok(1));
}

#[tokio::test]
async fn a_wrong_password_is_an_error_at_once_even_for_who_waits() {
    let server = Server::start_with(&["--requirepass", "secret"]).await;
    for options in [server.options(), server.options().password("wrong")] {
        let options = options.wait_for_redis(DEADLINE * 10);
        assert!(!format!("{options:?}").contains("wrong"));
        let connected = tokio::time::timeout(DEADLINE, options.connect()).await.expect("it does not wait");
        let message = message(connected.unwrap_err());
        assert!(message.contains("password"), "{message}");
    }
    let presence = server.options().user("default").password("secret").connect().await.unwrap();
    assert_eq!(presence.incr("n").await, Ok(1));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_at_once_even_for_who_waits() {
    let server = Server::start().await;
    let options = server.options().database(16).wait_for_redis(DEADLINE * 10);
    let connected = tokio::time::timeout(DEADLINE, options.connect()).await.expect("it does not wait");
    let message = message(connected.unwrap_err());
    assert!(message.contains("DB index is out of range; it has fewer databases"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_and_comes_back_empty_has_what_is_owned_again_and_carries_messages() {
    let mut server = Server::start().await;
    let options = server.options().name("a").command_timeout(Duration::from_millis(500));
    let a = options.connect().await.unwrap();
    let b = server.presence("b").await;
    let session = b.session();
    a.owned().sadd("lobby", ["alice", "bob"]).await.unwrap();
    a.owned().incrby("players", 2).await.unwrap();
    session.hset("at", "carol", "b").await.unwrap();
    a.sadd("lobby", "shared").await.unwrap();
    for by in [1, -1].repeat(100) {
        a.owned().incrby("players", by).await.unwrap(); // the empty Redis will count its moments from far below
    }
    let mut heard = b.subscribe("t").await.unwrap();
    let mut by_pattern = b.psubscribe("t*").await.unwrap();
    let load = tokio::spawn({
        let a = a.clone();
        async move {
            let mut failed = 0;
            loop {
                let begun = Instant::now();
                let asked = match a.get("stop").await {
                    Ok(Some(said)) if said == "now" => break,
                    Ok(_) => a.hset("load", "f", "v").await.map(drop),
                    Err(error) => Err(error),
                };
                if let Err(error) = asked {
                    failed += 1;
                    let (waited, message) = (begun.elapsed(), message(error));
                    assert!(message.contains("lost") || message.contains("no connection"), "{message}");
                    assert!(waited < DEADLINE, "long after its deadline: {waited:?}");
                }
            }
            failed
        }
    });
    until("there is load", || async { b.exists("load").await == Ok(1) }).await;
    server.kill();
    let gone = a.set("k", "v").await;
    assert!(matches!(gone, Err(Error::Backend { .. })), "{gone:?}");
    server.start_again().await;
    until("what is owned is there again", || async {
        let mut lobby = b.smembers("lobby").await.map(|members| members.to_vec()).unwrap_or_default();
        lobby.sort();
        lobby == ["alice", "bob"]
            && b.get("players").await.is_ok_and(|players| players.is_some_and(|players| players == "2"))
            && b.hget("at", "carol").await.is_ok_and(|at| at.is_some())
    })
    .await;
    assert_eq!(next(&mut heard).await, Some(Event::Gap { missed: None }));
    assert_eq!(next(&mut by_pattern).await, Some(Event::Gap { missed: None }));
    a.publish("t", "after").await.unwrap();
    assert!(matches!(next(&mut heard).await, Some(Event::Message { payload, .. }) if payload == "after"));
    assert!(matches!(next(&mut by_pattern).await, Some(Event::Message { payload, .. }) if payload == "after"));
    a.owned().incrby("players", 40).await.unwrap();
    session.hset("at", "carol", "elsewhere").await.unwrap();
    server.kill();
    server.start_again().await;
    until("what was written since comes back after a second time", || async {
        b.get("players").await.is_ok_and(|players| players.is_some_and(|players| players == "42"))
            && b.hget("at", "carol").await.is_ok_and(|at| at.is_some_and(|at| at == "elsewhere"))
    })
    .await;
    let set = || async { a.set("stop", "now").await.is_ok() };
    until("it stops", set).await;
    assert!(load.await.unwrap() > 0, "some of the load met the outage");
    drop(session);
    until("a session from before the outage can end", || async { a.exists("at").await == Ok(0) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_redis_makes_calls_fail_in_time_and_costs_nobody_what_is_owned() {
    let server = Server::start().await;
    let a = server.options().name("a").command_timeout(Duration::from_millis(200)).connect().await.unwrap();
    let b = server.options().name("b").command_timeout(Duration::from_millis(200)).connect().await.unwrap();
    a.owned().sadd("lobby", "alice").await.unwrap();
    b.owned().sadd("lobby", "bob").await.unwrap();
    server.other(&["CLIENT", "PAUSE", "2000", "ALL"]).await;
    let message = message(a.get("k").await.unwrap_err());
    assert!(message.contains("has not answered within 200ms (command_timeout)"), "{message}");
    until("it serves again", || async { a.get("k").await.is_ok() }).await;
    until("both own what they had", || async { a.scard("lobby").await == Ok(2) }).await;
    b.owned().sadd("lobby", "carol").await.unwrap();
    assert_eq!(a.scard("lobby").await, Ok(3));
}

/// A server that takes whatever a connection begins with, and refuses every command after it with these words.
fn refusing(words: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut bytes = [0; 16 * 1024];
                while let Ok(1..) = stream.read(&mut bytes) {
                    let heard = String::from_utf8_lossy(&bytes).to_lowercase();
                    let answer = if heard.contains("eval") || heard.contains("get") {
                        format!("-{words}\r\n")
                    } else {
                        "+OK\r\n".repeat(heard.matches("client\r\n").count().max(1))
                    };
                    stream.write_all(answer.as_bytes()).unwrap();
                    bytes.fill(0);
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_redis_that_cannot_be_worked_with_says_why_and_what_to_do() {
    let cluster = "Redis Cluster, whose protocol headcount does not speak; give the address of a single Redis";
    let table = [
        ("MOVED 3999 127.0.0.1:6381", cluster),
        ("ASK 3999 127.0.0.1:6381", cluster),
        ("CLUSTERDOWN The cluster is down", cluster),
        ("CROSSSLOT Keys in request don't hash to the same slot", cluster),
        ("LOADING Redis is loading the dataset in memory", "it cannot serve now; try again later"),
        ("READONLY You can't write against a read only replica.", "it is a replica; give the address of the primary"),
        ("NOPERM this user has no permissions to run the 'eval' command", "what its ACL lets the user do"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "it has reached its maxmemory"),
        ("NOIDEA what to do", "the command was not carried out"),
    ];
    for (words, expected) in table {
        let error = RedisPresence::builder().host("127.0.0.1", refusing(words)).connect().await.unwrap_err();
        let (message, code) = (message(error), words.split(' ').next().unwrap());
        assert!(message.contains(code) && message.contains(expected), "{words}: {message}");
    }
}

#[tokio::test]
async fn who_is_answered_by_nobody_hears_so_when_connecting_has_taken_its_time() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = RedisPresence::builder().host("127.0.0.1", port).connect_timeout(Duration::from_millis(100));
    let connected = tokio::time::timeout(DEADLINE, options.connect()).await.expect("it ends by itself");
    let message = message(connected.unwrap_err());
    assert!(message.contains("cannot be reached") && message.contains("timed out"), "{message}");
}

#[tokio::test]
async fn a_user_without_scripts_a_full_redis_and_a_replica_are_told_by_the_real_one_too() {
    let server = Server::start().await;
    server.other(&["ACL", "SETUSER", "reader", "on", ">pw", "~*", "&*", "+@all", "-@scripting"]).await;
    let error = server.options().user("reader").password("pw").connect().await.unwrap_err();
    let told = message(error);
    assert!(told.contains("NOPERM") && told.contains("ACL"), "{told}");

    let a = server.presence("a").await;
    a.sadd("lobby", "alice").await.unwrap();
    server.other(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let told = message(a.sadd("lobby", "bob").await.unwrap_err());
    assert!(told.contains("it has reached its maxmemory; removals and reads go on"), "{told}");
    assert_eq!(a.smembers("lobby").await.unwrap(), ["alice"]);
    assert_eq!(a.srem("lobby", "alice").await, Ok(1));
    server.other(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(a.sadd("lobby", "bob").await, Ok(1));

    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &server.port.to_string()]).await;
    let told = message(replica.options().connect().await.unwrap_err());
    assert!(told.contains("READONLY") && told.contains("give the address of the primary"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_forgets_its_scripts_or_has_its_password_changed_is_told_them_again_or_says_so() {
    let server = Server::start().await;
    let a = server.options().name("a").command_timeout(Duration::from_millis(500)).connect().await.unwrap();
    a.owned().sadd("lobby", "alice").await.unwrap();
    server.other(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(a.owned().sadd("lobby", "bob").await, Ok(1));
    // With the password the connections go, and come back only to be refused.
    server.other(&["CONFIG", "SET", "requirepass", "new"]).await;
    let client = redis::Client::open(format!("redis://:new@127.0.0.1:{}", server.port)).unwrap();
    let mut admin = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").exec_async(&mut admin).await.unwrap();
    until("it says why", || async {
        let told = a.get("k").await.map_err(message);
        told.is_err_and(|told| told.contains("NOAUTH") && told.contains("check user and password"))
    })
    .await;
    redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("").exec_async(&mut admin).await.unwrap();
    until("it comes back", || async { a.scard("lobby").await == Ok(2) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_has_become_a_replica_is_left_for_the_one_to_which_its_address_leads_now() {
    let (old, new) = (Server::start().await, Server::start().await);
    let proxy = Proxy::before(&old).await;
    let client = redis::Client::open(("127.0.0.1", proxy.port)).unwrap();
    let clients = RedisClients { publish: client.clone(), subscribe: client.clone(), data: client };
    let a = old.options().name("a").clients(clients).connect().await.unwrap();
    let b = new.presence("b").await;
    let mut heard = b.subscribe("t").await.unwrap();
    a.owned().sadd("lobby", "alice").await.unwrap();
    a.rpush("jobs", ["one", "two"]).await.unwrap();
    for _ in 0..2 {
        a.blpop("jobs", Duration::ZERO).await.unwrap(); // leaves a connection for the next
    }
    old.other(&["REPLICAOF", "127.0.0.1", &new.port.to_string()]).await;
    let told = message(a.sadd("k", "v").await.unwrap_err());
    assert!(told.contains("READONLY") && told.contains("is connected to again"), "{told}");
    assert!(a.get("k").await.is_ok(), "a replica can be read");
    proxy.lead_to(&new);
    until("it writes where the address leads now", || async { a.sadd("k", "v").await.is_ok() }).await;
    until("its owned rows are there", || async { b.scard("lobby").await == Ok(1) }).await;
    b.rpush("jobs", "three").await.unwrap();
    assert_eq!(a.blpop("jobs", DEADLINE).await, Ok(Some(("jobs".into(), "three".into()))));
    until("it publishes there too", || async { a.publish("t", "m").await == Ok(1) }).await;
    assert!(matches!(next(&mut heard).await, Some(Event::Message { .. })));
}

/// What one writer believes of its own field.
struct Believed {
    acknowledged: i64,
    tried: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_nothing_that_was_acknowledged_as_owned_is_lost_with_the_data_of_the_redis() {
    const WRITERS: usize = 16;
    let mut server = Server::start().await;
    let options = server.options().name("a").command_timeout(Duration::from_millis(500));
    let a = options.connect().await.unwrap();
    let b = server.presence("b").await;
    let mut heard = b.subscribe("news").await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (mine, stopped) = (a.owned(), stopped.clone());
            tokio::spawn(async move {
                let (mut believed, mut failed) = (Believed { acknowledged: 0, tried: 0 }, 0);
                while !*stopped.borrow() || believed.acknowledged == 0 {
                    believed.tried += 1;
                    match mine.hset("scores", format!("w{writer}"), believed.tried.to_string()).await {
                        Ok(_) => believed.acknowledged = believed.tried,
                        Err(_) => failed += 1,
                    }
                }
                (believed, failed)
            })
        })
        .collect();
    let publishing = tokio::spawn({
        let (a, stopped) = (a.clone(), stopped.clone());
        async move {
            while !*stopped.borrow() {
                // While there is no Redis it fails.
                let _ = a.publish("news", "n").await;
            }
        }
    });
    let popping = tokio::spawn({
        let a = a.clone();
        async move {
            loop {
                if let Ok(Some((_, job))) = a.blpop("jobs", Duration::ZERO).await {
                    return job;
                }
            }
        }
    });
    for _ in 0..2 {
        until("there is load", || async { b.hlen("scores").await == Ok(WRITERS) }).await;
        server.kill();
        server.start_again().await;
    }
    until("everything is there again", || async { b.hlen("scores").await == Ok(WRITERS) }).await;
    stop.send(true).unwrap();
    let mut failures = 0;
    let mut beliefs = Vec::new();
    for writer in writers {
        let (believed, failed) = writer.await.unwrap();
        failures += failed;
        beliefs.push(believed);
    }
    publishing.await.unwrap();
    assert!(failures > 0, "some of the load met an outage");
    for (writer, Believed { acknowledged, tried }) in beliefs.into_iter().enumerate() {
        let field = format!("w{writer}");
        until("what is there was acknowledged, or tried after that", || async {
            let there = b.hget("scores", &field).await.unwrap().map(|there| String::from_utf8(there.to_vec()).unwrap());
            there.is_some_and(|there| (acknowledged..=tried).contains(&there.parse().unwrap()))
        })
        .await;
    }
    until("b is subscribed again", || async { a.publish("news", "last").await.is_ok_and(|heard| heard > 0) }).await;
    // Gaps of the outages and of a queue that nobody emptied meanwhile may have become one.
    let mut gaps = 0;
    loop {
        match next(&mut heard).await.expect("the subscription goes on") {
            Event::Message { payload, .. } if payload == "last" => break,
            Event::Gap { .. } => gaps += 1,
            _ => {}
        }
    }
    assert!(gaps > 0, "messages were lost without a word");
    b.rpush("jobs", "after").await.unwrap();
    assert_eq!(popping.await.unwrap(), "after", "a blocked pop that is tried again waits on the new Redis");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_to_wait_waits_while_a_redis_is_loading_its_data() {
    let mut server =
        Server::start_with(&["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"]).await;
    let fill = "for n = 1, 1000 do redis.call('SET', n, string.rep('v', 100)) end";
    server.other(&["EVAL", fill, "0"]).await;
    server.other(&["SAVE"]).await;
    server.kill();
    server.start_again().await;
    let presence = server.options().wait_for_redis(DEADLINE).connect().await.unwrap();
    assert_eq!(presence.incr("n").await, Ok(1));
}
