//! A node: membership, state and actor put together, and the handle that a game server holds.
//!
//! The node lives on one thread, its own when started with [`NodeBuilder::start`], or the caller's inside a `LocalSet`
//! ([`NodeBuilder::start_on`]), which is how a simulation runs the same code. The [`Node`] only holds channels
//! and the shared state; when the last clone of it is dropped the node stops at once, as a crash would, and
//! [`Node::leave`] says goodbye first.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix::Actor;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use headcount_cluster::{
    Cluster, ClusterConfig, ClusterStats, GoneReason, Member, MemberState, NodeId, StartError, World,
};
use headcount_presence::actor::{PresenceActor, PresenceEvent};
use headcount_presence::handle::Shared;
use headcount_presence::state::State;
pub use headcount_presence::{ClusterPresence, ReadyBy};
use headcount_presence::{HomeRequires, Limits, Stats};
use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::config::{Config, ConfigError};

/// Member events that wait for a slow listener; beyond it the oldest are dropped, and `current()` still tells the truth.
const MEMBER_EVENTS: usize = 1024;

/// How long a graceful leave may take: half for what peers have not confirmed yet, half for the goodbyes.
pub const LEAVE_DEADLINE: Duration = Duration::from_secs(10);

/// How often a leaving node looks whether its peers have everything.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(2);

/// A running node. Clones are handles to the same node, which stops when the last of them is dropped.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    view: Arc<View>,
    orders: mpsc::Sender<Order>,
    ready: watch::Receiver<Option<ReadyBy>>,
    stopped: watch::Receiver<Option<StopReason>>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("me", &self.me()).finish_non_exhaustive()
    }
}

/// What others read of the node's thread without asking it.
#[derive(Debug)]
struct View {
    me: Mutex<Member>,
    members: Mutex<Vec<(Member, MemberState)>>,
    cluster: Mutex<ClusterStats>,
    events: broadcast::Sender<MemberEvent>,
}

/// What the node's thread is asked to do. When the channel closes, it stops.
#[derive(Debug)]
enum Order {
    Leave(oneshot::Sender<LeaveReport>),
    Stop,
}

impl Node {
    /// A node with this name and otherwise the defaults.
    pub fn builder(name: impl Into<String>) -> NodeBuilder {
        NodeBuilder { config: Config { name: Some(name.into()), ..Config::default() } }
    }

    /// The handle to the data and topics. Clones are cheap, and any thread may use them.
    pub fn presence(&self) -> ClusterPresence {
        ClusterPresence::new(&self.shared)
    }

    /// This node, under its present incarnation.
    pub fn me(&self) -> Member {
        self.view.me.lock().clone()
    }

