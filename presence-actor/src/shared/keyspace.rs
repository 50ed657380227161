//! All keys, and the one place where operations change them.
//!
//! [`Keyspace::apply`] is the same for a local write and for a peer's: what was decided at the author (replies, types,
//! observations) is in the operation, so that applying it decides nothing. Invariant: after it, the books (rows,
//! owners, deadlines, type conflicts) agree with the rows of the key.

use std::collections::BTreeSet;

use headcount_cluster::{Hlc, WallMs};

use super::digest::Digest;
use super::entry::Entry;
use super::erase::Erase;
use super::expiry::{Deadlines, ExpiryRow};
use super::ledger::{Ledger, OwnedSlot, Slot};
use super::list::{Element, ElementKey};
use super::register::{Desk, Register, ValueExpiry};
use super::rows::Rows;
use super::spent::Spent;
use crate::blob::Blob;
use crate::dot::{OriginIx, Owner, Tag};
use crate::op::{Action, Op, Several, Step};
use crate::origin::Origins;
use crate::watch::watches::Watches;

/// How much of an operation is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Whole,
    /// What it takes away, and not what it adds: it was applied before, and more to take away has come.
    Erasure,
}

#[derive(Debug)]
pub(crate) struct Keyspace {
    /// With which the rows of all keys are hashed.
    pub(crate) seed: u64,
    pub(crate) keys: Rows<Entry>,
    pub(crate) ledger: Ledger,
    pub(crate) deadlines: Deadlines,
    pub(crate) spent: Spent,
    /// Whether anybody could send a snapshot that lacks what is recorded in `spent`.
    pub(crate) keep_spent: bool,
    mixed: BTreeSet<Blob>,
    /// Keys that have a deadline and no data: concurrent removals left it over.
    pub(crate) orphans: BTreeSet<Blob>,
    /// Keys of lists for whose elements somebody waits here,
    pub(crate) awaited: BTreeSet<Blob>,
    /// and those of them that have changed.
    pub(crate) arrived: Vec<Blob>,
    pub(crate) watches: Watches,
    /// How often keys were changed, or might have been.
    pub(crate) changes: u64,
}

