//! A walk over all rows that takes many turns, with anything happening in between.
//!
//! It goes over keys and, within a key, over its pieces, in the order of hashes ([`Rows::after`](super::rows::Rows::after)) or of elements.
//! A cursor names the last piece that was seen, so what is added, removed or moved meanwhile matters not: every piece
//! that stays is met once. A piece is all that one slot holds, and is never taken apart: its rows change together.

use std::ops::ControlFlow;

use super::entry::Entry;
use super::expiry::ExpiryRow;
use super::keyspace::Keyspace;
use super::list::{Element, ElementKey};
use super::members::Tags;
use super::register::Register;
use crate::blob::Blob;

/// What one slot of a key holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece<'a> {
    String(&'a Register),
    Expiry(&'a [ExpiryRow]),
    Member(&'a Blob, &'a Tags),
    Element(&'a ElementKey, &'a Element),
    Field(&'a Blob, &'a Register),
}

/// The slot of a piece. Slots of one kind stand together, kinds in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spot {
    String,
    Expiry,
    Member(Blob),
    Element(ElementKey),
    Field(Blob),
}

/// Where a walk stands.
#[derive(Debug, Clone, Default)]
pub(crate) enum Cursor {
    #[default]
    Start,
    /// This slot of this key and all before it were seen.
    Within(Blob, Spot),
    End,
}

impl Piece<'_> {
    pub(crate) fn spot(&self) -> Spot {
        match self {
            Self::String(_) => Spot::String,
            Self::Expiry(_) => Spot::Expiry,
            Self::Member(member, _) => Spot::Member((*member).clone()),
            Self::Element(name, _) => Spot::Element(**name),
            Self::Field(field, _) => Spot::Field((*field).clone()),
        }
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::String(register) | Self::Field(_, register) => register.rows.len(),
            Self::Expiry(rows) => rows.len(),
            Self::Member(_, tags) => tags.len(),
            Self::Element(..) => 1,
        }
    }
}

impl Cursor {
    pub(crate) fn is_at_end(&self) -> bool {
        matches!(self, Self::End)
    }
}

impl Keyspace {
    /// Goes on from a cursor until `visit` has enough, or to the end.
    pub(crate) fn walk<'a>(
        &'a self,
        cursor: &mut Cursor,
        mut visit: impl FnMut(&'a Blob, Piece<'a>) -> ControlFlow<()>,
    ) {
        let (passed, begun) = match std::mem::replace(cursor, Cursor::End) {
            Cursor::Start => (None, None),
            Cursor::Within(key, spot) => (Some(key), Some(spot)),
            Cursor::End => return,
        };
        let begun = begun.and_then(|spot| Some((self.keys.get_key_value(passed.as_deref()?)?, Some(spot))));
        let keys = self.keys.after(passed).map(|key| (key, None));
        for ((key, entry), seen) in begun.into_iter().chain(keys) {
            for piece in entry.pieces_after(seen) {
                if visit(key, piece).is_break() {
                    *cursor = Cursor::Within(key.clone(), piece.spot());
                    return;
                }
            }
        }
    }
}

impl Entry {
    /// The pieces after a slot; all when none is given.
    fn pieces_after<'a>(&'a self, seen: Option<Spot>) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        let string = seen.is_none() && !self.string.is_empty();
        let expiry = matches!(seen, None | Some(Spot::String)) && !self.expiry.is_empty();
        let set = self.set.as_ref().filter(|_| !matches!(seen, Some(Spot::Element(_) | Spot::Field(_))));
        let list = self.list.as_ref().filter(|_| !matches!(seen, Some(Spot::Field(_))));
        let (member, element, field) = match seen {
            Some(Spot::Member(member)) => (Some(member), None, None),
            Some(Spot::Element(name)) => (None, Some(name), None),
            Some(Spot::Field(field)) => (None, None, Some(field)),
            Some(Spot::String | Spot::Expiry) | None => (None, None, None),
        };
        let string = string.then_some(Piece::String(&self.string));
        let expiry = expiry.then_some(Piece::Expiry(&self.expiry));
        let members = set.map(|set| set.rows.after(member));
        let elements = list.map(|list| list.after(element));
        let fields = self.hash.as_ref().map(|hash| hash.rows.after(field));
        let members = members.into_iter().flatten().map(|(member, tags)| Piece::Member(member, tags));
        let elements = elements.into_iter().flatten().map(|(name, element)| Piece::Element(name, element));
        let fields = fields.into_iter().flatten().map(|(field, register)| Piece::Field(field, register));
        string.into_iter().chain(expiry).chain(members).chain(elements).chain(fields)
    }
}
