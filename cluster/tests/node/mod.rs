//! A node of a test, on real sockets of the loopback interface, and waiting for what it tells.
//!
//! Nothing here waits for a time and then looks: it waits for a condition, with a deadline that only a failure reaches.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

pub(crate) mod cut;
#[path = "../ports/mod.rs"]
mod ports;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cut::{CutNetwork, Switch};
use headcount_cluster::{Class, Cluster, ClusterConfig, ClusterEvent, Link, Member, NodeId, StartError, World};
use ports::free_port;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::timeout;

/// Beyond this a test has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a test as a node runs: on one thread, inside a `LocalSet`.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async { timeout(DEADLINE * 2, test).await.expect("the test hangs") }));
}

/// A configuration with a quicker rhythm than in production.
pub(crate) fn config(name: &str, seeds: &[SocketAddr]) -> ClusterConfig {
    let mut config = ClusterConfig::new(NodeId::new(name).unwrap(), SocketAddr::from(([127, 0, 0, 1], 0)));
    config.seeds = seeds.iter().map(ToString::to_string).collect();
    config.gossip_interval = Duration::from_millis(100);
    config.heartbeat_interval = Duration::from_millis(200);
    config.read_timeout = Duration::from_secs(3);
    config.connect_timeout = Duration::from_millis(500);
    config.backoff_min = Duration::from_millis(20);
    config.backoff_max = Duration::from_millis(500);
    config.join_timeout = Duration::from_secs(2);
    config
}

/// An address on which nothing listens.
pub(crate) fn dead_addr() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

pub(crate) struct Node {
    pub(crate) cluster: Cluster,
    pub(crate) events: mpsc::Receiver<ClusterEvent>,
}

impl Node {
    pub(crate) async fn start(name: &str, seeds: &[SocketAddr]) -> Self {
        Self::start_with(config(name, seeds)).await.unwrap()
    }

    pub(crate) async fn start_with(config: ClusterConfig) -> Result<Self, StartError> {
        let (cluster, events) = Cluster::start(config, World::real()).await?;
        Ok(Self { cluster, events })
    }

    /// Starts a node whose network can be cut off.
    pub(crate) async fn start_cuttable(config: ClusterConfig) -> (Self, Switch) {
        let switch = Switch::default();
        (Self::start_behind(&switch, config).await, switch)
    }

    pub(crate) async fn start_behind(switch: &Switch, config: ClusterConfig) -> Self {
        let world = World { network: Arc::new(CutNetwork(switch.clone())), ..World::real() };
        let (cluster, events) = Cluster::start(config, world).await.unwrap();
        Self { cluster, events }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.cluster.me().addr
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> ClusterEvent {
        let me = self.cluster.me();
        let event = timeout(DEADLINE, self.events.recv()).await;
        event.unwrap_or_else(|_| panic!("{me:?} told nothing for {DEADLINE:?}")).expect("the node runs")
    }

    /// Takes events until one is what `pick` looks for.
    pub(crate) async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(ClusterEvent) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = pick(self.events.recv().await.expect("the node runs")) {
                    return found;
                }
            }
        };
        timeout(DEADLINE, search).await.unwrap_or_else(|_| panic!("no {what} within {DEADLINE:?}"))
    }

    /// Takes events until there is a link to the node of this name.
    pub(crate) async fn linked(&mut self, name: &str) -> (Member, Link) {
        let what = format!("link to {name}");
        self.until(&what, |event| match event {
            ClusterEvent::LinkUp { peer, link } if peer.node.as_str() == name => Some((peer, link)),
            _ => None,
        })
        .await
    }

    /// Takes events until there is a link to each of these nodes, in whatever order they come.
    pub(crate) async fn linked_with(&mut self, names: &[&str]) {
        let mut missing: Vec<&str> = names.to_vec();
        self.until("link to each", |event| {
            if let ClusterEvent::LinkUp { peer, .. } = event {
                missing.retain(|name| *name != peer.node.as_str());
            }
            missing.is_empty().then_some(())
        })
        .await;
    }

    /// Takes events until a frame of this class comes.
    pub(crate) async fn frame(&mut self, wanted: Class) -> Bytes {
        self.until("frame", |event| match event {
            ClusterEvent::Frame { class, payload, .. } if class == wanted => Some(payload),
            _ => None,
        })
        .await
    }
}

/// Waits until `condition` holds, looking again and again.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(DEADLINE, wait).await.is_ok(), "not within {DEADLINE:?}: {what}");
}
