//! Contributions that were erased whole, remembered until every peer knows.
//!
//! The trap: a node that knows origin A's contribution of 6 loads a snapshot from one that knew only 5 of it and has
//! deleted those. The snapshot has no row, the vector covers the deletion, and without this record the node
//! would keep all 6. Operations do not need it: each carries what it continues. So a record lives until the
//! vectors of all peers cover a barrier that was taken after it was made, and nobody is left whom this node has yet to meet.

use std::collections::{BTreeMap, BTreeSet};

use crdts::VClock;
use headcount_cluster::Origin;

use crate::blob::Blob;
use crate::dot::{OriginIx, Owner};
use crate::limits::MAX_SPENT_COUNTS;

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
    /// How many records name an origin.
    named: BTreeMap<OriginIx, usize>,
    young: BTreeSet<SpentKey>,
    aging: BTreeSet<SpentKey>,
    barrier: Option<VClock<Origin>>,
}

impl Spent {
    pub(crate) fn record(&mut self, key: SpentKey, count: SpentCount) {
        let later = self.records.get(&key).is_none_or(|known| known.epoch <= count.epoch && known.seq < count.seq);
        if later {
            if self.records.insert(key.clone(), count).is_none() {
                *self.named.entry(key.2).or_default() += 1;
            }
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

    /// Whether a record names an origin.
    pub(crate) fn names(&self, origin: OriginIx) -> bool {
        self.named.contains_key(&origin)
    }

    /// All peers know all of an origin and may not speak of it any more.
    pub(crate) fn forget_origin(&mut self, origin: Origin) {
        if let Some(barrier) = &mut self.barrier {
            barrier.dots.remove(&origin);
        }
    }

    fn remove(&mut self, key: &SpentKey) {
        if self.records.remove(key).is_some()
            && let Some(named) = self.named.get_mut(&key.2)
        {
            *named -= 1;
            if *named == 0 {
                self.named.remove(&key.2);
            }
        }
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

    /// Forgets the first of more than it may hold.
    pub(crate) fn shrink(&mut self) {
        while self.records.len() > MAX_SPENT_COUNTS {
            let Some(first) = self.records.keys().next().cloned() else { return };
            self.remove(&first);
            self.young.remove(&first);
            self.aging.remove(&first);
        }
    }

    /// Forgets what all peers know. `everyone_covers` tells whether the vectors of all peers that may come back
    /// cover a vector; `now` is this node's own.
    pub(crate) fn collect(
        &mut self,
        now: impl Fn() -> VClock<Origin>,
        everyone_covers: impl Fn(&VClock<Origin>) -> bool,
    ) {
        if self.barrier.as_ref().is_some_and(&everyone_covers) {
            for key in std::mem::take(&mut self.aging) {
                // One that was recorded again since is in the younger generation too and waits with that.
                if !self.young.contains(&key) {
                    self.remove(&key);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by a review: the generations kept the names, without a bound while a peer is away.
    #[test]
    fn what_is_forgotten_for_want_of_room_is_in_no_generation() {
        let mut spent = Spent::default();
        let count = SpentCount { epoch: 1, seq: 1, total: 1 };
        for n in 0..2 * MAX_SPENT_COUNTS {
            spent.record((n.to_string().as_bytes().into(), None, OriginIx::new(0), Owner::SHARED), count);
            if n == MAX_SPENT_COUNTS {
                spent.collect(VClock::new, |_| false);
            }
        }
        spent.shrink();
        assert_eq!(spent.records.len(), MAX_SPENT_COUNTS);
        let named = spent.young.union(&spent.aging);
        assert!(named.eq(spent.records.keys()));
    }
}
