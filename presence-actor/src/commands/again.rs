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
use crate::state::State;

impl State {
    /// `SET` without a deadline. Returns whether it was done.
    pub(crate) fn set_again(&mut self, owner: Owner, key: &[u8], value: &[u8], now: WallMs) -> bool {
        let Some(tag) = self.tag_of_next(owner, key, now) else { return false };
        let Some(Entry::String(string)) = self.keyspace.keys.get_mut(key) else { return false };
        let done = string.rewrite(tag, value, &mut self.keyspace.ledger);
        if done {
            let seen = Seen::default;
            let action = || Action::Set { key: Raw(key), value: Raw(value), deadline: None, owner, seen: seen() };
            self.commit_again(now, action);
        }
        done
    }

    /// `HSET` of one field. Returns whether it was done: no field is new then.
    pub(crate) fn hset_again(&mut self, owner: Owner, key: &[u8], pair: [&[u8]; 2], now: WallMs) -> bool {
        let Some(tag) = self.tag_of_next(owner, key, now) else { return false };
        let Some(Entry::Hash(hash)) = self.keyspace.keys.get_mut(key) else { return false };
        let register = hash.rows.get_mut(pair[0]);
        let done = register.is_some_and(|register| register.rewrite(tag, pair[1], &mut self.keyspace.ledger));
        if done {
            let pairs = || Several(pair.map(Raw).into());
            let action = || Action::Hset { key: Raw(key), pairs: pairs(), owner, seen: Seen::default() };
            self.commit_again(now, action);
        }
        done
    }

    /// `SADD` of one member. Returns whether it was done: the member is not new then.
    pub(crate) fn sadd_again(&mut self, owner: Owner, key: &[u8], member: &[u8], now: WallMs) -> bool {
        let Some(tag) = self.tag_of_next(owner, key, now) else { return false };
        let Some(Entry::Set(set)) = self.keyspace.keys.get_mut(key) else { return false };
        let done = set.renew(member, tag);
        if done {
            let members = || Several([member].map(Raw).as_slice().into());
            self.commit_again(now, || Action::Sadd { key: Raw(key), members: members(), owner });
        }
        done
    }

    /// What an owner's next write is marked with; `None` when readers would not see it, or somebody here hears of the key.
    fn tag_of_next(&self, owner: Owner, key: &[u8], now: WallMs) -> Option<Tag> {
        let (origin, seq, stamp) = (self.me, self.written() + 1, self.clock.peek(now));
        let tag = Tag { origin, owner, seq, stamp };
        let is_heard = self.keyspace.is_awaited(key) || self.keyspace.watches.covers(key);
        (!is_heard && self.origins.sees(&tag)).then_some(tag)
    }

    /// Numbers an operation whose effect is there already, and keeps it for peers.
    fn commit_again<'a>(&mut self, now: WallMs, action: impl FnOnce() -> Action<'a>) {
        self.tell_expired(now);
        let stamp = self.clock.tick(now);
        self.number(|bytes| codec::append(&Op { stamp, answers: None, action: action() }, bytes));
    }
}
