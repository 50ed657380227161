//! G2: no row of an owner that is Down or Gone is visible, at whoever holds it so; and at the end none of a process that ended.
//!
//! The layer above membership hears of a change a turn later, so a node is judged by a standing that it has had for [`NOTICED_MS`].
//! A session's rows are gone everywhere a while after its end. And nobody is held for Up who has been dead for [`DETECTED_MS`].

use std::collections::BTreeMap;

use headcount::MemberState;
use headcount_cluster::Origin;

use super::owned::{self, Glance, Owned};
use super::stability::Stability;
use super::{Verdict, convergence};
use crate::history::{End, History, Process, Sample, Seen};

/// How long a change of membership may take to be seen by readers of the same node.
const NOTICED_MS: u64 = 200;

/// How long who is dead may be held for Up by a node that does not stand still, while no link is held up: about three seconds, and longer where what it heard before came seldom.
const DETECTED_MS: u64 = 10_000;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("G2", "no row of a Gone owner is visible anywhere");
    let mut ownerless: BTreeMap<Vec<Origin>, Vec<Moment>> = BTreeMap::new();
    for owned in owned::rows(history).into_iter().filter(|owned| owned.is_alone) {
        let moments = ownerless.entry(owned.owners.clone()).or_insert_with(|| without_owner(history, &owned));
        while_it_ran(&owned, moments, &mut verdict);
        at_the_end(history, &owned, &mut verdict);
    }
    let (stability, awake) = (Stability::of(history), awake_since(history));
    for process in &history.processes {
        held_for_up(&stability, &awake, process, &mut verdict);
    }
    verdict
}

/// Of each sample, since which one each node that runs has gone on, by its process, without standing still.
fn awake_since(history: &History) -> Vec<Vec<usize>> {
    let mut since: Vec<Vec<usize>> = Vec::with_capacity(history.samples.len());
    for (index, sample) in history.samples.iter().enumerate() {
        let began = sample.nodes.iter().enumerate().map(|(node, seen)| {
            let goes_on = |former: &usize| {
                let before = history.samples[former - 1].nodes[node].as_ref();
                seen.as_ref().zip(before).is_some_and(|(seen, before)| !seen.paused && seen.origin == before.origin)
            };
            Some(index).filter(|index| *index > 0).filter(goes_on).map_or(index, |index| since[index - 1][node])
        });
        let began = began.collect();
        since.push(began);
    }
    since
}

/// Who has ended is not held for Up for long.
fn held_for_up(stability: &Stability, awake_since: &[Vec<usize>], process: &Process, verdict: &mut Verdict) {
    let Some((until, End::Died | End::Left)) = process.until else { return };
    let samples = &stability.history.samples;
    let after = stability.history.before(until).len();
    for (index, sample) in samples.iter().enumerate().skip(stability.history.before(until + DETECTED_MS).len()) {
        for (node, seen) in sample.running() {
            let since = samples[awake_since[index][node].max(after)].at;
            if sample.at < since + DETECTED_MS {
                continue;
            }
            let is_up = seen.members.get(&process.origin) == Some(&MemberState::Up);
            // What was held up on its way is heard late, and is a sign of life then.
            let is_late = is_up && stability.is_undisturbed(sample.at - DETECTED_MS, sample.at);
            verdict.judge(!is_late, sample.at, || {
                format!(
                    "n{node} ({}) holds {} of n{} for Up, which ended at {until} ms",
                    seen.origin, process.origin, process.node
                )
            });
        }
    }
}

/// A sample in which a node, by its process, had no live owner of a row and did not stand still.
struct Moment<'a> {
    sample: &'a Sample,
    node: usize,
    seen: &'a Seen,
    /// The same for those between which nothing changed in that.
    stretch: usize,
}

/// When nodes had no live owner of a row, in the order of samples.
fn without_owner<'a>(history: &'a History, owned: &Owned) -> Vec<Moment<'a>> {
    let mut moments = Vec::new();
    let mut present: Vec<Option<(Origin, usize)>> = vec![None; history.plan.nodes];
    let mut stretches = 0;
    for sample in &history.samples {
        for (node, seen) in sample.running() {
            if seen.paused || owned.has_live_owner(seen) {
                present[node] = None;
                continue;
            }
            let former = present[node].filter(|(process, _)| *process == seen.origin);
            let stretch = former.map_or(stretches, |(_, stretch)| stretch);
            stretches += usize::from(former.is_none());
            present[node] = Some((seen.origin, stretch));
            moments.push(Moment { sample, node, seen, stretch });
        }
    }
    moments
}

fn while_it_ran(owned: &Owned, moments: &[Moment], verdict: &mut Verdict) {
    let mut glance = Glance::at(&owned.row);
    // The present stretch of each node, and since when it has lasted after the row was written.
    let mut present: BTreeMap<usize, (usize, u64)> = BTreeMap::new();
    for moment in &moments[moments.partition_point(|moment| moment.sample.at < owned.by.at)..] {
        let Moment { sample, node, seen, stretch } = *moment;
        let (lasting, from) = present.entry(node).or_insert((stretch, sample.at));
        if *lasting != stretch {
            (*lasting, *from) = (stretch, sample.at);
        }
        if sample.at >= *from + NOTICED_MS {
            verdict.judge(!glance.is_shown(node, seen), sample.at, || orphan(owned, node, seen, *from));
        }
    }
}

fn orphan(owned: &Owned, node: usize, seen: &Seen, from: u64) -> String {
    format!(
        "n{node} ({}) shows {:?}, which client {} wrote on n{} at {} ms, though since {from} ms it holds none of its owners {:?} for Up",
        seen.origin, owned.row, owned.by.client, owned.by.node, owned.by.at, owned.owners
    )
}

fn at_the_end(history: &History, owned: &Owned, verdict: &mut Verdict) {
    let Some(last) = history.samples.last().filter(|last| last.at >= history.calm_at + convergence::TOGETHER_MS) else {
        return;
    };
    let is_live = last.running().any(|(_, seen)| owned.owners.contains(&seen.origin));
    if is_live && !session_ended(history, owned) {
        return;
    }
    for (node, seen) in last.running() {
        verdict.judge(!owned.row.is_shown(seen), last.at, || {
            format!(
                "at the end n{node} ({}) shows {:?}, which client {} wrote on n{} at {} ms and whose owner has ended",
                seen.origin, owned.row, owned.by.client, owned.by.node, owned.by.at
            )
        });
    }
}

/// Whether the session that the row belongs to was ended by its client, on a process that lived to tell.
fn session_ended(history: &History, owned: &Owned) -> bool {
    history.ends_of_session(owned.by).any(|end| end.answer.is_some())
}
