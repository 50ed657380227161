//! A network that can be cut off and healed, as a partition or a stopped process looks to its peers.
//!
//! While it is cut, datagrams vanish, connects fail, names are not resolved and connections are silent in both directions. A connection that was silent
//! stays so after the heal, since what it lost is not sent again: links must find that out by themselves.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt};
use headcount_cluster::net::{Datagrams, Listener, Network, Stream, TokioNetwork};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Cuts and heals. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switch {
    is_cut: Arc<AtomicBool>,
    cuts: Arc<AtomicU64>,
}

impl Switch {
    pub(crate) fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::SeqCst);
        self.is_cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn heal(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }

    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }
}

/// A name of this host, and of one that does not answer.
pub(crate) const SEVERAL: &str = "several.invalid";

/// A name of this host, with an address of another family which the node does not listen to.
pub(crate) const BOTH_FAMILIES: &str = "both.invalid";

/// A name of that address alone.
pub(crate) const OTHER_FAMILY: &str = "other.invalid";

/// Of the addresses for documentation.
const NOBODY6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 1);

/// Of the addresses for documentation.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1);

#[derive(Debug)]
pub(crate) struct CutNetwork(pub(crate) Switch);

impl Network for CutNetwork {
    fn bind_tcp(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        async move {
            let inner = TokioNetwork.bind_tcp(addr).await?;
            Ok(Box::new(CutListener(inner, self.0.clone())) as Box<dyn Listener>)
        }
        .boxed()
    }

    fn bind_udp(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagrams>>> {
        async move {
            let inner = TokioNetwork.bind_udp(addr).await?;
            Ok(Arc::new(CutDatagrams(inner, self.0.clone())) as Arc<dyn Datagrams>)
        }
        .boxed()
    }

    fn connect(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        async move {
            if self.0.is_cut() {
                return Err(io::ErrorKind::HostUnreachable.into());
            }
            Ok(CutStream::boxed(TokioNetwork.connect(addr).await?, &self.0))
        }
        .boxed()
    }

    fn resolve<'a>(&'a self, host_port: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        async move {
            if self.0.is_cut() {
                return Err(io::ErrorKind::HostUnreachable.into());
            }
            if host_port.starts_with(OTHER_FAMILY) {
                return Ok(vec![NOBODY6]);
            }
            let here = host_port.replace(SEVERAL, "localhost").replace(BOTH_FAMILIES, "localhost");
            let mut addrs = TokioNetwork.resolve(&here).await?;
            if host_port.starts_with(SEVERAL) {
                addrs.push(NOBODY);
            } else if host_port.starts_with(BOTH_FAMILIES) {
                addrs.push(NOBODY6);
            }
            Ok(addrs)
        }
        .boxed()
    }
}

struct CutListener(Box<dyn Listener>, Switch);

impl Listener for CutListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        async move {
            loop {
                let (stream, from) = self.0.accept().await?;
                if !self.1.is_cut() {
                    return Ok((CutStream::boxed(stream, &self.1), from));
                }
            }
        }
        .boxed()
    }
}

struct CutDatagrams(Arc<dyn Datagrams>, Switch);

impl Datagrams for CutDatagrams {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn send_to<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        async move { if self.1.is_cut() { Ok(()) } else { self.0.send_to(bytes, to).await } }.boxed()
    }

    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        async move {
            loop {
                let received = self.0.recv_from(buffer).await?;
                if !self.1.is_cut() {
                    return Ok(received);
                }
            }
        }
        .boxed()
    }
}

struct CutStream {
    inner: Box<dyn Stream>,
    switch: Switch,
    cuts_at_start: u64,
}

impl CutStream {
    fn boxed(inner: Box<dyn Stream>, switch: &Switch) -> Box<dyn Stream> {
        let cuts_at_start = switch.cuts.load(Ordering::SeqCst);
        Box::new(Self { inner, switch: switch.clone(), cuts_at_start })
    }

    fn is_dead(&self) -> bool {
        self.switch.cuts.load(Ordering::SeqCst) != self.cuts_at_start
    }
}

impl AsyncRead for CutStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_dead() {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_dead() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
