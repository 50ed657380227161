//! Commands on keys of another type than theirs.

use headcount::{Error, Presence, Type};

use crate::backend::Backend;
use crate::stage::{DEADLINE, Stage, some};

cases![
    commands_for_strings_refuse_other_types,
    commands_for_sets_refuse_other_types,
    commands_for_hashes_refuse_other_types,
    commands_for_lists_refuse_other_types,
];

const ALL: [(&str, Type); 4] =
    [("string", Type::String), ("set", Type::Set), ("hash", Type::Hash), ("list", Type::List)];

/// A stage with a key of each type.
async fn furnished<B: Backend>() -> Stage<B> {
    let stage = Stage::<B>::start().await;
    stage.any().set("string", "1").await.unwrap();
    stage.any().sadd("set", "1").await.unwrap();
    stage.any().hset("hash", "f", "1").await.unwrap();
    stage.any().rpush("list", "1").await.unwrap();
    stage
}

async fn is_as_it_was<B: Backend>(stage: &Stage<B>) {
    assert_eq!(stage.any().get("string").await, Ok(some("1")));
    assert_eq!(stage.any().smembers("set").await.unwrap(), ["1"]);
    assert_eq!(stage.any().hgetall("hash").await.unwrap(), [("f".into(), "1".into())]);
    assert_eq!(stage.any().lrange("list", 0, -1).await.unwrap(), ["1"]);
}

/// Asks that a command on the key of each other type is refused, with both types named.
macro_rules! refused {
    ($stage:ident, $needed:expr, $key:ident, $($command:ident($($arg:expr),*)),+ $(,)?) => {
        for ($key, found) in ALL.into_iter().filter(|(_, found)| *found != $needed) {
            let wrong = Error::WrongType { key: $key.into(), found, needed: $needed };
            $(
                let refused = $stage.any().$command($($arg),*).await.unwrap_err();
                assert_eq!(refused, wrong, "{} on a {found}", stringify!($command));
            )+
        }
        is_as_it_was(&$stage).await;
    };
}

async fn commands_for_strings_refuse_other_types<B: Backend>() {
    let stage = furnished::<B>().await;
    refused!(stage, Type::String, key, get(key), incr(key), decr(key), incrby(key, 5));
    refused!(stage, Type::String, key, getset(key, "v"), compare_and_set(key, None, None));
    refused!(stage, Type::String, key, compare_and_set(key, Some(b"1"), Some(b"v")));
    refused!(stage, Type::String, key, compare_and_set_ex(key, None, "v", 100));
    for key in ["set", "hash", "list"] {
        assert!(matches!(stage.any().owned().incr(key).await, Err(Error::WrongType { .. })));
        assert!(matches!(stage.any().homed().incr(key).await, Err(Error::WrongType { .. })));
    }
}

async fn commands_for_sets_refuse_other_types<B: Backend>() {
    let stage = furnished::<B>().await;
    refused!(stage, Type::Set, key, sadd(key, "m"), srem(key, "1"), smembers(key), sismember(key, "1"), scard(key));
    refused!(stage, Type::Set, key, sinter(key), sinter(["set", key]), sinter([key, "set"]), sinter(["missing", key]));
    assert!(matches!(stage.any().owned().sadd("hash", "m").await, Err(Error::WrongType { .. })));
}

async fn commands_for_hashes_refuse_other_types<B: Backend>() {
    let stage = furnished::<B>().await;
    refused!(
        stage,
        Type::Hash,
        key,
        hset(key, "f", "v"),
        hset_multiple(key, &[("f", "v"), ("g", "w")]),
        hget(key, "f")
    );
    refused!(stage, Type::Hash, key, hgetall(key), hexists(key, "f"), hdel(key, "f"), hlen(key));
    refused!(stage, Type::Hash, key, hincrby(key, "f", 1), hincrbyex(key, "f", 1, 100), hincrbyex(key, "f", 1, 0));
    assert!(matches!(stage.any().owned().hset("set", "f", "v").await, Err(Error::WrongType { .. })));
}

async fn commands_for_lists_refuse_other_types<B: Backend>() {
    let stage = furnished::<B>().await;
    refused!(stage, Type::List, key, rpush(key, "e"), lpush(key, "e"), rpop(key), lpop(key), llen(key));
    refused!(stage, Type::List, key, lrange(key, 0, -1), brpop(key, DEADLINE), blpop(["missing", key], DEADLINE));
}
