//! `set`, `setex`, `get`, and what is answered once: `set_nx`, `set_nx_ex`, `getset`, `compare_and_set`, `compare_and_set_ex`.

use headcount::{Error, Presence, Ttl};

use crate::backend::Backend;
use crate::stage::{Stage, some};

cases![
    a_string_is_what_was_set_last,
    a_set_replaces_any_type_and_ends_an_expiry,
    set_nx_sets_only_what_is_missing,
    getset_answers_what_was_there,
    compare_and_set_sets_and_removes_only_what_is_as_expected,
    a_lock_is_kept_by_who_holds_it,
    of_all_who_want_a_lock_at_once_one_gets_it,
];

async fn a_string_is_what_was_set_last<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().get("k").await, Ok(None));
    for value in [&b"v"[..], b"", b"\xff\0\r\n", b"last"] {
        assert_eq!(stage.any().set("k", value).await, Ok(()));
        assert_eq!(stage.any().get("k").await.unwrap().unwrap(), value);
    }
    for key in [&b""[..], b"\0", b"\xff\xfe", b"with space", "\u{e4}".as_bytes()] {
        assert_eq!(stage.any().set(key, key).await, Ok(()));
    }
    for key in [&b""[..], b"\0", b"\xff\xfe", b"with space", "\u{e4}".as_bytes()] {
        assert_eq!(stage.any().get(key).await.unwrap().unwrap(), key);
    }
    assert_eq!(stage.any().setex("k", "short", 100).await, Ok(()));
    assert_eq!(stage.any().get("k").await, Ok(some("short")));
}

async fn a_set_replaces_any_type_and_ends_an_expiry<B: Backend>() {
    let stage = Stage::<B>::start().await;
    stage.any().sadd("set", "a").await.unwrap();
    stage.any().hset("hash", "f", "v").await.unwrap();
    stage.any().rpush("list", "e").await.unwrap();
    stage.any().setex("string", "v", 100).await.unwrap();
    for key in ["set", "hash", "list", "string"] {
        assert_eq!(stage.any().set(key, "new").await, Ok(()));
        assert_eq!(stage.any().get(key).await, Ok(some("new")));
        assert_eq!(stage.any().ttl(key).await, Ok(Ttl::Never));
    }
    stage.any().sadd("other", "a").await.unwrap();
    assert_eq!(stage.any().setex("other", "new", 100).await, Ok(()));
    assert!(matches!(stage.any().ttl("other").await, Ok(Ttl::Remaining(_))));
}

async fn set_nx_sets_only_what_is_missing<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().set_nx("k", "first").await, Ok(true));
    assert_eq!(stage.any().set_nx("k", "second").await, Ok(false));
    assert_eq!(stage.any().set_nx_ex("k", "third", 100).await, Ok(false));
    assert_eq!((stage.any().get("k").await, stage.any().ttl("k").await), (Ok(some("first")), Ok(Ttl::Never)));
    stage.any().sadd("set", "a").await.unwrap();
    assert_eq!(stage.any().set_nx("set", "v").await, Ok(false), "any type is there");
    stage.any().del("k").await.unwrap();
    assert_eq!(stage.any().set_nx_ex("k", "", 100).await, Ok(true));
    assert_eq!(stage.any().get("k").await, Ok(some("")));
    assert!(matches!(stage.any().ttl("k").await, Ok(Ttl::Remaining(_))));
    for seconds in [0, -1, i64::MIN, i64::MAX] {
        let refused = Err(Error::InvalidExpiry { command: "set" });
        assert_eq!(stage.any().set_nx_ex("never", "v", seconds).await, refused, "{seconds}");
    }
    assert_eq!(stage.any().exists("never").await, Ok(0));
}

async fn getset_answers_what_was_there<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().getset("k", "first").await, Ok(None));
    assert_eq!(stage.any().getset("k", b"\0\xff").await, Ok(some("first")));
    assert_eq!(stage.any().getset("k", "").await, Ok(some(b"\0\xff")));
    assert_eq!(stage.any().getset("k", "4").await, Ok(some("")));
    stage.any().incr("k").await.unwrap();
    stage.any().expire("k", 100).await.unwrap();
    assert_eq!(stage.any().getset("k", "last").await, Ok(some("5")));
    assert_eq!(stage.any().ttl("k").await, Ok(Ttl::Never), "as any SET it ends an expiry");
}

async fn compare_and_set_sets_and_removes_only_what_is_as_expected<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().compare_and_set("k", None, None).await, Ok(true), "missing as expected");
    assert_eq!(stage.any().compare_and_set("k", Some(b""), Some(b"v")).await, Ok(false), "empty is not missing");
    assert_eq!(stage.any().compare_and_set("k", None, Some(b"")).await, Ok(true));
    assert_eq!(stage.any().compare_and_set("k", None, Some(b"v")).await, Ok(false));
    assert_eq!(stage.any().compare_and_set("k", Some(b""), Some(b"\xff\0")).await, Ok(true));
    assert_eq!(stage.any().compare_and_set("k", Some(b"\xff"), None).await, Ok(false));
    assert_eq!(stage.any().get("k").await, Ok(some(b"\xff\0")));
    assert_eq!(stage.any().compare_and_set("k", Some(b"\xff\0"), None).await, Ok(true));
    assert_eq!(stage.any().exists("k").await, Ok(0));
    stage.any().incrby("n", 7).await.unwrap();
    assert_eq!(stage.any().compare_and_set("n", Some(b"7"), Some(b"8")).await, Ok(true), "a counter is its number");
    stage.any().expire("n", 100).await.unwrap();
    assert_eq!(stage.any().compare_and_set("n", Some(b"8"), Some(b"8")).await, Ok(true));
    assert_eq!(stage.any().ttl("n").await, Ok(Ttl::Never));
}

async fn a_lock_is_kept_by_who_holds_it<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().compare_and_set_ex("lock", None, "me", 100).await, Ok(true));
    assert_eq!(stage.any().compare_and_set_ex("lock", None, "you", 100).await, Ok(false));
    assert_eq!(stage.any().compare_and_set_ex("lock", Some(b"you"), "you", 100).await, Ok(false));
    assert_eq!(stage.any().compare_and_set_ex("lock", Some(b"me"), "me", 1_000).await, Ok(true));
    let Ok(Ttl::Remaining(left)) = stage.any().ttl("lock").await else { panic!("it expires") };
    assert!(left.as_secs() > 100, "{left:?}");
    for seconds in [0, -1, i64::MIN, i64::MAX] {
        let refused = stage.any().compare_and_set_ex("lock", Some(b"me"), "me", seconds).await;
        assert_eq!(refused, Err(Error::InvalidExpiry { command: "set" }), "{seconds}");
    }
    assert_eq!(stage.any().get("lock").await, Ok(some("me")));
}

async fn of_all_who_want_a_lock_at_once_one_gets_it<B: Backend>() {
    let stage = Stage::<B>::start().await;
    for round in 0..10 {
        let wanting = (0..6).map(|who| {
            let presence = stage.any();
            tokio::spawn(async move { presence.set_nx(format!("lock-{round}"), who.to_string()).await.unwrap() })
        });
        let mut winners = Vec::new();
        for (who, won) in wanting.collect::<Vec<_>>().into_iter().enumerate() {
            if won.await.unwrap() {
                winners.push(who.to_string());
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(stage.any().get(format!("lock-{round}")).await.unwrap().unwrap(), winners[0]);
    }
}
