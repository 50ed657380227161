//! The caller's side: calls on their way to a home, and what becomes of them.
//!
//! A call keeps its number wherever it is sent, so that a home that already knows its answer does not carry it out again. An element that
//! was taken for a call which nobody waits for any more goes back to where it came from: a caller that gives up early, and
//! a second answer from a home that was thought lost, cost no element.

use std::collections::{BTreeMap, BTreeSet};

use futures::channel::oneshot;
use headcount_cluster::{Origin, WallMs};

use super::answered::{Dot, Record, Taken};
use super::returning::Back;
use super::{Answer, Answered, HomeRequires, HomedCommand, Refusal};
use crate::api::Result;
use crate::commands::check_life;
use crate::dot::OriginIx;
use crate::error::{Error, TryAgain};
use crate::op::{Action, Op};
use crate::state::State;
use crate::wire::Frame;

/// What a home made of a command: the answer, and the operation that wrote it, if there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) answer: Answer,
    pub(crate) dot: Option<Dot>,
}

/// How a call begins.
#[derive(Debug)]
pub(crate) enum Started {
    /// This node is the home and was ready to serve.
    Carried(Carried),
    /// The answer will come.
    Later { number: u64, outcome: oneshot::Receiver<Result<Carried>> },
}

/// Who hears how a call went.
#[derive(Debug)]
pub(super) enum Hears {
    Caller(oneshot::Sender<Result<Carried>>),
    /// The blocking pop with this number.
    Wait(u64),
    /// Nobody: its node leaves and has told its caller so.
    Nobody,
}

#[derive(Debug)]
struct Call {
    command: HomedCommand,
    /// Whom it was sent to last, unless that may be lost.
    sent: Option<Origin>,
    /// All whom it was ever sent to.
    asked: BTreeSet<Origin>,
    /// This node's last operation before the call.
    after: u64,
    /// What it was answered, while more than half of the nodes are not yet known to have that: by several homes, when one was thought lost.
    carried: Vec<(Carried, Back)>,
    /// What homes have said of that; it may come before the answer.
    words: BTreeMap<Origin, Word>,
    /// Nobody waits any more.
    given_up: bool,
    hears: Hears,
}

impl Call {
    /// Whether another node may have carried it out, and what is then done stays done. What this node has done it knows.
    fn may_be_done(&self, me: Origin) -> bool {
        self.asked.iter().any(|asked| *asked != me) && !self.takes()
    }

    fn takes(&self) -> bool {
        matches!(self.command, HomedCommand::Pop { .. })
    }

    /// Whether the operation of a home has answered it.
    fn has_answer_of(&self, home: Origin) -> bool {
        self.carried.iter().any(|(carried, _)| carried.dot.is_some_and(|dot| dot.origin == home))
    }

    /// Which answer its home has said to be had by more than half of the nodes. The word of one home says nothing of what another wrote.
    fn confirmed(&self) -> Option<usize> {
        self.carried.iter().position(|(carried, _)| carried.dot.is_some_and(|dot| self.is_confirmed(dot)))
    }

    fn is_confirmed(&self, dot: Dot) -> bool {
        self.words.get(&dot.origin) == Some(&Word::Confirmed)
    }

    /// Whether no answer that has come will be confirmed any more: all their homes have said so, or the one that was asked last.
    fn has_lapsed(&self) -> bool {
        let has_said_so = |home: Origin| self.words.get(&home) == Some(&Word::Lapsed);
        !self.carried.is_empty()
            && (self.sent.is_some_and(has_said_so)
                || self.carried.iter().all(|(carried, _)| carried.dot.is_some_and(|dot| has_said_so(dot.origin))))
    }
}

/// What a home says of an answer that more than half of the nodes were to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// They have it.
    Confirmed,
    /// The home's agreement lapsed before they had it: another may have served meanwhile and not have known.
    Lapsed,
}

/// This node's calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: BTreeMap<u64, Call>,
    last_number: u64,
    /// The origins under which this node has asked before, one for each time that it was given up and came back. What is taken for them is its own.
    former: BTreeSet<Origin>,
    /// Which homes may have popped for which calls, and have not said yet whether they did.
    awaited: BTreeSet<(u64, Origin)>,
    /// Numbers of calls that ended, beyond `settled`.
    ended: BTreeSet<u64>,
    /// All calls up to this number have ended.
    settled: u64,
    /// Up to where peers were told so.
    pub(crate) told: u64,
    /// Whether any call was answered by a peer's operation since.
    answered_elsewhere: bool,
}

