//! Operations that arrived and wait for what they depend on.
//!
//! Why: first in, first out per origin is not enough. A removal by Q of O's row can arrive before O's addition; applied at
//! once it would remove nothing, and the row would come back for ever. So the removal waits, and Q's
//! stream with it. Bounded: what does not fit is dropped and fetched again by anti-entropy, because the
//! origin's applied number has not moved.

use std::collections::VecDeque;

use crate::limits::MAX_INBOX_BYTES;

/// The waiting end of one origin's stream.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Sequence number of the first waiting operation.
    first: u64,
    waiting: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// The gossip round since which something waits.
    pub(crate) waiting_since: Option<u64>,
}

impl Inbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sequence number of the last waiting operation; `None` when nothing waits.
    pub(crate) fn last(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.first + self.waiting.len() as u64 - 1)
    }

    /// Keeps operation `seq`, which follows the last one. Returns whether there was room.
    pub(crate) fn push(&mut self, seq: u64, op: &[u8]) -> bool {
        if self.bytes + op.len() > MAX_INBOX_BYTES && !self.is_empty() {
            return false;
        }
        if self.is_empty() {
            self.first = seq;
        }
        self.bytes += op.len();
        self.waiting.push_back(op.into());
        true
    }

    /// Takes the first operation, with its sequence number.
    pub(crate) fn pop(&mut self) -> Option<(u64, Box<[u8]>)> {
        let op = self.waiting.pop_front()?;
        self.bytes -= op.len();
        self.first += 1;
        Some((self.first - 1, op))
    }

    /// Puts back what [`pop`](Self::pop) gave.
    pub(crate) fn put_back(&mut self, op: Box<[u8]>) {
        self.first -= 1;
        self.bytes += op.len();
        self.waiting.push_front(op);
    }

    /// Forgets operations up to `seq`: they became known in another way.
    pub(crate) fn drop_through(&mut self, seq: u64) {
        while !self.is_empty() && self.first <= seq {
            self.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_refuses_the_operation_past_it_and_keeps_the_rest() {
        let mut inbox = Inbox::default();
        assert!(inbox.push(1, &vec![0; MAX_INBOX_BYTES]));
        assert!(!inbox.push(2, &[0]));
        assert_eq!(inbox.last(), Some(1));
        inbox.drop_through(1);
        assert!(inbox.is_empty());
        assert!(inbox.push(2, &[0]));
    }
}
