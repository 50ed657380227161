//! When a cluster was whole and nothing was wrong, and which process is which: what promises for stable times are measured by.
//!
//! Samples show moments; what the plan's faults did between them is known from the plan. A time is *quiet* when every sample of it is whole, no process
//! began or ended, and no fault was in force that can break a link or make anybody suspect anybody. It is quiet *between two* nodes when all that
//! is so of these two and of what lies between them, whatever happens to others: a time that is quiet is quiet between any two that run.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

use headcount::MemberState;
use headcount::node::LEAVE_DEADLINE;
use headcount_cluster::Origin;

use crate::history::{Asked, End, History, Process, Sample, Seen};
use crate::plan::{Ask, Fault, HomeRequires, Via};

/// How long before and after a time nothing may be wrong for it to be quiet: as long as a silent link is believed in, and a sample more.
const MARGIN_MS: u64 = 5_000;

/// Nodes are looked at at least as often as this, and what is there is known from then on.
pub(super) const LOOKED_AT_EVERY_MS: u64 = 1_000;

/// How long a process that leaves may still be there.
const LEAVES_WITHIN_MS: u64 = LEAVE_DEADLINE.as_millis() as u64;

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
        are_together(|| self.running().map(|(_, seen)| seen).filter(|seen| counts(seen)))
    }

    /// Whether two nodes run, are ready, hold each other for Up, are linked, and neither stands still.
    fn has_both(&self, pair: [usize; 2]) -> bool {
        let seen = || pair.iter().filter_map(|node| self.nodes[*node].as_ref());
        seen().count() == pair.len() && are_together(seen)
    }
}

fn are_together<'a, I: Iterator<Item = &'a Seen>>(counted: impl Fn() -> I) -> bool {
    let holds = |seen: &Seen, other: &Seen| {
        seen.origin == other.origin
            || (seen.members.get(&other.origin) == Some(&MemberState::Up)
                && seen.linked.binary_search(&other.origin).is_ok())
    };
    counted().all(|seen| seen.ready && !seen.paused && counted().all(|other| holds(seen, other)))
}

impl Process {
    /// Whether it took what came at some moment or later. Who leaves takes it until it has said goodbye, and is not looked at any more.
    pub(super) fn was_there(&self, at: u64) -> bool {
        self.until.is_none_or(|(until, end)| at <= until + if end == End::Left { LEAVES_WITHIN_MS } else { 0 })
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

    /// The later asks by which a client ended the session of this one; none if this is no session's.
    pub(super) fn ends_of_session<'a>(&'a self, by: &'a Asked) -> impl Iterator<Item = &'a Asked> {
        let is_of_session = matches!(by.ask, Ask::Command { via: Via::Session, .. });
        let later = is_of_session.then(|| self.asked.iter().skip_while(|asked| !std::ptr::eq(*asked, by)));
        let ends = |asked: &&Asked| asked.client == by.client && asked.at >= by.at && asked.ask == Ask::EndSession;
        later.into_iter().flatten().filter(ends)
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
    /// The faults, each with its time and until when it can break or hold up something.
    faults: Vec<(u64, u64, &'a Fault)>,
    /// The faults that are more than a process's beginning or end.
    disturbances: Spans,
    /// All nodes.
    all: Company,
    /// Two nodes each, as far as they were asked for.
    pairs: RefCell<BTreeMap<[usize; 2], Company>>,
}

impl<'a> Stability<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let planned: Vec<(u64, &Fault)> = history.plan.faults().collect();
        let ends = |at: u64, fault: &Fault| until(&planned, history.calm_at, at, fault);
        let faults: Vec<(u64, u64, &Fault)> =
            planned.iter().map(|(at, fault)| (*at, ends(*at, fault), *fault)).collect();
        let is_of_processes = |fault: &Fault| {
            matches!(fault, Fault::Start { .. } | Fault::Crash { .. } | Fault::PowerOff { .. } | Fault::Leave { .. })
        };
        Self {
            history,
            disturbances: Spans::of(faults.iter().filter(|(.., fault)| !is_of_processes(fault))),
            all: Company::of(history, &faults, None),
            pairs: RefCell::default(),
            faults,
        }
    }

    /// Whether the cluster was whole and undisturbed from one time to another.
    pub(super) fn is_quiet(&self, from: u64, to: u64) -> bool {
        self.all.is_steady(self.history, from.saturating_sub(MARGIN_MS), to + MARGIN_MS)
    }

    /// The same, whatever went wrong once that time was over: what was done by then was done without it.
    pub(super) fn is_quiet_so_far(&self, from: u64, to: u64) -> bool {
        self.all.is_steady(self.history, from.saturating_sub(MARGIN_MS), to)
    }

    /// The same of two nodes, which may be one and the same, and of what lies between them, whatever goes wrong elsewhere. They may load a snapshot:
    /// who does lacks what is in it, and hears the other all the same.
    pub(super) fn is_quiet_between(&self, one: usize, other: usize, from: u64, to: u64) -> bool {
        let pair = [one.min(other), one.max(other)];
        let mut pairs = self.pairs.borrow_mut();
        let company = pairs.entry(pair).or_insert_with(|| Company::of(self.history, &self.faults, Some(pair)));
        company.is_steady(self.history, from.saturating_sub(MARGIN_MS), to)
    }

    /// Whether no fault was in force, from one time to another, that can break or hold up anything between processes that live.
    pub(super) fn is_undisturbed(&self, from: u64, to: u64) -> bool {
        let is_over = from.checked_sub(MARGIN_MS).is_some_and(|begin| !self.disturbances.any_in_force(begin, to));
        (is_over || !self.disturbances.any_begun(to))
            && !self.all.breaks_a_snapshot(self.history, from.saturating_sub(MARGIN_MS), to)
    }

    /// Whether no more happened than that processes began and left.
    pub(super) fn is_orderly(&self, from: u64, to: u64) -> bool {
        let died = |(at, fault): (u64, &Fault)| {
            from <= at + MARGIN_MS && at <= to && matches!(fault, Fault::Crash { .. } | Fault::PowerOff { .. })
        };
        self.is_undisturbed(from, to) && !self.history.plan.faults().any(died)
    }
}

/// Nodes, all or two of them, and when something was wrong among them.
struct Company {
    /// Which; `None` for all.
    pair: Option<[usize; 2]>,
    /// When their processes began and ended, in order.
    turns: Vec<u64>,
    faults: Spans,
    /// Since when a fault may break a snapshot between them.
    breaks_from: Option<u64>,
    /// Of each sample, how many until then were not whole.
    apart: OnceCell<Vec<usize>>,
}

impl Company {
    fn of(history: &History, faults: &[(u64, u64, &Fault)], pair: Option<[usize; 2]>) -> Self {
        let own = || faults.iter().filter(|(.., fault)| pair.is_none_or(|pair| is_among(pair, fault)));
        let processes = history.processes.iter().filter(|process| pair.is_none_or(|pair| pair.contains(&process.node)));
        let turns = processes.flat_map(|process| [Some(process.from), process.until.map(|(at, _)| at)]);
        let mut turns: Vec<u64> = turns.flatten().collect();
        turns.sort_unstable();
        let mut breaks = own().filter(|(.., fault)| matches!(fault, Fault::BreakSnapshot { .. }));
        let breaks_from = breaks.next().map(|(at, ..)| *at);
        Self { pair, turns, faults: Spans::of(own()), breaks_from, apart: OnceCell::new() }
    }