impl Calls {
    /// Calls that have not ended, and homes that have yet to say what they popped for those that have.
    pub(crate) fn len(&self) -> usize {
        self.open.len() + self.awaited.iter().filter(|(number, _)| !self.open.contains_key(number)).count()
    }

    /// Whether it has to be known yet what became of any.
    pub(super) fn are_over(&self) -> bool {
        self.open.is_empty() && self.awaited.is_empty()
    }

    fn end(&mut self, number: u64) -> Option<Call> {
        let call = self.open.remove(&number)?;
        self.ended.insert(number);
        while self.ended.remove(&(self.settled + 1)) {
            self.settled += 1;
        }
        Some(call)
    }
}

impl State {
    /// Begins a call.
    pub(crate) fn call(&mut self, command: HomedCommand, now: WallMs) -> Result<Started> {
        self.check_homed(&command, now)?;
        self.check_majority()?;
        let (open, limit) = (self.homed.calls.open.len(), self.limits.max_homed_calls);
        if open >= limit {
            return Err(Error::TooMany {
                what: "calls to keys' homes",
                count: open + 1,
                limit,
                name: "max_homed_calls",
            });
        }
        let at_once = !self.needs_confirmation() && self.homed.parked.is_empty();
        if at_once && self.is_home(command.key()) && self.may_serve(now) {
            return self.carry_out(&command, None, now).map(Started::Carried);
        }
        let (sender, outcome) = oneshot::channel();
        let number = self.begin_call(command, Hears::Caller(sender));
        Ok(Started::Later { number, outcome })
    }

    /// Whether a call of this node waits for being carried out.
    pub(crate) fn is_call_open(&self, number: u64) -> bool {
        self.homed.calls.open.get(&number).is_some_and(|call| call.carried.is_empty())
    }

    /// Whether a call of this node has not ended.
    pub(super) fn is_waiting(&self, number: u64) -> bool {
        self.homed.calls.open.contains_key(&number)
    }

    pub(super) fn begin_call(&mut self, command: HomedCommand, hears: Hears) -> u64 {
        let after = self.written();
        let calls = &mut self.homed.calls;
        calls.last_number += 1;
        let number = calls.last_number;
        let asked = BTreeSet::new();
        let (carried, words) = (Vec::new(), BTreeMap::new());
        let call = Call { command, sent: None, asked, after, carried, words, given_up: false, hears };
        calls.open.insert(number, call);
        self.route(number);
        number
    }

    /// Whether an answer counts only when more than half of the nodes have what was written.
    pub(super) fn needs_confirmation(&self) -> bool {
        self.limits.home_requires == HomeRequires::Majority && !self.peers.is_empty()
    }

    /// Sends a call to its home, unless it was.
    fn route(&mut self, number: u64) {
        let Some(call) = self.homed.calls.open.get(&number) else { return };
        let (former, command, after) = (call.sent, call.command.clone(), call.after);
        let home = self.home_of(command.key());
        if former == Some(home) || call.given_up {
            return;
        }
        if let Some(former) = former {
            self.send_homed(former, Frame::Withdraw { number });
        }
        // Alone too: by the time it is carried out there may be others.
        let confirm = self.limits.home_requires == HomeRequires::Majority;
        let sent = self.send_homed(home, Frame::Ask { number, command, after, confirm });
        let me = self.origin();
        if let Some(call) = self.homed.calls.open.get_mut(&number) {
            call.sent = sent.then_some(home);
            call.asked.extend(call.sent);
            let may_pop = call.sent.filter(|home| call.takes() && *home != me && !call.has_answer_of(*home));
            self.homed.calls.awaited.extend(may_pop.map(|home| (number, home)));
        }
    }

    /// Sends what is not where it belongs, and drops what nobody waits for and nobody will answer.
    pub(super) fn route_all(&mut self) {
        let numbers: Vec<u64> = self.homed.calls.open.keys().copied().collect();
        for number in numbers {
            let Some(call) = self.homed.calls.open.get(&number) else { continue };
            let reachable = call.sent.filter(|home| *home == self.origin() || self.peers.contains_key(home));
            match (call.given_up, reachable) {
                (false, _) => self.route(number),
                (true, Some(home)) => drop(self.send_homed(home, Frame::Withdraw { number })),
                (true, None) => self.end_lapsed(number),
            }
        }
        self.ask_awaited();
        self.register_waits();
    }

