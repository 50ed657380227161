//! What will happen, by time: the earliest first, and of what falls on one moment the first that was planned.
//!
//! The number that breaks ties makes a world deterministic: a heap alone would not say which of two equal entries comes first. Only
//! what happens within the next four milliseconds is in a heap; what comes later waits unsorted in slots, because with hundreds of nodes there are hundreds
//! of thousands of timers, and a heap of them all took a third of the time. Invariant: all entries up to the present slot are in `near`.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Microseconds in a slot, as a power of two.
const SLOT_BITS: u32 = 12;

/// How many slots there are: some eight seconds, which nearly all timers are shorter than.
const SLOTS: u64 = 2_048;

/// Events that have not happened yet. Times are microseconds since the world began.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    near: BinaryHeap<Entry<T>>,
    present_slot: u64,
    slots: Vec<Vec<Entry<T>>>,
    /// How many entries are in slots.
    waiting: usize,
    far: BinaryHeap<Entry<T>>,
    planned: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: u64,
    number: u64,
    event: T,
}

impl<T> Entry<T> {
    fn slot(&self) -> u64 {
        self.at >> SLOT_BITS
    }
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            near: BinaryHeap::new(),
            present_slot: 0,
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            waiting: 0,
            far: BinaryHeap::new(),
            planned: 0,
        }
    }

    pub(crate) fn plan(&mut self, at: u64, event: T) {
        self.planned += 1;
        let entry = Entry { at, number: self.planned, event };
        let slot = entry.slot();
        if slot <= self.present_slot {
            self.near.push(entry);
        } else if slot < self.present_slot + SLOTS {
            self.slots[(slot % SLOTS) as usize].push(entry);
            self.waiting += 1;
        } else {
            self.far.push(entry);
        }
    }

    /// When the next event happens.
    pub(crate) fn next_at(&mut self) -> Option<u64> {
        while self.near.is_empty() {
            self.present_slot = match self.far.peek() {
                Some(first) if self.waiting == 0 => first.slot(),
                None if self.waiting == 0 => return None,
                Some(_) | None => self.present_slot + 1,
            };
            self.open_slot();
        }
        self.near.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.next_at()?;
        self.near.pop().map(|entry| entry.event)
    }

    fn open_slot(&mut self) {
        let slot = &mut self.slots[(self.present_slot % SLOTS) as usize];
        self.waiting -= slot.len();
        self.near.extend(slot.drain(..));
        while self.far.peek().is_some_and(|first| first.slot() <= self.present_slot) {
            self.near.extend(self.far.pop());
        }
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
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

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

    #[test]
    fn what_is_planned_for_soon_later_and_much_later_happens_in_order() {
        let mut queue = Queue::new();
        let mut rng = SmallRng::seed_from_u64(1);
        let (mut now, mut open) = (0, 0);
        for planned in 0..10_000 {
            for longest in [100, 50_000, 5_000_000, 60_000_000] {
                if planned % 2 == 0 {
                    let at = now + rng.random_range(0..longest);
                    queue.plan(at, at);
                    open += 1;
                }
            }
            let at = queue.next_at().unwrap();
            assert!(at >= now);
            assert_eq!(queue.pop(), Some(at));
            (now, open) = (at, open - 1);
        }
        let rest: Vec<u64> = std::iter::from_fn(|| queue.pop()).collect();
        assert!(rest.is_sorted() && rest.len() == open);
        assert_eq!(queue.next_at(), None);
    }
}
