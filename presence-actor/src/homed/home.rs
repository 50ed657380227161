//! The home's side: commands are carried out one after the other, as soon as this node may serve.

use headcount_cluster::{Origin, WallMs};

use super::answered::Dot;
use super::parking::Parked;
use super::returning::Back;
use super::{Answer, Answered, Carried, HomedCommand, Refusal};
use crate::api::Result;
use crate::error::TryAgain;
use crate::state::State;
use crate::wire::Frame;

/// What a home is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) command: HomedCommand,
    /// The last operation of the caller before it asked: it expects the home to have applied that.
    pub(super) after: u64,
    /// Whether the caller wants to know that more than half of the nodes have what was written.
    pub(super) confirm: bool,
}

/// A call that was carried out here, and that more than half of the nodes are to have before its caller hears of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Confirming {
    dot: Dot,
    /// How often serving had ended when it was carried out.
    lapses: u64,
    /// Whether they have it, and had it before serving ended.
    pub(super) done: bool,
}

impl State {
    /// Somebody asks this node, as a key's home.
    pub(super) fn handle_ask(&mut self, caller: Origin, asked: Asked, now: WallMs) {
        let number = asked.number;
        if !self.is_open(caller, &asked) {
            // It was answered, or is not asked any more.
        } else if self.closed || !self.is_home(asked.command.key()) {
            self.answer(caller, number, Err(Refusal::NotHome));
        } else if self.homed.parked.contains(caller, number) {
            // Asked again after a link broke.
        } else if !self.homed.parked.has_room(&asked) {
            self.answer(caller, number, Err(Refusal::TryAgain(TryAgain::Overloaded)));
        } else {
            self.seek_agreement(now);
            self.homed.parked.add(caller, asked);
        }
    }

    #[cfg(test)]
    pub(crate) fn park_for_test(&mut self, caller: Origin, number: u64, command: HomedCommand) {
        self.homed.parked.add(caller, Asked { number, command, after: 0, confirm: false });
    }

    /// Whether a call is still to be carried out: it may have been, by the home before this one, and its answer have come since.
    fn is_open(&mut self, caller: Origin, asked: &Asked) -> bool {
        if caller == self.origin() {
            let is_open = self.is_call_open(asked.number);
            if !is_open && asked.confirm {
                self.tell_word_again(caller, asked.number);
            }
            return is_open;
        }
        let is_answered = self.homed.answered.has(caller, asked.number);
        if is_answered && asked.confirm {
            self.tell_word_again(caller, asked.number);
        }
        !is_answered && !self.homed.answered.is_settled(caller, asked.number)
    }

    /// The answer came with the operation; what may be missing is the word that enough have it. Of what another home wrote, or this one
    /// before its agreement lapsed, nobody can say that.
    fn tell_word_again(&mut self, caller: Origin, number: u64) {
        let frame = match self.homed.confirming.get(&(caller, number)) {
            Some(Confirming { done: false, .. }) => return,
            Some(Confirming { done: true, .. }) => Frame::Confirmed { number },
            None => Frame::Lapsed { number },
        };
        self.send_homed(caller, frame);
    }

    /// A caller takes back what it asked for. What was written stays, and its answer comes with it.
    pub(super) fn handle_withdraw(&mut self, caller: Origin, number: u64) {
        self.homed.parked.take(caller, number);
        let me = self.origin();
        let is_mine_and_carried = caller == me && !self.is_call_open(number);
        if !self.homed.answered.has_of(caller, number, me) && !is_mine_and_carried {
            self.answer(caller, number, Err(Refusal::Withdrawn));
        }
    }

    fn answer(&mut self, caller: Origin, number: u64, outcome: Result<Answer, Refusal>) {
        self.send_homed(caller, Frame::Answer { number, outcome });
    }

    /// Carries out what waits, when this node may serve, at most `budget` commands; returns what is left of it.
    pub(super) fn carry_out_parked(&mut self, mut budget: usize, now: WallMs) -> usize {
        while budget > 0
            && let Some((caller, number)) = self.next_parked()
            && self.may_serve(now)
        {
            budget -= 1;
            let Some(Parked { asked, .. }) = self.homed.parked.take(caller, number) else { break };
            if !self.is_open(caller, &asked) {
                continue;
            }
            if self.is_home(asked.command.key()) {
                self.carry_out_for(caller, &asked, now);
            } else {
                self.answer(caller, asked.number, Err(Refusal::NotHome));
            }
        }
        budget
    }