    /// Homes are asked what they have popped for calls that have ended; who is Gone will not say.
    fn ask_awaited(&mut self) {
        let (peers, calls) = (&self.peers, &mut self.homed.calls);
        calls.awaited.retain(|(_, home)| peers.contains_key(home));
        let open = &calls.open;
        let of_ended: Vec<_> = calls.awaited.iter().filter(|(number, _)| !open.contains_key(number)).copied().collect();
        for (number, home) in of_ended {
            self.send_homed(home, Frame::Withdraw { number });
        }
    }

    /// What was sent to a peer may be lost: it is sent again once there is a link. The peer drops what it had not carried out, so of what was given up only
    /// pops matter any more, which may have to go back.
    pub(super) fn reroute(&mut self, peer: Origin) {
        let mut over = Vec::new();
        for (number, call) in self.homed.calls.open.iter_mut().filter(|(_, call)| call.sent == Some(peer)) {
            if !call.given_up {
                call.sent = None;
            } else if !call.takes() {
                over.push(*number);
            }
        }
        for number in over {
            self.end_lapsed(number);
        }
        self.forget_wait_home(peer);
        self.route_all();
    }

    /// A home has carried a command out without writing, or refuses it.
    pub(super) fn handle_answer(&mut self, from: Origin, number: u64, outcome: Result<Answer, Refusal>) {
        let (me, home) = (self.origin(), self.name_of(from));
        let is_asked = |call: &Call| call.sent == Some(from) && !call.given_up;
        // A withdrawal of before says nothing of what was asked again.
        if outcome != Err(Refusal::Withdrawn) || !self.homed.calls.open.get(&number).is_some_and(is_asked) {
            self.homed.calls.awaited.remove(&(number, from));
        }
        let Some(call) = self.homed.calls.open.get_mut(&number) else { return };
        // Who was asked before has no say any more.
        if call.sent != Some(from) {
            return;
        }
        let is_turned_away = matches!(outcome, Err(Refusal::NotHome | Refusal::Withdrawn)) && !call.given_up;
        if is_turned_away || !call.carried.is_empty() {
            // The next round asks again: by then the two may see the same nodes. Where another home has answered with an operation, this one is to
            // say what it thinks of that.
            call.sent = None;
            return;
        }
        let (key, may_be_done) = (call.command.key().clone(), call.may_be_done(me));
        let outcome = outcome.map_err(|refusal| match refusal.into_error(&key, &home) {
            // Another that was asked before may have carried it out.
            Error::TryAgain(_) if may_be_done => Error::OutcomeUnknown,
            error => error,
        });
        self.end_call(number, outcome.map(|answer| Carried { answer, dot: None }), Back::End);
    }

    /// A node's name, for people.
    fn name_of(&self, origin: Origin) -> String {
        let name = self.peers.get(&origin).map(|peer| &peer.member.node).or(self.node.as_ref());
        name.map_or_else(|| origin.to_string(), ToString::to_string)
    }

    /// A home says what came of its answer.
    pub(super) fn take_word(&mut self, from: Origin, number: u64, word: Word) {
        let Some(call) = self.homed.calls.open.get_mut(&number) else {
            if word == Word::Confirmed {
                self.end_doubt(from, number);
            }
            return;
        };
        if call.asked.contains(&from) {
            call.words.entry(from).or_insert(word);
            self.heed_words(number);
        }
    }

    /// Ends a call that was carried out, once its homes have said what is to be thought of that.
    fn heed_words(&mut self, number: u64) {
        let Some(call) = self.homed.calls.open.get_mut(&number) else { return };
        if let Some(index) = call.confirmed() {
            let (carried, back) = call.carried.remove(index);
            self.end_answered(number, carried, back);
        } else if call.has_lapsed() {
            self.end_lapsed(number);
        }
    }

    /// Ends a call with one of its answers.
    fn end_answered(&mut self, number: u64, carried: Carried, back: Back) {
        if let Some(call) = self.homed.calls.open.get_mut(&number) {
            // Another home may have taken the same for it.
            call.carried.retain(|(_, other)| other.place() != back.place());
        }
        self.return_carried(number);
        self.end_call(number, Ok(carried), back);
    }

