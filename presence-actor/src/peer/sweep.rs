//! What a snapshot lacks though its vector covers it: rows that were removed there, and are to be removed here.
//!
//! A piece is looked at first and changed only when something of it is doomed, which is seldom.

use headcount_cluster::Origin;

use super::load::{Merge, Place, retain};
use crate::blob::Blob;
use crate::dot::{OriginIx, Tag};
use crate::op::{Action, Op};
use crate::origin::Origins;
use crate::shared::expiry::ExpiryRow;
use crate::shared::keyspace::Keyspace;
use crate::shared::list::ElementKey;
use crate::shared::register::{Content, Desk, Register, Row};
use crate::shared::walk::{Piece, Stop};
use crate::watch::before::Spot;

/// By what rows are judged.
#[derive(Debug)]
pub(super) struct Sweep<'a> {
    pub(super) merge: &'a Merge,
    /// The snapshot's vector, by this node's indices.
    pub(super) bound: Vec<u64>,
    pub(super) origins: &'a Origins,
}

impl Sweep<'_> {
    /// Whether a row of a piece is to be removed.
    pub(super) fn dooms(&self, key: &[u8], piece: Piece<'_>) -> bool {
        match piece {
            Piece::String(row) => self.dooms_row(key, None, row),
            Piece::Field(field, row) => self.dooms_row(key, Some(field), row),
            Piece::Expiry(rows) => rows.iter().any(|row| self.dooms_expiry(key, row)),
            Piece::Member(member, tags) => tags.iter().any(|tag| self.dooms_member(key, member, tag)),
            Piece::Element(name, element) => self.dooms_element(key, name, &element.tag(name)),
        }
    }

    /// Removes what is to be removed of a piece, if anything is.
    pub(super) fn remove(&self, keyspace: &mut Keyspace, key: &Blob, stop: &Stop) {
        let spot = match stop {
            Stop::String(_) => Some(Spot::String),
            Stop::Expiry => None,
            Stop::Member(member) => Some(Spot::Member(member.clone())),
            Stop::Element(name) => Some(Spot::Element(*name)),
            Stop::Field(field, _) => Some(Spot::Field(field.clone())),
        };
        if !keyspace.watches.is_empty() {
            keyspace.watches.touch(&keyspace.keys, key, spot, self.origins);
        }
        keyspace.change(key, self.origins, |entry, ledger, _| match stop {
            Stop::String(_) => {
                self.clean(entry.string_mut(), &mut Desk { key, field: None, ledger, spent: None });
            }
            Stop::Field(field, _) => {
                if let Some(hash) = entry.hash_mut() {
                    if let Some(register) = hash.rows.get_mut(field) {
                        self.clean(register, &mut Desk { key, field: Some(field), ledger, spent: None });
                    }
                    hash.tidy(field);
                }
            }
            Stop::Expiry => entry.drop_expiry(key, |row| self.dooms_expiry(key, row), ledger),
            Stop::Member(member) => {
                if let Some(set) = entry.set_mut() {
                    set.drop_member(key, member, |tag| self.dooms_member(key, member, tag), ledger);
                }
            }
            Stop::Element(name) => {
                if let Some(list) = entry.list_mut() {
                    list.drop_row(key, name, |tag| self.dooms_element(key, name, tag), ledger);
                }
            }
        });
    }

    fn clean(&self, register: &mut Register, desk: &mut Desk<'_>) {
        let (key, field) = (desk.key, desk.field);
        retain(register, |row| !self.dooms_row(key, field, row), desk);
    }

    fn dooms_row(&self, key: &[u8], field: Option<&[u8]>, row: &Row) -> bool {
        let origin = self.origin(&row.tag);
        let place = match row.content() {
            Content::Value { .. } => Place::Value(field, origin, row.tag.seq),
            Content::Count(_) => Place::Count(field, origin, row.tag.owner.0),
        };
        self.covers(&row.tag) && self.merge.lacks(key, &place)
    }

    fn dooms_member(&self, key: &[u8], member: &[u8], tag: &Tag) -> bool {
        let place = Place::Member(member, self.origin(tag), tag.seq, tag.owner.0);
        self.covers(tag) && self.merge.lacks(key, &place)
    }

    fn dooms_expiry(&self, key: &[u8], row: &ExpiryRow) -> bool {
        self.covers(&row.tag) && self.merge.lacks(key, &Place::Expiry(self.origin(&row.tag), row.tag.seq))
    }

    fn dooms_element(&self, key: &[u8], name: &ElementKey, tag: &Tag) -> bool {
        self.covers(tag) && self.merge.lacks(key, &Place::Element(name.origin.0, name.seq, name.index))
    }

    fn covers(&self, tag: &Tag) -> bool {
        tag.seq <= self.bound[tag.origin.index()]
    }

    fn origin(&self, tag: &Tag) -> u64 {
        self.origins.get(tag.origin).origin.0
    }
}

/// Places where operations have added something since the sweep began.
#[derive(Debug, Default)]
pub(super) struct Again {
    places: Vec<(Blob, Stop)>,
    /// What they take.
    bytes: usize,
}

impl Again {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes some of them out.
    pub(super) fn take(&mut self, most: usize) -> Vec<(Blob, Stop)> {
        let left = self.places.len().saturating_sub(most);
        let taken = self.places.split_off(left);
        if self.places.is_empty() {
            self.bytes = 0;
        }
        taken
    }

    /// Notes where an operation adds something.
    pub(super) fn note(&mut self, op: &Op<'_>, dot: (OriginIx, u64), origin: Origin) {
        match &op.action {
            Action::Set { key, .. } | Action::Incr { key, field: None, .. } => self.add(key.0, Stop::String(dot)),
            Action::Incr { key, field: Some(field), .. } => self.add(key.0, Stop::Field(field.0.into(), dot)),
            Action::Sadd { key, members, .. } => {
                members.0.iter().for_each(|member| self.add(key.0, Stop::Member(member.0.into())));
            }
            Action::Hset { key, pairs, .. } => {
                pairs.0.chunks_exact(2).for_each(|pair| self.add(key.0, Stop::Field(pair[0].0.into(), dot)));
            }
            Action::Expire { key, .. } => self.add(key.0, Stop::Expiry),
            Action::Push { key, position, values, .. } => {
                let (seq, stamp, position) = (dot.1, op.stamp, *position);
                for (index, _) in (0..).zip(&values.0) {
                    self.add(key.0, Stop::Element(ElementKey { position, stamp, origin, seq, index }));
                }
            }
            Action::Del { .. }
            | Action::Srem { .. }
            | Action::Hdel { .. }
            | Action::EndSession { .. }
            | Action::Settled { .. }
            | Action::Take { .. } => {}
        }
    }

    fn add(&mut self, key: &[u8], stop: Stop) {
        let name = match &stop {
            Stop::Member(name) | Stop::Field(name, _) => name.len(),
            Stop::String(_) | Stop::Expiry | Stop::Element(_) => 0,
        };
        self.bytes += size_of::<(Blob, Stop)>() + key.len() + name;
        self.places.push((key.into(), stop));
    }
}
