//! An operation: what an origin's stream consists of.
//!
//! An operation says what it did and what it had *observed* of what it took away. Whoever applies it removes
//! exactly that and adds exactly the rows it names, so the outcome does not depend on when it arrives: rows = added
//! minus observed-and-removed, and who wins among rows that remain is the reader's question ([`crate::shared`]).
//! What the author itself wrote earlier is always observed and never listed.
//!
//! Variants are numbered on the wire in the order in which they stand here: append, never reorder, never reuse.

use std::fmt;
use std::marker::PhantomData;

use headcount_cluster::{Hlc, Origin, WallMs};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::dot::Owner;
use crate::homed::Answered;
use crate::shared::list::ElementKey;

/// Borrowed bytes that serialise as one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Raw)
    }
}

/// Several values; one or two, mostly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Several<'a>(pub(crate) SmallVec<[Raw<'a>; 2]>);

impl<'de: 'a, 'a> Deserialize<'de> for Several<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SeveralVisitor(PhantomData)).map(Several)
    }
}

/// Grows with what is there, never with what the input claims.
struct SeveralVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> serde::de::Visitor<'de> for SeveralVisitor<'a> {
    type Value = SmallVec<[Raw<'a>; 2]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence of byte strings")
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut values = SmallVec::new();
        while let Some(value) = sequence.next_element()? {
            values.push(value);
        }
        Ok(values)
    }
}

/// An operation with the stamp of its write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Op<'a> {
    pub(crate) stamp: Hlc,
    /// Another node's call that it answers.
    pub(crate) answers: Option<Box<Answered>>,
    #[serde(borrow)]
    pub(crate) action: Action<'a>,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Action<'a> {
    /// Replaces the whole key by a string.
    Set {
        #[serde(borrow)]
        key: Raw<'a>,
        #[serde(borrow)]
        value: Raw<'a>,
        deadline: Option<WallMs>,
        owner: Owner,
        seen: Seen<'a>,
    },
    /// Removes what was seen of a key, its expiry included.
    Del {
        #[serde(borrow)]
        key: Raw<'a>,
        seen: Seen<'a>,
    },
    /// Adds members. Needs no observation: each origin's additions stand for themselves.
    Sadd {
        #[serde(borrow)]
        key: Raw<'a>,
        #[serde(borrow)]
        members: Several<'a>,
        owner: Owner,
    },
    /// Removes what was seen of members.
    Srem {
        #[serde(borrow)]
        key: Raw<'a>,
        #[serde(borrow)]
        members: Several<'a>,
        seen: Seen<'a>,
    },
    /// Replaces fields: names and values in turn.
    Hset {
        #[serde(borrow)]
        key: Raw<'a>,
        #[serde(borrow)]
        pairs: Several<'a>,
        owner: Owner,
        seen: Seen<'a>,
    },
    /// Removes what was seen of fields.
    Hdel {
        #[serde(borrow)]
        key: Raw<'a>,
        #[serde(borrow)]
        fields: Several<'a>,
        seen: Seen<'a>,
    },
    /// Counts in a string, or in a hash's field.
    Incr {
        #[serde(borrow)]
        key: Raw<'a>,
        #[serde(borrow)]
        field: Option<Raw<'a>>,
        owner: Owner,
        step: Step,
    },
    /// Sets a key's deadline, or with `None` says that it has none.
    Expire {
        #[serde(borrow)]
        key: Raw<'a>,
        deadline: Option<WallMs>,
        seen: Seen<'a>,
    },
    /// Removes all rows of one of the author's sessions, at once: it takes as long as they are many.
    EndSession { session: Owner },
    /// The author has heard the answers of all its calls up to this number.
    Settled { through: u64 },
    /// Adds elements to a list, in its order, all at one position. Needs no observation, as `Sadd`.
    Push {
        #[serde(borrow)]
        key: Raw<'a>,
        position: i64,
        #[serde(borrow)]
        values: Several<'a>,
        owner: Owner,
    },
    /// Removes an element from a list.
    Take {
        #[serde(borrow)]
        key: Raw<'a>,
        element: ElementKey,
        seen: Seen<'a>,
    },
}

/// A step of an origin's contribution to a counter.
///
/// `total` is what the origin has added since `epoch`, the sequence number of the contribution's first step, this
/// step included. That makes a step enough to rebuild a contribution whose earlier part was erased here:
/// what was erased is `total - delta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) delta: i64,
    pub(crate) total: i64,
    pub(crate) epoch: u64,
}

/// What an operation had observed of the rows in its scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen<'a> {
    /// Per other origin with rows in the scope, the highest sequence number among them. All its rows in the scope
    /// up to that number were observed too, because streams are applied without gaps.
    pub(crate) dots: Vec<(Origin, u64)>,
    /// Other origins' contributions in the scope, with the amount that was observed: a contribution grows,
    /// so that its dot alone would not say how much of it is meant.
    #[serde(borrow)]
    pub(crate) counts: Vec<SeenCount<'a>>,
}

/// An observed contribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenCount<'a> {
    #[serde(borrow)]
    pub(crate) field: Option<Raw<'a>>,
    pub(crate) origin: Origin,
    pub(crate) owner: Owner,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    pub(crate) total: i64,
}

impl<'a> Action<'a> {
    /// About how many rows it changes: a measure of the time that it takes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Sadd { members: several, .. }
            | Self::Srem { members: several, .. }
            | Self::Hset { pairs: several, .. }
            | Self::Hdel { fields: several, .. }
            | Self::Push { values: several, .. } => several.0.len().max(1),
            Self::Set { .. }
            | Self::Del { .. }
            | Self::Incr { .. }
            | Self::Expire { .. }
            | Self::EndSession { .. }
            | Self::Settled { .. }
            | Self::Take { .. } => 1,
        }
    }

    /// What the operation had observed, where it observes.
    pub(crate) fn seen(&self) -> Option<&Seen<'a>> {
        match self {
            Self::Set { seen, .. }
            | Self::Del { seen, .. }
            | Self::Srem { seen, .. }
            | Self::Hset { seen, .. }
            | Self::Hdel { seen, .. }
            | Self::Expire { seen, .. }
            | Self::Take { seen, .. } => Some(seen),
            Self::Sadd { .. }
            | Self::Incr { .. }
            | Self::EndSession { .. }
            | Self::Push { .. }
            | Self::Settled { .. } => None,
        }
    }
}
