//! Commands as words, as the console and other doors have them: the same replies over every backend.

use bytes::Bytes;
use headcount::{Command, Error, Reply};

use crate::backend::Backend;
use crate::stage::Stage;

cases![words_answer_in_the_shapes_of_redis, what_makes_no_command_is_refused];

fn words(line: &str) -> Vec<Bytes> {
    line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
}

fn bulk(text: &'static str) -> Reply {
    Reply::Bulk(text.into())
}

fn array<const N: usize>(texts: [&'static str; N]) -> Reply {
    Reply::Array(texts.map(Bytes::from).to_vec().into())
}

async fn words_answer_in_the_shapes_of_redis<B: Backend>() {
    let stage = Stage::<B>::start().await;
    for (line, reply) in [
        ("SET k v", Reply::Ok),
        ("get k", bulk("v")),
        ("GET missing", Reply::Nil),
        ("TTL missing", Reply::Integer(-2)),
        ("TTL k", Reply::Integer(-1)),
        ("EXPIRE k 100", Reply::Integer(1)),
        ("TTL k", Reply::Integer(100)),
        ("PERSIST k", Reply::Integer(1)),
        ("SET k w NX", Reply::Nil),
        ("SET lock me EX 100 NX", Reply::Ok),
        ("SETNX lock you", Reply::Integer(0)),
        ("GETSET k x", bulk("v")),
        ("SETEX k 100 y", Reply::Ok),
        ("EXISTS k k missing", Reply::Integer(2)),
        ("DEL k lock", Reply::Integer(2)),
        ("SADD s a", Reply::Integer(1)),
        ("SMEMBERS s", array(["a"])),
        ("SISMEMBER s a", Reply::Integer(1)),
        ("SCARD s", Reply::Integer(1)),
        ("SINTER s s", array(["a"])),
        ("SREM s a b", Reply::Integer(1)),
        ("SMEMBERS s", array([])),
        ("HSET h f 1 g 2", Reply::Integer(2)),
        ("HINCRBY h f 4", Reply::Integer(5)),
        ("HINCRBYEX h f 1 100", Reply::Integer(6)),
        ("HGET h f", bulk("6")),
        ("HDEL h g", Reply::Integer(1)),
        ("HGETALL h", Reply::Map(vec![("f".into(), "6".into())])),
        ("HEXISTS h g", Reply::Integer(0)),
        ("HLEN h", Reply::Integer(1)),
        ("INCR n", Reply::Integer(1)),
        ("INCRBY n 9", Reply::Integer(10)),
        ("DECRBY n 4", Reply::Integer(6)),
        ("DECR n", Reply::Integer(5)),
        ("RPUSH l a b", Reply::Integer(2)),
        ("LPUSH l c", Reply::Integer(3)),
        ("LLEN l", Reply::Integer(3)),
        ("LRANGE l 0 -1", array(["c", "a", "b"])),
        ("BLPOP none l 1", array(["l", "c"])),
        ("RPOP l", bulk("b")),
        ("LPOP l", bulk("a")),
        ("LPOP l", Reply::Nil),
        ("PUBLISH t m", Reply::Integer(0)),
        ("PUBSUB CHANNELS", array([])),
    ] {
        let command = Command::parse(&words(line)).unwrap();
        assert_eq!(command.execute(&stage.any()).await, Ok(reply), "{line}");
    }
}

async fn what_makes_no_command_is_refused<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let arity = |command: &str| Error::WrongArity { command: command.into() };
    for (line, error) in [
        ("GET", arity("get")),
        ("HSET h f", arity("hset")),
        ("SADDLE s a", Error::UnknownCommand { command: "saddle".into() }),
        ("SET k v XX", Error::Syntax),
        ("INCRBY n one", Error::NotAnInteger),
        ("DECRBY n -9223372036854775808", Error::Overflow),
        ("BRPOP l never", Error::BadTimeout),
        ("SET k v EX 0", Error::InvalidExpiry { command: "setex" }),
    ] {
        let outcome = match Command::parse(&words(line)) {
            Ok(command) => command.execute(&stage.any()).await,
            Err(error) => Err(error),
        };
        assert_eq!(outcome, Err(error), "{line}");
    }
}
