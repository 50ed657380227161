//! When an origin that is Gone is forgotten, so that restarts do not make vectors grow.
//!
//! An origin is *retired* here when it is Gone and nothing of it is held: no row, no waiting or kept operation, no erasure to be
//! repeated, no spent contribution. What a node tells of its vector says which entries are retired. An origin is forgotten when every peer that may come
//! back has said in its latest vector that it retired it at the very number at which it is retired here: then all know all of it, and
//! nobody has a row that could come back. Retired stays retired, so it does not matter when who said it.
//!
//! The trap: a log that outlives it. A joiner that is served from logs gets a row and never the removal that the forgotten origin
//! had written, and no vector tells it so. So history goes first: logs are closed when a batch begins, and the batch
//! is forgotten when all that was in them by then is pruned. Who lacks any of it needs a snapshot, and that knows.

use std::collections::BTreeMap;
use std::time::Duration;

use crdts::VClock;
use headcount_cluster::Origin;

use crate::dot::OriginIx;
use crate::life::Age;
use crate::limits::SPENT_HOLD;
use crate::origin::{OriginState, Standing};
use crate::state::State;
use crate::wire::{Known, WireVector};

/// What is on its way to being forgotten.
#[derive(Debug, Default)]
pub(crate) struct Forgetting {
    /// Who was given up for its silence, and until when it is waited for.
    silent: BTreeMap<Origin, Age>,
    batch: Option<Batch>,
}

/// Origins that were retired at one moment.
#[derive(Debug)]
struct Batch {
    origins: Vec<Origin>,
    /// What was known then.
    vector: VClock<Origin>,
}

impl State {
    /// Somebody was given up who may come back, under a new name for what it was, with what it knew. Nothing is forgotten
    /// for so long, and for [`SPENT_HOLD`] at most.
    pub(crate) fn hold(&mut self, silent: Origin, time: Duration) {
        let until = self.life.age().plus(time.min(SPENT_HOLD));
        let held = self.forgetting.silent.entry(silent).or_insert(until);
        *held = until.max(*held);
        self.forgetting.batch = None;
    }

    /// Whether somebody was given up for its silence, and may still come back.
    pub(crate) fn is_held_for(&self, origin: Origin) -> bool {
        self.forgetting.silent.contains_key(&origin)
    }

    /// Whether origins are kept for somebody who was given up for its silence.
    pub fn is_held(&self) -> bool {
        !self.forgetting.silent.is_empty()
    }

    /// Whether somebody may come back whom this node has never met: the author of something that it knows, or one that was absent when it joined.
    pub fn has_yet_to_meet(&self) -> bool {
        let is_stranger = |(ix, state): (OriginIx, &OriginState)| {
            ix != self.me && state.standing != Standing::Gone && !self.peers.contains_key(&state.origin)
        };
        !self.homed.missing.is_empty() || self.origins.iter().any(is_stranger)
    }

    /// All that are Gone and not forgotten, and for how many milliseconds each may still come back. Who joins waits as long: those that it joins
    /// may all be gone before.
    pub(crate) fn gone_and_held(&self) -> Vec<(Origin, u64)> {
        let never_met = self.forgetting.silent.keys().filter(|origin| self.origins.find(**origin).is_none()).copied();
        let gone = self.origins.gone().map(|(origin, _)| origin).chain(never_met);
        gone.map(|origin| (origin, self.held_ms(origin))).collect()
    }

    /// For how many milliseconds somebody may still come back who was given up for its silence; zero for all others.
    pub(crate) fn held_ms(&self, origin: Origin) -> u64 {
        let age = self.life.age();
        let left = |until: &Age| u64::try_from(until.since(age).as_millis()).unwrap_or(u64::MAX).max(1);
        self.forgetting.silent.get(&origin).map_or(0, left)
    }

    /// Lets holds end whose time is over.
    pub(crate) fn end_hold(&mut self) {
        let age = self.life.age();
        self.forgetting.silent.retain(|_, until| *until > age);
    }