    /// The members: who they are now, and a stream of what changes from now on.
    pub fn members(&self) -> Members {
        let events = self.view.events.subscribe();
        let events = futures::stream::unfold(events, |mut events| async {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Members { view: Arc::clone(&self.view), events: events.boxed() }
    }

    /// The peers that this node has a link to, by name. A peer may be Up by gossip and not be linked yet, or not any more.
    pub fn linked(&self) -> Vec<Member> {
        let linked = self.shared.read(|state, _| state.linked_peers());
        let members = self.view.members.lock().clone();
        members.into_iter().map(|(member, _)| member).filter(|member| linked.contains(&member.origin())).collect()
    }

    /// Waits until this node has what the cluster knew when it joined, or has found itself first.
    ///
    /// # Errors
    /// [`NodeError::Stopped`] when it stopped before.
    pub async fn ready(&self) -> Result<Ready, NodeError> {
        let mut ready = self.ready.clone();
        let how = ready.wait_for(Option::is_some).await.ok().and_then(|how| how.clone());
        match how {
            Some(how) => Ok(Ready { how }),
            None => Err(NodeError::Stopped(self.stopped().await)),
        }
    }

    /// Leaves: commands are refused from now on, what peers have not confirmed is given to them, what was popped for calls under way
    /// goes back to its list, then each is told goodbye, so that they drop what this node owned at once. Takes at most ten seconds.
    pub async fn leave(self) -> LeaveReport {
        let (report, reported) = oneshot::channel();
        if self.orders.send(Order::Leave(report)).await.is_err() {
            return LeaveReport::default();
        }
        reported.await.unwrap_or_default()
    }

    /// Stops at once without a word, as a crash would; dropping all handles to the node does the same.
    pub fn kill(self) {
        // When there is no room it is about to leave, and when nobody listens it has stopped.
        let _ = self.orders.try_send(Order::Stop);
    }

    /// Waits until the node stops by itself, and says why. A node that is left or killed does not get here.
    pub async fn stopped(&self) -> StopReason {
        let mut stopped = self.stopped.clone();
        let reason = stopped.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or(StopReason::Failed)
    }

    /// Counts and gauges. Those of the cluster layer are at most one gossip interval old.
    pub fn stats(&self) -> NodeStats {
        NodeStats { presence: self.shared.read(|state, _| state.stats()), cluster: self.view.cluster.lock().clone() }
    }

    /// A number over all replicated rows, hidden ones included: equal on two nodes exactly when they hold the same.
    /// It walks every row.
    pub fn digest(&self) -> u64 {
        self.shared.read(|state, _| state.digest())
    }
}

/// Puts a node together.
#[derive(Debug, Clone)]
#[must_use]
pub struct NodeBuilder {
    pub(crate) config: Config,
}

impl From<Config> for NodeBuilder {
    /// A builder with all settings at once, for example as a program has loaded them.
    fn from(config: Config) -> Self {
        Self { config }
    }
}

impl NodeBuilder {
    /// Where to listen, as `ip:port`; UDP and TCP alike.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.config.listen = address.into();
        self
    }

    /// Where peers reach this node, as `ip:port`, when that is not where it listens.
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.config.advertise = Some(address.into());
        self
    }

    /// Nodes to find the cluster by, as `host:port`.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.config.seeds = seeds.into_iter().map(Into::into).collect();
        self
    }

    /// The cluster's name; nodes of different clusters refuse each other.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.config.cluster = name.into();
        self
    }

    /// How long to look for a first seed before going on alone.
    pub fn join_timeout(mut self, timeout: Duration) -> Self {
        self.config.join_timeout = timeout;
        self
    }

    /// Fail instead of going on alone.
    pub fn require_join(mut self, require: bool) -> Self {
        self.config.require_join = require;
        self
    }

    /// How long a silent node's rows stay hidden before they are dropped.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// What must hold for a key's home to carry commands out; give the same on all nodes.
    pub fn home_requires(mut self, requires: HomeRequires) -> Self {
        self.config.home_requires = requires;
        self
    }

    /// All settings at once, for what has no method here; what was set before is replaced, except the name when `config`
    /// has none.
    pub fn config(mut self, config: Config) -> Self {
        let name = config.name.clone().or(self.config.name.take());
        self.config = Config { name, ..config };
        self
    }

    /// Starts the node on a thread of its own. Returns when it listens and has asked its seeds once;
    /// [`Node::ready`] tells when it has caught up.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is left running.
    pub async fn start(self) -> Result<Node, NodeError> {
        self.config.check_in_cluster()?;
        let config = self.config.cluster_config()?;
        let limits = self.config.presence_limits();
        let (started, start) = oneshot::channel();
        let name = format!("headcount-{}", config.node);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(NodeError::Thread(error.to_string())))),
            };
            let tasks = tokio::task::LocalSet::new();
            tasks.block_on(&runtime, run(config, limits, World::real(), started));
        });
        thread.map_err(|error| NodeError::Thread(error.to_string()))?;
        start.await.unwrap_or(Err(NodeError::Stopped(StopReason::Failed)))
    }

    /// Starts the node on the calling thread, in the present `LocalSet`, with a network and a clock of the caller's.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is left running.
    ///
    /// # Panics
    /// Outside of a tokio `LocalSet`.
    pub async fn start_on(self, world: World) -> Result<Node, NodeError> {
        self.config.check_in_cluster()?;
        let config = self.config.cluster_config()?;
        let limits = self.config.presence_limits();
        let (started, start) = oneshot::channel();
        tokio::task::spawn_local(run(config, limits, world, started));
        start.await.unwrap_or(Err(NodeError::Stopped(StopReason::Failed)))
    }
}

