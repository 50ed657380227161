//! What an operator should hear of without asking: thresholds that were crossed, looked at once a gossip round.
//!
//! Each is told when it changes and not again, so that a log shows when something began and when it ended. Nothing here decides
//! anything: commands are refused where they are checked, and homes serve as [`homed`](crate::homed) says.

use headcount_cluster::NodeId;

use crate::homed::HomeRequires;
use crate::state::{State, StateEvent};

/// Per cent of `max_memory_bytes` from which on memory is short, and below which it is not any more.
const SHORT_FROM: usize = 80;
const SHORT_UNTIL: usize = 70;

/// Gossip rounds after which it is said for whom a joiner waits. A second at the default interval.
const JOINING_ROUNDS: u64 = 5;

/// Gossip rounds after which a joiner says who has no link to it. Five seconds at the default interval.
const UNLINKED_ROUNDS: u64 = 25;

/// How full a node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Memory {
    /// There is room.
    #[default]
    Roomy,
    /// Four fifths of the cap are used.
    Short,
    /// The cap is reached: writes that may add data fail.
    Full,
}

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    memory: Memory,
    lacks_majority: bool,
    joining: bool,
    unlinked: bool,
}

impl State {
    /// Tells what has changed since the last round.
    pub(crate) fn notice(&mut self) {
        self.notice_memory();
        self.notice_majority();
        self.notice_joining();
        self.notice_unlinked();
    }

    fn notice_memory(&mut self) {
        let (used, limit) = (self.keyspace.ledger.bytes(), self.limits.max_memory_bytes);
        let is_over = |per_cent: usize| used / 100 >= limit / 100 * per_cent / 100;
        let memory = match self.notices.memory {
            _ if used > limit => Memory::Full,
            Memory::Roomy if is_over(SHORT_FROM) => Memory::Short,
            Memory::Short | Memory::Full if is_over(SHORT_UNTIL) => Memory::Short,
            Memory::Roomy | Memory::Short | Memory::Full => Memory::Roomy,
        };
        if std::mem::replace(&mut self.notices.memory, memory) != memory {
            self.events.push_back(StateEvent::Memory { memory, used, limit });
        }
    }

    fn notice_majority(&mut self) {
        if self.limits.home_requires != HomeRequires::Majority || !self.readiness.is_ready() {
            return;
        }
        let lacks = self.check_majority().is_err();
        if std::mem::replace(&mut self.notices.lacks_majority, lacks) != lacks {
            let absent = self.absent_nodes();
            self.events.push_back(StateEvent::Majority { lacks, known: self.known_nodes(), absent });
        }
    }

    fn notice_joining(&mut self) {
        if self.gossip_round < JOINING_ROUNDS || self.notices.joining || self.readiness.is_ready() {
            return;
        }
        let waits_for: Vec<NodeId> = self.not_met().cloned().collect();
        if !waits_for.is_empty() {
            self.notices.joining = true;
            self.events.push_back(StateEvent::StillJoining { waits_for });
        }
    }

    /// Of two nodes only one makes the link, and says why it cannot; the other, which cannot be ready, would be silent.
    fn notice_unlinked(&mut self) {
        if self.gossip_round < UNLINKED_ROUNDS || self.notices.unlinked || self.readiness.is_ready() {
            return;
        }
        let unlinked = self.peers.values().filter(|peer| peer.up && !peer.is_greeted());
        let peers: Vec<NodeId> = unlinked.map(|peer| peer.member.node.clone()).collect();
        if !peers.is_empty() {
            self.notices.unlinked = true;
            self.events.push_back(StateEvent::Unlinked { peers });
        }
    }
}
