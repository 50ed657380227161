//! What lies between the machines: connections, datagrams under way, listening sockets, and who is cut off, stopped or without power.
//!
//! Everything that was sent waits here until it arrives, as a [route](super::route) decides; the sockets of [`network`](super::network) ask.
//! Streams behave as TCP's do where a node can tell: bytes wait for a mended cut, a window bounds what is under way, the end of a
//! connection comes after its bytes, a machine closes the connections of a process that died, and one without power says nothing; what
//! is sent to a connection that nobody has any more is answered with a reset. turmoil's own sockets do less of this: there a
//! cut loses bytes for good and no direction can be held.
//!
//! One lock, of one thread; wakers are called after it is free.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;

use super::clock::VirtualTime;
use super::meter::{Meter, Metered};
use super::route::{Dice, RETRANSMISSION, Route, Tally, count};
use super::trace::{Kind, Trace};
use crate::entropy;
use crate::plan::FaultKind;
use crate::stage::Carried;

/// Bytes of a connection that may be under way or unread in one direction; who writes more waits.
const WINDOW: usize = 256 << 10;

/// Datagrams that may wait at a socket; more are dropped.
const SOCKET_BUFFER: usize = 256;

/// The first port that a machine connects from.
const FIRST_PORT: u16 = 49_152;

/// What decides the routes' dice, apart from what else follows from the seed.
const PURPOSE: u64 = 0x726f_7574_6573;

/// What lies between machines.
#[derive(Debug)]
pub(crate) struct Fabric {
    time: Arc<VirtualTime>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    machines: Vec<MachineState>,
    /// From each machine to each, by `from * machines + to`.
    routes: Vec<Route>,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    listeners: BTreeMap<SocketAddr, Backlog>,
    sockets: BTreeMap<SocketAddr, Socket>,
    datagrams_sent: u64,
    trace: Trace,
    tally: Tally,
    carried: Carried,
    /// To be called once the lock is free.
    woken: Vec<Waker>,
}

#[derive(Debug, Default)]
struct MachineState {
    ip: Option<IpAddr>,
    paused: bool,
    dark: bool,
    /// What waits for the end of a pause.
    stopped: Vec<Waker>,
    ports_used: u16,
}

/// A connection: its side 0 asked for it, its side 1 was asked.
#[derive(Debug)]
struct Connection {
    sides: [Side; 2],
    /// A machine lost its power: nothing of this moves any more.
    silent: bool,
}

/// One end, and what travels towards it.
#[derive(Debug)]
struct Side {
    at: SocketAddr,
    machine: usize,
    inbox: VecDeque<Piece>,
    last_arrival: Duration,
    /// Bytes towards this end of which the other does not know that they were read.
    window_used: usize,
    /// Of them, those that were read: the acknowledgement waits for the other direction to be mended.
    unacknowledged: usize,
    reader: Option<Waker>,
    /// Who writes at this end and waits for room at the other.
    writer: Option<Waker>,
    /// Reads what is written at this end.
    meter: Meter,
    /// This end says nothing more.
    finished: bool,
    /// Somebody holds this end.
    open: bool,
    /// What has been read as the end, if it has.
    ended: Option<Kind>,
}

#[derive(Debug)]
struct Piece {
    arrives: Duration,
    what: What,
    metered: Metered,
    held: bool,
}

#[derive(Debug)]
enum What {
    /// Bytes, and how many of them were read.
    Bytes(Vec<u8>, usize),
    End,
    Reset,
}

#[derive(Debug, Default)]
struct Backlog {
    waiting: VecDeque<u64>,
    acceptor: Option<Waker>,
}

#[derive(Debug, Default)]
struct Socket {
    /// By arrival, and in the order of sending.
    arriving: BTreeMap<(Duration, u64), (SocketAddr, Vec<u8>)>,
    reader: Option<Waker>,
}

/// An end of a connection, as its holder names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    connection: u64,
    side: usize,
}

/// What a reader has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Its waker.
    Wake,
    /// This moment, or its waker.
    Until(Duration),
}

