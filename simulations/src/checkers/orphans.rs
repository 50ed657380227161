//! G2: no row of an owner that is Down or Gone is visible, at whoever holds it so; and at the end none of a process that ended.
//!
//! The layer above membership hears of a change a turn later, so a node is judged by a standing that it has had for [`NOTICED_MS`].
//! A session's rows are gone everywhere a while after its end. And nobody is held for Up who has been dead for [`DETECTED_MS`].

use std::collections::BTreeMap;

use headcount::MemberState;
use headcount_cluster::Origin;

use super::owned::{self, Owned};
use super::stability::is_undisturbed;
use super::{Verdict, convergence};
use crate::history::{Asked, End, History, Process, Seen};
use crate::plan::{Ask, Via};

/// How long a change of membership may take to be seen by readers of the same node.
const NOTICED_MS: u64 = 200;

/// How long who is dead may be held for Up by a node that does not stand still, while no link is held up: about three seconds, and longer where what it heard before came seldom.
const DETECTED_MS: u64 = 10_000;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("G2", "no row of a Gone owner is visible anywhere");
    for owned in owned::rows(history).into_iter().filter(|owned| owned.is_alone) {
        while_it_ran(history, &owned, &mut verdict);
        at_the_end(history, &owned, &mut verdict);
    }
    for process in &history.processes {
        held_for_up(history, process, &mut verdict);
    }
    verdict
}

/// Who has ended is not held for Up for long.
fn held_for_up(history: &History, process: &Process, verdict: &mut Verdict) {
    let Some((until, End::Died | End::Left)) = process.until else { return };
    let after = history.samples.partition_point(|sample| sample.at < until);
    // Since when each node, by its process, has gone on without standing still.
    let mut since: BTreeMap<usize, (Origin, u64)> = BTreeMap::new();
    for sample in &history.samples[after..] {
        since.retain(|node, _| sample.nodes[*node].is_some());
        for (node, seen) in sample.running() {
            let began = since.entry(node).or_insert((seen.origin, sample.at));
            if seen.paused || began.0 != seen.origin {
                *began = (seen.origin, sample.at);
            }
            if sample.at < began.1 + DETECTED_MS {
                continue;
            }
            let is_up = seen.members.get(&process.origin) == Some(&MemberState::Up);
            // What was held up on its way is heard late, and is a sign of life then.
            let is_late = is_up && is_undisturbed(history, sample.at - DETECTED_MS, sample.at);
            verdict.judge(!is_late, sample.at, || {
                format!(
                    "n{node} ({}) holds {} of n{} for Up, which ended at {until} ms",
                    seen.origin, process.origin, process.node
                )
            });
        }
    }
}

fn while_it_ran(history: &History, owned: &Owned, verdict: &mut Verdict) {
    // Since when each node, by its process, has had no live owner of the row.
    let mut since: BTreeMap<usize, (Origin, u64)> = BTreeMap::new();
    for sample in history.samples.iter().filter(|sample| sample.at >= owned.by.at) {
        for (node, seen) in sample.running() {
            if seen.paused || owned.has_live_owner(seen) {
                since.remove(&node);
                continue;
            }
            let (process, from) = *since.entry(node).or_insert((seen.origin, sample.at));
            if process != seen.origin {
                since.insert(node, (seen.origin, sample.at));
                continue;
            }
            if sample.at >= from + NOTICED_MS {
                verdict.judge(!owned.row.is_shown(seen), sample.at, || orphan(owned, node, seen, from));
            }
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
    let Ask::Command { via: Via::Session, .. } = owned.by.ask else { return false };
    let is_later = |asked: &Asked| asked.client == owned.by.client && asked.at >= owned.by.at;
    let ends = |asked: &Asked| asked.ask == Ask::EndSession && asked.answer.is_some();
    let mut after = history.asked.iter().skip_while(|asked| !std::ptr::eq(*asked, owned.by));
    after.any(|asked| is_later(asked) && ends(asked))
}
