//! When a node has what the cluster knew as it joined.
//!
//! Ready means: caught up with what a ready peer knew when it was first heard of, and met all that it knew, so that a
//! subscription on this node is known to them; or first, because nobody was found. When several start at once and none is ready, the one with the smallest name among those that found each
//! other is first and the others catch up with it, once those that may have lived on have had time to find them: of a cluster whose seeds all died, the others
//! look for the seeds as their successors start. Being first too early costs no data, for nodes that meet later merge all the same; but readers were told too soon,
//! and for that long two nodes are home of a key.

use std::collections::BTreeSet;
use std::fmt;

use headcount_cluster::pace::FOUND_ROUNDS;
use headcount_cluster::{NodeId, Origin};

use super::Peer;
use crate::limits::LONELY_ROUNDS;
use crate::state::{State, StateEvent};
use crate::wire::WireVector;

/// Gossip rounds for which a joiner waits to meet everybody: one that cannot be reached from here must not keep it
/// from its work. Five seconds at the default interval.
const MEETING_ROUNDS: u64 = 25;

/// How a node became ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyBy {
    /// It has all that this peer knew.
    Synchronised {
        /// The peer.
        peer: NodeId,
    },
    /// It has no seeds, or it started together with others that found each other, nobody who lived already found them in fifteen gossip intervals, and it goes first.
    First,
    /// It reached none of its seeds in time, or those that it found have gone.
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
    /// Once each seed was tried.
    seeds_tried: Option<SeedsTried>,
    alone: Option<Vec<(String, String)>>,
    /// Peers that have said that they are ready.
    pub(crate) ready_peers: BTreeSet<Origin>,
    /// Who is to be met, as the first ready peer said, and the gossip round from which on they are not waited for.
    to_meet: Option<(Vec<(Origin, NodeId)>, u64)>,
    /// Gossip rounds since there was any peer that is Up.
    lonely_rounds: u64,
    /// The gossip round in which a pull was last sent.
    pub(crate) pulled_in: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct SeedsTried {
    /// How many took this node.
    answered: usize,
    /// The gossip round by which whoever lives has found it.
    found_by: u64,
}

impl Readiness {
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// Whether a seed answered, which may have gone since.
    fn has_found_a_seed(&self) -> bool {
        self.seeds_tried.is_some_and(|tried| tried.answered > 0)
    }

    /// A peer has said whether it is ready.
    pub(crate) fn heard(&mut self, peer: Origin, ready: bool) {
        if ready {
            self.ready_peers.insert(peer);
        } else {
            self.ready_peers.remove(&peer);
        }
    }
}

impl State {
    /// How this node became ready; `None` while it is not.
    pub fn ready(&self) -> Option<&ReadyBy> {
        self.readiness.ready.as_ref()
    }

    /// Each seed was tried once; so many took this node.
    pub fn handle_seeds_tried(&mut self, answered: usize) {
        self.readiness.seeds_tried = Some(SeedsTried { answered, found_by: self.gossip_round + FOUND_ROUNDS });
        self.update_readiness();
    }

    /// There are no seeds, or none was reached in time. Others may have been met.
    pub fn handle_alone(&mut self, tried: Vec<(String, String)>) {
        self.readiness.alone = Some(tried);
        self.update_readiness();
    }

    /// A ready peer names those that are Up.
    pub(crate) fn expect_to_meet(&mut self, up: Vec<(Origin, NodeId)>) {
        let until = self.gossip_round + MEETING_ROUNDS;
        self.readiness.to_meet.get_or_insert((up, until));
    }

    /// The name of somebody who is to be met.
    pub(crate) fn name_to_meet(&self, origin: Origin) -> Option<&NodeId> {
        let (up, _) = self.readiness.to_meet.as_ref()?;
        up.iter().find(|(known, _)| *known == origin).map(|(_, node)| node)
    }

