//! What is remembered of origins that are Gone and of which nothing is held: how far each was known.
//!
//! Nothing here is told to anybody who does not speak of the origin first, so it costs no traffic; it is there for what
//! comes late. A row, an operation or a vector of such an origin is judged by the number it was forgotten with, so that nothing
//! of it counts as new and no owned row of it is taken. Bounded: the oldest that no peer speaks of is forgotten for good. Whoever
//! speaks of it later was away for as long as it takes so many others to die. One that a peer speaks of stays
//! whatever the cap says: the peer waits to hear that this node has forgotten it.

use foldhash::fast::RandomState;
use headcount_cluster::Origin;
use indexmap::IndexMap;

use crate::limits::MAX_FORGOTTEN_ORIGINS;

/// The numbers of forgotten origins, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    known: IndexMap<Origin, u64, RandomState>,
}

impl Forgotten {
    /// Remembers that an origin was known up to `applied`, or further.
    pub(crate) fn remember(&mut self, origin: Origin, applied: u64) {
        let applied = self.recall(origin).unwrap_or(0).max(applied);
        self.known.insert(origin, applied);
    }

    /// Forgets for good what exceeds the cap, the oldest first and none that is spoken of.
    pub(crate) fn shrink(&mut self, is_spoken_of: impl Fn(Origin) -> bool) {
        let mut excess = self.known.len().saturating_sub(MAX_FORGOTTEN_ORIGINS);
        if excess > 0 {
            self.known.retain(|origin, _| {
                let keep = excess == 0 || is_spoken_of(*origin);
                excess -= usize::from(!keep);
                keep
            });
        }
    }

    /// Takes an origin out, because it is spoken of again.
    pub(crate) fn recall(&mut self, origin: Origin) -> Option<u64> {
        self.known.shift_remove(&origin)
    }

    /// Up to where an origin was known.
    pub(crate) fn get(&self, origin: Origin) -> Option<u64> {
        self.known.get(&origin).copied()
    }

    /// Those of which anything was ever known, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Origin, u64)> {
        self.known.iter().map(|(origin, applied)| (*origin, *applied)).filter(|(_, applied)| *applied > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_takes_the_oldest_of_which_nobody_speaks() {
        let mut forgotten = Forgotten::default();
        let many = MAX_FORGOTTEN_ORIGINS as u64;
        (0..many).for_each(|n| forgotten.remember(Origin(n), n + 1));
        forgotten.remember(Origin(0), 0);
        assert_eq!(forgotten.get(Origin(0)), Some(1), "what was known stays known");
        forgotten.shrink(|_| false);
        assert_eq!(forgotten.iter().count(), MAX_FORGOTTEN_ORIGINS, "the cap fits");
        forgotten.remember(Origin(many), 7);
        forgotten.shrink(|origin| origin == Origin(1));
        assert_eq!(forgotten.get(Origin(0)), Some(1), "it was remembered anew");
        assert_eq!((forgotten.get(Origin(1)), forgotten.get(Origin(2))), (Some(2), None));
        assert_eq!(forgotten.iter().count(), MAX_FORGOTTEN_ORIGINS);
        assert_eq!(forgotten.recall(Origin(many)), Some(7));
    }
}