impl Keyspace {
    /// No keys, and rows to come that are hashed with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            keys: Rows::new(seed),
            ledger: Ledger::default(),
            deadlines: Deadlines::new(seed),
            spent: Spent::default(),
            keep_spent: false,
            mixed: BTreeSet::new(),
            orphans: BTreeSet::new(),
            awaited: BTreeSet::new(),
            arrived: Vec::new(),
            watches: Watches::new(seed),
            changes: 0,
        }
    }

    /// Keys with rows of more than one type.
    pub(crate) fn type_conflicts(&self) -> usize {
        self.mixed.len()
    }

    /// Applies an operation; `erase` is its observation, resolved.
    pub(crate) fn apply(&mut self, op: &Op<'_>, erase: &Erase<'_>, effect: Effect, origins: &Origins) {
        let tag = |owner: Owner| Tag { origin: erase.author, owner, seq: erase.seq, stamp: op.stamp };
        let seed = self.seed;
        let first_element = |position: i64| ElementKey {
            position,
            stamp: op.stamp,
            origin: origins.get(erase.author).origin,
            seq: erase.seq,
            index: 0,
        };
        if !self.watches.is_empty() {
            self.watches.touch_scope(&self.keys, &op.action, first_element, origins);
        }
        let admitted = |owner: Owner| effect == Effect::Whole && origins.admits(erase.author, owner);
        match &op.action {
            Action::Set { key, value, deadline, owner, .. } => {
                let expiry = deadline.map_or(ValueExpiry::Never, ValueExpiry::At);
                self.change(key.0, origins, |entry, ledger, mut spent| {
                    if !admitted(*owner) {
                        return entry.erase_all(key.0, erase, ledger, spent);
                    }
                    entry.erase_all_but_string(key.0, erase, ledger, spent.as_deref_mut());
                    let mut desk = Desk { key: key.0, field: None, ledger, spent };
                    entry.string_mut().replace(erase, tag(*owner), value.0, expiry, &mut desk);
                });
            }
            Action::Del { key, .. } => {
                self.change(key.0, origins, |entry, ledger, spent| entry.erase_all(key.0, erase, ledger, spent));
            }
            Action::Sadd { key, members, owner } => {
                if !admitted(*owner) {
                    return;
                }
                self.change(key.0, origins, |entry, ledger, _| {
                    let set = entry.make_set(seed);
                    for member in &members.0 {
                        set.add(key.0, member.0, tag(*owner), ledger);
                    }
                });
            }
            Action::Srem { key, members, .. } => {
                self.change(key.0, origins, |entry, ledger, _| {
                    let Some(set) = entry.set_mut() else { return };
                    for member in &members.0 {
                        set.drop_member(key.0, member.0, |tag| erase.covers(tag), ledger);
                    }
                });
            }
            Action::Hset { key, pairs, owner, .. } => {
                let tag = admitted(*owner).then(|| tag(*owner));
                self.replace_fields(key.0, pairs, tag, erase, origins);
            }
            Action::Hdel { key, fields, .. } => {
                self.change(key.0, origins, |entry, ledger, mut spent| {
                    let Some(hash) = entry.hash_mut() else { return };
                    for field in &fields.0 {
                        if let Some(register) = hash.rows.get_mut(field.0) {
                            let spent = spent.as_deref_mut();
                            register.erase(erase, &mut Desk { key: key.0, field: Some(field.0), ledger, spent });
                        }
                        hash.tidy(field.0);
                    }
                });
            }
            Action::Incr { key, field, owner, step } => {
                if admitted(*owner) {
                    self.count(key.0, field.map(|field| field.0), tag(*owner), *step, origins);
                }
            }
            Action::Expire { key, deadline, .. } => self.expire(key.0, *deadline, op.stamp, erase, effect, origins),
            Action::Push { key, position, values, owner } => {
                if admitted(*owner) {
                    self.push(key.0, *position, values, tag(*owner), origins);
                }
            }
            Action::Take { key, element, .. } => {
                self.change(key.0, origins, |entry, ledger, _| {
                    let Some(list) = entry.list_mut() else { return };
                    list.remove(key.0, element, ledger);
                });
            }
            Action::Settled { .. } => {}
            Action::EndSession { .. } if effect == Effect::Erasure => {}
            Action::EndSession { session } => {
                for place in self.ledger.places(erase.author, *session) {
                    self.drop_place(&place, erase.author, *session, origins);
                }
            }
        }
    }

    /// Takes away what was observed of fields, and writes their new values unless their owner is Gone.
    fn replace_fields(
        &mut self,
        key: &[u8],
        pairs: &Several<'_>,
        tag: Option<Tag>,
        erase: &Erase<'_>,
        origins: &Origins,
    ) {
        let seed = self.seed;
        self.change(key, origins, |entry, ledger, mut spent| {
            let hash = entry.make_hash(seed);
            for pair in pairs.0.chunks_exact(2) {
                let (field, value) = (pair[0].0, pair[1].0);
                let mut desk = Desk { key, field: Some(field), ledger, spent: spent.as_deref_mut() };
                let register = hash.rows.get_or_insert_with(field, Register::default);
                match tag {
                    Some(tag) => register.replace(erase, tag, value, ValueExpiry::Never, &mut desk),
                    None => register.erase(erase, &mut desk),
                }
                if register.is_empty() {
                    hash.rows.remove(field);
                }
            }
        });
    }

    fn expire(
        &mut self,
        key: &[u8],
        deadline: Option<WallMs>,
        stamp: Hlc,
        erase: &Erase<'_>,
        effect: Effect,
        origins: &Origins,
    ) {
        self.change(key, origins, |entry, ledger, _| {
            entry.drop_expiry(key, |row| erase.covers(&row.tag), ledger);
            entry.supersede_value_expiry(erase);
            if effect == Effect::Erasure {
                return;
            }
            let tag = Tag { origin: erase.author, owner: Owner::SHARED, seq: erase.seq, stamp };
            // A snapshot may have brought it, or a later one, already.
            if !entry.expiry().iter().any(|known| known.tag.origin == erase.author && known.tag.seq >= erase.seq) {
                ledger.added(key, Slot::Expiry, &tag, 0);
                entry.expiry_mut().push(ExpiryRow { tag, deadline });
            }
        });
    }

    fn push(&mut self, key: &[u8], position: i64, values: &Several<'_>, tag: Tag, origins: &Origins) {
        let origin = origins.get(tag.origin).origin;
        self.change(key, origins, |entry, ledger, _| {
            let list = entry.make_list();
            for (index, value) in (0..).zip(&values.0) {
                let name = ElementKey { position, stamp: tag.stamp, origin, seq: tag.seq, index };
                list.add(key, name, Element { origin: tag.origin, owner: tag.owner, value: value.0.into() }, ledger);
            }
        });
    }

    fn count(&mut self, key: &[u8], field: Option<&[u8]>, tag: Tag, step: Step, origins: &Origins) {
        let seed = self.seed;
        self.change(key, origins, |entry, ledger, spent| {
            let mut desk = Desk { key, field, ledger, spent };
            match field {
                None => entry.string_mut().step(tag, step, &mut desk),
                Some(field) => {
                    let hash = entry.make_hash(seed);
                    hash.rows.get_or_insert_with(field, Register::default).step(tag, step, &mut desk);
                }
            }
        });
    }

    /// Drops the rows that an owner has at a place of the [`Ledger`].
    pub(crate) fn drop_place(&mut self, place: &(Blob, OwnedSlot), origin: OriginIx, owner: Owner, origins: &Origins) {
        self.watches.touch_place(&self.keys, place, origins);
        let (key, slot) = place;
        let doomed = |tag: &Tag| tag.origin == origin && tag.owner == owner;
        self.change(key, origins, |entry, ledger, spent| match slot {
            OwnedSlot::String => {
                entry.string_mut().drop_rows(doomed, &mut Desk { key, field: None, ledger, spent });
            }
            OwnedSlot::Member(member) => {
                if let Some(set) = entry.set_mut() {
                    set.drop_member(key, member, doomed, ledger);
                }
            }
            OwnedSlot::Element(name) => {
                if let Some(list) = entry.list_mut() {
                    list.drop_row(key, name, doomed, ledger);
                }
            }
            OwnedSlot::Field(field) => {
                if let Some(hash) = entry.hash_mut() {
                    if let Some(register) = hash.rows.get_mut(field) {
                        register.drop_rows(doomed, &mut Desk { key, field: Some(field), ledger, spent });
                    }
                    hash.tidy(field);
                }
            }
        });
    }

    /// Changes a key and brings the books up to date. What readers may see differently afterwards has to be touched
    /// in `watches` before.
    pub(crate) fn change(
        &mut self,
        key: &[u8],
        origins: &Origins,
        change: impl FnOnce(&mut Entry, &mut Ledger, Option<&mut Spent>),
    ) {
        self.changes += 1;
        let ledger = &mut self.ledger;
        let entry = self.keys.get_or_insert_with(key, || {
            ledger.key_added(key);
            Entry::default()
        });
        let had_deadline = !self.deadlines.is_empty() && entry.deadline(origins).is_some();
        if !self.awaited.is_empty() && self.awaited.contains(key) {
            self.arrived.push(key.into());
        }
        change(entry, &mut self.ledger, self.keep_spent.then_some(&mut self.spent));
        entry.tidy();
        let deadline = entry.deadline(origins);
        if had_deadline || deadline.is_some() {
            self.deadlines.set(key, deadline.map(|deadline| deadline.at));
        }
        if entry.is_mixed() {
            self.mixed.insert(key.into());
        } else if !self.mixed.is_empty() {
            self.mixed.remove(key);
        }
        if entry.is_empty() {
            self.keys.remove(key);
            self.ledger.key_removed(key);
        } else if entry.holds_no_data() {
            self.orphans.insert(key.into());
        }
    }

    /// A number that is equal on two nodes exactly when they hold the same rows.
    ///
    /// A sum over rows, so that no order matters; rows are named by origins as on the wire, never by indices.
    pub(crate) fn digest(&self, origins: &Origins) -> u64 {
        let mut digest = Digest::new(origins);
        for (key, entry) in self.keys.iter() {
            digest.add_entry(key, entry);
        }
        digest.sum()
    }
}
