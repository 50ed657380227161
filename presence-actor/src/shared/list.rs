//! A list's rows: one for each element.
//!
//! Who pushes decides once where an element stands: one beyond the last position that it sees at that end. So the order
//! is the same everywhere and never depends on clocks that disagree: what was pushed after it was seen comes after it. What two
//! nodes push at once has one position; then stamp and origin decide, and the elements of one push stay together, as they
//! would on one node.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use headcount_cluster::{Hlc, Origin};
use serde::{Deserialize, Serialize};

use super::ledger::{Ledger, Slot};
use crate::blob::Blob;
use crate::dot::{OriginIx, Owner, Tag};
use crate::limits::MAX_POSITION;
use crate::origin::Origins;

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum End {
    /// The head.
    Left,
    /// The tail.
    Right,
}

/// Names an element, and says where it stands. Lists are in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ElementKey {
    pub(crate) position: i64,
    pub(crate) stamp: Hlc,
    pub(crate) origin: Origin,
    pub(crate) seq: u64,
    /// Its place among the elements of its push, in the order of the list.
    pub(crate) index: u32,
}

#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) origin: OriginIx,
    pub(crate) owner: Owner,
    pub(crate) value: Blob,
}

impl Element {
    pub(crate) fn tag(&self, key: &ElementKey) -> Tag {
        Tag { origin: self.origin, owner: self.owner, seq: key.seq, stamp: key.stamp }
    }
}

#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) elements: BTreeMap<ElementKey, Element>,
}

impl List {
    pub(crate) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// How many elements readers see.
    pub(crate) fn len(&self, origins: &Origins) -> usize {
        if origins.any_veiled() { self.iter(origins).count() } else { self.elements.len() }
    }

    /// The elements that readers see.
    pub(crate) fn iter<'a>(
        &'a self,
        origins: &'a Origins,
    ) -> impl DoubleEndedIterator<Item = (&'a ElementKey, &'a Element)> {
        self.elements.iter().filter(|(key, element)| origins.sees(&element.tag(key)))
    }

    /// The element that a pop takes.
    pub(crate) fn at_end<'a>(&'a self, end: End, origins: &'a Origins) -> Option<(&'a ElementKey, &'a Element)> {
        match end {
            End::Left => self.iter(origins).next(),
            End::Right => self.iter(origins).next_back(),
        }
    }

    /// Where a push at this end stands. What was pushed at the left is always left of what was pushed at the right, also
    /// when one of the two saw the list and the other an empty one.
    pub(crate) fn position_beyond(&self, end: End) -> i64 {
        let at = |found: Option<(&ElementKey, &Element)>| found.map_or(0, |(key, _)| key.position);
        match end {
            End::Left => (at(self.elements.first_key_value()).min(0) - 1).max(-MAX_POSITION),
            End::Right => (at(self.elements.last_key_value()).max(0) + 1).min(MAX_POSITION),
        }
    }

    /// The stored elements after one; all when none is given.
    pub(crate) fn after(&self, name: Option<ElementKey>) -> impl Iterator<Item = (&ElementKey, &Element)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.elements.range((name.map_or(Unbounded, Excluded), Unbounded))
    }

    /// The latest write that readers see; decides between types.
    pub(crate) fn newest(&self, origins: &Origins) -> Option<(Hlc, Origin)> {
        self.iter(origins).map(|(key, _)| (key.stamp, key.origin)).max()
    }

    /// Adds an element; one that has the name already stays, whoever's it is.
    pub(crate) fn add(&mut self, key: &[u8], name: ElementKey, element: Element, ledger: &mut Ledger) {
        if let Entry::Vacant(place) = self.elements.entry(name) {
            ledger.added(key, Slot::Element(&name), &element.tag(&name), element.value.len());
            place.insert(element);
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8], name: &ElementKey, ledger: &mut Ledger) {
        if let Some(element) = self.elements.remove(name) {
            ledger.removed(key, Slot::Element(name), &element.tag(name), element.value.len());
        }
    }

    /// Removes an element if `doomed` names it.
    pub(crate) fn drop_row(
        &mut self,
        key: &[u8],
        name: &ElementKey,
        doomed: impl Fn(&Tag) -> bool,
        ledger: &mut Ledger,
    ) {
        if self.elements.get(name).is_some_and(|element| doomed(&element.tag(name))) {
            self.remove(key, name, ledger);
        }
    }

    /// Removes the elements that `doomed` names.
    pub(crate) fn drop_rows(&mut self, key: &[u8], doomed: impl Fn(&ElementKey, &Tag) -> bool, ledger: &mut Ledger) {
        self.elements.retain(|name, element| {
            let tag = element.tag(name);
            let keep = !doomed(name, &tag);
            if !keep {
                ledger.removed(key, Slot::Element(name), &tag, element.value.len());
            }
            keep
        });
    }
}
