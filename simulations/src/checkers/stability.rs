//! When a cluster was whole and nothing was wrong, and which process is which: what promises for stable times are measured by.
//!
//! Samples show moments; what the plan's faults did between them is known from the plan. A time is *quiet* when every sample of it is whole, no process
//! began or ended, and no fault was in force that can break a link or make anybody suspect anybody.

use std::cell::OnceCell;

use headcount::MemberState;
use headcount_cluster::Origin;

use crate::history::{End, History, Sample, Seen};
use crate::plan::{Fault, HomeRequires};

/// How long before and after a time nothing may be wrong for it to be quiet: as long as a silent link is believed in, and a sample more.
const MARGIN_MS: u64 = 5_000;

/// Nodes are looked at at least as often as this, and what is there is known from then on.
pub(super) const LOOKED_AT_EVERY_MS: u64 = 1_000;

/// The longest delay of messages that leaves links and the failure detector alone.
const LONGEST_DELAY_MS: u32 = 500;

impl Sample {
    /// The nodes that run.
    pub(super) fn running(&self) -> impl Iterator<Item = (usize, &Seen)> {
        self.nodes.iter().enumerate().filter_map(|(node, seen)| Some((node, seen.as_ref()?)))
    }

    /// Whether the nodes that run are ready, hold each other for Up, are linked, and none stands still or loads.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole_for(|_| true)
    }

    /// The same, whoever loads.
    pub(super) fn is_whole_but_for_loads(&self) -> bool {
        self.are_together(|_| true)
    }

    /// The same as [`is_whole`](Self::is_whole) of some of them.
    pub(super) fn is_whole_for(&self, counts: impl Fn(&Seen) -> bool) -> bool {
        self.running().all(|(_, seen)| !counts(seen) || !seen.loading) && self.are_together(counts)
    }

    fn are_together(&self, counts: impl Fn(&Seen) -> bool) -> bool {
        let holds = |seen: &Seen, other: &Seen| {
            seen.origin == other.origin
                || (seen.members.get(&other.origin) == Some(&MemberState::Up)
                    && seen.linked.binary_search(&other.origin).is_ok())
        };
        let counted = || self.running().map(|(_, seen)| seen).filter(|seen| counts(seen));
        counted().all(|seen| seen.ready && !seen.paused && counted().all(|other| holds(seen, other)))
    }
}

impl History {
    /// An origin, and those under which its process went on.
    pub(super) fn lineage(&self, origin: Origin) -> Vec<Origin> {
        let mut lineage = vec![origin];
        let mut processes = self.processes.iter().skip_while(|process| process.origin != origin);
        let Some(mut process) = processes.next() else { return lineage };
        for next in processes {
            let goes_on = matches!(process.until, Some((_, End::Reincarnated)));
            if goes_on && next.node == process.node {
                lineage.push(next.origin);
                process = next;
            }
        }
        lineage
    }

    /// The samples before a time. They are in order.
    pub(super) fn before(&self, at: u64) -> &[Sample] {
        &self.samples[..self.samples.partition_point(|sample| sample.at < at)]
    }

    /// The samples until a time.
    pub(super) fn until(&self, at: u64) -> &[Sample] {
        &self.samples[..self.samples.partition_point(|sample| sample.at <= at)]
    }

    /// The samples from one time to another.
    pub(super) fn within(&self, from: u64, to: u64) -> &[Sample] {
        self.until(to).get(self.before(from).len()..).unwrap_or_default()
    }

    /// Whether as many nodes run in a sample as homes require.
    pub(super) fn has_majority(&self, sample: &Sample) -> bool {
        match self.plan.settings.home_requires {
            HomeRequires::Any => true,
            HomeRequires::Majority => 2 * sample.running().count() > self.plan.nodes,
        }
    }

    /// When the process of an origin ended, under whatever incarnation; `None` when it ran to the end.
    pub(super) fn ended(&self, origin: Origin) -> Option<u64> {
        let last = *self.lineage(origin).last()?;
        self.processes.iter().find(|process| process.origin == last)?.until.map(|(until, _)| until)
    }
}

/// What was wrong when in a history. What does not depend on the times that are asked for is found out once, because it is asked of every two answers.
pub(super) struct Stability<'a> {
    pub(super) history: &'a History,
    /// When processes began and ended, in order.
    turns: Vec<u64>,
    faults: Spans,
    /// The faults that are more than a process's beginning or end.
    disturbances: Spans,
    /// Of each sample, how many until then were not whole.
    apart: OnceCell<Vec<usize>>,
}

