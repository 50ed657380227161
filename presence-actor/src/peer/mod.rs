//! Other nodes: what they know, what they are owed, and what they send.
//!
//! A link has one ordered stream of frames to each peer. What goes into it is decided when there is room for it, not
//! when it arises ([`transmit`]): operations stay in the origin's log and a peer only has a cursor into it, so
//! a slow peer costs no memory and loses no operation. Messages are queued, bounded, and remember after which of
//! this node's operations they were published, so that a subscriber who reads finds what was written before.

pub(crate) mod early;
pub(crate) mod forgetting;
pub(crate) mod load;
pub(crate) mod peers;
pub(crate) mod readiness;
pub(crate) mod receive;
pub(crate) mod repair;
pub(crate) mod snapshot;
mod sweep;
mod transmit;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use headcount_cluster::{GoneReason, Member, NodeId, Origin, WallMs};

use self::repair::Repair;
use self::snapshot::Serving;
use crate::blob::Blob;
use crate::homed::Dot;
use crate::limits::MAX_QUEUED_FRAMES;
use crate::pubsub::interest::Kind;
use crate::state::State;
use crate::wire::{self, Frame, Known, WireVector};

/// Something that waits for its turn on a link.
#[derive(Debug)]
pub(crate) enum Item {
    /// A frame, encoded.
    Frame(Vec<u8>),
    /// All interest sent before is void; this node's names follow. The last of them, or this when there are none,
    /// has the version that they make together; the others have version zero.
    InterestReset { version: u64 },
    /// A name's number of subscribers.
    Interest { kind: Kind, name: Blob, count: u32, version: u64 },
    /// A message, encoded, and the last of this node's operations before it.
    Message { after: u64, bytes: Bytes },
}

/// How far contact with a peer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contact {
    /// There is no link.
    None,
    /// There is a link, and the peer's hello has not come on it yet.
    Linked,
    /// The peer has said hello.
    Greeted,
}

/// What goes out next when both wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Push,
    Repair,
}

/// What this node knows of a peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) member: Member,
    /// Whether the membership says Up; Down otherwise.
    pub(crate) up: bool,
    pub(crate) contact: Contact,
    /// Whether another peer has heard this one say goodbye.
    pub(crate) left_elsewhere: bool,
    /// Whether the peer says that it is ready.
    pub(crate) ready: bool,
    /// What the peer must have been caught up with before this node is ready: its vector when it was first heard ready.
    pub(crate) sync_target: Option<WireVector>,
    /// What the peer knows, as far as it has told, of the origins that it or this node speaks of.
    pub(crate) vector: BTreeMap<Origin, u64>,
    /// Origins that the peer had retired or forgotten when it last told, and its numbers of them.
    pub(crate) retired: BTreeMap<Origin, u64>,
    /// The origin under which this node is confirmed in `vector`.
    pub(crate) confirmed: u64,
    /// The next of this node's operations to push; `None` until the peer says where it stands, or
    /// while it stands further back than the log.
    pub(crate) cursor: Option<u64>,
    pub(crate) queue: VecDeque<Item>,
    /// Bytes of messages in `queue`.
    pub(crate) queued_bytes: usize,
    /// How many messages are in `queue`.
    pub(crate) queued_messages: usize,
    /// How many messages to it were dropped, by whatever link.
    pub(crate) dropped_messages: u64,
    /// Whose turn it is, when there are own operations to push and others to repair.
    pub(crate) turn: Turn,
    pub(crate) repairs: VecDeque<Repair>,
    pub(crate) serving: Option<Serving>,
    /// The number of the last pull that was sent to it.
    pub(crate) pulled: Option<u64>,
    /// Up to where the peer's operations were applied, when the peer has not been told yet.
    pub(crate) confirmation_owed: Option<u64>,
    /// The version of this node's interest that the peer has confirmed on the present link.
    pub(crate) interest_noted: u64,
}

impl Peer {
    pub(crate) fn new(member: Member) -> Self {
        Self {
            member,
            up: false,
            contact: Contact::None,
            left_elsewhere: false,
            ready: false,
            sync_target: None,
            vector: BTreeMap::new(),
            retired: BTreeMap::new(),
            confirmed: 0,
            cursor: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            queued_messages: 0,
            dropped_messages: 0,
            turn: Turn::Push,
            repairs: VecDeque::new(),
            serving: None,
            pulled: None,
            confirmation_owed: None,
            interest_noted: 0,
        }
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.contact >= Contact::Linked
    }

    pub(crate) fn is_greeted(&self) -> bool {
        self.contact == Contact::Greeted
    }

    /// The last of this node's operations that the peer says it has applied.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Whether the peer is known to have an operation: its own it has.
    pub(crate) fn has(&self, dot: Dot) -> bool {
        self.member.origin() == dot.origin || self.vector.get(&dot.origin).is_some_and(|known| *known >= dot.seq)
    }

    /// Whether the peer is known to know all of a vector.
    pub(crate) fn covers(&self, vector: &crdts::VClock<Origin>) -> bool {
        vector.dots.iter().all(|(origin, seq)| self.vector.get(origin).is_some_and(|known| known >= seq))
    }

    /// Whether the peer is done with an origin, and had it up to the same number. One without operations is in no vector.
    pub(crate) fn has_retired(&self, origin: Origin, seq: u64) -> bool {
        let known = if seq == 0 { &self.vector } else { &self.retired };
        known.get(&origin).copied().unwrap_or(0) == seq
    }

