//! Connections between machines: two ends, and what is under way in each direction.
//!
//! Order is kept in each direction: nothing arrives before what was sent earlier. What is sent while the wire is cut waits here, as TCP's
//! unacknowledged bytes do; and so does what is in a narrow place, because that may become wide before it is through. A connection is forgotten when its end has arrived; whoever still names it by its [`ConnectionId`] names nothing.

use std::collections::VecDeque;

use super::event::Piece;

/// A connection's place, and how often the place was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId {
    place: u32,
    generation: u32,
}

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) connection: ConnectionId,
    pub(crate) side: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Dialer,
    Acceptor,
}

impl End {
    /// The other end.
    pub(crate) fn peer(self) -> Self {
        let side = match self.side {
            Side::Dialer => Side::Acceptor,
            Side::Acceptor => Side::Dialer,
        };
        Self { side, ..self }
    }
}

/// What a machine holds of a connection.
#[derive(Debug)]
pub(crate) struct Half {
    pub(crate) node: u32,
    /// The process that it belongs to; `None` until one has accepted it.
    pub(crate) life: Option<u32>,
    pub(crate) is_open: bool,
    /// Pieces that it sends.
    pub(crate) out: Flow,
}

/// What is under way in one direction. Times are microseconds.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) last_arrival: u64,
    /// Bytes that were sent and not read yet.
    pub(crate) in_flight: usize,
    /// Whether the sender waits for the reader.
    pub(crate) is_full: bool,
    /// What waits for the end of a cut.
    pub(crate) stalled: VecDeque<Piece>,
    /// What is on its way through a narrow place, with when its last byte is there.
    pub(crate) squeezed: VecDeque<(u64, Piece)>,
    /// From when to when bytes come in behind a narrow place without a pause.
    pub(crate) trickles: (u64, u64),
}

#[derive(Debug)]
struct Connection {
    dialer: Half,
    acceptor: Half,
}

/// All connections of a world.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    places: Vec<(u32, Option<Connection>)>,
    free: Vec<u32>,
}

impl Connections {
    /// A new one. Returns the dialer's end.
    pub(crate) fn open(&mut self, dialer: u32, life: u32, acceptor: u32) -> End {
        let half = |node, life| Half { node, life, is_open: true, out: Flow::default() };
        let connection = Connection { dialer: half(dialer, Some(life)), acceptor: half(acceptor, None) };
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() as u32 - 1
        });
        let (generation, slot) = &mut self.places[place as usize];
        *slot = Some(connection);
        End { connection: ConnectionId { place, generation: *generation }, side: Side::Dialer }
    }

    /// Forgets a connection.
    pub(crate) fn remove(&mut self, id: ConnectionId) {
        if let Some((generation, slot)) = self.places.get_mut(id.place as usize)
            && *generation == id.generation
            && slot.take().is_some()
        {
            *generation += 1;
            self.free.push(id.place);
        }
    }

    pub(crate) fn half(&self, end: End) -> Option<&Half> {
        let (generation, connection) = self.places.get(end.connection.place as usize)?;
        let connection = connection.as_ref().filter(|_| *generation == end.connection.generation)?;
        Some(match end.side {
            Side::Dialer => &connection.dialer,
            Side::Acceptor => &connection.acceptor,
        })
    }

    pub(crate) fn half_mut(&mut self, end: End) -> Option<&mut Half> {
        let (generation, connection) = self.places.get_mut(end.connection.place as usize)?;
        let connection = connection.as_mut().filter(|_| *generation == end.connection.generation)?;
        Some(match end.side {
            Side::Dialer => &mut connection.dialer,
            Side::Acceptor => &mut connection.acceptor,
        })
    }

    /// The ends that satisfy a condition, in the order of their places.
    pub(crate) fn ends(&self, wanted: impl Fn(&Half, &Half) -> bool) -> Vec<End> {
        let mut ends = Vec::new();
        for (place, (generation, connection)) in self.places.iter().enumerate() {
            let Some(Connection { dialer, acceptor }) = connection else { continue };
            let connection = ConnectionId { place: place as u32, generation: *generation };
            if wanted(dialer, acceptor) {
                ends.push(End { connection, side: Side::Dialer });
            }
            if wanted(acceptor, dialer) {
                ends.push(End { connection, side: Side::Acceptor });
            }
        }
        ends
    }
}
