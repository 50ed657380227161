//! Membership by gossip: the only file that knows chitchat.
//!
//! chitchat spreads who exists and judges who lives; this file gives it a socket over our network seam and turns what it shows into
//! [`Sighting`]s. A node publishes nothing but its id, and a key when it leaves.
//!
//! The cliff: every datagram carries a digest with one entry of up to 85 bytes per known incarnation, and all of it must fit into 65,507 bytes.
//! Beyond some 700 entries chitchat 0.11 computes a negative room for the rest: a debug build panics, a release build stops answering, and the
//! whole cluster is affected at once. Hence four rails: dead incarnations are forgotten after [`FORGET_DEAD_AFTER`]; the operator is warned
//! at 250 and handshakes refuse newcomers at 500; a datagram that would push this node over 650 is not let in; and one over 60,000 bytes is not sent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chitchat::transport::{Socket, Transport};
use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, ChitchatMessage, Deserializable, FailureDetectorConfig, NodeState,
    Serializable, spawn_chitchat,
};
use futures::FutureExt;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, error};

use crate::config::ClusterConfig;
use crate::event::Member;
use crate::id::{Incarnation, NodeId};
use crate::limits::{HARD_INCARNATIONS, MAX_DATAGRAM_BYTES};
use crate::membership::Sighting;
use crate::net::Datagrams;

/// How long chitchat remembers a dead incarnation; it is left out of digests after half of it. A node that
/// returns later is learned anew, and our own membership remembers it for the whole grace time.
const FORGET_DEAD_AFTER: Duration = Duration::from_secs(30);

/// The key by which a node says that it has left.
const LEFT_KEY: &str = "left";

/// Bytes of a digest's entry after its id: heartbeat and two versions.
const DIGEST_VERSIONS_BYTES: usize = 24;

/// A running chitchat under one identity. Dropping it stops it at once.
pub(crate) struct Gossip {
    handle: ChitchatHandle,
    known: Arc<KnownIds>,
}

impl Gossip {
    pub(crate) async fn start(
        config: &ClusterConfig,
        me: &Member,
        datagrams: Arc<dyn Datagrams>,
        counters: Arc<DatagramCounters>,
    ) -> anyhow::Result<Self> {
        let known = Arc::new(KnownIds::default());
        let transport = SeamTransport {
            node: config.node.clone(),
            datagrams,
            counters,
            known: Arc::clone(&known),
            cluster: cluster_id(config).into(),
        };
        let handle = spawn_chitchat(chitchat_config(config, me), Vec::new(), &transport).await?;
        Ok(Self { handle, known })
    }

    /// What lives, whenever it changes.
    pub(crate) async fn watch(&self) -> LiveWatch {
        let chitchat = self.handle.chitchat();
        let live = chitchat.lock().await.live_nodes_watcher();
        LiveWatch { live }
    }

    /// Starts a gossip exchange with an address: how a seed, or a member that was lost, is approached.
    pub(crate) fn greet(&self, addr: SocketAddr) {
        // It fails only when chitchat has died, which `has_died` tells.
        let _ = self.handle.gossip(addr);
    }

    /// Says to all that this node leaves.
    pub(crate) async fn say_left(&self) {
        let chitchat = self.handle.chitchat();
        chitchat.lock().await.self_node_state().set(LEFT_KEY, 1);
    }

    /// How many incarnations are known, this node's included.
    pub(crate) async fn known_incarnations(&self) -> usize {
        let chitchat = self.handle.chitchat();
        let ids: BTreeSet<ChitchatId> = chitchat.lock().await.node_states().keys().cloned().collect();
        let count = ids.len();
        self.known.replace(ids);
        count
    }

    /// Whether chitchat's task has ended, and why. Nothing but a defect, or a broken socket, ends it.
    pub(crate) fn has_died(&self) -> Option<String> {
        let end = self.handle.termination_watcher().now_or_never()?;
        Some(match end {
            Ok(()) => "it ended without a reason".to_owned(),
            Err(error) => error.to_string(),
        })
    }

