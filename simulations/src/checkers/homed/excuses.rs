//! When two answers of a key's home had to differ: what excuses a home that gives one again.
//!
//! Between two answers that are given while all is quiet, none does. Under `majority` the README names what does: more than half of the nodes that were there ended
//! (all that had the first may be among those), somebody joined a split cluster, or somebody started where it reached none of the others and went on alone. Under
//! `any` whatever parts nodes does, and coming and going only where who was answered first has ended ([`handover`](crate::checkers::handover)). But once all that
//! run were together after the first answer and held the same, so that each of them has it, all of that is over, whatever is required: then only somebody who is
//! ready without what they had, or the end of all of them, is an excuse.

use std::collections::{BTreeMap, BTreeSet};

use headcount::MemberState;
use headcount_cluster::Origin;

use super::majority::Majority;
use crate::checkers::clocks::Clocks;
use crate::checkers::handover::knows_the_first;
use crate::checkers::stability::{LOOKED_AT_EVERY_MS, Stability};
use crate::history::{Asked, History, Readied, Sample, Seen};
use crate::plan::HomeRequires;

/// A history, and when all held the same in it.
pub(super) struct Excuses<'a> {
    pub(super) history: &'a History,
    pub(super) clocks: Clocks,
    settled: Vec<Settled<'a>>,
    majority: Majority<'a>,
    stability: Stability<'a>,
}

/// A moment at which all that ran were together and held the same.
struct Settled<'a> {
    sample: &'a Sample,
    /// Equal for moments from one to the next of which some process lived: what all had at the first, all have at the last.
    age: usize,
}

/// When something was asked and, if ever, answered.
pub(super) fn span(asked: &Asked) -> (u64, u64) {
    (asked.at, asked.answer.as_ref().map_or(asked.at, |(at, _)| *at))
}

