//! `HSET`, `HGET`, `HGETALL`, `HEXISTS`, `HDEL`, `HLEN`.

use std::collections::BTreeSet;

use bytes::Bytes;
use headcount_cluster::WallMs;

use super::observe::Observed;
use crate::api::Result;
use crate::dot::Owner;
use crate::op::{Action, Raw, Several};
use crate::reply::Type;
use crate::shared::entry::{Entry, Fields};
use crate::shared::register::View;
use crate::state::State;

impl State {
    fn fields(&self, key: &[u8], now: WallMs) -> Result<Option<&Fields>> {
        self.check_open()?;
        Ok(self.typed(key, Type::Hash, now)?.and_then(|entry| entry.hash()))
    }

    fn field<'a>(&'a self, fields: Option<&'a Fields>, field: &[u8]) -> Option<View<'a>> {
        fields?.rows.get(field)?.view(&self.origins)
    }

    /// `HSET key field value..`: names and values in turn. A field given twice keeps its last value.
    pub fn hset(&mut self, owner: Owner, key: &[u8], pairs: &[&[u8]], now: WallMs) -> Result<usize> {
        self.check_room(key)?;
        self.limits.check_values("hset", pairs)?;
        if let [field, value] = pairs
            && self.hset_again(owner, key, [field, value], now)
        {
            return Ok(0);
        }
        self.write_fields(owner, key, pairs, now)
    }

    pub(crate) fn write_fields(&mut self, owner: Owner, key: &[u8], pairs: &[&[u8]], now: WallMs) -> Result<usize> {
        self.bury(key, now);
        let is_hash = self.aimed(key, Type::Hash, now)?.is_some();
        let mut fields = self.keyspace.keys.get_mut(key).filter(|_| is_hash).and_then(Entry::hash_mut);
        let mut observed = Observed::nothing(self.me);
        let mut written: Several<'_> = Several(smallvec::SmallVec::new());
        let mut named: BTreeSet<&[u8]> = BTreeSet::new();
        let mut added = 0;
        for pair in pairs.rchunks_exact(2) {
            if pairs.len() > 2 && !named.insert(pair[0]) {
                continue;
            }
            let register = fields.as_deref_mut().and_then(|fields| fields.rows.aim(pair[0]));
            added += usize::from(register.is_none_or(|register| register.view(&self.origins).is_none()));
            if let Some(register) = register {
                observed.note_register(Some(pair[0]), register, &self.origins);
            }
            written.0.push(Raw(pair[0]));
            written.0.push(Raw(pair[1]));
        }
        if observed.is_heavy() {
            let fields: Vec<&[u8]> = written.0.chunks_exact(2).map(|pair| pair[0].0).collect();
            self.remove_fields(key, &fields, now);
            observed = Observed::nothing(self.me);
        }
        let seen = observed.seen(&self.origins);
        self.commit(now, Action::Hset { key: Raw(key), pairs: written, owner, seen });
        Ok(added)
    }

    /// `HGET key field`.
    pub fn hget(&self, key: &[u8], field: &[u8], now: WallMs) -> Result<Option<Bytes>> {
        Ok(self.field(self.fields(key, now)?, field).map(View::to_bytes))
    }

    /// `HGETALL key`.
    pub fn hgetall(&self, key: &[u8], now: WallMs) -> Result<Vec<(Bytes, Bytes)>> {
        let rows = self.fields(key, now)?.into_iter().flat_map(|fields| fields.rows.iter());
        let seen = rows.filter_map(|(field, register)| Some((field, register.view(&self.origins)?)));
        Ok(seen.map(|(field, view)| (field.to_bytes(), view.to_bytes())).collect())
    }

    /// `HEXISTS key field`.
    pub fn hexists(&self, key: &[u8], field: &[u8], now: WallMs) -> Result<bool> {
        Ok(self.field(self.fields(key, now)?, field).is_some())
    }

    /// `HLEN key`.
    pub fn hlen(&self, key: &[u8], now: WallMs) -> Result<usize> {
        Ok(self.fields(key, now)?.map_or(0, |fields| fields.len(&self.origins)))
    }

    /// `HDEL key field..`
    pub fn hdel(&mut self, key: &[u8], fields: &[&[u8]], now: WallMs) -> Result<usize> {
        self.limits.check_values("hdel", fields)?;
        let hash = self.fields(key, now)?;
        let there: BTreeSet<&[u8]> = fields.iter().copied().filter(|field| self.field(hash, field).is_some()).collect();
        if !there.is_empty() {
            let names: Vec<&[u8]> = there.iter().copied().collect();
            self.remove_fields(key, &names, now);
            self.settle_empty(key, now);
        }
        Ok(there.len())
    }
}
