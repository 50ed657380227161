//! When a node has what the cluster knew as it joined.
//!
//! Ready means: caught up with what a ready peer knew when it was first heard of; or first, because nobody was
//! found. When several start at once and none is ready, the one with the smallest name among those that found each
//! other is first and the others catch up with it. Being first too early costs no data: nodes that meet
//! later merge all the same, only readers were told too soon.

use std::fmt;

use headcount_cluster::NodeId;

use crate::state::{State, StateEvent};
use crate::wire::WireVector;

/// How a node became ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyBy {
    /// It has all that this peer knew.
    Synchronised {
        /// The peer.
        peer: NodeId,
    },
    /// It started together with others that found each other, and goes first.
    First,
    /// It has no seeds, or reached none in time.
    Alone {
        /// Each seed that was tried, and why it was not reached, in words.
        tried: Vec<(String, String)>,
    },
}

impl fmt::Display for ReadyBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synchronised { peer } => write!(f, "synchronised({peer})"),
            Self::First => f.write_str("first"),
            Self::Alone { .. } => f.write_str("alone"),
        }
    }
}

/// What is known on the way to being ready.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    ready: Option<ReadyBy>,
    /// How many seeds took this node, once each was tried.
    seeds_answered: Option<usize>,
    alone: Option<Vec<(String, String)>>,
    /// The gossip round in which a pull was last sent.
    pub(crate) pulled_in: Option<u64>,
}

impl Readiness {
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.is_some()
    }
}

impl State {
    /// How this node became ready; `None` while it is not.
    pub fn ready(&self) -> Option<&ReadyBy> {
        self.readiness.ready.as_ref()
    }

    /// Each seed was tried once; so many took this node.
    pub fn handle_seeds_tried(&mut self, answered: usize) {
        self.readiness.seeds_answered = Some(answered);
        self.update_readiness();
    }

    /// There are no seeds, or none was reached in time.
    pub fn handle_alone(&mut self, tried: Vec<(String, String)>) {
        self.readiness.alone = Some(tried);
        self.update_readiness();
    }

    pub(crate) fn update_readiness(&mut self) {
        if self.readiness.is_ready() {
            return;
        }
        if let Some(by) = self.judge_readiness() {
            self.readiness.ready = Some(by.clone());
            self.events.push_back(StateEvent::Ready(by));
            for peer in self.linked_peers() {
                self.tell_vector(peer, false);
            }
        }
    }

    fn judge_readiness(&self) -> Option<ReadyBy> {
        if self.load.is_some() {
            return None;
        }
        let greeted = || self.peers.values().filter(|peer| peer.is_greeted());
        for peer in greeted().filter(|peer| peer.ready) {
            if peer.sync_target.as_ref().is_some_and(|target| self.knows(target)) {
                return Some(ReadyBy::Synchronised { peer: peer.member.node.clone() });
            }
        }
        if greeted().any(|peer| peer.ready) {
            return None;
        }
        if let Some(tried) = &self.readiness.alone
            && greeted().next().is_none()
        {
            return Some(ReadyBy::Alone { tried: tried.clone() });
        }
        let up = self.peers.values().filter(|peer| peer.up).count();
        let everyone_met = up > 0 && greeted().filter(|peer| peer.up).count() == up;
        let seeds_met = self.readiness.seeds_answered.is_some_and(|answered| up >= answered);
        let smallest = greeted().all(|peer| Some(&peer.member.node) > self.node.as_ref());
        let knows_all = greeted().all(|peer| peer.vector.iter().all(|(o, seq)| self.origins.applied(*o) >= *seq));
        ((everyone_met && seeds_met || self.readiness.alone.is_some()) && smallest && knows_all)
            .then_some(ReadyBy::First)
    }

    fn knows(&self, vector: &WireVector) -> bool {
        vector.iter().all(|(origin, seq)| self.origins.applied(*origin) >= *seq)
    }
}
