//! What commands do there beside what every backend answers (`tests/conformance`): other programs, ways in, connections.

use std::time::Duration;

use headcount::{Ack, Error, Presence, RedisClients, RedisPresence, Type};

use crate::server::{DEADLINE, Server, next};

#[tokio::test]
async fn a_type_that_another_program_made_is_named() {
    let server = Server::start().await;
    let redis = server.presence("a").await;
    server.other(&["ZADD", "ranks", "1", "alice"]).await;
    let error = redis.sadd("ranks", "bob").await.unwrap_err();
    assert_eq!(error, Error::ForeignType { key: "ranks".into(), found: "zset".into(), needed: Type::Set });
    assert!(error.to_string().starts_with("WRONGTYPE ") && error.to_string().contains("zset"), "{error}");
    assert_eq!((redis.exists("ranks").await, redis.set("ranks", "v").await), (Ok(1), Ok(())), "SET replaces any type");
}

#[tokio::test]
async fn other_programs_see_plain_keys_and_a_prefix_keeps_two_deployments_apart() {
    let server = Server::start().await;
    let plain = server.presence("a").await;
    let apart = server.options().key_prefix("eu[1]:").connect().await.unwrap();
    plain.hset("roomcaches", "r1", "{}").await.unwrap();
    server.other(&["SADD", "lobby", "alice"]).await;
    assert_eq!(plain.smembers("lobby").await.unwrap(), ["alice"]);
    assert_eq!(server.other(&["HGET", "roomcaches", "r1"]).await, redis::Value::BulkString(b"{}".to_vec()));
    assert_eq!(apart.exists(["lobby", "roomcaches"]).await, Ok(0));
    let mut all = apart.psubscribe("c*").await.unwrap();
    let mut there = plain.subscribe("chat").await.unwrap();
    apart.publish("chat", "hello").await.unwrap();
    plain.publish("chat", "elsewhere").await.unwrap();
    let event = |pattern: Option<&'static str>, payload: &'static str| headcount::Event::Message {
        topic: "chat".into(),
        pattern: pattern.map(Into::into),
        payload: payload.into(),
    };
    assert_eq!(next(&mut all).await, Some(event(Some("c*"), "hello")));
    assert_eq!(next(&mut there).await, Some(event(None, "elsewhere")));
    let _own = apart.subscribe("chat").await.unwrap();
    assert_eq!(apart.channels(None).await.unwrap(), ["chat"]);
    apart.rpush("jobs", "one").await.unwrap();
    assert_eq!(apart.blpop("jobs", DEADLINE).await, Ok(Some(("jobs".into(), "one".into()))));
    assert_eq!(server.other(&["EXISTS", "eu[1]:jobs"]).await, redis::Value::Int(0));
}

#[tokio::test]
async fn a_unix_socket_a_database_and_clients_of_the_caller_s_are_ways_in() {
    let server = Server::start().await;
    let by_socket = RedisPresence::builder().unix_socket(server.socket()).database(3).connect().await.unwrap();
    by_socket.set("k", "in 3").await.unwrap();
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/3", server.port)).unwrap();
    let clients = RedisClients { publish: client.clone(), subscribe: client.clone(), data: client };
    let supplied = RedisPresence::builder().clients(clients).connect().await.unwrap();
    assert_eq!(supplied.get("k").await.unwrap().unwrap(), "in 3");
    let mut heard = by_socket.subscribe("t").await.unwrap();
    assert_eq!(supplied.publish("t", "m").await, Ok(1));
    assert!(next(&mut heard).await.is_some());
    assert_eq!(server.presence("a").await.get("k").await, Ok(None), "another database");
}

#[tokio::test]
async fn what_redis_cannot_promise_is_an_error_that_names_the_backend_and_writes_nothing() {
    let server = Server::start().await;
    let redis = server.presence("a").await;
    for ack in [Ack::Peers(1), Ack::Majority, Ack::All] {
        let error = redis.acknowledged(ack, DEADLINE).incr("n").await.unwrap_err();
        assert!(matches!(error, Error::Backend { backend: "redis", .. }), "{error}");
    }
    assert_eq!(redis.acknowledged(Ack::Local, DEADLINE).incr("n").await, Ok(1));
    let error = redis.owned().rpush("l", "v").await.unwrap_err();
    assert!(error.to_string().starts_with("ERR redis: an element of a list cannot belong"), "{error}");
    assert_eq!(redis.exists("l").await, Ok(0));
    assert_eq!(redis.homed().incr("n").await, Ok(2));
}

#[tokio::test]
async fn a_blocked_pop_gets_what_is_pushed_later_and_one_that_is_dropped_takes_nothing() {
    let server = Server::start().await;
    let redis = server.presence("a").await;
    let waiting = tokio::spawn({
        let redis = redis.clone();
        async move { redis.brpop(["x", "jobs"], Duration::ZERO).await }
    });
    crate::server::until("it waits", || async { server.clients().await.contains("cmd=brpop") }).await;
    redis.rpush("jobs", "one").await.unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(Some(("jobs".into(), "one".into()))));
    for _ in 0..20 {
        let dropped = tokio::time::timeout(Duration::from_millis(3), redis.blpop("jobs", Duration::ZERO)).await;
        assert!(dropped.is_err());
        redis.rpush("jobs", "two").await.unwrap();
        let popped = redis.blpop("jobs", DEADLINE).await.unwrap();
        assert_eq!(popped, Some(("jobs".into(), "two".into())), "nothing is lost with a pop that was given up");
    }
    assert_eq!(redis.llen("jobs").await, Ok(0));
}

#[tokio::test]
async fn commands_with_as_many_values_as_the_cap_allows_work() {
    let server = Server::start().await;
    let redis = server.presence("a").await;
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    assert_eq!(redis.owned().sadd("s", &many).await, Ok(10_000));
    assert_eq!(redis.srem("s", &many).await, Ok(10_000));
    let pairs: Vec<(&String, &String)> = many[..5_000].iter().map(|n| (n, n)).collect();
    assert_eq!(redis.owned().hset_multiple("h", &pairs).await, Ok(5_000));
    assert_eq!(redis.hdel("h", &many).await, Ok(5_000));
    assert_eq!(redis.rpush("l", &many).await, Ok(10_000));
    assert_eq!(redis.del(&many).await, Ok(0));
}
