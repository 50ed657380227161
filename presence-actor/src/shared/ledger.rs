//! The count of rows, and where each owner's rows are.
//!
//! Rows of an owner leave together, so they are found through an index instead of a walk over all keys. Every place
//! that adds or removes a row says so here; [`crate::invariants`] checks that the book agrees with the rows.

use std::collections::BTreeMap;

use crate::blob::Blob;
use crate::dot::{OriginIx, Owner, Tag};

/// Where in a key a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot<'a> {
    String,
    Member(&'a [u8]),
    Field(&'a [u8]),
    Element,
    Expiry,
}

/// Where an owned row stands, as the index remembers it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OwnedSlot {
    String,
    Member(Blob),
    Field(Blob),
    /// All of the owner's elements of a list.
    Elements,
}

/// Places of rows, with how many rows of the owner stand at each. Ordered, because a tree grows without a pause.
type Places = BTreeMap<(Blob, OwnedSlot), u32>;

/// The book of rows.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rows: usize,
    owned: BTreeMap<(OriginIx, Owner), Places>,
}

impl Ledger {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn added(&mut self, key: &[u8], slot: Slot<'_>, tag: &Tag) {
        self.rows += 1;
        if let Some(slot) = owned_slot(slot, tag) {
            *self.owned.entry((tag.origin, tag.owner)).or_default().entry((key.into(), slot)).or_default() += 1;
        }
    }

    pub(crate) fn removed(&mut self, key: &[u8], slot: Slot<'_>, tag: &Tag) {
        self.rows -= 1;
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

    /// Some place of an owner's rows.
    pub(crate) fn any_place(&self, origin: OriginIx, owner: Owner) -> Option<(Blob, OwnedSlot)> {
        self.owned.get(&(origin, owner))?.last_key_value().map(|(place, _)| place.clone())
    }

    /// All places of an owner's rows.
    pub(crate) fn places(&self, origin: OriginIx, owner: Owner) -> Vec<(Blob, OwnedSlot)> {
        self.owned.get(&(origin, owner)).map(|places| places.keys().cloned().collect()).unwrap_or_default()
    }

    /// The owners of an origin that have rows.
    pub(crate) fn owners(&self, origin: OriginIx) -> Vec<Owner> {
        self.owned.range((origin, Owner::SHARED)..=(origin, Owner(u32::MAX))).map(|((_, owner), _)| *owner).collect()
    }

    /// An owner of an origin that has rows.
    pub(crate) fn any_owner(&self, origin: OriginIx) -> Option<Owner> {
        self.owned.range((origin, Owner::SHARED)..=(origin, Owner(u32::MAX))).next().map(|((_, owner), _)| *owner)
    }

    /// Origins with owned rows, and how many places they hold.
    pub(crate) fn owned_by_origin(&self) -> BTreeMap<OriginIx, usize> {
        let mut counts = BTreeMap::new();
        for ((origin, _), places) in &self.owned {
            *counts.entry(*origin).or_default() += places.len();
        }
        counts
    }

    /// Whether an origin owns rows.
    pub(crate) fn owns(&self, origin: OriginIx) -> bool {
        self.any_owner(origin).is_some()
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
        Slot::Element => Some(OwnedSlot::Elements),
        Slot::Expiry => None,
    }
}
