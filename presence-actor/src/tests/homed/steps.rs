//! What tests of faults let happen: nodes that are of different opinions, stop, or are heard late.
//!
//! [`World`] delivers all that is under way and treats nodes alike. Here a test names the nodes that go on and the frames that
//! arrive, one by one where their order matters, and each input is followed by [`settle`](crate::state::State::settle), as in the
//! shell. Frames that are handed over come straight from their sender; none may be on the link at the same time.

use bytes::Bytes;
use headcount_cluster::ring;

use super::{Call, count};
use crate::error::Error;
use crate::tests::world::World;
use crate::wire::{self, Frame};

/// Milliseconds between two gossip rounds.
pub(super) const ROUND_MS: u64 = 200;

/// A frame that has left its sender and not arrived.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) from: usize,
    pub(super) to: usize,
    frame: Bytes,
}

impl Sent {
    pub(super) fn is_operations(&self) -> bool {
        matches!(wire::decode(&mut &self.frame[..]), Ok(Frame::Ops { .. }))
    }
}

impl World {
    /// A node does what calls and homes can do now.
    pub(super) fn settle_calls(&mut self, node: usize) {
        let now = self.now;
        self.nodes[node].settle(now);
    }

    /// Gossip rounds of some nodes, with everything delivered in between.
    pub(super) fn rounds_of(&mut self, nodes: &[usize], rounds: usize) {
        for _ in 0..rounds {
            self.pass(ROUND_MS);
            nodes.iter().for_each(|node| self.gossip(*node));
            self.flush();
        }
    }

    /// A gossip round of some nodes of which nothing arrives yet. No time passes.
    pub(super) fn gossip_unheard(&mut self, nodes: &[usize]) {
        for node in nodes {
            self.gossip(*node);
            self.settle_calls(*node);
        }
    }

    /// One node's membership says that a member is Up or Down.
    pub(super) fn believe(&mut self, at: usize, of: usize, up: bool) {
        let (member, now) = (self.members[of].clone(), self.now);
        if up {
            self.nodes[at].handle_member_up(&member, now);
        } else {
            self.nodes[at].handle_member_down(&member, now);
        }
        self.settle_calls(at);
    }

    /// Lets some nodes go on until one of them serves as a home.
    pub(super) fn until_serving(&mut self, node: usize, among: &[usize]) {
        let key = self.key_where(|world, key| world.home(node, key) == node);
        let mut call = self.call(node, count(&format!("{key}:serving")));
        let is_home = self.key_where(|world, key| key.starts_with('k') && world.home(node, key) == node);
        drop(is_home);
        for _ in 0..20 {
            self.flush();
            if call.outcome().is_some() {
                return;
            }
            self.rounds_of(among, 1);
        }
        panic!("node {node} does not serve");
    }
}
