//! What is missing of a key where it is copied to, and writing it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use headcount_presence::api::Result;
use headcount_presence::{Limits, Presence, Ttl};

use super::report::{Outcome, Refusal};
use super::source::{Content, Entry, refusal};

/// Where keys are copied to.
#[derive(Debug)]
pub(super) struct Target<'a, P> {
    pub(super) presence: &'a P,
    pub(super) limits: &'a Limits,
    pub(super) replace: bool,
}

impl<P: Presence> Target<'_, P> {
    /// Writes what is missing of a key.
    pub(super) async fn take(&self, key: &[u8], entry: Entry) -> Result<Outcome> {
        match self.try_to_take(key, entry).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => refusal(error).map(Outcome::Refused),
        }
    }

    async fn try_to_take(&self, key: &[u8], entry: Entry) -> Result<Outcome> {
        let Entry { content, life } = entry;
        let kind = content.kind();
        let missing = match self.missing(key, &content).await {
            Ok(Some(missing)) => missing,
            Ok(None) if !self.replace => return Ok(Outcome::Refused(Refusal::Occupied)),
            Err(error) if !self.replace || refusal(error.clone()) != Ok(Refusal::Occupied) => return Err(error),
            Ok(None) | Err(_) => {
                self.presence.del(key).await?;
                Some(content)
            }
        };
        let is_present = missing.is_none();
        match missing {
            // With its deadline at once: between the two nobody sees a string that is to expire and does not.
            Some(Content::String(value)) => match life {
                Some(life) => self.presence.setex(key, value, seconds(life)).await?,
                None => self.presence.set(key, value).await?,
            },
            Some(Content::Set(members)) => self.add_members(key, members).await?,
            Some(Content::Hash(fields)) => self.set_fields(key, fields).await?,
            Some(Content::List(elements)) => self.push(key, &elements).await?,
            None => {}
        }
        if let (Some(life), Ttl::Never) = (life, self.presence.ttl(key).await?) {
            self.presence.expire(key, seconds(life)).await?;
        }
        Ok(if is_present { Outcome::Present } else { Outcome::Copied(kind) })
    }

    /// What a key lacks: `Some(None)` is nothing. None when what is there is no part of it.
    async fn missing(&self, key: &[u8], content: &Content) -> Result<Option<Option<Content>>> {
        Ok(match content {
            Content::String(value) => match self.presence.get(key).await? {
                None => Some(Some(content.clone())),
                Some(present) => (present == *value).then_some(None),
            },
            Content::Set(members) => {
                let present: BTreeSet<Bytes> = self.presence.smembers(key).await?.to_vec().into_iter().collect();
                present.is_subset(members).then(|| {
                    let missing: BTreeSet<Bytes> = members.difference(&present).cloned().collect();
                    (!missing.is_empty()).then_some(Content::Set(missing))
                })
            }
            Content::Hash(fields) => {
                let present: BTreeMap<Bytes, Bytes> = self.presence.hgetall(key).await?.into_iter().collect();
                present.iter().all(|(field, value)| fields.get(field) == Some(value)).then(|| {
                    let mut missing = fields.clone();
                    missing.retain(|field, _| !present.contains_key(field));
                    (!missing.is_empty()).then_some(Content::Hash(missing))
                })
            }
            Content::List(elements) => {
                let present = self.presence.lrange(key, 0, -1).await?;
                elements
                    .strip_prefix(&present[..])
                    .map(|missing| (!missing.is_empty()).then(|| Content::List(missing.to_vec())))
            }
        })
    }

    async fn add_members(&self, key: &[u8], members: BTreeSet<Bytes>) -> Result<()> {
        let members: Vec<Bytes> = members.into_iter().collect();
        for portion in self.portions(&members, |member| (1, member.len())) {
            self.presence.sadd(key, portion).await?;
        }
        Ok(())
    }

    async fn set_fields(&self, key: &[u8], fields: BTreeMap<Bytes, Bytes>) -> Result<()> {
        let fields: Vec<(Bytes, Bytes)> = fields.into_iter().collect();
        for portion in self.portions(&fields, |(field, value)| (2, field.len() + value.len())) {
            self.presence.hset_multiple(key, portion).await?;
        }
        Ok(())
    }

    async fn push(&self, key: &[u8], elements: &[Bytes]) -> Result<()> {
        for portion in self.portions(elements, |element| (1, element.len())) {
            self.presence.rpush(key, portion).await?;
        }
        Ok(())
    }

    /// As many values at a time as one command may have. `size` is of one: how many values, and their bytes.
    fn portions<'v, T>(
        &self,
        mut values: &'v [T],
        size: impl Fn(&T) -> (usize, usize),
    ) -> impl Iterator<Item = &'v [T]> {
        let (most_values, most_bytes) = (self.limits.max_arguments, self.limits.max_command_bytes);
        std::iter::from_fn(move || {
            let (mut count, mut bytes) = (0, 0);
            let fits = |value: &&T| {
                let (more, more_bytes) = size(value);
                (count, bytes) = (count + more, bytes + more_bytes);
                count <= most_values && bytes <= most_bytes
            };
            // One is never too many: what is over the caps by itself was refused when it was read.
            let taken = values.iter().take_while(fits).count().max(1).min(values.len());
            let (portion, rest) = values.split_at(taken);
            values = rest;
            (!portion.is_empty()).then_some(portion)
        })
    }
}

/// A time in whole seconds, rounded up: a key may live a moment longer, and none ends early.
fn seconds(life: Duration) -> i64 {
    life.as_millis().div_ceil(1000) as i64
}
