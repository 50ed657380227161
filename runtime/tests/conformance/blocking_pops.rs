//! `brpop`, `blpop`.

use std::time::Duration;

use headcount::{Error, Presence, Type};

use crate::backend::Backend;
use crate::differs::Waits;
use crate::stage::{DEADLINE, Stage, until};

cases![
    the_first_key_that_has_an_element_gives_it,
    a_wait_that_is_over_answers_nothing,
    who_waits_gets_what_is_pushed_later,
    of_those_who_wait_each_gets_one,
    a_wait_that_is_given_up_takes_nothing,
];

/// So that a wait in vain is a short one.
const SHORT: Duration = Duration::from_millis(30);

async fn the_first_key_that_has_an_element_gives_it<B: Backend>() {
    let stage = Stage::<B>::start().await;
    stage.any().rpush("second", ["a", "b", "c"]).await.unwrap();
    stage.any().rpush(b"\xff\0", [&b""[..], b"\0"]).await.unwrap();
    let popped = |key: &'static [u8], element: &'static [u8]| Ok(Some((key.into(), element.into())));
    assert_eq!(stage.any().brpop(["first", "second"], DEADLINE).await, popped(b"second", b"c"));
    assert_eq!(stage.any().blpop([&b"first"[..], b"second", b"\xff\0"], DEADLINE).await, popped(b"second", b"a"));
    assert_eq!(stage.any().blpop([&b"\xff\0"[..], b"second"], DEADLINE).await, popped(b"\xff\0", b""));
    assert_eq!(stage.any().brpop(["second", "second"], Duration::ZERO).await, popped(b"second", b"b"));
    assert_eq!(stage.any().blpop(b"\xff\0", SHORT).await, popped(b"\xff\0", b"\0"));
    stage.everywhere("the lists are gone", async |node| node.exists([&b"second"[..], b"\xff\0"]).await == Ok(0)).await;
}

async fn a_wait_that_is_over_answers_nothing<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().brpop(["x", "y"], SHORT).await, Ok(None));
    assert_eq!(
        stage.any().blpop("x", Duration::from_nanos(1)).await,
        Ok(None),
        "less than a clock can tell is not for ever"
    );
    stage.any().rpush("x", "later").await.unwrap();
    assert_eq!(stage.any().llen("x").await, Ok(1), "nobody waits any more");
    assert_eq!(
        stage.any().blpop(Vec::<String>::new(), SHORT).await,
        Err(Error::WrongArity { command: "blpop".into() })
    );
    assert_eq!(
        stage.any().brpop(Vec::<String>::new(), SHORT).await,
        Err(Error::WrongArity { command: "brpop".into() })
    );
    stage.any().set("string", "v").await.unwrap();
    let wrong = Error::WrongType { key: "string".into(), found: Type::String, needed: Type::List };
    assert_eq!(stage.any().blpop(["y", "string"], DEADLINE).await, Err(wrong.clone()));
    assert_eq!(stage.any().brpop(["string", "x"], DEADLINE).await, Err(wrong));
}

async fn who_waits_gets_what_is_pushed_later<B: Backend>() {
    let stage = Stage::<B>::start().await;
    for (round, timeout) in [Duration::ZERO, DEADLINE].into_iter().enumerate() {
        let waiting = [stage.any(), stage.any()]
            .map(|presence| tokio::spawn(async move { presence.brpop(["first", "second"], timeout).await }));
        // Whether they wait already or come to it later: both get one.
        stage.any().lpush("second", "a").await.unwrap();
        stage.any().rpush("first", "b").await.unwrap();
        let mut got = Vec::new();
        for waiting in waiting {
            got.push(waiting.await.unwrap().unwrap().expect("an element"));
        }
        got.sort();
        assert_eq!(got, [("first".into(), "b".into()), ("second".into(), "a".into())], "round {round}");
    }
}

async fn of_those_who_wait_each_gets_one<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let presence = stage.any();
            tokio::spawn(async move { presence.blpop("jobs", DEADLINE).await.unwrap().expect("a job").1 })
        })
        .collect();
    let jobs: Vec<String> = (0..8).map(|job| job.to_string()).collect();
    for job in &jobs[..4] {
        stage.any().rpush("jobs", job).await.unwrap();
    }
    stage.any().rpush("jobs", &jobs[4..]).await.unwrap();
    let mut got = Vec::new();
    for waiting in waiting {
        got.push(waiting.await.unwrap());
    }
    got.sort();
    assert_eq!(got, jobs);
    stage.everywhere("none is left", async |node| node.exists("jobs").await == Ok(0)).await;
}

async fn a_wait_that_is_given_up_takes_nothing<B: Backend>() {
    let stage = Stage::<B>::start().await;
    for round in 0..5 {
        let given_up = tokio::time::timeout(Duration::from_millis(5), stage.any().blpop("jobs", Duration::ZERO)).await;
        assert!(given_up.is_err());
        stage.any().rpush("jobs", "one").await.unwrap();
        let popped = stage.any().blpop("jobs", DEADLINE).await.unwrap();
        assert_eq!(popped, Some(("jobs".into(), "one".into())), "round {round}");
    }
    let empty = async || stage.any().llen("jobs").await == Ok(0);
    match B::DIFFERS.waits {
        Waits::InPlace | Waits::OnConnections => assert!(empty().await),
        // A blocked pop does not wait until all nodes have heard of it.
        Waits::AtHomes => until("the list is empty", empty).await,
    }
}
