//! `SUBSCRIBE`, `PSUBSCRIBE`, `UNSUBSCRIBE`, `PUBLISH`, `PUBSUB CHANNELS`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use headcount_cluster::codec;

use crate::api::Result;
use crate::blob::Blob;
use crate::dot::Owner;
use crate::op::Raw;
use crate::peer::Item;
use crate::pubsub::interest::Kind;
use crate::pubsub::topics::{Family, SubscriptionId};
use crate::pubsub::{Event, Mailbox, glob};
use crate::state::State;
use crate::wire::Message;

impl State {
    fn check_topic(&self, topic: &[u8]) -> Result<()> {
        self.check_open()?;
        self.limits.check_topic(topic)
    }

    /// Adds a subscriber. Returns its number, its queue, and the version of this node's interest that peers
    /// have to confirm before its messages are sure to come.
    pub(crate) fn subscribe(
        &mut self,
        kind: Kind,
        name: &[u8],
        family: Family,
        session: Owner,
    ) -> Result<(SubscriptionId, Arc<Mailbox<Event>>, u64)> {
        self.check_topic(name)?;
        self.limits.check_subscriptions(self.topics.count())?;
        let mailbox = Arc::new(Mailbox::new(self.limits.subscriber_queue));
        let id = self.topics.add(kind, name, family, session, Arc::clone(&mailbox));
        self.interest_changed(kind, name);
        Ok((id, mailbox, self.interest_version))
    }

    /// Ends one subscription.
    pub(crate) fn unsubscribe(&mut self, kind: Kind, name: &[u8], id: SubscriptionId) {
        if self.topics.remove(kind, name, id) {
            self.interest_changed(kind, name);
        }
    }

    /// Ends a family's subscriptions to a topic.
    pub(crate) fn unsubscribe_family(&mut self, topic: &[u8], family: Family) -> Result<usize> {
        self.check_open()?;
        let ended = self.topics.remove_family(Kind::Topic, topic, family);
        if ended > 0 {
            self.interest_changed(Kind::Topic, topic);
        }
        Ok(ended)
    }

    /// Tells every peer how many subscribers a name has here now.
    pub(crate) fn interest_changed(&mut self, kind: Kind, name: &[u8]) {
        self.interest_version += 1;
        let (version, count) = (self.interest_version, self.topics.subscribers(kind, name));
        for peer in self.peers.values_mut().filter(|peer| peer.is_linked()) {
            peer.queue.push_back(Item::Interest { kind, name: name.into(), count, version });
            self.output = true;
        }
    }

    /// `PUBLISH topic message`.
    pub fn publish(&mut self, topic: &[u8], payload: &[u8]) -> Result<usize> {
        self.check_topic(topic)?;
        self.limits.check_message(payload)?;
        self.stats.messages_published += 1;
        let mut addressed = self.deliver(topic, payload);
        if self.interest.is_empty() {
            return Ok(addressed);
        }
        let after = self.origins.get(self.me).applied;
        let mut encoded: Option<Bytes> = None;
        for (origin, subscribers) in self.interest.wanting(topic) {
            let Some(peer) = self.peers.get_mut(origin) else { continue };
            let message = encoded.get_or_insert_with(|| {
                let mut bytes = Vec::with_capacity(topic.len() + payload.len() + 8);
                codec::append(&Message { topic: Raw(topic), payload: Raw(payload) }, &mut bytes);
                bytes.into()
            });
            if peer.is_linked() && peer.queued_bytes + message.len() <= self.limits.peer_queue_bytes {
                peer.queued_bytes += message.len();
                peer.queued_messages += 1;
                peer.queue.push_back(Item::Message { after, bytes: message.clone() });
                self.output = true;
                addressed += subscribers as usize;
            } else {
                peer.dropped_messages += 1;
                self.stats.messages_dropped += 1;
            }
        }
        Ok(addressed)
    }

    /// Hands a message to this node's subscribers.
    pub(crate) fn deliver(&mut self, topic: &[u8], payload: &[u8]) -> usize {
        let delivered = self.topics.deliver(topic, payload);
        self.stats.messages_delivered += delivered.subscribers as u64;
        self.stats.messages_dropped += delivered.dropped as u64;
        delivered.subscribers
    }

    /// `PUBSUB CHANNELS [pattern]`.
    pub fn channels(&self, pattern: Option<&[u8]>) -> Result<Vec<Bytes>> {
        self.check_topic(pattern.unwrap_or_default())?;
        let fits = |topic: &&Blob| pattern.is_none_or(|pattern| glob::matches(pattern, topic));
        let topics: BTreeSet<&Blob> = self.topics.topics().chain(self.interest.topics()).filter(fits).collect();
        Ok(topics.into_iter().map(Blob::to_bytes).collect())
    }
}
