//! G5: what is shown at the end is what section 5 of the design makes of what was written, and an order of the commands on one Redis
//! explains it; and what a local command answered is what its node had seen.
//!
//! Of each operation it is known which others its author knew. Three things follow, and are judged:
//! (a) what is left at the end, exactly for sets, lists and increments, and up to the choice of the winner for values ([`crate::model::rows`]);
//! (b) for each row with at most [`MOST_PERMUTED`] operations, some order in which nobody comes before what he had seen gives what is shown, on the model
//! of one Redis ([`crate::model::redis`]);
//! (c) answers, by (a) applied to what the node knew at the time.
//!
//! Left out are keys of which the history does not say who had observed what: those with deadlines (an expiry is an operation of whoever
//! emits it), with commands at homes (G6 judges them), with owned rows (a removal observes those only while it sees them; G2 and G3), with
//! several types (the winner is by clock); those to which something was written by a process that died so that nobody knows whether anybody has
//! it; and those written to while a snapshot was being loaded, because its rows are seen before the vector says so.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Command, Reply};

use super::Verdict;
use super::fate::{Fate, fate};
use crate::history::{Asked, History, Shown};
use crate::model::redis::Value;
use crate::model::rows::{Key, Kind, Operation};
use crate::model::words;
use crate::plan::{Ask, Via};

/// Operations on a row of which all orders are tried.
const MOST_PERMUTED: usize = 7;

/// Operations on a key up to which each answer is judged. Beyond it judging would take longer than playing.
const MOST_FOR_ANSWERS: usize = 1_000;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict =
        Verdict::of("G5", "every outcome has a serial witness, and no write loses to a removal that had not seen it");
    for (name, asks) in by_key(history) {
        let Some(kind) = kind(&asks) else { continue };
        let written: Vec<&Asked> =
            asks.iter().filter(|(asked, _)| asked.wrote.is_some()).map(|(asked, _)| *asked).collect();
        if written.iter().any(|asked| asked.loading) {
            continue;
        }
        let key = Key::new(kind, asks.iter().filter_map(|(asked, command)| operation(asked, command)).collect());
        judge_end(history, &name, &key, &mut verdict);
        if key.operations.len() <= MOST_FOR_ANSWERS {
            for (asked, command) in &asks {
                judge_answer(&name, &key, asked, command, &mut verdict);
            }
        }
    }
    verdict
}

/// What was asked of processes, by the keys that it names.
fn by_key(history: &History) -> BTreeMap<Bytes, Vec<(&Asked, Command)>> {
    let mut keys: BTreeMap<Bytes, Vec<(&Asked, Command)>> = BTreeMap::new();
    for asked in history.asked.iter().filter(|asked| asked.process.is_some()) {
        let Some(command) = words::command(&asked.ask) else { continue };
        for key in words::keys(&command) {
            keys.entry(key).or_default().push((asked, command.clone()));
        }
    }
    for asked in &history.asked {
        if let Ask::CompareAndSet { key, .. } = &asked.ask {
            keys.remove(key.as_bytes());
        }
    }
    keys
}

/// What a key is used as, when it is one of those that can be judged.
fn kind(asks: &[(&Asked, Command)]) -> Option<Kind> {
    let mut kind = None;
    for (asked, command) in asks {
        let is_shared = matches!(asked.ask, Ask::Command { via: Via::Shared | Via::Majority | Via::All, .. });
        let has_deadline = matches!(command, Command::Set { seconds: Some(_), .. } | Command::Set { nx: true, .. });
        if !is_shared || has_deadline {
            return None;
        }
        let of = match command {
            // They take a key of any type.
            Command::Del { .. } | Command::Exists { .. } | Command::Ttl { .. } => continue,
            other => Kind::of(other)?,
        };
        if *kind.get_or_insert(of) != of {
            return None;
        }
    }
    kind
}

fn operation(asked: &Asked, command: &Command) -> Option<Operation> {
    Some(Operation { author: asked.process?, numbers: asked.wrote?, saw: asked.saw.clone(), command: command.clone() })
}

