//! `hset`, `hset_multiple`, `hget`, `hgetall`, `hexists`, `hdel`, `hlen`.

use headcount::Presence;

use crate::backend::Backend;
use crate::stage::{Stage, some, sorted};

cases![
    a_field_is_what_was_set_last,
    of_a_field_that_is_given_twice_the_last_value_stays,
    a_hash_goes_with_its_last_field,
    fields_and_values_are_any_bytes,
];

async fn a_field_is_what_was_set_last<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!((stage.any().hget("h", "f").await, stage.any().hexists("h", "f").await), (Ok(None), Ok(false)));
    assert_eq!(stage.any().hset("h", "f", "1").await, Ok(true));
    assert_eq!(stage.any().hset("h", "f", "2").await, Ok(false));
    assert_eq!(stage.any().hset("h", "g", "").await, Ok(true));
    assert_eq!((stage.any().hget("h", "f").await, stage.any().hget("h", "g").await), (Ok(some("2")), Ok(some(""))));
    assert_eq!((stage.any().hexists("h", "g").await, stage.any().hexists("h", "x").await), (Ok(true), Ok(false)));
    assert_eq!((stage.any().hlen("h").await, stage.any().hget("h", "x").await), (Ok(2), Ok(None)));
    let all = sorted(stage.any().hgetall("h").await.unwrap());
    assert_eq!(all, [("f".into(), "2".into()), ("g".into(), "".into())]);
}

async fn of_a_field_that_is_given_twice_the_last_value_stays<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().hset_multiple("twice", &[("f", "1"), ("f", "2")]).await, Ok(1));
    assert_eq!(stage.any().hgetall("twice").await.unwrap(), [("f".into(), "2".into())]);
    assert_eq!(stage.any().hset_multiple("h", &[("f", "1"), ("g", "2"), ("f", "3")]).await, Ok(2));
    assert_eq!(stage.any().hset_multiple("h", &[("f", "4"), ("i", "5")]).await, Ok(1));
    assert_eq!(stage.any().hset_multiple("h", &[("f", "6")]).await, Ok(0));
    let all = sorted(stage.any().hgetall("h").await.unwrap());
    assert_eq!(all, [("f".into(), "6".into()), ("g".into(), "2".into()), ("i".into(), "5".into())]);
}

async fn a_hash_goes_with_its_last_field<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!((stage.any().hlen("h").await, stage.any().hgetall("h").await), (Ok(0), Ok(vec![])));
    assert_eq!(stage.any().hdel("h", "f").await, Ok(0));
    stage.any().hset_multiple("h", &[("f", "1"), ("g", "2"), ("i", "3")]).await.unwrap();
    assert_eq!(stage.any().hdel("h", ["f", "f", "x"]).await, Ok(1));
    assert_eq!(stage.any().hlen("h").await, Ok(2));
    assert_eq!(stage.any().hdel("h", ["g", "i"]).await, Ok(2));
    assert_eq!(stage.any().exists("h").await, Ok(0));
    assert_eq!(stage.any().sadd("h", "now a set").await, Ok(1), "the key is free for any type");
}

async fn fields_and_values_are_any_bytes<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let fields = [&b""[..], b"\0", b"\xff\xfe", b"a:b", b"\r\n"];
    for field in fields {
        assert_eq!(stage.any().hset(b"", field, field).await, Ok(true));
    }
    for field in fields {
        assert_eq!(stage.any().hget(b"", field).await.unwrap().unwrap(), field);
    }
    assert_eq!(stage.any().hdel(b"", fields).await, Ok(fields.len()));
}
