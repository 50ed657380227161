//! `owned()`, `session()`, `acknowledged()`, and what is refused after leaving.

use std::time::Duration;

use headcount::{Ack, Error, Presence};

use crate::backend::Backend;
use crate::differs::{Acknowledges, Owned, OwnedElements};
use crate::stage::{DEADLINE, Stage, next, some, sorted};

cases![
    a_session_takes_its_rows_with_its_last_handle_and_leaves_those_of_others,
    what_a_node_owns_goes_when_it_leaves,
    what_a_node_owns_goes_when_it_dies,
    who_has_left_is_refused,
    what_must_be_answered_once_cannot_be_owned,
    an_element_is_owned_where_elements_can_be_told_apart,
    a_write_returns_when_those_have_it_who_were_asked_for,
];

async fn a_session_takes_its_rows_with_its_last_handle_and_leaves_those_of_others<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let (first, second) = (stage.any().session(), stage.any().session());
    first.sadd("lobby", ["alice", "both", "shared"]).await.unwrap();
    second.sadd("lobby", ["both", "bob"]).await.unwrap();
    stage.any().owned().sadd("lobby", "node's").await.unwrap();
    stage.any().sadd("lobby", "shared").await.unwrap();
    first.hset("at", "alice", "1").await.unwrap();
    first.hset("at", "taken over", "1").await.unwrap();
    stage.any().hset("at", "taken over", "2").await.unwrap();
    first.set("string", "v").await.unwrap();
    first.incrby("n", 5).await.unwrap();
    stage.any().incrby("n", 3).await.unwrap();
    first.hincrby("at", "n", 7).await.unwrap();
    assert_eq!(stage.any().scard("lobby").await, Ok(5), "others see them");
    let clone = first.clone();
    drop(first);
    assert_eq!(stage.any().get("string").await, Ok(some("v")), "there is another handle");
    drop(clone);
    stage
        .everywhere("the session has left", async |node| {
            node.exists("string").await == Ok(0)
                && node.hlen("at").await == Ok(1)
                && node.scard("lobby").await == Ok(4)
                && node.get("n").await == Ok(some("3"))
        })
        .await;
    assert_eq!(sorted(stage.any().smembers("lobby").await.unwrap()), ["bob", "both", "node's", "shared"]);
    assert_eq!(stage.any().hget("at", "taken over").await, Ok(some("2")), "who overwrites takes over");
    drop(second);
    let left = async |node: &B::Presence| sorted(node.smembers("lobby").await.unwrap()) == ["node's", "shared"];
    stage.everywhere("the other session has left", left).await;
}

/// Lets the last node own something, end, and the others see it go.
async fn what_it_owned_goes<B: Backend>(end: impl AsyncFn(&mut B)) {
    let mut stage = Stage::<B>::start().await;
    if B::DIFFERS.owned == Owned::Alone {
        return; // It ends with all that it has.
    }
    {
        let nodes = stage.backend.nodes();
        let (last, other) = (&nodes[2], &nodes[0]);
        last.owned().sadd("lobby", ["its own", "both"]).await.unwrap();
        other.owned().sadd("lobby", "both").await.unwrap();
        last.owned().hset("at", "f", "v").await.unwrap();
        last.owned().set("leader", "last").await.unwrap();
        last.owned().set("overwritten", "last").await.unwrap();
        other.set("overwritten", "other").await.unwrap();
        last.owned().incrby("players", 5).await.unwrap();
        other.owned().incrby("players", 3).await.unwrap();
        last.set("shared", "stays").await.unwrap();
    }
    end(&mut stage.backend).await;
    stage
        .everywhere("what it owned has gone", async |node| {
            node.exists(["at", "leader"]).await == Ok(0)
                && node.get("players").await == Ok(some("3"))
                && node.smembers("lobby").await.unwrap() == ["both"]
        })
        .await;
    assert_eq!(stage.any().get("overwritten").await, Ok(some("other")));
    assert_eq!(stage.any().get("shared").await, Ok(some("stays")));
}

async fn what_a_node_owns_goes_when_it_leaves<B: Backend>() {
    what_it_owned_goes(async |backend: &mut B| drop(backend.leave().await)).await;
}

async fn what_a_node_owns_goes_when_it_dies<B: Backend>() {
    what_it_owned_goes(async |backend: &mut B| backend.crash().await).await;
}

