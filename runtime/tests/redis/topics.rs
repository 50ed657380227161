//! Topics over a Redis.

use headcount::{Event, Presence};

use crate::server::{Server, next};

fn message(topic: &'static str, pattern: Option<&'static str>, payload: &'static str) -> Event {
    Event::Message { topic: topic.into(), pattern: pattern.map(Into::into), payload: payload.into() }
}

#[tokio::test]
async fn a_message_reaches_every_subscriber_of_every_node_once_for_each_subscription() {
    let server = Server::start().await;
    let (a, b) = (server.presence("a").await, server.presence("b").await);
    let mut exact = [a.subscribe("room:1").await.unwrap(), a.subscribe("room:1").await.unwrap()];
    let mut by_pattern = b.psubscribe("room:[0-9]").await.unwrap();
    assert_eq!(b.publish("room:1", "hello").await, Ok(2), "Redis counts one for each process and name");
    b.publish("room:x", "to nobody").await.unwrap();
    b.publish("room:1", "again").await.unwrap();
    for payload in ["hello", "again"] {
        for subscription in &mut exact {
            assert_eq!(next(subscription).await, Some(message("room:1", None, payload)));
        }
        assert_eq!(next(&mut by_pattern).await, Some(message("room:1", Some("room:[0-9]"), payload)));
    }
    assert_eq!(a.channels(Some("room:*")).await.unwrap(), ["room:1"]);
}

#[tokio::test]
async fn the_last_subscriber_takes_the_subscription_along() {
    let server = Server::start().await;
    let a = server.presence("a").await;
    let session = a.session();
    let mut of_session = session.subscribe("t").await.unwrap();
    let dropped = a.subscribe("t").await.unwrap();
    let mut ended = a.subscribe("t").await.unwrap();
    drop(dropped);
    assert_eq!(a.unsubscribe("t").await, Ok(1), "of this handle's, one is left");
    assert_eq!(next(&mut ended).await, None);
    assert_eq!(a.channels(None).await.unwrap(), ["t"]);
    drop(session);
    assert_eq!(next(&mut of_session).await, None);
    crate::server::until("Redis forgets it", || async { a.channels(None).await.unwrap().is_empty() }).await;
    let mut anew = a.subscribe("t").await.unwrap();
    a.publish("t", "m").await.unwrap();
    assert_eq!(next(&mut anew).await, Some(message("t", None, "m")));
}

#[tokio::test]
async fn a_subscription_ends_with_the_last_handle() {
    let server = Server::start().await;
    let a = server.presence("a").await;
    let mut heard = a.subscribe("t").await.unwrap();
    drop(a);
    assert_eq!(next(&mut heard).await, None);
}

#[tokio::test]
async fn a_slow_subscriber_is_told_how_much_it_missed() {
    let server = Server::start().await;
    let mut limits = headcount::Limits::default();
    limits.subscriber_queue = 2;
    let a = server.options().limits(limits).connect().await.unwrap();
    let mut slow = a.subscribe("t").await.unwrap();
    let mut last = a.subscribe("last").await.unwrap();
    for payload in ["1", "2", "3"] {
        a.publish("t", payload).await.unwrap();
    }
    a.publish("last", "m").await.unwrap();
    next(&mut last).await.unwrap();
    assert_eq!(next(&mut slow).await, Some(Event::Gap { missed: Some(1) }));
    assert_eq!(next(&mut slow).await, Some(message("t", None, "2")));
}

#[tokio::test]
async fn behind_a_prefix_a_star_does_not_stand_for_the_empty_topic_either() {
    let server = Server::start().await;
    let a = server.options().name("a").key_prefix("game:").connect().await.unwrap();
    let (mut empty, mut all) = (a.psubscribe("").await.unwrap(), a.psubscribe("*").await.unwrap());
    let _exact = (a.subscribe("").await.unwrap(), a.subscribe("t").await.unwrap());
    a.publish("", "m").await.unwrap();
    a.publish("t", "m").await.unwrap();
    assert_eq!(next(&mut empty).await, Some(message("", Some(""), "m")));
    assert_eq!(next(&mut all).await, Some(message("t", Some("*"), "m")));
    assert_eq!(a.channels(Some("*")).await.unwrap(), ["t"]);
    assert_eq!(a.channels(Some("")).await.unwrap(), [""]);
    assert_eq!(a.channels(None).await.unwrap(), ["", "t"]);
}

#[tokio::test]
async fn a_topic_that_the_user_may_not_hear_is_refused_and_costs_the_others_nothing() {
    let server = Server::start().await;
    server.other(&["ACL", "SETUSER", "some", "on", ">p", "~*", "resetchannels", "&ok*", "+@all"]).await;
    let a = server.options().user("some").password("p").connect().await.unwrap();
    let mut heard = a.subscribe("ok:1").await.unwrap();
    let refused = a.subscribe("bad").await.unwrap_err().to_string();
    assert!(refused.contains("NOPERM") && refused.contains("ACL"), "{refused}");
    a.publish("ok:1", "m").await.unwrap();
    assert_eq!(next(&mut heard).await, Some(message("ok:1", None, "m")));
    let mut later = a.subscribe("ok:2").await.unwrap();
    a.publish("ok:2", "m").await.unwrap();
    assert_eq!(next(&mut later).await, Some(message("ok:2", None, "m")));
}
