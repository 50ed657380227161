//! One key as DESIGN section 5 has it: what is there once some operations are known, given which of them had observed which.
//!
//! A write is there unless an operation that had observed it took it away. For members of sets and elements of lists that decides all; of a string
//! or a field several values may be left, of which one shows, by clocks that the model does not know: so it says which may. The increments that nobody
//! observed and took away count on top of whichever it is, when that is a number.
//!
//! Where the history does not say whether an operation is known, or whether another had observed it, what is shown may be either way: so the model
//! says what must be there and what may be.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headcount::Command;

use super::redis::sum;
use super::removal::{seen_taken, taken_away, takes};
use crate::history::{Shown, Vector};
use headcount_cluster::Origin;

/// What a key is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Set,
    Hash,
    List,
}

impl Kind {
    /// What a command takes its key for, when it is one of those that the model knows.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        match command {
            Command::Set { .. } | Command::Get { .. } | Command::Incrby { .. } => Some(Self::String),
            Command::Sadd { .. }
            | Command::Srem { .. }
            | Command::Smembers { .. }
            | Command::Sismember { .. }
            | Command::Scard { .. } => Some(Self::Set),
            Command::Hset { .. }
            | Command::Hdel { .. }
            | Command::Hincrby { .. }
            | Command::Hget { .. }
            | Command::Hgetall { .. }
            | Command::Hexists { .. }
            | Command::Hlen { .. } => Some(Self::Hash),
            Command::Rpush { .. } | Command::Lpush { .. } | Command::Llen { .. } | Command::Lrange { .. } => {
                Some(Self::List)
            }
            _ => None,
        }
    }
}

/// Something that was written.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) author: Origin,
    /// The numbers of what was written for it.
    pub(crate) numbers: (u64, u64),
    /// What its author knew before.
    pub(crate) saw: Vector,
    /// Whether it may have observed more than that, as while a snapshot is loaded: of what was written until it was carried out.
    pub(crate) may_have_seen_more: bool,
    /// When it was asked for, and until when it was carried out.
    pub(crate) asked_at: u64,
    pub(crate) done_by: u64,
    pub(crate) command: Command,
}

/// Whether somebody knows an operation, or has observed a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Known {
    No,
    Maybe,
    Yes,
}

impl Known {
    /// Whether it is not so.
    pub(super) fn opposite(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

impl Operation {
    /// Whether who knows `vector` knows it.
    pub(crate) fn is_in(&self, vector: &Vector) -> bool {
        vector.get(&self.author).is_some_and(|known| *known >= self.numbers.1)
    }

    /// Whether it had observed another.
    pub(super) fn had_seen(&self, other: &Self) -> Known {
        match (other.is_in(&self.saw), self.may_have_seen_more && other.asked_at <= self.done_by) {
            (true, _) => Known::Yes,
            (false, true) => Known::Maybe,
            (false, false) => Known::No,
        }
    }
}

/// Some of what an operation wrote.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) operation: usize,
    /// The member, field, or element; nothing for a string.
    name: Bytes,
    content: Content,
    /// The operations that observed it and took it away, and those that did so if they observed it.
    pub(super) taken_by: Vec<(usize, Known)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    There,
    Value(Bytes),
    Increment(i64),
}

/// A key and all that was written to it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) operations: Vec<Operation>,
    writes: Vec<Write>,
}

/// How many there are of something at least and at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) least: usize,
    pub(crate) most: usize,
}

/// What may be shown of a string or a field.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// Any of these; `None` when there are too many ways to count.
    values: Option<BTreeSet<Bytes>>,
    /// Whether it may also be missing.
    pub(crate) may_be_missing: bool,
}

/// Increments of which it is not known whether they count, up to which all sums are tried.
const MOST_UNSURE: usize = 8;

/// What is left of a string or a field: values and increments that are there for sure, and that may be there.
#[derive(Default)]
struct Left {
    has_sure_value: bool,
    values: BTreeSet<Bytes>,
    sure_increments: Option<i64>,
    unsure_increments: Vec<i64>,
}

impl Candidates {
    pub(crate) fn allows(&self, value: &[u8]) -> bool {
        self.values.as_ref().is_none_or(|values| values.contains(value))
    }
}