    /// Nobody will answer any more, or can tell whether the answer was given once. A popped element goes back, unless it was given to another.
    fn end_lapsed(&mut self, number: u64) {
        let takes = self.homed.calls.open.get(&number).is_some_and(Call::takes);
        self.return_carried(number);
        let error = if takes { Error::TryAgain(TryAgain::NoAnswer) } else { Error::OutcomeUnknown };
        self.end_call(number, Err(error), Back::Nowhere);
    }

    /// What homes have taken for a call goes back.
    fn return_carried(&mut self, number: u64) {
        let Some(call) = self.homed.calls.open.get_mut(&number) else { return };
        let (key, mut carried) = (call.command.key().clone(), std::mem::take(&mut call.carried));
        while let Some((Carried { answer, dot }, back)) = carried.pop() {
            carried.retain(|(_, other)| other.place() != back.place());
            if let Answer::Value(value) = answer {
                self.put_back(number, key.clone(), value, back, dot);
            }
        }
    }

    /// A call of this node was carried out by an operation that is applied here.
    pub(super) fn carried(&mut self, number: u64, carried: Carried, back: Back) {
        let needs_confirmation = self.needs_confirmation() && carried.dot.is_some();
        let Some(call) = self.homed.calls.open.get_mut(&number) else { return };
        if needs_confirmation && !call.given_up {
            call.carried.retain(|(known, _)| known.dot != carried.dot);
            call.carried.push((carried, back));
            self.heed_words(number);
        } else {
            self.end_answered(number, carried, back);
        }
    }

    /// An operation was applied: it may answer a call, of this node or of one of which to take note.
    pub(crate) fn note_homed(&mut self, author: OriginIx, seq: u64, op: &Op<'_>) {
        let dot = Dot { origin: self.origins.get(author).origin, seq };
        let back = if let Action::Take { element, .. } = op.action {
            self.note_taken(element, dot, op.answers.as_deref().map(|answered| (answered.caller, answered.number)))
        } else {
            Back::Nowhere
        };
        if let Action::Settled { through } = op.action
            && author != self.me
        {
            self.note_settled(dot.origin, through);
        }
        let Some(Answered { caller, number, answer }) = op.answers.as_deref() else { return };
        if !self.is_own(*caller) {
            let taken = if let Action::Take { key, element, .. } = &op.action {
                Some(Taken { key: key.0.into(), element: *element })
            } else {
                None
            };
            self.keep_record(*caller, *number, Record { dot, answer: answer.clone(), taken });
            return;
        }
        self.unsettle();
        self.homed.calls.awaited.remove(&(*number, dot.origin));
        // A snapshot that is being loaded may have told of it.
        self.homed.answered.remove(*caller, *number, dot);
        self.homed.calls.answered_elsewhere = true;
        if self.homed.calls.open.contains_key(number) {
            self.carried(*number, Carried { answer: answer.clone(), dot: Some(dot) }, back);
        } else if let (Action::Take { key, .. }, Answer::Value(value)) = (&op.action, answer) {
            // Another home had answered it too: it was thought lost.
            self.put_back(*number, key.0.into(), value.clone(), back, Some(dot));
        }
    }

    /// A snapshot was loaded, and with it perhaps answers to calls of this node.
    pub(crate) fn note_answers_of_snapshot(&mut self) {
        let own = self.own_origins().into_iter();
        let records = own.flat_map(|caller| self.homed.answered.take(caller).into_iter().map(move |it| (caller, it)));
        for (caller, (number, Record { dot, answer, taken })) in records.collect::<Vec<_>>() {
            // What is beyond the snapshot's vector comes as an operation.
            if self.origins.applied(dot.origin) < dot.seq {
                continue;
            }
            self.homed.calls.answered_elsewhere = true;
            self.homed.calls.awaited.remove(&(number, dot.origin));
            let back = taken.as_ref().map(|taken| self.note_taken(taken.element, dot, Some((caller, number))));
            let back = back.unwrap_or(Back::Nowhere);
            if self.homed.calls.open.contains_key(&number) {
                self.carried(number, Carried { answer, dot: Some(dot) }, back);
            } else if let (Some(taken), Answer::Value(value)) = (taken, answer) {
                self.put_back(number, taken.key, value, back, Some(dot));
            }
        }
        self.unsettle();
    }

