//! This node's own subscribers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::interest::Kind;
use super::{Event, Mailbox, glob};
use crate::blob::Blob;
use crate::dot::Owner;
use crate::shared::rows::Rows;

/// Identifies a subscription on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SubscriptionId(u64);

/// Identifies a handle and its clones, which end their subscriptions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Family(pub(crate) u64);

#[derive(Debug)]
struct Subscriber {
    id: SubscriptionId,
    family: Family,
    session: Owner,
    mailbox: Arc<Mailbox<Event>>,
}

/// Who subscribed to a name.
#[derive(Debug)]
struct Audience {
    /// The name as messages carry it, copied once for all of them.
    name: Bytes,
    subscribers: Vec<Subscriber>,
}

impl Audience {
    fn of(name: &[u8]) -> Self {
        Self { name: Bytes::copy_from_slice(name), subscribers: Vec::new() }
    }
}

/// What a fan-out did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Subscriptions that got the message.
    pub(crate) subscribers: usize,
    /// Older messages that were dropped for it.
    pub(crate) dropped: usize,
}

/// Subscribers by topic and by pattern.
#[derive(Debug)]
pub(crate) struct Topics {
    seed: u64,
    exact: Rows<Audience>,
    patterns: Rows<Audience>,
    by_session: BTreeMap<(Owner, SubscriptionId), (Kind, Blob)>,
    count: usize,
    last_id: u64,
}

impl Topics {
    /// None, of names that are hashed with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let (exact, patterns) = (Rows::new(seed), Rows::new(seed));
        Self { seed, exact, patterns, by_session: BTreeMap::new(), count: 0, last_id: 0 }
    }

    fn of(&mut self, kind: Kind) -> &mut Rows<Audience> {
        match kind {
            Kind::Topic => &mut self.exact,
            Kind::Pattern => &mut self.patterns,
        }
    }

    /// How many subscriptions there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Subscribers to a name.
    pub(crate) fn subscribers(&self, kind: Kind, name: &[u8]) -> u32 {
        let rows = match kind {
            Kind::Topic => &self.exact,
            Kind::Pattern => &self.patterns,
        };
        rows.get(name).map_or(0, |audience| audience.subscribers.len() as u32)
    }

    /// All names with subscribers, with their number.
    pub(crate) fn names(&self) -> impl Iterator<Item = (Kind, &Blob, u32)> {
        let topics = self.exact.iter().map(|(name, all)| (Kind::Topic, name, all.subscribers.len() as u32));
        let patterns = self.patterns.iter().map(|(name, all)| (Kind::Pattern, name, all.subscribers.len() as u32));
        topics.chain(patterns)
    }

    /// Topics with subscribers, by name.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Blob> {
        self.exact.keys()
    }

    pub(crate) fn add(
        &mut self,
        kind: Kind,
        name: &[u8],
        family: Family,
        session: Owner,
        mailbox: Arc<Mailbox<Event>>,
    ) -> SubscriptionId {
        self.last_id += 1;
        self.count += 1;
        let id = SubscriptionId(self.last_id);
        if !session.is_shared() {
            self.by_session.insert((session, id), (kind, name.into()));
        }
        let audience = self.of(kind).get_or_insert_with(name, || Audience::of(name));
        audience.subscribers.push(Subscriber { id, family, session, mailbox });
        id
    }

    /// Ends one subscription. Returns whether there was one.
    pub(crate) fn remove(&mut self, kind: Kind, name: &[u8], id: SubscriptionId) -> bool {
        self.remove_where(kind, name, |subscriber| subscriber.id == id) > 0
    }

    /// Ends the subscriptions to a topic that a family made. Returns how many there were.
    pub(crate) fn remove_family(&mut self, kind: Kind, name: &[u8], family: Family) -> usize {
        self.remove_where(kind, name, |subscriber| subscriber.family == family)
    }

    /// Ends a session's subscriptions. Returns the names whose number changed.
    pub(crate) fn remove_session(&mut self, session: Owner) -> Vec<(Kind, Blob)> {
        let all = (session, SubscriptionId(0))..=(session, SubscriptionId(u64::MAX));
        let changed: Vec<(Kind, Blob)> = self.by_session.range(all).map(|(_, name)| name.clone()).collect();
        for (kind, name) in &changed {
            self.remove_where(*kind, name, |subscriber| subscriber.session == session);
        }
        changed
    }

    fn remove_where(&mut self, kind: Kind, name: &[u8], doomed: impl Fn(&Subscriber) -> bool) -> usize {
        let rows = self.of(kind);
        let Some(Audience { subscribers: list, .. }) = rows.get_mut(name) else { return 0 };
        let mut ended = Vec::new();
        list.retain(|subscriber| {
            let keep = !doomed(subscriber);
            if !keep {
                subscriber.mailbox.close();
                ended.push((subscriber.session, subscriber.id));
            }
            keep
        });
        if list.is_empty() {
            rows.remove(name);
        }
        self.count -= ended.len();
        for session in &ended {
            self.by_session.remove(session);
        }
        ended.len()
    }

    /// Ends all subscriptions.
    pub(crate) fn close(&mut self) {
        for subscriber in self.exact.values().chain(self.patterns.values()).flat_map(|all| &all.subscribers) {
            subscriber.mailbox.close();
        }
        *self = Self { last_id: self.last_id, ..Self::new(self.seed) };
    }

    /// Hands an event to those who subscribed to exactly this topic or this pattern.
    pub(crate) fn deliver_to(&self, kind: Kind, name: &[u8], event: &Event) {
        let rows = match kind {
            Kind::Topic => &self.exact,
            Kind::Pattern => &self.patterns,
        };
        for subscriber in rows.get(name).into_iter().flat_map(|audience| &audience.subscribers) {
            subscriber.mailbox.push(event.clone());
        }
    }

    /// Hands a message to every subscriber it is for. It is copied once, and the last of them takes the copy itself.
    pub(crate) fn deliver(&self, topic: &[u8], payload: &[u8]) -> Delivered {
        let exact = self.exact.get(topic);
        let matching = self.patterns.iter().filter(|(pattern, _)| glob::matches(pattern, topic));
        let mut recipients = exact
            .into_iter()
            .map(|audience| (None, audience))
            .chain(matching.map(|(_, audience)| (Some(&audience.name), audience)))
            .flat_map(|(pattern, audience)| audience.subscribers.iter().map(move |one| (pattern, &one.mailbox)))
            .peekable();
        let mut delivered = Delivered::default();
        if recipients.peek().is_none() {
            return delivered;
        }
        let topic = exact.map_or_else(|| Bytes::copy_from_slice(topic), |audience| audience.name.clone());
        let mut copy = (topic, Bytes::copy_from_slice(payload));
        while let Some((pattern, mailbox)) = recipients.next() {
            let (topic, payload) = if recipients.peek().is_some() { copy.clone() } else { std::mem::take(&mut copy) };
            delivered.subscribers += 1;
            delivered.dropped +=
                usize::from(mailbox.push(Event::Message { topic, pattern: pattern.cloned(), payload }));
        }
        delivered
    }
}
