//! Bytes as rows hold them: in place up to 15, on the heap beyond.
//!
//! Names of players, rooms and fields are short, and a node holds millions of them; a pointer, a length and an
//! allocation for each would cost more than the bytes. So a blob is 16 bytes, and has room in its first for others to
//! say what they are instead (see [`crate::shared::register`]).

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::op::Raw;

/// Owned, immutable bytes.
#[derive(Clone)]
pub(crate) struct Blob(Held);

#[derive(Clone)]
enum Held {
    Short(Length, [u8; Blob::INLINE]),
    /// A thin pointer: one with a length would make every blob larger.
    Long(Box<Box<[u8]>>),
}

/// How many bytes are in place. Not a number, so that the compiler knows which bytes it never is.
#[derive(Clone, Copy)]
#[rustfmt::skip]
enum Length { L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15 }

#[rustfmt::skip]
const LENGTHS: [Length; Blob::INLINE + 1] = {
    use Length::{L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15};
    [L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15]
};

impl Blob {
    /// Bytes that need no allocation.
    pub(crate) const INLINE: usize = 15;

    /// Becomes other bytes, in place when both are short.
    pub(crate) fn assign(&mut self, bytes: &[u8]) {
        match (&mut self.0, LENGTHS.get(bytes.len())) {
            (Held::Short(length, place), Some(new)) => {
                place[..bytes.len()].copy_from_slice(bytes);
                *length = *new;
            }
            (Held::Long(held), None) if held.len() == bytes.len() => held.copy_from_slice(bytes),
            (Held::Short(..) | Held::Long(_), _) => *self = bytes.into(),
        }
    }

    /// Whether these are its bytes: as `==` of slices, but without a call where there are four to sixteen, as in names.
    #[inline]
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        fn ends<const N: usize>(bytes: &[u8]) -> Option<([u8; N], [u8; N])> {
            (bytes.len() <= 2 * N).then_some((*bytes.first_chunk()?, *bytes.last_chunk()?))
        }
        let own: &[u8] = self;
        if own.len() != bytes.len() {
            return false;
        }
        if let (Some(own), Some(other)) = (ends::<8>(own), ends::<8>(bytes)) {
            return own == other;
        }
        if let (Some(own), Some(other)) = (ends::<4>(own), ends::<4>(bytes)) {
            return own == other;
        }
        own == bytes
    }

    /// A copy for a caller outside.
    pub(crate) fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self(match LENGTHS.get(bytes.len()) {
            Some(length) => {
                let mut place = [0; Self::INLINE];
                place[..bytes.len()].copy_from_slice(bytes);
                Held::Short(*length, place)
            }
            None => Held::Long(Box::new(bytes.into())),
        })
    }
}

impl Default for Blob {
    fn default() -> Self {
        Self(Held::Short(Length::L0, [0; Self::INLINE]))
    }
}

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Short(length, place) => &place[..*length as usize],
            Held::Long(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Blob {
    fn borrow(&self) -> &[u8] {
        self
    }
}

/// As `[u8]` is equal, ordered and hashed, which [`Borrow`] demands.
impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Blob {}

impl PartialOrd for Blob {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Blob {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Blob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Raw(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Raw::deserialize(deserializer).map(|raw| raw.0.into())
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_come_back_and_are_ordered_as_slices() {
        let all: Vec<Vec<u8>> = (0..40).map(|length| (0..length).collect()).collect();
        for bytes in &all {
            let blob = Blob::from(&bytes[..]);
            assert_eq!(*blob, bytes[..]);
            assert_eq!(blob.clone(), blob);
            for other in &all {
                let mut assigned = blob.clone();
                assigned.assign(other);
                assert_eq!(*assigned, other[..]);
                assert_eq!(blob.is(other), bytes == other);
            }
        }
        for differing in 0..39 {
            for bytes in &all[differing + 1..] {
                let mut other = bytes.clone();
                other[differing] ^= 1;
                assert!(!Blob::from(&bytes[..]).is(&other), "{bytes:?} at {differing}");
            }
        }
        for (a, b) in all.iter().zip(all.iter().rev()) {
            assert_eq!(Blob::from(&a[..]).cmp(&Blob::from(&b[..])), a.cmp(b));
        }
        assert_eq!(Blob::default(), Blob::from(&[][..]));
    }

    #[test]
    fn a_blob_takes_sixteen_bytes_and_leaves_patterns_unused() {
        assert_eq!((size_of::<Blob>(), size_of::<Option<Option<Blob>>>()), (16, 16));
    }
}
