//! Who writes: the names of nodes, their incarnations, and the origin that both make.
//!
//! A [`NodeId`] is what an operator types and stays the same over restarts. An [`Incarnation`] tells two
//! starts of the same node apart. An [`Origin`] is both in 64 bits: the unit that writes, and the only one
//! of the three that is paid for in every row. Invariant: two different starts never share an origin,
//! because sequence numbers are counted per origin and a shared one would make them lie.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest node name, in bytes. Names travel in every membership datagram, so they are short.
pub const MAX_NODE_ID_BYTES: usize = 32;

/// Low bits of an incarnation that are random, so that a clock set back cannot repeat one.
const RANDOM_BITS: u32 = 20;

/// The stable name of a node: 1 to [`MAX_NODE_ID_BYTES`] bytes of `A-Z a-z 0-9 . _ : -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// Checks `name` and makes it a node's name.
    ///
    /// # Errors
    /// [`InvalidNodeId`] when it is empty, too long, or has a character outside the set.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidNodeId> {
        let name = name.as_ref();
        if name.is_empty() || name.len() > MAX_NODE_ID_BYTES {
            return Err(InvalidNodeId::Length { name: name.chars().take(64).collect(), bytes: name.len() });
        }
        match name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | ':' | '-')) {
            Some(character) => Err(InvalidNodeId::Character { name: name.to_owned(), character }),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;
    fn from_str(name: &str) -> Result<Self, InvalidNodeId> {
        Self::new(name)
    }
}

impl TryFrom<String> for NodeId {
    type Error = InvalidNodeId;
    fn try_from(name: String) -> Result<Self, InvalidNodeId> {
        Self::new(name)
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.0.as_ref().to_owned()
    }
}

/// Why a text is not a node's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNodeId {
    /// Empty or longer than [`MAX_NODE_ID_BYTES`].
    #[error("node name {name:?} has {bytes} bytes; a name has 1 to {MAX_NODE_ID_BYTES}")]
    Length {
        /// The name, cut after 64 characters.
        name: String,
        /// Its whole length.
        bytes: usize,
    },
    /// A character outside the set.
    #[error("node name {name:?} contains {character:?}; use letters, digits, '.', '_', ':' and '-'")]
    Character {
        /// The name.
        name: String,
        /// The first offending character.
        character: char,
    },
}

/// Which start of a node this is. It grows at each start and is never reused.
///
/// It is drawn from the wall clock in its high bits and from a random source in its low ones: a fast restart
/// differs in the random bits, a clock set back in them too; and a peer that knows a higher one says so in the handshake, after
/// which the node takes a number above it ([`Incarnation::above`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// Draws the number of a start at `wall_ms`, mixing in the low bits of `random`.
    pub fn draw(wall_ms: u64, random: u64) -> Self {
        Self((wall_ms << RANDOM_BITS) | (random & ((1 << RANDOM_BITS) - 1)))
    }

    /// A number that is higher than both `self` and `other`, again with random low bits.
    #[must_use]
    pub fn above(self, other: Self, random: u64) -> Self {
        let next_ms = (self.0.max(other.0) >> RANDOM_BITS).saturating_add(1);
        Self::draw(next_ms, random)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// One start of one node: the unit that writes. A stable 64-bit hash of name and incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin(pub u64);

impl Origin {
    /// The origin of a start of a node.
    pub fn of(node: &NodeId, incarnation: Incarnation) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64_with_seed(node.as_str().as_bytes(), incarnation.0))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "o{:x}", self.0)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "o{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_at_32_bytes_and_refused_at_33() {
        assert!(NodeId::new("x".repeat(32)).is_ok());
        assert!(matches!(NodeId::new("x".repeat(33)), Err(InvalidNodeId::Length { bytes: 33, .. })));
        assert!(NodeId::new("").is_err());
        assert!(NodeId::new("with space").is_err());
    }

    #[test]
    fn two_starts_in_the_same_millisecond_have_different_origins() {
        let node = NodeId::new("game-1").unwrap();
        let first = Incarnation::draw(1_000, 1);
        let second = Incarnation::draw(1_000, 2);
        assert_ne!(Origin::of(&node, first), Origin::of(&node, second));
    }

    #[test]
    fn an_incarnation_above_another_is_higher_even_when_the_clock_was_set_back() {
        let old = Incarnation::draw(5_000, u64::MAX);
        let new = Incarnation::draw(1_000, 7).above(old, 7);
        assert!(new > old);
    }
}
