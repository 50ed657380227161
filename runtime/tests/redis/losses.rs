//! What a Redis loses or comes back without, and what is owned there after that.

use std::time::Duration;

use headcount::{Error, Node, Presence, Ttl};

use crate::ownership::{sorted, swept};
use crate::server::{DEADLINE, Server, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_with_older_data_gets_what_was_acknowledged_since() {
    let mut server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let (mine, theirs) = (a.owned(), b.owned());
    mine.sadd("lobby", ["alice", "gone"]).await.unwrap();
    mine.hset("at", "alice", "1").await.unwrap();
    mine.hset("at", "moved", "a").await.unwrap();
    b.hset("at", "was-shared", "old").await.unwrap();
    mine.incrby("players", 2).await.unwrap();
    theirs.incrby("players", 10).await.unwrap();
    mine.hset("clients", "r1", "4").await.unwrap();
    mine.set("leader", "a1").await.unwrap();
    server.other(&["SAVE"]).await;
    mine.sadd("lobby", "bob").await.unwrap();
    mine.srem("lobby", "gone").await.unwrap();
    mine.hset("at", "alice", "2").await.unwrap();
    theirs.hset("at", "moved", "b").await.unwrap();
    mine.hset("at", "was-shared", "new").await.unwrap();
    mine.incrby("players", 3).await.unwrap();
    theirs.incrby("players", 20).await.unwrap();
    theirs.hincrby("clients", "r1", 2).await.unwrap();
    mine.set("leader", "a2").await.unwrap();
    a.expire("lobby", 1000).await.unwrap();
    server.kill();
    server.start_again().await;
    until("all that was acknowledged is there", || async {
        let text = |value: Option<bytes::Bytes>| value.map(|value| String::from_utf8(value.to_vec()).unwrap());
        let field =
            async |key: &str, field: &str| text(b.hget(key, field).await.unwrap_or_default()).unwrap_or_default();
        let value = async |key: &str| text(b.get(key).await.unwrap_or_default()).unwrap_or_default();
        let fields = [field("at", "alice").await, field("at", "moved").await, field("at", "was-shared").await];
        fields == ["2", "b", "old"]
            && [value("players").await, value("leader").await, field("clients", "r1").await] == ["35", "a2", "6"]
            && b.smembers("lobby").await.is_ok_and(|lobby| lobby.len() == 2)
            && matches!(b.ttl("lobby").await, Ok(Ttl::Remaining(_)))
    })
    .await;
    swept(&server, 2).await;
    assert_eq!(sorted(&b, "lobby").await, ["alice", "bob"]);
    drop((a, mine));
    swept(&server, 1).await;
    assert_eq!(b.exists(["lobby", "leader"]).await, Ok(0));
    assert_eq!(b.get("players").await.unwrap().unwrap(), "30");
    let mut at = b.hgetall("at").await.unwrap();
    at.sort();
    let left = [("moved".into(), "b".into()), ("was-shared".into(), "old".into())];
    assert_eq!(at, left, "a shared value stands");
    assert_eq!(b.hget("clients", "r1").await.unwrap().unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_after_a_return_of_older_data_is_newer_than_all_before_it() {
    let mut server = Server::start().await;
    let a = server.presence("a").await;
    let mine = a.owned();
    server.other(&["SAVE"]).await;
    for n in 0..50 {
        mine.hset("at", "alice", n.to_string()).await.unwrap();
    }
    server.kill();
    server.start_again().await;
    until("the last is there", || async {
        a.hget("at", "alice").await.is_ok_and(|at| at.is_some_and(|at| at == "49"))
    })
    .await;
    mine.hset("at", "alice", "after").await.unwrap();
    server.other(&["FLUSHALL"]).await;
    until("it is there again", || async { a.exists("at").await == Ok(1) }).await;
    assert_eq!(a.hget("at", "alice").await.unwrap().unwrap(), "after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_an_older_redis_costs_nothing_that_was_acknowledged() {
    let mut server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    for round in 0..4 {
        server.other(&["SAVE"]).await;
        let writing = tokio::spawn({
            let mine = a.owned();
            async move {
                let mut acknowledged = Vec::new();
                for n in 0..100_000 {
                    let member = format!("{round}-{n}");
                    match mine.sadd("lobby", &member).await {
                        Ok(_) => acknowledged.push(member),
                        Err(_) => return acknowledged,
                    }
                }
                panic!("it never met the outage");
            }
        });
        until("some are there", || async { b.sismember("lobby", format!("{round}-50")).await == Ok(true) }).await;
        server.kill();
        server.start_again().await;
        let acknowledged = writing.await.unwrap();
        until("all that was acknowledged is there", || async {
            let Ok(there) = b.smembers("lobby").await else { return false };
            let there: std::collections::BTreeSet<_> = there.into_iter().collect();
            acknowledged.iter().all(|member| there.contains(member.as_bytes()))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_took_a_row_over_keeps_it_when_the_former_owner_has_not_heard_of_it() {
    let server = Server::start().await;
    let a = Node::builder("a").redis(server.options()).start().await.unwrap();
    let b = server.presence("b").await;
    a.presence().owned().hset("at", "alice", "a").await.unwrap();
    b.owned().hset("at", "alice", "b").await.unwrap();
    // As if an audit of a's came before the heartbeat with the word of it.
    let lost = format!("headcount:lost:{}", server.origin("a").await.unwrap());
    server.other(&["DEL", &lost]).await;
    until("a has looked", || async { a.stats().owned_rows == 0 }).await;
    drop(b);
    swept(&server, 1).await;
    assert_eq!(a.presence().exists("at").await, Ok(0), "it was nobody's any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expired_does_not_come_back_with_its_key_and_what_was_counted_after_that_does() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let mine = a.owned();
    mine.hincrby("rooms", "expired", 3).await.unwrap();
    mine.sadd("lobby", "expired").await.unwrap();
    mine.incrby("players", 3).await.unwrap();
    for key in ["rooms", "lobby", "players"] {
        a.expire(key, 1).await.unwrap();
    }
    until("all has expired", || async { a.exists(["rooms", "lobby", "players"]).await == Ok(0) }).await;
    b.hincrby("rooms", "other", 1).await.unwrap();
    mine.sadd("lobby", "anew").await.unwrap();
    mine.incrby("players", 2).await.unwrap();
    assert_eq!(server.other(&["HLEN", "headcount:rows:rooms"]).await, redis::Value::Int(0), "a dead record was kept");
    server.other(&["FLUSHALL"]).await;
    until("a owns again what it had", || async { b.exists(["lobby", "players"]).await == Ok(2) }).await;
    assert_eq!(b.get("players").await.unwrap().unwrap(), "2");
    assert_eq!(b.smembers("lobby").await.unwrap(), ["anew"]);
    assert_eq!(b.exists("rooms").await, Ok(0));
    assert_eq!(b.ttl("lobby").await, Ok(Ttl::Never));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_and_what_others_counted_on_it_come_back_together_in_either_order() {
    let server = Server::start().await;
    for (first, second) in [("a", "b"), ("d", "c")] {
        let (a, b) = (server.presence(first).await, server.presence(second).await);
        a.owned().hset("clients", "r1", "4").await.unwrap();
        b.owned().hincrby("clients", "r1", 2).await.unwrap();
        for _ in 0..3 {
            server.other(&["FLUSHALL"]).await;
            until("both are there", || async {
                a.hget("clients", "r1").await.unwrap().is_some_and(|value| value == "6")
            })
            .await;
            swept(&server, 2).await;
            assert_eq!(a.hget("clients", "r1").await.unwrap().unwrap(), "6");
        }
        drop(a);
        swept(&server, 1).await;
        assert_eq!(b.hget("clients", "r1").await.unwrap().unwrap(), "2");
        b.leave().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_of_a_field_the_later_comes_back_though_the_former_had_not_heard_of_it() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    for round in 0..6 {
        let (first, second) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        first.owned().hset("at", "alice", format!("{round} first")).await.unwrap();
        second.owned().hset("at", "alice", format!("{round} second")).await.unwrap();
        server.other(&["FLUSHALL"]).await;
        swept(&server, 2).await;
        until("it is there", || async { a.exists("at").await == Ok(1) }).await;
        server.beats("a").await;
        server.beats("b").await;
        assert_eq!(a.hget("at", "alice").await.unwrap().unwrap(), format!("{round} second"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_s_type_costs_only_the_rows_that_it_stands_in_the_way_of() {
    let server = Server::start().await;
    let a = Node::builder("a").redis(server.options()).start().await.unwrap();
    let mine = a.presence().owned();
    mine.sadd("lobby", "alice").await.unwrap();
    mine.incrby("players", 2).await.unwrap();
    mine.hset("at", "alice", "1").await.unwrap();
    let script = "redis.call('FLUSHALL') redis.call('SET', 'lobby', 'x') redis.call('SET', 'players', 'many')";
    server.other(&["EVAL", script, "0"]).await;
    until("the rest is there", || async { mine.hlen("at").await == Ok(1) }).await;
    until("what is lost is forgotten", || async { a.stats().owned_rows == 1 }).await;
    assert_eq!(mine.get("lobby").await.unwrap().unwrap(), "x");
    assert_eq!(mine.get("players").await.unwrap().unwrap(), "many");
    assert_eq!(mine.sadd("another", "bob").await, Ok(1), "its lease is not lost over it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_while_a_node_writes_its_rows_again_is_not_undone() {
    let server = Server::start().await;
    let a = server.presence("a").await;
    // Whose lease is so long that it does not sweep before it has removed something.
    let b = server.options().name("b").lease(DEADLINE).connect().await.unwrap();
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    for key in ["lobby:1", "lobby:2", "lobby:3"] {
        a.owned().sadd(key, &many).await.unwrap();
    }
    a.owned().sadd("z", ["removed", "stays"]).await.unwrap();
    let origin = server.origin("a").await.unwrap();
    server.other(&["ZREM", "headcount:leases", &origin]).await;
    server.other(&["SADD", "headcount:dead", &origin]).await;
    until("a has another lease", || async { server.origin("a").await.is_some_and(|now| now != origin) }).await;
    assert_eq!(b.srem("z", "removed").await, Ok(1));
    a.owned().sadd("after", "all").await.unwrap();
    swept(&server, 2).await;
    server.beats("a").await;
    assert_eq!(b.smembers("z").await.unwrap(), ["stays"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_comes_back_with_the_deadline_that_whoever_gave_it() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let mine = a.owned();
    let keys = ["by-other", "by-program", "by-itself", "twice", "persisted"];
    for key in keys {
        mine.sadd(key, ["alice", "bob"]).await.unwrap();
    }
    b.expire("by-other", 1000).await.unwrap();
    server.other(&["EXPIRE", "by-program", "1000"]).await;
    mine.expire("by-itself", 1000).await.unwrap();
    mine.expire("twice", 9000).await.unwrap();
    b.expire("twice", 1000).await.unwrap();
    mine.expire("persisted", 1000).await.unwrap();
    b.persist("persisted").await.unwrap();
    server.beats("a").await;
    server.other(&["FLUSHALL"]).await;
    until("a owns again what it had", || async { b.exists(keys).await == Ok(5) }).await;
    swept(&server, 2).await;
    for key in &keys[..4] {
        let ttl = b.ttl(*key).await.unwrap();
        assert!(matches!(ttl, Ttl::Remaining(left) if left <= Duration::from_secs(1000)), "{key}: {ttl:?}");
    }
    assert_eq!(b.ttl("persisted").await, Ok(Ttl::Never));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_several_owners_comes_back_with_its_latest_deadline_whoever_is_first() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    for round in 0..6 {
        let expiring = if round % 2 == 0 { &a } else { &b };
        a.owned().sadd("lobby", "alice").await.unwrap();
        b.owned().sadd("lobby", "bob").await.unwrap();
        expiring.expire("lobby", 1000).await.unwrap();
        server.other(&["FLUSHALL"]).await;
        until("both are there", || async { a.scard("lobby").await == Ok(2) }).await;
        assert_ne!(a.ttl("lobby").await, Ok(Ttl::Never), "round {round}");
        a.persist("lobby").await.unwrap();
        server.beats("a").await;
        server.beats("b").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_refused_command_did_not_take_away_is_still_owned() {
    let server = Server::start().await;
    let a = server.presence("a").await;
    let mine = a.owned();
    mine.sadd("lobby", "alice").await.unwrap();
    mine.hset("at", "alice", "1").await.unwrap();
    mine.set("leader", "a").await.unwrap();
    let refused = ["-srem", "-hset", "-set", "-del"];
    let allowed = ["+srem", "+hset", "+set", "+del"];
    let words = |rights: [&'static str; 4]| [&["ACL", "SETUSER", "default"][..], &rights].concat();
    server.other(&words(refused)).await;
    let failures = [
        a.srem("lobby", "alice").await.map(drop),
        a.hset("at", "alice", "2").await.map(drop),
        a.set("leader", "b").await,
        a.del(["lobby", "at", "leader"]).await.map(drop),
        a.getset("leader", "b").await.map(drop),
    ];
    server.other(&words(allowed)).await;
    assert!(failures.iter().all(|failed| matches!(failed, Err(Error::Backend { .. }))), "{failures:?}");
    server.other(&["FLUSHALL"]).await;
    until("all is there again", || async { a.exists(["lobby", "at", "leader"]).await == Ok(3) }).await;
    assert_eq!(a.hget("at", "alice").await.unwrap().unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_must_not_know_which_process_answers_still_hears_that_data_is_lost() {
    let mut server = Server::start().await;
    let rights = ["ACL", "SETUSER", "default", "-info"];
    server.other(&rights).await;
    let a = server.presence("a").await;
    a.owned().sadd("lobby", "before").await.unwrap();
    server.other(&["SAVE"]).await;
    a.owned().sadd("lobby", "after").await.unwrap();
    server.beats("a").await;
    server.kill();
    server.start_again().await;
    server.other(&rights).await;
    until("moments have gone back", || async { a.scard("lobby").await == Ok(2) }).await;
    server.other(&["FLUSHALL"]).await;
    until("a owns again what it had", || async { a.scard("lobby").await == Ok(2) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_process_that_is_the_primary_again_with_older_data_is_noticed() {
    const AT_ONCE: [&str; 2] = ["--repl-diskless-sync-delay", "0"];
    for has_led in [false, true] {
        let (first, second) = (Server::start_with(&AT_ONCE).await, Server::start_with(&AT_ONCE).await);
        // Nothing is heard of Redis on its own meanwhile.
        let a = first.options().name("a").lease(DEADLINE).connect().await.unwrap();
        let mine = a.owned();
        mine.sadd("lobby", "old").await.unwrap();
        second.follow(&first).await;
        second.lead().await;
        mine.sadd("lobby", "acknowledged").await.unwrap();
        mine.hset("at", "alice", "1").await.unwrap();
        let other = if has_led { Some(second.presence("b").await) } else { None };
        first.follow(&second).await;
        first.lead().await;
        first.other(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        until("all that was acknowledged is there", || async {
            a.scard("lobby").await == Ok(2) && a.hexists("at", "alice").await == Ok(true)
        })
        .await;
        drop(other);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_users_who_must_not_know_which_process_answers_both_hear_that_data_is_lost() {
    let mut server = Server::start().await;
    let rights = ["ACL", "SETUSER", "default", "-info"];
    server.other(&rights).await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    a.owned().sadd("lobby", "a before").await.unwrap();
    server.other(&["SAVE"]).await;
    a.owned().sadd("lobby", "a after").await.unwrap();
    b.owned().sadd("lobby", "b after").await.unwrap();
    server.beats("a").await;
    server.beats("b").await;
    server.kill();
    server.start_again().await;
    server.other(&rights).await;
    until("all is there again", || async { a.scard("lobby").await == Ok(3) }).await;
    swept(&server, 2).await;
    assert_eq!(sorted(&b, "lobby").await, ["a after", "a before", "b after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_whom_one_must_not_know_which_process_answers_keep_their_leases() {
    let server = Server::start().await;
    server.other(&["ACL", "SETUSER", "blind", "on", ">p", "~*", "&*", "+@all", "-info"]).await;
    let a = server.presence("a").await;
    let blind = server.options().name("b").user("blind").password("p").connect().await.unwrap();
    let _both = (a, blind);
    for name in ["a", "b"] {
        server.beats(name).await;
    }
    let before = (server.origin("a").await, server.origin("b").await);
    for name in ["a", "b"] {
        server.beats(name).await;
    }
    assert_eq!((server.origin("a").await, server.origin("b").await), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_granted_after_a_return_of_older_data_stands_when_the_former_owner_comes_back() {
    let mut server = Server::start().await;
    let user = ["ACL", "SETUSER", "a", "on", ">p", "~*", "&*", "+@all"];
    server.other(&user).await;
    let a = server.options().name("a").user("a").password("p").connect().await.unwrap();
    let b = server.presence("b").await;
    let mine = a.owned();
    mine.hset("at", "counted", "5").await.unwrap();
    server.other(&["SAVE"]).await;
    mine.set("lock", "a").await.unwrap();
    mine.hset("at", "alice", "a").await.unwrap();
    mine.hset("at", "counted", "not a number").await.unwrap();
    mine.sadd("lobby", "alice").await.unwrap();
    server.kill();
    server.start_again().await;
    until("b is there again", || async { b.exists("lock").await == Ok(0) }).await;
    assert_eq!(b.set_nx("lock", "b").await, Ok(true), "nobody has it");
    b.hset("at", "alice", "b").await.unwrap();
    b.owned().hincrby("at", "counted", 2).await.unwrap();
    // Until now a's user was not known there.
    server.other(&user).await;
    until("a has written again what it had", || async { b.sismember("lobby", "alice").await == Ok(true) }).await;
    swept(&server, 2).await;
    server.beats("a").await;
    assert_eq!(b.get("lock").await.unwrap().unwrap(), "b");
    assert_eq!(b.hget("at", "alice").await.unwrap().unwrap(), "b");
    assert_eq!(
        b.hget("at", "counted").await.unwrap().unwrap(),
        "2",
        "b's stays, and what a had made of it before is older"
    );
    a.leave().await.unwrap();
    assert_eq!(b.get("lock").await.unwrap().unwrap(), "b", "it was not a's any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_brings_a_node_s_own_former_lease_back_does_not_lock_it_out() {
    let mut server = Server::start().await;
    let a = server.options().name("a").lease(DEADLINE * 10).connect().await.unwrap();
    a.owned().sadd("lobby", "alice").await.unwrap();
    server.other(&["SAVE"]).await;
    for round in 0..2 {
        server.kill();
        server.start_again().await;
        until("it owns again", || async { a.owned().sadd("lobby", round.to_string()).await.is_ok() }).await;
    }
    assert_eq!(sorted(&a, "lobby").await, ["0", "1", "alice"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_over_is_not_counted_as_held() {
    let mut server = Server::start().await;
    let a = Node::builder("a").redis(server.options()).start().await.unwrap();
    assert!(a.stats().lease_held);
    server.kill();
    until("it is over", || async { !a.stats().lease_held }).await;
    server.start_again().await;
    until("it is taken again", || async { a.stats().lease_held }).await;
}
