//! The chat that arrives on a node, counted by the node on which it was said.
//!
//! Counting by speaker makes the check at the end exact: a node must have heard each of the others' messages once, and a
//! node that was dead for a while can be left out of it. Messages carry their node's name for that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use headcount::{Event, Subscription};
use tokio_util::task::AbortOnDropHandle;

/// What arrived.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    by_speaker: BTreeMap<String, u64>,
    /// Messages that were dropped because this listener was slow.
    pub(super) missed: u64,
}

impl Heard {
    /// Messages that were said on a node.
    pub(super) fn from(&self, node: &str) -> u64 {
        self.by_speaker.get(node).copied().unwrap_or(0)
    }

    /// All messages.
    pub(super) fn total(&self) -> u64 {
        self.by_speaker.values().sum()
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Message { payload, .. } => {
                *self.by_speaker.entry(speaker(payload)).or_default() += 1;
            }
            Event::Gap { missed } => self.missed += missed.unwrap_or(1),
            other => debug_assert!(false, "an event that the demo does not know: {other:?}"),
        }
    }
}

/// Listens to a subscription for as long as it exists.
#[derive(Debug)]
pub(super) struct Ear {
    heard: Arc<Mutex<Heard>>,
    _task: AbortOnDropHandle<()>,
}

impl Ear {
    /// Begins to listen.
    pub(super) fn new(mut subscription: Subscription) -> Self {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let counts = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Some(event) = subscription.recv().await {
                counts.lock().unwrap_or_else(PoisonError::into_inner).take(&event);
            }
        });
        Self { heard, _task: AbortOnDropHandle::new(task) }
    }

    /// What has arrived until now.
    pub(super) fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A chat message: who says it on which node, and what.
pub(super) fn message(node: &str, player: &str, text: &str) -> String {
    format!("{node}/{player}: {text}")
}

fn speaker(payload: &[u8]) -> String {
    let node = payload.split(|byte| *byte == b'/').next().unwrap_or_default();
    String::from_utf8_lossy(node).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_by_the_node_on_which_they_were_said() {
        let mut heard = Heard::default();
        for (node, player) in [("a", "p-1"), ("b", "p-2"), ("a", "p-3")] {
            let payload = message(node, player, "hello / all").into();
            heard.take(&Event::Message { topic: "chat:x".into(), pattern: None, payload });
        }
        heard.take(&Event::Gap { missed: Some(2) });
        assert_eq!((heard.from("a"), heard.from("b"), heard.from("c")), (2, 1, 0));
        assert_eq!((heard.total(), heard.missed), (3, 2));
    }
}
