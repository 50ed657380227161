//! Who took which element, of the latest, and what became of it.
//!
//! An element is taken once, by the home of its key. Where two nodes were home, the second because it could not know what the first had done, both have
//! taken it: each for its caller. Which of the two was given it only the callers know.

use std::collections::{BTreeMap, VecDeque};

use headcount_cluster::Origin;
use smallvec::SmallVec;

use super::answered::Dot;
use crate::limits::MAX_TAKEN_ELEMENTS;
use crate::shared::list::ElementKey;

/// A pop of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Take {
    pub(super) dot: Dot,
    /// For whose call, and which.
    pub(super) call: (Origin, u64),
    /// What its caller has said about it.
    pub(super) fate: Option<Fate>,
}

/// What a caller makes of an element that was taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was given the element, or has put it back.
    Had,
    /// It was not given the element, and leaves it to whoever else it was taken for.
    Left,
}

#[derive(Debug, Default)]
pub(super) struct TakenElements {
    takes: BTreeMap<ElementKey, SmallVec<[Take; 1]>>,
    in_order: VecDeque<ElementKey>,
}

impl TakenElements {
    /// Takes note of a pop. The oldest elements are forgotten, but not those that are `kept`.
    pub(super) fn note(&mut self, element: ElementKey, take: Take, kept: impl Fn(ElementKey) -> bool) {
        let takes = self.takes.entry(element).or_default();
        if takes.is_empty() {
            self.in_order.push_back(element);
        }
        if !takes.iter().any(|known| known.dot == take.dot) {
            takes.push(take);
        }
        if self.in_order.len() > MAX_TAKEN_ELEMENTS
            && let Some(oldest) = self.in_order.pop_front()
        {
            if kept(oldest) {
                self.in_order.push_back(oldest);
            } else {
                self.takes.remove(&oldest);
            }
        }
    }

    pub(super) fn of(&self, element: ElementKey) -> &[Take] {
        self.takes.get(&element).map_or(&[], |takes| takes)
    }

    /// Takes note of what became of an element that was taken by some operations.
    pub(super) fn decide(&mut self, element: ElementKey, fate: Fate, is_of: impl Fn(&Take) -> bool) {
        let takes = self.takes.get_mut(&element).into_iter().flatten();
        takes.filter(|take| is_of(take)).for_each(|take| take.fate = Some(fate));
    }
}