    /// Forgets origins that nobody has anything of.
    pub(crate) fn forget_origins(&mut self) {
        // Who is not ready has not met everybody, and what a snapshot brings may be of anybody.
        if !self.readiness.is_ready() || self.load.is_some() {
            return;
        }
        let peers = &self.peers;
        self.origins.forgotten.shrink(|origin| peers.values().any(|peer| peer.vector.contains_key(&origin)));
        if self.is_held() {
            return;
        }
        match self.forgetting.batch.take() {
            None => self.begin_to_forget(),
            Some(batch) if self.keeps_history_of(&batch.vector) => self.forgetting.batch = Some(batch),
            Some(batch) => batch.origins.into_iter().for_each(|origin| self.forget_if_agreed(origin)),
        }
    }

    fn begin_to_forget(&mut self) {
        let retired = |ix: &OriginIx| self.is_retired(*ix);
        let name = |ix: OriginIx| self.origins.get(ix).origin;
        let origins: Vec<Origin> = self.origins.indices().into_iter().filter(retired).map(name).collect();
        if origins.is_empty() {
            return;
        }
        for ix in self.origins.indices() {
            self.origins.get_mut(ix).log.seal();
        }
        self.forgetting.batch = Some(Batch { origins, vector: self.origins.vector() });
    }

    /// Whether any log reaches back into what a vector covers.
    fn keeps_history_of(&self, vector: &VClock<Origin>) -> bool {
        self.origins.iter().any(|(_, state)| state.log.first().is_some_and(|first| first <= vector.get(&state.origin)))
    }

    fn forget_if_agreed(&mut self, origin: Origin) {
        let Some(ix) = self.origins.find(origin).filter(|ix| self.is_retired(*ix)) else { return };
        let seq = self.origins.get(ix).applied;
        if !self.peers.values().all(|peer| peer.has_retired(origin, seq)) {
            return;
        }
        for peer in self.peers.values_mut() {
            peer.repairs.retain(|repair| repair.origin != ix);
        }
        self.lags.remove(&origin);
        self.early.forget(origin);
        self.keyspace.spent.forget_origin(origin);
        self.origins.forget(ix);
    }

    /// Whether an origin is Gone and nothing of it is held.
    fn is_retired(&self, ix: OriginIx) -> bool {
        let state = self.origins.get(ix);
        ix != self.me
            && state.standing == Standing::Gone
            && state.log.first().is_none()
            && state.inbox.is_empty()
            && self.keyspace.ledger.rows_of(ix) == 0
            && !self.keyspace.spent.names(ix)
            && !self.doomed.contains(&ix)
            && !self.blocked.contains(&ix)
            && self.early_erasures.iter().all(|erasure| erasure.author != ix)
    }

    /// What this node tells a peer that it knows. Of forgotten origins it speaks only to who speaks of them: a peer that has not
    /// forgotten one waits to hear that this node is done with it.
    pub(crate) fn known_to(&self, peer: Origin) -> Known {
        let mut known = Known::default();
        for (ix, state) in self.origins.written() {
            let entry = (state.origin, state.applied);
            // While held it claims nothing, so that those who do not know why do not forget either.
            if !self.is_held() && self.is_retired(ix) {
                known.retired.push(entry);
            } else {
                known.vector.push(entry);
            }
        }
        known.forgotten.extend(self.forgotten_of(peer));
        known
    }

    /// All that this node knows, as a peer needs it to serve this node.
    pub(crate) fn vector_for(&self, peer: Origin) -> WireVector {
        self.wire_vector().into_iter().chain(self.forgotten_of(peer)).collect()
    }

    /// Origins that a peer speaks of and this node has forgotten.
    pub(crate) fn forgotten_of(&self, peer: Origin) -> impl Iterator<Item = (Origin, u64)> {
        let spoken_of = self.peers.get(&peer).into_iter().flat_map(|peer| peer.vector.keys());
        spoken_of.filter_map(|origin| Some((*origin, self.origins.forgotten.get(*origin)?)))
    }
}
