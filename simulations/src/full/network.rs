//! The simulated network behind the cluster's seam.
//!
//! turmoil delivers, delays and cuts; this file makes it a [`Network`] and writes down what arrives. Two things differ from a real network,
//! and the node must stand them: TCP does not retransmit, so after a cut a stream is silent for ever, and it is the
//! link's read timeout that finds out; and a connect to a machine behind a cut hangs until the caller gives up. One thing is
//! mended here, in `linger`: a stream that was closed properly must not reset what it said last.
//!
//! There are no names in this network: seeds are given as `ip:port`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use headcount_cluster::Network;
use headcount_cluster::net::{Datagrams, Listener, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream, UdpSocket};

use super::clock::VirtualTime;
use super::trace::{Kind, Trace};

/// Where a world's machines write down what reaches them.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    time: Arc<VirtualTime>,
    trace: Mutex<Trace>,
}

impl Recorder {
    pub(crate) fn new(time: &Arc<VirtualTime>) -> Self {
        Self { time: Arc::clone(time), trace: Mutex::default() }
    }

    pub(crate) fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, from: SocketAddr, to: SocketAddr, kind: Kind, bytes: &[u8]) {
        self.trace().record(self.time.now(), from, to, kind, bytes);
    }
}

/// The network as one machine has it.
#[derive(Debug, Clone)]
pub struct SimulatedNetwork {
    machine: IpAddr,
    recorder: Arc<Recorder>,
}

impl SimulatedNetwork {
    pub(crate) fn new(machine: IpAddr, recorder: &Arc<Recorder>) -> Self {
        Self { machine, recorder: Arc::clone(recorder) }
    }

    fn traced(&self, stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        let recorder = Arc::clone(&self.recorder);
        Ok(Box::new(TracedStream { stream: Some(stream), local, peer, finished: false, ended: false, recorder }))
    }
}

impl Network for SimulatedNetwork {
    fn bind_tcp(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        async move {
            let listener = TcpListener::bind(addr).await?;
            Ok(Box::new(TracedListener { listener, network: self.clone() }) as Box<dyn Listener>)
        }
        .boxed()
    }

    fn bind_udp(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagrams>>> {
        async move {
            let socket = UdpSocket::bind(addr).await?;
            let local = SocketAddr::new(self.machine, socket.local_addr()?.port());
            Ok(Arc::new(TracedDatagrams { socket, local, recorder: Arc::clone(&self.recorder) }) as Arc<dyn Datagrams>)
        }
        .boxed()
    }

    fn connect(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        async move {
            match TcpStream::connect(addr).await {
                Ok(stream) => {
                    self.recorder.record(stream.local_addr()?, addr, Kind::Connected, &[]);
                    self.traced(stream)
                }
                Err(error) => {
                    self.recorder.record(SocketAddr::new(self.machine, 0), addr, Kind::Refused, &[]);
                    Err(error)
                }
            }
        }
        .boxed()
    }

    fn resolve<'a>(&'a self, host_port: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let no_name = |_| io::Error::new(io::ErrorKind::NotFound, "the simulated network has no names, only ip:port");
        async move { host_port.parse().map(|addr| vec![addr]).map_err(no_name) }.boxed()
    }
}

struct TracedListener {
    listener: TcpListener,
    network: SimulatedNetwork,
}

impl Listener for TracedListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        async move {
            let (stream, from) = self.listener.accept().await?;
            self.network.recorder.record(from, stream.local_addr()?, Kind::Accepted, &[]);
            Ok((self.network.traced(stream)?, from))
        }
        .boxed()
    }
}

/// How long a closed stream waits for its peer to close too.
const LINGER: Duration = Duration::from_secs(10);

struct TracedStream {
    /// Always there until the stream is dropped.
    stream: Option<TcpStream>,
    local: SocketAddr,
    peer: SocketAddr,
    /// Nothing more will be sent, and all that was sent is to arrive.
    finished: bool,
    ended: bool,
    recorder: Arc<Recorder>,
}

impl TracedStream {
    fn note_end(&mut self, kind: Kind) {
        if !self.ended {
            self.ended = true;
            self.recorder.record(self.peer, self.local, kind, &[]);
        }
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("it is taken out by `drop` only"))
    }
}

impl Drop for TracedStream {
    fn drop(&mut self) {
        let alive = tokio::runtime::Handle::try_current().is_ok();
        if let Some(stream) = self.stream.take().filter(|_| self.finished && !self.ended && alive) {
            tokio::task::spawn_local(linger(stream));
        }
    }
}

/// What a kernel does with a stream after it was finished and closed: it waits for the other side's end. Without it turmoil
/// answers that end with a reset, which overtakes the last bytes on their way.
async fn linger(mut stream: TcpStream) {
    // More data would be refused by a kernel, so any answer ends the wait.
    let _ = tokio::time::timeout(LINGER, stream.read(&mut [0])).await;
}

impl AsyncRead for TracedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(self.stream().poll_read(context, buffer));
        match (&result, buffer.filled().get(before..).unwrap_or_default()) {
            (Err(_), _) => self.note_end(Kind::Reset),
            (Ok(()), []) if buffer.remaining() == 0 => {}
            (Ok(()), []) => self.note_end(Kind::Closed),
            (Ok(()), bytes) => self.recorder.record(self.peer, self.local, Kind::Segment, bytes),
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for TracedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.stream().poll_shutdown(context);
        self.finished |= matches!(shut, Poll::Ready(Ok(())));
        shut
    }
}

struct TracedDatagrams {
    socket: UdpSocket,
    local: SocketAddr,
    recorder: Arc<Recorder>,
}

impl Datagrams for TracedDatagrams {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn send_to<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        async move { self.socket.send_to(bytes, to).await.map(drop) }.boxed()
    }

    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        async move {
            let (length, from) = self.socket.recv_from(buffer).await?;
            self.recorder.record(from, self.local, Kind::Datagram, buffer.get(..length).unwrap_or_default());
            Ok((length, from))
        }
        .boxed()
    }
}
