//! What will happen, by time: the earliest first, and of what falls on one moment the first that was planned.
//!
//! The number that breaks ties makes a world deterministic: a heap alone would not say which of two equal entries comes first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Events that have not happened yet. Times are microseconds since the world began.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    entries: BinaryHeap<Entry<T>>,
    planned: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: u64,
    number: u64,
    event: T,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { entries: BinaryHeap::new(), planned: 0 }
    }

    pub(crate) fn plan(&mut self, at: u64, event: T) {
        self.planned += 1;
        self.entries.push(Entry { at, number: self.planned, event });
    }

    /// When the next event happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.entries.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.entries.pop().map(|entry| entry.event)
    }
}

impl<T> Ord for Entry<T> {
    /// The heap gives its greatest entry first, so earlier is greater.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_on_one_moment_happens_in_the_order_of_planning() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (9, 'e')] {
            queue.plan(at, event);
        }
        assert_eq!(queue.next_at(), Some(1));
        let order: String = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, "abcde");
    }
}