fn judge_end(history: &History, name: &Bytes, key: &Key, verdict: &mut Verdict) {
    let Some(last) = history.samples.last().filter(|last| last.at >= history.calm_at && last.is_whole()) else {
        return;
    };
    let fates: Vec<Fate> =
        key.operations.iter().map(|operation| fate(history, operation.author, operation.numbers)).collect();
    if fates.contains(&Fate::Unsure) {
        return;
    }
    let known: Vec<bool> = fates.iter().map(|fate| *fate == Fate::Known).collect();
    let text = String::from_utf8_lossy(name).into_owned();
    let mut judged: Vec<&Shown> = Vec::new();
    for (node, seen) in last.running() {
        let Some(shown) = seen.keys.get(&text).filter(|shown| !judged.contains(shown)) else { continue };
        judged.push(shown);
        let fault = key.fault(&known, shown);
        verdict.judge(fault.is_none(), last.at, || {
            format!("at the end n{node} shows under {text}: {}", fault.unwrap_or_default())
        });
        judge_permutations(key, &known, shown, verdict, last.at, |row| format!("{text} {row:?} on n{node}"));
    }
}

/// (b) for every row of the key.
fn judge_permutations(
    key: &Key,
    known: &[bool],
    shown: &Shown,
    verdict: &mut Verdict,
    at: u64,
    place: impl Fn(&Bytes) -> String,
) {
    for (name, concerning) in key.rows() {
        let row: Vec<(&Operation, Command)> = concerning
            .into_iter()
            .filter(|(index, _)| known[*index])
            .map(|(index, part)| (&key.operations[index], part))
            .collect();
        if row.len() > MOST_PERMUTED {
            continue;
        }
        let wanted = of_row(shown, &name, key.kind);
        let explains = |value: &Value| of_row(&value.clone().into(), &name, key.kind) == wanted;
        verdict.judge(is_explained(&row, &mut vec![false; row.len()], &Value::Missing, &explains), at, || {
            let story: Vec<String> = row.iter().map(|(by, part)| format!("{part:?} by {}", by.author)).collect();
            format!("no order on one Redis explains {}, which is {wanted:?}: {}", place(&name), story.join("; "))
        });
    }
}

/// Whether some order of what is left, in which nobody comes before what he had seen, ends with what is wanted.
fn is_explained(
    row: &[(&Operation, Command)],
    done: &mut [bool],
    value: &Value,
    explains: &impl Fn(&Value) -> bool,
) -> bool {
    if done.iter().all(|done| *done) {
        return explains(value);
    }
    for next in 0..row.len() {
        let saw = &row[next].0.saw;
        let waits = (0..row.len()).any(|other| !done[other] && other != next && row[other].0.is_in(saw));
        if done[next] || waits {
            continue;
        }
        let mut after = value.clone();
        after.apply(&row[next].1);
        done[next] = true;
        let found = is_explained(row, done, &after, explains);
        done[next] = false;
        if found {
            return true;
        }
    }
    false
}

/// What is shown of one row.
fn of_row(shown: &Shown, name: &Bytes, kind: Kind) -> Vec<Bytes> {
    match (kind, shown) {
        (Kind::String, Shown::Value(value)) => vec![value.clone()],
        (Kind::Set, Shown::Set(members)) => {
            members.binary_search(name).map(|at| members[at].clone()).into_iter().collect()
        }
        (Kind::Hash, Shown::Hash(fields)) => {
            let found = fields.binary_search_by(|(field, _)| field.cmp(name));
            found.map(|at| fields[at].1.clone()).into_iter().collect()
        }
        (Kind::List, Shown::List(elements)) => elements.clone(),
        _ => Vec::new(),
    }
}

impl From<Value> for Shown {
    fn from(value: Value) -> Self {
        match value {
            Value::Missing => Self::Missing,
            Value::String(value) => Self::Value(value),
            Value::Set(members) => Self::Set(members.into_iter().collect()),
            Value::Hash(fields) => Self::Hash(fields.into_iter().collect()),
            Value::List(elements) => Self::List(elements),
        }
    }
}

/// (c) for one command.
fn judge_answer(name: &Bytes, key: &Key, asked: &Asked, command: &Command, verdict: &mut Verdict) {
    let Some((at, Ok(reply))) = &asked.answer else { return };
    if asked.loading || words::keys(command).len() != 1 {
        return;
    }
    let known: Vec<bool> = key.operations.iter().map(|operation| operation.is_in(&asked.saw)).collect();
    let fault = answer_fault(key, &known, asked, command, reply);
    verdict.judge(fault.is_none(), *at, || {
        format!(
            "client {} on n{} asked `{}` at {} ms and was answered {reply:?}; {} ({name:?})",
            asked.client,
            asked.node,
            asked.ask,
            asked.at,
            fault.unwrap_or_default()
        )
    });
}