impl<'a> Stability<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let faults: Vec<(u64, &Fault)> = history.plan.faults().collect();
        let spans: Vec<(u64, u64, &Fault)> =
            faults.iter().map(|(at, fault)| (*at, until(&faults, history.calm_at, *at, fault), *fault)).collect();
        let is_of_processes = |fault: &Fault| {
            matches!(fault, Fault::Start { .. } | Fault::Crash { .. } | Fault::PowerOff { .. } | Fault::Leave { .. })
        };
        let turns = history.processes.iter().flat_map(|process| [Some(process.from), process.until.map(|(at, _)| at)]);
        let mut turns: Vec<u64> = turns.flatten().collect();
        turns.sort_unstable();
        Self {
            history,
            turns,
            faults: Spans::of(spans.iter().map(|(at, until, _)| (*at, *until))),
            disturbances: Spans::of(
                spans.iter().filter(|(.., fault)| !is_of_processes(fault)).map(|(at, until, _)| (*at, *until)),
            ),
            apart: OnceCell::new(),
        }
    }

    /// Whether the cluster was whole and undisturbed from one time to another.
    pub(super) fn is_quiet(&self, from: u64, to: u64) -> bool {
        self.is_whole_and_steady(from.saturating_sub(MARGIN_MS), to + MARGIN_MS)
    }

    /// The same, whatever went wrong once that time was over: what was done by then was done without it.
    pub(super) fn is_quiet_so_far(&self, from: u64, to: u64) -> bool {
        self.is_whole_and_steady(from.saturating_sub(MARGIN_MS), to)
    }

    fn is_whole_and_steady(&self, begin: u64, end: u64) -> bool {
        !self.faults.any_in_force(begin, end)
            && self.turns.partition_point(|at| *at < begin) >= self.turns.partition_point(|at| *at <= end)
            && self.is_seen_whole(begin, end)
            && !self.breaks_a_snapshot(begin, end)
    }

    /// Whether no fault was in force, from one time to another, that can break or hold up anything between processes that live.
    pub(super) fn is_undisturbed(&self, from: u64, to: u64) -> bool {
        let is_over = from.checked_sub(MARGIN_MS).is_some_and(|begin| !self.disturbances.any_in_force(begin, to));
        (is_over || !self.disturbances.any_begun(to)) && !self.breaks_a_snapshot(from.saturating_sub(MARGIN_MS), to)
    }

    /// Whether no more happened than that processes began and left.
    pub(super) fn is_orderly(&self, from: u64, to: u64) -> bool {
        let died = |(at, fault): (u64, &Fault)| {
            from <= at + MARGIN_MS && at <= to && matches!(fault, Fault::Crash { .. } | Fault::PowerOff { .. })
        };
        self.is_undisturbed(from, to) && !self.history.plan.faults().any(died)
    }

    /// Whether somebody looked at these times, and all samples were whole.
    fn is_seen_whole(&self, from: u64, to: u64) -> bool {
        let samples = &self.history.samples;
        let apart = self.apart.get_or_init(|| {
            let apart = samples.iter().scan(0, |apart, sample| {
                *apart += usize::from(!sample.is_whole());
                Some(*apart)
            });
            apart.collect()
        });
        let (before, end) = (self.history.before(from).len(), self.history.until(to).len());
        let until = |end: usize| end.checked_sub(1).map_or(0, |last| apart[last]);
        before < end && until(before) == until(end)
    }

    /// Whether a snapshot was broken by a fault, which breaks a link for a moment, between the samples around these times.
    fn breaks_a_snapshot(&self, from: u64, to: u64) -> bool {
        let samples = &self.history.samples;
        let broken = |sample: Option<&Sample>| sample.map(|sample| sample.broken_snapshots);
        let first = self.history.before(from).last().or(samples.first());
        let last = samples.get(self.history.until(to).len()).or(samples.last());
        broken(first) != broken(last)
    }
}

/// Times that may overlap: of each, in the order of their beginnings, when it begins, and the last end until then.
struct Spans(Vec<(u64, u64)>);

impl Spans {
    fn of(spans: impl Iterator<Item = (u64, u64)>) -> Self {
        let last_ends = spans.scan(0, |last, (at, until)| {
            *last = until.max(*last);
            Some((at, *last))
        });
        Self(last_ends.collect())
    }

    /// Whether any has begun by a time.
    fn any_begun(&self, by: u64) -> bool {
        self.0.first().is_some_and(|(at, _)| *at <= by)
    }

    /// Whether any has begun by the second time and not ended before the first.
    fn any_in_force(&self, from: u64, to: u64) -> bool {
        let begun = &self.0[..self.0.partition_point(|(at, _)| *at <= to)];
        begun.last().is_some_and(|(_, end)| *end >= from)
    }
}

/// Until when a fault can break or hold up something.
fn until(faults: &[(u64, &Fault)], calm_at: u64, at: u64, fault: &Fault) -> u64 {
    let healed = calm_at.max(at);
    let ends = |ends: &dyn Fn(&Fault) -> bool| {
        let later = &faults[faults.partition_point(|(then, _)| *then < at)..];
        let end = later.iter().find(|(_, other)| *other != fault && ends(other));
        end.map_or(healed, |(then, _)| *then)
    };
    match *fault {
        Fault::Pause { node } => {
            ends(&|other| [Fault::Resume { node }, Fault::Crash { node }, Fault::PowerOff { node }].contains(other))
        }
        Fault::Cut { from, to } => ends(&|other| *other == Fault::Mend { from, to }),
        Fault::Narrow { from, to, .. } => ends(&|other| *other == Fault::Widen { from, to }),
        Fault::Delay { max_ms, .. } if max_ms <= LONGEST_DELAY_MS => 0,
        // What was sent last is still under way then.
        Fault::Delay { from, to, max_ms, .. } => {
            let is_other =
                |other: &Fault| matches!(*other, Fault::Delay { from: f, to: t, .. } if (f, t) == (from, to));
            ends(&is_other) + u64::from(max_ms)
        }
        Fault::Lose { from, to, percent } => {
            let is_other = |other: &Fault| matches!(*other, Fault::Lose { from: f, to: t, percent: p } if (f, t) == (from, to) && p != percent);
            if percent == 0 { 0 } else { ends(&is_other) }
        }
        // What is stuck keeps its time of arrival, whatever comes later.
        Fault::Clog { ms, .. } => at + u64::from(ms),
        Fault::Start { .. }
        | Fault::Crash { .. }
        | Fault::PowerOff { .. }
        | Fault::Leave { .. }
        | Fault::Resume { .. }
        | Fault::Mend { .. }
        | Fault::Widen { .. } => at,
        // Datagrams that come twice and clocks that are wrong break nothing, and a snapshot breaks when one passes: see `breaks_a_snapshot`.
        Fault::Repeat { .. } | Fault::SetClock { .. } | Fault::BreakSnapshot { .. } => 0,
    }
}
