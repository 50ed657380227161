//! `SET`, `SETEX`, `GET`.

use bytes::Bytes;
use headcount_cluster::WallMs;

use super::deadline;
use crate::api::Result;
use crate::dot::Owner;
use crate::error::Error;
use crate::op::{Action, Raw};
use crate::reply::Type;
use crate::shared::register::View;
use crate::state::State;

impl State {
    /// `SET key value [EX seconds]`.
    pub fn set(&mut self, owner: Owner, key: &[u8], value: &[u8], seconds: Option<i64>, now: WallMs) -> Result<()> {
        self.check_key(key)?;
        self.check_value(value)?;
        let deadline = match seconds {
            Some(..=0) => return Err(Error::InvalidExpiry { command: "setex" }),
            Some(seconds) => Some(deadline("setex", seconds, now)?),
            None => None,
        };
        let observed = self.observe_key(key, now);
        let seen = observed.seen(&self.origins);
        self.commit(now, Action::Set { key: Raw(key), value: Raw(value), deadline, owner, seen });
        Ok(())
    }

    /// `GET key`.
    pub fn get(&self, key: &[u8], now: WallMs) -> Result<Option<Bytes>> {
        self.check_open()?;
        let entry = self.typed(key, Type::String, now)?;
        Ok(entry.and_then(|entry| entry.string.view(&self.origins)).map(View::to_bytes))
    }
}
