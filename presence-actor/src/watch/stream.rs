//! A watcher's end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::time::Sleep;

use super::change::{Change, WatchEvent};
use super::watches::{Selector, WatchId};
use crate::api::Result;
use crate::error::Error;
use crate::handle::Shared;
use crate::pubsub::Mailbox;
use crate::state::State;

/// How a key, or all keys with a prefix, change on this node: a stream of [`WatchEvent`]s, in the order in which readers here
/// see the changes. It ends when the node does; dropping it ends it at once.
///
/// At most [`watcher_queue`](crate::Limits::watcher_queue) changes wait for a watcher. Beyond it the oldest are dropped and
/// [`WatchEvent::Gap`] says how many. Who keeps a copy then starts anew with [`current`](Self::current).
///
/// Without a cluster there is no actor that looks at the clock, so while it waits the watch does it itself: awaiting it
/// then needs tokio's timer as soon as any key has a deadline.
pub struct Watch {
    selector: Selector,
    id: WatchId,
    mailbox: Arc<Mailbox<WatchEvent>>,
    shared: Weak<Shared>,
    /// Runs until a deadline passes that nobody else looks after.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    pub(crate) fn new(
        selector: Selector,
        id: WatchId,
        mailbox: Arc<Mailbox<WatchEvent>>,
        shared: Weak<Shared>,
    ) -> Self {
        Self { selector, id, mailbox, shared, timer: None }
    }

    /// The next event; `None` when the node has ended.
    pub async fn recv(&mut self) -> Option<WatchEvent> {
        self.next().await
    }

    /// All that readers see now of what is watched, as changes from nothing, and forgets what is queued: what the watch yields
    /// from here on follows it without a gap. Elements of a list come in its order.
    ///
    /// For a prefix this looks at every key of the node.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn current(&mut self) -> Result<Vec<Change>> {
        let shared = self.shared.upgrade().ok_or(Error::Closed)?;
        shared.write(|state, now| state.watched_now(&self.selector, &self.mailbox, now))
    }

    /// Waits until a deadline passes that only this watch looks after. Ready when one has passed.
    fn poll_deadlines(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(shared) = self.shared.upgrade().filter(|shared| !shared.is_attended()) else { return Poll::Pending };
        let timer = if let Some(timer) = &mut self.timer {
            timer
        } else {
            let next = shared.read(|state, now| state.next_deadline().map(|at| at.since_ms(now)));
            let Some(ms) = next else { return Poll::Pending };
            self.timer.insert(Box::pin(tokio::time::sleep(Duration::from_millis(ms))))
        };
        ready!(timer.as_mut().poll(context));
        self.timer = None;
        shared.write(State::handle_time);
        Poll::Ready(())
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        loop {
            if let Poll::Ready(event) = self.mailbox.poll_next(context) {
                // The next wait may be for another deadline.
                self.timer = None;
                return Poll::Ready(event);
            }
            ready!(self.poll_deadlines(context));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.write(|state, _| state.unwatch(&self.selector, self.id));
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("selector", &self.selector).finish_non_exhaustive()
    }
}
