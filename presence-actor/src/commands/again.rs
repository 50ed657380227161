//! Writing again what one has written: the commonest writes of all, in one step.
//!
//! A game server sets the same few fields, strings and members over and over. Where all that is stored there is its own row,
//! of the same owner, in a key of one type without a deadline, the row stays and takes the new value, stamp and number. What
//! the general path would find out about observations, types and expiry is known then: there is nothing to observe,
//! nothing to bury and nobody to tell. Anything else is left to that path, with nothing changed.
//!
//! Invariant: whichever path a write takes, rows, books, answer and the operation that peers hear of are the same.

use headcount_cluster::{WallMs, codec};

use crate::dot::{Owner, Tag};
use crate::op::{Action, Op, Raw, Seen, Several};
use crate::shared::entry::Entry;
use crate::shared::keyspace::Keyspace;
use crate::shared::ledger::Ledger;
use crate::state::State;

impl State {
    /// `SET` without a deadline. Returns whether it was done.
    pub(crate) fn set_again(&mut self, owner: Owner, key: &[u8], value: &[u8], now: WallMs) -> bool {
        let rewrite = |entry: &mut Entry, tag, ledger: &mut Ledger| {
            let Entry::String(string) = entry else { return false };
            string.rewrite(tag, value, ledger)
        };
        let seen = Seen::default;
        let action = || Action::Set { key: Raw(key), value: Raw(value), deadline: None, owner, seen: seen() };
        self.again(owner, key, now, rewrite, action)
    }

    /// `HSET` of one field. Returns whether it was done: the field is not new then.
    pub(crate) fn hset_again(&mut self, owner: Owner, key: &[u8], pair: [&[u8]; 2], now: WallMs) -> bool {
        let rewrite = |entry: &mut Entry, tag, ledger: &mut Ledger| {
            let Entry::Hash(hash) = entry else { return false };
            hash.rows.get_mut(pair[0]).is_some_and(|register| register.rewrite(tag, pair[1], ledger))
        };
        let pairs = || Several(pair.map(Raw).into());
        let action = || Action::Hset { key: Raw(key), pairs: pairs(), owner, seen: Seen::default() };
        self.again(owner, key, now, rewrite, action)
    }

    /// `SADD` of one member. Returns whether it was done: the member is not new then.
    pub(crate) fn sadd_again(&mut self, owner: Owner, key: &[u8], member: &[u8], now: WallMs) -> bool {
        let renew = |entry: &mut Entry, tag, _: &mut Ledger| {
            let Entry::Set(set) = entry else { return false };
            set.renew(member, tag)
        };
        let members = || Several([Raw(member)].as_slice().into());
        self.again(owner, key, now, renew, || Action::Sadd { key: Raw(key), members: members(), owner })
    }

    /// Lets `rewrite` change the row, when readers see what the owner writes and nobody here hears of the key. If it did, the
    /// operation is numbered and kept for peers. Returns whether it did.
    fn again<'a>(
        &mut self,
        owner: Owner,
        key: &[u8],
        now: WallMs,
        rewrite: impl FnOnce(&mut Entry, Tag, &mut Ledger) -> bool,
        action: impl FnOnce() -> Action<'a>,
    ) -> bool {
        let tag = Tag { origin: self.me, owner, seq: self.written() + 1, stamp: self.clock.peek(now) };
        let Keyspace { keys, ledger, watches, awaited, .. } = &mut self.keyspace;
        let is_heard = watches.covers(key) || !awaited.is_empty() && awaited.contains(key);
        let done =
            !is_heard && self.origins.sees(&tag) && keys.get_mut(key).is_some_and(|entry| rewrite(entry, tag, ledger));
        if done {
            self.keyspace.changes += 1;
            self.tell_expired(now);
            let stamp = self.clock.tick(now);
            self.number(|bytes| codec::append(&Op { stamp, answers: None, action: action() }, bytes));
        }
        done
    }
}
