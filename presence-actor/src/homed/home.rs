//! The home's side: commands are carried out one after the other, as soon as this node may serve.

use headcount_cluster::{Origin, WallMs};

use super::answered::Dot;
use super::parking::Parked;
use super::{Answer, Answered, Carried, HomedCommand, Refusal};
use crate::api::Result;
use crate::error::TryAgain;
use crate::limits::MAX_PARKED_COMMANDS;
use crate::state::State;
use crate::wire::Frame;

/// What a home is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) command: HomedCommand,
    /// Whether the caller wants to know that more than half of the nodes have what was written.
    pub(super) confirm: bool,
}

/// A call whose operation more than half of the nodes must have before it counts.
#[derive(Debug)]
pub(super) struct Confirming {
    caller: Origin,
    number: u64,
    pub(super) dot: Dot,
}

impl State {
    /// Somebody asks this node, as a key's home.
    pub(super) fn handle_ask(&mut self, caller: Origin, asked: Asked, now: WallMs) {
        let number = asked.number;
        if !self.is_open(caller, &asked) {
            // It was answered, or is not asked any more.
        } else if !self.is_home(asked.command.key()) {
            self.answer(caller, number, Err(Refusal::NotHome));
        } else if self.homed.parked.contains(caller, number) {
            // Asked again after a link broke.
        } else if self.homed.parked.len() >= MAX_PARKED_COMMANDS {
            self.answer(caller, number, Err(Refusal::TryAgain(TryAgain::Overloaded)));
        } else {
            self.homed.parked.add(caller, asked);
            self.seek_agreement(now);
        }
    }

    /// Whether a call is still to be carried out: it may have been, by the home before this one, and its answer have come since.
    fn is_open(&mut self, caller: Origin, asked: &Asked) -> bool {
        if caller == self.origin() {
            return self.is_call_open(asked.number);
        }
        let answered = self.homed.answered.get(caller, asked.number).map(|record| record.dot);
        if let (Some(dot), true) = (answered, asked.confirm) {
            // The answer came with the operation; what may be missing is the word that enough have it.
            self.homed.confirming.push(Confirming { caller, number: asked.number, dot });
        }
        answered.is_none() && !self.homed.answered.is_settled(caller, asked.number)
    }

    /// A caller takes back what it asked for. What was written stays, and its answer comes with it.
    pub(super) fn handle_withdraw(&mut self, caller: Origin, number: u64) {
        self.homed.parked.take(caller, number);
        if self.homed.answered.get(caller, number).is_none() {
            self.answer(caller, number, Err(Refusal::Withdrawn));
        }
    }

    fn answer(&mut self, caller: Origin, number: u64, outcome: Result<Answer, Refusal>) {
        self.send_homed(caller, Frame::Answer { number, outcome });
    }

    /// Carries out what waits, when this node may serve.
    pub(super) fn carry_out_parked(&mut self, now: WallMs) {
        while let Some((caller, number)) = self.next_parked()
            && self.may_serve(now)
        {
            let Some(Parked { asked, .. }) = self.homed.parked.take(caller, number) else { return };
            if !self.is_open(caller, &asked) {
                continue;
            }
            if self.is_home(asked.command.key()) {
                self.carry_out_for(caller, &asked, now);
            } else {
                self.answer(caller, asked.number, Err(Refusal::NotHome));
            }
        }
    }

    /// The command that comes next: the oldest whose caller is there to hear of it.
    pub(super) fn next_parked(&self) -> Option<(Origin, u64)> {
        self.homed.parked.first(|caller| self.is_there(caller))
    }

    /// Whether a caller is this node, or Up.
    pub(super) fn is_there(&self, caller: Origin) -> bool {
        caller == self.origin() || self.peers.get(&caller).is_some_and(|peer| peer.up)
    }

    fn carry_out_for(&mut self, caller: Origin, asked: &Asked, now: WallMs) {
        let number = asked.number;
        let is_mine = caller == self.origin();
        let carried = self.carry_out(&asked.command, (!is_mine).then_some((caller, number)), now);
        if let HomedCommand::Pop { wait: Some(wait), .. } = asked.command {
            let taken = matches!(carried, Ok(Carried { dot: Some(_), .. }));
            self.waiter_came(caller, wait, taken, now);
        }
        match carried {
            Err(error) => self.answer(caller, number, Err(error.into())),
            Ok(Carried { answer, dot: None }) => self.answer(caller, number, Ok(answer)),
            Ok(Carried { answer, dot: Some(dot) }) => {
                if is_mine {
                    self.carried(number, Carried { answer, dot: Some(dot) }, None);
                }
                if asked.confirm {
                    self.homed.confirming.push(Confirming { caller, number, dot });
                }
            }
        }
    }

    /// Tells callers whose operation enough nodes have.
    pub(super) fn confirm_carried_out(&mut self) {
        for confirming in std::mem::take(&mut self.homed.confirming) {
            if self.is_confirmed(confirming.dot) {
                self.send_homed(confirming.caller, Frame::Confirmed { number: confirming.number });
            } else if confirming.caller == self.origin() || self.peers.contains_key(&confirming.caller) {
                self.homed.confirming.push(confirming);
            }
        }
    }

    /// Whether more than half of the nodes have an operation, this one included.
    pub(super) fn is_confirmed(&self, dot: Dot) -> bool {
        2 * (1 + self.peers_that_have(dot)) > self.peers.len() + 1
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
            HomedCommand::CompareAndSet { key, expected, new } => {
                self.compare_and_set(key, expected.as_deref(), new.as_deref(), answers, now)?
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
