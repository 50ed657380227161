//! Which write made a row: the dot, the stamp, and whose row it is.
//!
//! An origin is 64 bits on the wire and an index of 32 in memory ([`OriginIx`]), because every row carries one.
//! Invariant: an index is only meaningful inside the state that gave it; it never leaves the node.

use std::num::NonZeroU32;

use headcount_cluster::Hlc;
use serde::{Deserialize, Serialize};

/// An origin's place in this node's table of origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OriginIx(
    /// The index and one: never zero, so that a row without an origin can mean something else ([`crate::few`]).
    NonZeroU32,
);

impl OriginIx {
    pub(crate) fn new(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    pub(crate) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Whose row it is: everybody's, its origin's, or a session's inside its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner(pub(crate) u32);

impl Owner {
    /// Outlives its writer.
    pub const SHARED: Self = Self(0);
    /// Leaves with the node that wrote it.
    pub const NODE: Self = Self(1);

    /// The `n`-th session of an origin, from 0.
    pub(crate) fn session(n: u32) -> Self {
        Self(n.saturating_add(2))
    }

    pub(crate) fn is_shared(self) -> bool {
        self == Self::SHARED
    }
}

/// What identifies a row's write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) origin: OriginIx,
    pub(crate) owner: Owner,
    pub(crate) seq: u64,
    pub(crate) stamp: Hlc,
}

impl Tag {
    /// Whether it is a later write than `known`, of the same origin for the same owner.
    pub(crate) fn succeeds(&self, known: &Self) -> bool {
        self.origin == known.origin && self.owner == known.owner && self.seq > known.seq
    }
}
