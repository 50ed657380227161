//! The queue between the state and one who listens: a subscriber or a watcher.
//!
//! Bounded: when a listener is slow the oldest events go and are counted, so that neither the writer nor the
//! node nor another listener ever waits for it.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// What a mailbox holds: something that can say that some of its kind are missing.
pub(crate) trait Lossy {
    /// Says that so many were dropped.
    fn gap(missed: u64) -> Self;
}

#[derive(Debug)]
struct Queue<E> {
    events: VecDeque<E>,
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
}

/// A listener's queue.
#[derive(Debug)]
pub(crate) struct Mailbox<E> {
    queue: Mutex<Queue<E>>,
    capacity: usize,
}

impl<E: Lossy> Mailbox<E> {
    /// A queue of at most `capacity` events.
    pub(crate) fn new(capacity: usize) -> Self {
        let queue = Queue { events: VecDeque::new(), missed: 0, closed: false, waker: None };
        Self { queue: Mutex::new(queue), capacity: capacity.max(1) }
    }

    /// Adds an event. Returns whether an older one had to go.
    pub(crate) fn push(&self, event: E) -> bool {
        let mut queue = self.queue.lock();
        let full = queue.events.len() >= self.capacity;
        if full {
            queue.events.pop_front();
            queue.missed += 1;
        }
        queue.events.push_back(event);
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
        full
    }

    /// Forgets what is queued, and what was missed.
    pub(crate) fn clear(&self) {
        let mut queue = self.queue.lock();
        queue.events.clear();
        queue.missed = 0;
    }

    /// Ends it: what is queued is still handed out, then nothing.
    pub(crate) fn close(&self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
    }

    /// The next event. A gap comes before the events that follow it.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<E>> {
        let mut queue = self.queue.lock();
        if queue.missed > 0 {
            let missed = std::mem::take(&mut queue.missed);
            return Poll::Ready(Some(E::gap(missed)));
        }
        if let Some(event) = queue.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if queue.closed {
            return Poll::Ready(None);
        }
        if queue.waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
            queue.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::task::noop_waker;

    use super::*;
    use crate::pubsub::Event;

    fn message(n: u8) -> Event {
        Event::Message { topic: Bytes::new(), pattern: None, payload: Bytes::copy_from_slice(&[n]) }
    }

    #[test]
    fn a_slow_subscriber_loses_the_oldest_and_is_told_how_many() {
        let mailbox = Mailbox::new(2);
        assert!(!mailbox.push(message(1)));
        assert!(!mailbox.push(message(2)));
        assert!(mailbox.push(message(3)));
        mailbox.close();
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        let mut events = Vec::new();
        while let Poll::Ready(Some(event)) = mailbox.poll_next(&mut context) {
            events.push(event);
        }
        assert_eq!(events, [Event::Gap { missed: Some(1) }, message(2), message(3)]);
    }
}
