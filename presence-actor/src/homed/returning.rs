//! Elements on their way back: each was popped for a call of this node whose caller did not take it.
//!
//! Where a majority is required, another home may have popped the element too, or may still pop it. So everybody is asked, the Down too when they
//! are back, for all pops of it: a node answers once it has the pop in question, and cannot pop the element any more then. If there is one
//! for another caller, the two agree: whose call is the least puts the element back when all others have left it; every other leaves it, and
//! says so. A caller that is Gone may have been given it. [`taken`](super::taken) remembers who took what.

use std::collections::BTreeSet;

use headcount_cluster::{Origin, WallMs};

use super::answered::Dot;
use super::taken::{Fate, Take, TakenElements};
use crate::blob::Blob;
use crate::dot::Owner;
use crate::limits::MAX_TAKERS;
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
#[derive(Debug)]
struct Doubt {
    element: ElementKey,
    number: u64,
    dot: Dot,
    /// Who has said which other pops of it there are.
    heard: BTreeSet<Origin>,
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

    fn doubts(&self) -> impl Iterator<Item = &Doubt> {
        self.elements.iter().filter_map(|returned| returned.doubt.as_ref())
    }

    fn doubts_mut(&mut self) -> impl Iterator<Item = &mut Doubt> {
        self.elements.iter_mut().filter_map(|returned| returned.doubt.as_mut())
    }

    fn awaits(&self, element: ElementKey, number: u64) -> bool {
        self.doubts().any(|doubt| doubt.element == element && doubt.number == number)
    }

    /// Takes note of a pop, or of what became of it; returns whether there was room. Elements in doubt are not forgotten.
    fn note(&mut self, element: ElementKey, take: Take) -> bool {
        let Self { elements, taken } = self;
        let doubts = || elements.iter().filter_map(|returned| returned.doubt.as_ref());
        taken.note(element, take, |oldest| doubts().any(|doubt| doubt.element == oldest))
    }
}

impl State {
    /// An operation has taken an element, for a call. Returns where it goes if the caller is this node and does not take it.
    pub(super) fn note_taken(&mut self, element: ElementKey, dot: Dot, call: Option<(Origin, u64)>) -> Back {
        if self.node.is_none() {
            return Back::Place(element); // there never is another home
        }
        let (call, is_had) = (call.unwrap_or((dot.origin, 0)), call.is_none());
        let known = self.homed.returning.taken.of(element).iter().filter(|known| known.dot != dot);
        let (same, others): (Vec<&Take>, Vec<&Take>) = known.partition(|known| self.is_same_call(known.call, call));
        let has_ended = !same.is_empty() && !self.is_waiting(call.1);
        let is_theirs = !others.is_empty() && !self.needs_confirmation();
        let back = if has_ended || is_theirs { Back::Nowhere } else { Back::Place(element) };
        // Who carries something out for itself alone is given it at once.
        let fate = if is_had { Some(Fate::Had) } else { same.iter().find_map(|take| take.fate) };
        self.homed.returning.note(element, Take { dot, call, fate });
        back
    }

    /// An element that was popped for a call of this node goes back to its place.
    pub(super) fn put_back(&mut self, number: u64, key: Blob, value: Blob, back: Back, in_doubt: Option<Dot>) {
        let Back::Place(element) = back else { return };
        let doubt = in_doubt.filter(|_| self.needs_confirmation()).map(|dot| Doubt {
            element,
            number,
            dot,
            heard: BTreeSet::new(),
        });
        self.homed.returning.elements.push(Returned { key, position: element.position, value, doubt });
    }

    /// Puts an element back that was popped for somebody who did not take it.
    pub(crate) fn give_back(&mut self, end: End, key: Blob, value: Blob) {
        let list = self.keyspace.keys.get(&key).and_then(|entry| entry.list());
        let position = list.map_or_else(|| List::default().position_beyond(end), |list| list.position_beyond(end));
        self.homed.returning.elements.push(Returned { key, position, value, doubt: None });
        self.unsettle();
    }

    /// A home has confirmed what it popped for a call that nobody waited for any more: nobody else was given that.
    pub(super) fn end_doubt(&mut self, home: Origin, number: u64) {
        let own = self.own_origins();
        let Returning { elements, taken } = &mut self.homed.returning;
        let is_by_home = |take: &Take| take.call.1 == number && own.contains(&take.call.0) && take.dot.origin == home;
        for returned in elements {
            returned.doubt.take_if(|doubt| doubt.number == number && taken.of(doubt.element).iter().any(is_by_home));
        }
    }

    /// Elements of which it is known by now who puts them back go there.
    pub(super) fn put_back_returned(&mut self, now: WallMs) {
        let elements = &self.homed.returning.elements;
        let by: Vec<PutBackBy> = elements.iter().map(|it| self.put_back_by(it.doubt.as_ref())).collect();
        let decided = std::mem::take(&mut self.homed.returning.elements).into_iter().zip(by);
        let (unknown, decided) = decided.partition::<Vec<_>, _>(|(_, by)| *by == PutBackBy::Unknown);
        self.homed.returning.elements = unknown.into_iter().map(|(returned, _)| returned).collect();
        let (mine, theirs) = decided.into_iter().partition::<Vec<_>, _>(|(_, by)| *by == PutBackBy::Me);
        self.leave_to_others(theirs.iter().filter_map(|(returned, _)| returned.doubt.as_ref()));
        for (Returned { key, position, value, .. }, _) in mine {
            let values = Several([Raw(&value)].into_iter().collect());
            self.commit(now, Action::Push { key: Raw(&key), position, values, owner: Owner::SHARED });
        }
    }

