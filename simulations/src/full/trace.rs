//! What was delivered: every connection, every piece of a stream, every datagram, with its time and a hash of its bytes.
//!
//! A link's frames are not cut apart: each read of a stream is one event, and the frames are all in them, byte for byte. Two runs are
//! the same history exactly when their traces are equal, and where they part, [`Trace::first_difference`] tells which machine did
//! something else first. That is where to look for a clock, a random number or a map's order that does not follow from the seed.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// What was delivered in a world, in the order in which it happened.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    events: Vec<Event>,
    /// Only the hash is kept.
    forgets: bool,
    hash: u64,
}

/// One delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Virtual time since the world began.
    pub at: Duration,
    /// Who sent, or who connected.
    pub from: SocketAddr,
    /// Who got it.
    pub to: SocketAddr,
    /// What it was.
    pub kind: Kind,
    /// How many bytes.
    pub bytes: usize,
    /// A hash of the bytes.
    pub hash: u64,
}

/// What was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A connection, seen by the side that asked for it.
    Connected,
    /// The refusal of a connection.
    Refused,
    /// A connection, seen by the side that was asked.
    Accepted,
    /// The next bytes of a connection.
    Segment,
    /// The end of a connection, by a goodbye.
    Closed,
    /// The end of a connection, by force.
    Reset,
    /// A datagram.
    Datagram,
}

impl Trace {
    /// All events; none in a world that keeps only their hash.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// One number for the whole trace: equal for equal traces, in every process.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Where two traces part: the place, and what each has there. `None` when they are equal.
    pub fn first_difference(&self, other: &Self) -> Option<(usize, Option<Event>, Option<Event>)> {
        let longest = self.events.len().max(other.events.len());
        let at = |trace: &Self, place: usize| trace.events.get(place).copied();
        (0..longest).map(|place| (place, at(self, place), at(other, place))).find(|(_, mine, theirs)| mine != theirs)
    }

    /// A trace that keeps the hash and forgets the events.
    pub(crate) fn forgetting() -> Self {
        Self { forgets: true, ..Self::default() }
    }

    pub(crate) fn record(&mut self, at: Duration, from: SocketAddr, to: SocketAddr, kind: Kind, bytes: &[u8]) {
        let event = Event { at, from, to, kind, bytes: bytes.len(), hash: xxh3_64(bytes) };
        for number in [at.as_nanos() as u64, place(from), place(to), kind as u64, bytes.len() as u64, event.hash] {
            self.hash = xxh3_64_with_seed(&number.to_le_bytes(), self.hash);
        }
        if !self.forgets {
            self.events.push(event);
        }
    }
}

/// An address as a number.
fn place(at: SocketAddr) -> u64 {
    let ip = match at.ip() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits() as u64,
    };
    ip << 16 | u64::from(at.port())
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, from, to, kind, bytes, hash } = self;
        write!(f, "{:>12.6} {from} > {to} {kind:?} {bytes} {hash:016x}", at.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(messages: &[&str]) -> Trace {
        let mut trace = Trace::default();
        let (from, to) = (SocketAddr::from(([10, 0, 0, 1], 1)), SocketAddr::from(([10, 0, 0, 2], 2)));
        for message in messages {
            trace.record(Duration::from_millis(5), from, to, Kind::Datagram, message.as_bytes());
        }
        trace
    }

    #[test]
    fn traces_part_at_the_first_byte_that_differs() {
        let place = |a: &[&str], b: &[&str]| trace(a).first_difference(&trace(b)).map(|(place, ..)| place);
        assert_eq!(place(&["a", "b"], &["a", "b"]), None);
        assert_eq!(place(&["a", "b"], &["a", "c"]), Some(1));
        assert_eq!(place(&["a", "b"], &["a"]), Some(1));
        assert_eq!(trace(&["a"]).hash(), trace(&["a"]).hash());
        assert_ne!(trace(&["a"]).hash(), trace(&["b"]).hash());
    }
}
