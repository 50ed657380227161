//! Rows that leave with their node or session.

use std::time::Duration;

use headcount::{Presence, RedisPresence, Values};

use crate::proxy::Proxy;
use crate::server::{Server, next, until};

async fn sorted(presence: &RedisPresence, key: &str) -> Vec<bytes::Bytes> {
    let mut members: Vec<_> = presence.smembers(key).await.unwrap().to_vec();
    members.sort();
    members
}

/// Waits until a node that was dropped without a word has been swept.
async fn swept(server: &Server, living: usize) {
    until("the dead are swept", || async {
        let leases: i64 = redis::from_redis_value(server.other(&["ZCARD", "headcount:leases"]).await).unwrap();
        let dead: i64 = redis::from_redis_value(server.other(&["SCARD", "headcount:dead"]).await).unwrap();
        (leases, dead) == (living as i64, 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_owned_goes_and_what_others_have_stays() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let mine = a.owned();
    mine.sadd("lobby", ["only-a", "both", "shared", "shared-later"]).await.unwrap();
    b.owned().sadd("lobby", ["both", "only-b"]).await.unwrap();
    b.sadd("lobby", "shared-later").await.unwrap();
    mine.hset("at", "alice", "1").await.unwrap();
    mine.hset("at", "taken-over", "1").await.unwrap();
    b.hset("at", "taken-over", "2").await.unwrap();
    b.owned().hset("at", "bob", "3").await.unwrap();
    mine.set("leader", "a").await.unwrap();
    mine.set("overwritten", "a").await.unwrap();
    b.set("overwritten", "b").await.unwrap();
    mine.incrby("players", 5).await.unwrap();
    b.owned().incrby("players", 3).await.unwrap();
    mine.hincrby("rooms", "r1", 7).await.unwrap();
    b.incr("games").await.unwrap();
    mine.incrby("games", 9).await.unwrap();
    mine.hset("clients", "r1", "4").await.unwrap();
    b.hincrby("clients", "r1", 2).await.unwrap();
    a.sadd("lobby", "shared").await.unwrap();
    drop((a, mine)); // without a word, as a crash
    swept(&server, 1).await;
    assert_eq!(sorted(&b, "lobby").await, ["both", "only-b", "shared", "shared-later"]);
    let mut at = b.hgetall("at").await.unwrap();
    at.sort();
    assert_eq!(at, [("bob".into(), "3".into()), ("taken-over".into(), "2".into())]);
    assert_eq!(b.exists(["leader", "rooms"]).await, Ok(0), "a counter that nobody else counted in goes");
    assert_eq!(b.get("overwritten").await.unwrap().unwrap(), "b");
    assert_eq!(b.get("players").await.unwrap().unwrap(), "3", "only its own contribution goes");
    assert_eq!(b.get("games").await.unwrap().unwrap(), "1");
    assert_eq!(b.hget("clients", "r1").await.unwrap().unwrap(), "2", "a value that was counted on counts as much");
    b.leave().await.unwrap();
    let other = server.presence("c").await;
    assert_eq!(sorted(&other, "lobby").await, ["shared", "shared-later"]);
    assert_eq!(other.exists(["players"]).await, Ok(0));
    other.leave().await.unwrap();
    let mut left = server.keys_about_owners().await;
    left.retain(|key| !key.starts_with("headcount:lost:"));
    assert_eq!(left, ["headcount:seq"], "nothing is left of owners but the clock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_takes_its_rows_before_the_call_returns_and_refuses_from_then_on() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let members: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    a.owned().sadd("lobby", &members).await.unwrap();
    let mut heard = a.subscribe("t").await.unwrap();
    let rest = a.clone();
    a.leave().await.unwrap();
    assert_eq!(b.scard("lobby").await, Ok(0));
    assert_eq!(next(&mut heard).await, None);
    assert_eq!(rest.get("k").await, Err(headcount::Error::Closed));
    assert_eq!(rest.owned().set("k", "v").await, Err(headcount::Error::Closed));
    let again = server.presence("a").await;
    assert_eq!(again.name(), "a", "its name is free at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_takes_its_rows_with_its_last_handle_and_leaves_those_of_others() {
    let server = Server::start().await;
    let a = server.presence("a").await;
    let (first, second) = (a.session(), a.session());
    first.sadd("lobby", ["alice", "both"]).await.unwrap();
    second.sadd("lobby", ["both", "bob"]).await.unwrap();
    a.owned().sadd("lobby", "node's").await.unwrap();
    let clone = first.clone();
    drop(first);
    clone.hset("at", "alice", "1").await.unwrap();
    drop(clone);
    until("alice has left", || async { a.exists("at").await == Ok(0) && a.scard("lobby").await == Ok(3) }).await;
    assert_eq!(sorted(&a, "lobby").await, ["bob", "both", "node's"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_at_once_and_without_a_heartbeat_for_each() {
    let server = Server::start().await;
    let a = server.options().name("a").lease(Duration::from_hours(1)).connect().await.unwrap();
    // Taking a lease and renewing it write the table of leases once each, and nothing else does.
    until("the first heartbeat", || async { server.calls("zadd").await == 2 }).await;
    for _ in 0..10 {
        let session = a.session();
        session.sadd("lobby", "alice").await.unwrap();
        drop(session);
        until("alice has left", || async { a.exists("lobby").await == Ok(0) }).await;
    }
    assert_eq!(server.calls("zadd").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_program_wrote_over_an_owned_value_is_not_taken_away() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    a.owned().hset("roomcaches", "r1", "ours").await.unwrap();
    a.owned().set("k", "ours").await.unwrap();
    a.owned().setex("short", "ours", 1).await.unwrap();
    server.other(&["HSET", "roomcaches", "r1", "theirs"]).await;
    server.other(&["SET", "k", "theirs"]).await;
    until("it has expired", || async { b.exists("short").await == Ok(0) }).await;
    server.other(&["SET", "short", "theirs"]).await;
    drop(a);
    swept(&server, 1).await;
    assert_eq!(b.hget("roomcaches", "r1").await.unwrap().unwrap(), "theirs");
    assert_eq!(b.get("k").await.unwrap().unwrap(), "theirs");
    assert_eq!(b.get("short").await.unwrap().unwrap(), "theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_leaves_nothing_behind_and_does_not_come_back() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let mine = a.owned();
    mine.sadd("lobby", ["by-me", "by-other", "stays"]).await.unwrap();
    mine.hset("h", "f", "v").await.unwrap();
    mine.setex("e", "v", 1).await.unwrap();
    mine.srem("lobby", "by-me").await.unwrap();
    b.srem("lobby", "by-other").await.unwrap();
    b.del("h").await.unwrap();
    until("only one row is owned", || async {
        let owned = server.keys_about_owners().await.into_iter().find(|key| key.starts_with("headcount:owned:"));
        server.other(&["HLEN", &owned.expect("a owns something")]).await == redis::Value::Int(1)
    })
    .await;
    server.other(&["FLUSHALL"]).await;
    until("a owns again what it had", || async { b.scard("lobby").await != Ok(0) }).await;
    assert_eq!(b.smembers("lobby").await.unwrap(), ["stays"]);
    assert_eq!(b.exists(["h", "e"]).await, Ok(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_thought_dead_owns_again_what_it_had_and_others_keep_what_they_took() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let mine = a.owned();
    mine.sadd("lobby", ["alice", "bob"]).await.unwrap();
    mine.hset("at", "alice", "1").await.unwrap();
    mine.hset("at", "taken", "1").await.unwrap();
    mine.incrby("players", 2).await.unwrap();
    b.incrby("players", 40).await.unwrap();
    let session = a.session();
    session.sadd("lobby", "in-session").await.unwrap();
    // As if a had been silent for longer than its lease, and b had swept some of it.
    let origin: String = redis::from_redis_value(server.other(&["HGET", "headcount:names", "a"]).await).unwrap();
    server.other(&["ZREM", "headcount:leases", &origin]).await;
    server.other(&["SADD", "headcount:dead", &origin]).await;
    b.hset("at", "taken", "2").await.unwrap();
    until("a has another lease", || async {
        let now: Option<String> =
            redis::from_redis_value(server.other(&["HGET", "headcount:names", "a"]).await).unwrap();
        now.is_some_and(|now| now != origin)
    })
    .await;
    mine.sadd("lobby", "carol").await.unwrap();
    until("all is as before", || async {
        sorted(&b, "lobby").await == ["alice", "bob", "carol", "in-session"]
            && b.get("players").await.unwrap().is_some_and(|players| players == "42")
            && b.hget("at", "alice").await.unwrap().is_some()
    })
    .await;
    swept(&server, 2).await;
    assert_eq!(b.hget("at", "taken").await.unwrap().unwrap(), "2");
    assert_eq!(
        sorted(&b, "lobby").await,
        ["alice", "bob", "carol", "in-session"],
        "sweeping the former origin takes none of it"
    );
    drop(session);
    until("its session can still end", || async { b.scard("lobby").await == Ok(3) }).await;
    drop((a, mine));
    swept(&server, 1).await;
    assert_eq!(b.smembers("lobby").await.unwrap(), Values::default());
    assert_eq!(b.get("players").await.unwrap().unwrap(), "40");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_with_many_owned_rows_goes_in_few_steps() {
    let server = Server::start().await;
    // So long that no heartbeat takes part.
    let options = |name: &str| server.options().name(name).lease(Duration::from_hours(1)).connect();
    let (a, b) = (options("a").await.unwrap(), options("b").await.unwrap());
    let many: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    a.owned().sadd("lobby", &many).await.unwrap();
    let session = b.session();
    session.sadd("lobby", &many[1..]).await.unwrap();
    let before = server.calls("hdel").await;
    assert_eq!(a.del("lobby").await, Ok(1));
    let steps = server.calls("hdel").await - before;
    assert!(steps < 100, "{steps} removals from records hold the Redis up");
    let mut left = server.keys_about_owners().await;
    left.retain(|key| key.starts_with("headcount:owned:") || key.starts_with("headcount:rows:"));
    assert_eq!(left, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_owners_of_a_key_are_told_that_it_is_gone_and_keep_what_they_write_since() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let (mine, session) = (b.owned(), b.session());
    mine.sadd("lobby", ["alice", "carol"]).await.unwrap();
    session.sadd("lobby", ["bob", "dave"]).await.unwrap();
    a.owned().sadd("lobby", "bob").await.unwrap();
    a.del("lobby").await.unwrap();
    session.sadd("lobby", "bob").await.unwrap();
    until("b has heard of it", || async {
        !server.keys_about_owners().await.iter().any(|key| key.starts_with("headcount:lost:"))
    })
    .await;
    server.other(&["FLUSHALL"]).await;
    until("b owns again what it had", || async { b.scard("lobby").await != Ok(0) }).await;
    assert_eq!(sorted(&b, "lobby").await, ["bob"]);
}

/// Lets a node that owns `lobby: alice` lose its lease with all data, and the answer to its asking for another one. Returns it, and under
/// which origin it asked.
async fn unanswered(server: &Server, proxy: &Proxy) -> (RedisPresence, String) {
    let a = server.options().host("127.0.0.1", proxy.port).name("a").connect().await.unwrap();
    a.owned().sadd("lobby", "alice").await.unwrap();
    proxy.cut_at("call('HSET', NAMES, name, origin)");
    server.other(&["SCRIPT", "FLUSH"]).await; // so that the script is sent in full
    server.other(&["FLUSHALL"]).await;
    proxy.was_cut().await;
    (a, origin_of_a(server).await)
}

async fn origin_of_a(server: &Server) -> String {
    redis::from_redis_value(server.other(&["HGET", "headcount:names", "a"]).await).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_given_without_the_node_hearing_it_is_its_own_when_it_asks_again() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let (a, origin) = unanswered(&server, &proxy).await;
    until("a owns again what it had", || async { a.scard("lobby").await == Ok(1) }).await;
    assert_eq!(origin_of_a(&server).await, origin, "under another it would have had to wait for the end of this one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_ended_before_the_node_heard_of_it_is_taken_again_and_costs_no_rows() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let (a, origin) = unanswered(&server, &proxy).await;
    server
        .other(&[
            "EVAL",
            "redis.call('ZREM', KEYS[1], ARGV[1]) redis.call('SADD', KEYS[2], ARGV[1])",
            "2",
            "headcount:leases",
            "headcount:dead",
            &origin,
        ])
        .await;
    until("a owns again what it had", || async { a.scard("lobby").await == Ok(1) }).await;
    swept(&server, 1).await;
    assert_eq!(a.scard("lobby").await, Ok(1), "a live node's rows were swept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_survives_the_loss_of_the_connection_on_which_it_asks_for_a_lease() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    proxy.cut_at("call('HSET', NAMES, name, origin)");
    let a = server.options().host("127.0.0.1", proxy.port).name("a").connect().await.unwrap();
    assert_eq!(a.owned().sadd("lobby", "alice").await, Ok(1));
}

/// Between two steps of a heartbeat the data can go: an audit that came right after it took rows that were gone with all the rest for removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_often_a_redis_loses_its_data_what_is_owned_comes_back() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    a.owned().sadd("lobby", ["alice", "bob"]).await.unwrap();
    let client = redis::Client::open(("127.0.0.1", server.port)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();

    for round in 0..12 {
        let flushed = async {
            // At once when it is there, which is in the middle of a heartbeat; before that nothing is lost that has come back.
            while redis::cmd("EXISTS").arg("lobby").query_async::<u8>(&mut connection).await.unwrap() == 0 {}
            redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
        };
        let flushed = tokio::time::timeout(crate::server::DEADLINE, flushed).await;
        flushed.unwrap_or_else(|_| panic!("round {round}: a owns nothing any more"));
    }
    until("a owns again what it had", || async { b.scard("lobby").await == Ok(2) }).await;
    assert_eq!(sorted(&b, "lobby").await, ["alice", "bob"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_from_what_stands_where_a_dead_nodes_counter_has_expired() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    b.incr("hits").await.unwrap();
    b.hincrby("rooms", "r1", 1).await.unwrap();
    a.owned().incrby("hits", 3).await.unwrap();
    a.owned().hincrby("rooms", "r1", 3).await.unwrap();
    a.owned().incr("games").await.unwrap();
    drop(a);
    for key in ["hits", "rooms", "games"] {
        server.other(&["PEXPIRE", key, "1"]).await;
    }
    until("they have expired", || async { b.exists(["hits", "rooms", "games"]).await == Ok(0) }).await;
    b.sadd("games", "chess").await.unwrap();
    swept(&server, 1).await;
    assert_eq!(b.exists(["hits", "rooms"]).await, Ok(0));
    assert_eq!(b.smembers("games").await.unwrap(), ["chess"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_wrote_into_an_empty_redis_is_theirs_when_the_owner_comes_back() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let mine = a.owned();
    mine.sadd("lobby", ["alice", "bob"]).await.unwrap();
    mine.hset("at", "alice", "old").await.unwrap();
    mine.set("leader", "a").await.unwrap();
    let script = "redis.call('FLUSHALL') redis.call('SADD', 'lobby', 'alice') redis.call('HSET', 'at', 'alice', 'new')
        redis.call('SET', 'leader', 'b')";
    server.other(&["EVAL", script, "0"]).await;
    until("a owns again what nobody else wrote", || async { b.scard("lobby").await == Ok(2) }).await;
    swept(&server, 2).await; // b has a lease again too
    drop((a, mine));
    swept(&server, 1).await;
    assert_eq!(sorted(&b, "lobby").await, ["alice"]);
    assert_eq!(b.hget("at", "alice").await.unwrap().unwrap(), "new");
    assert_eq!(b.get("leader").await.unwrap().unwrap(), "b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_by_another_node_is_told_with_a_heartbeat_however_much_is_owned() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    for key in ["lobby:1", "lobby:2"] {
        a.owned().sadd(key, &many).await.unwrap();
    }
    a.owned().sadd("z", ["removed", "stays"]).await.unwrap();
    b.srem("z", "removed").await.unwrap();
    until("a has heard of it", || async {
        !server.keys_about_owners().await.iter().any(|key| key.starts_with("headcount:lost:"))
    })
    .await;
    server.other(&["FLUSHALL"]).await;
    until("a owns again what it had", || async { b.exists("z").await == Ok(1) }).await;
    assert_eq!(b.smembers("z").await.unwrap(), ["stays"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_live_nodes_cannot_have_one_name_and_a_dead_one_s_is_free_after_its_lease() {
    let server = Server::start().await;
    let a = server.presence("a").await;
    let error = server.options().name("a").connect().await.unwrap_err();
    assert!(error.to_string().contains("another live process has the name a"), "{error}");
    a.owned().sadd("lobby", "old").await.unwrap();
    drop(a);
    let again = server.presence("a").await;
    until("what the first owned is gone", || async { again.exists("lobby").await == Ok(0) }).await;
    let wrong = server.options().name("no name\n").connect().await.unwrap_err();
    assert!(matches!(wrong, headcount::Error::Backend { .. }), "{wrong}");
}
