//! `SADD`, `SREM`, `SMEMBERS`, `SISMEMBER`, `SCARD`, `SINTER`.

use std::collections::BTreeSet;

use bytes::Bytes;
use headcount_cluster::WallMs;

use super::observe::Observed;
use crate::api::Result;
use crate::blob::Blob;
use crate::dot::Owner;
use crate::op::{Action, Raw, Several};
use crate::reply::Type;
use crate::shared::entry::Entry;
use crate::shared::members::Members;
use crate::state::State;
use crate::values::Values;

impl State {
    fn members(&self, key: &[u8], now: WallMs) -> Result<Option<&Members>> {
        self.check_open()?;
        Ok(self.typed(key, Type::Set, now)?.and_then(|entry| entry.set()))
    }

    /// `SADD key member..`
    pub fn sadd(&mut self, owner: Owner, key: &[u8], members: &[&[u8]], now: WallMs) -> Result<usize> {
        self.check_room(key)?;
        self.limits.check_values("sadd", members)?;
        if let [member] = members
            && self.sadd_again(owner, key, member, now)
        {
            return Ok(0);
        }
        self.write_members(owner, key, members, now)
    }

    pub(crate) fn write_members(&mut self, owner: Owner, key: &[u8], members: &[&[u8]], now: WallMs) -> Result<usize> {
        self.bury(key, now);
        let is_set = self.aimed(key, Type::Set, now)?.is_some();
        let mut set = self.keyspace.keys.get_mut(key).filter(|_| is_set).and_then(Entry::set_mut);
        let mut is_new = |member: &[u8]| !set.as_deref_mut().is_some_and(|set| set.aim(member, &self.origins));
        let added = match members {
            [one] => usize::from(is_new(one)),
            several => several.iter().filter(|member| is_new(member)).collect::<BTreeSet<_>>().len(),
        };
        // A member that is there already is written all the same: the addition must win over a removal elsewhere
        // that has not seen it.
        let members = Several(members.iter().map(|member| Raw(member)).collect());
        self.commit(now, Action::Sadd { key: Raw(key), members, owner });
        Ok(added)
    }

    /// `SREM key member..`
    pub fn srem(&mut self, key: &[u8], members: &[&[u8]], now: WallMs) -> Result<usize> {
        self.limits.check_values("srem", members)?;
        let Some(set) = self.members(key, now)? else { return Ok(0) };
        let mut observed = Observed::nothing(self.me);
        let mut removed: BTreeSet<&[u8]> = BTreeSet::new();
        for member in members.iter().filter(|member| set.contains(member, &self.origins)) {
            removed.insert(member);
            set.rows.get(member).into_iter().flat_map(|tags| tags.iter()).for_each(|tag| observed.note(tag));
        }
        if !removed.is_empty() {
            let seen = observed.seen(&self.origins);
            let members = Several(removed.iter().map(|member| Raw(member)).collect());
            self.commit(now, Action::Srem { key: Raw(key), members, seen });
            self.settle_empty(key, now);
        }
        Ok(removed.len())
    }

    /// `SMEMBERS key`.
    pub fn smembers(&self, key: &[u8], now: WallMs) -> Result<Values> {
        Ok(self.members(key, now)?.map(|set| set.list(&self.origins)).unwrap_or_default())
    }

    /// `SISMEMBER key member`.
    pub fn sismember(&self, key: &[u8], member: &[u8], now: WallMs) -> Result<bool> {
        Ok(self.members(key, now)?.is_some_and(|set| set.contains(member, &self.origins)))
    }

    /// `SCARD key`.
    pub fn scard(&self, key: &[u8], now: WallMs) -> Result<usize> {
        Ok(self.members(key, now)?.map_or(0, |set| set.len(&self.origins)))
    }

    /// `SINTER key..`
    pub fn sinter(&self, keys: &[&[u8]], now: WallMs) -> Result<Vec<Bytes>> {
        self.limits.check_values("sinter", keys)?;
        let mut sets = Vec::with_capacity(keys.len());
        // All are looked at before the first that is missing decides: a wrong type is an error wherever it stands.
        for key in keys {
            sets.push(self.members(key, now)?);
        }
        let Some(mut sets) = sets.into_iter().collect::<Option<Vec<&Members>>>() else { return Ok(Vec::new()) };
        sets.sort_by_key(|set| set.rows.len());
        let Some((smallest, others)) = sets.split_first() else { return Ok(Vec::new()) };
        let in_all = |member: &&Blob| others.iter().all(|set| set.contains(member, &self.origins));
        Ok(smallest.iter(&self.origins).filter(in_all).map(Blob::to_bytes).collect())
    }
}