    /// Those that a ready peer knew and that have not been met. One that is Down or Gone meanwhile need not be.
    pub(crate) fn not_met(&self) -> impl Iterator<Item = &NodeId> {
        let is_met = |origin: &Origin| match self.peers.get(origin) {
            Some(peer) => peer.is_greeted() || !peer.up,
            None => *origin == self.origin() || self.origins.is_gone(*origin),
        };
        let to_meet = self.readiness.to_meet.iter().flat_map(|(up, _)| up);
        to_meet.filter(move |(origin, _)| !is_met(origin)).map(|(_, node)| node)
    }

    /// Whether those need not be waited for any longer.
    fn has_met_all(&self) -> bool {
        let is_over = |(_, until): &(_, u64)| self.gossip_round >= *until;
        self.readiness.to_meet.as_ref().is_none_or(is_over) || self.not_met().next().is_none()
    }

    /// A node whose seeds answered and went before it was ready is as alone as one that never reached any.
    pub(crate) fn count_loneliness(&mut self) {
        let anybody = self.peers.values().any(|peer| peer.up);
        let readiness = &mut self.readiness;
        readiness.lonely_rounds = if anybody { 0 } else { readiness.lonely_rounds + 1 };
        if readiness.lonely_rounds >= LONELY_ROUNDS && readiness.has_found_a_seed() {
            readiness.alone.get_or_insert_default();
        }
    }

    pub(crate) fn update_readiness(&mut self) {
        if self.readiness.is_ready() {
            return;
        }
        if let Some(by) = self.judge_readiness() {
            self.readiness.ready = Some(by.clone());
            self.events.push_back(StateEvent::Ready(by));
            self.view_changed();
            for peer in self.linked_peers() {
                self.tell_vector(peer, false);
            }
        }
    }

    fn judge_readiness(&self) -> Option<ReadyBy> {
        if self.load.is_some() {
            return None;
        }
        let ready = self.readiness.ready_peers.iter().filter_map(|origin| self.peers.get(origin));
        let mut ready = ready.filter(|peer| peer.is_greeted()).peekable();
        if ready.peek().is_some() {
            let has_caught_up = |peer: &&Peer| peer.sync_target.as_ref().is_some_and(|target| self.knows(target));
            let with = ready.find(has_caught_up).filter(|_| self.has_met_all())?;
            return Some(ReadyBy::Synchronised { peer: with.member.node.clone() });
        }
        let greeted = || self.peers.values().filter(|peer| peer.is_greeted());
        if let Some(tried) = &self.readiness.alone
            && greeted().next().is_none()
        {
            // Without seeds there is nobody to miss.
            let has_seeds = !tried.is_empty() || self.readiness.has_found_a_seed();
            let is_alone = !self.peers.values().any(|peer| peer.up);
            return is_alone.then(|| if has_seeds { ReadyBy::Alone { tried: tried.clone() } } else { ReadyBy::First });
        }
        // The first question is soonest answered, and with no for all but one node: this is asked after each frame.
        if !greeted().all(|peer| Some(&peer.member.node) > self.node.as_ref()) {
            return None;
        }
        let up = self.peers.values().filter(|peer| peer.up).count();
        let everyone_met = up > 0 && greeted().filter(|peer| peer.up).count() == up;
        // Seeds that answered were told to be Up before that.
        let was_found = self.readiness.seeds_tried.is_some_and(|tried| self.gossip_round >= tried.found_by);
        let knows_all = || greeted().all(|peer| peer.vector.iter().all(|(o, seq)| self.origins.applied(*o) >= *seq));
        let may_begin = everyone_met && was_found && self.has_met_all() || self.readiness.alone.is_some();
        (may_begin && knows_all()).then_some(ReadyBy::First)
    }

    fn knows(&self, vector: &WireVector) -> bool {
        vector.iter().all(|(origin, seq)| self.origins.applied(*origin) >= *seq)
    }
}
