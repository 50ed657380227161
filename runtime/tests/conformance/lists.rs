//! `rpush`, `lpush`, `rpop`, `lpop`, `llen`, `lrange`.

use headcount::Presence;

use crate::backend::Backend;
use crate::stage::{Stage, some};

cases![
    a_list_grows_and_shrinks_at_both_ends,
    a_range_counts_from_either_end_and_is_cut_to_what_is_there,
    elements_are_any_bytes_and_may_be_equal,
    each_element_is_popped_once_whoever_pops,
];

async fn a_list_grows_and_shrinks_at_both_ends<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!((stage.any().llen("l").await, stage.any().lpop("l").await), (Ok(0), Ok(None)));
    assert_eq!(stage.any().rpop("l").await, Ok(None));
    assert_eq!(stage.any().rpush("l", ["c", "d"]).await, Ok(2));
    assert_eq!(stage.any().lpush("l", ["b", "a"]).await, Ok(4), "the last given is the first");
    assert_eq!(stage.any().rpush("l", "e").await, Ok(5));
    assert_eq!(stage.any().lrange("l", 0, -1).await.unwrap(), ["a", "b", "c", "d", "e"]);
    assert_eq!((stage.any().lpop("l").await, stage.any().rpop("l").await), (Ok(some("a")), Ok(some("e"))));
    assert_eq!(stage.any().llen("l").await, Ok(3));
    for expected in ["b", "c", "d"] {
        assert_eq!(stage.any().lpop("l").await, Ok(some(expected)));
    }
    assert_eq!((stage.any().lpop("l").await, stage.any().exists("l").await), (Ok(None), Ok(0)));
    assert_eq!(stage.any().hset("l", "f", "v").await, Ok(true), "the key is free for any type");
}

async fn a_range_counts_from_either_end_and_is_cut_to_what_is_there<B: Backend>() {
    let stage = Stage::<B>::start().await;
    stage.any().rpush("l", ["a", "b", "c"]).await.unwrap();
    for (start, stop, expected) in [
        (0, 0, "a"),
        (0, 1, "ab"),
        (1, -2, "b"),
        (-2, -1, "bc"),
        (-100, 100, "abc"),
        (2, 1, ""),
        (3, 5, ""),
        (-1, -2, ""),
        (0, -4, ""),
        (i64::MIN, i64::MAX, "abc"),
        (i64::MAX, i64::MAX, ""),
        (i64::MIN, i64::MIN, ""),
        (i64::MAX, i64::MIN, ""),
    ] {
        let range = stage.any().lrange("l", start, stop).await.unwrap();
        assert_eq!(range.concat(), expected.as_bytes(), "{start} {stop}");
    }
    assert_eq!(stage.any().lrange("missing", 0, -1).await, Ok(vec![]));
}

async fn elements_are_any_bytes_and_may_be_equal<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let elements = [&b""[..], b"\0\xff", b"same", b"same", b""];
    assert_eq!(stage.any().rpush(b"\xff", elements).await, Ok(5));
    assert_eq!(stage.any().lrange(b"\xff", 0, -1).await.unwrap(), elements);
    for element in elements {
        assert_eq!(stage.any().lpop(b"\xff").await.unwrap().unwrap(), element);
    }
}

async fn each_element_is_popped_once_whoever_pops<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let jobs: Vec<String> = (0..100).map(|job| format!("{job:02}")).collect();
    stage.any().rpush("jobs", &jobs).await.unwrap();
    let taking = [stage.any(), stage.any(), stage.any()].map(|presence| {
        tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let (Ok(first), Ok(last)) = (presence.lpop("jobs").await, presence.rpop("jobs").await) else {
                    panic!()
                };
                if first.is_none() && last.is_none() {
                    return taken;
                }
                taken.extend([first, last].into_iter().flatten());
            }
        })
    });
    let mut taken = Vec::new();
    for taker in taking {
        taken.extend(taker.await.unwrap());
    }
    taken.sort();
    assert_eq!(taken, jobs);
}
