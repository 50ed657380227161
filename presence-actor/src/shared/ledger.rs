//! The count of rows, and where each owner's rows are.
//!
//! An origin is forgotten only when it has no row left, so rows are counted by origin. Rows of an owner leave together, so they are found through an index instead of a walk over all keys. Every place
//! that adds or removes a row says so here; [`crate::invariants`] checks that the book agrees with the rows.

use std::collections::BTreeMap;

use super::cost;
use super::list::ElementKey;
use crate::blob::Blob;
use crate::dot::{OriginIx, Owner, Tag};

/// Where in a key a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot<'a> {
    String,
    Member(&'a [u8]),
    Field(&'a [u8]),
    Element(&'a ElementKey),
    Expiry,
}

/// Where an owned row stands, as the index remembers it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OwnedSlot {
    String,
    Member(Blob),
    Field(Blob),
    /// In a box, because an element's name is longer than the others and seldom owned.
    Element(Box<ElementKey>),
}

/// Places of rows, with how many rows of the owner stand at each. Ordered, because a tree grows without a pause.
pub(crate) type Places = BTreeMap<(Blob, OwnedSlot), u32>;

/// The book of rows.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rows: usize,
    bytes: usize,
    /// By the origin's index.
    rows_of: Vec<usize>,
    owned: BTreeMap<(OriginIx, Owner), Places>,
}

impl Ledger {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// What keys and rows are accounted for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn key_added(&mut self, key: &[u8]) {
        self.bytes += cost::of_key(key);
    }

    pub(crate) fn key_removed(&mut self, key: &[u8]) {
        self.bytes -= cost::of_key(key);
    }

    /// How many rows an origin has written.
    pub(crate) fn rows_of(&self, origin: OriginIx) -> usize {
        self.rows_of.get(origin.index()).copied().unwrap_or(0)
    }

    /// A row is stored, with a value of so many bytes.
    pub(crate) fn added(&mut self, key: &[u8], slot: Slot<'_>, tag: &Tag, value: usize) {
        self.rows += 1;
        self.bytes += cost::of_row(key, slot, !tag.owner.is_shared(), value);
        let origin = tag.origin.index();
        if origin >= self.rows_of.len() {
            self.rows_of.resize(origin + 1, 0);
        }
        self.rows_of[origin] += 1;
        if let Some(slot) = owned_slot(slot, tag) {
            *self.owned.entry((tag.origin, tag.owner)).or_default().entry((key.into(), slot)).or_default() += 1;
        }
    }

    /// A row is stored no more; it had a value of so many bytes.
    pub(crate) fn removed(&mut self, key: &[u8], slot: Slot<'_>, tag: &Tag, value: usize) {
        self.rows -= 1;
        self.bytes -= cost::of_row(key, slot, !tag.owner.is_shared(), value);
        self.rows_of[tag.origin.index()] -= 1;
        let Some(slot) = owned_slot(slot, tag) else { return };
        let owner = (tag.origin, tag.owner);
        let Some(places) = self.owned.get_mut(&owner) else { return };
        let place = (key.into(), slot);
        if let Some(count) = places.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                places.remove(&place);
            }
        }
        if places.is_empty() {
            self.owned.remove(&owner);
        }
    }

    /// A row's value has so many bytes now instead of so many.
    pub(crate) fn resized(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes + cost::of_value(after) - cost::of_value(before);
    }

    /// Whether an owner has any row.
    pub(crate) fn owns_any(&self, origin: OriginIx, owner: Owner) -> bool {
        self.owned.contains_key(&(origin, owner))
    }

    /// Some place of an owner's rows, and how many rows of it stand there.
    pub(crate) fn any_place(&self, origin: OriginIx, owner: Owner) -> Option<((Blob, OwnedSlot), usize)> {
        self.owned.get(&(origin, owner))?.last_key_value().map(|(place, rows)| (place.clone(), *rows as usize))
    }

    /// All places of an owner's rows.
    pub(crate) fn places(&self, origin: OriginIx, owner: Owner) -> Vec<(Blob, OwnedSlot)> {
        self.owned.get(&(origin, owner)).map(|places| places.keys().cloned().collect()).unwrap_or_default()
    }

    /// All places of an origin's owned rows.
    pub(crate) fn places_of(&self, origin: OriginIx) -> impl Iterator<Item = &(Blob, OwnedSlot)> {
        self.owned.range((origin, Owner::SHARED)..=(origin, Owner(u32::MAX))).flat_map(|(_, places)| places.keys())
    }

    /// The owners of an origin that have rows.
    pub(crate) fn owners(&self, origin: OriginIx) -> Vec<Owner> {
        self.owned.range((origin, Owner::SHARED)..=(origin, Owner(u32::MAX))).map(|((_, owner), _)| *owner).collect()
    }

    /// An owner of an origin that has rows.
    pub(crate) fn any_owner(&self, origin: OriginIx) -> Option<Owner> {
        self.owned.range((origin, Owner::SHARED)..=(origin, Owner(u32::MAX))).next().map(|((_, owner), _)| *owner)
    }

    /// Where each owner's rows are.
    #[cfg(test)]
    pub(crate) fn owned(&self) -> &BTreeMap<(OriginIx, Owner), Places> {
        &self.owned
    }

    /// Origins with owned rows, and how many places they hold.
    pub(crate) fn owned_by_origin(&self) -> BTreeMap<OriginIx, usize> {
        let mut counts = BTreeMap::new();
        for ((origin, _), places) in &self.owned {
            *counts.entry(*origin).or_default() += places.len();
        }
        counts
    }
}

fn owned_slot(slot: Slot<'_>, tag: &Tag) -> Option<OwnedSlot> {
    if tag.owner.is_shared() {
        return None;
    }
    match slot {
        Slot::String => Some(OwnedSlot::String),
        Slot::Member(member) => Some(OwnedSlot::Member(member.into())),
        Slot::Field(field) => Some(OwnedSlot::Field(field.into())),
        Slot::Element(name) => Some(OwnedSlot::Element(Box::new(*name))),
        Slot::Expiry => None,
    }
}