/// What becomes of a packet that is to open a connection.
#[derive(Debug)]
pub(crate) enum Dialled {
    /// It is lost.
    Lost,
    /// Nobody listens; the answer arrives then.
    Refused(Duration),
    /// There is a connection, of which the caller hears then.
    Connected(End, Duration),
}

impl Fabric {
    pub(crate) fn new(
        time: &Arc<VirtualTime>,
        seed: u64,
        machines: &[IpAddr],
        latency: (Duration, Duration),
        trace: Trace,
    ) -> Self {
        let state = State {
            dice: Dice::new(entropy::derive(seed, PURPOSE)),
            machines: machines.iter().map(|ip| MachineState { ip: Some(*ip), ..MachineState::default() }).collect(),
            routes: vec![Route::new(latency); machines.len() * machines.len()],
            connections: BTreeMap::new(),
            next_connection: 0,
            listeners: BTreeMap::new(),
            sockets: BTreeMap::new(),
            datagrams_sent: 0,
            trace,
            tally: Tally::new(),
            carried: Carried::default(),
            woken: Vec::new(),
        };
        Self { time: Arc::clone(time), state: Mutex::new(state) }
    }

    pub(crate) fn now(&self) -> Duration {
        self.time.now()
    }

    // What the world does.

    /// Changes one direction.
    pub(crate) fn change<T>(&self, from: usize, to: usize, change: impl FnOnce(&mut Route) -> T) -> T {
        self.with(|state| {
            let at = state.route(from, to);
            change(&mut state.routes[at])
        })
    }

    /// Cuts or mends one direction; returns whether that changed anything.
    pub(crate) fn set_cut(&self, from: usize, to: usize, cut: bool) -> bool {
        let now = self.now();
        self.with(|state| {
            let at = state.route(from, to);
            let changed = state.routes[at].set_cut(cut);
            if changed && !cut {
                state.mended(from, to, now);
            }
            changed
        })
    }

    /// One direction is as wide as usual again; returns whether that changed anything.
    pub(crate) fn widen(&self, from: usize, to: usize) -> bool {
        let now = self.now();
        self.with(|state| {
            let at = state.route(from, to);
            let changed = state.routes[at].set_width(None);
            if changed {
                state.widened(from, to, now);
            }
            changed
        })
    }