    /// Stops and lets go of the socket, within a bound.
    pub(crate) async fn stop(&self, bound: Duration) {
        let ended = self.handle.termination_watcher();
        if self.handle.initiate_shutdown().is_ok() {
            let _ = timeout(bound, ended).await;
        }
    }
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl std::fmt::Debug for Gossip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gossip").field("id", self.handle.chitchat_id()).finish_non_exhaustive()
    }
}

/// The incarnations that chitchat holds for alive.
pub(crate) struct LiveWatch {
    live: watch::Receiver<BTreeMap<ChitchatId, NodeState>>,
}

impl LiveWatch {
    /// Waits for a change and returns the whole set. Safe to drop between polls.
    pub(crate) async fn changed(&mut self) -> Vec<Sighting> {
        if self.live.changed().await.is_err() {
            // The sender lives as long as the handle; whoever dropped that stops waiting here.
            std::future::pending::<()>().await;
        }
        self.live.borrow_and_update().iter().filter_map(sighting).collect()
    }
}

/// Ids that are no names of ours cannot come from a node of ours, and are nobody.
fn sighting((id, state): (&ChitchatId, &NodeState)) -> Option<Sighting> {
    let node = NodeId::new(&*id.node_id).ok()?;
    Some(Sighting {
        member: Member { node, incarnation: Incarnation(id.generation_id), addr: id.gossip_advertise_addr },
        left: state.get(LEFT_KEY).is_some(),
    })
}

/// Nodes of another cluster, and those with other settings, do not take part in the gossip.
fn cluster_id(config: &ClusterConfig) -> String {
    let settings = config.alike.iter().map(|(setting, value)| format!(" {setting}={value}"));
    std::iter::once(config.cluster.clone()).chain(settings).collect()
}

fn chitchat_config(config: &ClusterConfig, me: &Member) -> ChitchatConfig {
    ChitchatConfig {
        chitchat_id: ChitchatId::new(me.node.as_str(), me.incarnation.0, me.addr),
        cluster_id: cluster_id(config),
        gossip_interval: config.gossip_interval,
        listen_addr: config.listen,
        // Seeds are approached by `greet` once a handshake has shown that they are ours: chitchat would gossip with a
        // seed of another cluster for ever and warn of it five times a second on both sides.
        seed_nodes: Vec::new(),
        failure_detector_config: FailureDetectorConfig {
            phi_threshold: config.phi_threshold,
            sampling_window_size: 100,
            max_interval: config.max_heartbeat_interval,
            // The mean gap between heartbeats is about half a gossip interval, because each message in either direction
            // brings one. With the whole interval as the prior, a young cluster took up to twice as long to see a death.
            initial_interval: config.gossip_interval / 2,
            dead_node_grace_period: FORGET_DEAD_AFTER,
        },
        marked_for_deletion_grace_period: Duration::from_mins(1),
        catchup_callback: None,
        extra_liveness_predicate: None,
    }
}

/// What happened to datagrams. Atomics, because chitchat wants its socket `Send`.
#[derive(Debug, Default)]
pub(crate) struct DatagramCounters {
    pub(crate) sent: AtomicU64,
    pub(crate) taken: AtomicU64,
    pub(crate) oversized: AtomicU64,
    pub(crate) unsent: AtomicU64,
    pub(crate) garbage: AtomicU64,
    overfull_logged: AtomicBool,
}

/// The ids that chitchat knows, with those that came in since the last look.
#[derive(Debug, Default)]
struct KnownIds(Mutex<BTreeSet<ChitchatId>>);

impl KnownIds {
    fn replace(&self, ids: BTreeSet<ChitchatId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ids;
    }

    /// Adds the ids of a datagram, all or, when they would be too many, none.
    fn admit(&self, ids: Vec<ChitchatId>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new: BTreeSet<ChitchatId> = ids.into_iter().filter(|id| !known.contains(id)).collect();
        if known.len() + new.len() > HARD_INCARNATIONS {
            return false;
        }
        known.extend(new);
        true
    }
}

