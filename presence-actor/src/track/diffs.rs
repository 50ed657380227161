//! The stream of who joins and leaves.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::present::Diff;
use super::roster::{Changed, Roster};
use crate::handle::Shared;
use crate::watch::{Watch, WatchEvent};

/// Who joins and leaves a topic: a stream of [`Diff`]s. It ends when the node does, or when it is dropped.
///
/// The first comes at once and has everybody who is present as joins, which may be nobody. Each that follows has all that
/// has happened since the one before. A reader that is slow gets fewer and larger diffs, and never misses any.
pub struct PresenceDiffs {
    row_key: Bytes,
    watch: Watch,
    shared: Weak<Shared>,
    roster: Roster,
    begun: bool,
}

impl PresenceDiffs {
    pub(crate) fn new(row_key: Bytes, watch: Watch, shared: Weak<Shared>) -> Self {
        Self { row_key, watch, shared, roster: Roster::default(), begun: false }
    }

    /// The next diff; `None` when the node has ended.
    pub async fn recv(&mut self) -> Option<Diff> {
        self.next().await
    }

    /// Which rows the watch names, and whether it has ended.
    fn poll_changed(&mut self, context: &mut Context<'_>) -> (Changed, bool) {
        let mut fields = BTreeSet::new();
        let mut gap = false;
        let ended = loop {
            match self.watch.poll_next_unpin(context) {
                Poll::Ready(Some(WatchEvent::Change(change))) => fields.extend(change.field),
                Poll::Ready(Some(WatchEvent::Gap { .. })) => gap = true,
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        (if gap { Changed::All } else { Changed::Fields(fields) }, ended)
    }

    fn difference(&mut self, changed: Changed) -> Diff {
        let Some(shared) = self.shared.upgrade() else { return Diff::default() };
        shared.read(|state, now| self.roster.difference(state, &self.row_key, changed, now))
    }
}

impl Stream for PresenceDiffs {
    type Item = Diff;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Diff>> {
        let (changed, ended) = self.poll_changed(context);
        let begun = std::mem::replace(&mut self.begun, true);
        let diff = self.difference(if begun { changed } else { Changed::All });
        if !begun || !diff.is_empty() {
            return Poll::Ready(Some(diff));
        }
        if ended { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl fmt::Debug for PresenceDiffs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceDiffs").field("row_key", &self.row_key).finish_non_exhaustive()
    }
}
