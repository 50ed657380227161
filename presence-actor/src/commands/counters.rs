//! `INCRBY`, `HINCRBY`, and Colyseus' `hincrbyex`.

use headcount_cluster::WallMs;

use crate::api::Result;
use crate::checks::expiry;
use crate::dot::Owner;
use crate::error::Error;
use crate::homed::Answered;
use crate::op::{Action, Raw, Step};
use crate::reply::Type;
use crate::shared::entry::Entry;
use crate::shared::register::{Register, View};
use crate::state::State;

impl State {
    /// `INCRBY key by`.
    pub fn incrby(&mut self, owner: Owner, key: &[u8], by: i64, now: WallMs) -> Result<i64> {
        self.count(owner, key, None, by, now, |_| None)
    }

    /// `HINCRBY key field by`.
    pub fn hincrby(&mut self, owner: Owner, key: &[u8], field: &[u8], by: i64, now: WallMs) -> Result<i64> {
        self.count(owner, key, Some(field), by, now, |_| None)
    }

    /// Counts in a string, or in a field of a hash.
    pub(super) fn count(
        &mut self,
        owner: Owner,
        key: &[u8],
        field: Option<&[u8]>,
        by: i64,
        now: WallMs,
        answers: impl FnOnce(i64) -> Option<Box<Answered>>,
    ) -> Result<i64> {
        self.check_room(key)?;
        field.map_or(Ok(()), |field| self.limits.check_counted_field(field))?;
        self.bury(key, now);
        let (register, not_a_number) = match field {
            None => (self.aimed(key, Type::String, now)?.map(Entry::string), Error::NotAnInteger),
            Some(field) => {
                let hash = self.aimed(key, Type::Hash, now)?.and_then(|entry| entry.hash());
                (hash.and_then(|hash| hash.rows.get(field)), Error::HashValueNotAnInteger)
            }
        };
        let (sum, step) = self.step(register, owner, by, not_a_number)?;
        let action = Action::Incr { key: Raw(key), field: field.map(Raw), owner, step };
        self.commit_answering(now, action, answers(sum));
        Ok(sum)
    }

    /// `HINCRBY` and `EXPIRE` of the whole hash.
    pub fn hincrbyex(
        &mut self,
        owner: Owner,
        key: &[u8],
        field: &[u8],
        by: i64,
        seconds: i64,
        now: WallMs,
    ) -> Result<i64> {
        // The deadline is checked before anything is written: both happen or neither.
        expiry("hincrbyex", seconds, now)?;
        let sum = self.hincrby(owner, key, field, by, now)?;
        self.expire(key, seconds, now)?;
        Ok(sum)
    }

    /// The sum that readers will see, and the step that this node's contribution makes.
    fn step(&self, register: Option<&Register>, owner: Owner, by: i64, not_a_number: Error) -> Result<(i64, Step)> {
        let seen = register.and_then(|register| register.view(&self.origins)).map(View::integer);
        let current = match seen {
            None => 0,
            Some(Some(number)) => number,
            Some(None) => return Err(not_a_number),
        };
        let sum = current.checked_add(by).ok_or(Error::Overflow)?;
        let next = self.origins.get(self.me).applied + 1;
        let mine = register.and_then(|register| register.contribution(self.me, owner));
        let (epoch, before) = mine.map_or((next, 0), |mine| (mine.epoch, mine.total));
        let total = before.checked_add(by).ok_or(Error::Overflow)?;
        Ok((sum, Step { delta: by, total, epoch }))
    }
}
