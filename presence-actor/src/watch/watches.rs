//! This node's watchers, and what was touched since they were last told.
//!
//! Invariant: between two inputs nothing is touched and not told. Then what watchers were told of a key is what readers see of
//! it, except that a key past its deadline may not have been told of yet; those that have are in `expired`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headcount_cluster::WallMs;

use super::before::{Before, Spot};
use super::change::{Change, WatchEvent};
use crate::blob::Blob;
use crate::op::Action;
use crate::origin::Origins;
use crate::pubsub::Mailbox;
use crate::shared::entry::Entry;
use crate::shared::ledger::OwnedSlot;
use crate::shared::list::ElementKey;
use crate::shared::rows::Rows;

/// Identifies a watcher on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WatchId(u64);

/// Which keys a watcher hears of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    Key(Blob),
    Prefix(Blob),
}

impl Selector {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Key(name) | Self::Prefix(name) => name,
        }
    }

    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        match self {
            Self::Key(name) => **name == *key,
            Self::Prefix(prefix) => key.starts_with(prefix),
        }
    }
}

#[derive(Debug)]
struct Watcher {
    id: WatchId,
    mailbox: Arc<Mailbox<WatchEvent>>,
}

/// Watchers by key and by prefix.
#[derive(Debug)]
pub(crate) struct Watches {
    seed: u64,
    keys: Rows<Vec<Watcher>>,
    prefixes: Rows<Vec<Watcher>>,
    /// How many of the prefixes have this length: a key is looked up once for each.
    lengths: BTreeMap<usize, usize>,
    count: usize,
    last_id: u64,
    touched: BTreeMap<Blob, Before>,
    /// Keys that readers do not see because their deadline has passed, and of which watchers were told so.
    expired: BTreeSet<Blob>,
    /// Deadlines up to this moment were told of.
    expired_until: WallMs,
}