/// What chitchat sends and hears through, instead of a socket of its own.
#[derive(Clone)]
struct SeamTransport {
    node: NodeId,
    datagrams: Arc<dyn Datagrams>,
    counters: Arc<DatagramCounters>,
    known: Arc<KnownIds>,
    cluster: Arc<str>,
}

#[async_trait]
impl Transport for SeamTransport {
    async fn open(&self, _listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        Ok(Box::new(SeamSocket { seam: self.clone(), outgoing: Vec::new(), incoming: vec![0; MAX_DATAGRAM_BYTES + 1] }))
    }
}

struct SeamSocket {
    seam: SeamTransport,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

#[async_trait]
impl Socket for SeamSocket {
    /// Never an error: chitchat would warn of each, and an address that cannot be reached now is what gossip is for.
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        self.outgoing.clear();
        message.serialize(&mut self.outgoing);
        if self.outgoing.len() > MAX_DATAGRAM_BYTES {
            if self.seam.counters.oversized.fetch_add(1, Ordering::Relaxed) == 0 {
                error!(
                    node = %self.seam.node, bytes = self.outgoing.len(),
                    "a gossip datagram exceeds {MAX_DATAGRAM_BYTES} bytes and is not sent: the cluster has too many nodes, or \
                     too many restarts within {FORGET_DEAD_AFTER:?}"
                );
            }
            return Ok(());
        }
        match self.seam.datagrams.send_to(&self.outgoing, to).await {
            Ok(()) => self.seam.counters.sent.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                debug!(node = %self.seam.node, addr = %to, %error, "a gossip datagram could not be sent");
                self.seam.counters.unsent.fetch_add(1, Ordering::Relaxed)
            }
        };
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        loop {
            let (length, from) = match self.seam.datagrams.recv_from(&mut self.incoming).await {
                Ok(received) => received,
                Err(error) => {
                    // Windows reports a peer's closed port here, Linux a lack of memory. Neither breaks the socket; the pause
                    // keeps one that is broken from spinning.
                    debug!(node = %self.seam.node, %error, "receiving gossip failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let bytes = self.incoming.get(..length).unwrap_or_default();
            match self.seam.read(bytes) {
                Ok(message) => {
                    self.seam.counters.taken.fetch_add(1, Ordering::Relaxed);
                    return Ok((from, message));
                }
                Err(reason) => {
                    debug!(node = %self.seam.node, addr = %from, reason, "a datagram was dropped");
                    self.seam.counters.garbage.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

impl SeamTransport {
    fn read(&self, bytes: &[u8]) -> Result<ChitchatMessage, &'static str> {
        if bytes.len() > MAX_DATAGRAM_BYTES {
            return Err("it is too long");
        }
        let message = ChitchatMessage::deserialize(&mut &*bytes).map_err(|_| "it is no gossip")?;
        match &message {
            ChitchatMessage::Syn { cluster_id, .. } if **cluster_id != *self.cluster => {
                return Err("it is of another cluster");
            }
            ChitchatMessage::BadCluster => return Err("we are of another cluster for its sender"),
            ChitchatMessage::Syn { .. } | ChitchatMessage::SynAck { .. } | ChitchatMessage::Ack { .. } => {}
        }
        let ids = digest_ids(bytes).ok_or("its digest is malformed")?;
        if !self.known.admit(ids) {
            if !self.counters.overfull_logged.swap(true, Ordering::Relaxed) {
                error!(
                    node = %self.node,
                    "gossip brings more than {HARD_INCARNATIONS} incarnations; those beyond are not taken, and some nodes stay \
                     unknown here: the cluster has too many nodes, or too many restarts within {FORGET_DEAD_AFTER:?}"
                );
            }
            return Err("it would overfill the membership");
        }
        Ok(message)
    }
}

/// The ids in the digest of a message that chitchat was able to read. chitchat keeps its fields to itself, so
/// this reads the bytes: two of magic, one of version, one of type (0 and 1 carry a digest), two of count, the entries.
fn digest_ids(bytes: &[u8]) -> Option<Vec<ChitchatId>> {
    let [_, _, _, kind, rest @ ..] = bytes else {
        return None;
    };
    if *kind > 1 {
        return Some(Vec::new());
    }
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    (0..u16::from_le_bytes(*count))
        .map(|_| {
            let id = ChitchatId::deserialize(&mut rest).ok()?;
            rest = rest.get(DIGEST_VERSIONS_BYTES..)?;
            Some(id)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct NoDatagrams;

    impl Datagrams for NoDatagrams {
        fn local_addr(&self) -> std::io::Result<SocketAddr> {
            Ok(SocketAddr::from(([127, 0, 0, 1], 1)))
        }

        fn send_to<'a>(&'a self, _: &'a [u8], _: SocketAddr) -> futures::future::BoxFuture<'a, std::io::Result<()>> {
            async { Ok(()) }.boxed()
        }

        fn recv_from<'a>(
            &'a self,
            _: &'a mut [u8],
        ) -> futures::future::BoxFuture<'a, std::io::Result<(usize, SocketAddr)>> {
            std::future::pending().boxed()
        }
    }

    fn transport() -> SeamTransport {
        SeamTransport {
            node: NodeId::new("a").unwrap(),
            datagrams: Arc::new(NoDatagrams),
            counters: Arc::default(),
            known: Arc::default(),
            cluster: "demo".into(),
        }
    }

    fn id(n: usize) -> ChitchatId {
        let name = format!("{n:0>32}");
        ChitchatId::new(name, u64::MAX, "[fd00::1]:7946".parse().unwrap())
    }

    /// A SYN as chitchat writes it: header, digest, cluster name.
    fn syn(cluster: &str, ids: impl ExactSizeIterator<Item = ChitchatId>) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(45_139_u16.to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend((ids.len() as u16).to_le_bytes());
        for id in ids {
            id.serialize(&mut bytes);
            bytes.extend([1; DIGEST_VERSIONS_BYTES]);
        }
        cluster.to_owned().serialize(&mut bytes);
        bytes
    }

    #[test]
    fn gossip_of_this_cluster_is_taken_and_of_another_is_not() {
        let transport = transport();
        assert!(transport.read(&syn("demo", (0..3).map(id))).is_ok());
        assert_eq!(transport.read(&syn("prod", (0..3).map(id))), Err("it is of another cluster"));
        assert_eq!(transport.read(b"GET / HTTP/1.1"), Err("it is no gossip"));
    }

    #[test]
    fn datagrams_fill_the_membership_up_to_the_cap_and_not_one_past_it() {
        let transport = transport();
        assert!(transport.read(&syn("demo", (0..400).map(id))).is_ok());
        assert!(transport.read(&syn("demo", (200..HARD_INCARNATIONS).map(id))).is_ok());
        let over = syn("demo", std::iter::once(id(HARD_INCARNATIONS)));
        assert_eq!(transport.read(&over), Err("it would overfill the membership"));
        assert!(transport.read(&syn("demo", (0..400).map(id))).is_ok());
    }

    #[test]
    fn a_full_membership_fits_into_one_datagram() {
        let full = syn("demo", (0..HARD_INCARNATIONS).map(id));
        assert!(full.len() < MAX_DATAGRAM_BYTES, "{} bytes", full.len());
    }

    proptest! {
        #[test]
        fn garbage_datagrams_never_panic(kind in 0_u8..5, body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut bytes = Vec::new();
            bytes.extend(45_139_u16.to_le_bytes());
            bytes.extend([0, kind]);
            bytes.extend(&body);
            let transport = transport();
            let _ = transport.read(&bytes);
            let _ = transport.read(&body);
        }
    }
}
