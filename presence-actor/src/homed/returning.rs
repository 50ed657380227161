//! Elements on their way back: each was popped for a call of this node whose caller did not take it.
//!
//! Where a majority is required, another home may have popped the element too, or may still pop it. So it waits until all nodes have the pop
//! and this one has all that they knew then. If it turns out to have been popped for another caller too, the two agree:
//! who has the earliest pop (the least dot) asks the others, and puts the element back when all of them say that they leave it; every other leaves it as
//! soon as it is not given it. A caller that is Gone may have been given it. [`taken`](super::taken) remembers who took what.

use headcount_cluster::{Origin, WallMs};

use super::answered::Dot;
use super::calls::Word;
use super::taken::{Fate, Take, TakenElements};
use crate::blob::Blob;
use crate::dot::Owner;
use crate::op::{Action, Raw, Several};
use crate::peer::Peer;
use crate::shared::list::{ElementKey, End, List};
use crate::state::State;
use crate::wire::Frame;

/// Where a popped element goes that its caller does not take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Back {
    /// Nowhere: nothing was popped, or another call has popped the same.
    Nowhere,
    /// To the end from which it came.
    End,
    /// To its place.
    Place(ElementKey),
}

impl Back {
    pub(super) fn place(self) -> Option<ElementKey> {
        if let Self::Place(element) = self { Some(element) } else { None }
    }
}

/// An element without a taker.
#[derive(Debug)]
struct Returned {
    key: Blob,
    position: i64,
    value: Blob,
    /// Where somebody else may have been given it, or may still be.
    doubt: Option<Doubt>,
}

/// Which element it was, for which call it was taken, and by which operation.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    element: ElementKey,
    number: u64,
    dot: Dot,
}

/// Who puts an element back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PutBackBy {
    Me,
    Others,
    /// Not known yet.
    Unknown,
}

/// Elements on their way back, and who took which.
#[derive(Debug, Default)]
pub(crate) struct Returning {
    elements: Vec<Returned>,
    taken: TakenElements,
}

impl Returning {
    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    /// A home has confirmed what it popped for a call that nobody waited for any more: nobody else was given that.
    pub(super) fn end_doubt(&mut self, home: Origin, number: u64, word: Word) {
        let taken = &self.taken;
        let is_by_home = |take: &Take| take.call.1 == number && take.dot.origin == home;
        let is_over = |doubt: Doubt| doubt.number == number && taken.of(doubt.element).iter().any(is_by_home);
        for returned in self.elements.iter_mut().filter(|_| word == Word::Confirmed) {
            returned.doubt = returned.doubt.filter(|doubt| !is_over(*doubt));
        }
    }

    fn awaits(&self, element: ElementKey, number: u64) -> bool {
        let is_it = |doubt: Doubt| doubt.element == element && doubt.number == number;
        self.elements.iter().any(|returned| returned.doubt.is_some_and(is_it))
    }
}

impl State {
    /// An operation has taken an element, for a call. Returns where it goes if the caller is this node and does not take it.
    pub(super) fn note_taken(&mut self, element: ElementKey, dot: Dot, call: Option<(Origin, u64)>) -> Back {
        if self.node.is_none() {
            return Back::Place(element); // there never is another home
        }
        // Who carries something out for itself alone is given it at once.
        let take = Take { dot, call: call.unwrap_or((dot.origin, 0)), fate: call.is_none().then_some(Fate::Had) };
        let known = self.homed.returning.taken.of(element).iter().filter(|known| known.dot != dot);
        let (same, others): (Vec<&Take>, Vec<&Take>) =
            known.partition(|known| self.is_same_call(known.call, take.call));
        let was_had = !same.is_empty() && !self.is_waiting(take.call.1);
        let is_theirs = !others.is_empty() && !self.needs_confirmation();
        let back = if was_had || is_theirs { Back::Nowhere } else { Back::Place(element) };
        let Returning { elements, taken } = &mut self.homed.returning;
        let is_kept = |element| elements.iter().any(|it| it.doubt.is_some_and(|doubt| doubt.element == element));
        taken.note(element, take, is_kept);
        back
    }

    /// An element that was popped for a call of this node goes back to its place.
    pub(super) fn put_back(&mut self, number: u64, key: Blob, value: Blob, back: Back, in_doubt: Option<Dot>) {
        let Back::Place(element) = back else { return };
        let doubt = in_doubt.filter(|_| self.needs_confirmation()).map(|dot| Doubt { element, number, dot });
        self.homed.returning.elements.push(Returned { key, position: element.position, value, doubt });
    }

    /// Puts an element back that was popped for somebody who did not take it.
    pub(crate) fn give_back(&mut self, end: End, key: Blob, value: Blob) {
        let list = self.keyspace.keys.get(&key).and_then(|entry| entry.list());
        let position = list.map_or_else(|| List::default().position_beyond(end), |list| list.position_beyond(end));
        self.homed.returning.elements.push(Returned { key, position, value, doubt: None });
        self.unsettle();
    }

