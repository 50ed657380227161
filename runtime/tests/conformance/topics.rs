//! `subscribe`, `psubscribe`, `unsubscribe`, `publish`, `channels`.

use bytes::Bytes;
use headcount::{Event, Limits, Presence};

use crate::backend::Backend;
use crate::differs::Addresses;
use crate::stage::{Stage, next};

cases![
    a_message_reaches_every_subscription_once_and_in_order,
    patterns_are_globs,
    a_subscription_ends_when_it_is_dropped_or_ended,
    channels_are_topics_with_subscribers_in_byte_order,
    topics_and_messages_are_any_bytes,
    a_slow_subscriber_is_told_how_much_it_missed,
];

fn message(topic: &[u8], pattern: Option<&[u8]>, payload: &[u8]) -> Event {
    let bytes = Bytes::copy_from_slice;
    Event::Message { topic: bytes(topic), pattern: pattern.map(bytes), payload: bytes(payload) }
}

async fn a_message_reaches_every_subscription_once_and_in_order<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().publish("chat", "to nobody").await, Ok(0));
    // On one node, so that what `publish` counts is known.
    let (here, there) = (stage.any(), stage.any());
    let mut exact = [here.subscribe("chat").await.unwrap(), here.subscribe("chat").await.unwrap()];
    let mut matching = here.psubscribe("c*").await.unwrap();
    let mut other = here.subscribe("other").await.unwrap();
    let addressed = match B::DIFFERS.addresses {
        Addresses::Subscriptions => 3,
        Addresses::Processes => 2,
    };
    for n in 0..50 {
        assert_eq!(there.publish("chat", n.to_string()).await, Ok(addressed));
    }
    there.publish("other", "last").await.unwrap();
    for n in 0..50 {
        let payload = n.to_string();
        for subscription in &mut exact {
            assert_eq!(next(subscription).await, Some(message(b"chat", None, payload.as_bytes())));
        }
        assert_eq!(next(&mut matching).await, Some(message(b"chat", Some(b"c*"), payload.as_bytes())));
    }
    assert_eq!(next(&mut other).await, Some(message(b"other", None, b"last")), "of one topic only its own");
}

async fn patterns_are_globs<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let mut by_range = stage.any().psubscribe("room:[0-9]").await.unwrap();
    let mut by_mark = stage.any().psubscribe("h?llo\\*").await.unwrap();
    for topic in ["room:x", "room:10", "room:7", "room:", "hello", "hllo*", "hallo*"] {
        stage.any().publish(topic, topic).await.unwrap();
    }
    assert_eq!(next(&mut by_range).await, Some(message(b"room:7", Some(b"room:[0-9]"), b"room:7")));
    assert_eq!(next(&mut by_mark).await, Some(message(b"hallo*", Some(b"h?llo\\*"), b"hallo*")));
    let here = stage.any();
    let (mut empty, mut all) = (here.psubscribe("").await.unwrap(), here.psubscribe("*").await.unwrap());
    for topic in ["", "t"] {
        stage.any().publish(topic, topic).await.unwrap();
    }
    assert_eq!(next(&mut empty).await, Some(message(b"", Some(b""), b"")));
    assert_eq!(
        next(&mut all).await,
        Some(message(b"t", Some(b"*"), b"t")),
        "a star does not stand for the empty topic"
    );
}

async fn a_subscription_ends_when_it_is_dropped_or_ended<B: Backend>() {
    let stage = Stage::<B>::start().await;
    let presence = stage.any();
    let nobody = async |node: &B::Presence| node.channels(None).await.unwrap().is_empty();
    assert_eq!(presence.unsubscribe("t").await, Ok(0));
    let dropped = presence.subscribe("t").await.unwrap();
    drop(dropped);
    stage.everywhere("it is forgotten", nobody).await;
    let mut ended = [presence.subscribe("t").await.unwrap(), presence.subscribe("t").await.unwrap()];
    let session = presence.session();
    let mut of_session = session.subscribe("t").await.unwrap();
    assert_eq!(presence.unsubscribe("t").await, Ok(2), "those of this handle");
    for ended in &mut ended {
        assert_eq!(next(ended).await, None);
    }
    stage.any().publish("t", "to the session").await.unwrap();
    assert_eq!(next(&mut of_session).await, Some(message(b"t", None, b"to the session")));
    drop(session);
    assert_eq!(next(&mut of_session).await, None, "it leaves with its session");
    stage.everywhere("it is forgotten", nobody).await;
    assert_eq!(stage.any().publish("t", "to nobody").await, Ok(0));
}

async fn channels_are_topics_with_subscribers_in_byte_order<B: Backend>() {
    let stage = Stage::<B>::start().await;
    assert_eq!(stage.any().channels(None).await, Ok(vec![]));
    let mut subscriptions = Vec::new();
    for topic in [&b"room:2"[..], b"room:1", b"room:1", b"\xff", b"", b"Room"] {
        subscriptions.push(stage.any().subscribe(topic).await.unwrap());
    }
    let _no_channel = stage.any().psubscribe("room:*").await.unwrap();
    let all = [&b""[..], b"Room", b"room:1", b"room:2", b"\xff"];
    assert_eq!(stage.any().channels(None).await.unwrap(), all);
    assert_eq!(stage.any().channels(Some("*oo*")).await.unwrap(), all[1..4]);
    assert_eq!(stage.any().channels(Some("room:[^1]")).await.unwrap(), ["room:2"]);
    assert_eq!(stage.any().channels(Some("")).await.unwrap(), [""]);
    assert_eq!(stage.any().channels(Some("*")).await.unwrap(), all[1..], "a star does not stand for the empty topic");
    assert_eq!(stage.any().channels(Some("nothing*")).await, Ok(vec![]));
}

async fn topics_and_messages_are_any_bytes<B: Backend>() {
    let stage = Stage::<B>::start().await;
    for name in [&b""[..], b"\0\xff", b"a b\r\n"] {
        let mut heard = stage.any().subscribe(name).await.unwrap();
        stage.any().publish(name, name).await.unwrap();
        assert_eq!(next(&mut heard).await, Some(message(name, None, name)));
    }
}

async fn a_slow_subscriber_is_told_how_much_it_missed<B: Backend>() {
    let mut limits = Limits::default();
    limits.subscriber_queue = 2;
    let stage = Stage::<B>::with(limits).await;
    let here = stage.any();
    let mut slow = here.subscribe("t").await.unwrap();
    let mut last = here.subscribe("last").await.unwrap();
    let there = stage.any();
    for payload in ["1", "2", "3", "4"] {
        there.publish("t", payload).await.unwrap();
    }
    there.publish("last", "m").await.unwrap();
    next(&mut last).await.unwrap();
    assert_eq!(next(&mut slow).await, Some(Event::Gap { missed: Some(2) }));
    for payload in ["3", "4"] {
        assert_eq!(next(&mut slow).await, Some(message(b"t", None, payload.as_bytes())));
    }
}
