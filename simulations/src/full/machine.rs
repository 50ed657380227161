//! A machine of a world, and the node that may run on it.
//!
//! The machine is always there, with its address and its clock; the process on it comes and goes. A process is a whole node, started
//! by the same builder as in production, whose randomness follows from the seed, the machine and the number of the start. The story's
//! commands run on the machine too, as a game server's would, so that they see its time and its turn.

use std::cell::{Cell, Ref, RefCell};
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use futures::future::LocalBoxFuture;
use headcount::{ClusterPresence, Config, Node};
use headcount_cluster::World as Outside;
use tokio::sync::mpsc;

use super::clock::MachineClock;
use super::network::SimulatedNetwork;
use crate::entropy;

/// The port of every node.
pub const PORT: u16 = 7946;

/// A machine. Clones are the same machine.
#[derive(Clone)]
pub struct Machine {
    inner: Rc<Inner>,
}

struct Inner {
    name: String,
    index: usize,
    seed: u64,
    config: Config,
    network: SimulatedNetwork,
    clock: Arc<MachineClock>,
    /// Whether a process is to run, and how many were started so far.
    wanted: Cell<bool>,
    starts: Cell<u64>,
    process: RefCell<Option<Process>>,
}

/// A node that has started.
struct Process {
    node: Node,
    presence: ClusterPresence,
    jobs: mpsc::UnboundedSender<LocalBoxFuture<'static, ()>>,
}

/// What a world gives one of its machines.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) index: usize,
    pub(crate) seed: u64,
    pub(crate) config: Config,
    pub(crate) network: SimulatedNetwork,
    pub(crate) clock: MachineClock,
}

/// The address of the machine with this index.
pub(crate) fn ip(index: usize) -> IpAddr {
    let [.., high, low] = (index as u32 + 1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
}

impl Machine {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { name, index, seed, mut config, network, clock } = parts;
        config.name = Some(name.clone());
        config.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).to_string();
        config.advertise = Some(SocketAddr::new(ip(index), PORT).to_string());
        let inner = Inner {
            name,
            index,
            seed,
            config,
            network,
            clock: Arc::new(clock),
            wanted: Cell::new(false),
            starts: Cell::new(0),
            process: RefCell::new(None),
        };
        Self { inner: Rc::new(inner) }
    }

    /// Its node's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its address.
    pub fn ip(&self) -> IpAddr {
        ip(self.inner.index)
    }

    /// Whether a process was started and has neither left nor been killed.
    pub fn is_started(&self) -> bool {
        self.inner.wanted.get()
    }

    /// The node, once it listens.
    pub fn node(&self) -> Option<Ref<'_, Node>> {
        Ref::filter_map(self.inner.process.borrow(), |process| process.as_ref().map(|process| &process.node)).ok()
    }

    /// A handle to the node's presence, once it listens.
    pub(crate) fn presence(&self) -> Option<ClusterPresence> {
        self.inner.process.borrow().as_ref().map(|process| process.presence.clone())
    }

    pub(crate) fn set_skew_ms(&self, ahead: i64) {
        self.inner.clock.set_skew_ms(ahead);
    }

    /// From the next boot of the machine on, a process runs.
    pub(crate) fn want_process(&self) {
        self.inner.wanted.set(true);
        self.inner.starts.set(self.inner.starts.get() + 1);
    }

    /// The process is gone.
    pub(crate) fn clear_process(&self) {
        self.inner.wanted.set(false);
        drop(self.inner.process.take());
    }

    /// Runs `job` in the process. Returns false when there is none that listens.
    pub(crate) fn run(&self, job: impl Future<Output = ()> + 'static) -> bool {
        let process = self.inner.process.borrow();
        process.as_ref().is_some_and(|process| process.jobs.send(Box::pin(job)).is_ok())
    }

    /// Takes the node out of the process, which ends with it.
    pub(crate) fn take_node(&self) -> Option<Node> {
        self.inner.wanted.set(false);
        self.inner.process.take().map(|process| process.node)
    }

    /// What runs on the machine from a boot on: the process, or nothing but a kernel that refuses connections.
    pub(crate) async fn boot(self) -> turmoil::Result {
        if self.inner.wanted.get() {
            self.serve().await?;
        }
        std::future::pending().await
    }

    async fn serve(&self) -> turmoil::Result {
        let Inner { name, index, seed, config, network, clock, starts, process, .. } = &*self.inner;
        let outside = Outside {
            network: Arc::new(network.clone()),
            clock: Arc::clone(clock) as _,
            rng_seed: entropy::derive(entropy::derive(*seed, *index as u64), starts.get()),
        };
        let node = Node::builder(name).config(config.clone()).start_on(outside).await;
        let node = node.map_err(|error| format!("{name} did not start: {error}"))?;
        let (jobs, mut queued) = mpsc::unbounded_channel();
        *process.borrow_mut() = Some(Process { presence: node.presence(), node, jobs });
        while let Some(job) = queued.recv().await {
            tokio::task::spawn_local(job);
        }
        Ok(())
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("name", &self.name()).field("ip", &self.ip()).finish_non_exhaustive()
    }
}
