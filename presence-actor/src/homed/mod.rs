//! Commands whose answer must be unique in the cluster: pops, `SET NX`, compare-and-set, and counters where asked for.
//!
//! Each key has a *home*, the node that rendezvous hashing picks among those that are Up and ready ([`agreement`]). A
//! caller asks the home ([`calls`]), which carries commands out one after the other on what it knows ([`home`]). What
//! it writes is an operation of its stream like any other, and the answer travels inside that operation: whoever has applied the
//! one knows the other, so a caller reads its own write, and a new home knows what the old one had answered. A call
//! has a number; a home that finds the number answered does not carry the command out again.
//!
//! Which node is the home is agreed, not assumed: it serves only while the nodes of its view hold the same view and have
//! promised, for a second at a time, to hold no other. What it promises in the end stands at
//! [`Presence`](crate::Presence#commands-at-a-keys-home).

mod agreement;
mod answered;
mod calls;
mod command;
mod home;
mod parking;
mod returning;
mod stamps;
mod taken;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use headcount_cluster::{NodeId, Origin, WallMs};

pub(crate) use self::agreement::Agreement;
pub(crate) use self::answered::{AnswerKey, Answered, AnsweredCalls, Dot, Record};
use self::calls::Word;
pub(crate) use self::calls::{Calls, Carried, Started};
pub(crate) use self::command::{Answer, HomedCommand, Refusal};
use self::home::{Asked, Confirming};
use self::parking::Parking;
use self::returning::Returning;
#[cfg(test)]
pub(crate) use self::taken::Fate;
pub(crate) use self::taken::Take;
pub(crate) use self::waiting::Popped;
use self::waiting::{Waiters, Waits};
use crate::life::Age;
use crate::state::State;
use crate::wire::Frame;

/// What must hold for a home to serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HomeRequires {
    /// The nodes that can talk agree. At a partition every side serves, so an answer is unique on its side only.
    #[default]
    Any,
    /// More than half of the nodes that are Up or Down agree, and more than half have a write before it is answered.
    Majority,
}

impl fmt::Display for HomeRequires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Majority => "majority",
        })
    }
}

impl FromStr for HomeRequires {
    type Err = UnknownRequirement;

    fn from_str(text: &str) -> Result<Self, UnknownRequirement> {
        match text {
            "any" => Ok(Self::Any),
            "majority" => Ok(Self::Majority),
            other => Err(UnknownRequirement(other.chars().take(64).collect())),
        }
    }
}

/// A text that names no [`HomeRequires`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key's home requires \"any\" or \"majority\", not {0:?}")]
pub struct UnknownRequirement(String);

/// What a node keeps for commands at a key's home.
#[derive(Debug, Default)]
pub(crate) struct Homed {
    pub(crate) agreement: Agreement,
    pub(crate) answered: AnsweredCalls,
    pub(crate) calls: Calls,
    pub(crate) returning: Returning,
    /// Nodes that were given up for their silence, and when: they may be on another side.
    pub(crate) missing: BTreeMap<NodeId, Age>,
    waits: Waits,
    waiters: Waiters,
    parked: Parking,
    confirming: BTreeMap<(Origin, u64), Confirming>,
    /// Whether peers may have told what confirms any of them.
    heard_of_progress: bool,
    /// Frames of this node to itself: it may be the home that it asks.
    to_self: VecDeque<Frame>,
    /// Whether something has happened since all was looked at,
    restless: bool,
    /// and whether it may have changed the view.
    view_touched: bool,
}

impl State {
    /// Something has happened that calls or homes may have waited for.
    pub(crate) fn unsettle(&mut self) {
        self.homed.restless = true;
    }

    /// Who is Up and ready may be others than before.
    pub(crate) fn view_changed(&mut self) {
        self.homed.view_touched = true;
        // Where whoever gave a key its life is Gone, its home removes it: that may be another now, and this node only since it is ready.
        self.keyspace.deadlines.recheck_overdue();
        self.unsettle();
    }

    #[cfg(test)]
    pub(crate) fn is_view_noticed(&self) -> bool {
        let is_untouched = self.peers.is_empty() && !self.readiness.is_ready();
        is_untouched || self.homed.view_touched || self.homed.agreement.is_of(self.view_number())
    }

    /// Does what calls and homes can do now; to be asked for after every input. Parked commands are carried out a slice at a
    /// time.
    pub fn settle(&mut self, now: WallMs) {
        let mut budget = self.portions.slice_rows;
        while std::mem::take(&mut self.homed.restless) || self.homed_has_work(now) && budget > 0 {
            budget = self.settle_once(budget, now);
        }
    }

    #[cold] // beside all the writes after which there is nothing to do
    fn settle_once(&mut self, budget: usize, now: WallMs) -> usize {
        if std::mem::take(&mut self.homed.view_touched) {
            self.notice_view_change(now);
        }
        for key in std::mem::take(&mut self.keyspace.arrived) {
            self.offer(&key, now);
        }
        self.put_back_returned(now);
        while let Some(frame) = self.homed.to_self.pop_front() {
            self.handle_homed(self.origin(), frame, now);
        }
        let budget = self.carry_out_parked(budget, now);
        if std::mem::take(&mut self.homed.heard_of_progress) {
            self.confirm_carried_out(now);
        }
        budget
    }

