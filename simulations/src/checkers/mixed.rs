//! G5, of keys that are used as several types, or expire: what is shown at the end is what those commands leave on one Redis that came after all the others.
//!
//! Who wins among types and deadlines is decided by clocks, so little can be said about what was written at once. But a `SET` or `DEL` that had seen
//! every command before it, and that every command since has seen, begins the key anew; and where those since came one after the other, each
//! having seen all before, one order is left. Judged are keys where none of these gives a life or an owner.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::Command;

use super::Verdict;
use super::fate::{Fate, fate};
use crate::history::{Asked, End, History, Shown};
use crate::model::redis::Value;
use crate::model::rows::Kind;
use crate::model::words;
use crate::plan::{Ask, Via};

/// A command that wrote.
type Write<'a> = (&'a Asked, Command);

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("types", "of keys of several types, what came after all the rest is what is left");
    let Some(last) = history.samples.last().filter(|last| last.at >= history.calm_at && last.is_whole()) else {
        return verdict;
    };
    for (key, writes) in writes(history) {
        let Some(expected) = left(history, &writes) else { continue };
        let text = String::from_utf8_lossy(&key).into_owned();
        for (node, seen) in last.running() {
            let Some(shown) = seen.keys.get(&text) else { continue };
            verdict.judge(*shown == expected, last.at, || {
                format!("at the end n{node} shows {shown:?} under {text}, and {expected:?} is left by the last who wrote: {}", told(&writes))
            });
        }
    }
    verdict
}

/// What was written by commands that homes have no part in, by key.
fn writes(history: &History) -> BTreeMap<Bytes, Vec<Write<'_>>> {
    let mut keys: BTreeMap<Bytes, Vec<Write>> = BTreeMap::new();
    let mut of_homes: Vec<Bytes> = Vec::new();
    for asked in history.asked.iter().filter(|asked| asked.process.is_some()) {
        if let Ask::CompareAndSet { key, .. } = &asked.ask {
            of_homes.push(Bytes::copy_from_slice(key.as_bytes()));
        }
        let Some(command) = words::command(&asked.ask) else { continue };
        for key in words::keys(&command) {
            if is_of_home(asked, &command) {
                of_homes.push(key);
            } else if asked.wrote.is_some() {
                keys.entry(key).or_default().push((asked, command.clone()));
            }
        }
    }
    // Who takes a new incarnation writes what it owns again, whatever it has not heard of since.
    let goes_on = history.processes.iter().any(|process| matches!(process.until, Some((_, End::Reincarnated))));
    let is_owned = |(asked, _): &Write| matches!(asked.ask, Ask::Command { via: Via::Node | Via::Session, .. });
    keys.retain(|key, writes| !(of_homes.contains(key) || goes_on && writes.iter().any(is_owned)));
    keys
}

fn is_of_home(asked: &Asked, command: &Command) -> bool {
    matches!(asked.ask, Ask::Command { via: Via::Homed, .. })
        || matches!(
            command,
            Command::Set { nx: true, .. }
                | Command::Setnx { .. }
                | Command::Getset { .. }
                | Command::Rpop { .. }
                | Command::Lpop { .. }
                | Command::Brpop { .. }
                | Command::Blpop { .. }
        )
}

/// Whether one had seen what another wrote, or is the same.
fn knows(by: &Asked, other: &Asked) -> bool {
    std::ptr::eq(by, other) || by.has_seen(other)
}

/// What is left of a key, where its commands say.
fn left(history: &History, writes: &[Write]) -> Option<Shown> {
    let mut known: Vec<&Write> = Vec::new();
    for write in writes {
        match fate(history, write.0.process?, write.0.wrote?) {
            Fate::Known => known.push(write),
            Fate::Lost => {}
            Fate::Unsure => return None,
        }
    }
    let begins_anew = |(asked, command): &&&Write| {
        let is_whole = matches!(command, Command::Set { seconds: None, .. } | Command::Del { .. });
        is_whole && known.iter().all(|(other, _)| knows(asked, other) || knows(other, asked))
    };
    let (first, _) = known.iter().rfind(begins_anew)?;
    let mut since: Vec<&Write> = known.iter().filter(|(other, _)| knows(other, first)).copied().collect();
    since.sort_by_key(|(asked, _)| asked.at);
    // Each all before it, not only the last: streams come each on its own, so who knows a write need not know what its author knew.
    let has_seen_all = |at: usize| since[..at].iter().all(|(before, _)| knows(since[at].0, before));
    let is_in_order = (0..since.len()).all(has_seen_all);
    let is_judged = |(asked, command): &&Write| {
        let is_shared =
            matches!(asked.ask, Ask::Command { via: Via::Shared | Via::Peer | Via::Majority | Via::All, .. });
        let lasts =
            matches!(command, Command::Set { seconds: None, .. } | Command::Del { .. }) || Kind::of(command).is_some();
        is_shared && lasts && !matches!(command, Command::Set { seconds: Some(_), .. })
    };
    if !is_in_order || !since.iter().all(is_judged) {
        return None;
    }
    let mut value = Value::Missing;
    for (_, command) in &since {
        value.apply(command);
    }
    Some(value.into())
}

fn told(writes: &[Write]) -> String {
    let last = writes.iter().skip(writes.len().saturating_sub(6));
    let lines: Vec<String> =
        last.map(|(asked, _)| format!("`{}` on n{} at {} ms", asked.ask, asked.node, asked.at)).collect();
    lines.join("; ")
}
