//! One key of a single Redis: what it holds after commands, one after the other.
//!
//! Only what the serial witness needs: no deadlines, no owners. A command on the wrong type or on what is no number changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headcount::Command;
use headcount_presence::command::integer;

/// What the key holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Value {
    #[default]
    Missing,
    String(Bytes),
    Set(BTreeSet<Bytes>),
    Hash(BTreeMap<Bytes, Bytes>),
    List(Vec<Bytes>),
}

impl Value {
    /// Carries a command on this key out.
    pub(crate) fn apply(&mut self, command: &Command) {
        match command {
            Command::Set { value, nx: false, .. } => *self = Self::String(value.clone()),
            Command::Del { .. } => *self = Self::Missing,
            Command::Incrby { by, .. } => self.increment(*by),
            Command::Sadd { members, .. } => self.with_set(|set| set.extend(members.iter().cloned())),
            Command::Srem { members, .. } => self.with_set(|set| set.retain(|member| !members.contains(member))),
            Command::Hset { pairs, .. } => self.with_hash(|hash| hash.extend(pairs.iter().cloned())),
            Command::Hdel { fields, .. } => self.with_hash(|hash| hash.retain(|field, _| !fields.contains(field))),
            Command::Hincrby { field, by, .. } => self.with_hash(|hash| {
                if let Some(sum) = sum(hash.get(field), *by) {
                    hash.insert(field.clone(), sum);
                }
            }),
            Command::Rpush { values, .. } => self.with_list(|list| list.extend(values.iter().cloned())),
            Command::Lpush { values, .. } => {
                self.with_list(|list| values.iter().for_each(|value| list.insert(0, value.clone())));
            }
            // The rest reads, or is judged elsewhere.
            _ => {}
        }
    }

    fn increment(&mut self, by: i64) {
        let former = match self {
            Self::Missing => None,
            Self::String(value) => Some(&*value),
            Self::Set(_) | Self::Hash(_) | Self::List(_) => return,
        };
        if let Some(sum) = sum(former, by) {
            *self = Self::String(sum);
        }
    }

    fn with_set(&mut self, change: impl FnOnce(&mut BTreeSet<Bytes>)) {
        let mut set = match std::mem::take(self) {
            Self::Missing => BTreeSet::new(),
            Self::Set(set) => set,
            other => return *self = other,
        };
        change(&mut set);
        *self = if set.is_empty() { Self::Missing } else { Self::Set(set) };
    }

    fn with_hash(&mut self, change: impl FnOnce(&mut BTreeMap<Bytes, Bytes>)) {
        let mut hash = match std::mem::take(self) {
            Self::Missing => BTreeMap::new(),
            Self::Hash(hash) => hash,
            other => return *self = other,
        };
        change(&mut hash);
        *self = if hash.is_empty() { Self::Missing } else { Self::Hash(hash) };
    }

    fn with_list(&mut self, change: impl FnOnce(&mut Vec<Bytes>)) {
        let mut list = match std::mem::take(self) {
            Self::Missing => Vec::new(),
            Self::List(list) => list,
            other => return *self = other,
        };
        change(&mut list);
        *self = if list.is_empty() { Self::Missing } else { Self::List(list) };
    }
}

/// A number in Redis's format after an increment; `None` when it is no number or too large.
pub(crate) fn sum(former: Option<&Bytes>, by: i64) -> Option<Bytes> {
    let former = former.map_or(Ok(0), |value| integer(value)).ok()?;
    Some(former.checked_add(by)?.to_string().into())
}
