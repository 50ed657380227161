//! What a peer sent, and what follows from it.
//!
//! Garbage is an error that names the reason; what was understood before it stays applied, because each operation is whole.

use std::time::Duration;

use bytes::Bytes;
use headcount_cluster::codec::{self, CodecError};
use headcount_cluster::{GoneReason, Hlc, NodeId, Origin, WallMs};

use super::repair::Lag;
use super::{Contact, Peer};
use crate::dot::OriginIx;
use crate::op::Op;
use crate::origin::Standing;
use crate::shared::keyspace::Effect;
use crate::state::{State, StateEvent};
use crate::wire::{self, Frame, Known, Subscribers};

/// What is left of a run of an origin's operations.
#[derive(Debug)]
pub(crate) struct Unapplied {
    /// Who sent it.
    from: Origin,
    author: Origin,
    /// The number of the first that is left.
    next: u64,
    run: Bytes,
}

impl State {
    /// Takes a frame from a peer. Of many operations only a slice is applied at once, so that nobody has to wait
    /// long: [`handle_rest`](Self::handle_rest) is for the others.
    ///
    /// # Errors
    /// [`CodecError`] when it cannot be understood; the link should be closed.
    pub fn handle_frame(&mut self, from: Origin, payload: &Bytes, now: WallMs) -> Result<(), CodecError> {
        if !self.peers.get(&from).is_some_and(Peer::is_linked) {
            return Ok(()); // of a link that is closed already
        }
        self.output = true;
        self.finish_rest(now);
        let handled = self.understand(from, payload, now);
        if handled.is_err() {
            self.stats.garbage_frames += 1;
        }
        self.update_readiness();
        handled
    }

    fn understand(&mut self, from: Origin, payload: &Bytes, now: WallMs) -> Result<(), CodecError> {
        let mut tail = &payload[..];
        match wire::decode(&mut tail)? {
            Frame::Hello { known, ready, gone, up, absent } => {
                self.hear_of_gone(gone, now);
                let Some(peer) = self.peers.get_mut(from) else { return Ok(()) };
                peer.contact = Contact::Greeted;
                if ready {
                    // Who is Up is absent here until it is met.
                    let unmet = up.iter().filter(|(origin, _)| !self.peers.contains_key(origin));
                    let unmet: Vec<NodeId> = unmet.map(|(_, node)| node.clone()).chain(absent).collect();
                    self.count_absent(unmet);
                    self.expect_to_meet(up);
                }
                self.handle_vector(from, &known, ready, true);
                if self.forgotten_of(from).next().is_some() {
                    // This node's hello did not name them, because nobody here had spoken of them.
                    self.tell_vector(from, false);
                }
                self.homed_peer_changed(from, now);
            }
            Frame::Vector { known, ready, resync } => self.handle_vector(from, &known, ready, resync),
            Frame::Pull { number, vector } => self.handle_pull(from, number, vector),
            Frame::BeyondLog { number } => self.handle_beyond_log(from, number),
            Frame::Ops { origin, first, .. } => {
                let start = payload.len() - tail.len();
                self.handle_ops(from, origin, first, payload.slice(start..), now)?;
            }
            Frame::Applied { seq } => self.handle_confirmed(from, seq),
            Frame::Interest { version, reset, count } => self.handle_interest(from, version, reset, count, tail)?,
            Frame::InterestNoted { version } => {
                if let Some(peer) = self.peers.get_mut(from) {
                    peer.interest_noted = peer.interest_noted.max(version);
                }
            }
            Frame::Messages { after, .. } => {
                let start = payload.len() - tail.len();
                self.take_messages(from, after, payload.slice(start..))?;
            }
            Frame::Gone { gone, reason: GoneReason::GraceOver } => {
                let news = gone.into_iter().filter(|(origin, _)| !self.origins.is_gone(*origin)).collect();
                self.hear_of_gone(news, now);
            }
            Frame::Gone { gone, reason } => {
                let gone: Vec<Origin> = gone.into_iter().map(|(origin, _)| origin).collect();
                self.handle_gone(&gone, reason, now);
            }
            frame @ (Frame::Ask { .. }
            | Frame::Answer { .. }
            | Frame::Confirmed { .. }
            | Frame::Lapsed { .. }
            | Frame::AskTaken { .. }
            | Frame::Taken { .. }
            | Frame::Withdraw { .. }
            | Frame::Wait { .. }
            | Frame::Offer { .. }
            | Frame::EndWait { .. }
            | Frame::Agree { .. }
            | Frame::Agreed { .. }) => self.handle_homed(from, frame, now),
            Frame::SnapshotRequest { id } => self.serve_snapshot(from, id),
            Frame::SnapshotRefused { id } => self.snapshot_refused(from, id),
            Frame::Snapshot { id, last, .. } => {
                let start = payload.len() - tail.len();
                self.handle_snapshot(from, id, last, payload.slice(start..));
            }
        }
        Ok(())
    }

