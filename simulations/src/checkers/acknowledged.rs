//! Acknowledged writes: nothing that was answered is lost while its node lives, under whatever incarnation, or a node that was seen to have it; and
//! nothing that was answered through `Majority` or `All` while one of the nodes that had to have it does.
//!
//! How many had to have a write is known from when it was asked. Every process that ended since counts as one of them.

use std::collections::BTreeMap;

use headcount::MemberState;
use headcount_cluster::Origin;

use super::Verdict;
use crate::history::{Asked, End, History, Process, Sample};
use crate::plan::{Ask, Via};

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict =
        Verdict::of("writes", "nothing that was acknowledged is lost while a node that has or had to have it lives");
    let Some(last) = history.samples.last().filter(|last| last.at >= history.calm_at && last.is_whole()) else {
        return verdict;
    };
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
    let Ask::Command { via: Via::Majority | Via::All, .. } = asked.ask else { return false };
    let ended =
        |process: &&Process| process.until.is_some_and(|(until, end)| until >= asked.at && end != End::Reincarnated);
    history.processes.iter().filter(ended).count() < asked.holders
}
