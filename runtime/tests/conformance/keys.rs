//! `exists`, `del`, `expire`, `persist`, `ttl`, and what an expiry means for all other commands.

use std::time::Duration;

use headcount::{Error, Presence, Ttl};

use crate::backend::Backend;
use crate::differs::Writes;
use crate::stage::{Stage, some};

cases![
    keys_are_counted_as_often_as_they_are_named,
    an_expiry_is_given_told_and_taken_away,
    a_life_that_is_over_or_beyond_all_clocks_is_no_expiry,
    what_has_expired_is_missing_everywhere_whatever_it_was,
    what_is_written_after_an_expiry_lives,
    a_deadline_ends_with_its_key,
    what_nodes_write_at_once_ends_the_same_on_all,
];

async fn keys_are_counted_as_often_as_they_are_named<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().exists(["a", "b"]).await, Ok(0));
    stage.any().set("a", "").await.unwrap();
    stage.any().sadd(b"\xff\0", "m").await.unwrap();
    stage.any().rpush("", "e").await.unwrap();
    assert_eq!(stage.any().exists([&b"a"[..], b"a", b"\xff\0", b"", b"missing"]).await, Ok(4));
    assert_eq!(stage.any().del(["missing", "nor this"]).await, Ok(0));
    assert_eq!(stage.any().del([&b"a"[..], b"a", b"\xff\0"]).await, Ok(2), "the second time it is not there");
    assert_eq!(stage.any().exists([&b"a"[..], b"\xff\0", b""]).await, Ok(1));
    assert_eq!(stage.any().del("").await, Ok(1));
}

async fn an_expiry_is_given_told_and_taken_away<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let within = |ttl, most: u64| {
        let Ok(Ttl::Remaining(left)) = ttl else { panic!("{ttl:?}") };
        assert!(left <= Duration::from_secs(most) && left > Duration::from_secs(most - 50), "{left:?}");
    };
    assert_eq!(stage.any().ttl("k").await, Ok(Ttl::Missing));
    assert_eq!((stage.any().expire("k", 100).await, stage.any().persist("k").await), (Ok(false), Ok(false)));
    stage.any().set("string", "v").await.unwrap();
    stage.any().sadd("set", "m").await.unwrap();
    stage.any().hset("hash", "f", "v").await.unwrap();
    stage.any().rpush("list", "e").await.unwrap();
    stage.any().incr("counter").await.unwrap();
    for key in ["string", "set", "hash", "list", "counter"] {
        assert_eq!(stage.any().ttl(key).await, Ok(Ttl::Never));
        assert_eq!(stage.any().persist(key).await, Ok(false));
        assert_eq!(stage.any().expire(key, 1_000).await, Ok(true));
        within(stage.any().ttl(key).await, 1_000);
        assert_eq!(stage.any().expire(key, 100).await, Ok(true), "it may come sooner too");
        within(stage.any().ttl(key).await, 100);
        assert_eq!(stage.any().persist(key).await, Ok(true));
        assert_eq!((stage.any().persist(key).await, stage.any().ttl(key).await), (Ok(false), Ok(Ttl::Never)));
    }
    stage.any().setex("string", "w", 100).await.unwrap();
    within(stage.any().ttl("string").await, 100);
    assert_eq!(stage.any().hincrbyex("hash", "n", 2, 100).await, Ok(2));
    within(stage.any().ttl("hash").await, 100);
    stage.any().sadd("set", "n").await.unwrap();
    assert_eq!(stage.any().ttl("set").await, Ok(Ttl::Never));
    stage.any().expire("set", 100).await.unwrap();
    stage.any().sadd("set", "o").await.unwrap();
    within(stage.any().ttl("set").await, 100); // a write into it changes nothing of that
}

async fn a_life_that_is_over_or_beyond_all_clocks_is_no_expiry<B: Backend>() {
    let stage = Stage::<B>::start().await;
    for seconds in [0, -1, i64::MIN, i64::MAX] {
        let refused = Err(Error::InvalidExpiry { command: "setex" });
        assert_eq!(stage.any().setex("k", "v", seconds).await, refused, "{seconds}");
    }
    assert_eq!(stage.any().exists("k").await, Ok(0), "nothing was written");
    stage.any().set("k", "v").await.unwrap();
    for seconds in [i64::MAX, i64::MIN] {
        assert_eq!(stage.any().expire("k", seconds).await, Err(Error::InvalidExpiry { command: "expire" }));
        assert_eq!(stage.any().ttl("k").await, Ok(Ttl::Never));
    }
    for seconds in [0, -1] {
        stage.any().set("k", "v").await.unwrap();
        assert_eq!(stage.any().expire("k", seconds).await, Ok(true));
        assert_eq!(stage.any().expire("k", seconds).await, Ok(false), "it deleted the key");
        assert_eq!(stage.any().hincrbyex("h", "f", 1, seconds).await, Ok(1));
        assert_eq!(stage.any().exists("h").await, Ok(0));
    }
    for seconds in [i64::MAX, i64::MIN] {
        let refused = Err(Error::InvalidExpiry { command: "hincrbyex" });
        assert_eq!(stage.any().hincrbyex("h", "f", 1, seconds).await, refused);
        assert_eq!(stage.any().homed().hincrbyex("h", "f", 1, seconds).await, refused);
        assert_eq!(stage.any().exists("h").await, Ok(0));
    }
}

