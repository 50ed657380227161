//! The connection for messages, shared by all subscriptions of this process.
//!
//! Redis is asked once for each topic or pattern, and messages are fanned out here. When the connection breaks it is made again, all names are
//! subscribed to again, and then each of their subscribers hears a [`Gap`](Event::Gap) of an unknown number: what was published
//! meanwhile is gone. A subscription is confirmed when Redis has confirmed it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use headcount_presence::pubsub::Kind;
use headcount_presence::{Event, Limits, Subscribers};
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Client, Msg, RedisError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::fault::Fault;
use super::link::{Pause, Timeouts};
use super::task::Task;

type Name = (Kind, Bytes);
type Confirm = oneshot::Sender<Result<(), Fault>>;

/// What the connection's task is asked for.
#[derive(Debug)]
enum Order {
    Subscribe(Name, Confirm),
    Abandon(Name),
}

/// This process's subscriptions on a Redis.
#[derive(Debug)]
pub(super) struct Topics {
    pub(super) subscribers: Arc<Subscribers>,
    orders: mpsc::UnboundedSender<Order>,
    _task: Task,
}

impl Topics {
    pub(super) fn start(client: Client, prefix: &[u8], limits: Limits, timeouts: Timeouts) -> Self {
        let (orders, ordered) = mpsc::unbounded_channel();
        let abandon = orders.clone();
        let subscribers = Subscribers::new(limits, super::random(), move |kind, name| {
            // Without the task there is nothing to unsubscribe from.
            let _ = abandon.send(Order::Abandon((kind, Bytes::copy_from_slice(name))));
        });
        let wire = Wire {
            client,
            timeouts,
            prefix: prefix.to_vec(),
            escaped: escape_glob(prefix),
            subscribers: Arc::downgrade(&subscribers),
            confirmed: BTreeSet::new(),
            waiting: Vec::new(),
        };
        Self { subscribers, orders, _task: Task::spawn(wire.run(ordered)) }
    }

    /// Asks for a name; what is returned resolves when Redis has confirmed or refused it. To be called for every subscriber, in order.
    pub(super) fn ask(&self, kind: Kind, name: &[u8]) -> oneshot::Receiver<Result<(), Fault>> {
        let (confirm, confirmed) = oneshot::channel();
        // Without the task the receiver says so.
        let _ = self.orders.send(Order::Subscribe((kind, Bytes::copy_from_slice(name)), confirm));
        confirmed
    }
}

/// The task's side.
struct Wire {
    client: Client,
    timeouts: Timeouts,
    prefix: Vec<u8>,
    /// The prefix as a pattern that matches only it.
    escaped: Vec<u8>,
    subscribers: Weak<Subscribers>,
    /// Names that Redis has confirmed at some time.
    confirmed: BTreeSet<Name>,
    waiting: Vec<(Name, Confirm)>,
}

