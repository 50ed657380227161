//! When keys die: expiry rows, and the queue of deadlines.
//!
//! Every node hides a key at its deadline by its own clock, but nobody drops rows for himself: the origin of the deadline
//! removes the key by an operation like any other, so that a write or an extension that had not seen it survives
//! everywhere alike. A deadline is absolute; concurrent ones: none beats some, later beats earlier.

use std::collections::BTreeSet;

use headcount_cluster::WallMs;

use super::rows::Rows;
use crate::blob::Blob;
use crate::dot::{OriginIx, Tag};

/// What an `EXPIRE` or a `PERSIST` said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExpiryRow {
    pub(crate) tag: Tag,
    pub(crate) deadline: Option<WallMs>,
}

/// A deadline in force, and who removes the key when it has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) at: WallMs,
    pub(crate) set_by: OriginIx,
}

/// The deadline that several concurrent expiry rows make.
pub(crate) fn in_force(rows: &[ExpiryRow]) -> Option<Deadline> {
    let mut latest: Option<(Deadline, u64)> = None;
    for row in rows {
        let at = row.deadline?;
        // Of equal deadlines the later stamp's origin is responsible, so that all agree on one.
        if latest.is_none_or(|(known, stamp)| (known.at, stamp) < (at, row.tag.stamp.0)) {
            latest = Some((Deadline { at, set_by: row.tag.origin }, row.tag.stamp.0));
        }
    }
    latest.map(|(deadline, _)| deadline)
}

/// Keys by deadline.
#[derive(Debug)]
pub(crate) struct Deadlines {
    by_time: BTreeSet<(WallMs, Blob)>,
    by_key: Rows<WallMs>,
    /// Keys past their deadline that another origin has to remove.
    overdue: BTreeSet<Blob>,
    /// Those of them to look at again, because the membership or the view has changed.
    recheck: BTreeSet<Blob>,
}

impl Deadlines {
    /// None, of keys that are hashed with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { by_time: BTreeSet::new(), by_key: Rows::new(seed), overdue: BTreeSet::new(), recheck: BTreeSet::new() }
    }

    /// Takes note of a key's deadline, or that it has none.
    pub(crate) fn set(&mut self, key: &[u8], at: Option<WallMs>) {
        if at.is_none() && self.is_empty() {
            return;
        }
        // Also of a key that begins anew without a deadline: nobody would look at it again.
        self.overdue.remove(key);
        self.recheck.remove(key);
        if self.by_key.get(key).copied() == at {
            return;
        }
        if let Some((key, old)) = self.by_key.remove(key) {
            self.by_time.remove(&(old, key));
        }
        if let Some(at) = at {
            self.by_key.insert(key, at);
            self.by_time.insert((at, key.into()));
        }
    }

    /// A key that may have to be removed at `now`, taken off the queue.
    pub(crate) fn pop_due(&mut self, now: WallMs) -> Option<Blob> {
        if let Some(key) = self.recheck.pop_first() {
            return Some(key);
        }
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// The first deadline.
    pub(crate) fn next(&self) -> Option<WallMs> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// The keys on the queue whose deadlines are from `from` to `now`.
    pub(crate) fn between(&self, from: WallMs, now: WallMs) -> impl Iterator<Item = &Blob> {
        self.by_time.range((from, Blob::default())..).take_while(move |(at, _)| *at <= now).map(|(_, key)| key)
    }

    /// All keys whose deadline has passed at `now` and that are not removed yet.
    pub(crate) fn past(&self, now: WallMs) -> impl Iterator<Item = &Blob> {
        self.between(WallMs(0), now).chain(&self.overdue).chain(&self.recheck)
    }

    /// Remembers a due key that another origin has to remove.
    pub(crate) fn wait_for_removal(&mut self, key: Blob) {
        self.overdue.insert(key);
    }

    /// The membership or the view has changed: whose task it is to remove what is overdue may have too.
    pub(crate) fn recheck_overdue(&mut self) {
        self.recheck.append(&mut self.overdue);
    }

    /// Whether [`pop_due`](Self::pop_due) has something at `now`.
    pub(crate) fn is_due(&self, now: WallMs) -> bool {
        !self.recheck.is_empty() || self.by_time.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Whether no key has a deadline, be it to come or past.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_time.is_empty() && self.overdue.is_empty() && self.recheck.is_empty()
    }
}