impl Watches {
    /// None, of names that are hashed with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            keys: Rows::new(seed),
            prefixes: Rows::new(seed),
            lengths: BTreeMap::new(),
            count: 0,
            last_id: 0,
            touched: BTreeMap::new(),
            expired: BTreeSet::new(),
            expired_until: WallMs(0),
        }
    }

    /// How many watchers there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn add(&mut self, selector: &Selector, mailbox: Arc<Mailbox<WatchEvent>>) -> WatchId {
        self.last_id += 1;
        self.count += 1;
        let id = WatchId(self.last_id);
        let rows = match selector {
            Selector::Key(_) => &mut self.keys,
            Selector::Prefix(_) => &mut self.prefixes,
        };
        let name = selector.bytes();
        if rows.get(name).is_none() && matches!(selector, Selector::Prefix(_)) {
            *self.lengths.entry(name.len()).or_default() += 1;
        }
        rows.get_or_insert_with(name, Vec::new).push(Watcher { id, mailbox });
        id
    }

    pub(crate) fn remove(&mut self, selector: &Selector, id: WatchId) {
        let rows = match selector {
            Selector::Key(_) => &mut self.keys,
            Selector::Prefix(_) => &mut self.prefixes,
        };
        let name = selector.bytes();
        let Some(watchers) = rows.get_mut(name) else { return };
        let before = watchers.len();
        watchers.retain(|watcher| watcher.id != id);
        self.count -= before - watchers.len();
        if watchers.is_empty() {
            rows.remove(name);
            if let (Selector::Prefix(_), Some(count)) = (selector, self.lengths.get_mut(&name.len())) {
                *count -= 1;
                self.lengths.retain(|_, count| *count > 0);
            }
            let mut expired = std::mem::take(&mut self.expired);
            expired.retain(|key| self.covers(key));
            self.expired = expired;
        }
    }

    /// Ends all watches: what is queued is still handed out.
    pub(crate) fn close(&mut self) {
        self.keys.values().chain(self.prefixes.values()).flatten().for_each(|watcher| watcher.mailbox.close());
        *self = Self { last_id: self.last_id, ..Self::new(self.seed) };
    }

    /// Those who hear of a key.
    fn watchers(&self, key: &[u8]) -> impl Iterator<Item = &Watcher> {
        let beginnings = self.lengths.keys().map_while(|length| key.get(..*length));
        let prefixes = beginnings.filter_map(|beginning| self.prefixes.get(beginning));
        self.keys.get(key).into_iter().chain(prefixes).flatten()
    }

    /// Whether anybody hears of a key.
    #[inline]
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        !self.is_empty() && self.any_watcher(key)
    }

    #[inline(never)] // so that a write of which nobody hears pays for no more than the question
    fn any_watcher(&self, key: &[u8]) -> bool {
        self.watchers(key).next().is_some()
    }

    /// Hands changes of a key to those who watch it. Returns how many older ones were dropped for them.
    pub(crate) fn deliver(&self, key: &[u8], changes: &[Change]) -> usize {
        let push = |watcher: &Watcher| {
            changes.iter().filter(|change| watcher.mailbox.push(WatchEvent::Change((*change).clone()))).count()
        };
        self.watchers(key).map(push).sum()
    }

    fn before(&mut self, key: &[u8], entry: Option<&Entry>, origins: &Origins) -> &mut Before {
        let hidden = self.expired.contains(key);
        let new = || if hidden { Before::hidden() } else { Before::new(entry, origins) };
        self.touched.entry(key.into()).or_insert_with(new)
    }

    /// A slot of a key is about to change, or with `None` nothing but its deadline.
    pub(crate) fn touch(&mut self, rows: &Rows<Entry>, key: &[u8], spot: Option<Spot>, origins: &Origins) {
        if self.covers(key) {
            let entry = rows.get(key);
            let before = self.before(key, entry, origins);
            if let Some(spot) = spot {
                before.note(spot, entry, origins);
            }
        }
    }

    /// Any slot of a key may be about to change.
    pub(crate) fn touch_all(&mut self, rows: &Rows<Entry>, key: &[u8], origins: &Origins) {
        if self.covers(key) {
            let entry = rows.get(key);
            self.before(key, entry, origins).note_all(entry, origins);
        }
    }

    /// An owner's rows at a place are about to change, or who sees them.
    pub(crate) fn touch_place(&mut self, rows: &Rows<Entry>, (key, slot): &(Blob, OwnedSlot), origins: &Origins) {
        if self.is_empty() {
            return;
        }
        match slot {
            OwnedSlot::String => self.touch(rows, key, Some(Spot::String), origins),
            OwnedSlot::Member(member) => self.touch(rows, key, Some(Spot::Member(member.clone())), origins),
            OwnedSlot::Field(field) => self.touch(rows, key, Some(Spot::Field(field.clone())), origins),
            OwnedSlot::Element(name) => self.touch(rows, key, Some(Spot::Element(**name)), origins),
        }
    }

    /// What an operation is about to change; `first` names the first element that it pushes. A session's end touches the
    /// places of its rows one by one instead.
    pub(crate) fn touch_scope(
        &mut self,
        rows: &Rows<Entry>,
        action: &Action<'_>,
        first: impl FnOnce(i64) -> ElementKey,
        origins: &Origins,
    ) {
        let mut touch = |key: &[u8], spot| self.touch(rows, key, Some(spot), origins);
        match action {
            Action::Set { key, .. } | Action::Del { key, .. } => self.touch_all(rows, key.0, origins),
            Action::Sadd { key, members, .. } | Action::Srem { key, members, .. } => {
                members.0.iter().for_each(|member| touch(key.0, Spot::Member(member.0.into())));
            }
            Action::Hset { key, pairs, .. } => {
                pairs.0.chunks_exact(2).for_each(|pair| touch(key.0, Spot::Field(pair[0].0.into())));
            }
            Action::Hdel { key, fields, .. } => {
                fields.0.iter().for_each(|field| touch(key.0, Spot::Field(field.0.into())));
            }
            Action::Incr { key, field, .. } => {
                touch(key.0, field.map_or(Spot::String, |field| Spot::Field(field.0.into())));
            }
            Action::Expire { key, .. } => self.touch(rows, key.0, None, origins),
            Action::Push { key, position, values, .. } => {
                let first = first(*position);
                for index in 0..values.0.len() as u32 {
                    touch(key.0, Spot::Element(ElementKey { index, ..first }));
                }
            }
            Action::Take { key, element, .. } => touch(key.0, Spot::Element(*element)),
            Action::EndSession { .. } | Action::Settled { .. } => {}
        }
    }

    /// What was touched, for telling; nothing is touched then.
    pub(crate) fn take_touched(&mut self) -> BTreeMap<Blob, Before> {
        std::mem::take(&mut self.touched)
    }

    /// Takes note of whether watchers know of a key that its deadline has passed.
    pub(crate) fn set_expired(&mut self, key: &Blob, expired: bool) {
        if expired {
            self.expired.insert(key.clone());
        } else if !self.expired.is_empty() {
            self.expired.remove(key);
        }
    }

    /// From when on deadlines were not told of; until `now` they are from here on.
    pub(crate) fn advance_expired(&mut self, now: WallMs) -> WallMs {
        let from = self.expired_until.plus_ms(1);
        self.expired_until = self.expired_until.max(now);
        from
    }
}
