//! Watching a key or a prefix, and telling what has changed.

use std::sync::Arc;

use headcount_cluster::{Origin, WallMs};

use crate::api::Result;
use crate::blob::Blob;
use crate::dot::OriginIx;
use crate::error::Error;
use crate::origin::Standing;
use crate::pubsub::Mailbox;
use crate::state::State;
use crate::watch::before::Before;
use crate::watch::watches::{Selector, WatchId};
use crate::watch::{Author, Change, WatchEvent};

impl State {
    /// Adds a watcher. Returns its number and its queue.
    pub(crate) fn watch(&mut self, selector: &Selector, now: WallMs) -> Result<(WatchId, Arc<Mailbox<WatchEvent>>)> {
        self.check_open()?;
        self.limits.check_key(selector.bytes())?;
        let (count, limit) = (self.keyspace.watches.count() + 1, self.limits.max_watches);
        if count > limit {
            return Err(Error::TooMany { what: "watches", count, limit, name: "max_watches" });
        }
        self.tell_expired(now);
        let mailbox = Arc::new(Mailbox::new(self.limits.watcher_queue));
        let id = self.keyspace.watches.add(selector, Arc::clone(&mailbox));
        // What the newcomer does not see any more it is not told of.
        self.keyspace.watches.advance_expired(now);
        let past = self.keyspace.deadlines.past(now).filter(|key| selector.covers(key));
        let hidden = |key: &&Blob| self.keyspace.keys.get(key).is_some_and(|entry| self.is_expired(entry, now));
        for key in past.filter(hidden).cloned().collect::<Vec<_>>() {
            self.keyspace.watches.set_expired(&key, true);
        }
        Ok((id, mailbox))
    }

    /// Ends a watch.
    pub(crate) fn unwatch(&mut self, selector: &Selector, id: WatchId) {
        self.keyspace.watches.remove(selector, id);
    }

    /// Empties a watcher's queue and says what it would have been told had it watched from the beginning.
    pub(crate) fn watched_now(
        &mut self,
        selector: &Selector,
        mailbox: &Mailbox<WatchEvent>,
        now: WallMs,
    ) -> Result<Vec<Change>> {
        self.check_open()?;
        self.tell_expired(now);
        mailbox.clear();
        let rows = &self.keyspace.keys;
        let mut keys: Vec<_> = match selector {
            Selector::Key(name) => rows.get_key_value(name).into_iter().collect(),
            Selector::Prefix(_) => rows.iter().filter(|(key, _)| selector.covers(key)).collect(),
        };
        keys.retain(|(key, _)| self.live(key, now).is_some());
        keys.sort_by_key(|(key, _)| *key);
        let appear = |(key, entry)| Before::hidden().changes(key, Some(entry), false, None, &self.origins);
        Ok(keys.into_iter().flat_map(appear).collect())
    }

    /// Tells watchers what readers see differently since the last time, and that it was `author` who did it.
    pub(crate) fn tell_watchers(&mut self, author: Option<Origin>, now: WallMs) {
        if self.keyspace.watches.is_empty() {
            return;
        }
        let author = author.map(|origin| self.author(origin));
        for (key, mut before) in self.keyspace.watches.take_touched() {
            let entry = self.keyspace.keys.get(&key);
            let expired = entry.is_some_and(|entry| self.is_expired(entry, now));
            if expired {
                before.note_all(entry, &self.origins);
            }
            let seen = entry.filter(|_| !expired);
            let changes = before.changes(&key, seen, expired, author.as_ref().filter(|_| !expired), &self.origins);
            self.stats.changes_missed += self.keyspace.watches.deliver(&key, &changes) as u64;
            self.keyspace.watches.set_expired(&key, expired);
        }
    }

    /// Tells watchers of the keys whose deadline has passed. Before anything else is told of them, so that the author of the next
    /// operation is not taken for who removed what had expired.
    #[inline]
    pub(crate) fn tell_expired(&mut self, now: WallMs) {
        if !self.keyspace.watches.is_empty() {
            self.tell_watchers_of_expired(now);
        }
    }

    fn tell_watchers_of_expired(&mut self, now: WallMs) {
        let from = self.keyspace.watches.advance_expired(now);
        for key in self.keyspace.deadlines.between(from, now) {
            self.keyspace.watches.touch_all(&self.keyspace.keys, key, &self.origins);
        }
        self.tell_watchers(None, now);
    }

    /// Changes whether an origin's owned rows are shown, and tells watchers.
    pub(crate) fn change_standing(&mut self, ix: OriginIx, standing: Standing, now: WallMs) {
        self.tell_expired(now);
        if !self.keyspace.watches.is_empty() {
            for place in self.keyspace.ledger.places_of(ix) {
                self.keyspace.watches.touch_place(&self.keyspace.keys, place, &self.origins);
            }
        }
        self.origins.set_standing(ix, standing);
        self.tell_watchers(None, now);
    }

    /// The next moment at which a key expires.
    pub(crate) fn next_deadline(&self) -> Option<WallMs> {
        self.keyspace.deadlines.next()
    }

    pub(crate) fn author(&self, origin: Origin) -> Author {
        let node = if origin == self.origin() {
            self.node.clone()
        } else {
            self.peers.get(&origin).map(|peer| peer.member.node.clone())
        };
        Author { origin, node }
    }
}