impl Left {
    fn add(&mut self, content: &Content, known: Known) {
        let is_sure = known == Known::Yes;
        match content {
            Content::Value(value) => {
                self.has_sure_value |= is_sure;
                self.values.insert(value.clone());
            }
            Content::Increment(by) if is_sure => *self.sure_increments.get_or_insert(0) += by,
            Content::Increment(by) => self.unsure_increments.push(*by),
            Content::There => {}
        }
    }

    fn candidates(self) -> Candidates {
        let may_be_missing = !self.has_sure_value && self.sure_increments.is_none();
        if self.unsure_increments.len() > MOST_UNSURE {
            return Candidates { values: None, may_be_missing };
        }
        // Each sum, and whether anything was counted for it.
        let mut sums = vec![(self.sure_increments.unwrap_or_default(), self.sure_increments.is_some())];
        for by in self.unsure_increments {
            let with: Vec<(i64, bool)> = sums.iter().map(|(before, _)| (before + by, true)).collect();
            sums.extend(with);
        }
        let mut values = BTreeSet::new();
        for (counted, is_counted) in sums {
            values.extend(self.values.iter().map(|base| sum(Some(base), counted).unwrap_or_else(|| base.clone())));
            if is_counted && !self.has_sure_value {
                values.insert(counted.to_string().into());
            }
        }
        Candidates { values: Some(values), may_be_missing }
    }
}

impl Key {
    /// A key to which this was written, in the order in which it was carried out.
    pub(crate) fn new(kind: Kind, operations: Vec<Operation>) -> Self {
        let mut writes: Vec<Write> = Vec::new();
        for (index, operation) in operations.iter().enumerate() {
            let contents = contents(&operation.command).into_iter();
            writes.extend(contents.map(|(name, content)| Write {
                operation: index,
                name,
                content,
                taken_by: Vec::new(),
            }));
        }
        let mut of_name: BTreeMap<Bytes, Vec<usize>> = BTreeMap::new();
        for (at, write) in writes.iter().enumerate() {
            of_name.entry(write.name.clone()).or_default().push(at);
        }
        for index in 0..operations.len() {
            for (at, seen) in taken_away(&operations, &writes, &of_name, index) {
                writes[at].taken_by.push((index, seen));
            }
        }
        let mut key = Self { kind, operations, writes };
        key.begin_anew();
        key
    }

    /// Who counts on after having seen all that he had counted taken away begins anew, and says so with that increment: whoever knows it does not
    /// show what he had counted before, whether the removal itself has come or not.
    fn begin_anew(&mut self) {
        let mut counted: BTreeMap<(Origin, Bytes), Vec<usize>> = BTreeMap::new();
        for at in 0..self.writes.len() {
            let Write { operation, name, content: Content::Increment(_), .. } = &self.writes[at] else { continue };
            let (operation, author) = (*operation, self.operations[*operation].author);
            let before = counted.entry((author, name.clone())).or_default();
            let seen_taken =
                |former: &usize| seen_taken(&self.operations, &self.writes[*former], &self.operations[operation]);
            let anew = before.iter().map(seen_taken).min().unwrap_or(Known::No);
            if anew != Known::No {
                for former in before.iter() {
                    self.writes[*former].taken_by.push((operation, anew));
                }
            }
            if anew == Known::Yes {
                before.clear();
            }
            before.push(at);
        }
    }

