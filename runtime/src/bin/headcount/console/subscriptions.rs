//! The console's subscriptions: each is a task that turns messages into lines.
//!
//! A task waits while the output is full, and its subscription then loses messages by its own policy and says so: a
//! console that nobody reads slows neither the node nor other subscribers. A topic is subscribed to once, however often
//! it is asked for.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Error, Event, Presence, Subscription};
use tokio_util::task::AbortOnDropHandle;

use super::output::Output;
use super::reply;

/// What a subscription is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Topic,
    Pattern,
}

impl Kind {
    /// What Redis calls a beginning.
    fn begun(self) -> &'static str {
        match self {
            Self::Topic => "subscribe",
            Self::Pattern => "psubscribe",
        }
    }

    /// What Redis calls an end.
    fn ended(self) -> &'static str {
        match self {
            Self::Topic => "unsubscribe",
            Self::Pattern => "punsubscribe",
        }
    }
}

/// All subscriptions of a console.
#[derive(Debug)]
pub(super) struct Subscriptions<P> {
    presence: P,
    output: Output,
    tasks: BTreeMap<(Kind, Bytes), AbortOnDropHandle<()>>,
}

impl<P: Presence> Subscriptions<P> {
    pub(super) fn new(presence: P, output: Output) -> Self {
        Self { presence, output, tasks: BTreeMap::new() }
    }

    /// Subscribes to each; the text of the replies.
    ///
    /// # Errors
    /// Those of [`headcount::Presence::subscribe`]; what was subscribed to before stays.
    pub(super) async fn add(&mut self, kind: Kind, topics: Vec<Bytes>) -> Result<String, Error> {
        let mut text = String::new();
        for topic in topics {
            if !self.tasks.contains_key(&(kind, topic.clone())) {
                let subscription = match kind {
                    Kind::Topic => self.presence.subscribe(&topic).await?,
                    Kind::Pattern => self.presence.psubscribe(&topic).await?,
                };
                let task = tokio::spawn(forward(subscription, topic.clone(), self.output.clone()));
                self.tasks.insert((kind, topic.clone()), AbortOnDropHandle::new(task));
            }
            text += &reply::subscription(kind.begun(), Some(&topic), self.tasks.len());
        }
        Ok(text)
    }

    /// Ends the named ones, or all of a kind when none is named; the text of the replies.
    pub(super) async fn remove(&mut self, kind: Kind, topics: Vec<Bytes>) -> String {
        let topics = if topics.is_empty() { self.topics(kind) } else { topics };
        if topics.is_empty() {
            return reply::subscription(kind.ended(), None, self.tasks.len());
        }
        let mut text = String::new();
        for topic in topics {
            if let Some(task) = self.tasks.remove(&(kind, topic.clone())) {
                task.abort();
                // Waits until the subscription itself is dropped: after the reply no message comes.
                let _ = task.await;
            }
            text += &reply::subscription(kind.ended(), Some(&topic), self.tasks.len());
        }
        text
    }

    /// Lets the tasks run on without a console.
    pub(super) fn detach(&mut self) {
        for task in std::mem::take(&mut self.tasks).into_values() {
            drop(task.detach());
        }
    }

    fn topics(&self, kind: Kind) -> Vec<Bytes> {
        self.tasks.keys().filter(|(k, _)| *k == kind).map(|(_, topic)| topic.clone()).collect()
    }
}

/// Prints what a subscription brings until it ends.
async fn forward(mut subscription: Subscription, subscribed: Bytes, output: Output) {
    while let Some(event) = subscription.recv().await {
        output.print(&line(&event, &subscribed)).await;
    }
}

fn line(event: &Event, subscribed: &[u8]) -> String {
    match event {
        Event::Message { topic, pattern: None, payload } => {
            format!("message {} {}\n", reply::word(topic), reply::quoted(payload))
        }
        Event::Message { topic, pattern: Some(pattern), payload } => {
            format!("pmessage {} {} {}\n", reply::word(pattern), reply::word(topic), reply::quoted(payload))
        }
        Event::Gap { missed: Some(missed) } => format!("gap {} {missed}\n", reply::word(subscribed)),
        Event::Gap { missed: None } => format!("gap {} unknown\n", reply::word(subscribed)),
        other => format!("event {} {other:?}\n", reply::word(subscribed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_gaps_are_one_line_each() {
        let message = |pattern: Option<&'static str>| Event::Message {
            topic: "chat".into(),
            pattern: pattern.map(Bytes::from),
            payload: "hello\nall".into(),
        };
        assert_eq!(line(&message(None), b"chat"), "message chat \"hello\\nall\"\n");
        assert_eq!(line(&message(Some("ch*")), b"ch*"), "pmessage ch* chat \"hello\\nall\"\n");
        assert_eq!(line(&Event::Gap { missed: Some(12) }, b"chat"), "gap chat 12\n");
        assert_eq!(line(&Event::Gap { missed: None }, b"chat"), "gap chat unknown\n");
    }
}
