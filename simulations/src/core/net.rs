//! What lies between machines: wires, connections, the queue of what is under way, and time.
//!
//! Processes send through it and are called by it. It decides when and whether something arrives, and counts; what it means is the
//! processes' affair. All that is left to chance on the way is drawn from the one generator here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headcount_cluster::link::frame::HEADER_BYTES;
use headcount_cluster::link::handshake::encode;
use headcount_cluster::{Class, Member};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::clock::Now;
use super::connection::{Connections, End};
use super::event::{Event, Piece, Timer};
use super::gossip::Message;
use super::queue::Queue;
use super::trace::Trace;
use super::wire::{Way, Wire, draw};
use crate::plan::FaultKind;
use crate::stage::Carried;

/// Bytes that may be under way in one direction of a connection: what the buffers of both kernels hold.
const WINDOW_BYTES: usize = 256 << 10;

/// What a message of a handshake takes.
const HANDSHAKE_BYTES: usize = 100;

/// The longest time between two retransmissions, in microseconds.
const LONGEST_RETRANSMISSION: u64 = 2_000_000;

/// Bytes that come in at longer distances than this are no one trickle.
const TRICKLE_GAP: u64 = 100_000;

/// Everything between machines. Times are microseconds since the world began.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) now: u64,
    shown: Now,
    pub(crate) queue: Queue<Event>,
    pub(crate) rng: SmallRng,
    usual: (u64, u64),
    /// The directions with which something is, or was, wrong.
    wires: BTreeMap<(u32, u32), Wire>,
    pub(crate) connections: Connections,
    /// Everybody that ever was, numbered: gossip speaks of numbers.
    pub(crate) incarnations: Vec<Member>,
    pub(crate) occurred: BTreeMap<FaultKind, u64>,
    pub(crate) carried: Carried,
    pub(crate) trace: Trace,
}

impl Net {
    pub(crate) fn new(seed: u64, latency_ms: (u32, u32)) -> Self {
        Self {
            now: 0,
            shown: Arc::new(AtomicU64::new(0)),
            queue: Queue::new(),
            rng: SmallRng::seed_from_u64(seed),
            usual: micros(latency_ms),
            wires: BTreeMap::new(),
            connections: Connections::default(),
            incarnations: Vec::new(),
            occurred: BTreeMap::new(),
            carried: Carried::default(),
            trace: Trace::default(),
        }
    }

    /// The time that clocks follow.
    pub(crate) fn clock(&self) -> &Now {
        &self.shown
    }

    pub(crate) fn set_now(&mut self, now: u64) {
        debug_assert!(now >= self.now, "time does not go back");
        self.now = now;
        self.shown.store(now, Ordering::Relaxed);
    }

    pub(crate) fn count(&mut self, kind: FaultKind) {
        *self.occurred.entry(kind).or_default() += 1;
    }

    pub(crate) fn call_at(&mut self, at: u64, node: u32, life: u32, timer: Timer) {
        self.queue.plan(at, Event::Timer { node, life, timer });
    }

    // ---- wires

    pub(crate) fn wire(&mut self, from: u32, to: u32) -> &mut Wire {
        self.wires.entry((from, to)).or_default()
    }

    pub(crate) fn is_cut(&self, from: u32, to: u32) -> bool {
        self.wires.get(&(from, to)).is_some_and(|wire| wire.cut_since.is_some())
    }

    /// A wire carries again; what waited follows at TCP's next attempt. Returns whether it was cut.
    pub(crate) fn mend(&mut self, from: u32, to: u32) -> bool {
        let Some(since) = self.wires.get_mut(&(from, to)).and_then(|wire| wire.cut_since.take()) else { return false };
        let pause = (self.now - since).min(LONGEST_RETRANSMISSION);
        let waiting = self.connections.ends(|half, peer| {
            let between = [(half.node, peer.node), (peer.node, half.node)].contains(&(from, to));
            between && !half.out.stalled.is_empty()
        });
        for end in waiting {
            let at = self.now + draw(&mut self.rng, (0, pause));
            self.queue.plan(at, Event::Retransmit(end));
        }
        true
    }

