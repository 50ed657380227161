//! What commands answer: as a node does.

use std::time::Duration;

use headcount::{Ack, Error, Limits, LocalPresence, Presence, RedisClients, RedisPresence, Ttl, Type};

use crate::server::{DEADLINE, Server, next};

/// Runs a command on both, and asks for the same answer.
macro_rules! same {
    ($redis:expr, $local:expr, $($method:ident($($arg:expr),*)),+ $(,)?) => {$(
        let (ours, theirs) = ($redis.$method($($arg),*).await, $local.$method($($arg),*).await);
        assert_eq!(ours, theirs, concat!(stringify!($method), stringify!(($($arg),*))));
    )+};
}

#[tokio::test]
async fn every_command_answers_as_local_presence_does() {
    let server = Server::start().await;
    let redis = server.presence("a").await;
    let local = LocalPresence::new();
    same!(redis, local, set("s", "v"), get("s"), get("missing"), exists(["s", "s", "missing"]), ttl("s"));
    same!(redis, local, sadd("set", ["a", "b", "a"]), sadd("set", "c"), srem("set", ["a", "x", "a"]), scard("set"));
    same!(redis, local, sismember("set", "b"), sismember("set", "a"), sismember("missing", "a"), srem("missing", "a"));
    same!(redis, local, sadd("other", ["c", "d"]), sinter(["set", "other"]), sinter(["set", "missing"]));
    let pairs = [("f", "1"), ("g", "2"), ("f", "3")];
    same!(redis, local, hset_multiple("h", &pairs), hset("h", "f", "4"), hset("h", "new", ""), hget("h", "f"));
    same!(redis, local, hget("h", "x"), hexists("h", "g"), hlen("h"), hdel("h", ["g", "g", "x"]), hincrby("h", "f", 5));
    same!(redis, local, hincrby("h", "new", 1), hincrbyex("c", "f", 2, 100), hincrbyex("c", "f", 2, 0), exists("c"));
    same!(redis, local, hincrbyex("c", "f", 2, i64::MAX), exists("c"));
    same!(redis, local, incr("n"), decr("n"), incrby("n", -9), incrby("s", 1), set("max", i64::MAX.to_string()));
    same!(
        redis,
        local,
        incr("max"),
        get("max"),
        incrby("max", -1),
        hincrby("h", "min", i64::MIN),
        hincrby("h", "min", -1)
    );
    same!(
        redis,
        local,
        rpush("l", ["b", "c"]),
        lpush("l", ["a", "z"]),
        llen("l"),
        lrange("l", 0, -1),
        lrange("l", -2, 9)
    );
    same!(redis, local, lrange("l", i64::MIN, i64::MAX), rpop("l"), lpop("l"), lpop("missing"), llen("missing"));
    same!(redis, local, brpop(["missing", "l"], DEADLINE), blpop("l", DEADLINE), exists("l"));
    same!(
        redis,
        local,
        blpop("l", Duration::from_millis(1)),
        set_nx("lock", "a"),
        set_nx("lock", "b"),
        getset("lock", "c")
    );
    same!(redis, local, compare_and_set("lock", Some(b"a"), None), compare_and_set("lock", Some(b"c"), Some(b"d")));
    same!(redis, local, compare_and_set("lock", Some(b"d"), None), compare_and_set("lock", None, None), exists("lock"));
    same!(redis, local, compare_and_set_ex("lock", None, "e", 0), compare_and_set_ex("lock", Some(b"f"), "e", 100));
    same!(redis, local, compare_and_set_ex("lock", None, "e", 100), get("lock"), persist("lock"));
    same!(redis, local, compare_and_set("lock", Some(b"e"), Some(b"g")), ttl("lock"), del("lock"));
    same!(redis, local, compare_and_set("lock", None, Some(b"")), get("lock"), getset("absent", "x"), get("absent"));
    same!(redis, local, setex("e", "v", 0), setex("e", "v", -1), setex("e", "v", i64::MAX), set_nx_ex("e", "v", 0));
    same!(
        redis,
        local,
        setex("e", "v", 100),
        persist("e"),
        persist("e"),
        ttl("e"),
        expire("missing", 5),
        expire("e", -1)
    );
    same!(
        redis,
        local,
        exists("e"),
        expire("s", i64::MAX),
        expire("missing", -1),
        set_nx_ex("e", "v", 100),
        set_nx("e", "w")
    );
    assert!(matches!(redis.ttl("e").await, Ok(Ttl::Remaining(left)) if left > Duration::from_secs(90)));
    same!(
        redis,
        local,
        set("", ""),
        get(""),
        sadd(b"\xff\0", [&b""[..], b"\0"]),
        scard(b"\xff\0"),
        del(["", "s", "x"])
    );
    same!(redis, local, publish("t", "m"), channels(None), channels(Some("t*")));
    let (mut ours, mut theirs) = (redis.hgetall("h").await.unwrap(), local.hgetall("h").await.unwrap());
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn what_is_refused_is_refused_in_the_same_words() {
    let server = Server::start().await;
    let mut limits = Limits::default();
    (limits.max_key_bytes, limits.max_value_bytes, limits.max_arguments, limits.max_command_bytes) = (4, 4, 4, 8);
    (limits.max_topic_bytes, limits.max_message_bytes, limits.max_subscriptions, limits.max_blocked_pops) =
        (4, 4, 1, 0);
    let redis = server.options().limits(limits.clone()).connect().await.unwrap();
    let local = LocalPresence::with(limits, std::sync::Arc::new(headcount_cluster::SystemClock));
    same!(
        redis,
        local,
        set("1234", "1234"),
        set("12345", "v"),
        set("k", "12345"),
        setex("12345", "v", 1),
        get("12345")
    );
    same!(redis, local, sadd("s", ["1", "2", "3", "4"]), sadd("s", ["1", "2", "3", "4", "5"]), sadd("12345", "a"));
    same!(redis, local, sadd("s", ["1234", "1234", "1"]), sadd("s", Vec::<String>::new()), srem("s", "12345"));
    same!(redis, local, hset("h", "12345", "v"), hset("h", "f", "12345"), hincrby("h", "12345", 1), incr("12345"));
    same!(redis, local, hset_multiple("h", &[("", ""); 0]), hdel("h", Vec::<String>::new()), del(Vec::<String>::new()));
    same!(redis, local, rpush("12345", "v"), rpush("l", "12345"), lpop("12345"), lpush("l", Vec::<String>::new()));
    same!(redis, local, set_nx("k5", "12345"), getset("12345", "v"), compare_and_set("k", None, Some(b"12345")));
    same!(redis, local, publish("12345", "m"), publish("t", "12345"), channels(Some("12345")), exists(["a"; 5]));
    same!(redis, local, brpop("l", DEADLINE), brpop(Vec::<String>::new(), DEADLINE), sinter(Vec::<String>::new()));
    let (owned, local_owned) = (redis.owned(), local.owned());
    same!(owned, local_owned, set_nx("k", "v"), getset("k", "v"), compare_and_set("k", None, Some(b"v")));
    let _first = redis.subscribe("t").await.unwrap();
    assert!(matches!(redis.subscribe("u").await, Err(Error::TooMany { name: "max_subscriptions", .. })));
    assert!(matches!(redis.psubscribe("12345").await, Err(Error::TooLarge { name: "max_topic_bytes", .. })));
}

#[tokio::test]
async fn a_wrong_type_names_both_types_also_one_that_another_program_made() {
    let server = Server::start().await;
    let redis = server.presence("a").await;
    let local = LocalPresence::new();
    same!(redis, local, sadd("set", "a"), set("s", "v"), rpush("l", "v"), hset("h", "f", "v"));
    same!(
        redis,
        local,
        get("set"),
        incr("set"),
        hset("set", "f", "v"),
        hget("l", "f"),
        hincrby("s", "f", 1),
        rpush("h", "v")
    );
    same!(redis, local, sadd("s", "a"), srem("h", "a"), smembers("l"), sinter(["missing", "s"]), sinter(["set", "h"]));
    same!(
        redis,
        local,
        lpop("set"),
        llen("h"),
        brpop(["missing", "set"], DEADLINE),
        getset("set", "v"),
        hdel("set", "f")
    );
    same!(redis, local, compare_and_set("set", None, None), hincrbyex("set", "f", 1, 9), lrange("s", 0, 1), scard("h"));
    same!(redis.owned(), local.owned(), sadd("h", "a"), hset("set", "f", "v"), incr("l"), hincrby("s", "f", 1));
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