    /// A peer says who is Gone, and for how many milliseconds each may still come back that was given up for its silence. That is heeded for whom this
    /// node has never met too: those who have may all be gone when it comes back.
    fn hear_of_gone(&mut self, gone: Vec<(Origin, u64)>, now: WallMs) {
        let (silent, ended): (Vec<_>, Vec<_>) = gone.into_iter().partition(|(_, held_ms)| *held_ms > 0);
        for (origin, held_ms) in &silent {
            self.hold(*origin, Duration::from_millis(*held_ms));
        }
        for (gone, reason) in [(silent, GoneReason::GraceOver), (ended, GoneReason::Reported)] {
            let gone: Vec<Origin> = gone.into_iter().map(|(origin, _)| origin).collect();
            self.handle_gone(&gone, reason, now);
        }
    }

    pub(crate) fn handle_gone(&mut self, gone: &[Origin], reason: GoneReason, now: WallMs) {
        let mut news = Vec::new();
        for origin in gone {
            if reason == GoneReason::Left
                && let Some(node) = self.name_to_meet(*origin).cloned()
            {
                self.homed.missing.remove(&node);
            }
            let linked = self.peers.get_mut(*origin).filter(|peer| peer.is_linked());
            if let (GoneReason::Left, Some(peer)) = (reason, linked) {
                // The word of a third node has overtaken the goodbye: what the leaver sends before it is still
                // to come, and it wants its goodbye confirmed.
                peer.left_elsewhere = true;
            } else if self.origins.find(*origin).is_none() {
                // Nothing of it was ever held here, and nothing will be. The membership has to know too: whoever turns up alive under it
                // must be told before there is a link, on which it would take a snapshot without what it owns.
                if !self.origins.is_gone(*origin) {
                    self.origins.forgotten.remember(*origin, 0);
                    self.events.push_back(StateEvent::DeclareGone(*origin, reason));
                }
            } else if self.give_up(*origin, reason, now) {
                self.events.push_back(StateEvent::DeclareGone(*origin, reason));
                news.push(*origin);
            }
        }
        if !news.is_empty() {
            self.tell_gone(&news, reason);
            self.update_readiness();
        }
    }

    fn handle_confirmed(&mut self, from: Origin, seq: u64) {
        let (me, head) = (self.origin(), self.origins.get(self.me).applied);
        self.homed_progress();
        let Some(peer) = self.peers.get_mut(from) else { return };
        if seq > head {
            self.events.push_back(StateEvent::IdentityReused { peer: from });
            return;
        }
        peer.confirmed = peer.confirmed.max(seq);
        let known = peer.vector.entry(me).or_default();
        *known = seq.max(*known);
        self.heard_by_somebody = self.heard_by_somebody.max(seq);
    }

    /// A peer says what it knows. `resync` also places its cursor into this node's stream; so does any vector where there is none, because
    /// what it lacked of the dead when it said hello it may have from somebody else.
    fn handle_vector(&mut self, from: Origin, known: &Known, ready: bool, resync: bool) {
        let me = self.origin();
        let said = known.iter().find(|(origin, _)| *origin == me).map_or(0, |(_, seq)| seq);
        self.handle_confirmed(from, said);
        let mine = self.origins.get(self.me);
        let is_placed = resync || self.peers.get(&from).is_some_and(|peer| peer.cursor.is_none());
        let reaches =
            is_placed && mine.log.reaches(said + 1, mine.applied) && !self.lacks_dead(&known.iter().collect());
        let origins = &self.origins;
        let Some(peer) = self.peers.get_mut(from) else { return };
        if is_placed {
            peer.cursor = reaches.then_some(said + 1);
        }
        if resync {
            // What it confirmed before is history of another link; what it says now is the truth.
            peer.confirmed = said.min(mine.applied);
        }
        if ready && peer.sync_target.is_none() {
            peer.sync_target = Some(known.iter().collect());
        }
        let was_ready = std::mem::replace(&mut peer.ready, ready);
        peer.told(known, |origin| origins.find(origin).is_some());
        self.let_answers_go(from);
        if was_ready != ready {
            self.readiness.heard(from, ready);
            self.view_changed();
        }
        let behind: Vec<(Origin, u64)> =
            known.iter().filter(|(origin, seq)| *origin != me && *seq > self.expected(*origin)).collect();
        if behind.is_empty() {
            return;
        }
        if self.readiness.is_ready() {
            for (origin, target) in behind {
                // Not at once: it is probably on its way.
                self.lags.entry(origin).or_insert(Lag { target, from, round: self.gossip_round });
            }
        } else if self.readiness.pulled_in != Some(self.gossip_round) {
            // From one peer a round: the others would send the same again.
            self.readiness.pulled_in = Some(self.gossip_round);
            self.pull(from);
        }
    }