    /// The others are told: this node may leave before they ask. What they hear is of all its calls, so all leave first.
    fn leave_to_others<'a>(&mut self, doubts: impl Iterator<Item = &'a Doubt>) {
        let mut told = BTreeSet::new();
        for Doubt { element, number, .. } in doubts {
            let (mine, others) = self.takes_of(*element, *number);
            self.homed.returning.taken.leave(*element, &mine);
            let callers = others.iter().map(|take| take.call.0).filter(|caller| !self.is_own(*caller));
            told.extend(callers.map(|caller| (caller, *element)));
            self.unsettle(); // another call of this node may wait for that
        }
        for (caller, element) in told {
            self.tell_taken(caller, element);
        }
    }

    /// Whether two calls are one, under whatever origins this node has asked.
    fn is_same_call(&self, one: (Origin, u64), other: (Origin, u64)) -> bool {
        one == other || one.1 == other.1 && self.is_own(one.0) && self.is_own(other.0)
    }

    /// The pops of an element: those for a call of this node, and the others.
    fn takes_of(&self, element: ElementKey, number: u64) -> (Vec<Take>, Vec<Take>) {
        let (takes, call) = (self.homed.returning.taken.of(element), (self.origin(), number));
        takes.iter().partition(|take| self.is_same_call(take.call, call))
    }

    fn put_back_by(&self, doubt: Option<&Doubt>) -> PutBackBy {
        let Some(Doubt { element, number, heard, .. }) = doubt else { return PutBackBy::Me };
        let (mine, others) = self.takes_of(*element, *number);
        let homes: Vec<Origin> = mine.iter().chain(&others).map(|take| take.dot.origin).collect();
        let mine = mine.iter().map(|take| take.call).min();
        let fates = others.iter().map(|take| (Some(take.call) < mine, self.fate(*element, take)));
        let fates: Vec<(bool, Option<Fate>)> = fates.collect();
        let is_theirs = |(is_before_mine, fate): &(bool, Option<Fate>)| match fate {
            Some(Fate::Had) => true,
            Some(Fate::Left) => false,
            None => *is_before_mine,
        };
        if fates.iter().any(is_theirs) || homes.len() >= MAX_TAKERS {
            PutBackBy::Others
        } else if self.have_all_said(heard, &homes) && fates.iter().all(|(_, fate)| fate.is_some()) {
            PutBackBy::Me
        } else {
            PutBackBy::Unknown
        }
    }

    /// Whether all nodes that are Up or Down have said which pops there are, and with this node more than half of those that are known. A home
    /// that has popped it itself, and is Down, is not waited for: it knew of no other pop, cannot pop it again, and its death is what brings
    /// most elements here.
    fn have_all_said(&self, heard: &BTreeSet<Origin>, homes: &[Origin]) -> bool {
        let has_said = |(origin, peer): (&Origin, &Peer)| heard.contains(origin) || !peer.up && homes.contains(origin);
        2 * (1 + heard.len()) > self.known_nodes() && self.peers.iter().all(has_said)
    }

    /// Somebody is Gone: what only he was to say others may have heard meanwhile, so all are asked again.
    pub(crate) fn ask_again_who_took(&mut self) {
        self.homed.returning.doubts_mut().for_each(|doubt| doubt.heard.clear());
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

    /// Asks who else has popped the elements that are in doubt here, until all have answered and what became of each pop is known.
    pub(super) fn ask_who_took(&mut self) {
        let mut questions = Vec::new();
        for Doubt { element, dot, heard, .. } in self.homed.returning.doubts() {
            let takes = self.homed.returning.taken.of(*element).iter();
            let undecided = takes.filter(|take| self.fate(*element, take).is_none()).map(|take| take.call.0);
            let undecided: BTreeSet<Origin> = undecided.collect();
            let to_ask = self.peers.keys().filter(|peer| !heard.contains(peer) || undecided.contains(peer));
            questions.extend(to_ask.map(|peer| (*peer, Frame::AskTaken { element: *element, by: *dot })));
        }
        for (peer, question) in questions {
            self.send_homed(peer, question);
        }
    }

    /// Somebody wants to know who took an element. A node that has not heard of the pop in question may still pop it itself: it will be asked
    /// again.
    pub(super) fn handle_ask_taken(&mut self, from: Origin, element: ElementKey, by: Dot) {
        if self.origins.applied(by.origin) >= by.seq {
            self.tell_taken(from, element);
        }
    }

    fn tell_taken(&mut self, to: Origin, element: ElementKey) {
        let takes = self.homed.returning.taken.of(element).iter();
        let known = |take: &Take| if self.is_own(take.call.0) { self.fate(element, take) } else { take.fate };
        let takes = takes.map(|take| Take { fate: known(take), ..*take }).collect();
        self.send_homed(to, Frame::Taken { element, takes });
    }

    /// Somebody says who took an element, as far as he knows.
    pub(super) fn handle_taken(&mut self, from: Origin, element: ElementKey, takes: Vec<Take>) {
        if self.homed.returning.taken.of(element).is_empty() {
            return; // this node has nothing to do with it
        }
        for take in takes {
            let (caller, _) = take.call;
            if self.is_own(caller) {
                continue;
            }
            if self.homed.returning.note(element, take) && !self.origins.is_gone(caller) {
                self.origins.intern(caller, self.life.age()); // who is never met is given up some day
            }
        }
        let doubts = self.homed.returning.doubts_mut();
        doubts.filter(|doubt| doubt.element == element).for_each(|doubt| doubt.heard.extend([from]));
    }

    #[cfg(test)]
    pub(crate) fn elements_in_doubt(&self) -> Vec<ElementKey> {
        self.homed.returning.doubts().map(|doubt| doubt.element).collect()
    }

    #[cfg(test)]
    pub(crate) fn takers_of(&self, element: ElementKey) -> usize {
        self.homed.returning.taken.of(element).len()
    }
}
