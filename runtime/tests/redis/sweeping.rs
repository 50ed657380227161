//! Who is taken for dead, who is not, and what leaving leaves.

use std::time::Duration;

use headcount::{Error, Presence};

use crate::ownership::swept;
use crate::server::{DEADLINE, Server, until};

/// A script of the backend's, as it sends it.
macro_rules! script {
    ($name:literal) => {
        concat!(
            include_str!("../../src/backend/redis/lua/ownership.lua"),
            "\n",
            include_str!(concat!("../../src/backend/redis/lua/", $name))
        )
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_much_a_dead_node_and_a_session_left_the_living_renew_their_leases_meanwhile() {
    let server = Server::start().await;
    let nodes = [server.presence("a").await, server.presence("b").await];
    let dead = server.presence("dead").await;
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    for key in 0..12 {
        dead.owned().sadd(format!("lobby:{key}"), &many).await.unwrap();
    }
    for node in &nodes {
        node.owned().sadd("living", node.name()).await.unwrap();
    }
    let session = nodes[0].session();
    for key in 0..6 {
        session.sadd(format!("session:{key}"), &many).await.unwrap();
    }
    let origins = async || [server.origin("a").await, server.origin("b").await];
    let before = origins().await;
    drop((dead, session));
    swept(&server, 2).await;
    server.beats("a").await;
    server.beats("b").await;
    assert_eq!(origins().await, before, "a living node lost its lease");
    until("all is taken away", || async { nodes[0].exists(["lobby:0", "session:5"]).await == Ok(0) }).await;
}

#[tokio::test]
async fn a_sweep_ends_only_leases_that_were_over_when_the_sweeper_was_renewed() {
    let server = Server::start().await;
    let now: (i64, i64) = redis::from_redis_value(server.other(&["TIME"]).await).unwrap();
    let now = now.0 * 1000;
    let lease = |origin: &'static str, till: i64| (origin, till.to_string());
    let leases = [lease("dead", now - 9000), lease("living", now - 1000), lease("sweeper", now + 900_000)];
    for (origin, till) in &leases {
        server.other(&["ZADD", "headcount:leases", till, origin]).await;
    }
    let renewed = (now - 5000).to_string();
    let sweep = ["EVAL", script!("sweep.lua"), "1", "headcount:", "", "500", "sweeper", &renewed];
    while server.other(&sweep).await == redis::Value::Int(1) {}
    let left: Vec<String> =
        redis::from_redis_value(server.other(&["ZRANGE", "headcount:leases", "0", "-1"]).await).unwrap();
    assert_eq!(left, ["living", "sweeper"], "Redis stood still since then");
    // A sweeper whose own lease is over by now has been overtaken by a standstill, and may not say who is dead.
    server.other(&["ZADD", "headcount:leases", &(now - 100).to_string(), "sweeper"]).await;
    let late = ["EVAL", script!("sweep.lua"), "1", "headcount:", "", "500", "sweeper", &now.to_string()];
    assert_eq!(server.other(&late).await, redis::Value::Int(0));
    assert_eq!(server.other(&["ZCARD", "headcount:leases"]).await, redis::Value::Int(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_for_a_third_of_a_lease_ends_nobody() {
    let server = Server::start().await;
    let lease = Duration::from_millis(1200);
    let a = server.options().name("a").lease(lease).connect().await.unwrap();
    let _b = server.options().name("b").lease(lease).connect().await.unwrap();
    let _c = server.options().name("c").lease(DEADLINE).connect().await.unwrap();
    a.owned().sadd("lobby", "alice").await.unwrap();
    let origins = async || [server.origin("a").await, server.origin("b").await];
    let before = origins().await;
    for _ in 0..4 {
        server.other(&["CLIENT", "PAUSE", "400", "ALL"]).await;
        server.beats("a").await;
        server.beats("b").await;
    }
    assert_eq!(origins().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_goes_on_when_the_redis_answers_late() {
    let server = Server::start().await;
    let a = server.options().name("a").command_timeout(Duration::from_millis(500)).connect().await.unwrap();
    let b = server.presence("b").await;
    let many: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    a.owned().sadd("lobby", &many).await.unwrap();
    server.other(&["CLIENT", "PAUSE", "1000", "ALL"]).await;
    a.leave().await.unwrap();
    assert_eq!(b.exists("lobby").await, Ok(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_takes_what_is_owned_also_while_the_lease_is_being_taken_again() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    for key in ["lobby:1", "lobby:2"] {
        a.owned().sadd(key, &many).await.unwrap();
    }
    let origin = server.origin("a").await.unwrap();
    server.other(&["ZREM", "headcount:leases", &origin]).await;
    until("a has another lease", || async { server.origin("a").await.is_some_and(|now| now != origin) }).await;
    a.leave().await.unwrap();
    assert_eq!(b.exists(["lobby:1", "lobby:2"]).await, Ok(0));
}

#[tokio::test]
async fn who_cannot_leave_is_told_what_is_left_and_who_takes_it_away() {
    let mut server = Server::start().await;
    let a = server.options().name("a").command_timeout(Duration::from_millis(100)).connect().await.unwrap();
    a.owned().sadd("lobby", ["alice", "bob"]).await.unwrap();
    server.kill();
    let Err(Error::Backend { message, .. }) = a.leave().await else { panic!("it cannot have left") };
    assert!(message.contains("some of the 2 rows of a may still be there"), "{message}");
    assert!(message.contains("they go when its lease ends"), "{message}");
}
