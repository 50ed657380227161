//! A server of a user's own, and what it is given.
//!
//! A server is a function of a [`Server`]: it runs anew in each process of its machine, on the node that just listens there, and ends with
//! it. What it does must follow from what it is given and from virtual time, or its history cannot be told again: see
//! [`Simulation::run_twice`](super::Simulation::run_twice).

use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use headcount::{ClusterPresence, Node};
use headcount_cluster::{WallClock, WallMs};

use super::clock::MachineClock;
use super::fabric::Fabric;

/// How a server ends: well, which leaves its node running, or badly, which fails the simulation.
pub type ServerResult = Result<(), Box<dyn Error>>;

/// A server as the simulation keeps it.
#[derive(Clone)]
pub(crate) struct Program(Arc<dyn Fn(Server) -> LocalBoxFuture<'static, ServerResult> + Send + Sync>);

impl Program {
    pub(crate) fn new<F>(program: impl Fn(Server) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ServerResult> + 'static,
    {
        Self(Arc::new(move |server| program(server).boxed_local()))
    }

    /// Runs it; returns what went wrong.
    pub(crate) async fn run(&self, server: Server) -> Option<String> {
        match AssertUnwindSafe((self.0)(server)).catch_unwind().await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => {
                let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
                let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
                Some(format!("it panicked: {}", words.as_deref().unwrap_or("without words")))
            }
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program")
    }
}

/// What a server has: its node, and time.
#[derive(Debug)]
pub struct Server {
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) node: Node,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) fabric: Arc<Fabric>,
}

impl Server {
    /// The name of the node and its machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many processes have run on this machine, this one included: 1 in the first.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The node. It listens and may not be ready yet.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// A handle to the node's presence.
    pub fn presence(&self) -> ClusterPresence {
        self.node.presence()
    }

    /// Virtual time since the world began: all that a server may measure with, besides `tokio::time`.
    pub fn now(&self) -> Duration {
        self.fabric.now()
    }

    /// What the machine's wall clock shows, which the story may set wrong.
    pub fn wall_time(&self) -> WallMs {
        self.clock.now()
    }
}