    /// What is there, or may be, once these operations are known.
    fn left<'a>(&'a self, known: &'a [Known]) -> impl Iterator<Item = (&'a Write, Known)> {
        self.writes.iter().filter_map(move |write| {
            let taken = write.taken_by.iter().map(|(by, seen)| known[*by].min(*seen)).max().unwrap_or(Known::No);
            match (known[write.operation], taken) {
                (Known::No, _) | (_, Known::Yes) => None,
                (Known::Yes, Known::No) => Some((write, Known::Yes)),
                (Known::Maybe, _) | (Known::Yes, Known::Maybe) => Some((write, Known::Maybe)),
            }
        })
    }

    /// The members of a set, or the elements of a list, as often as they are there.
    pub(crate) fn names(&self, known: &[Known]) -> BTreeMap<Bytes, Count> {
        let mut names: BTreeMap<Bytes, Count> = BTreeMap::new();
        for (write, is_there) in self.left(known) {
            let count = names.entry(write.name.clone()).or_default();
            count.most += 1;
            count.least += usize::from(is_there == Known::Yes);
            if self.kind != Kind::List {
                (count.least, count.most) = (count.least.min(1), 1);
            }
        }
        names
    }

    /// What may be shown of each field; of a string, under the empty name.
    pub(crate) fn fields(&self, known: &[Known]) -> BTreeMap<Bytes, Candidates> {
        let mut left: BTreeMap<Bytes, Left> = BTreeMap::new();
        for (write, is_there) in self.left(known) {
            left.entry(write.name.clone()).or_default().add(&write.content, is_there);
        }
        left.into_iter().map(|(name, left)| (name, left.candidates())).collect()
    }

    /// Says what is wrong with what readers see once these operations are known.
    pub(crate) fn fault(&self, known: &[Known], shown: &Shown) -> Option<String> {
        match (self.kind, shown) {
            (Kind::Set | Kind::List, Shown::Missing) => self.names_fault(known, &[]),
            (Kind::String | Kind::Hash, Shown::Missing) => self.fields_fault(known, &[]),
            (Kind::Set, Shown::Set(members)) => self.names_fault(known, members),
            (Kind::List, Shown::List(elements)) => {
                self.names_fault(known, elements).or_else(|| self.order_fault(elements))
            }
            (Kind::String, Shown::Value(value)) => self.fields_fault(known, &[(Bytes::new(), value.clone())]),
            (Kind::Hash, Shown::Hash(fields)) => self.fields_fault(known, fields),
            (kind, shown) => Some(format!("it is used as a {kind:?} only, and shows {shown:?}")),
        }
    }

    fn names_fault(&self, known: &[Known], shown: &[Bytes]) -> Option<String> {
        let expected = self.names(known);
        let mut seen: BTreeMap<Bytes, usize> = BTreeMap::new();
        for name in shown {
            *seen.entry(name.clone()).or_default() += 1;
        }
        let lost = expected.iter().find(|(name, count)| *seen.get(*name).unwrap_or(&0) < count.least);
        if let Some((name, _)) = lost {
            return Some(format!(
                "{name:?} is missing, which nothing took away that had seen it: {}",
                self.story(name, known)
            ));
        }
        let extra =
            seen.iter().find(|(name, count)| expected.get(*name).map_or(0, |expected| expected.most) < **count)?;
        Some(format!(
            "{:?} is there, which nobody wrote, or what had seen it took away: {}",
            extra.0,
            self.story(extra.0, known)
        ))
    }

    fn fields_fault(&self, known: &[Known], shown: &[(Bytes, Bytes)]) -> Option<String> {
        let expected = self.fields(known);
        let shown: BTreeMap<&Bytes, &Bytes> = shown.iter().map(|(name, value)| (name, value)).collect();
        for (name, candidates) in &expected {
            match shown.get(name) {
                Some(value) if candidates.allows(value) => {}
                None if candidates.may_be_missing => {}
                Some(value) => {
                    return Some(format!(
                        "{name:?} is {value:?}, and may be {candidates:?}: {}",
                        self.story(name, known)
                    ));
                }
                None => {
                    return Some(format!(
                        "{name:?} is missing, and may be {candidates:?}: {}",
                        self.story(name, known)
                    ));
                }
            }
        }
        let (name, value) = shown.into_iter().find(|(name, _)| !expected.contains_key(*name))?;
        Some(format!("{name:?} is {value:?}, and nothing is to be there: {}", self.story(name, known)))
    }

    /// What was pushed at the right of what its author saw stays there, and the elements of a push stay together. Says nothing about a list in which
    /// something is twice.
    fn order_fault(&self, elements: &[Bytes]) -> Option<String> {
        let place: BTreeMap<&Bytes, usize> = elements.iter().enumerate().map(|(at, element)| (element, at)).collect();
        if place.len() != elements.len() {
            return None;
        }
        let pushes: Vec<Placed> = (0..self.operations.len()).filter_map(|index| self.placed(index, &place)).collect();
        for Placed { push, at_right, places, .. } in &pushes {
            if let Some(pair) = places.windows(2).find(|pair| pair[1] != pair[0] + 1) {
                return Some(format!(
                    "what {push:?} pushed stands at {pair:?}, not together and in order, in {elements:?}"
                ));
            }
            for former in pushes.iter().filter(|former| former.push.is_in(&push.saw)) {
                let is_wrong = (places[0] > former.places[0]) != *at_right;
                // What it had seen taken away it did not stand beside.
                if is_wrong && seen_taken(&self.operations, former.write, push) == Known::No {
                    return Some(format!(
                        "{push:?} had seen {:?}, and is at the wrong side of it in {elements:?}",
                        former.push
                    ));
                }
            }
        }
        None
    }

    /// Where a push's elements stand; `None` when it is no push, or none of its elements is there.
    fn placed(&self, index: usize, place: &BTreeMap<&Bytes, usize>) -> Option<Placed<'_>> {
        let push = &self.operations[index];
        let (values, at_right) = match &push.command {
            Command::Rpush { values, .. } => (values.clone(), true),
            Command::Lpush { values, .. } => (values.iter().rev().cloned().collect(), false),
            _ => return None,
        };
        let write = self.writes.get(self.writes.partition_point(|write| write.operation < index))?;
        let places: Vec<usize> = values.iter().filter_map(|value| place.get(value).copied()).collect();
        (!places.is_empty()).then_some(Placed { push, write, at_right, places })
    }

    /// What happened to a name, for whoever has to find out.
    fn story(&self, name: &Bytes, known: &[Known]) -> String {
        let concerns = |operation: &Operation| {
            takes(&operation.command, name) || contents(&operation.command).iter().any(|(other, _)| other == name)
        };
        let all: Vec<usize> = (0..self.operations.len()).filter(|index| concerns(&self.operations[*index])).collect();
        // The last ones tell most.
        let skipped = all.len().saturating_sub(8);
        let line = |index: &usize| {
            let operation = &self.operations[*index];
            let seen: Vec<String> = all
                .iter()
                .filter(|other| *other != index && self.operations[**other].is_in(&operation.saw))
                .map(|other| format!("#{other}"))
                .collect();
            let is_known = match known[*index] {
                Known::Yes => "",
                Known::Maybe => " (perhaps known)",
                Known::No => " (unknown)",
            };
            let more = if operation.may_have_seen_more { " and perhaps more" } else { "" };
            format!("#{index} {:?} by {}{is_known} had seen {seen:?}{more}", operation.command, operation.author)
        };
        let lines: Vec<String> = all[skipped..].iter().map(line).collect();
        format!("{skipped} more; {}", lines.join("; "))
    }

    /// The operations that concern each row, as indices, and what of them does; of a string or a list there is one row, without a name.
    pub(crate) fn rows(&self) -> BTreeMap<Bytes, Vec<(usize, Command)>> {
        let mut rows: BTreeMap<Bytes, Vec<(usize, Command)>> = BTreeMap::new();
        if self.kind == Kind::List {
            let all = self.operations.iter().map(|operation| operation.command.clone()).enumerate();
            return [(Bytes::new(), all.collect())].into();
        }
        rows.extend(self.writes.iter().map(|write| (write.name.clone(), Vec::new())));
        for (index, operation) in self.operations.iter().enumerate() {
            match parts(&operation.command) {
                Some(parts) => {
                    for (name, part) in parts {
                        // A removal of what nobody ever wrote concerns no row.
                        rows.entry(name).and_modify(|row| row.push((index, part)));
                    }
                }
                None => rows.values_mut().for_each(|row| row.push((index, operation.command.clone()))),
            }
        }
        rows
    }
}

