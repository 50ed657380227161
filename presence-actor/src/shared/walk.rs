//! A walk over all rows that takes many turns, with anything happening in between.
//!
//! It goes over keys and, within a key, over its pieces, in the order of hashes ([`Rows::after`](super::rows::Rows::after)) or of elements.
//! A cursor names the last piece that was seen, so what is added, removed or moved meanwhile matters not: every piece
//! that stays is met once. Values come one by one, because each may be as large as a frame has room for.

use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::entry::Entry;
use super::expiry::ExpiryRow;
use super::keyspace::Keyspace;
use super::list::{Element, ElementKey};
use super::members::Tags;
use super::register::{Register, Row};
use crate::blob::Blob;
use crate::dot::OriginIx;

/// What a walk meets at once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece<'a> {
    String(&'a Row),
    Expiry(&'a [ExpiryRow]),
    Member(&'a Blob, &'a Tags),
    Element(&'a ElementKey, &'a Element),
    Field(&'a Blob, &'a Row),
}

/// Which row of a register, by origin and sequence number.
type Dot = (OriginIx, u64);

/// The place of a piece. Those of one kind stand together, kinds in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    String(Dot),
    Expiry,
    Member(Blob),
    Element(ElementKey),
    Field(Blob, Dot),
}

/// Where a walk stands.
#[derive(Debug, Clone, Default)]
pub(crate) enum Cursor {
    #[default]
    Start,
    /// This slot of this key and all before it were seen.
    Within(Blob, Stop),
    End,
}

impl Piece<'_> {
    pub(crate) fn stop(&self) -> Stop {
        match self {
            Self::String(row) => Stop::String(dot(row)),
            Self::Expiry(_) => Stop::Expiry,
            Self::Member(member, _) => Stop::Member((*member).clone()),
            Self::Element(name, _) => Stop::Element(**name),
            Self::Field(field, row) => Stop::Field((*field).clone(), dot(row)),
        }
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Expiry(rows) => rows.len(),
            Self::Member(_, tags) => tags.len(),
            Self::String(_) | Self::Element(..) | Self::Field(..) => 1,
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
            Cursor::Within(key, stop) => (Some(key), Some(stop)),
            Cursor::End => return,
        };
        let begun = begun.and_then(|stop| Some((self.keys.get_key_value(passed.as_deref()?)?, Some(stop))));
        let keys = self.keys.after(passed).map(|key| (key, None));
        for ((key, entry), seen) in begun.into_iter().chain(keys) {
            for piece in entry.pieces_after(seen) {
                if visit(key, piece).is_break() {
                    *cursor = Cursor::Within(key.clone(), piece.stop());
                    return;
                }
            }
        }
    }
}

impl Entry {
    /// The pieces after one; all when none is given.
    fn pieces_after(&self, seen: Option<Stop>) -> impl Iterator<Item = Piece<'_>> + use<'_> {
        let string = matches!(seen, None | Some(Stop::String(_))).then_some(self.string());
        let expiry = matches!(seen, None | Some(Stop::String(_))) && !self.expiry().is_empty();
        let set = self.set().filter(|_| !matches!(seen, Some(Stop::Element(_) | Stop::Field(..))));
        let list = self.list().filter(|_| !matches!(seen, Some(Stop::Field(..))));
        let (row, member, element, field) = match seen {
            Some(Stop::String(dot)) => (Some(dot), None, None, None),
            Some(Stop::Member(member)) => (None, Some(member), None, None),
            Some(Stop::Element(name)) => (None, None, Some(name), None),
            Some(Stop::Field(field, dot)) => (Some(dot), None, None, Some(field)),
            Some(Stop::Expiry) | None => (None, None, None, None),
        };
        let values = string.into_iter().flat_map(move |register| rows_after(register, row)).map(Piece::String);
        let expiry = expiry.then_some(Piece::Expiry(self.expiry()));
        let members = set.into_iter().flat_map(move |set| set.rows.after(member.clone()));
        let elements = list.into_iter().flat_map(move |list| list.after(element));
        let hash = self.hash();
        let begun = hash.and_then(|hash| hash.rows.get_key_value(field.as_deref()?)).map(|field| (field, row));
        let fields = hash.into_iter().flat_map(move |hash| hash.rows.after(field.clone())).map(|field| (field, None));
        let fields = begun
            .into_iter()
            .chain(fields)
            .flat_map(|((field, register), seen)| rows_after(register, seen).map(move |row| Piece::Field(field, row)));
        values
            .chain(expiry)
            .chain(members.map(|(member, tags)| Piece::Member(member, tags)))
            .chain(elements.map(|(name, element)| Piece::Element(name, element)))
            .chain(fields)
    }
}

/// The rows of a register after one, by origin and number: a row that stays keeps its place or moves towards the end.
fn rows_after(register: &Register, seen: Option<Dot>) -> impl Iterator<Item = &Row> {
    let mut rows: SmallVec<[&Row; 1]> = register.rows.iter().filter(|row| seen < Some(dot(row))).collect();
    rows.sort_unstable_by_key(|row| dot(row));
    rows.into_iter()
}

fn dot(row: &Row) -> Dot {
    (row.tag.origin, row.tag.seq)
}
