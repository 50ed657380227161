//! Calls that were answered by operations, so that nobody carries them out again.
//!
//! The record of an answer is made where its operation is applied, so on every node; it lives until the caller says in its own stream
//! that it has heard, or is Gone: of one that was given up for its silence what was taken for it is kept for as long as it may come
//! back, under a new origin, and want it. It travels in snapshots, as the operations do that it stands for; so there is one for each operation, also
//! where two homes have answered one call. One by which an element was taken lives on until the caller
//! is known to have applied it: a caller that has given up puts the element back, and may learn of it from nothing but a snapshot.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use headcount_cluster::Origin;
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::blob::Blob;
use crate::shared::list::ElementKey;

/// Whose call an operation answers, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) caller: Origin,
    pub(crate) number: u64,
    pub(crate) answer: Answer,
}

/// An operation, named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dot {
    pub(crate) origin: Origin,
    pub(crate) seq: u64,
}

/// What is kept of an answered call: the operation that did it, and the answer for a caller who learns of it from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) dot: Dot,
    pub(crate) answer: Answer,
    pub(crate) taken: Option<Taken>,
}

/// Where an element stood that was popped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) key: Blob,
    pub(crate) element: ElementKey,
}

/// Whose call a record is of, which one, and whose operation answered it.
pub(crate) type AnswerKey = (Origin, u64, Origin);

#[derive(Debug, Default)]
struct OfCaller {
    /// By number, and by whose operation answered.
    calls: BTreeMap<(u64, Origin), Record>,
    /// The caller has heard of all up to this number.
    settled: u64,
}

/// The records of all callers.
#[derive(Debug, Default)]
pub(crate) struct AnsweredCalls {
    callers: BTreeMap<Origin, OfCaller>,
}

impl AnsweredCalls {
    pub(crate) fn note(&mut self, caller: Origin, number: u64, record: Record) {
        let caller = self.callers.entry(caller).or_default();
        if number > caller.settled || record.taken.is_some() {
            caller.calls.entry((number, record.dot.origin)).or_insert(record);
        }
    }

    /// Whether anybody is known to have answered a call.
    pub(crate) fn has(&self, caller: Origin, number: u64) -> bool {
        let answers = |of: &OfCaller| of.calls.range((number, Origin(0))..=(number, Origin(u64::MAX))).next().is_some();
        self.callers.get(&caller).is_some_and(answers)
    }

    /// Whether a home is known to have answered a call.
    pub(crate) fn has_of(&self, caller: Origin, number: u64, home: Origin) -> bool {
        self.callers.get(&caller).is_some_and(|of| of.calls.contains_key(&(number, home)))
    }

    /// Whether the caller has said that it needs no answer any more.
    pub(crate) fn is_settled(&self, caller: Origin, number: u64) -> bool {
        self.callers.get(&caller).is_some_and(|caller| number <= caller.settled)
    }

    pub(crate) fn settle(&mut self, caller: Origin, through: u64) {
        let caller = self.callers.entry(caller).or_default();
        caller.settled = caller.settled.max(through);
        let settled = caller.settled;
        caller.calls.retain(|(number, _), record| *number > settled || record.taken.is_some());
    }

    /// Lets go of what a caller has settled and has applied.
    pub(crate) fn let_go(&mut self, caller: Origin, has_applied: impl Fn(Dot) -> bool) {
        if let Some(OfCaller { calls, settled }) = self.callers.get_mut(&caller) {
            calls.retain(|(number, _), record| *number > *settled || !has_applied(record.dot));
        }
    }

    /// Forgets a caller; returns what it was answered.
    pub(crate) fn take(&mut self, caller: Origin) -> Vec<(u64, Record)> {
        let calls = self.callers.remove(&caller).map(|of| of.calls).unwrap_or_default();
        calls.into_iter().map(|((number, _), record)| (number, record)).collect()
    }

    /// Forgets what a caller was answered, but not what was taken for it.
    pub(crate) fn keep_taken(&mut self, caller: Origin) {
        self.change(caller, |calls| calls.retain(|_, record| record.taken.is_some()));
    }

    /// Forgets that an operation answered a call of this node, which does not tell itself how far it has heard.
    pub(crate) fn remove(&mut self, caller: Origin, number: u64, dot: Dot) {
        self.change(caller, |calls| drop(calls.remove(&(number, dot.origin))));
    }

    /// A caller of whom nothing is left is let go.
    fn change(&mut self, caller: Origin, change: impl FnOnce(&mut BTreeMap<(u64, Origin), Record>)) {
        if let Some(OfCaller { calls, .. }) = self.callers.get_mut(&caller) {
            change(calls);
            if calls.is_empty() {
                self.callers.remove(&caller);
            }
        }
    }

    pub(crate) fn callers(&self) -> Vec<Origin> {
        self.callers.keys().copied().collect()
    }

    /// How many answers are kept for callers of which something is true.
    pub(crate) fn count(&self, of: impl Fn(Origin) -> bool) -> usize {
        self.callers.iter().filter(|(caller, _)| of(**caller)).map(|(_, caller)| caller.calls.len()).sum()
    }

    /// Up to where each caller has heard.
    pub(crate) fn settled(&self) -> impl Iterator<Item = (Origin, u64)> {
        self.callers.iter().map(|(caller, of)| (*caller, of.settled))
    }

    /// Records after one in order, for a snapshot that goes in pieces.
    pub(crate) fn after(&self, last: Option<AnswerKey>) -> impl Iterator<Item = (Origin, u64, &Record)> {
        let (caller, from) =
            last.map_or((Origin(0), Unbounded), |(caller, number, by)| (caller, Excluded((number, by))));
        let callers = self.callers.range(caller..);
        callers.flat_map(move |(at, of)| {
            let from = if *at == caller { from } else { Unbounded };
            of.calls.range((from, Unbounded)).map(|((number, _), record)| (*at, *number, record))
        })
    }
}