/// What is wrong with an answer, given what the node knew before.
fn answer_fault(key: &Key, known: &[bool], asked: &Asked, command: &Command, reply: &Reply) -> Option<String> {
    let shown = match (command, reply) {
        (Command::Get { .. }, Reply::Nil) => Shown::Missing,
        (Command::Get { .. }, Reply::Bulk(value)) => Shown::Value(value.clone()),
        (Command::Smembers { .. }, Reply::Array(members)) => Shown::Set(members.iter().cloned().collect()),
        (Command::Hgetall { .. }, Reply::Map(fields)) => Shown::Hash(fields.clone()),
        (Command::Lrange { start: 0, stop: -1, .. }, Reply::Array(elements)) => {
            Shown::List(elements.iter().cloned().collect())
        }
        (Command::Hget { field, .. }, Reply::Nil | Reply::Bulk(_)) => return field_fault(key, known, field, reply),
        (Command::Incrby { .. } | Command::Hincrby { .. }, Reply::Integer(sum)) => {
            return sum_fault(key, known, asked, command, *sum);
        }
        (_, Reply::Integer(count)) => return count_fault(key, known, command, *count),
        _ => return None,
    };
    key.fault(known, &shown)
}

fn field_fault(key: &Key, known: &[bool], field: &Bytes, reply: &Reply) -> Option<String> {
    let fields = key.fields(known);
    let is_right = match (fields.get(field), reply) {
        (None, Reply::Nil) => true,
        (Some(candidates), Reply::Bulk(value)) => candidates.contains(value),
        _ => false,
    };
    (!is_right).then(|| format!("its node had seen {:?}", fields.get(field)))
}

/// An increment answers what its node shows afterwards.
fn sum_fault(key: &Key, known: &[bool], asked: &Asked, command: &Command, sum: i64) -> Option<String> {
    let name = if let Command::Hincrby { field, .. } = command { field.clone() } else { Bytes::new() };
    let mut after = known.to_vec();
    let own = |operation: &Operation| Some(operation.author) == asked.process && Some(operation.numbers) == asked.wrote;
    let Some(index) = key.operations.iter().position(own) else { return Some("it wrote nothing".to_owned()) };
    after[index] = true;
    let fields = key.fields(&after);
    let is_right = fields.get(&name).is_some_and(|candidates| candidates.contains(sum.to_string().as_bytes()));
    (!is_right).then(|| format!("by what its node had seen it may be {:?}", fields.get(&name)))
}

/// How many were new, removed, or there.
fn count_fault(key: &Key, known: &[bool], command: &Command, count: i64) -> Option<String> {
    let (names, fields) = (key.names(known), key.fields(known));
    let is_there = |name: &Bytes| names.contains_key(name);
    let has = |field: &Bytes| fields.contains_key(field);
    let distinct = |names: &[Bytes]| {
        names.iter().collect::<std::collections::BTreeSet<_>>().into_iter().cloned().collect::<Vec<_>>()
    };
    let elements = || names.values().sum::<usize>();
    let expected = match command {
        Command::Sadd { members, .. } => distinct(members).iter().filter(|member| !is_there(member)).count(),
        Command::Srem { members, .. } => distinct(members).iter().filter(|member| is_there(member)).count(),
        Command::Sismember { member, .. } => usize::from(is_there(member)),
        Command::Scard { .. } => names.len(),
        Command::Hset { pairs, .. } => {
            let of_pairs: Vec<Bytes> = pairs.iter().map(|(field, _)| field.clone()).collect();
            distinct(&of_pairs).iter().filter(|field| !has(field)).count()
        }
        Command::Hdel { fields, .. } => distinct(fields).iter().filter(|field| has(field)).count(),
        Command::Hexists { field, .. } => usize::from(has(field)),
        Command::Hlen { .. } => fields.len(),
        Command::Del { .. } | Command::Exists { .. } => usize::from(!names.is_empty()),
        Command::Llen { .. } => elements(),
        Command::Rpush { values, .. } | Command::Lpush { values, .. } => elements() + values.len(),
        _ => return None,
    };
    (count != expected as i64).then(|| format!("by what its node had seen it is {expected}"))
}
