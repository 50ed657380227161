//! What tests of faults let happen: nodes that are of different opinions, stop, or are heard late.
//!
//! [`World`] delivers all that is under way and treats nodes alike. Here a test names the nodes that go on and the frames that
//! arrive, one by one where their order matters, and each input is followed by [`settle`](crate::state::State::settle), as in the
//! shell. Frames that are handed over come straight from their sender; none may be on the link at the same time.

use bytes::Bytes;
use headcount_cluster::{GoneReason, ring};

use super::{Call, count};
use crate::error::Error;
use crate::homed::Take;
use crate::state::State;
pub(super) use crate::tests::world::ROUND_MS;
use crate::tests::world::World;
use crate::wire::{self, Frame};

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

    pub(super) fn is_question(&self) -> bool {
        matches!(wire::decode(&mut &self.frame[..]), Ok(Frame::Ask { .. }))
    }

    /// What it tells of who took an element, if it does.
    pub(super) fn takes(&self) -> Option<Vec<Take>> {
        if let Ok(Frame::Taken { takes, .. }) = wire::decode(&mut &self.frame[..]) { Some(takes) } else { None }
    }

    pub(super) fn is_confirmation(&self) -> bool {
        matches!(wire::decode(&mut &self.frame[..]), Ok(Frame::Confirmed { .. }))
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
            for node in nodes {
                self.gossip(*node);
            }
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

    /// A node is cut off, and the membership of some others says that it is Gone.
    pub(super) fn lose(&mut self, node: usize, reason: GoneReason, at: &[usize]) {
        self.isolate(node);
        let (member, now) = (self.members[node].clone(), self.now);
        for other in at {
            self.nodes[*other].handle_member_gone(&member, reason, now);
        }
    }

    /// A node's log reaches back to nothing: whoever lacks something of it loads a snapshot.
    pub(super) fn forget_history(&mut self, node: usize) {
        let origins = &mut self.nodes[node].origins;
        for ix in origins.indices() {
            origins.get_mut(ix).log.clear();
        }
    }

    /// The stamps of a node's writes are so far ahead from now on.
    pub(super) fn set_ahead(&mut self, node: usize, ahead_ms: u64) {
        let ahead = self.now.plus_ms(ahead_ms);
        self.nodes[node].clock.tick(ahead);
    }

    /// Lets some nodes go on until one of them serves as a home.
    pub(super) fn until_serving(&mut self, node: usize, among: &[usize]) {
        let name = |key: &str| format!("serving:{key}");
        let key = name(&key_where(|key| self.home(node, &name(key)) == node));
        let mut call = self.call(node, count(&key));
        for _ in 0..20 {
            self.flush();
            if call.outcome().is_some() {
                return;
            }
            self.rounds_of(among, 1);
        }
        panic!("node {node} does not serve");
    }

    /// Nobody waits for a call any more. Returns what its caller is told.
    pub(super) fn give_up(&mut self, node: usize, call: Call) -> Error {
        let Call::Open { number, outcome } = call else { panic!("it has ended: {call:?}") };
        drop(outcome);
        let told = self.nodes[node].give_up_call(number);
        self.settle_calls(node);
        told
    }

    /// The home of a key if there were only these nodes.
    pub(super) fn home_among(&self, nodes: &[usize], key: &str) -> usize {
        let names = nodes.iter().map(|node| &self.members[*node].node);
        let home = ring::home(key.as_bytes(), names).unwrap();
        *nodes.iter().find(|node| self.members[**node].node == *home).unwrap()
    }

    /// A node puts all that it has to say on its links, and one of the others hears it.
    pub(super) fn tell(&mut self, from: usize, to: usize) {
        self.transmit(from, usize::MAX);
        while self.deliver(from, to, false) {}
        self.settle_calls(to);
    }

    /// Delivers frame by frame until nothing is under way. No time passes.
    pub(super) fn flush_frame_by_frame(&mut self) {
        let mut moved = true;
        while std::mem::take(&mut moved) {
            (0..self.nodes.len()).for_each(|node| self.transmit(node, 1));
            for (from, to) in self.pairs() {
                if self.deliver(from, to, false) {
                    moved = true;
                    self.settle_calls(to);
                }
            }
        }
    }

    /// Takes from a node what it has for another.
    pub(super) fn take_sent(&mut self, from: usize, to: usize) -> Vec<Sent> {
        let origin = self.origin(to);
        let frames = std::iter::from_fn(|| self.nodes[from].poll_stream(origin));
        frames.map(|frame| Sent { from, to, frame }).collect()
    }

    /// A frame that was taken arrives.
    pub(super) fn hand(&mut self, sent: &Sent) {
        self.hand_unsettled(sent);
        self.settle_calls(sent.to);
    }

    /// A frame that was taken arrives, with more to come in the same moment.
    pub(super) fn hand_unsettled(&mut self, sent: &Sent) {
        let (from, now) = (self.origin(sent.from), self.now);
        self.nodes[sent.to].handle_frame(from, &sent.frame, now).unwrap();
    }

    /// A node hears something that another did not say.
    pub(super) fn hear_falsely(&mut self, from: usize, to: usize, frame: &Frame) {
        let (from_origin, now) = (self.origin(from), self.now);
        self.nodes[to].handle_frame(from_origin, &wire::encode(frame).into(), now).unwrap();
        self.settle_calls(to);
    }

    /// All that a node has for another arrives.
    pub(super) fn hand_over(&mut self, from: usize, to: usize) {
        for sent in self.take_sent(from, to) {
            self.hand(&sent);
        }
    }

    /// Some nodes hear each other until they have nothing to say; the others hear nothing.
    pub(super) fn talk(&mut self, nodes: &[usize]) {
        let pairs: Vec<_> = self.pairs().into_iter().filter(|(a, b)| nodes.contains(a) && nodes.contains(b)).collect();
        for node in nodes {
            self.settle_calls(*node);
        }
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for (from, to) in &pairs {
                let sent = self.take_sent(*from, *to);
                moved |= !sent.is_empty();
                for sent in &sent {
                    self.hand(sent);
                }
            }
            let now = self.now;
            for node in nodes {
                while self.nodes[*node].work(now) {}
            }
        }
    }

    /// All that a node has for another arrives, but operations are held back and returned.
    pub(super) fn hand_over_but_operations(&mut self, from: usize, to: usize) -> Vec<Sent> {
        let (held, heard): (Vec<_>, Vec<_>) = self.take_sent(from, to).into_iter().partition(Sent::is_operations);
        for sent in &heard {
            self.hand(sent);
        }
        held
    }

    /// One frame of each class goes from a node to another. Returns whether there was one.
    pub(super) fn hand_one(&mut self, from: usize, to: usize) -> bool {
        if !self.is_linked(from, to) {
            return false;
        }
        let origin = self.origin(to);
        let mut moved = false;
        for poll in [State::poll_stream, State::poll_bulk] {
            if let Some(frame) = poll(&mut self.nodes[from], origin) {
                self.hand(&Sent { from, to, frame });
                moved = true;
            }
        }
        let now = self.now;
        while self.nodes[to].work(now) {}
        moved
    }

    /// All pairs of two nodes, in both directions.
    pub(super) fn pairs(&self) -> Vec<(usize, usize)> {
        let nodes = self.nodes.len();
        (0..nodes).flat_map(|a| (0..nodes).map(move |b| (a, b))).filter(|(a, b)| a != b).collect()
    }
}

/// A key of which something is true.
pub(super) fn key_where(fits: impl Fn(&str) -> bool) -> String {
    keys_where(1, fits).remove(0)
}

/// The first keys of which something is true.
pub(super) fn keys_where(count: usize, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let keys: Vec<String> = (0..3_000).map(|n| format!("k{n}")).filter(|key| fits(key)).take(count).collect();
    assert_eq!(keys.len(), count, "no such keys");
    keys
}