    /// A wire is as wide as usual again: what was on its way through the narrow place is soon there. Returns whether it was narrow.
    pub(crate) fn widen(&mut self, from: u32, to: u32) -> bool {
        let is_narrow = self.wires.get_mut(&(from, to)).is_some_and(|wire| wire.width.take().is_some());
        if !is_narrow {
            return false;
        }
        let waiting =
            self.connections.ends(|half, peer| (half.node, peer.node) == (from, to) && !half.out.squeezed.is_empty());
        for end in waiting {
            let soon = self.now + draw(&mut self.rng, self.usual);
            let Some(half) = self.connections.half_mut(end) else { continue };
            half.out.trickles = (0, 0);
            for (arrives, piece) in std::mem::take(&mut half.out.squeezed) {
                half.out.last_arrival = half.out.last_arrival.max(arrives.min(soon));
                self.queue.plan(half.out.last_arrival, Event::Piece { to: end.peer(), piece });
            }
        }
        true
    }

    /// The next piece from an end that is through the narrow place.
    pub(crate) fn take_squeezed(&mut self, end: End) -> Option<Piece> {
        let now = self.now;
        let squeezed = &mut self.connections.half_mut(end)?.out.squeezed;
        let (arrived, piece) = squeezed.pop_front_if(|(arrives, _)| *arrives <= now)?;
        let half = self.connections.half_mut(end)?;
        half.out.last_arrival = arrived;
        Some(piece)
    }

    /// Everything is as it should be between all machines.
    pub(crate) fn mend_all(&mut self) {
        let wires: Vec<(u32, u32)> = self.wires.keys().copied().collect();
        for (from, to) in wires {
            self.mend(from, to);
            self.widen(from, to);
        }
        self.wires.clear();
    }

    // ---- datagrams

    pub(crate) fn send_datagram(&mut self, from: u32, to: u32, message: Message) {
        let bytes = message.bytes();
        let Self { now, rng, wires, occurred, usual, .. } = self;
        let mut note = |kind| *occurred.entry(kind).or_default() += 1;
        let mut arrivals = [None, None];
        match wires.get_mut(&(from, to)) {
            None => arrivals[0] = Some(*now + draw(rng, *usual)),
            Some(wire) => {
                arrivals[0] = wire.datagram(*now, bytes, *usual, rng, &mut note).map(|way| way.arrives);
                if arrivals[0].is_some() && wire.repeats(rng) {
                    note(FaultKind::Repeat);
                    arrivals[1] = Some(wire.piece(*now, bytes, *usual, rng, |_| {}).arrives);
                }
            }
        }
        if let [_, Some(at)] = arrivals {
            self.queue.plan(at, Event::Datagram { from, to, message: message.clone() });
        }
        if let [Some(at), _] = arrivals {
            self.queue.plan(at, Event::Datagram { from, to, message });
        }
    }

    /// A datagram has reached a process.
    pub(crate) fn note_datagram(&mut self, from: u32, to: u32, message: &Message) {
        self.carried.datagrams += 1;
        self.carried.datagram_bytes += message.bytes() as u64;
        self.trace.delivered(self.now, from, to, "datagram", &message.hash().to_le_bytes());
    }

    // ---- connections

    /// A piece of a connection has reached a machine.
    pub(crate) fn note_piece(&mut self, to: End, piece: &Piece) {
        let (Some(from), Some(at)) = (self.connections.half(to.peer()), self.connections.half(to)) else { return };
        let (from, at) = (from.node, at.node);
        match piece {
            Piece::Frame(Class::Control, payload) => self.trace.delivered(self.now, from, at, "control", payload),
            Piece::Frame(Class::Stream | Class::Bulk, payload) => {
                self.carried.frames += 1;
                self.carried.frame_bytes += size(piece) as u64;
                self.trace.delivered(self.now, from, at, "frame", payload);
            }
            Piece::Hello(hello) => self.trace.delivered(self.now, from, at, "hello", &encode(&**hello)),
            Piece::Answer(answer) => self.trace.delivered(self.now, from, at, "answer", &encode(&**answer)),
            Piece::End(reason) => self.trace.delivered(self.now, from, at, "end", reason.as_bytes()),
        }
    }

