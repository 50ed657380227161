//! `EXISTS`, `DEL`, `EXPIRE`, `PERSIST`, `TTL`: what does not depend on a type.

use std::time::Duration;

use headcount_cluster::WallMs;

use super::observe::Observed;
use crate::api::Result;
use crate::checks::expiry;
use crate::op::{Action, Raw};
use crate::reply::Ttl;
use crate::state::State;

impl State {
    /// `EXISTS key..`
    pub fn exists(&self, keys: &[&[u8]], now: WallMs) -> Result<usize> {
        self.check_open()?;
        self.limits.check_values("exists", keys)?;
        Ok(keys.iter().filter(|key| self.live(key, now).is_some()).count())
    }

    /// `DEL key..`
    pub fn del(&mut self, keys: &[&[u8]], now: WallMs) -> Result<usize> {
        self.check_open()?;
        self.limits.check_values("del", keys)?;
        let mut deleted = 0;
        for key in keys {
            if self.live(key, now).is_some() {
                self.remove_observed(key, now);
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// `EXPIRE key seconds`.
    pub fn expire(&mut self, key: &[u8], seconds: i64, now: WallMs) -> Result<bool> {
        self.check_open()?;
        let Some(at) = expiry("expire", seconds, now)? else { return Ok(self.del(&[key], now)? > 0) };
        let is_there = self.live(key, now).is_some();
        if is_there {
            self.write_expiry(key, Some(at), now);
        }
        Ok(is_there)
    }

    /// `PERSIST key`.
    pub fn persist(&mut self, key: &[u8], now: WallMs) -> Result<bool> {
        self.check_open()?;
        let expires = self.live(key, now).is_some_and(|(entry, _)| entry.deadline(&self.origins).is_some());
        if expires {
            self.write_expiry(key, None, now);
        }
        Ok(expires)
    }

    /// `TTL key`.
    pub fn ttl(&self, key: &[u8], now: WallMs) -> Result<Ttl> {
        self.check_open()?;
        let Some((entry, _)) = self.live(key, now) else { return Ok(Ttl::Missing) };
        Ok(entry
            .deadline(&self.origins)
            .map_or(Ttl::Never, |deadline| Ttl::Remaining(Duration::from_millis(deadline.at.since_ms(now)))))
    }

    pub(super) fn write_expiry(&mut self, key: &[u8], deadline: Option<WallMs>, now: WallMs) {
        let mut observed = Observed::nothing(self.me);
        if let Some(entry) = self.keyspace.keys.get(key) {
            let values = entry.string().rows.iter().map(|row| &row.tag);
            // One row of the data too, so that nowhere the deadline comes before that for which it is meant.
            let member = entry.set().and_then(|set| set.rows.values().next()?.first());
            let field = entry.hash().and_then(|hash| hash.rows.values().next()?.rows.first());
            let element = entry.list().and_then(|list| list.elements.last_key_value());
            element.map(|(key, element)| element.tag(key)).iter().for_each(|tag| observed.note(tag));
            let data = member.into_iter().chain(field.map(|row| &row.tag));
            for tag in values.chain(data).chain(entry.expiry().iter().map(|row| &row.tag)) {
                observed.note(tag);
            }
        }
        let seen = observed.seen(&self.origins);
        self.commit(now, Action::Expire { key: Raw(key), deadline, seen });
    }
}