    /// Takes note of an answer that a snapshot tells of; of this node's own, only of news.
    pub(crate) fn note_record(&mut self, caller: Origin, number: u64, record: Record) {
        if self.is_own(caller) {
            if self.origins.applied(record.dot.origin) < record.dot.seq {
                self.homed.answered.note(caller, number, record);
            }
            return;
        }
        if let Some(taken) = &record.taken {
            self.note_taken(taken.element, record.dot, Some((caller, number)));
        }
        self.keep_record(caller, number, record);
    }

    /// Keeps an answer to another caller, which may ask for it again.
    fn keep_record(&mut self, caller: Origin, number: u64, record: Record) {
        if !self.origins.is_gone(caller) || self.is_held() && record.taken.is_some() {
            self.homed.answered.note(caller, number, record);
        }
    }

    /// A caller is Gone. What was taken for it is remembered as long as it may come back under another origin.
    pub(crate) fn drop_answers(&mut self, caller: Origin) {
        if self.is_held() {
            self.homed.answered.keep_taken(caller);
        } else {
            self.homed.answered.take(caller);
        }
    }

    /// Whether a caller is this node, under whatever origin.
    pub(super) fn is_own(&self, caller: Origin) -> bool {
        caller == self.origin() || self.homed.calls.former.contains(&caller)
    }

    /// The origins of this node, the former ones too.
    pub(super) fn own_origins(&self) -> Vec<Origin> {
        self.homed.calls.former.iter().copied().chain([self.origin()]).collect()
    }

    pub(crate) fn note_settled(&mut self, caller: Origin, through: u64) {
        if !self.is_own(caller) && !self.origins.is_gone(caller) {
            self.homed.answered.settle(caller, through);
            self.let_answers_go(caller);
        }
    }

    /// A caller may have applied more than it was known to have.
    pub(crate) fn let_answers_go(&mut self, caller: Origin) {
        let (origins, peer) = (&self.origins, self.peers.get(&caller));
        let has_applied = |dot: Dot| {
            // What is forgotten everybody has.
            dot.origin == caller || origins.find(dot.origin).is_none() || peer.is_some_and(|peer| peer.has(dot))
        };
        self.homed.answered.let_go(caller, has_applied);
    }

    /// Makes callers known that nobody has met yet, so that they are given up some day if they never come. Those that a
    /// snapshot said are dead do not come.
    pub(super) fn expect_callers(&mut self) {
        for caller in self.homed.answered.callers() {
            if self.is_own(caller) {
                // A snapshot tells of it that is being loaded.
            } else if self.origins.is_gone(caller) {
                self.drop_answers(caller);
            } else {
                self.origins.intern(caller, self.life.age());
            }
        }
    }

    fn end_call(&mut self, number: u64, outcome: Result<Carried>, back: Back) {
        self.homed.restless = true;
        let Some(call) = self.homed.calls.end(number) else { return };
        let dot = outcome.as_ref().ok().and_then(|carried| carried.dot);
        let in_doubt = dot.filter(|dot| !call.is_confirmed(*dot));
        if let (Err(error), false) = (&outcome, call.given_up) {
            self.count_failure(error);
        }
        let unheard = match call.hears {
            Hears::Caller(sender) => sender.send(outcome).err(),
            Hears::Wait(wait) => self.wait_claimed(wait, outcome),
            Hears::Nobody => Some(outcome),
        };
        if let (Some(Ok(Carried { answer: Answer::Value(value), .. })), HomedCommand::Pop { end, key, .. }) =
            (unheard, call.command)
        {
            match back {
                Back::End => self.give_back(end, key, value),
                Back::Nowhere | Back::Place(_) => self.put_back(number, key, value, back, in_doubt),
            }
        }
    }

    /// Without a majority calls that were carried out nowhere fail, as those that begin now do.
    pub(super) fn refuse_calls_without_majority(&mut self) {
        let Err(error) = self.check_majority() else { return };
        let me = self.origin();
        let open = self.homed.calls.open.iter();
        let undone = open.filter(|(_, call)| {
            matches!(call.hears, Hears::Caller(_)) && call.carried.is_empty() && !call.given_up && !call.may_be_done(me)
        });
        let undone: Vec<(u64, Option<Origin>)> = undone.map(|(number, call)| (*number, call.sent)).collect();
        for (number, sent) in undone {
            if let Some(home) = sent {
                self.send_homed(home, Frame::Withdraw { number });
            }
            self.end_call(number, Err(error.clone()), Back::Nowhere);
        }
    }

