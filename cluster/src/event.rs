//! What the cluster tells the layer above: who came, who went, and what a peer sent.
//!
//! Order matters and is guaranteed per peer: `MemberUp` comes before the first `LinkUp` of that member, frames
//! arrive between a `LinkUp` and its `LinkDown` in the order in which the peer sent them within a class, and after `MemberGone` nothing more comes of that origin.

use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, NodeId, Origin};
use crate::link::Link;

/// One start of one node, and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub node: NodeId,
    /// Which start of it.
    pub incarnation: Incarnation,
    /// The advertised address: gossip by UDP, links by TCP.
    pub addr: SocketAddr,
}

impl Member {
    /// The origin under which this member writes.
    pub fn origin(&self) -> Origin {
        Origin::of(&self.node, self.incarnation)
    }
}

/// What this node holds of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberState {
    /// Heard of recently.
    Up,
    /// Not heard of for the detection time: its owned rows are hidden, nothing is destroyed.
    Down,
    /// Grace is over, it said goodbye, or a newer incarnation was seen: its owned rows are dropped.
    Gone,
}

/// Why a member is [`MemberState::Gone`]. Nodes tell each other: append variants, never reorder them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum GoneReason {
    /// It said goodbye.
    Left,
    /// It was Down for the whole grace time.
    GraceOver,
    /// A newer incarnation of the same node was seen.
    Superseded,
    /// Another node says that it is gone, and not why.
    Reported,
}

/// The classes of frames on a link. Within one class order is kept; between classes it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Heartbeats and goodbyes; the cluster's own.
    Control,
    /// Operations, interest and messages: one order.
    Stream,
    /// Snapshots.
    Bulk,
}

/// What happened in the cluster.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// A member is seen for the first time, or again after it was Down.
    MemberUp(Member),
    /// A member has not been heard of for the detection time.
    MemberDown(Member),
    /// A member will not come back under this incarnation.
    MemberGone(Member, GoneReason),
    /// A link to a member is established. It replaces an earlier one to the same member without a `LinkDown`.
    LinkUp {
        /// The peer.
        peer: Member,
        /// Where to send.
        link: Link,
    },
    /// The link to a member is closed; the cluster re-establishes it by itself while the member is not Gone.
    LinkDown {
        /// The peer.
        peer: Member,
        /// Why, in words.
        reason: String,
    },
    /// A peer sent a frame.
    Frame {
        /// The peer.
        from: Origin,
        /// On which class: `Stream` or `Bulk`.
        class: Class,
        /// What it sent.
        payload: Bytes,
    },
    /// An outbox that had refused a frame has room again.
    LinkWritable {
        /// The peer.
        peer: Origin,
    },
    /// Peers had declared this node Gone; it goes on under a new incarnation. All links come up anew.
    Reincarnated {
        /// The identity that peers hold for Gone.
        old: Member,
        /// The identity from now on.
        new: Member,
    },
    /// Every configured seed other than this node itself was tried at least once. Told once, at the start.
    SeedsTried {
        /// How many seeds accepted this node.
        answered: usize,
    },
    /// `join_timeout` has passed and no seed is reached, those that were have gone, or there is none but this node itself. Unless it has met others, it goes on
    /// alone; it keeps trying. Told once.
    Alone {
        /// Each seed that was tried, and why it was not reached, in words.
        tried: Vec<(String, String)>,
    },
    /// This node cannot go on: another live process has taken its name.
    Superseded {
        /// The process that has it.
        by: Member,
    },
}
