//! Anti-entropy: who is behind, and what brings them up.
//!
//! Each gossip round a node tells one random peer its vector. Who sees that it lacks something waits one round, because
//! it is probably on its way, and then pulls. The answer comes from the log, of whatever origin, so a third node repairs what a dead
//! one sent to only some; and where the log does not reach, from a snapshot. Pruning follows: what
//! every peer that may come back has confirmed is, after some rounds, needed by nobody.

use std::collections::{BTreeMap, BTreeSet};

use headcount_cluster::{Origin, WallMs};
use rand::seq::IteratorRandom;

use super::Peer;
use crate::dot::OriginIx;
use crate::limits::PATIENCE_ROUNDS;
use crate::origin::OriginState;
use crate::state::State;
use crate::wire::{self, Frame, WireVector};

/// Gossip rounds for which history stays though every known peer has it: somebody may be joining whom this node has not
/// met yet, with a snapshot that reaches no further. Five seconds at the default interval.
const KEPT_ROUNDS: u64 = 25;

/// Something that a peer knows and this node does not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lag {
    /// Up to which operation.
    pub(crate) target: u64,
    /// Who knows.
    pub(crate) from: Origin,
    /// The gossip round in which it was noticed.
    pub(crate) round: u64,
}

/// A run of operations that a peer asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repair {
    pub(crate) origin: OriginIx,
    next: u64,
    until: u64,
}

impl State {
    /// One gossip round.
    pub fn handle_gossip(&mut self, now: WallMs) {
        self.gossip_round += 1;
        self.life.handle_round(now);
        self.count_loneliness();
        self.give_up_slow_load();
        self.pull_what_lags();
        self.unblock();
        let greeted = self.peers.iter().filter(|(_, peer)| peer.is_greeted()).map(|(origin, _)| *origin);
        if let Some(origin) = greeted.choose(&mut self.rng) {
            self.tell_vector(origin, false);
        }
        if !self.readiness.is_ready() {
            let ready: Vec<Origin> = self
                .peers
                .iter()
                .filter(|(_, peer)| peer.is_greeted() && peer.ready)
                .map(|(origin, _)| *origin)
                .collect();
            // One at a time: the rest would send the same again.
            if let Some(origin) = ready.first() {
                self.pull(*origin);
            }
        }
        self.end_hold();
        self.prune();
        self.forget_origins();
        self.bury_strangers(now);
        self.remove_orphans(now);
        self.homed_gossip(now);
        self.update_readiness();
        self.notice();
    }

    /// A stream that waits for long, for what no vector seems to offer, is taken from its author as a snapshot.
    fn unblock(&mut self) {
        let waiting = self.blocked.iter().find(|ix| {
            let inbox = &self.origins.get(**ix).inbox;
            inbox.waiting_since.is_some_and(|since| self.gossip_round >= since + PATIENCE_ROUNDS)
        });
        if let Some(ix) = waiting.copied() {
            let author = self.origins.get(ix).origin;
            self.origins.get_mut(ix).inbox.waiting_since = Some(self.gossip_round);
            if self.peers.get(&author).is_some_and(Peer::is_greeted) {
                self.request_snapshot(author);
            }
        }
    }

    pub(crate) fn tell_vector(&mut self, to: Origin, resync: bool) {
        let frame = Frame::Vector { known: self.known_to(to), ready: self.readiness.is_ready(), resync };
        if let Some(peer) = self.peers.get_mut(to) {
            peer.send(&frame);
            self.output = true;
        }
    }

    fn pull_what_lags(&mut self) {
        let lags = std::mem::take(&mut self.lags);
        let mut asked = BTreeSet::new();
        for (origin, lag) in lags {
            if lag.round >= self.gossip_round {
                self.lags.insert(origin, lag);
            } else if self.origins.applied(origin) < lag.target && asked.insert(lag.from) {
                self.pull(lag.from);
            }
        }
    }

    /// Asks a peer for all that it knows and this node does not.
    pub(crate) fn pull(&mut self, from: Origin) {
        if self.load.is_some() {
            return; // what the snapshot brings would be asked for again
        }
        self.last_pull += 1;
        let frame = Frame::Pull { number: self.last_pull, vector: self.vector_for(from) };
        let number = self.last_pull;
        if let Some(peer) = self.peers.get_mut(from).filter(|peer| peer.is_linked()) {
            peer.pulled = Some(number);
            peer.send(&frame);
            self.output = true;
        }
    }

