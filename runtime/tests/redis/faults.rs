//! What can happen to a Redis, and to the way there.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use headcount::{Error, Event, Presence, RedisPresence};
use tokio::time::Instant;

use crate::server::{DEADLINE, Server, free_port, next, until};

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
            while a.get("stop").await != Ok(Some("now".into())) {
                let begun = Instant::now();
                if let Err(error) = a.hset("load", "f", "v").await {
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

#[tokio::test]
async fn a_node_of_a_redis_cluster_is_refused_in_words() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // Takes whatever is said, and has every command that has a key moved.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut bytes = [0; 16 * 1024];
                while let Ok(1..) = stream.read(&mut bytes) {
                    let heard = String::from_utf8_lossy(&bytes).to_lowercase();
                    let answer = if heard.contains("eval") || heard.contains("get") {
                        "-MOVED 3999 127.0.0.1:6381\r\n".to_owned()
                    } else {
                        "+OK\r\n".repeat(heard.matches("client\r\n").count().max(1))
                    };
                    stream.write_all(answer.as_bytes()).unwrap();
                    bytes.fill(0);
                }
            });
        }
    });
    let error = RedisPresence::builder().host("127.0.0.1", port).connect().await.unwrap_err();
    let message = message(error);
    assert!(
        message.contains("MOVED") && message.contains("Redis Cluster, whose protocol headcount does not speak"),
        "{message}"
    );
}
