//! Caps: at each of them and one past it, and no values at all.

use headcount::{Error, Limits, Presence};

use crate::backend::Backend;
use crate::stage::{DEADLINE, Stage, some};

cases![
    a_key_at_the_cap_is_taken_and_a_longer_one_refused,
    a_value_at_the_cap_is_taken_and_a_longer_one_refused,
    as_many_values_as_the_cap_are_taken_and_no_more,
    the_bytes_of_a_command_have_a_cap,
    topics_messages_and_subscriptions_have_caps,
    commands_without_values_have_the_wrong_arity,
    blocked_pops_have_a_cap,
    over_the_cap_of_memory_nothing_is_added_and_all_else_goes_on,
];

fn small() -> Limits {
    let mut limits = Limits::default();
    (limits.max_key_bytes, limits.max_value_bytes) = (3, 4);
    (limits.max_arguments, limits.max_command_bytes) = (4, 8);
    (limits.max_topic_bytes, limits.max_message_bytes, limits.max_subscriptions) = (4, 4, 2);
    limits
}

/// Asks that commands are refused because something is too large.
macro_rules! too_large {
    ($stage:ident, $what:literal, $bytes:literal, $name:literal, $($command:ident($($arg:expr),*)),+ $(,)?) => {$(
        let refused = $stage.any().$command($($arg),*).await.unwrap_err();
        let limit = match $name { "max_key_bytes" => 3, "max_command_bytes" => 8, _ => 4 };
        let expected = Error::TooLarge { what: $what, bytes: $bytes, limit, name: $name };
        assert_eq!(refused, expected, "{}", stringify!($command));
    )+};
}

async fn a_key_at_the_cap_is_taken_and_a_longer_one_refused<B: Backend>() {
    let stage = Stage::<B>::with(small()).await;
    assert_eq!(stage.any().set("123", "v").await, Ok(()));
    assert_eq!(stage.any().get("123").await, Ok(some("v")));
    too_large!(stage, "key", 4, "max_key_bytes", set("1234", "v"), setex("1234", "v", 1), incr("1234"));
    too_large!(stage, "key", 4, "max_key_bytes", sadd("1234", "m"), hset("1234", "f", "v"), rpush("1234", "e"));
    too_large!(stage, "key", 4, "max_key_bytes", hset_multiple("1234", &[("f", "v")]), hincrby("1234", "f", 1));
    too_large!(stage, "key", 4, "max_key_bytes", lpush("1234", "e"), lpop("1234"), rpop("1234"));
    too_large!(stage, "key", 4, "max_key_bytes", set_nx("1234", "v"), set_nx_ex("1234", "v", 1), getset("1234", "v"));
    too_large!(stage, "key", 4, "max_key_bytes", compare_and_set("1234", None, None));
    too_large!(
        stage,
        "key",
        4,
        "max_key_bytes",
        compare_and_set_ex("1234", None, "v", 1),
        hincrbyex("1234", "f", 1, 1)
    );
    too_large!(stage, "key", 4, "max_key_bytes", brpop("1234", DEADLINE), blpop(["k", "1234"], DEADLINE));
    too_large!(stage, "counter's field", 4, "max_key_bytes", hincrby("h", "1234", 1), hincrbyex("h", "1234", 1, 1));
    assert_eq!(stage.any().get("1234").await, Ok(None), "who reads is told that it is not there");
    assert_eq!(stage.any().exists("h").await, Ok(0));
}

async fn a_value_at_the_cap_is_taken_and_a_longer_one_refused<B: Backend>() {
    let stage = Stage::<B>::with(small()).await;
    assert_eq!(stage.any().set("k", "1234").await, Ok(()));
    assert_eq!(stage.any().hset("h", "1234", "1234").await, Ok(true));
    too_large!(stage, "value", 5, "max_value_bytes", set("k", "12345"), setex("k", "12345", 1), set_nx("n", "12345"));
    too_large!(stage, "value", 5, "max_value_bytes", sadd("s", "12345"), sadd("s", ["1", "12345"]), srem("s", "12345"));
    too_large!(
        stage,
        "value",
        5,
        "max_value_bytes",
        hset("h", "f", "12345"),
        hset("h", "12345", "v"),
        hdel("h", "12345")
    );
    too_large!(stage, "value", 5, "max_value_bytes", rpush("l", "12345"), lpush("l", ["1", "12345"]));
    too_large!(stage, "value", 5, "max_value_bytes", getset("k", "12345"), set_nx_ex("n", "12345", 1));
    too_large!(stage, "value", 5, "max_value_bytes", compare_and_set("k", Some(b"1234"), Some(b"12345")));
    too_large!(stage, "value", 5, "max_value_bytes", compare_and_set_ex("k", Some(b"1234"), "12345", 1));
    assert_eq!(stage.any().get("k").await, Ok(some("1234")), "as it was");
    assert_eq!(stage.any().exists(["s", "l", "n"]).await, Ok(0));
}

async fn as_many_values_as_the_cap_are_taken_and_no_more<B: Backend>() {
    let stage = Stage::<B>::with(small()).await;
    assert_eq!(stage.any().sadd("s", ["1", "2", "3", "4"]).await, Ok(4));
    assert_eq!(stage.any().hset_multiple("h", &[("f", "1"), ("g", "2")]).await, Ok(2));
    let too_many = |count| Error::TooMany { what: "arguments", count, limit: 4, name: "max_arguments" };
    let five = ["1", "2", "3", "4", "5"];
    assert_eq!(stage.any().sadd("s", five).await, Err(too_many(5)));
    assert_eq!(stage.any().srem("s", five).await, Err(too_many(5)));
    assert_eq!(stage.any().sinter(five).await, Err(too_many(5)));
    assert_eq!(stage.any().rpush("l", five).await, Err(too_many(5)));
    assert_eq!(stage.any().lpush("l", five).await, Err(too_many(5)));
    assert_eq!(stage.any().hdel("h", five).await, Err(too_many(5)));
    assert_eq!(stage.any().exists(five).await, Err(too_many(5)));
    assert_eq!(stage.any().del(five).await, Err(too_many(5)));
    assert_eq!(stage.any().brpop(five, DEADLINE).await, Err(too_many(5)));
    assert_eq!(stage.any().hset_multiple("h", &[("f", "1"), ("g", "2"), ("i", "3")]).await, Err(too_many(6)));
    assert_eq!((stage.any().scard("s").await, stage.any().exists("l").await), (Ok(4), Ok(0)));
}

