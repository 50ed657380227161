//! `incr`, `decr`, `incrby`, `hincrby`, `hincrbyex`, and counting through `homed()`.

use std::collections::BTreeSet;

use headcount::{Error, Presence};

use crate::backend::Backend;
use crate::differs::{Counts, Homed};
use crate::stage::{Stage, some};

cases![
    counting_answers_the_sum,
    a_field_is_counted_as_a_key_is,
    what_is_no_integer_is_not_counted,
    a_sum_that_does_not_fit_is_refused_and_changes_nothing,
    all_that_is_counted_at_once_counts,
    counting_through_homed_gives_no_number_twice,
];

async fn counting_answers_the_sum<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().incr("n").await, Ok(1));
    assert_eq!(stage.any().incrby("n", 41).await, Ok(42));
    assert_eq!(stage.any().decr("n").await, Ok(41));
    assert_eq!(stage.any().incrby("n", -100).await, Ok(-59));
    assert_eq!(stage.any().incrby("n", 0).await, Ok(-59));
    assert_eq!(stage.any().get("n").await, Ok(some("-59")));
    assert_eq!(stage.any().incrby("zero", 0).await, Ok(0));
    assert_eq!(stage.any().get("zero").await, Ok(some("0")), "it is there now");
    stage.any().set("text", "-7").await.unwrap();
    assert_eq!(stage.any().decr("text").await, Ok(-8));
    stage.any().del("n").await.unwrap();
    assert_eq!(stage.any().decr("n").await, Ok(-1));
    stage.any().set("n", "5").await.unwrap();
    assert_eq!(stage.any().incr("n").await, Ok(6));
}

async fn a_field_is_counted_as_a_key_is<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().hincrby("h", "f", 3).await, Ok(3));
    assert_eq!(stage.any().hincrby("h", "f", -5).await, Ok(-2));
    assert_eq!(stage.any().hincrbyex("h", "g", 7, 100).await, Ok(7));
    assert_eq!(stage.any().hincrbyex("h", "g", 1, 100).await, Ok(8));
    stage.any().hset("h", "text", "10").await.unwrap();
    assert_eq!(stage.any().hincrby("h", "text", -1).await, Ok(9));
    assert_eq!(stage.any().hget("h", "text").await, Ok(some("9")));
    assert_eq!(stage.any().hincrby("h", b"\xff\0", 1).await, Ok(1));
    assert_eq!(stage.any().hlen("h").await, Ok(4));
    assert_eq!(stage.any().hdel("h", "f").await, Ok(1));
    assert_eq!(stage.any().hincrby("h", "f", 1).await, Ok(1), "it counts anew");
}

async fn what_is_no_integer_is_not_counted<B: Backend>() {
    let stage = Stage::<B>::start().await;
    for text in ["", " 1", "1 ", "+1", "01", "1.0", "x", "0x1", "-", "9223372036854775808", "-9223372036854775809"] {
        stage.any().set("n", text).await.unwrap();
        stage.any().hset("h", "f", text).await.unwrap();
        assert_eq!(stage.any().incr("n").await, Err(Error::NotAnInteger), "{text:?}");
        assert_eq!(stage.any().homed().incrby("n", 1).await, Err(Error::NotAnInteger), "{text:?}");
        assert_eq!(stage.any().hincrby("h", "f", 1).await, Err(Error::HashValueNotAnInteger), "{text:?}");
        assert_eq!(stage.any().hincrbyex("h", "f", 1, 100).await, Err(Error::HashValueNotAnInteger), "{text:?}");
        assert_eq!(stage.any().get("n").await.unwrap().unwrap(), text);
        assert_eq!(stage.any().hget("h", "f").await.unwrap().unwrap(), text);
    }
}

async fn a_sum_that_does_not_fit_is_refused_and_changes_nothing<B: Backend>() {
    let stage = Stage::<B>::start().await;
    for (start, over, back) in [(i64::MAX, 1, i64::MIN + 1), (i64::MIN, -1, i64::MAX)] {
        stage.any().set("n", start.to_string()).await.unwrap();
        stage.any().hset("h", "f", start.to_string()).await.unwrap();
        for by in [over, start] {
            assert_eq!(stage.any().incrby("n", by).await, Err(Error::Overflow), "{start} {by}");
            assert_eq!(stage.any().homed().incrby("n", by).await, Err(Error::Overflow), "{start} {by}");
            assert_eq!(stage.any().hincrby("h", "f", by).await, Err(Error::Overflow), "{start} {by}");
            assert_eq!(stage.any().hincrbyex("h", "f", by, 9).await, Err(Error::Overflow), "{start} {by}");
        }
        assert_eq!(stage.any().get("n").await.unwrap().unwrap(), start.to_string());
        assert_eq!(stage.any().incrby("n", back).await, Ok(start + back));
        assert_eq!(stage.any().hincrby("h", "f", back).await, Ok(start + back));
    }
    assert_eq!(stage.any().incrby("counted", i64::MAX).await, Ok(i64::MAX));
    assert_eq!(stage.any().incr("counted").await, Err(Error::Overflow));
    assert_eq!(stage.any().decr("counted").await, Ok(i64::MAX - 1));
}

const EACH: i64 = 40;

/// Lets each of these count at once, and gives all their answers.
async fn count_at_once<P: Presence>(counting: impl IntoIterator<Item = P>) -> Vec<i64> {
    let counting = counting.into_iter().map(|presence| {
        tokio::spawn(async move {
            let mut sums = Vec::new();
            for _ in 0..EACH {
                sums.push(presence.incr("n").await.unwrap());
                presence.hincrby("h", "f", 2).await.unwrap();
            }
            sums
        })
    });
    let mut all = Vec::new();
    for counted in counting.collect::<Vec<_>>() {
        all.extend(counted.await.unwrap());
    }
    all
}

async fn all_that_is_counted_at_once_counts<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let sums = count_at_once(stage.backend.nodes()).await;
    let total = EACH * stage.backend.nodes().len() as i64;
    let (n, twice) = (total.to_string(), (2 * total).to_string());
    stage
        .everywhere("all counts", async |node| {
            node.get("n").await.unwrap().unwrap() == n && node.hget("h", "f").await.unwrap().unwrap() == twice
        })
        .await;
    match B::DIFFERS.counts {
        Counts::Unique => assert_eq!(sums.into_iter().collect::<BTreeSet<_>>(), (1..=total).collect()),
        Counts::AsSeen => assert!(sums.iter().all(|sum| (1..=total).contains(sum))),
    }
}

async fn counting_through_homed_gives_no_number_twice<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let sums = count_at_once(stage.backend.nodes().iter().map(Presence::homed)).await;
    let total = sums.len() as i64;
    assert_eq!(sums.into_iter().collect::<BTreeSet<_>>(), (1..=total).collect());
    let before = stage.any().homed().incr("n").await.unwrap();
    assert_eq!(before, total + 1);
    let own = stage.any().owned().homed();
    match B::DIFFERS.homed {
        Homed::Counts => assert_eq!(own.incr("n").await, Err(Error::HomedOwned), "at the home it could not be told"),
        Homed::Nothing | Homed::NothingAsRedisIsOne => {}
    }
    assert_eq!(stage.any().homed().hincrbyex("x", "f", 2, 100).await, Ok(2));
    assert_eq!(stage.any().homed().decr("n").await.unwrap(), stage.any().incrby("n", 0).await.unwrap());
}
