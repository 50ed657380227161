//! What a snapshot lacks though its vector covers it: rows that were removed there, and are to be removed here.
//!
//! A piece is looked at first and changed only when something of it is doomed, which is seldom.

use super::load::{Merge, Place, retain};
use crate::blob::Blob;
use crate::dot::Tag;
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

    /// Removes what is to be removed of a piece.
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
                    list.remove(key, name, ledger);
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
