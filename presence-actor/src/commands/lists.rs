//! `RPUSH`, `LPUSH`, `RPOP`, `LPOP`, `LLEN`, `LRANGE`.
//!
//! A pop here takes what this node sees, at once. That no other node takes the same is not decided here
//! but by who is asked to pop: [`crate::homed`].

use bytes::Bytes;
use headcount_cluster::WallMs;

use super::observe::Observed;
use crate::api::Result;
use crate::dot::Owner;
use crate::homed::{Answer, Answered};
use crate::op::{Action, Raw, Several};
use crate::reply::Type;
use crate::shared::list::{End, List};
use crate::state::State;

impl State {
    pub(crate) fn list(&self, key: &[u8], now: WallMs) -> Result<Option<&List>> {
        self.check_open()?;
        Ok(self.typed(key, Type::List, now)?.and_then(|entry| entry.list()))
    }

    /// `RPUSH key value..`, `LPUSH key value..`: the last value given ends up outermost.
    pub fn push(&mut self, owner: Owner, end: End, key: &[u8], values: &[&[u8]], now: WallMs) -> Result<usize> {
        self.check_room(key)?;
        self.limits.check_values(if end == End::Left { "lpush" } else { "rpush" }, values)?;
        self.bury(key, now);
        let list = self.list(key, now)?;
        let length = list.map_or(0, |list| list.len(&self.origins)) + values.len();
        // Hidden elements hold their place: they may be shown again.
        let stored = self.keyspace.keys.get(key).and_then(|entry| entry.list());
        let position = stored.map_or_else(|| List::default().position_beyond(end), |list| list.position_beyond(end));
        let values = values.iter().map(|value| Raw(value));
        let values = Several(if end == End::Left { values.rev().collect() } else { values.collect() });
        self.commit(now, Action::Push { key: Raw(key), position, values, owner });
        Ok(length)
    }

    /// `RPOP key`, `LPOP key`, of what this node sees.
    pub(crate) fn pop(
        &mut self,
        end: End,
        key: &[u8],
        answers: impl FnOnce(&Answer) -> Option<Box<Answered>>,
        now: WallMs,
    ) -> Result<Answer> {
        let Some((name, element)) = self.list(key, now)?.and_then(|list| list.at_end(end, &self.origins)) else {
            return Ok(Answer::Nil);
        };
        let (name, answer) = (*name, Answer::Value(element.value.clone()));
        let mut observed = Observed::nothing(self.me);
        observed.note(&element.tag(&name));
        let seen = observed.seen(&self.origins);
        self.commit_answering(now, Action::Take { key: Raw(key), element: name, seen }, answers(&answer));
        self.settle_empty(key, now);
        Ok(answer)
    }

    /// `LLEN key`.
    pub fn llen(&self, key: &[u8], now: WallMs) -> Result<usize> {
        Ok(self.list(key, now)?.map_or(0, |list| list.len(&self.origins)))
    }

    /// `LRANGE key start stop`: both inclusive, negative ones from the end.
    pub fn lrange(&self, key: &[u8], start: i64, stop: i64, now: WallMs) -> Result<Vec<Bytes>> {
        let Some(list) = self.list(key, now)? else { return Ok(Vec::new()) };
        let length = i64::try_from(list.len(&self.origins)).unwrap_or(i64::MAX);
        let from_head = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
        let (start, stop) = (from_head(start).max(0), from_head(stop).min(length - 1));
        let Ok(count) = usize::try_from(stop.saturating_sub(start).saturating_add(1)) else { return Ok(Vec::new()) };
        let elements = list.iter(&self.origins).skip(usize::try_from(start).unwrap_or(usize::MAX));
        Ok(elements.take(count).map(|(_, element)| element.value.to_bytes()).collect())
    }
}