    /// The command that comes next: the oldest whose caller is there to hear of it, and whose earlier writes are here.
    pub(super) fn next_parked(&self) -> Option<(Origin, u64)> {
        self.homed
            .parked
            .first(|parked| self.is_there(parked.caller) && self.origins.applied(parked.caller) >= parked.asked.after)
    }

    /// Whether a caller is this node, or Up.
    pub(super) fn is_there(&self, caller: Origin) -> bool {
        caller == self.origin() || self.peers.get(&caller).is_some_and(|peer| peer.up)
    }

    fn carry_out_for(&mut self, caller: Origin, asked: &Asked, now: WallMs) {
        let number = asked.number;
        let is_mine = caller == self.origin();
        let carried = self.carry_out(&asked.command, (!is_mine || asked.confirm).then_some((caller, number)), now);
        if let HomedCommand::Pop { wait: Some(wait), .. } = asked.command {
            let taken = matches!(carried, Ok(Carried { dot: Some(_), .. }));
            self.waiter_came(caller, wait, taken, now);
        }
        match carried {
            Err(error) => self.answer(caller, number, Err(error.into())),
            Ok(Carried { answer, dot: None }) => self.answer(caller, number, Ok(answer)),
            Ok(Carried { answer, dot: Some(dot) }) => {
                if asked.confirm {
                    self.confirm_later(caller, number, dot);
                } else if is_mine {
                    self.carried(number, Carried { answer, dot: Some(dot) }, Back::End);
                }
            }
        }
    }

    fn confirm_later(&mut self, caller: Origin, number: u64, dot: Dot) {
        let lapses = self.homed.agreement.lapses();
        self.homed.confirming.insert((caller, number), Confirming { dot, lapses, done: false });
        self.homed.heard_of_progress = true;
    }

    /// Tells callers whose operation enough nodes have while this node serves, and those for whom it is too late. That they have it is
    /// remembered until the caller has heard.
    pub(super) fn confirm_carried_out(&mut self, now: WallMs) {
        self.may_serve(now); // notices a lapse
        let lapses = self.homed.agreement.lapses();
        for ((caller, number), confirming) in std::mem::take(&mut self.homed.confirming) {
            if !self.waits_for_word(caller, number) {
                continue;
            }
            let is_serving = confirming.lapses == lapses;
            let done = confirming.done || is_serving && self.is_confirmed(confirming.dot);
            if done || is_serving {
                self.homed.confirming.insert((caller, number), Confirming { done, ..confirming });
            }
            if !is_serving && !done {
                self.send_homed(caller, Frame::Lapsed { number });
            } else if done && !confirming.done {
                self.send_homed(caller, Frame::Confirmed { number });
            }
        }
    }

    /// Whether a caller may not have heard yet what came of a call.
    fn waits_for_word(&self, caller: Origin, number: u64) -> bool {
        if caller == self.origin() {
            return self.is_waiting(number);
        }
        self.peers.contains_key(&caller) && !self.homed.answered.is_settled(caller, number)
    }

    /// Whether more than half of the nodes have an operation, this one included.
    fn is_confirmed(&self, dot: Dot) -> bool {
        2 * (1 + self.peers_that_have(dot)) > self.known_nodes()
    }

    /// Carries a command out, for `caller` when that is another node.
    pub(super) fn carry_out(
        &mut self,
        command: &HomedCommand,
        caller: Option<(Origin, u64)>,
        now: WallMs,
    ) -> Result<Carried> {
        let before = self.written();
        let answers = |answer: &Answer| {
            let answer = answer.clone();
            caller.map(|(caller, number)| Box::new(Answered { caller, number, answer }))
        };
        let answer = match command {
            HomedCommand::Pop { end, key, .. } => self.pop(*end, key, answers, now)?,
            HomedCommand::SetNx { key, value, seconds } => self.set_nx(key, value, *seconds, answers, now)?,
            HomedCommand::Getset { key, value } => self.getset(key, value, answers, now)?,
            HomedCommand::CompareAndSet { key, expected, new, seconds } => {
                self.compare_and_set(key, expected.as_deref(), new.as_deref(), *seconds, answers, now)?
            }
            HomedCommand::Count { key, field, by, seconds } => {
                self.count_answering(key, field.as_deref(), *by, *seconds, answers, now)?
            }
        };
        let seq = self.written();
        let dot = (seq > before).then(|| Dot { origin: self.origin(), seq });
        Ok(Carried { answer, dot })
    }
}
