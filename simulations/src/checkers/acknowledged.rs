//! Acknowledged writes: nothing that was answered is lost while its node lives, and nothing that was answered through `Majority` or `All`
//! while one of the nodes that had to have it does.
//!
//! How many had to have a write is known from when it was asked. Every process that ended since counts as one of them.

use headcount::MemberState;

use super::Verdict;
use super::fate::{Fate, fate};
use crate::history::{Asked, End, History, Process};
use crate::plan::{Ask, Via};

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict =
        Verdict::of("writes", "nothing that was acknowledged is lost while a node that had to have it lives");
    let Some(last) = history.samples.last().filter(|last| last.at >= history.calm_at && last.is_whole()) else {
        return verdict;
    };
    for asked in history.asked.iter().filter(|asked| matches!(asked.answer, Some((_, Ok(_))))) {
        let (Some(author), Some(numbers)) = (asked.process, asked.wrote) else { continue };
        if !is_to_survive(history, asked) {
            continue;
        }
        let is_lost = fate(history, author, numbers) == Fate::Lost
            || last.running().any(|(_, seen)| {
                seen.members.get(&author) == Some(&MemberState::Up)
                    && seen.vector.get(&author).is_none_or(|seq| *seq < numbers.1)
            });
        verdict.judge(!is_lost, last.at, || {
            format!(
                "client {} was answered `{}` at {:?} ms by n{} ({author}), which wrote numbers {numbers:?} and {} nodes had to have; at the end it is not known",
                asked.client, asked.ask, asked.answer.as_ref().map(|(at, _)| at), asked.node, asked.holders
            )
        });
    }
    verdict
}

/// Whether a node that had to have the write is sure to live.
fn is_to_survive(history: &History, asked: &Asked) -> bool {
    let is_author = |process: &&Process| Some(process.origin) == asked.process;
    let author = history.processes.iter().find(is_author);
    if author.is_some_and(|process| process.until.is_none()) {
        return true;
    }
    let Ask::Command { via: Via::Majority | Via::All, .. } = asked.ask else { return false };
    let ended =
        |process: &&Process| process.until.is_some_and(|(until, end)| until >= asked.at && end != End::Reincarnated);
    history.processes.iter().filter(ended).count() < asked.holders
}