impl<'a> Excuses<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut settled: Vec<Settled<'a>> = Vec::new();
        let is_settled = |sample: &&Sample| sample.is_whole() && sample.holds_the_same();
        for sample in history.samples.iter().filter(is_settled) {
            let age = settled.last().map_or(0, |former| {
                let lives =
                    |(_, seen): (usize, &Seen)| history.lineage(seen.origin).iter().any(|origin| sample.runs(*origin));
                former.age + usize::from(!former.sample.running().any(lives))
            });
            settled.push(Settled { sample, age });
        }
        let (clocks, stability) = (Clocks::of(history), Stability::of(history));
        Self { history, clocks, settled, majority: Majority::of(history), stability }
    }

    /// Whether two answers had to differ.
    pub(super) fn must_differ(&self, one: &Asked, other: &Asked) -> bool {
        let (first, second) = if span(one).1 <= span(other).1 { (one, other) } else { (other, one) };
        self.is_in_force(first, second.at, span(second).1) || self.is_handed_over(one, other)
    }

    /// Whether no more than coming and going lay between two answers, and who was answered first lived on.
    fn is_handed_over(&self, one: &Asked, other: &Asked) -> bool {
        let (from, to) = (one.at.min(other.at), span(one).1.max(span(other).1));
        self.history.plan.settings.home_requires == HomeRequires::Any
            && knows_the_first(&self.stability, one, other, (from, to))
    }

    /// The same, whatever all had in between.
    pub(super) fn must_differ_at_once(&self, one: &Asked, other: &Asked) -> bool {
        let (from, by) = (one.at.min(other.at), span(one).1.max(span(other).1));
        self.is_undisputed(from, by)
    }

    /// Whether the cluster was whole and undisturbed from one time to another.
    pub(super) fn is_quiet(&self, from: u64, to: u64) -> bool {
        self.stability.is_quiet(from, to)
    }

    /// Whether as many nodes ran from one time to another as homes require: those that died before still count.
    pub(super) fn has_majority(&self, from: u64, to: u64) -> bool {
        self.history.within(from, to).iter().all(|sample| self.history.has_majority(sample))
    }

    /// Whether no more happened from one time to another than that processes began and left.
    pub(super) fn is_orderly(&self, from: u64, to: u64) -> bool {
        self.stability.is_orderly(from, to)
    }

    /// Whether somebody asked one home only, which carried it out once.
    pub(super) fn is_done_once(&self, asked: &Asked) -> bool {
        let (from, by) = span(asked);
        self.stability.is_quiet_so_far(from, by) || self.is_undisputed(from, by)
    }

    /// Whether there is one home at a time, and each knows what the one before did.
    fn is_undisputed(&self, from: u64, by: u64) -> bool {
        self.is_quiet(from, by)
            || self.history.plan.settings.home_requires == HomeRequires::Majority && !self.majority.is_lost(from, by)
    }

    /// Whether whoever carried out, by then, what was asked at some moment had to know what somebody else was answered.
    pub(super) fn is_in_force(&self, answered: &Asked, at: u64, by: u64) -> bool {
        self.is_undisputed(answered.at.min(at), by)
            || self.had_by_all(answered, at).is_some_and(|since| !self.is_lost(since, by))
    }

    /// Whether whoever asks had what an answer stands for when all had it, and nothing was lost of that.
    pub(super) fn was_had_by(&self, asks: &Asked, answered: &Asked) -> bool {
        let is_same =
            |seen: &Seen| asks.process.is_some_and(|process| self.history.lineage(seen.origin).contains(&process));
        self.had_by_all(answered, asks.at)
            .is_some_and(|since| since.running().any(|(_, seen)| is_same(seen)) && !self.is_lost(since, asks.at))
    }

    /// When all held the same for the last time before then.
    pub(super) fn settled_before(&self, at: u64) -> Option<u64> {
        let until = self.settled.partition_point(|settled| settled.sample.at < at);
        Some(self.settled[..until].last()?.sample.at)
    }

    /// When all held the same for the last time before `from`, if the same processes run and hold each other for Up until `to`, between samples too.
    pub(super) fn steady_since(&self, from: u64, to: u64) -> Option<u64> {
        let begin = self.settled[..self.settled.partition_point(|settled| settled.sample.at <= from)].last()?.sample;
        let there: Vec<Origin> = begin.running().map(|(_, seen)| seen.origin).collect();
        let is_steady = |sample: &Sample| {
            let holds_all = |seen: &Seen| {
                there.iter().all(|other| seen.origin == *other || seen.members.get(other) == Some(&MemberState::Up))
            };
            sample.running().map(|(_, seen)| seen.origin).eq(there.iter().copied())
                && sample.running().all(|(_, seen)| holds_all(seen))
        };
        let after = self.history.samples.partition_point(|sample| sample.at < begin.at);
        let mut samples = self.history.samples[after..].iter().take_while(|sample| sample.at <= to);
        // Who goes Down between the last of these and `to` is counted in the next.
        let next = self.history.samples.iter().find(|sample| sample.at >= to).or(self.history.samples.last())?;
        let suspects = |(node, before): (usize, &Seen)| {
            let goes_on = next.nodes[node].as_ref().filter(|seen| seen.origin == before.origin);
            goes_on.is_some_and(|seen| seen.suspicions > before.suspicions)
        };
        (samples.all(is_steady) && !begin.running().any(suspects)).then_some(begin.at)
    }

    /// The last time before then at which all that ran had what an answer stands for: its caller has it when it is answered.
    fn had_by_all(&self, answered: &Asked, by: u64) -> Option<&'a Sample> {
        let (at, _) = answered.answer.as_ref()?;
        let lineage = self.history.lineage(answered.process?);
        let after = self.settled.partition_point(|settled| settled.sample.at < *at);
        let until = self.settled.partition_point(|settled| settled.sample.at <= by);
        let settled = self.settled.get(after..until)?;
        let has_it = |settled: &&Settled| lineage.iter().any(|origin| settled.sample.runs(*origin));
        let first = settled.iter().find(has_it)?;
        settled.iter().rfind(|last| last.age == first.age).map(|last| last.sample)
    }

    /// Whether what all had at a moment may be lost, or unknown to somebody who serves: all that had it have ended, or one is ready that has not all of it.
    fn is_lost(&self, since: &Sample, to: u64) -> bool {
        let there: BTreeSet<Origin> = since.running().map(|(_, seen)| seen.origin).collect();
        if there.iter().all(|origin| self.history.ended(*origin).is_some_and(|until| until <= to)) {
            return true;
        }
        let had: BTreeMap<Origin, u64> =
            since.running().next().map(|(_, seen)| seen.vector.clone()).unwrap_or_default();
        let after = self.history.samples.partition_point(|sample| sample.at <= since.at);
        let later = &self.history.samples[after..];
        // What nobody has in his vector any more is forgotten, and some who join are not told of it.
        let is_forgotten =
            |origin: &Origin, then: &Sample| !then.running().any(|(_, seen)| seen.vector.contains_key(origin));
        let lacks = |knows: &dyn Fn(Origin) -> Option<u64>, then: &Sample| {
            had.iter().any(|(origin, seq)| knows(*origin).is_none_or(|it| it < *seq) && !is_forgotten(origin, then))
        };
        let readied = self.history.readied.iter().filter(|it| since.at <= it.at && it.at <= to);
        let lacks_at_first = |it: &Readied| {
            let before = self.history.until(it.at).last();
            before.is_some_and(|before| lacks(&|origin| it.knew.get(&origin).copied(), before))
        };
        let lacks_later = |sample: &Sample| {
            let joiners = sample.running().filter(|(_, seen)| seen.ready && !there.contains(&seen.origin));
            joiners.into_iter().any(|(_, seen)| lacks(&|origin| seen.knows(origin), sample))
        };
        readied.filter(|it| !there.contains(&it.origin)).any(lacks_at_first)
            || later.iter().take_while(|sample| sample.at <= to + LOOKED_AT_EVERY_MS).any(lacks_later)
    }
}

impl Sample {
    /// Whether a process runs under this origin.
    fn runs(&self, origin: Origin) -> bool {
        self.running().any(|(_, seen)| seen.origin == origin)
    }
}