    /// Serves a peer from the logs, as far as they reach.
    pub(crate) fn handle_pull(&mut self, from: Origin, number: u64, vector: WireVector) {
        let known: BTreeMap<Origin, u64> = vector.into_iter().collect();
        if self.lacks_dead(&known) {
            if let Some(peer) = self.peers.get_mut(from) {
                peer.send(&Frame::BeyondLog { number });
            }
            return;
        }
        let mut repairs = Vec::new();
        let mut beyond = false;
        let cursor = self.peers.get(&from).and_then(|peer| peer.cursor);
        for (ix, state) in self.origins.iter().filter(|(_, state)| state.origin != from) {
            let next = known.get(&state.origin).copied().unwrap_or(0) + 1;
            if next > state.applied {
                continue;
            }
            if !state.log.reaches(next, state.applied) {
                beyond = true;
            } else if ix != self.me {
                repairs.push(Repair { origin: ix, next, until: state.applied });
            } else if let Some(pushed) = cursor.map(|cursor| cursor - 1).filter(|pushed| *pushed >= next) {
                repairs.push(Repair { origin: ix, next, until: pushed });
            }
        }
        let me = self.origins.get(self.me);
        let mine = known.get(&me.origin).copied().unwrap_or(0);
        let reaches = me.log.reaches(mine + 1, me.applied);
        let Some(peer) = self.peers.get_mut(from) else { return };
        if peer.cursor.is_none() && reaches {
            peer.cursor = Some(mine + 1);
        }
        peer.repairs = repairs.into();
        if beyond {
            peer.send(&Frame::BeyondLog { number });
        }
    }

    /// Whether a peer lacks what only a snapshot can tell it of an origin that is Gone. It gets no operations before it has
    /// that: it could end with rows that the dead had removed, and nobody might remember.
    pub(crate) fn lacks_dead(&self, known: &BTreeMap<Origin, u64>) -> bool {
        let lacks = |state: &OriginState| {
            let next = known.get(&state.origin).copied().unwrap_or(0) + 1;
            !state.log.reaches(next, state.applied)
        };
        let forgotten =
            |(origin, seq): (&Origin, &u64)| self.origins.forgotten.get(*origin).is_some_and(|it| it > *seq);
        self.origins.gone().any(|(_, state)| lacks(state)) || known.iter().any(forgotten)
    }

    /// The next operations that a peer asked for.
    pub(crate) fn repair_frame(&mut self, to: Origin) -> Option<Vec<u8>> {
        loop {
            let peer = self.peers.get_mut(to)?;
            let repair = *peer.repairs.front()?;
            let state = self.origins.get(repair.origin);
            let Some(run) = state.log.run(repair.next, repair.until, self.portions.frame_bytes) else {
                peer.repairs.pop_front();
                continue;
            };
            if let Some(front) = peer.repairs.front_mut() {
                front.next += run.count;
            }
            let mut bytes = wire::encode(&Frame::Ops { origin: state.origin, first: run.first, count: run.count });
            bytes.extend_from_slice(run.bytes);
            self.stats.repaired_ops += run.count;
            self.stats.repaired_bytes += bytes.len() as u64;
            return Some(bytes);
        }
    }

    /// Forgets history that every peer has, and beyond the cap the oldest whoever lacks it.
    fn prune(&mut self) {
        let me = self.me;
        for ix in self.origins.indices() {
            let OriginState { origin, ref log, .. } = *self.origins.get(ix);
            if log.bytes() == 0 {
                continue; // most are empty, and asking all peers for each takes long where there are many
            }
            let others = self.peers.iter().filter(|(peer, _)| **peer != origin).map(|(_, peer)| peer);
            let everyone = if ix == me {
                others.map(Peer::confirmed).min()
            } else {
                others.map(|peer| peer.vector.get(&origin).copied().unwrap_or(0)).min()
            };
            let state = self.origins.get_mut(ix);
            state.log.prune_through(everyone.unwrap_or(state.applied), self.gossip_round.saturating_sub(KEPT_ROUNDS));
        }
        let mut bytes: usize = self.origins.iter().map(|(_, state)| state.log.bytes()).sum();
        while bytes > self.limits.oplog_bytes {
            let Some((largest, _)) = self.origins.iter().max_by_key(|(_, state)| state.log.bytes()) else { break };
            let log = &mut self.origins.get_mut(largest).log;
            let before = log.bytes();
            log.prune_oldest();
            bytes -= before - log.bytes();
        }
        self.keyspace.spent.shrink();
        if self.load.is_some() || self.is_held() || self.has_yet_to_meet() {
            return; // what a snapshot brings may continue what was erased here
        }
        let (origins, peers) = (&self.origins, &self.peers);
        self.keyspace.spent.collect(|| origins.vector(), |barrier| peers.values().all(|peer| peer.covers(barrier)));
    }
}
