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
//! several types (the winner is by clock). What was written by a process that died so that nobody knows whether anybody has it may be there or not;
//! and what was asked while a snapshot was loaded, whose rows are seen before the vector says so ([`super::ahead`]), may have observed more than
//! is known: such a removal may have taken it away or not, and such an answer is not judged.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Command, Reply};

use super::Verdict;
use super::ahead::Ahead;
use super::fate::{Fate, fate};
use crate::history::{Asked, History, Shown};
use crate::model::redis::Value;
use crate::model::rows::{Candidates, Count, Key, Kind, Known, Operation};
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
    let ahead = Ahead::of(history);
    let asks = by_key(history);
    let operation = |asked: &Asked, command: &Command| {
        Some(Operation {
            author: asked.process?,
            numbers: asked.wrote?,
            saw: asked.saw.clone(),
            may_have_seen_more: ahead.may_see_more(asked),
            asked_at: asked.at,
            done_by: asked.answer.as_ref().map_or(u64::MAX, |(at, _)| *at),
            command: command.clone(),
        })
    };
    let mut keys: BTreeMap<&Bytes, Key> = BTreeMap::new();
    for (name, asks) in &asks {
        let Some(kind) = kind(asks) else { continue };
        let mut asks: Vec<_> = asks.iter().collect();
        asks.sort_by_key(|(asked, _)| asked.done_at());
        let operations = asks.into_iter().filter_map(|(asked, command)| operation(asked, command)).collect();
        keys.insert(name, Key::new(kind, operations));
    }
    for (name, key) in &keys {
        judge_end(history, name, key, &mut verdict);
    }
    for (name, asks) in &asks {
        for (asked, command) in asks.iter().filter(|(asked, _)| !ahead.may_see_more(asked)) {
            judge_answer(&keys, name, asked, command, &mut verdict);
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
        let is_shared =
            matches!(asked.ask, Ask::Command { via: Via::Shared | Via::Peer | Via::Majority | Via::All, .. });
        let has_deadline = matches!(command, Command::Set { seconds: Some(_), .. } | Command::Set { nx: true, .. });
        if !is_shared || has_deadline {
            return None;
        }
        let of = match command {
            // They take a key of any type, or want a set and change nothing.
            Command::Del { .. } | Command::Exists { .. } | Command::Ttl { .. } | Command::Sinter { .. } => continue,
            other => Kind::of(other)?,
        };
        if *kind.get_or_insert(of) != of {
            return None;
        }
    }
    kind
}

