//! Owned rows that clients added: who owns them, and whether they are still to be there.
//!
//! Judged are members of sets and values of hash fields. One that no other ask wrote under that key says whose it is, and must not be seen without its owner.
//! A member that several added has a row of each, and is to be seen while any of them lives: whose end it is, the others' rows stay. A value that was written
//! twice is left out. An owner that takes a new incarnation takes its rows along.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Command, MemberState};
use headcount_cluster::Origin;

use crate::history::{Asked, History, Keys, Seen, Shown};
use crate::model::words;
use crate::plan::{Ask, Via};

/// A row that readers can see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) key: String,
    /// The member, or the field.
    pub(super) name: Bytes,
    /// The field's value.
    pub(super) value: Option<Bytes>,
}

/// An owned row, and what became of it.
#[derive(Debug)]
pub(super) struct Owned<'a> {
    pub(super) row: Row,
    /// The ask that added it.
    pub(super) by: &'a Asked,
    /// The origin that it was written under, and those that its process took afterwards.
    pub(super) owners: Vec<Origin>,
    /// Whether nobody else wrote the same, so that whoever sees it sees this row.
    pub(super) is_alone: bool,
    /// When somebody first asked for something that may take it away, if anybody did.
    pub(super) contested: Option<u64>,
}

impl Row {
    /// Whether readers see it.
    pub(super) fn is_shown(&self, seen: &Seen) -> bool {
        match (seen.keys.get(&self.key), &self.value) {
            (Some(Shown::Set(members)), None) => members.binary_search(&self.name).is_ok(),
            (Some(Shown::Hash(fields)), Some(value)) => {
                fields.binary_search_by(|(name, of)| (name, of).cmp(&(&self.name, value))).is_ok()
            }
            (None | Some(Shown::Missing | Shown::Value(_) | Shown::Set(_) | Shown::Hash(_) | Shown::List(_)), _) => {
                false
            }
        }
    }
}

/// Whether nodes show a row. Most samples of a node share what it shows with the one before; those are looked at once.
pub(super) struct Glance<'a> {
    row: &'a Row,
    /// What each node showed last, and whether the row was in it.
    last: Vec<Option<(&'a Keys, bool)>>,
}

impl<'a> Glance<'a> {
    pub(super) fn at(row: &'a Row) -> Self {
        Self { row, last: Vec::new() }
    }

    /// Whether readers see it.
    pub(super) fn is_shown(&mut self, node: usize, seen: &'a Seen) -> bool {
        if self.last.len() <= node {
            self.last.resize(node + 1, None);
        }
        if let Some((keys, is_shown)) = self.last[node]
            && keys.is_shared_with(&seen.keys)
        {
            return is_shown;
        }
        let is_shown = self.row.is_shown(seen);
        self.last[node] = Some((&seen.keys, is_shown));
        is_shown
    }
}

impl Owned<'_> {
    /// Whether the node holds one of its owners for Up, or is the owner.
    pub(super) fn has_live_owner(&self, seen: &Seen) -> bool {
        let is_live = |owner: &Origin| *owner == seen.origin || seen.members.get(owner) == Some(&MemberState::Up);
        self.owners.iter().any(is_live)
    }
}

/// The owned rows that can be told apart.
pub(super) fn rows(history: &History) -> Vec<Owned<'_>> {
    let mut found: BTreeMap<Row, Vec<Owned>> = BTreeMap::new();
    for asked in history.asked.iter().filter(|asked| asked.wrote.is_some()) {
        let Some(process) = asked.process else { continue };
        for row in added(asked) {
            let (owners, is_alone) = (history.lineage(process), false);
            let owned = Owned { row: row.clone(), by: asked, owners, is_alone, contested: None };
            found.entry(row).or_default().push(owned);
        }
    }
    let mut by_key: BTreeMap<Bytes, Vec<(&Asked, Command)>> = BTreeMap::new();
    for asked in &history.asked {
        let Some(command) = words::command(&asked.ask) else { continue };
        for key in words::keys(&command) {
            by_key.entry(key).or_default().push((asked, command.clone()));
        }
    }
    let is_owned = |owned: &Owned| matches!(owned.by.ask, Ask::Command { via: Via::Node | Via::Session, .. });
    let mut rows: Vec<Owned> = Vec::new();
    for (row, mut same) in found {
        match &mut same[..] {
            [one] => one.is_alone = true,
            // Of two that are equal nobody knows whose is shown.
            _ if row.value.is_some() => continue,
            _ => {}
        }
        rows.extend(same.into_iter().filter(is_owned));
    }
    for owned in &mut rows {
        let asks = by_key.get(owned.row.key.as_bytes()).map_or(&[][..], |asks| asks);
        owned.contested = contested(history, owned, asks);
    }
    rows
}

/// The members and values that an ask adds.
fn added(asked: &Asked) -> Vec<Row> {
    let text = |key: &Bytes| String::from_utf8_lossy(key).into_owned();
    match words::command(&asked.ask) {
        Some(Command::Sadd { key, members }) => {
            members.into_iter().map(|name| Row { key: text(&key), name, value: None }).collect()
        }
        Some(Command::Hset { key, pairs }) => {
            pairs.into_iter().map(|(name, value)| Row { key: text(&key), name, value: Some(value) }).collect()
        }
        _ => Vec::new(),
    }
}

/// When somebody first asked for something after which the row need not be there: of what its key was asked, anything that writes but additions of others and
/// what was over before.
fn contested(history: &History, owned: &Owned, asks: &[(&Asked, Command)]) -> Option<u64> {
    let takes = |(asked, command): &&(&Asked, Command)| {
        !std::ptr::eq(*asked, owned.by) && may_take(command, &owned.row) && !was_over(asked, command, owned)
    };
    let others = asks.iter().filter(takes).map(|(asked, _)| asked.at);
    history.ends_of_session(owned.by).map(|end| end.at).chain(others).min()
}

/// Whether something was done before a row was written, so that it took nothing of it: what removes does so to what it has seen, and what a write has seen it
/// replaces.
fn was_over(asked: &Asked, command: &Command, Owned { row, by, .. }: &Owned) -> bool {
    let is_earlier = asked.begun.is_none_or(|begun| by.begun.is_some_and(|later| begun < later));
    let is_seen = asked.wrote.is_none() || by.has_seen(asked);
    match command {
        Command::Del { .. } | Command::Srem { .. } | Command::Hdel { .. } => is_earlier,
        // A set's member is hidden by a hash of its name.
        Command::Hset { .. } => row.value.is_some() && is_earlier && is_seen,
        _ => false,
    }
}

fn may_take(command: &Command, row: &Row) -> bool {
    match command {
        // Of two types under a key one is hidden.
        Command::Sadd { .. } => row.value.is_some(),
        Command::Hset { .. } | Command::Hincrby { .. } | Command::Hincrbyex { .. } if row.value.is_none() => true,
        Command::Smembers { .. }
        | Command::Sismember { .. }
        | Command::Scard { .. }
        | Command::Sinter { .. }
        | Command::Hget { .. }
        | Command::Hgetall { .. }
        | Command::Hexists { .. }
        | Command::Hlen { .. }
        | Command::Exists { .. }
        | Command::Get { .. }
        | Command::Ttl { .. } => false,
        Command::Hset { pairs, .. } => pairs.iter().any(|(field, _)| *field == row.name),
        Command::Hdel { fields, .. } => fields.contains(&row.name),
        Command::Srem { members, .. } => members.contains(&row.name),
        _ => true,
    }
}