    /// Up to where an origin's operations are here, applied or waiting.
    fn expected(&self, origin: Origin) -> u64 {
        let Some(ix) = self.origins.find(origin) else { return 0 };
        let state = self.origins.get(ix);
        state.inbox.last().unwrap_or(0).max(state.applied)
    }

    /// Takes a run of an origin's operations: a slice of it now, the rest in [`handle_rest`](Self::handle_rest).
    fn handle_ops(
        &mut self,
        from: Origin,
        author: Origin,
        next: u64,
        run: Bytes,
        now: WallMs,
    ) -> Result<(), CodecError> {
        if author == self.origin() {
            return Ok(());
        }
        self.unapplied = Some(Unapplied { from, author, next, run });
        self.apply_slice(now)
    }

    /// Whether a frame was taken in part only.
    pub fn has_rest(&self) -> bool {
        self.unapplied.is_some() || self.draining
    }

    /// Goes on with the frame that came last: a slice of what is left of it. Returns whether there is more.
    ///
    /// # Errors
    /// [`CodecError`] when it cannot be understood; the link that it came on should be closed.
    pub fn handle_rest(&mut self, now: WallMs) -> Result<bool, CodecError> {
        if !self.has_rest() {
            return Ok(false);
        }
        self.output = true;
        let applied = self.apply_slice(now);
        if applied.is_err() {
            self.stats.garbage_frames += 1;
        }
        self.update_readiness();
        applied.map(|()| self.has_rest())
    }

    /// A slice of what is left, when nobody hears which link it came on.
    pub(crate) fn work_on_rest(&mut self, now: WallMs) {
        if let Err(error) = self.handle_rest(now) {
            tracing::warn!(node = %self.name(), %error, "a waiting operation could not be understood");
        }
    }

    /// Ends what a frame left over, before anything that came later: nothing overtakes an operation.
    fn finish_rest(&mut self, now: WallMs) {
        while self.has_rest() {
            self.work_on_rest(now);
        }
    }

    fn apply_slice(&mut self, now: WallMs) -> Result<(), CodecError> {
        let mut budget = self.portions.slice_rows;
        self.draining |= self.unapplied.is_some();
        if let Some(run) = self.unapplied.take() {
            self.apply_run(run, &mut budget, now)?;
        }
        if self.unapplied.is_none() && std::mem::take(&mut self.draining) {
            self.draining = !self.drain_inboxes(&mut budget, now)?;
        }
        self.repeat_erasures();
        self.tell_watchers(Some(self.origin()), now);
        self.hand_out_early();
        Ok(())
    }

