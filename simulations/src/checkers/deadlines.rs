//! G5, of what expires: no node shows a value at or after its deadline, and none hides it before.
//!
//! Judged are reads of keys that are only ever set with a life, by what the node had seen: a value that no other of them was set over is shown until its
//! deadline and not from then on, whoever removes it. Every node hides by its own clock, and whoever removes goes by his: what was hidden is to be shown for
//! as long as no clock has shown the deadline.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Command, Reply};

use super::Verdict;
use super::clocks::{Clocks, Shows};
use crate::history::{Asked, History};
use crate::model::words;
use crate::plan::{Ask, Via};

/// A value that was set with a life.
struct Set<'a> {
    asked: &'a Asked,
    value: Bytes,
    /// By the clock of whoever set it.
    deadline: Shows,
}

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("deadlines", "what has a life is shown until its deadline, and not from then on");
    let clocks = Clocks::of(history);
    let mut keys: BTreeMap<Bytes, Vec<(&Asked, Command)>> = BTreeMap::new();
    for asked in history.asked.iter().filter(|asked| asked.begun.is_some()) {
        let Some(command) = words::command(&asked.ask) else { continue };
        for key in words::keys(&command) {
            keys.entry(key).or_default().push((asked, command.clone()));
        }
    }
    for (key, asks) in &keys {
        let Some(sets) = sets(asks, &clocks) else { continue };
        for (asked, command) in asks {
            if let (Command::Get { .. }, Some((_, Ok(reply)))) = (command, &asked.answer) {
                judge(key, &sets, &clocks, (asked, reply), &mut verdict);
            }
        }
    }
    verdict
}

/// What was set under a key that is only set with a life and read.
fn sets<'a>(asks: &[(&'a Asked, Command)], clocks: &Clocks) -> Option<Vec<Set<'a>>> {
    let mut sets = Vec::new();
    for (asked, command) in asks {
        match command {
            Command::Get { .. } | Command::Ttl { .. } | Command::Exists { .. } => {}
            Command::Set { value, seconds: Some(seconds @ 1..), nx: false, .. }
                if matches!(asked.ask, Ask::Command { via: Via::Shared, .. }) =>
            {
                let deadline = clocks.at(asked.node, asked.done_at()).plus(seconds * 1_000);
                sets.push(Set { asked, value: value.clone(), deadline });
            }
            _ => return None,
        }
    }
    Some(sets)
}

fn judge(key: &Bytes, sets: &[Set<'_>], clocks: &Clocks, (asked, reply): (&Asked, &Reply), verdict: &mut Verdict) {
    if asked.loading {
        return;
    }
    let seen: Vec<&Set> = sets.iter().filter(|set| asked.has_seen(set.asked)).collect();
    let told = |what: &str, set: &Set| {
        format!(
            "client {} on n{} asked `{}` at {} ms and was answered {reply:?}; of {key:?} {what} {:?} at {} ms, for until {:?} ms",
            asked.client,
            asked.node,
            asked.ask,
            asked.done_at(),
            set.asked.client,
            set.asked.done_at(),
            set.deadline
        )
    };
    let now = clocks.at(asked.node, asked.done_at());
    if let Reply::Bulk(value) = reply
        && let Some(set) = seen.iter().find(|set| set.value == *value)
    {
        verdict.judge(!now.is_from(set.deadline), asked.at, || told("it was set by client", set));
    }
    // One that had seen all the others, so that nothing but its own deadline can end it.
    let last =
        seen.iter().find(|set| seen.iter().all(|other| std::ptr::eq(*other, **set) || set.asked.has_seen(other.asked)));
    if let Some(set) = last
        && clocks.of_any(set.asked.done_at(), asked.done_at()).is_before(set.deadline)
    {
        verdict.judge(*reply == Reply::Bulk(set.value.clone()), asked.at, || told("the last was set by client", set));
    }
}
