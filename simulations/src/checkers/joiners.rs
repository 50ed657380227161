//! G1, of those that join: who says that it is ready has all that one of the others knew when it began.
//!
//! Judged is who starts while the others are together and nothing is wrong with any link: by what it knew when it became ready, and whenever
//! it was asked something and was ready (what it then answered follows from that: G5). What only dead origins wrote is left to the other checkers, because they are
//! forgotten.

use headcount::MemberState;
use headcount_cluster::Origin;
use headcount_cluster::pace::PROBE_MAX;

use super::Verdict;
use super::stability::Stability;
use crate::history::{Asked, End, History, Process, Sample, Seen, Vector};

/// So many nodes are everybody's seeds: who joins finds one of them, or is one of them and found by those that live.
const SEED_NODES: usize = 3;

/// How long a seed takes at most to accept a member that asks it, and a second time if the first was lost.
const PROBED_WITHIN_MS: u64 = 2 * PROBE_MAX.as_millis() as u64;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("ready", "who joins and says that it is ready has what the others knew");
    let stability = Stability::of(history);
    for process in history.processes.iter().filter(|process| !goes_on(history, process)) {
        judge(&stability, process, &mut verdict);
    }
    verdict
}

/// Whether it is the same process under another incarnation.
fn goes_on(history: &History, process: &Process) -> bool {
    let former = history.processes.iter().filter(|other| other.node == process.node);
    former.into_iter().any(|other| other.until == Some((process.from, End::Reincarnated)))
}

/// Whether one of those that live had the node for a member for so long that a probe of this seed has succeeded: from then on it is greeted there.
fn is_greeted(history: &History, process: &Process, others: &[(usize, &Seen)]) -> bool {
    let is_former =
        |origin: &Origin| history.processes.iter().any(|other| other.node == process.node && other.origin == *origin);
    others.iter().any(|(node, other)| {
        let holds = |sample: &&Sample| {
            let seen = sample.nodes[*node].as_ref().filter(|seen| seen.origin == other.origin);
            seen.is_some_and(|seen| {
                seen.members.iter().any(|(origin, state)| *state == MemberState::Up && is_former(origin))
            })
        };
        let mut held = history.before(process.from).iter().filter(holds).map(|sample| sample.at);
        held.next().zip(held.next_back()).is_some_and(|(first, last)| last >= first + PROBED_WITHIN_MS)
    })
}

fn judge(stability: &Stability, process: &Process, verdict: &mut Verdict) {
    let history = stability.history;
    let Some(before) = history.before(process.from).last() else { return };
    let is_ready = |sample: &&Sample| seen_as(sample, process).is_some_and(|seen| seen.ready);
    let Some(ready) = history.samples.iter().find(is_ready) else { return };
    let others: Vec<(usize, &Seen)> = before.running().filter(|(node, _)| *node != process.node).collect();
    let stays =
        |(node, seen): &(usize, &Seen)| ready.nodes[*node].as_ref().is_some_and(|now| now.origin == seen.origin);
    let are_met = process.node < SEED_NODES && is_greeted(history, process, &others)
        || others.iter().any(|(node, _)| *node < SEED_NODES);
    let is_other = |seen: &Seen| others.iter().any(|(_, other)| other.origin == seen.origin);
    let are_together = before.is_whole_for(is_other) && others.iter().all(stays);
    if !are_met || !are_together || !stability.is_undisturbed(before.at, ready.at) {
        return;
    }
    let mut judge = |known: &Vector, at: u64, when: &dyn Fn() -> String| {
        verdict.judge(has_what_one_had(known, &others), at, || {
            format!(
                "n{} ({}) began at {} ms and {} with {known:?}, which is less than any other had before: {:?}",
                process.node,
                process.origin,
                process.from,
                when(),
                others.iter().map(|(node, seen)| (node, &seen.vector)).collect::<Vec<_>>()
            )
        });
    };
    for readied in history.readied.iter().filter(|readied| readied.origin == process.origin) {
        judge(&readied.knew, readied.at, &|| "is ready".to_owned());
    }
    let is_of_joiner = |asked: &&Asked| asked.ready && asked.process == Some(process.origin) && asked.at <= ready.at;
    for asked in history.asked.iter().filter(is_of_joiner) {
        judge(&asked.saw, asked.at, &|| format!("says that it is ready when it is asked `{}`,", asked.ask));
    }
}

/// Whether somebody knows all that one of the others had of those that lived.
fn has_what_one_had(known: &Vector, others: &[(usize, &Seen)]) -> bool {
    let lives = |origin: &Origin| others.iter().any(|(_, seen)| seen.origin == *origin);
    let has = |origin: &Origin, seq: u64| known.get(origin).is_some_and(|known| *known >= seq);
    others.iter().any(|(_, seen)| seen.vector.iter().all(|(origin, seq)| !lives(origin) || has(origin, *seq)))
}

fn seen_as<'a>(sample: &'a Sample, process: &Process) -> Option<&'a Seen> {
    sample.nodes[process.node].as_ref().filter(|seen| seen.origin == process.origin)
}
