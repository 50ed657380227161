//! A subscriber's end of a topic.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::{Lossy, Mailbox};

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message {
        /// The topic it was published to.
        topic: Bytes,
        /// The pattern that matched, for a subscription by pattern.
        pattern: Option<Bytes>,
        /// The message.
        payload: Bytes,
    },
    /// Messages are missing here: this subscriber was slow, or its backend could not be reached for a while.
    Gap {
        /// How many; `None` when nobody can know, and it may be that none are.
        missed: Option<u64>,
    },
}

impl Lossy for Event {
    fn gap(missed: u64) -> Self {
        Self::Gap { missed: Some(missed) }
    }
}

/// A subscription: a stream of [`Event`]s that ends when it is unsubscribed, or its session or node ends. Dropping it
/// unsubscribes.
pub struct Subscription {
    mailbox: Arc<Mailbox<Event>>,
    end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Subscription {
    /// The end of `mailbox`; `end` takes the subscription out of the topics.
    pub(crate) fn new(mailbox: Arc<Mailbox<Event>>, end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { mailbox, end: Some(Box::new(end)) }
    }

    /// The next event; `None` when the subscription has ended.
    pub async fn recv(&mut self) -> Option<Event> {
        self.next().await
    }
}

impl Stream for Subscription {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.mailbox.poll_next(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
