//! Contributions that were erased whole, remembered until every peer knows.
//!
//! The trap: a node that knows origin A's contribution of 6 loads a snapshot from one that knew only 5 of it and has
//! deleted those. The snapshot has no row, the vector covers the deletion, and without this record the node
//! would keep all 6. Operations do not need it: each carries what it continues. So a record lives until the
//! vectors of all peers cover a barrier that was taken after it was made.

use std::collections::{BTreeMap, BTreeSet};

use crdts::VClock;
use headcount_cluster::{Origin, WallMs};

use crate::blob::Blob;
use crate::dot::{OriginIx, Owner};
use crate::limits::{MAX_SPENT_COUNTS, SPENT_HOLD};

/// Whose contribution to what.
pub(crate) type SpentKey = (Blob, Option<Blob>, OriginIx, Owner);

/// How far a contribution was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpentCount {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    pub(crate) total: i64,
}

/// The records, in two generations: those that wait for the barrier, and those that came after it was taken.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    records: BTreeMap<SpentKey, SpentCount>,
    young: BTreeSet<SpentKey>,
    aging: BTreeSet<SpentKey>,
    barrier: Option<VClock<Origin>>,
    /// Nothing is forgotten before this moment.
    held_until: WallMs,
}

impl Spent {
    pub(crate) fn record(&mut self, key: SpentKey, count: SpentCount) {
        let later = self.records.get(&key).is_none_or(|known| known.epoch <= count.epoch && known.seq < count.seq);
        if later {
            self.records.insert(key.clone(), count);
            self.young.insert(key);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn get(&self, key: &SpentKey) -> Option<&SpentCount> {
        self.records.get(key)
    }

    /// A peer was given up that may come back, under a new name for what it was, with what it knew. Forgets nothing for
    /// [`SPENT_HOLD`].
    pub(crate) fn hold(&mut self, now: WallMs) {
        self.held_until = self.held_until.max(now.plus_ms(SPENT_HOLD.as_millis() as u64));
    }

    /// A snapshot was merged: what was recorded before it has to be known by all anew.
    pub(crate) fn restart_barrier(&mut self) {
        self.young.append(&mut self.aging);
        self.barrier = None;
    }

    /// Records after `key` in order, for a snapshot that goes in pieces.
    pub(crate) fn after(&self, key: Option<&SpentKey>) -> impl Iterator<Item = (&SpentKey, &SpentCount)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.records.range((key.map_or(Unbounded, Excluded), Unbounded))
    }

    /// Forgets what all peers know. `everyone_covers` tells whether the vectors of all peers that may come back
    /// cover a vector; `now` is this node's own.
    pub(crate) fn collect(
        &mut self,
        at: WallMs,
        now: impl Fn() -> VClock<Origin>,
        everyone_covers: impl Fn(&VClock<Origin>) -> bool,
    ) {
        while self.records.len() > MAX_SPENT_COUNTS {
            self.records.pop_first();
        }
        if at < self.held_until {
            return;
        }
        if self.barrier.as_ref().is_some_and(&everyone_covers) {
            for key in std::mem::take(&mut self.aging) {
                // One that was recorded again since is in the younger generation too and waits with that.
                if !self.young.contains(&key) {
                    self.records.remove(&key);
                }
            }
            self.barrier = None;
        }
        if self.barrier.is_none() && !self.young.is_empty() {
            self.aging = std::mem::take(&mut self.young);
            self.barrier = Some(now());
        }
    }
}
