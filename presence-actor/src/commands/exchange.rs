//! `SET NX`, `GETSET`, compare-and-set, and counting, as a key's home carries them out.
//!
//! Each answers by the operation that it writes: `answers` makes of the answer what the operation carries of it.

use headcount_cluster::WallMs;

use crate::api::Result;
use crate::blob::Blob;
use crate::checks::{expiry, life};
use crate::dot::Owner;
use crate::homed::{Answer, Answered, HomedCommand};
use crate::op::{Action, Raw};
use crate::state::State;

/// Checks the life that a command would give, so that a mistake is told by who makes it and not by the home.
pub(crate) fn check_life(command: &HomedCommand, now: WallMs) -> Result<()> {
    match command {
        HomedCommand::SetNx { seconds, .. } | HomedCommand::CompareAndSet { seconds, .. } => {
            seconds.map_or(Ok(()), |seconds| life("set", seconds, now).map(drop))
        }
        HomedCommand::Count { seconds, .. } => {
            seconds.map_or(Ok(()), |seconds| expiry("hincrbyex", seconds, now).map(drop))
        }
        HomedCommand::Pop { .. } | HomedCommand::Getset { .. } => Ok(()),
    }
}

impl State {
    /// `SET key value NX [EX seconds]`.
    pub(crate) fn set_nx(
        &mut self,
        key: &[u8],
        value: &[u8],
        seconds: Option<i64>,
        answers: impl FnOnce(&Answer) -> Option<Box<Answered>>,
        now: WallMs,
    ) -> Result<Answer> {
        let deadline = self.check_set("set", key, value, seconds, now)?;
        if self.live(key, now).is_some() {
            return Ok(Answer::Flag(false));
        }
        let answer = Answer::Flag(true);
        self.write_value(Owner::SHARED, key, value, deadline, answers(&answer), now);
        Ok(answer)
    }

    /// `GETSET key value`.
    pub(crate) fn getset(
        &mut self,
        key: &[u8],
        value: &[u8],
        answers: impl FnOnce(&Answer) -> Option<Box<Answered>>,
        now: WallMs,
    ) -> Result<Answer> {
        self.check_set("getset", key, value, None, now)?;
        let answer = self.get(key, now)?.map_or(Answer::Nil, |old| Answer::Value(Blob::from(&old[..])));
        self.write_value(Owner::SHARED, key, value, None, answers(&answer), now);
        Ok(answer)
    }

    /// Sets a key that holds what is expected, or removes it; `None` stands for a key that is missing.
    pub(crate) fn compare_and_set(
        &mut self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
        seconds: Option<i64>,
        answers: impl FnOnce(&Answer) -> Option<Box<Answered>>,
        now: WallMs,
    ) -> Result<Answer> {
        let deadline = match new {
            Some(new) => self.check_set("set", key, new, seconds, now)?,
            None => self.check_key(key).map(|()| None)?,
        };
        if self.get(key, now)?.as_deref() != expected {
            return Ok(Answer::Flag(false));
        }
        let answer = Answer::Flag(true);
        match new {
            Some(new) => self.write_value(Owner::SHARED, key, new, deadline, answers(&answer), now),
            None if expected.is_some() => {
                let observed = self.observe_key(key, now);
                let seen = observed.seen(&self.origins);
                self.commit_answering(now, Action::Del { key: Raw(key), seen }, answers(&answer));
            }
            None => {}
        }
        Ok(answer)
    }

    /// `INCRBY`, `HINCRBY`, `hincrbyex`.
    pub(crate) fn count_answering(
        &mut self,
        key: &[u8],
        field: Option<&[u8]>,
        by: i64,
        seconds: Option<i64>,
        answers: impl FnOnce(&Answer) -> Option<Box<Answered>>,
        now: WallMs,
    ) -> Result<Answer> {
        // The deadline is checked before anything is written: both happen or neither.
        seconds.map_or(Ok(None), |seconds| expiry("hincrbyex", seconds, now))?;
        let mut answer = Answer::Nil;
        self.count(Owner::SHARED, key, field, by, now, |sum| {
            answer = Answer::Number(sum);
            answers(&answer)
        })?;
        if let Some(seconds) = seconds {
            self.expire(key, seconds, now)?;
        }
        Ok(answer)
    }
}