async fn who_has_left_is_refused<B: Backend>() {
    let mut stage = Stage::<B>::start().await;
    if B::DIFFERS.owned == Owned::Alone {
        return; // It does not leave.
    }
    let mut heard = stage.backend.nodes()[2].subscribe("t").await.unwrap();
    let left = stage.backend.leave().await;
    assert_eq!(next(&mut heard).await, None);
    assert_eq!(left.get("k").await, Err(Error::Closed));
    assert_eq!(left.set("k", "v").await, Err(Error::Closed));
    assert_eq!(left.owned().sadd("s", "a").await, Err(Error::Closed));
    assert_eq!(left.homed().incr("n").await, Err(Error::Closed));
    assert_eq!(left.lpop("l").await, Err(Error::Closed));
    assert_eq!(left.blpop("l", DEADLINE).await, Err(Error::Closed));
    assert_eq!(left.publish("t", "m").await, Err(Error::Closed));
    assert_eq!(left.channels(None).await, Err(Error::Closed));
    assert!(matches!(left.subscribe("t").await, Err(Error::Closed)));
    assert_eq!(stage.any().exists(["k", "s", "n"]).await, Ok(0));
}

async fn what_must_be_answered_once_cannot_be_owned<B: Backend>() {
    let stage = Stage::<B>::start().await;
    for handle in [stage.any().owned(), stage.any().session()] {
        assert_eq!(handle.set_nx("k", "v").await, Err(Error::HomedOwned));
        assert_eq!(handle.set_nx_ex("k", "v", 100).await, Err(Error::HomedOwned));
        assert_eq!(handle.getset("k", "v").await, Err(Error::HomedOwned));
        assert_eq!(handle.compare_and_set("k", None, Some(b"v")).await, Err(Error::HomedOwned));
        assert_eq!(handle.compare_and_set_ex("k", None, "v", 100).await, Err(Error::HomedOwned));
    }
    assert_eq!(stage.any().exists("k").await, Ok(0));
}

async fn an_element_is_owned_where_elements_can_be_told_apart<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let session = stage.any().session();
    match B::DIFFERS.owned_elements {
        OwnedElements::Yes => {
            assert_eq!(session.rpush("l", ["own", "same"]).await, Ok(2));
            assert_eq!(stage.any().lpush("l", "same").await, Ok(3));
            drop(session);
            let left = async |node: &B::Presence| node.lrange("l", 0, -1).await.unwrap() == ["same"];
            stage.everywhere("the session's elements have gone", left).await;
        }
        OwnedElements::Refused => {
            assert!(matches!(session.rpush("l", "own").await, Err(Error::Backend { .. })));
            assert!(matches!(stage.any().owned().lpush("l", "own").await, Err(Error::Backend { .. })));
            assert_eq!(stage.any().exists("l").await, Ok(0));
        }
    }
}

async fn a_write_returns_when_those_have_it_who_were_asked_for<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let asked = |ack| stage.any().acknowledged(ack, DEADLINE);
    assert_eq!(asked(Ack::Local).incr("n").await, Ok(1));
    let peers = stage.backend.nodes().len() - 1;
    match B::DIFFERS.acknowledges {
        Acknowledges::Nobody | Acknowledges::Peers => {
            stage.everywhere("all have it", async |node| node.get("n").await == Ok(some("1"))).await;
            for (n, ack) in [Ack::Peers(peers), Ack::Majority, Ack::All].into_iter().enumerate() {
                assert_eq!(asked(ack).incr("n").await.map(|sum| sum > 1), Ok(true), "{ack:?}");
                assert_eq!(asked(ack).sadd("s", n.to_string()).await, Ok(1), "{ack:?}");
            }
            let too_many = Error::TooFewPeers { wanted: peers + 1, known: peers };
            assert_eq!(asked(Ack::Peers(peers + 1)).set("k", "v").await, Err(too_many.clone()));
            assert_eq!(asked(Ack::Peers(peers + 1)).set_nx("k", "v").await, Err(too_many));
        }
        Acknowledges::OnlyItself => {
            for ack in [Ack::Peers(1), Ack::Majority, Ack::All] {
                let presence = stage.any().acknowledged(ack, Duration::from_millis(1));
                assert!(matches!(presence.set("k", "v").await, Err(Error::Backend { .. })), "{ack:?}");
                assert!(matches!(presence.set_nx("k", "v").await, Err(Error::Backend { .. })), "{ack:?}");
            }
        }
    }
    assert_eq!(stage.any().exists("k").await, Ok(0), "what cannot be promised is not written");
}
