//! A machine of a world, and the node that may run on it.
//!
//! The machine is always there, with its address and its clock; the process on it comes and goes. A process is a whole node, started
//! by the same builder as in production, whose randomness follows from the seed, the machine and the number of the start, and the user's server, if
//! there is one. The story's commands run on the machine too, as a game server's would, so that they see its time and its turn.
//!
//! All tasks of a process that are spawned locally live in a set of their own, which gets no turn while the process is stopped; time
//! goes on meanwhile, so its timers are late afterwards. Tasks of `tokio::spawn` are not in that set. Of headcount's that is gossip,
//! which stands still because its socket does; a server of one's own spawns with `spawn_local`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::ready;

use futures::future::LocalBoxFuture;
use headcount::{ClusterPresence, Config, Node};
use headcount_cluster::World as Outside;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, LocalSet};

use super::clock::MachineClock;
use super::fabric::Fabric;
use super::network::SimulatedNetwork;
use super::server::{Program, Server};
use crate::entropy;

/// The port of every node.
pub const PORT: u16 = 7946;

/// A machine. Clones are the same machine.
#[derive(Clone)]
pub struct Machine {
    inner: Rc<Inner>,
}

struct Inner {
    parts: Parts,
    /// Whether a process is to run, and how many were started so far.
    wanted: Cell<bool>,
    starts: Cell<u64>,
    process: RefCell<Option<Process>>,
    /// What went wrong in the process.
    failure: RefCell<Option<String>>,
}

/// A node that has started.
struct Process {
    node: Node,
    /// The user's server, while it runs.
    server: Option<AbortHandle>,
    jobs: mpsc::UnboundedSender<LocalBoxFuture<'static, ()>>,
}

/// What a world gives one of its machines.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) index: usize,
    pub(crate) seed: u64,
    pub(crate) config: Config,
    pub(crate) program: Option<Program>,
    pub(crate) fabric: Arc<Fabric>,
    pub(crate) clock: Arc<MachineClock>,
}

/// The address of the machine with this index.
pub(crate) fn ip(index: usize) -> IpAddr {
    let [.., high, low] = (index as u32 + 1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
}

impl Machine {
    pub(crate) fn new(mut parts: Parts) -> Self {
        parts.config.name = Some(parts.name.clone());
        parts.config.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).to_string();
        parts.config.advertise = Some(SocketAddr::new(ip(parts.index), PORT).to_string());
        let inner = Inner {
            parts,
            wanted: Cell::new(false),
            starts: Cell::new(0),
            process: RefCell::new(None),
            failure: RefCell::new(None),
        };
        Self { inner: Rc::new(inner) }
    }

    /// Its node's name.
    pub fn name(&self) -> &str {
        &self.inner.parts.name
    }

    /// Its address.
    pub fn ip(&self) -> IpAddr {
        ip(self.inner.parts.index)
    }

    /// Whether a process was started and has neither left nor been killed.
    pub fn is_started(&self) -> bool {
        self.inner.wanted.get()
    }

    /// The node, once it listens.
    pub fn node(&self) -> Option<Node> {
        self.inner.process.borrow().as_ref().map(|process| process.node.clone())
    }

    /// A handle to the node's presence, once it listens.
    pub(crate) fn presence(&self) -> Option<ClusterPresence> {
        self.inner.process.borrow().as_ref().map(|process| process.node.presence())
    }

    pub(crate) fn set_clock(&self, ahead_ms: i64) {
        self.inner.parts.clock.set_skew_ms(ahead_ms);
    }

    /// What went wrong in the process since this was last asked.
    pub(crate) fn take_failure(&self) -> Option<String> {
        self.inner.failure.take()
    }

    /// From the next boot of the machine on, a process runs.
    pub(crate) fn want_process(&self) {
        self.inner.wanted.set(true);
        self.inner.starts.set(self.inner.starts.get() + 1);
    }

    /// The process is gone.
    pub(crate) fn clear_process(&self) {
        drop(self.take_node());
    }

    /// Runs `job` in the process. Returns false when there is none that listens.
    pub(crate) fn run(&self, job: impl Future<Output = ()> + 'static) -> bool {
        let process = self.inner.process.borrow();
        process.as_ref().is_some_and(|process| process.jobs.send(Box::pin(job)).is_ok())
    }

    /// Ends the user's server, as a `main` does that is told to leave: what it holds is dropped, and nothing is said about how it ended.
    pub(crate) fn end_server(&self) {
        if let Some(server) = self.inner.process.borrow().as_ref().and_then(|process| process.server.as_ref()) {
            server.abort();
        }
    }

    /// Takes the node out of the process, which takes no more jobs and goes on with those that it has.
    pub(crate) fn take_node(&self) -> Option<Node> {
        self.inner.wanted.set(false);
        self.inner.process.take().map(|process| process.node)
    }

    /// What runs on the machine from a boot on: the process, or nothing but a kernel that refuses connections.
    pub(crate) async fn boot(self) -> turmoil::Result {
        if !self.inner.wanted.get() {
            return std::future::pending().await;
        }
        let tasks = tasks();
        let mut life = pin!(tasks.run_until(async {
            self.serve().await?;
            std::future::pending().await
        }));
        let Parts { fabric, index, .. } = &self.inner.parts;
        poll_fn(|context| {
            ready!(fabric.poll_awake(*index, context));
            life.as_mut().poll(context)
        })
        .await
    }

    async fn serve(&self) -> turmoil::Result {
        let Parts { name, index, seed, config, program, fabric, clock } = &self.inner.parts;
        let start = self.inner.starts.get();
        let outside = Outside {
            network: Arc::new(SimulatedNetwork::new(*index, self.ip(), fabric)),
            clock: Arc::clone(clock) as _,
            rng_seed: entropy::derive(entropy::derive(*seed, *index as u64), start),
        };
        let node = Node::builder(name).config(config.clone()).start_on(outside).await;
        let node = node.map_err(|error| format!("{name} did not start: {error}"))?;
        let (jobs, mut queued) = mpsc::unbounded_channel();
        let server = program.clone().map(|program| {
            let (fabric, clock) = (Arc::clone(fabric), Arc::clone(clock));
            let server = Server { name: name.clone(), start, node: node.clone(), clock, fabric };
            let machine = self.clone();
            let running = tokio::task::spawn_local(async move {
                let failure = program.run(server).await;
                machine.inner.failure.replace(failure);
            });
            running.abort_handle()
        });
        *self.inner.process.borrow_mut() = Some(Process { node, server, jobs });
        while let Some(job) = queued.recv().await {
            tokio::task::spawn_local(job);
        }
        Ok(())
    }
}

/// A set for the tasks of one process, in which a panic is not silent.
fn tasks() -> LocalSet {
    #[allow(unused_mut)]
    let mut tasks = LocalSet::new();
    #[cfg(tokio_unstable)]
    tasks.unhandled_panic(tokio::runtime::UnhandledPanic::ShutdownRuntime);
    tasks
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("name", &self.name()).field("ip", &self.ip()).finish_non_exhaustive()
    }
}
