//! The network seam over tokio's sockets: what production runs on.
//!
//! It adds nothing but `TCP_NODELAY`: links coalesce what waits by themselves, and a frame that does not wait for others must not wait
//! for the kernel either.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket, lookup_host};

use super::{Datagrams, Listener, Network, Stream};

/// The operating system's network.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioNetwork;

impl Network for TokioNetwork {
    fn bind_tcp(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        async move { Ok(Box::new(TcpListener::bind(addr).await?) as Box<dyn Listener>) }.boxed()
    }

    fn bind_udp(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagrams>>> {
        async move { Ok(Arc::new(UdpSocket::bind(addr).await?) as Arc<dyn Datagrams>) }.boxed()
    }

    fn connect(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        async move {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        }
        .boxed()
    }

    fn resolve<'a>(&'a self, host_port: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        async move {
            match host_port.parse() {
                Ok(addr) => Ok(vec![addr]),
                Err(_) => Ok(lookup_host(host_port).await?.collect()),
            }
        }
        .boxed()
    }
}

impl Listener for TcpListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }

    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        async move {
            let (stream, from) = Self::accept(self).await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as Box<dyn Stream>, from))
        }
        .boxed()
    }
}

impl Datagrams for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }

    fn send_to<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        async move { Self::send_to(self, bytes, to).await.map(drop) }.boxed()
    }

    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        Self::recv_from(self, buffer).boxed()
    }
}
