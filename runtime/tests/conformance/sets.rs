//! `sadd`, `srem`, `smembers`, `sismember`, `scard`, `sinter`.

use headcount::Presence;

use crate::backend::Backend;
use crate::stage::{Stage, sorted};

cases![
    additions_and_removals_count_what_they_change,
    a_set_has_each_member_once_and_goes_with_the_last,
    an_intersection_has_what_all_have_and_a_missing_set_empties_it,
    members_are_any_bytes,
    a_large_set_is_whole,
];

async fn additions_and_removals_count_what_they_change<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().srem("s", "a").await, Ok(0));
    assert_eq!(stage.any().sadd("s", ["a", "b", "a"]).await, Ok(2));
    assert_eq!(stage.any().sadd("s", "c").await, Ok(1));
    assert_eq!(stage.any().sadd("s", ["a", "b", "d"]).await, Ok(1));
    assert_eq!(stage.any().sadd("s", "a").await, Ok(0));
    assert_eq!(stage.any().scard("s").await, Ok(4));
    assert_eq!(stage.any().srem("s", ["a", "x", "a"]).await, Ok(1));
    assert_eq!(stage.any().srem("s", "a").await, Ok(0));
    assert_eq!(sorted(stage.any().smembers("s").await.unwrap()), ["b", "c", "d"]);
    assert_eq!((stage.any().sismember("s", "b").await, stage.any().sismember("s", "a").await), (Ok(true), Ok(false)));
}

async fn a_set_has_each_member_once_and_goes_with_the_last<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().smembers("s").await.unwrap().len(), 0);
    assert_eq!((stage.any().scard("s").await, stage.any().sismember("s", "a").await), (Ok(0), Ok(false)));
    for _ in 0..5 {
        stage.any().sadd("s", ["a", "b"]).await.unwrap();
    }
    assert_eq!(sorted(stage.any().smembers("s").await.unwrap()), ["a", "b"]);
    assert_eq!(stage.any().srem("s", ["a", "b"]).await, Ok(2));
    assert_eq!(stage.any().exists("s").await, Ok(0));
    assert_eq!(stage.any().rpush("s", "now a list").await, Ok(1), "the key is free for any type");
}

async fn an_intersection_has_what_all_have_and_a_missing_set_empties_it<B: Backend>() {
    let stage = Stage::<B>::start().await;
    stage.any().sadd("s", ["1", "2", "3", "4"]).await.unwrap();
    stage.any().sadd("t", ["2", "3", "4", "5"]).await.unwrap();
    stage.any().sadd("u", ["4", "3", "6"]).await.unwrap();
    assert_eq!(sorted(stage.any().sinter(["s", "t", "u"]).await.unwrap()), ["3", "4"]);
    assert_eq!(sorted(stage.any().sinter("t").await.unwrap()), ["2", "3", "4", "5"]);
    assert_eq!(sorted(stage.any().sinter(["u", "u"]).await.unwrap()), ["3", "4", "6"]);
    assert_eq!(stage.any().sinter(["s", "missing", "u"]).await, Ok(vec![]));
    assert_eq!(stage.any().sinter("missing").await, Ok(vec![]));
}

async fn members_are_any_bytes<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let members = [&b""[..], b"\0", b"\0\0", b"\xff", b"\r\n", b"1", b"01"];
    assert_eq!(stage.any().sadd(b"\0\xff", members).await, Ok(members.len()));
    assert_eq!(sorted(stage.any().smembers(b"\0\xff").await.unwrap()), sorted(members));
    for member in members {
        assert_eq!(stage.any().sismember(b"\0\xff", member).await, Ok(true));
        assert_eq!(stage.any().srem(b"\0\xff", member).await, Ok(1));
        assert_eq!(stage.any().sismember(b"\0\xff", member).await, Ok(false));
    }
}

async fn a_large_set_is_whole<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let members: Vec<String> = (0..10_000).map(|n| format!("{n:05}")).collect();
    assert_eq!(stage.any().sadd("s", &members).await, Ok(10_000));
    assert_eq!(stage.any().scard("s").await, Ok(10_000));
    assert_eq!(sorted(stage.any().smembers("s").await.unwrap()), members);
    assert_eq!(stage.any().srem("s", &members[..9_999]).await, Ok(9_999));
    assert_eq!(stage.any().smembers("s").await.unwrap(), ["09999"]);
}