    /// Notes what the peer says that it knows. What neither it nor this node speaks of any more is let go.
    pub(crate) fn told(&mut self, known: &Known, is_spoken_of: impl Fn(Origin) -> bool) {
        let mut latest: BTreeMap<Origin, u64> = known.vector.iter().chain(&known.retired).copied().collect();
        // What it says only because this node spoke of it ends with that, or both would go on for ever.
        latest.extend(known.forgotten.iter().copied().filter(|(origin, _)| is_spoken_of(*origin)));
        for (origin, seq) in &self.vector {
            if latest.contains_key(origin) || is_spoken_of(*origin) {
                let told = latest.entry(*origin).or_default();
                *told = (*seq).max(*told);
            }
        }
        self.vector = latest;
        self.retired = known.retired.iter().chain(&known.forgotten).copied().collect();
    }

    pub(crate) fn send(&mut self, frame: &Frame) {
        self.queue.push_back(Item::Frame(wire::encode(frame)));
    }
}

impl State {
    /// A link to a member is there: what was under way on an earlier one is void.
    pub fn handle_link_up(&mut self, member: &Member) {
        if self.origins.is_gone(member.origin()) {
            return;
        }
        self.origins.intern(member.origin(), self.life.age());
        self.keyspace.keep_spent = true;
        self.reset_link(member.origin());
        let known = self.known_to(member.origin());
        let gone = self.gone_and_held();
        let ready = self.readiness.is_ready();
        // Who is not ready is not asked whom there is to meet, and the lists are as long as the cluster is large.
        let (up, absent) = if ready { (self.nodes_up(), self.absent_nodes()) } else { (Vec::new(), Vec::new()) };
        let names = self.topics.names();
        let mut interest: Vec<Item> = std::iter::once(Item::InterestReset { version: 0 })
            .chain(names.map(|(kind, name, count)| Item::Interest { kind, name: name.clone(), count, version: 0 }))
            .collect();
        if let Some(Item::InterestReset { version } | Item::Interest { version, .. }) = interest.last_mut() {
            *version = self.interest_version;
        }
        let peer = self.peers.get_or_add(member);
        peer.contact = Contact::Linked;
        peer.send(&Frame::Hello { known, ready, gone, up, absent });
        peer.queue.extend(interest);
        self.output = true;
        self.update_readiness();
    }

    fn nodes_up(&self) -> Vec<(Origin, NodeId)> {
        let up = self.peers.iter().filter(|(_, peer)| peer.up);
        up.map(|(origin, peer)| (*origin, peer.member.node.clone())).collect()
    }

    /// The link to a peer is closed.
    pub fn handle_link_down(&mut self, peer: Origin, now: WallMs) {
        let left = self.peers.get(&peer).is_some_and(|peer| peer.left_elsewhere);
        self.reset_link(peer);
        if left {
            self.handle_gone(&[peer], GoneReason::Left, now);
        }
        self.homed_peer_changed(peer, now);
        self.update_readiness();
    }

    /// What was under way on a link is void.
    fn reset_link(&mut self, peer: Origin) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        let lost = state.queue.iter().filter(|item| matches!(item, Item::Message { .. })).count();
        state.dropped_messages += lost as u64;
        self.stats.messages_dropped += lost as u64;
        let fresh = Peer::new(state.member.clone());
        let old = std::mem::replace(state, fresh);
        state.up = old.up;
        state.vector = old.vector;
        // Once ready, always ready.
        state.ready = old.ready;
        state.retired = old.retired;
        state.confirmed = old.confirmed;
        state.dropped_messages = old.dropped_messages;
        self.interest.forget(peer);
        self.abandon_load(peer);
    }

    /// Forgets a peer that is Gone.
    pub(crate) fn forget_peer(&mut self, peer: Origin) {
        self.peers.remove(peer);
        self.readiness.heard(peer, false);
        self.interest.forget(peer);
        self.abandon_load(peer);
        self.lags.retain(|_, lag| lag.from != peer);
        self.drop_early(peer);
        self.ask_again_who_took();
    }

    /// Whether a peer reads so little that what it has to be told does not fit any more: its link should be closed.
    pub fn is_overwhelmed(&self, peer: Origin) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.queue.len() - peer.queued_messages > MAX_QUEUED_FRAMES)
    }

    /// How many messages were dropped that each peer that may come back should have been sent.
    pub fn messages_dropped_for_peers(&self) -> impl Iterator<Item = (Origin, u64)> {
        self.peers.iter().map(|(origin, peer)| (*origin, peer.dropped_messages))
    }

    /// The linked peers for which something waits to be sent, in a fixed order. Of the others
    /// [`poll_stream`](Self::poll_stream) and [`poll_bulk`](Self::poll_bulk) have nothing.
    pub fn owed(&mut self) -> Vec<Origin> {
        let head = self.origins.get(self.me).applied;
        self.peers.owed(|peer| {
            peer.is_linked()
                && (!peer.queue.is_empty()
                    || peer.cursor.is_some_and(|cursor| cursor <= head)
                    || peer.confirmation_owed.is_some()
                    || !peer.repairs.is_empty()
                    || peer.serving.is_some())
        })
    }

    /// Peers with a link, in a fixed order.
    pub fn linked_peers(&self) -> Vec<Origin> {
        self.peers.iter().filter(|(_, peer)| peer.is_linked()).map(|(origin, _)| *origin).collect()
    }

    /// The version of this node's interest that every live peer has confirmed.
    pub fn interest_noted(&self) -> u64 {
        let noted = self.peers.values().filter(|peer| peer.up).map(|peer| peer.interest_noted).min();
        noted.unwrap_or(self.interest_version)
    }

    pub(crate) fn wire_vector(&self) -> WireVector {
        self.origins.vector().dots.into_iter().collect()
    }
}
