//! G5, of what expires: no node shows a value at or after its deadline, and none hides it before.
//!
//! Judged are reads of keys that are only ever set with a life, by what the node had seen: a value that no other of them was set over is shown until its
//! deadline and not from then on, whoever removes it. Every node hides by its own clock, so nothing is said where clocks are set.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Command, Reply};

use super::Verdict;
use crate::history::{Asked, History};
use crate::model::words;
use crate::plan::{Ask, Fault, Via};

/// Milliseconds by which a moment may be rounded.
const ROUNDED_MS: u64 = 2;

/// A value that was set with a life.
struct Set<'a> {
    asked: &'a Asked,
    value: Bytes,
    deadline: u64,
}

impl Set<'_> {
    /// Whether whoever asked had seen it before.
    fn is_seen_by(&self, asked: &Asked) -> bool {
        let (Some(author), Some((_, last))) = (self.asked.process, self.asked.wrote) else { return false };
        asked.saw.get(&author).is_some_and(|known| *known >= last)
    }
}

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("deadlines", "what has a life is shown until its deadline, and not from then on");
    if history.plan.faults().any(|(_, fault)| matches!(fault, Fault::SetClock { .. })) {
        return verdict;
    }
    let mut keys: BTreeMap<Bytes, Vec<(&Asked, Command)>> = BTreeMap::new();
    for asked in history.asked.iter().filter(|asked| asked.process.is_some()) {
        let Some(command) = words::command(&asked.ask) else { continue };
        for key in words::keys(&command) {
            keys.entry(key).or_default().push((asked, command.clone()));
        }
    }
    for (key, asks) in &keys {
        let Some(sets) = sets(asks) else { continue };
        for (asked, command) in asks {
            if let (Command::Get { .. }, Some((_, Ok(reply)))) = (command, &asked.answer) {
                judge(key, &sets, asked, reply, &mut verdict);
            }
        }
    }
    verdict
}

/// What was set under a key that is only set with a life and read.
fn sets<'a>(asks: &[(&'a Asked, Command)]) -> Option<Vec<Set<'a>>> {
    let mut sets = Vec::new();
    for (asked, command) in asks {
        match command {
            Command::Get { .. } | Command::Ttl { .. } | Command::Exists { .. } => {}
            Command::Set { value, seconds: Some(seconds @ 1..), nx: false, .. }
                if matches!(asked.ask, Ask::Command { via: Via::Shared, .. }) =>
            {
                let deadline = asked.at + *seconds as u64 * 1_000;
                sets.push(Set { asked, value: value.clone(), deadline });
            }
            _ => return None,
        }
    }
    Some(sets)
}

fn judge(key: &Bytes, sets: &[Set<'_>], asked: &Asked, reply: &Reply, verdict: &mut Verdict) {
    if asked.loading {
        return;
    }
    let seen: Vec<&Set> = sets.iter().filter(|set| set.is_seen_by(asked)).collect();
    let told = |what: &str, set: &Set| {
        format!(
            "client {} on n{} asked `{}` at {} ms and was answered {reply:?}; of {key:?} {what} {:?} at {} ms, for until {} ms",
            asked.client, asked.node, asked.ask, asked.at, set.asked.client, set.asked.at, set.deadline
        )
    };
    if let Reply::Bulk(value) = reply
        && let Some(set) = seen.iter().find(|set| set.value == *value)
    {
        verdict.judge(asked.at < set.deadline + ROUNDED_MS, asked.at, || told("it was set by client", set));
    }
    // One that had seen all the others, so that nothing but its own deadline can end it.
    let last =
        seen.iter().find(|set| seen.iter().all(|other| std::ptr::eq(*other, **set) || other.is_seen_by(set.asked)));
    // A process that stands still answers later than it was asked.
    let answered = asked.answer.as_ref().map_or(asked.at, |(at, _)| *at);
    if let Some(set) = last
        && answered + ROUNDED_MS < set.deadline
    {
        verdict.judge(*reply == Reply::Bulk(set.value.clone()), asked.at, || told("the last was set by client", set));
    }
}
