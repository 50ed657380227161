//! When a cluster was whole and nothing was wrong, and which process is which: what promises for stable times are measured by.
//!
//! Samples show moments; what the plan's faults did between them is known from the plan. A time is *quiet* when every sample of it is whole, no process
//! began or ended, and no fault was in force that can break a link or make anybody suspect anybody.

use headcount::MemberState;
use headcount_cluster::Origin;

use crate::history::{End, History, Process, Sample, Seen};
use crate::plan::Fault;

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

    /// The same of some of them.
    pub(super) fn is_whole_for(&self, counts: impl Fn(&Seen) -> bool) -> bool {
        let holds = |seen: &Seen, other: &Seen| {
            seen.origin == other.origin
                || (seen.members.get(&other.origin) == Some(&MemberState::Up)
                    && seen.linked.binary_search(&other.origin).is_ok())
        };
        let counted = || self.running().map(|(_, seen)| seen).filter(|seen| counts(seen));
        counted().all(|seen| seen.ready && !seen.paused && !seen.loading && counted().all(|other| holds(seen, other)))
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

    /// When the process of an origin ended, under whatever incarnation; `None` when it ran to the end.
    pub(super) fn ended(&self, origin: Origin) -> Option<u64> {
        let last = *self.lineage(origin).last()?;
        self.processes.iter().find(|process| process.origin == last)?.until.map(|(until, _)| until)
    }
}

/// Whether the cluster was whole and undisturbed from one time to another.
pub(super) fn is_quiet(history: &History, from: u64, to: u64) -> bool {
    is_whole_and_steady(history, from.saturating_sub(MARGIN_MS), to + MARGIN_MS)
}

/// The same, whatever went wrong once that time was over: what was done by then was done without it.
pub(super) fn is_quiet_so_far(history: &History, from: u64, to: u64) -> bool {
    is_whole_and_steady(history, from.saturating_sub(MARGIN_MS), to)
}

fn is_whole_and_steady(history: &History, begin: u64, end: u64) -> bool {
    let steady = |process: &Process| {
        let is_within = |at: u64| begin <= at && at <= end;
        !is_within(process.from) && process.until.is_none_or(|(until, _)| !is_within(until))
    };
    let mut samples = within(history, begin, end).iter().peekable();
    samples.peek().is_some()
        && samples.all(Sample::is_whole)
        && history.processes.iter().all(steady)
        && history.plan.faults().all(|(at, fault)| at > end || until(history, at, fault) < begin)
        && !breaks_a_snapshot(history, begin, end)
}

/// Whether no fault was in force, from one time to another, that can break or hold up anything between processes that live.
pub(super) fn is_undisturbed(history: &History, from: u64, to: u64) -> bool {
    let is_of_processes = |fault: &Fault| {
        matches!(fault, Fault::Start { .. } | Fault::Crash { .. } | Fault::PowerOff { .. } | Fault::Leave { .. })
    };
    let mut faults = history.plan.faults().filter(|(_, fault)| !is_of_processes(fault));
    faults.all(|(at, fault)| at > to || until(history, at, fault) + MARGIN_MS < from)
        && !breaks_a_snapshot(history, from.saturating_sub(MARGIN_MS), to)
}

/// The samples from one time to another. They are in order, and this is asked of every answer.
fn within(history: &History, from: u64, to: u64) -> &[Sample] {
    let first = history.samples.partition_point(|sample| sample.at < from);
    let end = history.samples.partition_point(|sample| sample.at <= to);
    &history.samples[first.min(end)..end]
}

/// Whether a snapshot was broken by a fault, which breaks a link for a moment, between the samples around these times.
fn breaks_a_snapshot(history: &History, from: u64, to: u64) -> bool {
    let broken = |sample: Option<&Sample>| sample.map(|sample| sample.broken_snapshots);
    let first = history.samples.partition_point(|sample| sample.at < from).saturating_sub(1);
    let after = history.samples.partition_point(|sample| sample.at <= to);
    let last = history.samples.get(after).or(history.samples.last());
    broken(history.samples.get(first)) != broken(last)
}

/// Until when a fault can break or hold up something.
fn until(history: &History, at: u64, fault: &Fault) -> u64 {
    let healed = history.calm_at.max(at);
    let ends = |ends: &dyn Fn(&Fault) -> bool| {
        let later = history.plan.faults().find(|(then, other)| *then >= at && *other != fault && ends(other));
        later.map_or(healed, |(then, _)| then)
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
