//! The commands: what they check, what they answer, and which operation they write.
//!
//! A command decides everything here, once, on what this node sees; the operation carries the decision. Common
//! shape: check sizes, let an expired key go, check the type, note what is observed, commit. On an error nothing is written.

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
        let entry = self.keyspace.keys.get(key)?;
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
        match self.live(key, now) {
            None => Ok(None),
            Some((entry, found)) if found == needed => Ok(Some(entry)),
            Some((_, found)) => Err(Error::WrongType { key: bytes::Bytes::copy_from_slice(key), found, needed }),
        }
    }

    pub(crate) fn is_expired(&self, entry: &Entry, now: WallMs) -> bool {
        self.needs_time() && entry.deadline(&self.origins).is_some_and(|deadline| deadline.at <= now)
    }

    /// Lets an expired key go, or a deadline that concurrent removals left without a key, before something new is
    /// written under its name, so that the new does not die with the old.
    fn bury(&mut self, key: &[u8], now: WallMs) {
        if !self.needs_time() && self.keyspace.orphans.is_empty() {
            return;
        }
        let is_past = |entry: &Entry| self.is_expired(entry, now) || entry.is_orphan();
        if self.keyspace.keys.get(key).is_some_and(is_past) {
            self.remove_observed(key, now);
        }
    }
}
