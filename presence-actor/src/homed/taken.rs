//! Who took which element, of the latest, and what became of it.
//!
//! An element is taken once, by the home of its key. Where two nodes were home, the second because it could not know what the first had done, both have
//! taken it: each for its caller. Which of the two was given it only the callers know.

use std::collections::{BTreeMap, VecDeque};

use headcount_cluster::Origin;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::answered::Dot;
use crate::limits::{MAX_TAKEN_ELEMENTS, MAX_TAKERS};
use crate::shared::list::ElementKey;

/// A pop of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Take {
    pub(crate) dot: Dot,
    /// For whose call, and which.
    pub(crate) call: (Origin, u64),
    /// What became of it, when that is known.
    pub(crate) fate: Option<Fate>,
}

/// What a caller makes of an element that was taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fate {
    /// It was given the element, or has put it back.
    Had,
    /// It was not given the element, and leaves it to whoever else it was taken for.
    Left,
}

/// The pops of the latest elements, as far as this node has heard of them.
#[derive(Debug, Default)]
pub(super) struct TakenElements {
    takes: BTreeMap<ElementKey, SmallVec<[Take; 1]>>,
    in_order: VecDeque<ElementKey>,
}

impl TakenElements {
    /// Takes note of a pop, or of what became of it; returns whether there was room. The oldest elements are forgotten, but not those that are `kept`.
    pub(super) fn note(&mut self, element: ElementKey, take: Take, kept: impl Fn(ElementKey) -> bool) -> bool {
        let takes = self.takes.entry(element).or_default();
        if takes.is_empty() {
            self.in_order.push_back(element);
        }
        let is_noted = if let Some(known) = takes.iter_mut().find(|known| known.dot == take.dot) {
            known.fate = known.fate.or(take.fate);
            true
        } else if takes.len() < MAX_TAKERS {
            takes.push(take);
            true
        } else {
            false
        };
        // Two for one that came: those that stay for a while only are caught up with.
        for _ in 0..2 {
            let Some(oldest) = self.in_order.pop_front_if(|_| self.takes.len() > MAX_TAKEN_ELEMENTS) else { break };
            if kept(oldest) {
                self.in_order.push_back(oldest);
            } else {
                self.takes.remove(&oldest);
            }
        }
        is_noted
    }

    pub(super) fn of(&self, element: ElementKey) -> &[Take] {
        self.takes.get(&element).map_or(&[], |takes| takes)
    }

    /// Whoever some pops were for leaves the element to others.
    pub(super) fn leave(&mut self, element: ElementKey, mine: &[Take]) {
        let takes = self.takes.get_mut(&element).into_iter().flatten();
        takes.filter(|take| mine.contains(take)).for_each(|take| take.fate = Some(Fate::Left));
    }
}

#[cfg(test)]
mod tests {
    use headcount_cluster::Hlc;

    use super::*;

    #[test]
    fn elements_that_had_to_stay_are_forgotten_when_they_may_be() {
        let mut taken = TakenElements::default();
        let by = Origin(1);
        let mut note = |n: usize, is_kept: bool| {
            let element = ElementKey { position: n as i64, stamp: Hlc::default(), origin: by, seq: n as u64, index: 0 };
            let take = Take { dot: Dot { origin: by, seq: n as u64 }, call: (by, n as u64), fate: None };
            taken.note(element, take, |_| is_kept);
            taken.takes.len()
        };
        let most = (0..MAX_TAKEN_ELEMENTS + 100).map(|n| note(n, true)).last();
        assert_eq!(most, Some(MAX_TAKEN_ELEMENTS + 100));
        let after = (0..100).map(|n| note(MAX_TAKEN_ELEMENTS + 100 + n, false)).last();
        assert_eq!(after, Some(MAX_TAKEN_ELEMENTS));
    }
}
