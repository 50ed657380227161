//! What can happen in the core world by itself.

use bytes::Bytes;
use headcount_cluster::link::handshake::{Answer, Hello};
use headcount_cluster::{Class, Origin};

use super::connection::End;
use super::gossip::Message;

/// Something that happens at its time.
#[derive(Debug)]
pub(crate) enum Event {
    /// A piece of a connection arrives at one of its ends.
    Piece { to: End, piece: Piece },
    /// Something of this connection's end is through a narrow place.
    Squeezed(End),
    /// A connection's end sends again what waited for a cut.
    Retransmit(End),
    /// A datagram arrives.
    Datagram { from: u32, to: u32, message: Message },
    /// A process has asked to be called. It is void when the process has ended.
    Timer { node: u32, life: u32, timer: Timer },
}

/// What passes on a connection.
#[derive(Debug)]
pub(crate) enum Piece {
    Hello(Box<Hello>),
    Answer(Box<Answer>),
    Frame(Class, Bytes),
    /// The sender has closed the connection, or its machine has.
    End(&'static str),
}

/// What a process wants to be called for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Timer {
    /// A gossip round is due.
    Round,
    /// Deadlines are to be looked at.
    Deadlines,
    /// The next slice of work that must not hold others up.
    Work,
    /// The seeds are to be asked again.
    Probe,
    /// A peer is to be called again; void when the dialer has another number meanwhile.
    Dial { peer: u32, number: u32 },
    /// A call was not answered in time.
    CallOver(End),
    /// An incarnation that is Gone may be told so again.
    NoticeOver(Origin),
    /// A link may have nothing to say for long.
    Heartbeat(End),
    /// A link may have heard nothing for long.
    Silence(End),
    /// A link that was full may send again.
    Writable(End),
    /// A leaving process looks whether it may go.
    Leave,
}