impl Wire {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut pause = Pause::new();
        loop {
            match self.connect().await {
                Ok((sink, stream)) => {
                    pause = Pause::new();
                    let Err(error) = self.carry(sink, stream, &mut orders).await else { return };
                    tracing::warn!(%error, "the connection for messages is lost; connecting again, subscribers will be told of a gap");
                }
                Err(error) => tracing::debug!(%error, "no connection for messages yet"),
            }
            let rest = tokio::time::sleep(pause.next());
            tokio::pin!(rest);
            loop {
                tokio::select! {
                    biased;
                    () = &mut rest => break,
                    order = orders.recv() => match order {
                        None => return,
                        Some(Order::Subscribe(name, confirm)) => self.waiting.push((name, confirm)),
                        Some(Order::Abandon(name)) => drop(self.confirmed.remove(&name)),
                    }
                }
            }
        }
    }

    /// Connects and subscribes to everything; then those hear of a gap who were subscribed before.
    async fn connect(&mut self) -> Result<(PubSubSink, PubSubStream), RedisError> {
        let (mut sink, stream) = within(self.timeouts.connect, self.client.get_async_pubsub()).await?.split();
        let Some(subscribers) = self.subscribers.upgrade() else { return Ok((sink, stream)) };
        let mut names: BTreeSet<Name> = subscribers.names().into_iter().collect();
        let mut refused = BTreeMap::new();
        for name in &names {
            if let Err(fault) = self.subscribe(&mut sink, name).await? {
                tracing::warn!(topic = ?name.1, ?fault, "nothing is heard of a topic that the Redis's ACL does not allow");
                refused.insert(name.clone(), fault);
            }
        }
        names.retain(|name| !refused.contains_key(name));
        for (kind, name) in std::mem::replace(&mut self.confirmed, names) {
            subscribers.deliver(kind, &name, &Event::Gap { missed: None });
        }
        for (name, confirm) in self.waiting.drain(..) {
            // Who asked may have given up.
            let _ = confirm.send(refused.get(&name).cloned().map_or(Ok(()), Err));
        }
        Ok((sink, stream))
    }

    /// Carries orders there and messages back until the connection breaks, or nobody is left to order.
    async fn carry(
        &mut self,
        mut sink: PubSubSink,
        mut stream: PubSubStream,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Result<(), RedisError> {
        let mut beat = tokio::time::interval(self.timeouts.command * 2);
        loop {
            tokio::select! {
                biased;
                message = stream.next() => match message {
                    Some(message) => self.hand_out(&message),
                    None => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
                },
                order = orders.recv() => match order {
                    None => return Ok(()),
                    Some(order) => self.carry_out(&mut sink, order).await?,
                },
                // The other side may have vanished without a word.
                _ = beat.tick() => drop(within(self.timeouts.command * 3, sink.ping::<redis::Value>()).await?),
            }
        }
    }

    async fn carry_out(&mut self, sink: &mut PubSubSink, order: Order) -> Result<(), RedisError> {
        match order {
            Order::Subscribe(name, confirm) => {
                if !self.confirmed.contains(&name) {
                    match self.subscribe(sink, &name).await {
                        Err(error) => {
                            self.waiting.push((name, confirm));
                            return Err(error);
                        }
                        Ok(Err(fault)) => {
                            let _ = confirm.send(Err(fault));
                            return Ok(());
                        }
                        Ok(Ok(())) => self.confirmed.insert(name),
                    };
                }
                // Who asked may have given up.
                let _ = confirm.send(Ok(()));
            }
            Order::Abandon(name) => {
                if !self.confirmed.remove(&name) {
                    return Ok(());
                }
                let physical = self.physical(&name);
                let done = match name.0 {
                    Kind::Topic => within(self.timeouts.command * 3, sink.unsubscribe(physical)).await,
                    Kind::Pattern => within(self.timeouts.command * 3, sink.punsubscribe(physical)).await,
                };
                done?;
            }
        }
        Ok(())
    }

    /// Subscribes to a name, which may be refused to this user; any other error is the connection's.
    async fn subscribe(&self, sink: &mut PubSubSink, name: &Name) -> Result<Result<(), Fault>, RedisError> {
        let physical = self.physical(name);
        let outcome = match name.0 {
            Kind::Topic => within(self.timeouts.command * 3, sink.subscribe(physical)).await,
            Kind::Pattern => within(self.timeouts.command * 3, sink.psubscribe(physical)).await,
        };
        match outcome {
            Ok(()) => Ok(Ok(())),
            Err(error) if error.code() == Some("NOPERM") => Ok(Err(Fault::of(&error))),
            Err(error) => Err(error),
        }
    }

    /// The name as Redis has it.
    fn physical(&self, (kind, name): &Name) -> Vec<u8> {
        match kind {
            Kind::Topic => [&self.prefix[..], name].concat(),
            Kind::Pattern => [&self.escaped[..], name].concat(),
        }
    }

    fn hand_out(&self, message: &Msg) {
        let Some(subscribers) = self.subscribers.upgrade() else { return };
        let bytes = |value: redis::RedisResult<Vec<u8>>, skip: usize| {
            let bytes = Bytes::from(value.unwrap_or_default());
            bytes.slice(skip.min(bytes.len())..)
        };
        let topic = bytes(message.get_channel(), self.prefix.len());
        let payload = Bytes::copy_from_slice(message.get_payload_bytes());
        if message.from_pattern() {
            let pattern = bytes(message.get_pattern(), self.escaped.len());
            if is_beyond(&pattern, &topic) {
                return;
            }
            let event = Event::Message { topic, pattern: Some(pattern.clone()), payload };
            subscribers.deliver(Kind::Pattern, &pattern, &event);
        } else {
            let event = Event::Message { topic: topic.clone(), pattern: None, payload };
            subscribers.deliver(Kind::Topic, &topic, &event);
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}

/// Whether a pattern matches a topic only because both stand behind a prefix: by itself an empty text matches an empty pattern only.
pub(super) fn is_beyond(pattern: &[u8], topic: &[u8]) -> bool {
    topic.is_empty() && !pattern.is_empty()
}

/// A pattern that matches exactly this.
pub(super) fn escape_glob(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|byte| [b'\\', *byte].into_iter().skip(usize::from(!b"*?[]^\\-".contains(byte)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_in_a_pattern_stands_for_itself() {
        assert_eq!(escape_glob(b"game:1"), b"game:1");
        assert_eq!(escape_glob(b"a*[b]?\\"), br"a\*\[b\]\?\\");
    }
}
