//! What is said of those who are present.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use headcount_cluster::{NodeId, Origin};

/// Names a tracked session; unique in the cluster, and the same as long as it is tracked. It sorts by node, then by age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PresenceRef(u128);

impl PresenceRef {
    /// How many digits it has.
    pub(crate) const DIGITS: usize = 32;

    /// Of the session whose row an origin wrote first with this operation.
    pub(crate) fn new(origin: Origin, seq: u64) -> Self {
        Self(u128::from(origin.0) << 64 | u128::from(seq))
    }

    pub(crate) fn parse(digits: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(digits).ok().filter(|text| text.len() == Self::DIGITS)?;
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for PresenceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for PresenceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresenceRef({self})")
    }
}

/// A tracked session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Present {
    /// Which one.
    pub reference: PresenceRef,
    /// The node it is on; `None` for a presence without a cluster.
    pub node: Option<NodeId>,
    /// What it wants known of it.
    pub meta: Bytes,
}

/// Sessions by the key they are tracked under: at least one for each key, in the order of their references.
pub type Presences = BTreeMap<Bytes, Vec<Present>>;

/// What has changed under a topic. A session that came and went between two diffs is in neither part; one that said something new
/// of itself is in both, with its old meta in `leaves` and the new one in `joins`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diff {
    /// Sessions that have come. The key may have had others before.
    pub joins: Presences,
    /// Sessions that have left. The key may have others still.
    pub leaves: Presences,
}

impl Diff {
    /// Whether nobody came or left.
    pub fn is_empty(&self) -> bool {
        self.joins.is_empty() && self.leaves.is_empty()
    }
}
