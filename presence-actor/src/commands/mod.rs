//! The commands: what they check, what they answer, and which operation they write.
//!
//! A command decides everything here, once, on what this node sees; the operation carries the decision. Common
//! shape: check sizes, let an expired key go, check the type, note what is observed, commit. On an error nothing is written.

mod again;
mod counters;
mod exchange;
mod hashes;
mod keys;
mod lists;
mod observe;
mod reassert;
mod sets;
mod strings;
mod topics;
mod watches;

use headcount_cluster::WallMs;

pub(crate) use self::exchange::check_life;
use crate::api::Result;
use crate::error::Error;
use crate::reply::Type;
use crate::shared::entry::Entry;
use crate::state::State;

impl State {
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed { Err(Error::Closed) } else { Ok(()) }
    }

    pub(crate) fn check_key(&self, key: &[u8]) -> Result<()> {
        self.check_open()?;
        self.limits.check_key(key)
    }

    /// Checks the key of a command that may add data.
    fn check_room(&self, key: &[u8]) -> Result<()> {
        self.check_key(key)?;
        let (used, limit) = (self.keyspace.ledger.bytes(), self.limits.max_memory_bytes);
        if used > limit { Err(Error::OutOfMemory { used, limit }) } else { Ok(()) }
    }

    /// The key's rows, when readers see the key.
    pub(crate) fn live(&self, key: &[u8], now: WallMs) -> Option<(&Entry, Type)> {
        self.if_live(self.keyspace.keys.get(key)?, now)
    }

    fn if_live<'a>(&self, entry: &'a Entry, now: WallMs) -> Option<(&'a Entry, Type)> {
        if self.is_expired(entry, now) {
            return None;
        }
        Some((entry, entry.shape(&self.origins)?))
    }

    /// The key's rows when they are of this type; `None` when there is no such key.
    ///
    /// # Errors
    /// [`Error::WrongType`].
    pub(crate) fn typed(&self, key: &[u8], needed: Type, now: WallMs) -> Result<Option<&Entry>> {
        Self::if_typed(self.live(key, now), key, needed)
    }

    /// As [`typed`](Self::typed), of a key that was [buried](Self::bury) if need be and will be changed.
    fn aimed(&self, key: &[u8], needed: Type, now: WallMs) -> Result<Option<&Entry>> {
        let live = self.keyspace.keys.aimed(key).and_then(|entry| self.if_live(entry, now));
        Self::if_typed(live, key, needed)
    }

    fn if_typed<'a>(live: Option<(&'a Entry, Type)>, key: &[u8], needed: Type) -> Result<Option<&'a Entry>> {
        match live {
            None => Ok(None),
            Some((entry, found)) if found == needed => Ok(Some(entry)),
            Some((_, found)) => Err(Error::WrongType { key: bytes::Bytes::copy_from_slice(key), found, needed }),
        }
    }

    pub(crate) fn is_expired(&self, entry: &Entry, now: WallMs) -> bool {
        self.needs_time() && entry.deadline(&self.origins).is_some_and(|deadline| deadline.at <= now)
    }

    /// Lets an expired key go, or a deadline that concurrent removals left without a key, before something new is
    /// written under its name, so that the new does not die with the old. Aims at the key, as it will be changed.
    fn bury(&mut self, key: &[u8], now: WallMs) {
        if self.needs_time() || !self.keyspace.orphans.is_empty() {
            let is_past = |entry: &Entry| self.is_expired(entry, now) || entry.is_orphan();
            if self.keyspace.keys.get(key).is_some_and(is_past) {
                self.remove_observed(key, now);
            }
        }
        self.keyspace.keys.aim(key);
    }
}