/// A command taken apart by the names that it concerns; `None` when it concerns all.
fn parts(command: &Command) -> Option<BTreeMap<Bytes, Command>> {
    let of_names = |names: &[Bytes], part: &dyn Fn(Bytes) -> Command| {
        Some(names.iter().map(|name| (name.clone(), part(name.clone()))).collect())
    };
    match command {
        Command::Sadd { key, members } => {
            of_names(members, &|name| Command::Sadd { key: key.clone(), members: vec![name] })
        }
        Command::Srem { key, members } => {
            of_names(members, &|name| Command::Srem { key: key.clone(), members: vec![name] })
        }
        Command::Hdel { key, fields } => {
            of_names(fields, &|name| Command::Hdel { key: key.clone(), fields: vec![name] })
        }
        Command::Hset { key, pairs } => {
            let part = |pair: &(Bytes, Bytes)| Command::Hset { key: key.clone(), pairs: vec![pair.clone()] };
            Some(pairs.iter().map(|pair| (pair.0.clone(), part(pair))).collect())
        }
        Command::Hincrby { field, .. } => Some([(field.clone(), command.clone())].into()),
        _ => None,
    }
}

/// Where the elements of a push stand, in the order in which they are to stand.
struct Placed<'a> {
    push: &'a Operation,
    /// The first of them: of such a list, only all that a push brought is taken away.
    write: &'a Write,
    at_right: bool,
    places: Vec<usize>,
}

