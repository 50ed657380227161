//! What stored rows are accounted for, in bytes.
//!
//! An estimate from the sizes of what is stored, not what the allocator says: it is the same on every node and for every order
//! of writes, costs an addition, and returns to zero when all is gone. The benchmark compares it with what the process takes.

use super::ledger::Slot;
use crate::blob::Blob;

/// A key, with room for a string.
const KEY: usize = 62;
const MEMBER: usize = 53;
const FIELD: usize = 72;
const ELEMENT: usize = 110;
const EXPIRY: usize = 200;
/// A row of a string beyond its key.
const STRING: usize = 10;
/// A place in the index of an owner's rows.
const OWNED: usize = 110;
/// What bytes on the heap take beyond themselves: a pointer to them and two allocations.
const ALLOCATION: usize = 48;

/// A value of so many bytes, beyond those that a row has room for.
pub(super) fn of_value(bytes: usize) -> usize {
    heap(bytes)
}

pub(super) fn of_key(key: &[u8]) -> usize {
    KEY + heap(key.len())
}

/// A row at a slot with a value of so many bytes.
pub(super) fn of_row(key: &[u8], slot: Slot<'_>, is_owned: bool, value: usize) -> usize {
    let (row, name) = match slot {
        Slot::String => (STRING, 0),
        Slot::Member(member) => (MEMBER, heap(member.len())),
        Slot::Field(field) => (FIELD, heap(field.len())),
        Slot::Element(_) => (ELEMENT, 0),
        Slot::Expiry => (EXPIRY, heap(key.len())),
    };
    let owned = if is_owned { OWNED + heap(key.len()) + name } else { 0 };
    row + name + of_value(value) + owned
}

/// Bytes beyond those that a row has room for.
fn heap(bytes: usize) -> usize {
    if bytes > Blob::INLINE { bytes + ALLOCATION } else { 0 }
}