    /// Whether there is something to do without a new input.
    pub(crate) fn homed_has_work(&mut self, now: WallMs) -> bool {
        !self.keyspace.arrived.is_empty()
            || self.homed.heard_of_progress && !self.homed.confirming.is_empty()
            || !self.homed.parked.is_empty() && self.next_parked().is_some() && self.may_serve(now)
    }

    /// A peer has told what it knows.
    pub(crate) fn homed_progress(&mut self) {
        self.homed.heard_of_progress = true;
    }

    /// Sends a frame to a node, which may be this one. Returns whether it is under way.
    fn send_homed(&mut self, to: Origin, frame: Frame) -> bool {
        if to == self.origin() {
            self.homed.to_self.push_back(frame);
            self.homed.restless = true;
            return true;
        }
        let Some(peer) = self.peers.get_mut(to).filter(|peer| peer.is_greeted()) else { return false };
        peer.send(&frame);
        self.output = true;
        true
    }

    /// Takes a frame of a call, a home or an agreement; other kinds are none of its business.
    pub(crate) fn handle_homed(&mut self, from: Origin, frame: Frame, now: WallMs) {
        self.homed.restless = true;
        match frame {
            Frame::Ask { number, command, after, confirm } => {
                self.handle_ask(from, Asked { number, command, after, confirm }, now);
            }
            Frame::Answer { number, outcome } => self.handle_answer(from, number, outcome),
            Frame::Confirmed { number } => self.take_word(from, number, Word::Confirmed),
            Frame::Lapsed { number } => self.take_word(from, number, Word::Lapsed),
            Frame::Wait { number, keys, since } => self.handle_wait(from, number, &keys, since, now),
            Frame::EndWait { number } => self.remove_waiter(from, number, now),
            Frame::Offer { number, key } => self.handle_offer(from, number, key),
            Frame::Withdraw { number } => self.handle_withdraw(from, number),
            Frame::AskTaken { element, by } => self.handle_ask_taken(from, element, by),
            Frame::Taken { element, takes } => self.handle_taken(from, element, takes),
            Frame::Agree { number, view, until } => self.handle_agree(from, number, view, until, now),
            Frame::Agreed { number, vector, used } => self.handle_agreed(from, number, vector, used, now),
            Frame::Hello { .. }
            | Frame::Vector { .. }
            | Frame::Pull { .. }
            | Frame::BeyondLog { .. }
            | Frame::Ops { .. }
            | Frame::Applied { .. }
            | Frame::Interest { .. }
            | Frame::InterestNoted { .. }
            | Frame::Messages { .. }
            | Frame::Gone { .. }
            | Frame::SnapshotRequest { .. }
            | Frame::SnapshotRefused { .. }
            | Frame::Snapshot { .. } => {}
        }
    }

    /// A member is Up or Down: those who are there are served, others keep their place.
    pub(crate) fn homed_member_changed(&mut self) {
        self.keyspace.arrived.extend(self.keyspace.awaited.iter().cloned());
        self.refuse_calls_without_majority();
        self.view_changed();
    }

    /// What a gossip round brings: agreements are kept fresh while they are needed, and what could not be sent is tried again.
    pub(crate) fn homed_gossip(&mut self, now: WallMs) {
        self.refresh_agreement(now);
        self.route_all();
        self.ask_who_took();
        self.tell_settled_calls(now);
        self.expect_callers();
        self.unsettle();
    }

    /// A peer's link is new or gone: what it waits for here is void, and it says again what it wants.
    pub(crate) fn homed_peer_changed(&mut self, peer: Origin, now: WallMs) {
        self.homed.parked.drop_caller(peer);
        self.remove_waiters_of(peer, now);
        self.reroute(peer);
        self.unsettle();
    }

    /// This node leaves: it carries nothing out any more for others, and takes back what it asked for. What it promised and remembers it keeps for as
    /// long as others may ask it.
    pub(crate) fn close_homed(&mut self) {
        self.homed.parked = Parking::default();
        self.close_waits();
        self.close_calls();
    }

    /// Whether a node that leaves may go: it knows what became of its calls, and no element is on its way back.
    pub(crate) fn are_calls_over(&self) -> bool {
        self.homed.calls.are_over() && self.homed.returning.len() == 0
    }

    /// Calls, blocked pops, waiters and answers that are held: zero when all is at rest. What is kept for the Gone does not count.
    pub(crate) fn open_calls(&self) -> usize {
        let homed = &self.homed;
        homed.calls.len()
            + homed.returning.len()
            + homed.waits.len()
            + homed.waiters.len()
            + homed.parked.len()
            + homed.confirming.values().filter(|confirming| !confirming.done).count()
            + homed.answered.count(|caller| !self.origins.is_gone(caller))
    }
}