    /// Connects and says hello: a round trip for the connection, and the way of the hello.
    pub(crate) fn dial(&mut self, from: u32, life: u32, to: u32, hello: Piece) -> End {
        let end = self.connections.open(from, life, to);
        self.send(end, hello);
        end
    }

    /// Whether a connection's end may send more now. When not, [`Timer::Writable`] comes.
    pub(crate) fn has_window(&mut self, end: End) -> bool {
        let Some(half) = self.connections.half_mut(end) else { return false };
        half.out.is_full = half.out.in_flight >= WINDOW_BYTES;
        !half.out.is_full
    }

    /// Sends a piece from an end.
    pub(crate) fn send(&mut self, end: End, piece: Piece) {
        let bytes = size(&piece);
        let Some(half) = self.connections.half_mut(end) else { return };
        half.out.in_flight += bytes;
        if !half.out.stalled.is_empty() {
            half.out.stalled.push_back(piece);
            return;
        }
        self.put_on_wire(end, piece, bytes);
    }

    /// A piece has been read: its sender has room again.
    pub(crate) fn was_read(&mut self, to: End, bytes: usize) {
        let soonest = self.now + self.usual.0;
        let Some(half) = self.connections.half_mut(to.peer()) else { return };
        half.out.in_flight = half.out.in_flight.saturating_sub(bytes);
        if half.out.is_full && half.out.in_flight < WINDOW_BYTES {
            half.out.is_full = false;
            if let (node, Some(life)) = (half.node, half.life) {
                self.call_at(soonest, node, life, Timer::Writable(to.peer()));
            }
        }
    }

    /// Sends again what waited for the end of a cut.
    pub(crate) fn retransmit(&mut self, end: End) {
        let Some(half) = self.connections.half_mut(end) else { return };
        let waiting = std::mem::take(&mut half.out.stalled);
        for piece in waiting {
            let Some(half) = self.connections.half_mut(end) else { return };
            if half.out.stalled.is_empty() {
                let bytes = size(&piece);
                self.put_on_wire(end, piece, bytes);
            } else {
                half.out.stalled.push_back(piece);
            }
        }
    }

    /// Closes an end; the other hears of it. Nothing comes to this one any more.
    pub(crate) fn close(&mut self, end: End, reason: &'static str) {
        let Some(half) = self.connections.half_mut(end) else { return };
        if !std::mem::replace(&mut half.is_open, false) {
            return;
        }
        let never_went_out = matches!(half.out.stalled.front(), Some(Piece::Hello(_)));
        let is_last = self.connections.half(end.peer()).is_none_or(|peer| !peer.is_open);
        if never_went_out || is_last {
            self.connections.remove(end.connection);
        } else {
            self.send(end, Piece::End(reason));
        }
    }

    /// An end is there no more, and nobody says so.
    pub(crate) fn vanish(&mut self, end: End) {
        let is_last = self.connections.half(end.peer()).is_none_or(|peer| !peer.is_open);
        if is_last {
            self.connections.remove(end.connection);
        } else if let Some(half) = self.connections.half_mut(end) {
            half.is_open = false;
            half.out.stalled.clear();
        }
    }

    /// Answers a piece for an end that is there no more, as a machine's kernel does.
    pub(crate) fn answer_with_reset(&mut self, end: End) {
        let Some(half) = self.connections.half_mut(end) else { return };
        half.is_open = true;
        self.close(end, "the connection is not known there");
    }

    /// The open ends of a process.
    pub(crate) fn ends_of(&self, node: u32, life: u32) -> Vec<End> {
        self.connections.ends(|half, _| half.node == node && half.life == Some(life) && half.is_open)
    }