async fn what_has_expired_is_missing_everywhere_whatever_it_was<B: Backend>() {
    let stage = Stage::<B>::start().await;
    stage.any().setex("string", "v", 1).await.unwrap();
    stage.any().sadd("set", ["a", "b"]).await.unwrap();
    stage.any().hset("hash", "f", "v").await.unwrap();
    stage.any().rpush("list", "e").await.unwrap();
    for key in ["set", "hash", "list"] {
        stage.any().expire(key, 1).await.unwrap();
    }
    stage.any().hincrbyex("counted", "f", 1, 1).await.unwrap();
    stage.any().set_nx_ex("lock", "me", 1).await.unwrap();
    stage.any().compare_and_set_ex("cas", None, "me", 1).await.unwrap();
    let all = ["string", "set", "hash", "list", "counted", "lock", "cas"];
    stage.everywhere("all have expired", async |node| node.exists(all).await == Ok(0)).await;
    assert_eq!(stage.any().get("string").await, Ok(None));
    assert_eq!(stage.any().ttl("string").await, Ok(Ttl::Missing));
    assert_eq!((stage.any().expire("set", 5).await, stage.any().persist("set").await), (Ok(false), Ok(false)));
    assert_eq!(stage.any().smembers("set").await.unwrap().len(), 0);
    assert_eq!((stage.any().scard("set").await, stage.any().sismember("set", "a").await), (Ok(0), Ok(false)));
    assert_eq!((stage.any().sinter(["set", "set"]).await, stage.any().srem("set", "a").await), (Ok(vec![]), Ok(0)));
    assert_eq!((stage.any().hget("hash", "f").await, stage.any().hgetall("hash").await), (Ok(None), Ok(vec![])));
    assert_eq!((stage.any().hlen("hash").await, stage.any().hexists("hash", "f").await), (Ok(0), Ok(false)));
    assert_eq!((stage.any().hdel("hash", "f").await, stage.any().llen("list").await), (Ok(0), Ok(0)));
    assert_eq!((stage.any().lrange("list", 0, -1).await, stage.any().lpop("list").await), (Ok(vec![]), Ok(None)));
    assert_eq!((stage.any().rpop("list").await, stage.any().del(all).await), (Ok(None), Ok(0)));
    assert_eq!(stage.any().compare_and_set("cas", Some(b"me"), Some(b"still me")).await, Ok(false));
    assert_eq!(stage.any().set_nx("lock", "you").await, Ok(true));
}

async fn what_is_written_after_an_expiry_lives<B: Backend>() {
    let stage = Stage::<B>::start().await;
    stage.any().setex("n", "41", 1).await.unwrap();
    stage.any().setex("other type", "v", 1).await.unwrap();
    stage.any().rpush("list", "old").await.unwrap();
    stage.any().hset("hash", "old", "v").await.unwrap();
    for key in ["list", "hash"] {
        stage.any().expire(key, 1).await.unwrap();
    }
    let all = ["n", "other type", "list", "hash"];
    stage.everywhere("all have expired", async |node| node.exists(all).await == Ok(0)).await;
    assert_eq!(stage.any().incr("n").await, Ok(1), "it counts anew");
    assert_eq!(stage.any().sadd("other type", "m").await, Ok(1));
    assert_eq!(stage.any().lpush("list", "new").await, Ok(1));
    assert_eq!(stage.any().hset("hash", "new", "v").await, Ok(true));
    for key in all {
        assert_eq!(stage.any().ttl(key).await, Ok(Ttl::Never), "{key}");
    }
    assert_eq!(stage.any().lrange("list", 0, -1).await.unwrap(), ["new"]);
    assert_eq!(stage.any().hgetall("hash").await.unwrap(), [("new".into(), "v".into())]);
}

async fn a_deadline_ends_with_its_key<B: Backend>() {
    let stage = Stage::<B>::start().await;
    for round in 0..2 {
        assert_eq!(stage.any().ttl("set").await, Ok(Ttl::Missing), "round {round}");
        stage.any().sadd("set", "m").await.unwrap();
        assert_eq!(stage.any().ttl("set").await, Ok(Ttl::Never), "round {round}");
        stage.any().expire("set", 100).await.unwrap();
        stage.any().srem("set", "m").await.unwrap();
        stage.any().rpush("list", "e").await.unwrap();
        assert_eq!(stage.any().ttl("list").await, Ok(Ttl::Never), "round {round}");
        stage.any().expire("list", 100).await.unwrap();
        stage.any().lpop("list").await.unwrap();
        stage.any().hset("hash", "f", "v").await.unwrap();
        assert_eq!(stage.any().ttl("hash").await, Ok(Ttl::Never), "round {round}");
        stage.any().expire("hash", 100).await.unwrap();
        stage.any().hdel("hash", "f").await.unwrap();
    }
}

async fn what_nodes_write_at_once_ends_the_same_on_all<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let nodes = stage.backend.hasty();
    for round in 0..20 {
        for (n, node) in nodes.iter().enumerate() {
            node.set("k", format!("{round} by {n}")).await.unwrap();
            node.sadd("members", format!("{round} by {n}")).await.unwrap();
            node.rpush("list", format!("{round} by {n}")).await.unwrap();
        }
    }
    let elements = 20 * nodes.len();
    let whole = async |node: &B::Presence| {
        node.scard("members").await == Ok(elements) && node.llen("list").await == Ok(elements)
    };
    match B::DIFFERS.writes {
        Writes::InTurn => {
            for node in &nodes {
                assert!(whole(node).await, "at once");
            }
        }
        Writes::Merged => stage.everywhere("each has what the others wrote", whole).await,
    }
    let list = nodes[0].lrange("list", 0, -1).await.unwrap();
    let value = nodes[0].get("k").await.unwrap().unwrap();
    for node in &nodes {
        // All have all, so all see the same.
        assert_eq!(node.lrange("list", 0, -1).await.unwrap(), list);
        assert_eq!(node.get("k").await.unwrap().unwrap(), value);
    }
    stage.any().set("k", "after").await.unwrap();
    assert_eq!(stage.any().get("k").await, Ok(some("after")));
}