/// The node's life.
async fn run(config: ClusterConfig, limits: Limits, world: World, started: oneshot::Sender<Result<Node, NodeError>>) {
    let gossip_interval = config.gossip_interval;
    let (cluster, events) = match Cluster::start(config, world.clone()).await {
        Ok(cluster) => cluster,
        Err(error) => return drop(started.send(Err(error.into()))),
    };
    let me = cluster.me();
    let state = State::clustered(&me, limits, world.clock.now(), world.rng_seed);
    let shared = Shared::attended(state, Arc::clone(&world.clock));
    let (tell, told) = mpsc::unbounded_channel();
    PresenceActor::new(Arc::clone(&shared), events, tell).start();
    shared.wake();
    // An actor that is dropped before its first turn would begin as it is dropped, when the timers have gone.
    tokio::task::yield_now().await;
    let (orders, ordered) = mpsc::channel(1);
    let (ready, is_ready) = watch::channel(None);
    let (stopped, is_stopped) = watch::channel(None);
    let view = Arc::new(View {
        me: Mutex::new(me.clone()),
        members: Mutex::new(vec![(me, MemberState::Up)]),
        cluster: Mutex::new(cluster.stats()),
        events: broadcast::Sender::new(MEMBER_EVENTS),
    });
    let node =
        Node { shared: Arc::clone(&shared), view: Arc::clone(&view), orders, ready: is_ready, stopped: is_stopped };
    if started.send(Ok(node)).is_ok() {
        let life = Life { cluster, view, ready, stopped, shared: Arc::clone(&shared) };
        life.follow(told, ordered, gossip_interval).await;
    }
    shared.write(|state, _| state.close());
}

/// What the node's thread looks after while the node runs.
struct Life {
    cluster: Cluster,
    view: Arc<View>,
    ready: watch::Sender<Option<ReadyBy>>,
    stopped: watch::Sender<Option<StopReason>>,
    shared: Arc<Shared>,
}

impl Life {
    async fn follow(
        self,
        mut told: mpsc::UnboundedReceiver<PresenceEvent>,
        mut ordered: mpsc::Receiver<Order>,
        gossip_interval: Duration,
    ) {
        let mut refresh = tokio::time::interval(gossip_interval);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                order = ordered.recv() => {
                    match order {
                        Some(Order::Leave(report)) => drop(report.send(self.leave().await)),
                        Some(Order::Stop) | None => {}
                    }
                    return;
                }
                event = told.recv() => {
                    let Some(event) = event else { return };
                    if let Some(reason) = self.note(event) {
                        self.stopped.send_replace(Some(reason));
                        return;
                    }
                }
                _ = refresh.tick() => *self.view.cluster.lock() = self.cluster.stats(),
            }
        }
    }

    /// Takes note of what the actor tells; returns why the node must stop.
    fn note(&self, event: PresenceEvent) -> Option<StopReason> {
        match event {
            PresenceEvent::Ready(by) => {
                self.ready.send_replace(Some(by));
            }
            PresenceEvent::Member { member, state, reason } => self.view.note_member(member, state, reason),
            PresenceEvent::DeclareGone(origin, reason) => self.cluster.declare_gone(origin, reason),
            PresenceEvent::Reincarnated(me) => self.view.note_me(me),
            PresenceEvent::Superseded(by) => return Some(StopReason::Superseded { by }),
            _ => {}
        }
        None
    }

    async fn leave(self) -> LeaveReport {
        self.shared.write(|state, _| state.close());
        let flushed_by = Instant::now() + LEAVE_DEADLINE / 2;
        while !self.shared.read(|state, _| state.is_flushed()) && Instant::now() < flushed_by {
            tokio::time::sleep(FLUSH_INTERVAL).await;
        }
        let parting = self.cluster.leave(LEAVE_DEADLINE / 2).await;
        let unheard_writes = self.shared.read(|state, _| state.unheard());
        LeaveReport { confirmed: parting.confirmed, unconfirmed: parting.unconfirmed, unheard_writes }
    }
}