    /// Since when an end has had no byte, given when it last read a whole piece: a piece on its way through a narrow place
    /// is heard byte for byte.
    pub(crate) fn silent_since(&self, end: End, last_read: u64) -> u64 {
        let Some(half) = self.connections.half(end.peer()) else { return last_read };
        let (from, until) = half.out.trickles;
        let is_held = self.is_cut(half.node, self.connections.half(end).map_or(half.node, |half| half.node));
        if from <= self.now && !is_held { last_read.max(until.min(self.now)) } else { last_read }
    }

    fn put_on_wire(&mut self, end: End, piece: Piece, bytes: usize) {
        let (Some(from), Some(to)) = (self.connections.half(end), self.connections.half(end.peer())) else { return };
        let (from, to) = (from.node, to.node);
        let is_hello = matches!(piece, Piece::Hello(_));
        let is_held = self.is_cut(from, to) || is_hello && self.is_cut(to, from);
        let breaks = matches!(piece, Piece::Frame(Class::Bulk, _)) && self.takes_break(from, to);
        if breaks {
            self.break_connection(end);
            return;
        }
        if is_held {
            self.count(FaultKind::Cut);
            if let Some(half) = self.connections.half_mut(end) {
                half.out.stalled.push_back(piece);
            }
            return;
        }
        // Connecting takes a round trip before the hello.
        let connected = if is_hello { draw(&mut self.rng, self.usual) + draw(&mut self.rng, self.usual) } else { 0 };
        let way = self.way(from, to, bytes);
        let is_narrow = self.wires.get(&(from, to)).is_some_and(|wire| wire.width.is_some());
        let Some(half) = self.connections.half_mut(end) else { return };
        let former = half.out.squeezed.back().map_or(half.out.last_arrival, |(arrives, _)| *arrives);
        let arrives = (way.arrives + connected).max(former);
        if way.trickles_for > 0 {
            let began = arrives - way.trickles_for;
            let (since, until) = half.out.trickles;
            half.out.trickles = (if began <= until + TRICKLE_GAP { since } else { began }, arrives);
        }
        if is_narrow {
            half.out.squeezed.push_back((arrives, piece));
            self.queue.plan(arrives, Event::Squeezed(end));
        } else {
            half.out.last_arrival = arrives;
            self.queue.plan(arrives, Event::Piece { to: end.peer(), piece });
        }
    }

    fn way(&mut self, from: u32, to: u32, bytes: usize) -> Way {
        let Self { now, rng, wires, occurred, usual, .. } = self;
        match wires.get_mut(&(from, to)) {
            None => {
                let arrives = *now + draw(rng, *usual);
                Way { trickles_for: 0, arrives }
            }
            Some(wire) => wire.piece(*now, bytes, *usual, rng, |kind| *occurred.entry(kind).or_default() += 1),
        }
    }

    fn takes_break(&mut self, from: u32, to: u32) -> bool {
        self.wires.get_mut(&(from, to)).is_some_and(|wire| std::mem::take(&mut wire.breaks_snapshot))
    }

    /// Both ends hear at once that the connection is broken. What is under way arrives nowhere.
    fn break_connection(&mut self, end: End) {
        self.count(FaultKind::BreakSnapshot);
        for to in [end, end.peer()] {
            self.queue.plan(self.now, Event::Piece { to, piece: Piece::End("the connection was reset") });
        }
    }
}

/// Milliseconds as microseconds.
pub(crate) fn micros((min_ms, max_ms): (u32, u32)) -> (u64, u64) {
    (u64::from(min_ms) * 1000, u64::from(max_ms) * 1000)
}

/// What a piece takes on the wire.
pub(crate) fn size(piece: &Piece) -> usize {
    match piece {
        Piece::Frame(_, payload) => HEADER_BYTES + payload.len(),
        Piece::Hello(_) | Piece::Answer(_) => HANDSHAKE_BYTES,
        Piece::End(_) => 0,
    }
}