    /// The caller does not wait any longer. Says what is known of its command, once: who was told so and then lets go of the call gives it up again.
    pub(crate) fn give_up_call(&mut self, number: u64) -> Error {
        let me = self.origin();
        let open = self.homed.calls.open.get_mut(&number);
        let Some(call) = open.filter(|call| !call.given_up) else { return Error::OutcomeUnknown };
        call.given_up = true;
        let (may_be_done, takes) = (call.may_be_done(me), call.takes());
        let (sent, dot) = (call.sent, call.carried.last().and_then(|(carried, _)| carried.dot));
        match sent {
            _ if dot.is_some() => self.end_lapsed(number),
            None if !may_be_done => self.end_lapsed(number),
            Some(home) => drop(self.send_homed(home, Frame::Withdraw { number })),
            None => {}
        }
        self.unsettle();
        let error = match dot {
            // What is popped after all is put back.
            _ if takes => Error::TryAgain(TryAgain::NoAnswer),
            Some(dot) => Error::NotConfirmed { confirmed: self.peers_that_have(dot), wanted: self.known_nodes() / 2 },
            None if may_be_done => Error::OutcomeUnknown,
            None => Error::TryAgain(TryAgain::NoAnswer),
        };
        self.count_failure(&error);
        error
    }

    /// This node leaves: whoever waits for a call is told what is known of it, and the calls are taken back.
    pub(super) fn close_calls(&mut self) {
        let numbers: Vec<u64> = self.homed.calls.open.keys().copied().collect();
        for number in numbers {
            let Some(call) = self.homed.calls.open.get_mut(&number) else { continue };
            let hears = std::mem::replace(&mut call.hears, Hears::Nobody);
            let error = match self.give_up_call(number) {
                Error::TryAgain(_) => Error::Closed, // nothing was done, or it is put back
                error => error,
            };
            if let Hears::Caller(sender) = hears {
                // Who has gone does not want to know.
                let _ = sender.send(Err(error));
            }
        }
        self.ask_awaited();
    }

    fn count_failure(&mut self, error: &Error) {
        match error {
            Error::TryAgain(_) => self.stats.calls_to_try_again += 1,
            Error::OutcomeUnknown | Error::NotConfirmed { .. } => self.stats.calls_of_unknown_outcome += 1,
            _ => {}
        }
    }

    /// Tells peers, by an operation, which answers nobody needs any more: when all is quiet, or often enough.
    pub(super) fn tell_settled_calls(&mut self, now: WallMs) {
        let calls = &mut self.homed.calls;
        if calls.answered_elsewhere && calls.settled > calls.told {
            calls.told = calls.settled;
            calls.answered_elsewhere = !calls.open.is_empty();
            let through = calls.settled;
            self.commit(now, Action::Settled { through });
        }
    }

    /// This node goes on under a new origin: what was asked under the old one is not answered any more, and what is taken for it goes back.
    pub(crate) fn forsake_calls(&mut self, old: Origin, now: WallMs) {
        let sent = self.homed.calls.open.iter().filter(|(_, call)| !call.asked.is_empty());
        let numbers: Vec<u64> = sent.map(|(number, _)| *number).collect();
        for number in numbers {
            self.end_lapsed(number);
        }
        self.homed.calls.former.insert(old);
        self.homed.calls.told = self.homed.calls.settled;
        self.homed.parked.drop_caller(old);
        self.remove_waiters_of(old, now);
        self.forget_wait_home(old);
        self.register_waits();
        self.unsettle();
    }

    fn check_homed(&self, command: &HomedCommand, now: WallMs) -> Result<()> {
        self.check_key(command.key())?;
        check_life(command, now)?;
        match command {
            HomedCommand::Pop { .. } => Ok(()),
            HomedCommand::SetNx { value, .. } | HomedCommand::Getset { value, .. } => self.limits.check_value(value),
            HomedCommand::CompareAndSet { new, .. } => {
                new.as_deref().map_or(Ok(()), |new| self.limits.check_value(new))
            }
            HomedCommand::Count { field, .. } => {
                field.as_deref().map_or(Ok(()), |field| self.limits.check_counted_field(field))
            }
        }
    }
}