impl View {
    fn note_member(&self, member: Member, state: MemberState, reason: Option<GoneReason>) {
        let mut members = self.members.lock();
        members.retain(|(known, _)| *known != member);
        if state != MemberState::Gone {
            members.push((member.clone(), state));
            members[1..].sort_by(|a, b| a.0.cmp(&b.0));
        }
        drop(members);
        // Nobody has to listen.
        let _ = self.events.send(MemberEvent { member, state, reason });
    }

    fn note_me(&self, me: Member) {
        *self.me.lock() = me.clone();
        self.members.lock()[0].0 = me;
    }
}

/// How a graceful leave went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaveReport {
    /// The peers that confirmed the goodbye, sorted: they hold this node for Gone.
    pub confirmed: Vec<NodeId>,
    /// The members that did not, sorted: they learn it by gossip, or when the grace time is over.
    pub unconfirmed: Vec<NodeId>,
    /// This node's last writes that no other node had said that it has when the goodbye began; one that confirmed it may have them.
    pub unheard_writes: u64,
}

impl fmt::Display for LeaveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { confirmed, unconfirmed, unheard_writes } = self;
        write!(f, "left; {} of {} members confirmed", confirmed.len(), confirmed.len() + unconfirmed.len())?;
        if let Some(first) = unconfirmed.first() {
            write!(f, "; not confirmed: {first}")?;
        }
        unconfirmed.iter().skip(1).try_for_each(|node| write!(f, ", {node}"))?;
        if confirmed.is_empty() && !unconfirmed.is_empty() && *unheard_writes > 0 {
            write!(
                f,
                "; the last writes of this node ({unheard_writes}) may be lost, nobody has said that it has them"
            )?;
        }
        Ok(())
    }
}

/// The members of the cluster: a present view, and a stream of what changes.
pub struct Members {
    view: Arc<View>,
    events: BoxStream<'static, MemberEvent>,
}

impl Members {
    /// This node first, then the others by name. Those that are Gone are not in it.
    pub fn current(&self) -> Vec<(Member, MemberState)> {
        self.view.members.lock().clone()
    }
}

impl Stream for Members {
    type Item = MemberEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<MemberEvent>> {
        self.events.poll_next_unpin(context)
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").field("current", &self.current()).finish_non_exhaustive()
    }
}

/// A change of a member's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberEvent {
    /// The member.
    pub member: Member,
    /// Its state from now on.
    pub state: MemberState,
    /// Why, when it is Gone.
    pub reason: Option<GoneReason>,
}

/// That a node is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// How it became ready.
    pub how: ReadyBy,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.how.fmt(f)
    }
}

/// Why a node stopped by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// Another live process has taken this node's name.
    Superseded {
        /// The process that has it.
        by: Member,
    },
    /// The node's thread ended without a reason that it could tell.
    Failed,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superseded { by } => write!(
                f,
                "another live process has the name {}: it runs at {} (incarnation {}); give one of the two another name. What this \
                 node had not yet passed on to others is lost",
                by.node, by.addr, by.incarnation
            ),
            Self::Failed => f.write_str("the node's thread has ended; its log says why"),
        }
    }
}

/// Why a node could not start, or is not there any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It could not join, or not listen.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What it was to work on refuses it or is not there.
    #[cfg(feature = "redis")]
    #[error("{0}")]
    Backend(#[from] headcount_presence::Error),
    /// The system gave it no thread or no event loop.
    #[error("the node's thread could not be started: {0}")]
    Thread(String),
    /// It has stopped.
    #[error("the node has stopped: {0}")]
    Stopped(StopReason),
}

/// A node's counts and gauges.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeStats {
    /// Of its state and topics.
    pub presence: Stats,
    /// Of its membership and links.
    pub cluster: ClusterStats,
}