/// What a command writes, by name.
fn contents(command: &Command) -> Vec<(Bytes, Content)> {
    match command {
        Command::Set { value, .. } => vec![(Bytes::new(), Content::Value(value.clone()))],
        Command::Incrby { by, .. } => vec![(Bytes::new(), Content::Increment(*by))],
        Command::Sadd { members, .. } => members.iter().map(|member| (member.clone(), Content::There)).collect(),
        Command::Hset { pairs, .. } => {
            // Of a field that is named twice the last counts.
            let last: BTreeMap<&Bytes, &Bytes> = pairs.iter().map(|(field, value)| (field, value)).collect();
            last.into_iter().map(|(field, value)| (field.clone(), Content::Value(value.clone()))).collect()
        }
        Command::Hincrby { field, by, .. } => vec![(field.clone(), Content::Increment(*by))],
        Command::Rpush { values, .. } | Command::Lpush { values, .. } => {
            values.iter().map(|value| (value.clone(), Content::There)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(author: Origin, number: u64, saw: &[(Origin, u64)], command: Command) -> Operation {
        Operation {
            author,
            numbers: (number, number),
            saw: saw.iter().copied().collect(),
            may_have_seen_more: false,
            asked_at: number,
            done_by: number,
            command,
        }
    }

    /// A counts, B deletes, and A counts on: what is shown where the deletion has not come.
    fn shown_without_the_deletion(saw_it: bool) -> BTreeMap<Bytes, Candidates> {
        let (a, b) = (Origin(1), Origin(2));
        let key = Bytes::from("k");
        let count = |by| Command::Incrby { key: key.clone(), by };
        let seen: &[(Origin, u64)] = if saw_it { &[(a, 1), (b, 1)] } else { &[(a, 1)] };
        let operations = vec![
            operation(a, 1, &[], count(3)),
            operation(b, 1, &[(a, 1)], Command::Del { keys: vec![key.clone()] }),
            operation(a, 2, seen, count(1)),
        ];
        Key::new(Kind::String, operations).fields(&[Known::Yes, Known::No, Known::Yes])
    }

    /// Found by hearsay 619: A pushes, B deletes, and C deletes what is left; the answer of who heard C and not B was held for wrong.
    #[test]
    fn a_removal_takes_nothing_that_its_author_had_seen_removed() {
        let (a, b, c) = (Origin(1), Origin(2), Origin(3));
        let key = Bytes::from("k");
        let delete = Command::Del { keys: vec![key.clone()] };
        for (saw_it, left) in [(true, 1), (false, 0)] {
            let saw: &[(Origin, u64)] = if saw_it { &[(a, 1), (b, 1)] } else { &[(a, 1)] };
            let operations = vec![
                operation(a, 1, &[], Command::Rpush { key: key.clone(), values: vec!["x".into()] }),
                operation(b, 1, &[(a, 1)], delete.clone()),
                operation(c, 1, saw, delete.clone()),
            ];
            let names = Key::new(Kind::List, operations).names(&[Known::Yes, Known::No, Known::Yes]);
            assert_eq!(names.len(), left, "{saw_it}: {names:?}");
        }
    }

    /// Found by hearsay 4441: A and B count, C deletes what A counted, and A or D what is left; the answer of who heard of the second and not of C was
    /// held for wrong.
    #[test]
    fn a_removal_takes_what_its_own_author_wrote_though_he_had_seen_it_removed() {
        let (a, b, c, d) = (Origin(1), Origin(2), Origin(3), Origin(4));
        let key = Bytes::from("k");
        let count = || Command::Incrby { key: key.clone(), by: 1 };
        let delete = || Command::Del { keys: vec![key.clone()] };
        for (by, left) in [(a, None), (d, Some("1"))] {
            let operations = vec![
                operation(a, 1, &[], count()),
                operation(b, 1, &[], count()),
                operation(c, 1, &[(a, 1)], delete()),
                operation(by, 2, &[(a, 1), (b, 1), (c, 1)], delete()),
            ];
            let fields = Key::new(Kind::String, operations).fields(&[Known::Yes, Known::Yes, Known::No, Known::Yes]);
            let left = left.map(|sum| Some([Bytes::from(sum)].into()));
            assert_eq!(fields.get(&Bytes::new()).map(|of| of.values.clone()), left, "{by}");
        }
    }

    /// A adds two members, B removes one of them, and C deletes the set: it says of A how far it had seen him, for all members.
    #[test]
    fn a_removal_takes_what_was_written_before_something_that_was_there() {
        let (a, b, c) = (Origin(1), Origin(2), Origin(3));
        let key = Bytes::from("k");
        let add = |member| Command::Sadd { key: key.clone(), members: vec![member] };
        for (removed, left) in [("first", vec![]), ("second", vec!["second"])] {
            let operations = vec![
                operation(a, 1, &[], add("first".into())),
                operation(a, 2, &[(a, 1)], add("second".into())),
                operation(b, 1, &[(a, 2)], Command::Srem { key: key.clone(), members: vec![removed.into()] }),
                operation(c, 1, &[(a, 2), (b, 1)], Command::Del { keys: vec![key.clone()] }),
            ];
            let names = Key::new(Kind::Set, operations).names(&[Known::Yes, Known::Yes, Known::No, Known::Yes]);
            assert_eq!(names.into_keys().collect::<Vec<_>>(), left, "{removed}");
        }
    }

    /// A adds a member, B removes it, A adds another one or that one again, and removes both: what it does not find it does not name.
    #[test]
    fn a_removal_of_members_names_only_those_that_are_there() {
        let (a, b) = (Origin(1), Origin(2));
        let key = Bytes::from("k");
        let add = |member: &'static str| Command::Sadd { key: key.clone(), members: vec![member.into()] };
        for (again, left) in [("x", vec![]), ("y", vec!["x"])] {
            let remove = |members: &[&'static str]| Command::Srem {
                key: key.clone(),
                members: members.iter().map(|member| Bytes::from(*member)).collect(),
            };
            let operations = vec![
                operation(a, 1, &[], add("x")),
                operation(b, 1, &[(a, 1)], remove(&["x"])),
                operation(a, 2, &[(a, 1), (b, 1)], add(again)),
                operation(a, 3, &[(a, 2), (b, 1)], remove(&["x", "y"])),
            ];
            let names = Key::new(Kind::Set, operations).names(&[Known::Yes, Known::No, Known::Yes, Known::Yes]);
            assert_eq!(names.into_keys().collect::<Vec<_>>(), left, "{again}");
        }
    }

    /// Found by snapshot-under-fire 6191: A pushes, B deletes the list, and A pushes at the left: where the deletion has not come, both stand at one end.
    #[test]
    fn what_was_pushed_stands_beside_what_was_there_only() {
        let (a, b) = (Origin(1), Origin(2));
        let key = Bytes::from("k");
        let push = |value: &'static str| Command::Lpush { key: key.clone(), values: vec![value.into()] };
        let shown = Shown::List(vec!["first".into(), "second".into()]);
        for (saw, is_right) in [(vec![(a, 1), (b, 1)], true), (vec![(a, 1)], false)] {
            let operations = vec![
                operation(a, 1, &[], push("first")),
                operation(b, 1, &[(a, 1)], Command::Del { keys: vec![key.clone()] }),
                operation(a, 2, &saw, push("second")),
            ];
            let fault = Key::new(Kind::List, operations).fault(&[Known::Yes, Known::No, Known::Yes], &shown);
            assert_eq!(fault.is_none(), is_right, "{fault:?}");
        }
    }

    /// Found by hearsay 199: the answer of an increment was held for wrong.
    #[test]
    fn who_counts_on_after_a_deletion_takes_back_what_he_had_counted_before() {
        for (saw_it, sum) in [(true, "1"), (false, "4")] {
            let fields = shown_without_the_deletion(saw_it);
            assert_eq!(fields[&Bytes::new()].values, Some([Bytes::from(sum)].into()), "{saw_it}");
        }
    }
}