fn judge_end(history: &History, name: &Bytes, key: &Key, verdict: &mut Verdict) {
    let Some(last) = history.samples.last().filter(|last| last.at >= history.calm_at && last.is_whole()) else {
        return;
    };
    let fates: Vec<Fate> =
        key.operations.iter().map(|operation| fate(history, operation.author, operation.numbers)).collect();
    let known = |fate: &Fate| match fate {
        Fate::Known => Known::Yes,
        Fate::Unsure => Known::Maybe,
        Fate::Lost => Known::No,
    };
    let known: Vec<Known> = fates.iter().map(known).collect();
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
    known: &[Known],
    shown: &Shown,
    verdict: &mut Verdict,
    at: u64,
    place: impl Fn(&Bytes) -> String,
) {
    for (name, concerning) in key.rows() {
        let row: Vec<(usize, Command)> =
            concerning.into_iter().filter(|(index, _)| known[*index] != Known::No).collect();
        let is_unsure = row.iter().any(|(index, _)| known[*index] == Known::Maybe);
        let row: Vec<(&Operation, Command)> =
            row.into_iter().map(|(index, part)| (&key.operations[index], part)).collect();
        if is_unsure || row.len() > MOST_PERMUTED {
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
fn judge_answer(keys: &BTreeMap<&Bytes, Key>, name: &Bytes, asked: &Asked, command: &Command, verdict: &mut Verdict) {
    let Some((at, Ok(reply))) = &asked.answer else { return };
    let named = words::keys(command);
    let of_names: Option<Vec<&Key>> = named.iter().map(|name| keys.get(name)).collect();
    // What names several is judged once.
    let Some(of_names) = of_names.filter(|_| named.first() == Some(name)) else { return };
    if of_names.iter().any(|key| key.operations.len() > MOST_FOR_ANSWERS) {
        return;
    }
    let fault = match (&of_names[..], command) {
        ([key], _) => answer_fault(key, &known_to(key, asked), asked, command, reply),
        (several, Command::Sinter { .. }) => intersection_fault(several, asked, reply),
        _ => return,
    };
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

/// Which of a key's operations the node knew that was asked.
fn known_to(key: &Key, asked: &Asked) -> Vec<Known> {
    key.operations.iter().map(|one| if one.is_in(&asked.saw) { Known::Yes } else { Known::No }).collect()
}

/// What is wrong with an answer, given what the node knew before.
fn answer_fault(key: &Key, known: &[Known], asked: &Asked, command: &Command, reply: &Reply) -> Option<String> {
    let shown = match (command, reply) {
        (Command::Get { .. }, Reply::Nil) => Shown::Missing,
        (Command::Get { .. }, Reply::Bulk(value)) => Shown::Value(value.clone()),
        (Command::Smembers { .. } | Command::Sinter { .. }, Reply::Array(members)) => {
            Shown::Set(members.iter().cloned().collect())
        }
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

/// What is in all of some sets.
fn intersection_fault(keys: &[&Key], asked: &Asked, reply: &Reply) -> Option<String> {
    let Reply::Array(members) = reply else { return Some("that is no set".to_owned()) };
    let of_keys: Vec<BTreeMap<Bytes, Count>> = keys.iter().map(|key| key.names(&known_to(key, asked))).collect();
    let is_wrong = |name: &&Bytes| {
        let is_said = members.contains(*name);
        let must_be = of_keys.iter().all(|names| names.get(*name).is_some_and(|count| count.least > 0));
        let may_be = of_keys.iter().all(|names| names.contains_key(*name));
        (is_said && !may_be) || (!is_said && must_be)
    };
    let wrong = of_keys.iter().flat_map(BTreeMap::keys).chain(members.iter()).find(is_wrong)?;
    Some(format!("by what its node had seen {wrong:?} is wrong"))
}

fn field_fault(key: &Key, known: &[Known], field: &Bytes, reply: &Reply) -> Option<String> {
    let fields = key.fields(known);
    let is_right = match (fields.get(field), reply) {
        (candidates, Reply::Nil) => candidates.is_none_or(|candidates| candidates.may_be_missing),
        (Some(candidates), Reply::Bulk(value)) => candidates.allows(value),
        _ => false,
    };
    (!is_right).then(|| format!("its node had seen {:?}", fields.get(field)))
}

/// An increment answers what its node shows afterwards.
fn sum_fault(key: &Key, known: &[Known], asked: &Asked, command: &Command, sum: i64) -> Option<String> {
    let name = if let Command::Hincrby { field, .. } = command { field.clone() } else { Bytes::new() };
    let mut after = known.to_vec();
    let own = |operation: &Operation| Some(operation.author) == asked.process && Some(operation.numbers) == asked.wrote;
    let Some(index) = key.operations.iter().position(own) else { return Some("it wrote nothing".to_owned()) };
    after[index] = Known::Yes;
    let fields = key.fields(&after);
    let is_right = fields.get(&name).is_some_and(|candidates| candidates.allows(sum.to_string().as_bytes()));
    (!is_right).then(|| format!("by what its node had seen it may be {:?}", fields.get(&name)))
}

/// How many were new, removed, or there.
fn count_fault(key: &Key, known: &[Known], command: &Command, count: i64) -> Option<String> {
    let (names, fields) = (key.names(known), key.fields(known));
    let one = |is_sure: bool, may_be: bool| Count { least: usize::from(is_sure), most: usize::from(may_be) };
    let member = |name: &Bytes| names.get(name).map_or(one(false, false), |count| one(count.least > 0, true));
    let in_field = |of: Option<&Candidates>| of.map_or(one(false, false), |of| one(!of.may_be_missing, true));
    let field = |name: &Bytes| in_field(fields.get(name));
    let not = |there: Count| Count { least: 1 - there.most, most: 1 - there.least };
    let sum = |counts: &mut dyn Iterator<Item = Count>| {
        counts.fold(Count::default(), |sum, one| Count { least: sum.least + one.least, most: sum.most + one.most })
    };
    let distinct = |names: &[Bytes]| names.iter().cloned().collect::<std::collections::BTreeSet<_>>().into_iter();
    let elements = || sum(&mut names.values().copied());
    let expected = match command {
        Command::Sadd { members, .. } => sum(&mut distinct(members).map(|name| not(member(&name)))),
        Command::Srem { members, .. } => sum(&mut distinct(members).map(|name| member(&name))),
        Command::Sismember { member: name, .. } => member(name),
        Command::Scard { .. } | Command::Llen { .. } => elements(),
        Command::Hset { pairs, .. } => {
            let of_pairs: Vec<Bytes> = pairs.iter().map(|(field, _)| field.clone()).collect();
            sum(&mut distinct(&of_pairs).map(|name| not(field(&name))))
        }
        Command::Hdel { fields, .. } => sum(&mut distinct(fields).map(|name| field(&name))),
        Command::Hexists { field: name, .. } => field(name),
        Command::Hlen { .. } => sum(&mut fields.values().map(|of| in_field(Some(of)))),
        Command::Del { .. } | Command::Exists { .. } => one(elements().least > 0, elements().most > 0),
        Command::Rpush { values, .. } | Command::Lpush { values, .. } => {
            let before = elements();
            Count { least: before.least + values.len(), most: before.most + values.len() }
        }
        _ => return None,
    };
    let is_right = usize::try_from(count).is_ok_and(|count| expected.least <= count && count <= expected.most);
    (!is_right).then(|| format!("by what its node had seen it is {expected:?}"))
}
