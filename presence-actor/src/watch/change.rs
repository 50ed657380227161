//! What a watcher is told.

use bytes::Bytes;
use headcount_cluster::{NodeId, Origin};

use crate::pubsub::Lossy;
use crate::reply::Type;

/// What became of a slot of a key. A slot is a string's value, a hash's field, a set's member or a list's element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A string or a hash's field has another value: `new`; `old` is `None` when it was not there.
    Set,
    /// A member is in a set: `field`.
    Added,
    /// An element is in a list: `new`. Where in the list is not told.
    Pushed,
    /// A slot is no longer there: its `field` when it has one, and its value in `old`.
    Removed,
    /// As [`Removed`](Self::Removed), because the key's deadline has passed.
    Expired,
    /// The key has another deadline: `new`, milliseconds since 1970 in decimal as Redis's `PEXPIRETIME` has it; `None` when it
    /// lives for ever. Not told of a key that is gone: when nothing is left of a key its deadline is gone too.
    Deadline,
}

/// Whose operation it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Author {
    /// The writing origin: one start of a node.
    pub origin: Origin,
    /// Its node's name; `None` when this node does not know it any more, and for a presence without a cluster.
    pub node: Option<NodeId>,
}

/// One change of what readers see of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// What happened.
    pub kind: ChangeKind,
    /// The type of the slot; for a deadline, of the key.
    pub shape: Type,
    /// A hash's field or a set's member; `None` for strings, elements and deadlines.
    pub field: Option<Bytes>,
    /// The value before, or the deadline.
    pub old: Option<Bytes>,
    /// The value now, or the deadline.
    pub new: Option<Bytes>,
    /// Who did it. `None` when it was no operation (a deadline passed, a node died or came back), or when it came with
    /// a snapshot, which does not say.
    pub author: Option<Author>,
}

/// What a [`Watch`](super::Watch) yields.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// What readers see has changed.
    Change(Change),
    /// Changes were dropped here because this watcher was slow. [`Watch::current`](super::Watch::current) starts anew.
    Gap {
        /// How many.
        missed: u64,
    },
}

impl Lossy for WatchEvent {
    fn gap(missed: u64) -> Self {
        Self::Gap { missed }
    }
}