    /// Elements of which it is known by now who puts them back go there.
    pub(super) fn put_back_returned(&mut self, now: WallMs) {
        let by: Vec<PutBackBy> = self.homed.returning.elements.iter().map(|it| self.put_back_by(it.doubt)).collect();
        let elements = std::mem::take(&mut self.homed.returning.elements);
        for (returned, by) in elements.into_iter().zip(by) {
            match by {
                PutBackBy::Unknown => self.homed.returning.elements.push(returned),
                PutBackBy::Others => self.leave_to_others(returned.doubt),
                PutBackBy::Me => {
                    let Returned { key, position, value, .. } = returned;
                    let values = Several([Raw(&value)].into_iter().collect());
                    self.commit(now, Action::Push { key: Raw(&key), position, values, owner: Owner::SHARED });
                }
            }
        }
    }

    fn leave_to_others(&mut self, doubt: Option<Doubt>) {
        let Some(Doubt { element, number, .. }) = doubt else { return };
        let own = self.own_origins();
        let is_of_call = |take: &Take| take.call.1 == number && own.contains(&take.call.0);
        self.homed.returning.taken.decide(element, Fate::Left, is_of_call);
        self.unsettle(); // another call of this node may wait for that
    }

    /// Whether two calls are one, under whatever origins this node has asked.
    fn is_same_call(&self, one: (Origin, u64), other: (Origin, u64)) -> bool {
        one == other || one.1 == other.1 && self.is_own(one.0) && self.is_own(other.0)
    }

    fn put_back_by(&self, doubt: Option<Doubt>) -> PutBackBy {
        let Some(Doubt { element, number, dot }) = doubt else { return PutBackBy::Me };
        if !self.is_past_doubt(dot) {
            return PutBackBy::Unknown;
        }
        let takes = self.homed.returning.taken.of(element).iter();
        let mine = (self.origin(), number);
        let (mine, others): (Vec<&Take>, Vec<&Take>) = takes.partition(|take| self.is_same_call(take.call, mine));
        let first = mine.iter().map(|take| take.dot).chain([dot]).min();
        let fates: Vec<Option<Fate>> = others.iter().map(|take| self.fate(element, take)).collect();
        if fates.contains(&Some(Fate::Had)) || others.iter().any(|take| Some(take.dot) < first) {
            PutBackBy::Others
        } else if fates.contains(&None) {
            PutBackBy::Unknown
        } else {
            PutBackBy::Me
        }
    }

    /// What became of an element that was taken for a call, as far as it is known here.
    fn fate(&self, element: ElementKey, take: &Take) -> Option<Fate> {
        let (caller, number) = take.call;
        if take.fate.is_some() {
            take.fate
        } else if self.is_own(caller) {
            let is_open = self.is_waiting(number) || self.homed.returning.awaits(element, number);
            (!is_open).then_some(Fate::Had)
        } else {
            self.origins.is_gone(caller).then_some(Fate::Had)
        }
    }

    /// Asks callers whose calls have taken the same as one of this node's what became of that.
    pub(super) fn ask_other_takers(&mut self) {
        let doubts = self.homed.returning.elements.iter().filter_map(|returned| returned.doubt);
        let mut questions = Vec::new();
        for Doubt { element, dot, .. } in doubts.filter(|doubt| self.is_past_doubt(doubt.dot)) {
            let takes = self.homed.returning.taken.of(element).iter();
            let others = takes.filter(|take| take.dot != dot && self.fate(element, take).is_none());
            questions.extend(others.map(|take| (take.call.0, Frame::AskTaken { element, by: take.dot })));
        }
        for (caller, question) in questions {
            self.send_homed(caller, question);
        }
    }

    /// Somebody wants to know what became of an element that was taken for this node.
    pub(super) fn handle_ask_taken(&mut self, from: Origin, element: ElementKey, by: Dot) {
        if self.origins.applied(by.origin) < by.seq && self.origins.find(by.origin).is_some() {
            return; // it will ask again
        }
        let take = self.homed.returning.taken.of(element).iter().find(|take| take.dot == by);
        // What is not remembered may have been given.
        let fate = take.map_or(Some(Fate::Had), |take| self.fate(element, take));
        if let Some(fate) = fate {
            self.send_homed(from, Frame::Taken { element, by, left: fate == Fate::Left });
        }
    }

    /// A caller says what became of an element.
    pub(super) fn handle_taken(&mut self, from: Origin, element: ElementKey, by: Dot, left: bool) {
        let fate = if left { Fate::Left } else { Fate::Had };
        self.homed.returning.taken.decide(element, fate, |take| take.dot == by && take.call.0 == from);
    }

    /// Whether nobody can give an element any more that an operation took: all nodes have the operation, and this node has all that those knew when they had
    /// it, so what else was done to the element is known here. It waits also for the Down: others may hold them for Up, and for the home.
    fn is_past_doubt(&self, dot: Dot) -> bool {
        let is_forgotten = self.origins.find(dot.origin).is_none();
        let knows_all_of = |peer: &Peer| peer.vector.iter().all(|(origin, seq)| self.origins.applied(*origin) >= *seq);
        // What is forgotten all had.
        let is_sure = |peer: &Peer| (is_forgotten || peer.has(dot)) && knows_all_of(peer);
        2 * (1 + self.peers.len()) > self.known_nodes() && self.peers.values().all(is_sure)
    }
}
