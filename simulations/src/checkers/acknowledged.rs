//! Acknowledged writes: nothing that was answered is lost while its node lives, under whatever incarnation, or a node that was seen to have it; and
//! nothing that was answered through `Majority` or `All` while one of the nodes that had to have it does.
//!
//! How many had to have a write is known from when it was asked. Every process that ended since counts as one of them. And that many have it already when it is
//! answered, neither fewer nor a moment later.

use std::collections::BTreeMap;

use headcount::MemberState;
use headcount_cluster::Origin;

use super::Verdict;
use super::stability::LOOKED_AT_EVERY_MS;
use crate::history::{Asked, End, History, Process, Sample};
use crate::plan::{Ask, Via};

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict =
        Verdict::of("writes", "nothing that was acknowledged is lost while a node that has or had to have it lives");
    let Some(last) = history.samples.last().filter(|last| last.at >= history.calm_at && last.is_whole()) else {
        return verdict;
    };
    too_early(history, &mut verdict);
    let living = known_to_the_living(history);
    for asked in history.asked.iter().filter(|asked| matches!(asked.answer, Some((_, Ok(_))))) {
        let (Some(author), Some(numbers)) = (asked.process, asked.wrote) else { continue };
        let is_with_the_living = living.get(&author).is_some_and(|known| *known >= numbers.1);
        if !is_with_the_living && history.ended(author).is_some() && !had_to_be_with_others(history, asked) {
            continue;
        }
        verdict.judge(!is_lost(last, author, numbers.1), last.at, || {
            format!(
                "client {} was answered `{}` at {:?} ms by n{} ({author}), which wrote numbers {numbers:?} and {} nodes had to have; at the end it is not known",
                asked.client, asked.ask, asked.answer.as_ref().map(|(at, _)| at), asked.node, asked.holders
            )
        });
    }
    verdict
}

/// When it is answered, so many have it. Those that have ended since it was asked may have had it, those that were leaving, and those
/// that were not yet known to run.
fn too_early(history: &History, verdict: &mut Verdict) {
    for asked in &history.asked {
        let (Some((at, Ok(_))), Some(had_by)) = (&asked.answer, asked.had_by) else { continue };
        // Whom a node that stood still had to wait for is known only when it goes on.
        if asked.begun != Some(asked.at) {
            continue;
        }
        let has_ended =
            |process: &Process| process.was_there(asked.at) && process.until.is_some_and(|(until, _)| until <= *at);
        let was_unknown = |process: &Process| *at < process.from && process.from <= at + LOOKED_AT_EVERY_MS;
        let others = history.processes.iter().filter(|process| has_ended(process) || was_unknown(process)).count();
        verdict.judge(had_by + others >= asked.holders, *at, || {
            format!(
                "client {} was answered `{}` at {at} ms by n{}, which {} nodes had to have by then, and {had_by} had",
                asked.client, asked.ask, asked.node, asked.holders
            )
        });
    }
}

/// Per author, the most that one who lives to the end was ever seen to have of it.
fn known_to_the_living(history: &History) -> BTreeMap<Origin, u64> {
    let mut living: BTreeMap<Origin, bool> = BTreeMap::new();
    let mut most = BTreeMap::new();
    for (_, seen) in history.samples.iter().flat_map(Sample::running) {
        if !*living.entry(seen.origin).or_insert_with(|| history.ended(seen.origin).is_none()) {
            continue;
        }
        for (author, seq) in seen.vector.iter().chain(&seen.forgotten) {
            let known = most.entry(*author).or_default();
            *known = *seq.max(known);
        }
    }
    most
}

/// Whether nobody has it, or somebody who holds its author for Up has it not.
fn is_lost(end: &Sample, author: Origin, last: u64) -> bool {
    let is_held_for_up_and_unknown = end.running().any(|(_, seen)| {
        seen.members.get(&author) == Some(&MemberState::Up) && seen.vector.get(&author).is_none_or(|seq| *seq < last)
    });
    is_held_for_up_and_unknown || end.running().all(|(_, seen)| seen.knows(author).is_none_or(|seq| seq < last))
}

/// Whether some other node that had to have the write is sure to live, though its author does not.
fn had_to_be_with_others(history: &History, asked: &Asked) -> bool {
    let Ask::Command { via: Via::Peer | Via::Majority | Via::All, .. } = asked.ask else { return false };
    let ended = |process: &&Process| {
        process.was_there(asked.at) && process.until.is_some_and(|(_, end)| end != End::Reincarnated)
    };
    history.processes.iter().filter(ended).count() < asked.holders
}
