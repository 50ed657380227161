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

use crate::checkers::handover::knows_the_first;
use crate::checkers::stability::is_quiet;
use crate::history::{Asked, History, Sample, Seen};
use crate::plan::HomeRequires;

/// Nodes are looked at at least as often as this.
const LOOKED_AT_EVERY_MS: u64 = 1_000;

/// A history, and when all held the same in it.
pub(super) struct Excuses<'a> {
    pub(super) history: &'a History,
    settled: Vec<Settled<'a>>,
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
        Self { history, settled }
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
            && knows_the_first(self.history, one, other, (from, to))
    }

    /// The same, whatever all had in between.
    pub(super) fn must_differ_at_once(&self, one: &Asked, other: &Asked) -> bool {
        let (from, by) = (one.at.min(other.at), span(one).1.max(span(other).1));
        self.is_undisputed(from, by)
    }

    /// Whether there is one home at a time, and each knows what the one before did.
    fn is_undisputed(&self, from: u64, by: u64) -> bool {
        is_quiet(self.history, from, by)
            || self.history.plan.settings.home_requires == HomeRequires::Majority && !self.lost_majority(from, by)
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

    /// When all held the same for the last time before `from`, if the same processes run and hold each other for Up until `to`.
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
        samples.all(is_steady).then_some(begin.at)
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
        let later = self.history.samples[after..].iter().take_while(|sample| sample.at <= to + LOOKED_AT_EVERY_MS);
        later.into_iter().any(|sample| {
            // What nobody has in his vector any more is forgotten, and some who join are not told of it.
            let is_forgotten = |origin: &Origin| !sample.running().any(|(_, seen)| seen.vector.contains_key(origin));
            let lacks = |seen: &Seen| {
                had.iter().any(|(origin, seq)| seen.knows(*origin).is_none_or(|it| it < *seq) && !is_forgotten(origin))
            };
            sample.running().any(|(_, seen)| seen.ready && !there.contains(&seen.origin) && lacks(seen))
        })
    }

    /// Whether all that had an answer may have ended, or somebody joined while the cluster was split, or began another. Who was ready then was counted.
    fn lost_majority(&self, from: u64, to: u64) -> bool {
        let history = self.history;
        let before = history.samples.iter().rfind(|sample| sample.at <= from);
        let there: BTreeSet<Origin> = before
            .into_iter()
            .flat_map(Sample::running)
            .filter(|(_, seen)| seen.ready)
            .map(|(_, seen)| seen.origin)
            .collect();
        let ended = there.iter().filter(|origin| history.ended(**origin).is_some_and(|until| until <= to)).count();
        let joined = history.processes.iter().filter(|process| process.from <= to).any(|process| {
            let mut around = history
                .samples
                .iter()
                .filter(|sample| sample.at + 10_000 >= process.from && sample.at <= process.from + 10_000);
            let has_joined_late =
                process.from > from || history.samples.iter().all(|sample| sample.at > from || !sample.is_whole());
            has_joined_late && around.any(|sample| is_split(sample, process.origin))
        });
        // Where nobody was ready yet, all that there was may be one who goes on alone, and ends.
        there.is_empty() || 2 * ended > there.len() || joined || self.has_another_root(&there, from, to)
    }

    /// Whether somebody was there, or became ready, who has met none of the others, nor anybody who has met them: it counts none of them.
    fn has_another_root(&self, there: &BTreeSet<Origin>, from: u64, to: u64) -> bool {
        let history = self.history;
        let Some(first) = there.first() else { return false };
        let mut rooted = self.acquaintances(*first, from);
        if !there.is_subset(&rooted) {
            return true;
        }
        for sample in history.samples.iter().filter(|sample| from < sample.at && sample.at <= to + LOOKED_AT_EVERY_MS) {
            for (_, seen) in sample.running().filter(|(_, seen)| seen.ready) {
                if rooted.contains(&seen.origin) {
                    continue;
                }
                if !seen.members.keys().any(|member| rooted.contains(member)) {
                    return true;
                }
                rooted.extend(history.lineage(seen.origin));
            }
        }
        false
    }

    /// All that somebody has met until then, and those whom these have met, with the origins under which they went on.
    fn acquaintances(&self, one: Origin, until: u64) -> BTreeSet<Origin> {
        let history = self.history;
        let met: Vec<&Seen> = history
            .samples
            .iter()
            .filter(|sample| sample.at <= until)
            .flat_map(Sample::running)
            .map(|(_, seen)| seen)
            .collect();
        let mut found: BTreeSet<Origin> = history.lineage(one).into_iter().collect();
        loop {
            let before = found.len();
            for seen in &met {
                let knows_some =
                    found.contains(&seen.origin) || seen.members.keys().any(|member| found.contains(member));
                if knows_some {
                    let both = seen.members.keys().chain([&seen.origin]);
                    found.extend(both.flat_map(|origin| history.lineage(*origin)));
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }
}

/// Whether some other two nodes that run are not together.
fn is_split(sample: &Sample, joiner: Origin) -> bool {
    let mut others = sample.clone();
    for seen in &mut others.nodes {
        if seen.as_ref().is_some_and(|seen| seen.origin == joiner || !seen.ready) {
            *seen = None;
        }
    }
    !others.is_whole()
}

impl Sample {
    /// Whether a process runs under this origin.
    fn runs(&self, origin: Origin) -> bool {
        self.running().any(|(_, seen)| seen.origin == origin)
    }
}
