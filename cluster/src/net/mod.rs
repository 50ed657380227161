//! The network seam, and the tasks that work over it.
//!
//! [`Network`] is the one way out of this crate: TCP, UDP and name resolution. Production uses [`TokioNetwork`]; a simulation brings its
//! own. What the tasks decide is in the cores; here they only move bytes and time.

pub mod counters;
pub(crate) mod dialer;
pub(crate) mod events;
pub(crate) mod hub;
pub(crate) mod join;
pub(crate) mod listener;
pub(crate) mod session;
mod tokio;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ::tokio::io::{AsyncRead, AsyncWrite};
use futures::future::BoxFuture;

pub use self::tokio::TokioNetwork;
use crate::clock::{SystemClock, WallClock};

/// A connection. Every ordered byte stream is one.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// A TCP listener.
pub trait Listener: Send + Sync + 'static {
    /// Where it listens, with the port that the system chose.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next connection and its other end. Safe to drop between polls.
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>>;
}

/// A UDP socket.
pub trait Datagrams: Send + Sync + 'static {
    /// Where it is bound.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Sends one datagram.
    fn send_to<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>>;

    /// Receives one datagram: its length and where it came from. Safe to drop between polls.
    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>>;
}

/// Sockets and names.
pub trait Network: Send + Sync + fmt::Debug + 'static {
    /// Listens for TCP connections.
    fn bind_tcp(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;

    /// Opens a UDP socket.
    fn bind_udp(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagrams>>>;

    /// Connects by TCP, without delay of small segments. The caller bounds the time.
    fn connect(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;

    /// The addresses of `host:port`, in the resolver's order.
    fn resolve<'a>(&'a self, host_port: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// What a node takes from the outside: the network, wall time and randomness.
#[derive(Debug, Clone)]
pub struct World {
    /// Sockets and names.
    pub network: Arc<dyn Network>,
    /// Wall time; timers run on tokio's.
    pub clock: Arc<dyn WallClock>,
    /// Seeds this node's random numbers: incarnations and jitter.
    pub rng_seed: u64,
}

impl World {
    /// The operating system's.
    #[allow(clippy::disallowed_methods)] // the real world is where randomness comes from
    pub fn real() -> Self {
        Self { network: Arc::new(TokioNetwork), clock: Arc::new(SystemClock), rng_seed: rand::random() }
    }
}