    /// All routes are as usual again.
    pub(crate) fn heal(&self) {
        let now = self.now();
        self.with(|state| {
            let count = state.machines.len();
            for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
                let at = state.route(from, to);
                let was_cut = state.routes[at].is_cut();
                let was_narrow = state.routes[at].set_width(None);
                state.routes[at].heal();
                if was_narrow {
                    state.widened(from, to, now);
                }
                if was_cut {
                    state.mended(from, to, now);
                }
            }
        });
    }

    /// Stops a machine's process, or lets it go on; returns whether that changed anything.
    pub(crate) fn set_paused(&self, machine: usize, paused: bool) -> bool {
        self.with(|state| {
            let machine = &mut state.machines[machine];
            if !paused {
                state.woken.append(&mut machine.stopped);
            }
            std::mem::replace(&mut machine.paused, paused) != paused
        })
    }

    pub(crate) fn is_paused(&self, machine: usize) -> bool {
        self.with(|state| state.machines[machine].paused)
    }

    /// The process on a machine is no more: its sockets are closed, in the order in which they were opened.
    pub(crate) fn close_all(&self, machine: usize) {
        let now = self.now();
        self.with(|state| {
            let open = |(id, connection): (&u64, &Connection)| {
                let side = connection.sides.iter().position(|side| side.machine == machine && side.open)?;
                Some(End { connection: *id, side })
            };
            let ends: Vec<End> = state.connections.iter().filter_map(open).collect();
            for end in ends {
                state.close(end, now);
            }
            let Some(ip) = state.machines[machine].ip else { return };
            state.listeners.retain(|addr, _| addr.ip() != ip);
            state.sockets.retain(|addr, _| addr.ip() != ip);
        });
    }

    /// A machine loses its power, or has it again.
    pub(crate) fn set_dark(&self, machine: usize, dark: bool) {
        self.with(|state| {
            state.machines[machine].dark = dark;
            let touched = |connection: &&mut Connection| connection.sides.iter().any(|side| side.machine == machine);
            for connection in state.connections.values_mut().filter(touched).filter(|_| dark) {
                connection.silent = true;
                connection.sides.iter_mut().for_each(|side| side.inbox.clear());
            }
        });
    }

    pub(crate) fn tally(&self, kind: FaultKind) {
        self.with(|state| count(&mut state.tally, kind));
    }

    pub(crate) fn occurred(&self) -> Tally {
        self.with(|state| state.tally.clone())
    }

    pub(crate) fn carried(&self) -> Carried {
        self.with(|state| state.carried)
    }

    /// Reads the trace.
    pub(crate) fn trace<T>(&self, read: impl FnOnce(&mut Trace) -> T) -> T {
        self.with(|state| read(&mut state.trace))
    }

    // What sockets do.

    /// Waits until the machine's process is not stopped.
    pub(crate) fn poll_awake(&self, machine: usize, context: &Context<'_>) -> Poll<()> {
        self.with(|state| {
            let machine = &mut state.machines[machine];
            if machine.paused {
                machine.stopped.push(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
    }

    pub(crate) fn listen(&self, at: SocketAddr) -> io::Result<()> {
        self.with(|state| insert_free(&mut state.listeners, at))
    }

    pub(crate) fn poll_accept(&self, at: SocketAddr, context: &Context<'_>) -> Poll<(End, SocketAddr)> {
        let now = self.now();
        self.with(|state| {
            let Some(backlog) = state.listeners.get_mut(&at) else { return Poll::Pending };
            let Some(connection) = backlog.waiting.pop_front() else {
                backlog.acceptor = Some(context.waker().clone());
                return Poll::Pending;
            };
            let from = state.connections.get(&connection).map_or(at, |connection| connection.sides[0].at);
            state.trace.record(now, from, at, Kind::Accepted, &[]);
            Poll::Ready((End { connection, side: 1 }, from))
        })
    }

    pub(crate) fn stop_listening(&self, at: SocketAddr) {
        let now = self.now();
        self.with(|state| {
            for connection in state.listeners.remove(&at).into_iter().flat_map(|backlog| backlog.waiting) {
                state.close(End { connection, side: 1 }, now);
            }
        });
    }

    /// How long a packet from a machine to an address is under way.
    pub(crate) fn transit(&self, machine: usize, to: SocketAddr) -> Duration {
        let now = self.now();
        self.with(|state| match state.machine(to.ip()) {
            Some(target) => state.arrival(machine, target, now).saturating_sub(now),
            None => Duration::ZERO,
        })
    }

    /// A packet from a machine that is to open a connection arrives now.
    pub(crate) fn dial(&self, machine: usize, to: SocketAddr) -> Dialled {
        let now = self.now();
        self.with(|state| state.dial(machine, to, now))
    }

    /// Whether an answer to one end's packets gets through, and takes note of it.
    pub(crate) fn hears(&self, end: End) -> bool {
        let now = self.now();
        self.with(|state| {
            let Some(connection) = state.connections.get(&end.connection) else { return true };
            let (side, other) = (&connection.sides[end.side], &connection.sides[1 - end.side]);
            let at = state.route(other.machine, side.machine);
            let heard = !state.routes[at].is_cut() && !connection.silent;
            if heard {
                state.trace.record(now, side.at, other.at, Kind::Connected, &[]);
            }
            heard
        })
    }

    pub(crate) fn poll_read(
        &self,
        end: End,
        context: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Result<io::Result<()>, Wait> {
        let now = self.now();
        self.with(|state| state.read(end, now, context, buffer))
    }

    pub(crate) fn poll_write(&self, end: End, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let now = self.now();
        self.with(|state| state.write(end, now, context, bytes))
    }

    pub(crate) fn finish(&self, end: End) {
        let now = self.now();
        self.with(|state| state.finish(end, now));
    }

    pub(crate) fn close(&self, end: End) {
        let now = self.now();
        self.with(|state| state.close(end, now));
    }

    pub(crate) fn bind(&self, at: SocketAddr) -> io::Result<()> {
        self.with(|state| insert_free(&mut state.sockets, at))
    }

    pub(crate) fn unbind(&self, at: SocketAddr) {
        self.with(|state| drop(state.sockets.remove(&at)));
    }

    pub(crate) fn send(&self, machine: usize, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now();
        self.with(|state| state.send(machine, from, to, bytes, now));
    }

    /// The next datagram that has arrived: its length, and who sent it.
    pub(crate) fn poll_receive(
        &self,
        at: SocketAddr,
        context: &Context<'_>,
        buffer: &mut [u8],
    ) -> Result<(usize, SocketAddr), Wait> {
        let now = self.now();
        self.with(|state| state.receive(at, now, context, buffer))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        let woken = std::mem::take(&mut state.woken);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        result
    }
}

impl State {
    fn route(&self, from: usize, to: usize) -> usize {
        from * self.machines.len() + to
    }

    fn machine(&self, ip: IpAddr) -> Option<usize> {
        self.machines.iter().position(|machine| machine.ip == Some(ip))
    }

    fn arrival(&mut self, from: usize, to: usize, now: Duration) -> Duration {
        let at = self.route(from, to);
        self.routes[at].arrival(now, &mut self.dice)
    }

    /// What waited for this direction is sent again, and the other end hears what was read.
    fn mended(&mut self, from: usize, to: usize, now: Duration) {
        for connection in self.connections.values_mut() {
            for index in 0..2 {
                let [side, other] = ends(&mut connection.sides, index);
                if (other.machine, side.machine) == (from, to) {
                    for piece in &mut side.inbox {
                        piece.arrives = piece.arrives.max(now + RETRANSMISSION);
                        piece.held = false;
                    }
                    side.last_arrival = side.last_arrival.max(now + RETRANSMISSION);
                    self.woken.extend(side.reader.take());
                    // What this direction carries of the other one are acknowledgements.
                    other.window_used -= std::mem::take(&mut other.unacknowledged);
                    self.woken.extend(side.writer.take());
                }
            }
        }
    }

    /// What was on its way through the narrow place is soon there.
    fn widened(&mut self, from: usize, to: usize, now: Duration) {
        let soon = self.arrival(from, to, now);
        for connection in self.connections.values_mut() {
            for index in 0..2 {
                let [side, other] = ends(&mut connection.sides, index);
                if (other.machine, side.machine) == (from, to) {
                    side.inbox.iter_mut().for_each(|piece| piece.arrives = piece.arrives.min(soon));
                    side.last_arrival = side.last_arrival.min(soon);
                    self.woken.extend(side.reader.take());
                }
            }
        }
    }

    fn dial(&mut self, from: usize, to: SocketAddr, now: Duration) -> Dialled {
        let Some(target) = self.machine(to.ip()).filter(|target| !self.machines[*target].dark) else {
            return Dialled::Lost;
        };
        let at = self.route(from, target);
        if self.routes[at].is_cut() {
            count(&mut self.tally, FaultKind::Cut);
            return Dialled::Lost;
        }
        let answered = self.arrival(target, from, now);
        let Some(ip) = self.machines[from].ip else { return Dialled::Lost };
        let Some(backlog) = self.listeners.get_mut(&to) else {
            self.trace.record(now, SocketAddr::new(ip, 0), to, Kind::Refused, &[]);
            return Dialled::Refused(answered);
        };
        let machine = &mut self.machines[from];
        let local = SocketAddr::new(ip, FIRST_PORT + machine.ports_used % (u16::MAX - FIRST_PORT));
        machine.ports_used = machine.ports_used.wrapping_add(1);
        let connection = self.next_connection;
        self.next_connection += 1;
        backlog.waiting.push_back(connection);
        self.woken.extend(backlog.acceptor.take());
        let sides = [Side::new(local, from), Side::new(to, target)];
        self.connections.insert(connection, Connection { sides, silent: false });
        Dialled::Connected(End { connection, side: 0 }, answered)
    }

    fn read(
        &mut self,
        end: End,
        now: Duration,
        context: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Result<io::Result<()>, Wait> {
        let count_machines = self.machines.len();
        let Some(connection) = self.connections.get_mut(&end.connection) else { return Ok(Err(reset())) };
        let silent = connection.silent;
        let [side, other] = ends(&mut connection.sides, end.side);
        match side.ended {
            Some(Kind::Reset) => return Ok(Err(reset())),
            Some(_) => return Ok(Ok(())),
            None => {}
        }
        side.reader = Some(context.waker().clone());
        let Some(piece) = side.inbox.front_mut() else { return Err(Wait::Wake) };
        if piece.arrives > now {
            return Err(Wait::Until(piece.arrives));
        }
        let there = other.machine * count_machines + side.machine;
        let is_reset = matches!(piece.what, What::Reset);
        if (silent || self.routes[there].is_cut()) && !is_reset {
            if !std::mem::replace(&mut piece.held, true) && !silent {
                count(&mut self.tally, FaultKind::Cut);
            }
            return Err(Wait::Wake);
        }
        let What::Bytes(bytes, read) = &mut piece.what else {
            let kind = if is_reset { Kind::Reset } else { Kind::Closed };
            side.ended = Some(kind);
            self.trace.record(now, other.at, side.at, kind, &[]);
            return Ok(if is_reset { Err(reset()) } else { Ok(()) });
        };
        let count = buffer.remaining().min(bytes.len() - *read);
        let taken = &bytes[*read..*read + count];
        buffer.put_slice(taken);
        self.trace.record(now, other.at, side.at, Kind::Segment, taken);
        *read += count;
        if *read == bytes.len() {
            self.carried.frames += piece.metered.frames;
            self.carried.frame_bytes += piece.metered.frame_bytes;
            side.inbox.pop_front();
        }
        let back = side.machine * count_machines + other.machine;
        if self.routes[back].is_cut() {
            side.unacknowledged += count;
        } else {
            side.window_used -= count;
            self.woken.extend(other.writer.take());
        }
        Ok(Ok(()))
    }

    fn write(&mut self, end: End, now: Duration, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = self.machines.len();
        let Some(connection) = self.connections.get_mut(&end.connection) else { return Poll::Ready(Err(reset())) };
        let silent = connection.silent;
        let [side, other] = ends(&mut connection.sides, end.side);
        if side.finished || side.ended == Some(Kind::Reset) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let there = side.machine * count + other.machine;
        let is_alone = !other.open && !self.machines[other.machine].dark;
        if is_alone && !self.routes[there].is_cut() {
            let answered = self.routes[there].arrival(now, &mut self.dice);
            side.push(answered, What::Reset, Metered::default());
            self.woken.extend(side.reader.take());
            return Poll::Ready(Ok(bytes.len()));
        }
        let room = WINDOW.saturating_sub(other.window_used).min(bytes.len());
        if room == 0 {
            side.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        other.window_used += room;
        if silent {
            return Poll::Ready(Ok(room));
        }
        let taken = &bytes[..room];
        let metered = side.meter.read(taken);
        let route = &mut self.routes[there];
        if metered.snapshot && route.takes_snapshot_break(&mut self.tally) {
            for side in &mut connection.sides {
                side.inbox.clear();
                side.last_arrival = now;
                side.push(now, What::Reset, Metered::default());
                self.woken.extend(side.reader.take());
            }
            return Poll::Ready(Ok(room));
        }
        let arrives = route.piece(now, room, &mut self.dice, &mut self.tally);
        other.push(arrives, What::Bytes(taken.to_vec(), 0), metered);
        self.woken.extend(other.reader.take());
        Poll::Ready(Ok(room))
    }

    fn finish(&mut self, end: End, now: Duration) {
        let count = self.machines.len();
        let Some(connection) = self.connections.get_mut(&end.connection) else { return };
        let silent = connection.silent;
        let [side, other] = ends(&mut connection.sides, end.side);
        if std::mem::replace(&mut side.finished, true) || silent {
            return;
        }
        let there = side.machine * count + other.machine;
        let arrives = self.routes[there].arrival(now, &mut self.dice);
        other.push(arrives, What::End, Metered::default());
        self.woken.extend(other.reader.take());
    }

    fn close(&mut self, end: End, now: Duration) {
        self.finish(end, now);
        let Some(connection) = self.connections.get_mut(&end.connection) else { return };
        let [side, other] = ends(&mut connection.sides, end.side);
        side.open = false;
        side.inbox.clear();
        side.window_used = 0;
        side.unacknowledged = 0;
        self.woken.extend(other.writer.take());
        if !other.open {
            self.connections.remove(&end.connection);
        }
    }

    fn send(&mut self, machine: usize, from: SocketAddr, to: SocketAddr, bytes: &[u8], now: Duration) {
        let Some(target) = self.machine(to.ip()) else { return };
        let at = self.route(machine, target);
        let arrivals = self.routes[at].datagram(now, bytes.len(), &mut self.dice, &mut self.tally);
        let Some(socket) = self.sockets.get_mut(&to) else { return };
        for arrives in arrivals.into_iter().flatten() {
            if socket.arriving.len() == SOCKET_BUFFER {
                return;
            }
            self.datagrams_sent += 1;
            socket.arriving.insert((arrives, self.datagrams_sent), (from, bytes.to_vec()));
        }
        self.woken.extend(socket.reader.take());
    }

    fn receive(
        &mut self,
        at: SocketAddr,
        now: Duration,
        context: &Context<'_>,
        buffer: &mut [u8],
    ) -> Result<(usize, SocketAddr), Wait> {
        let here = self.machine(at.ip());
        let Some(socket) = self.sockets.get_mut(&at) else { return Err(Wait::Wake) };
        while let Some(first) = socket.arriving.first_entry() {
            let arrives = first.key().0;
            if arrives > now {
                socket.reader = Some(context.waker().clone());
                return Err(Wait::Until(arrives));
            }
            let (from, bytes) = first.remove();
            let sender = self.machines.iter().position(|machine| machine.ip == Some(from.ip()));
            let route = sender.zip(here).map(|(sender, here)| sender * self.machines.len() + here);
            if route.is_some_and(|route| self.routes[route].is_cut()) {
                count(&mut self.tally, FaultKind::Cut);
                continue;
            }
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            self.trace.record(now, from, at, Kind::Datagram, &bytes);
            self.carried.datagrams += 1;
            self.carried.datagram_bytes += bytes.len() as u64;
            return Ok((length, from));
        }
        socket.reader = Some(context.waker().clone());
        Err(Wait::Wake)
    }
}

impl Side {
    fn new(at: SocketAddr, machine: usize) -> Self {
        Self {
            at,
            machine,
            inbox: VecDeque::new(),
            last_arrival: Duration::ZERO,
            window_used: 0,
            unacknowledged: 0,
            reader: None,
            writer: None,
            meter: Meter::default(),
            finished: false,
            open: true,
            ended: None,
        }
    }

    /// Something is on its way to this end. Nothing overtakes what was sent before.
    fn push(&mut self, arrives: Duration, what: What, metered: Metered) {
        self.last_arrival = self.last_arrival.max(arrives);
        self.inbox.push_back(Piece { arrives: self.last_arrival, what, metered, held: false });
    }
}

/// This end and the other.
fn ends(sides: &mut [Side; 2], side: usize) -> [&mut Side; 2] {
    let [first, second] = sides;
    if side == 0 { [first, second] } else { [second, first] }
}

fn insert_free<T: Default>(places: &mut BTreeMap<SocketAddr, T>, at: SocketAddr) -> io::Result<()> {
    if places.contains_key(&at) {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    places.insert(at, T::default());
    Ok(())
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
