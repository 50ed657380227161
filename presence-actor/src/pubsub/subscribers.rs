//! This process's subscribers to topics that another program carries, such as a Redis.
//!
//! It gives out [`Subscription`]s like those of a node: bounded, with gaps that say how much was missed, ended by being dropped, by
//! [`unsubscribe`](Subscribers::unsubscribe) or with their session. Which names the backend has to be asked for follows from who is here: it is
//! told of each name that gets its first subscriber by the answer of [`subscribe`](Subscribers::subscribe), and of each that
//! has lost its last by the closure given to [`new`](Subscribers::new).

use std::fmt;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use super::interest::Kind;
use super::topics::{Family, Topics};
use super::{Event, Mailbox, Subscription};
use crate::api::Result;
use crate::blob::Blob;
use crate::dot::Owner;
use crate::limits::Limits;

/// Hears of a name that nobody here subscribes to any more.
type Abandoned = Box<dyn Fn(Kind, &[u8]) + Send + Sync>;

/// Subscribers by topic and pattern.
pub struct Subscribers {
    topics: Mutex<Topics>,
    limits: Limits,
    abandoned: Abandoned,
}

impl Subscribers {
    /// None, with caps, of names that are hashed with `seed`. `abandoned` is called, under a lock, with each name that has lost its last
    /// subscriber; it must not come back here.
    pub fn new(limits: Limits, seed: u64, abandoned: impl Fn(Kind, &[u8]) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { topics: Mutex::new(Topics::new(seed)), limits, abandoned: Box::new(abandoned) })
    }

    /// Adds a subscriber to a name, for a handle (`family`) and its session, of which zero is none. `added` is called under the
    /// same lock, with whether it is the first of the name: so that what the backend is told keeps the order of what happened.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge), [`Error::TooMany`](crate::Error::TooMany).
    pub fn subscribe<R>(
        self: &Arc<Self>,
        kind: Kind,
        name: &[u8],
        family: u64,
        session: u32,
        added: impl FnOnce(bool) -> R,
    ) -> Result<(Subscription, R)> {
        self.limits.check_topic(name)?;
        let mut topics = self.topics.lock();
        self.limits.check_subscriptions(topics.count())?;
        let mailbox = Arc::new(Mailbox::new(self.limits.subscriber_queue));
        let is_first = topics.subscribers(kind, name) == 0;
        let id = topics.add(kind, name, Family(family), owner_of(session), Arc::clone(&mailbox));
        let result = added(is_first);
        drop(topics);
        let (all, name): (Weak<Self>, Box<[u8]>) = (Arc::downgrade(self), name.into());
        let subscription = Subscription::new(mailbox, move || {
            if let Some(all) = all.upgrade() {
                all.change(kind, &name, |topics| usize::from(topics.remove(kind, &name, id)));
            }
        });
        Ok((subscription, result))
    }

    /// Ends the subscriptions to a topic that a handle made. Returns how many there were.
    pub fn unsubscribe(&self, topic: &[u8], family: u64) -> usize {
        self.change(Kind::Topic, topic, |topics| topics.remove_family(Kind::Topic, topic, Family(family)))
    }

    /// Ends a session's subscriptions.
    pub fn end_session(&self, session: u32) {
        let mut topics = self.topics.lock();
        for (kind, name) in topics.remove_session(owner_of(session)) {
            if topics.subscribers(kind, &name) == 0 {
                (self.abandoned)(kind, &name);
            }
        }
    }

    /// Ends all subscriptions. The backend is told of none of them.
    pub fn close(&self) {
        self.topics.lock().close();
    }

    /// Every name with a subscriber.
    pub fn names(&self) -> Vec<(Kind, Bytes)> {
        self.topics.lock().names().map(|(kind, name, _)| (kind, Blob::to_bytes(name))).collect()
    }

    /// Hands an event to all who subscribed to exactly this topic or pattern.
    pub fn deliver(&self, kind: Kind, name: &[u8], event: &Event) {
        self.topics.lock().deliver_to(kind, name, event);
    }

    fn change(&self, kind: Kind, name: &[u8], change: impl FnOnce(&mut Topics) -> usize) -> usize {
        let mut topics = self.topics.lock();
        let ended = change(&mut topics);
        if ended > 0 && topics.subscribers(kind, name) == 0 {
            (self.abandoned)(kind, name);
        }
        ended
    }
}

impl fmt::Debug for Subscribers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribers").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// Topics know sessions by their owners.
fn owner_of(session: u32) -> Owner {
    session.checked_sub(1).map_or(Owner::SHARED, Owner::session)
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    fn message(payload: &'static str) -> Event {
        Event::Message { topic: "t".into(), pattern: None, payload: payload.into() }
    }

    #[test]
    fn the_backend_hears_of_the_first_and_of_the_last_subscriber_of_a_name() {
        let abandoned = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&abandoned);
        let all = Subscribers::new(Limits::default(), 0, move |kind, name| heard.lock().push((kind, name.to_vec())));
        let (mut first, is_first) = all.subscribe(Kind::Topic, b"t", 1, 0, |is_first| is_first).unwrap();
        assert!(is_first);
        let (second, is_first) = all.subscribe(Kind::Topic, b"t", 2, 0, |is_first| is_first).unwrap();
        assert!(!is_first);
        all.deliver(Kind::Topic, b"t", &message("m"));
        all.deliver(Kind::Pattern, b"t", &message("not for a topic"));
        assert_eq!(first.next().now_or_never(), Some(Some(message("m"))));
        assert_eq!(first.next().now_or_never(), None);
        drop(second);
        assert_eq!(abandoned.lock().len(), 0);
        assert_eq!(all.unsubscribe(b"t", 1), 1);
        assert_eq!(*abandoned.lock(), [(Kind::Topic, b"t".to_vec())]);
        assert_eq!(first.next().now_or_never(), Some(None), "it has ended");
        drop(first);
        assert_eq!(abandoned.lock().len(), 1, "and is not ended twice");
    }

    #[test]
    fn a_session_takes_its_subscriptions_along_and_no_others() {
        let all = Subscribers::new(Limits::default(), 0, |_, _| {});
        let (_shared, ()) = all.subscribe(Kind::Topic, b"t", 1, 0, |_| ()).unwrap();
        let (mut of_session, ()) = all.subscribe(Kind::Pattern, b"t*", 2, 7, |_| ()).unwrap();
        all.end_session(7);
        assert_eq!(of_session.next().now_or_never(), Some(None));
        assert_eq!(all.names(), [(Kind::Topic, Bytes::from("t"))]);
    }
}