    fn is_steady(&self, history: &History, begin: u64, end: u64) -> bool {
        !self.faults.any_in_force(begin, end)
            && self.turns.partition_point(|at| *at < begin) >= self.turns.partition_point(|at| *at <= end)
            && self.is_seen_whole(history, begin, end)
            && !self.breaks_a_snapshot(history, begin, end)
    }

    /// Whether somebody looked at these times, and all samples were whole.
    fn is_seen_whole(&self, history: &History, from: u64, to: u64) -> bool {
        let is_whole = |sample: &Sample| self.pair.map_or_else(|| sample.is_whole(), |pair| sample.has_both(pair));
        let apart = self.apart.get_or_init(|| {
            let apart = history.samples.iter().scan(0, |apart, sample| {
                *apart += usize::from(!is_whole(sample));
                Some(*apart)
            });
            apart.collect()
        });
        let (before, end) = (history.before(from).len(), history.until(to).len());
        let until = |end: usize| end.checked_sub(1).map_or(0, |last| apart[last]);
        before < end && until(before) == until(end)
    }

    /// Whether a snapshot may have been broken among them by a fault, which breaks a link for a moment, between the samples around these times. Whose
    /// it was is not known.
    fn breaks_a_snapshot(&self, history: &History, from: u64, to: u64) -> bool {
        let broken = |sample: Option<&Sample>| sample.map(|sample| sample.broken_snapshots);
        let first = || history.before(from).last().or(history.samples.first());
        let last = || history.samples.get(history.until(to).len()).or(history.samples.last());
        self.breaks_from.is_some_and(|begun| begun <= to) && broken(first()) != broken(last())
    }
}

/// Whether a fault is one of two nodes, or of what lies between them.
fn is_among(pair: [usize; 2], fault: &Fault) -> bool {
    let (from, to) = fault.ends();
    pair.contains(&from) && pair.contains(&to)
}

/// Times that may overlap: of each, in the order of their beginnings, when it begins, and the last end until then.
struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Those of faults.
    fn of<'a>(faults: impl Iterator<Item = &'a (u64, u64, &'a Fault)>) -> Self {
        let last_ends = faults.scan(0, |last, (at, until, _)| {
            *last = (*until).max(*last);
            Some((*at, *last))
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
