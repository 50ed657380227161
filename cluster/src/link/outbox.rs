//! What waits to be sent to one peer: three bounded queues and the order in which they are emptied.
//!
//! Control goes first, then stream, then bulk; but after a megabyte of stream one bulk frame gets its turn, so that a peer that is
//! catching up is not starved by a busy cluster. Invariants: a class takes a frame only while it holds less than its cap, so that one
//! frame may exceed the cap and a frame of any allowed size can be sent at all; a class that refused a frame announces exactly once
//! that it has fallen under half its cap; a goodbye comes after everything that was queued before it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::frame::{ControlFrame, HEADER_BYTES};
use crate::event::Class;

/// Stream bytes after which a waiting bulk frame gets its turn.
const STREAM_TURN_BYTES: usize = 1 << 20;

/// The frames that wait for one peer.
#[derive(Debug)]
pub struct Outbox {
    control: Queue,
    stream: Queue,
    bulk: Queue,
    stream_turn_bytes: usize,
    state: OutboxState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutboxState {
    Open,
    /// Takes no more frames; the goodbye goes out when all else has.
    SayingGoodbye,
    /// Takes no more frames; what is queued goes out, then the connection ends.
    Finishing,
    /// Takes and gives nothing.
    Closed,
}

impl Outbox {
    /// An empty outbox with a cap in bytes per class.
    pub fn new(control_bytes: usize, stream_bytes: usize, bulk_bytes: usize) -> Self {
        Self {
            control: Queue::new(control_bytes),
            stream: Queue::new(stream_bytes),
            bulk: Queue::new(bulk_bytes),
            stream_turn_bytes: 0,
            state: OutboxState::Open,
        }
    }

    /// Queues a frame.
    ///
    /// # Errors
    /// [`PushRefused`] with the payload; nothing was queued.
    pub fn push(&mut self, class: Class, payload: Bytes) -> Result<(), (PushRefused, Bytes)> {
        if self.state != OutboxState::Open {
            return Err((PushRefused::Closed, payload));
        }
        self.queue_mut(class).push(payload).map_err(|payload| (PushRefused::Full, payload))
    }

    /// Queues a control frame; it is dropped when the queue is full or closed, since a heartbeat is worth no memory.
    pub fn push_control(&mut self, frame: ControlFrame) {
        if matches!(self.state, OutboxState::Open | OutboxState::SayingGoodbye) {
            let _ = self.control.push(frame.payload());
        }
    }

    /// The next frame to send.
    pub fn pop(&mut self) -> Option<(Class, Bytes)> {
        if let Some(payload) = self.control.pop() {
            return Some((Class::Control, payload));
        }
        let is_streams_turn = self.stream_turn_bytes < STREAM_TURN_BYTES || self.bulk.frames.is_empty();
        if is_streams_turn && let Some(payload) = self.stream.pop() {
            self.stream_turn_bytes = self.stream_turn_bytes.saturating_add(payload.len() + HEADER_BYTES);
            return Some((Class::Stream, payload));
        }
        if let Some(payload) = self.bulk.pop() {
            self.stream_turn_bytes = 0;
            return Some((Class::Bulk, payload));
        }
        self.pop_goodbye()
    }

    fn pop_goodbye(&mut self) -> Option<(Class, Bytes)> {
        match self.state {
            OutboxState::SayingGoodbye => {
                self.state = OutboxState::Finishing;
                Some((Class::Control, ControlFrame::Goodbye.payload()))
            }
            OutboxState::Open | OutboxState::Finishing | OutboxState::Closed => None,
        }
    }

    /// Takes no more frames and sends a goodbye after those that wait.
    pub fn say_goodbye(&mut self) {
        if self.state == OutboxState::Open {
            self.state = OutboxState::SayingGoodbye;
        }
    }

    /// Takes no more frames; those that wait are still sent.
    pub fn finish(&mut self) {
        if self.state != OutboxState::Closed {
            self.state = OutboxState::Finishing;
        }
    }

    /// Takes no more frames and forgets those that wait.
    pub fn close(&mut self) {
        self.state = OutboxState::Closed;
        for queue in [&mut self.control, &mut self.stream, &mut self.bulk] {
            queue.frames.clear();
            queue.bytes = 0;
            queue.refused = false;
        }
    }

    /// Whether everything that will ever be sent has been.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, OutboxState::Finishing | OutboxState::Closed)
            && self.control.frames.is_empty()
            && self.stream.frames.is_empty()
            && self.bulk.frames.is_empty()
    }

    /// Whether a class that had refused a frame has fallen under half its cap since the last call.
    pub fn take_writable(&mut self) -> bool {
        if self.state != OutboxState::Open {
            return false;
        }
        let stream = self.stream.take_writable();
        let bulk = self.bulk.take_writable();
        stream || bulk
    }

    /// Whether a class takes another frame now. A no counts as a refusal: [`take_writable`](Self::take_writable) tells
    /// when to ask again.
    pub fn has_room(&mut self, class: Class) -> bool {
        let open = self.state == OutboxState::Open;
        let queue = self.queue_mut(class);
        let room = queue.bytes < queue.cap;
        queue.refused |= !room;
        open && room
    }

    /// Bytes that wait in a class, headers included.
    pub fn queued_bytes(&self, class: Class) -> usize {
        self.queue(class).bytes
    }

