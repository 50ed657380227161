//! Messages that are here before what their publisher had written before them.
//!
//! On a link a message comes after its publisher's operations, but that is not all: an operation may wait for what it observed of others, and
//! who lacks what no log has any more is pushed nothing and loads a snapshot. So a frame of messages names the last operation
//! before it, and its messages are handed out when that is applied: who hears a message finds what its publisher wrote before it. What
//! waits is bounded like what waits for a peer; what does not fit, and what a publisher that is Gone had said, is dropped and counted.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use headcount_cluster::Origin;
use headcount_cluster::codec::{self, CodecError};

use crate::state::State;
use crate::wire::Message;

/// What waits, by publisher.
#[derive(Debug, Default)]
pub(crate) struct Early {
    of: BTreeMap<Origin, Queue>,
    /// How many were dropped, by publisher.
    dropped: BTreeMap<Origin, u64>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
}

/// Messages of one frame.
#[derive(Debug)]
struct Frame {
    /// The last of their publisher's operations before them.
    after: u64,
    count: u64,
    /// Encoded, and known to be well-formed.
    messages: Bytes,
}

impl State {
    /// Takes a publisher's messages, in the order in which they were published.
    pub(crate) fn take_messages(&mut self, from: Origin, after: u64, messages: Bytes) -> Result<(), CodecError> {
        if self.origins.applied(from) >= after && !self.early.of.contains_key(&from) {
            return self.hand_out(&messages);
        }
        let mut tail = &messages[..];
        let mut count = 0;
        while !tail.is_empty() {
            codec::take::<Message<'_>>(&mut tail)?;
            count += 1;
        }
        let bytes = self.early.of.get(&from).map_or(0, |queue| queue.bytes) + messages.len();
        if bytes > self.limits.peer_queue_bytes {
            self.note_dropped(from, count);
            return Ok(());
        }
        let waiting = self.early.of.entry(from).or_default();
        waiting.bytes += messages.len();
        waiting.frames.push_back(Frame { after, count, messages });
        Ok(())
    }

    /// Hands out what waited for operations that have been applied since.
    pub(crate) fn hand_out_early(&mut self) {
        // Most of the time nothing waits, and this is asked after every run of operations.
        if self.early.of.is_empty() {
            return;
        }
        for from in self.early.of.keys().copied().collect::<Vec<_>>() {
            let applied = self.origins.applied(from);
            while let Some(frame) = self.early.take(from, applied) {
                if let Err(error) = self.hand_out(&frame.messages) {
                    unreachable!("it was decoded when it came: {error}");
                }
            }
        }
    }

    /// Nothing more of a publisher is waited for.
    pub(crate) fn drop_early(&mut self, from: Origin) {
        let queue = self.early.of.remove(&from).unwrap_or_default();
        self.note_dropped(from, queue.frames.iter().map(|frame| frame.count).sum());
    }

    /// How many messages of each publisher were dropped here, because what was written before them did not come in time.
    pub fn messages_dropped_of_peers(&self) -> impl Iterator<Item = (Origin, u64)> {
        self.early.dropped.iter().map(|(origin, count)| (*origin, *count))
    }

    fn hand_out(&mut self, messages: &[u8]) -> Result<(), CodecError> {
        let mut tail = messages;
        while !tail.is_empty() {
            let message: Message<'_> = codec::take(&mut tail)?;
            self.deliver(message.topic.0, message.payload.0);
        }
        Ok(())
    }

    fn note_dropped(&mut self, from: Origin, count: u64) {
        if count > 0 {
            *self.early.dropped.entry(from).or_default() += count;
            self.stats.messages_dropped += count;
        }
    }
}

impl Early {
    /// Forgets what was dropped of an origin.
    pub(crate) fn forget(&mut self, origin: Origin) {
        self.dropped.remove(&origin);
    }

    /// The publisher's next messages, when what was written before them is applied.
    fn take(&mut self, from: Origin, applied: u64) -> Option<Frame> {
        let queue = self.of.get_mut(&from)?;
        let frame = queue.frames.pop_front_if(|frame| frame.after <= applied)?;
        queue.bytes -= frame.messages.len();
        if queue.frames.is_empty() {
            self.of.remove(&from);
        }
        Some(frame)
    }
}