    fn apply_run(&mut self, run: Unapplied, budget: &mut usize, now: WallMs) -> Result<(), CodecError> {
        let Unapplied { from, author, mut next, run } = run;
        let ix = self.origins.intern(author, self.life.age());
        let mut stamp = Hlc::default();
        let mut tail = &run[..];
        while !tail.is_empty() && *budget > 0 {
            let before = tail;
            let op = wire::decode_op(&mut tail)?;
            let raw = &before[..before.len() - tail.len()];
            *budget = budget.saturating_sub(op.action.weight());
            stamp = stamp.max(op.stamp);
            let expected = self.expected(author);
            if next <= expected {
                self.stats.duplicate_ops += 1;
            } else if next > expected + 1 {
                self.lags.entry(author).or_insert(Lag { target: next, from, round: self.gossip_round });
                tail = &[];
            } else if self.origins.get(ix).inbox.is_empty() && self.depends_on_nothing_missing(&op) {
                self.apply_remote(ix, next, &op, raw, now);
            } else if self.origins.get_mut(ix).inbox.push(next, raw) {
                let round = self.gossip_round;
                self.origins.get_mut(ix).inbox.waiting_since.get_or_insert(round);
                self.blocked.insert(ix);
            } else {
                tail = &[];
            }
            next += 1;
        }
        self.observe_stamp(stamp, from, now);
        if author == from
            && let Some(peer) = self.peers.get_mut(from)
        {
            peer.confirmation_owed = Some(self.origins.get(ix).applied);
        }
        if !tail.is_empty() {
            let run = run.slice(run.len() - tail.len()..);
            self.unapplied = Some(Unapplied { from, author, next, run });
        }
        Ok(())
    }

    /// Whether all that an operation observed has been applied here.
    pub(crate) fn depends_on_nothing_missing(&self, op: &Op<'_>) -> bool {
        op.action.seen().is_none_or(|seen| seen.dots.iter().all(|(origin, seq)| self.origins.applied(*origin) >= *seq))
    }

    fn apply_remote(&mut self, author: OriginIx, seq: u64, op: &Op<'_>, raw: &[u8], now: WallMs) {
        self.tell_expired(now);
        let erase = self.resolve(author, seq, &op.action);
        self.keyspace.apply(op, &erase, Effect::Whole, &self.origins);
        self.note_behind_sweep(author, seq, op);
        let state = self.origins.advance(author, seq);
        state.log.append(seq, self.gossip_round, |bytes| bytes.extend_from_slice(raw));
        self.stats.remote_ops += 1;
        self.note_homed(author, seq, op);
        self.tell_watchers(Some(self.origins.get(author).origin), now);
    }

    /// Applies what waited for operations that have come since, within a budget. Returns whether that was all.
    fn drain_inboxes(&mut self, budget: &mut usize, now: WallMs) -> Result<bool, CodecError> {
        let mut progressed = !self.blocked.is_empty();
        while progressed {
            progressed = false;
            for ix in self.blocked.clone() {
                while let Some((seq, raw)) = self.origins.get_mut(ix).inbox.pop() {
                    let op = wire::decode_op(&mut &raw[..])?;
                    let ready = self.depends_on_nothing_missing(&op);
                    if !ready || *budget == 0 {
                        drop(op);
                        self.origins.get_mut(ix).inbox.put_back(raw);
                        if ready {
                            return Ok(false);
                        }
                        break;
                    }
                    *budget = budget.saturating_sub(op.action.weight());
                    self.apply_remote(ix, seq, &op, &raw, now);
                    self.origins.get_mut(ix).inbox.waiting_since = Some(self.gossip_round);
                    progressed = true;
                }
                let state = self.origins.get_mut(ix);
                if state.inbox.is_empty() {
                    state.inbox.waiting_since = None;
                    self.blocked.remove(&ix);
                    let (origin, applied) = (state.origin, state.applied);
                    if let Some(peer) = self.peers.get_mut(origin) {
                        peer.confirmation_owed = Some(applied);
                    }
                }
            }
        }
        Ok(true)
    }

    fn handle_interest(
        &mut self,
        from: Origin,
        version: u64,
        reset: bool,
        count: u64,
        mut tail: &[u8],
    ) -> Result<(), CodecError> {
        if reset {
            self.interest.forget(from);
        }
        for _ in 0..count {
            let named: Subscribers<'_> = codec::take(&mut tail)?;
            self.interest.set(from, named.kind, named.name.0, named.count);
        }
        if let Some(peer) = self.peers.get_mut(from) {
            peer.send(&Frame::InterestNoted { version });
        }
        Ok(())
    }

    /// Origins that no membership has known for the grace time are declared Gone: whoever would do it is Gone itself.
    pub(crate) fn bury_strangers(&mut self, now: WallMs) {
        let age = self.life.age();
        for ix in self.origins.indices() {
            let state = self.origins.get(ix);
            let Standing::Hidden { since } = state.standing else { continue };
            let origin = state.origin;
            if !state.member && age.since(since) > self.limits.grace {
                self.handle_gone(&[origin], GoneReason::GraceOver, now);
            }
        }
    }
}