async fn the_bytes_of_a_command_have_a_cap<B: Backend>() {
    let stage = Stage::<B>::with(small()).await;
    assert_eq!(stage.any().sadd("s", ["1234", "5678"]).await, Ok(2));
    too_large!(
        stage,
        "command",
        9,
        "max_command_bytes",
        sadd("s", ["1234", "1234", "1"]),
        srem("s", ["1234", "1234", "1"])
    );
    too_large!(
        stage,
        "command",
        9,
        "max_command_bytes",
        rpush("l", ["1234", "1234", "1"]),
        lpush("l", ["1234", "1234", "1"])
    );
    too_large!(stage, "command", 9, "max_command_bytes", hset_multiple("h", &[("1234", "12"), ("1", "12")]));
    assert_eq!((stage.any().scard("s").await, stage.any().exists(["l", "h"]).await), (Ok(2), Ok(0)));
}

async fn topics_messages_and_subscriptions_have_caps<B: Backend>() {
    let stage = Stage::<B>::with(small()).await;
    let presence = stage.any();
    let first = presence.subscribe("1234").await.unwrap();
    let _second = presence.psubscribe("1234").await.unwrap();
    let too_many = Error::TooMany { what: "subscriptions", count: 3, limit: 2, name: "max_subscriptions" };
    assert_eq!(presence.subscribe("u").await.unwrap_err(), too_many);
    assert_eq!(presence.psubscribe("u").await.unwrap_err(), too_many);
    drop(first);
    assert!(presence.subscribe("u").await.is_ok(), "there is room again");
    assert!(stage.any().publish("1234", "1234").await.is_ok());
    too_large!(stage, "topic", 5, "max_topic_bytes", subscribe("12345"), psubscribe("12345"), publish("12345", "m"));
    too_large!(stage, "topic", 5, "max_topic_bytes", channels(Some("12345")));
    too_large!(stage, "message", 5, "max_message_bytes", publish("1234", "12345"));
}

async fn commands_without_values_have_the_wrong_arity<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let none = Vec::<String>::new;
    let refused = |command: &str| Error::WrongArity { command: command.into() };
    assert_eq!(stage.any().sadd("s", none()).await, Err(refused("sadd")));
    assert_eq!(stage.any().srem("s", none()).await, Err(refused("srem")));
    assert_eq!(stage.any().sinter(none()).await, Err(refused("sinter")));
    assert_eq!(stage.any().hset_multiple("h", &[("", ""); 0]).await, Err(refused("hset")));
    assert_eq!(stage.any().hdel("h", none()).await, Err(refused("hdel")));
    assert_eq!(stage.any().rpush("l", none()).await, Err(refused("rpush")));
    assert_eq!(stage.any().lpush("l", none()).await, Err(refused("lpush")));
    assert_eq!(stage.any().exists(none()).await, Err(refused("exists")));
    assert_eq!(stage.any().del(none()).await, Err(refused("del")));
}

async fn blocked_pops_have_a_cap<B: Backend>() {
    let mut limits = Limits::default();
    limits.max_blocked_pops = 0;
    let stage = Stage::<B>::with(limits).await;
    let refused = Error::TooMany { what: "blocked pops", count: 1, limit: 0, name: "max_blocked_pops" };
    assert_eq!(stage.any().brpop("l", DEADLINE).await, Err(refused.clone()));
    assert_eq!(stage.any().blpop("l", DEADLINE).await, Err(refused));
}

async fn over_the_cap_of_memory_nothing_is_added_and_all_else_goes_on<B: Backend>() {
    let mut limits = Limits::default();
    limits.max_memory_bytes = 1 << 20;
    let stage = Stage::<B>::with(limits).await;
    if !B::DIFFERS.caps_memory {
        return; // Its cap is set there, and `redis/faults.rs` is about what it then says.
    }
    let members: Vec<String> = (0..10_000).map(|n| format!("{n:0150}")).collect();
    stage.any().set("k", "v").await.unwrap();
    stage.any().rpush("l", ["a", "b"]).await.unwrap();
    stage.any().sadd("s", &members).await.unwrap();
    let full =
        |outcome: Result<(), Error>| assert!(matches!(outcome, Err(Error::OutOfMemory { limit: 1_048_576, .. })));
    full(stage.any().set("k", "w").await);
    full(stage.any().sadd("t", "m").await.map(drop));
    full(stage.any().hset("h", "f", "v").await.map(drop));
    full(stage.any().rpush("l", "c").await.map(drop));
    full(stage.any().incr("n").await.map(drop));
    full(stage.any().set_nx("n", "v").await.map(drop));
    full(stage.any().homed().incr("n").await.map(drop));
    assert_eq!(stage.any().get("k").await, Ok(some("v")));
    assert_eq!(stage.any().lpop("l").await, Ok(some("a")));
    assert_eq!(stage.any().expire("k", 100).await, Ok(true));
    assert_eq!(stage.any().del("s").await, Ok(1));
    assert_eq!(stage.any().set("k", "w").await, Ok(()), "there is room again");
}
