//! The sockets of one machine: the cluster's seam to the network, over the fabric.
//!
//! A socket asks the fabric and waits for time or a waker; what passes and when is decided there. While the machine's process is stopped
//! nothing is received and no datagram is sent, whichever task tries. There are no names in this network: seeds are
//! given as `ip:port`.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use headcount_cluster::Network;
use headcount_cluster::net::{Datagrams, Listener, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::fabric::{Dialled, End, Fabric, Wait};
use super::route::RETRANSMISSION;

/// The network as one machine has it.
#[derive(Debug, Clone)]
pub struct SimulatedNetwork {
    machine: usize,
    ip: IpAddr,
    fabric: Arc<Fabric>,
}

impl SimulatedNetwork {
    pub(crate) fn new(machine: usize, ip: IpAddr, fabric: &Arc<Fabric>) -> Self {
        Self { machine, ip, fabric: Arc::clone(fabric) }
    }

    /// Who binds to all addresses of the machine has its one.
    fn own(&self, addr: SocketAddr) -> SocketAddr {
        if addr.ip().is_unspecified() { SocketAddr::new(self.ip, addr.port()) } else { addr }
    }

    async fn dial(&self, to: SocketAddr) -> io::Result<Box<dyn Stream>> {
        loop {
            sleep(self.fabric.transit(self.machine, to)).await;
            let (end, answered) = match self.fabric.dial(self.machine, to) {
                Dialled::Lost => {
                    sleep(RETRANSMISSION).await;
                    continue;
                }
                Dialled::Refused(answered) => {
                    sleep(answered.saturating_sub(self.fabric.now())).await;
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                Dialled::Connected(end, answered) => (end, answered),
            };
            // Held from here on: a caller who does not wait for the answer closes it.
            let stream = SimulatedStream::new(end, &self.fabric);
            sleep(answered.saturating_sub(self.fabric.now())).await;
            while !self.fabric.hears(end) {
                sleep(RETRANSMISSION).await;
            }
            return Ok(Box::new(stream));
        }
    }
}

impl Network for SimulatedNetwork {
    fn bind_tcp(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        let at = self.own(addr);
        let listener = || Box::new(SimulatedListener { at, fabric: Arc::clone(&self.fabric) }) as Box<dyn Listener>;
        std::future::ready(self.fabric.listen(at).map(|()| listener())).boxed()
    }

    fn bind_udp(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagrams>>> {
        let (machine, at) = (self.machine, self.own(addr));
        let socket =
            || Arc::new(SimulatedDatagrams { machine, at, fabric: Arc::clone(&self.fabric) }) as Arc<dyn Datagrams>;
        std::future::ready(self.fabric.bind(at).map(|()| socket())).boxed()
    }

    fn connect(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        self.dial(addr).boxed()
    }

    fn resolve<'a>(&'a self, host_port: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let no_name = |_| io::Error::new(io::ErrorKind::NotFound, "the simulated network has no names, only ip:port");
        async move { host_port.parse().map(|addr| vec![addr]).map_err(no_name) }.boxed()
    }
}

struct SimulatedListener {
    at: SocketAddr,
    fabric: Arc<Fabric>,
}

impl Listener for SimulatedListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.at)
    }

    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        async move {
            let (end, from) = poll_fn(|context| self.fabric.poll_accept(self.at, context)).await;
            Ok((Box::new(SimulatedStream::new(end, &self.fabric)) as Box<dyn Stream>, from))
        }
        .boxed()
    }
}

impl Drop for SimulatedListener {
    fn drop(&mut self) {
        self.fabric.stop_listening(self.at);
    }
}

struct SimulatedStream {
    end: End,
    fabric: Arc<Fabric>,
    /// Rings when the next piece arrives, and for which moment it was set.
    timer: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl SimulatedStream {
    fn new(end: End, fabric: &Arc<Fabric>) -> Self {
        Self { end, fabric: Arc::clone(fabric), timer: None }
    }
}

impl AsyncRead for SimulatedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.fabric.poll_read(self.end, context, buffer) {
                Ok(result) => return Poll::Ready(result),
                Err(Wait::Wake) => return Poll::Pending,
                Err(Wait::Until(moment)) => {
                    let now = self.fabric.now();
                    ready!(poll_timer(&mut self.timer, moment, now, context));
                }
            }
        }
    }
}

impl AsyncWrite for SimulatedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.fabric.poll_write(self.end, context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fabric.finish(self.end);
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimulatedStream {
    fn drop(&mut self) {
        self.fabric.close(self.end);
    }
}

/// Waits until a moment. The timer is made anew only when the moment is another one.
fn poll_timer(
    timer: &mut Option<(Duration, Pin<Box<Sleep>>)>,
    moment: Duration,
    now: Duration,
    context: &mut Context<'_>,
) -> Poll<()> {
    if timer.as_ref().is_none_or(|(set_for, _)| *set_for != moment) {
        *timer = Some((moment, Box::pin(sleep(moment.saturating_sub(now)))));
    }
    if let Some((_, sleep)) = timer {
        ready!(sleep.as_mut().poll(context));
    }
    *timer = None;
    Poll::Ready(())
}

struct SimulatedDatagrams {
    machine: usize,
    at: SocketAddr,
    fabric: Arc<Fabric>,
}

impl Datagrams for SimulatedDatagrams {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.at)
    }

    fn send_to<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        async move {
            poll_fn(|context| self.fabric.poll_awake(self.machine, context)).await;
            self.fabric.send(self.machine, self.at, to, bytes);
            Ok(())
        }
        .boxed()
    }

    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        let mut timer = None;
        poll_fn(move |context| {
            ready!(self.fabric.poll_awake(self.machine, context));
            loop {
                match self.fabric.poll_receive(self.at, context, buffer) {
                    Ok(received) => return Poll::Ready(Ok(received)),
                    Err(Wait::Wake) => return Poll::Pending,
                    Err(Wait::Until(moment)) => {
                        ready!(poll_timer(&mut timer, moment, self.fabric.now(), context));
                    }
                }
            }
        })
        .boxed()
    }
}

impl Drop for SimulatedDatagrams {
    fn drop(&mut self) {
        self.fabric.unbind(self.at);
    }
}
