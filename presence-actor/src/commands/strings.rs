//! `SET`, `SETEX`, `GET`.

use bytes::Bytes;
use headcount_cluster::WallMs;

use crate::api::Result;
use crate::checks::life;
use crate::dot::Owner;
use crate::homed::Answered;
use crate::op::{Action, Raw};
use crate::reply::Type;
use crate::shared::register::View;
use crate::state::State;

impl State {
    /// `SET key value [EX seconds]`.
    pub fn set(&mut self, owner: Owner, key: &[u8], value: &[u8], seconds: Option<i64>, now: WallMs) -> Result<()> {
        let deadline = self.check_set("setex", key, value, seconds, now)?;
        if deadline.is_some() || !self.set_again(owner, key, value, now) {
            self.write_value(owner, key, value, deadline, None, now);
        }
        Ok(())
    }

    /// Checks what would be set, and makes a deadline of a life in seconds.
    pub(super) fn check_set(
        &self,
        command: &'static str,
        key: &[u8],
        value: &[u8],
        seconds: Option<i64>,
        now: WallMs,
    ) -> Result<Option<WallMs>> {
        self.check_room(key)?;
        self.limits.check_value(value)?;
        seconds.map(|seconds| life(command, seconds, now)).transpose()
    }

    pub(crate) fn write_value(
        &mut self,
        owner: Owner,
        key: &[u8],
        value: &[u8],
        deadline: Option<WallMs>,
        answers: Option<Box<Answered>>,
        now: WallMs,
    ) {
        let observed = self.observe_key(key, now);
        let seen = observed.seen(&self.origins);
        self.commit_answering(now, Action::Set { key: Raw(key), value: Raw(value), deadline, owner, seen }, answers);
    }

    /// `GET key`.
    pub fn get(&self, key: &[u8], now: WallMs) -> Result<Option<Bytes>> {
        self.check_open()?;
        let entry = self.typed(key, Type::String, now)?;
        Ok(entry.and_then(|entry| entry.string().view(&self.origins)).map(View::to_bytes))
    }
}