    fn queue(&self, class: Class) -> &Queue {
        match class {
            Class::Control => &self.control,
            Class::Stream => &self.stream,
            Class::Bulk => &self.bulk,
        }
    }

    fn queue_mut(&mut self, class: Class) -> &mut Queue {
        match class {
            Class::Control => &mut self.control,
            Class::Stream => &mut self.stream,
            Class::Bulk => &mut self.bulk,
        }
    }
}

struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    cap: usize,
    refused: bool,
}

impl Queue {
    fn new(cap: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, cap, refused: false }
    }

    fn push(&mut self, payload: Bytes) -> Result<(), Bytes> {
        if self.bytes >= self.cap {
            self.refused = true;
            return Err(payload);
        }
        self.bytes += payload.len() + HEADER_BYTES;
        self.frames.push_back(payload);
        Ok(())
    }

    fn pop(&mut self) -> Option<Bytes> {
        let payload = self.frames.pop_front()?;
        self.bytes -= payload.len() + HEADER_BYTES;
        Some(payload)
    }

    fn take_writable(&mut self) -> bool {
        let writable = self.refused && self.bytes < self.cap / 2;
        if writable {
            self.refused = false;
        }
        writable
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} frames, {} of {} bytes", self.frames.len(), self.bytes, self.cap)
    }
}

/// Why an outbox took no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushRefused {
    /// The class is at its cap.
    Full,
    /// The outbox takes no more frames at all.
    Closed,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(1_000, 1_000, 1_000)
    }

    fn payload(bytes: usize) -> Bytes {
        Bytes::from(vec![0; bytes])
    }

    #[test]
    fn control_goes_before_stream_before_bulk() {
        let mut outbox = outbox();
        outbox.push(Class::Bulk, payload(1)).unwrap();
        outbox.push(Class::Stream, payload(2)).unwrap();
        outbox.push_control(ControlFrame::Heartbeat);
        let order: Vec<Class> = std::iter::from_fn(|| outbox.pop()).map(|(class, _)| class).collect();
        assert_eq!(order, [Class::Control, Class::Stream, Class::Bulk]);
    }

    #[test]
    fn a_busy_stream_leaves_bulk_its_turn() {
        let mut outbox = Outbox::new(1_000, 64 << 20, 1_000);
        outbox.push(Class::Bulk, payload(1)).unwrap();
        for _ in 0..40 {
            outbox.push(Class::Stream, payload(100 << 10)).unwrap();
        }
        let position = std::iter::from_fn(|| outbox.pop()).position(|(class, _)| class == Class::Bulk);
        assert_eq!(position, Some(11));
    }

    #[test]
    fn a_frame_is_taken_below_the_cap_and_refused_at_it() {
        let mut outbox = outbox();
        outbox.push(Class::Stream, payload(1_000 - HEADER_BYTES - 1)).unwrap();
        assert!(outbox.has_room(Class::Stream));
        outbox.push(Class::Stream, payload(5_000)).unwrap();
        assert!(!outbox.has_room(Class::Stream));
        assert!(matches!(outbox.push(Class::Stream, payload(1)), Err((PushRefused::Full, _))));
        assert!(outbox.has_room(Class::Bulk));
    }

    #[test]
    fn a_class_that_refused_announces_once_that_it_fell_under_half_its_cap() {
        let mut outbox = outbox();
        for _ in 0..4 {
            outbox.push(Class::Stream, payload(250)).unwrap();
        }
        assert!(outbox.push(Class::Stream, payload(1)).is_err());
        for expected in [false, false, true, false] {
            outbox.pop();
            assert_eq!(outbox.take_writable(), expected);
        }
    }

    #[test]
    fn a_goodbye_comes_after_all_that_was_queued_and_nothing_follows_it() {
        let mut outbox = outbox();
        outbox.push(Class::Bulk, payload(1)).unwrap();
        outbox.say_goodbye();
        assert!(matches!(outbox.push(Class::Stream, payload(1)), Err((PushRefused::Closed, _))));
        assert_eq!(outbox.pop().map(|(class, _)| class), Some(Class::Bulk));
        assert!(!outbox.is_finished());
        assert_eq!(outbox.pop(), Some((Class::Control, ControlFrame::Goodbye.payload())));
        assert_eq!(outbox.pop(), None);
        assert!(outbox.is_finished());
    }

    proptest! {
        #[test]
        fn bytes_are_counted_exactly_and_order_is_kept_in_a_class(steps in proptest::collection::vec((0_u8..3, 0_usize..400), 0..100)) {
            let mut outbox = outbox();
            let mut model: VecDeque<Bytes> = VecDeque::new();
            for (n, (step, size)) in steps.into_iter().enumerate() {
                if step == 0 {
                    prop_assert_eq!(outbox.pop(), model.pop_front().map(|payload| (Class::Stream, payload)));
                } else {
                    let payload = Bytes::from(vec![n as u8; size]);
                    if outbox.push(Class::Stream, payload.clone()).is_ok() {
                        model.push_back(payload);
                    }
                }
                let expected: usize = model.iter().map(|payload| payload.len() + HEADER_BYTES).sum();
                prop_assert_eq!(outbox.queued_bytes(Class::Stream), expected);
                prop_assert!(expected < 1_000 + 400 + HEADER_BYTES);
            }
        }
    }
}
