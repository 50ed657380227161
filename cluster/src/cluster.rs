//! One node of a cluster, put together: the sockets, the way in, gossip, links, and the way out.
//!
//! `start` binds, asks the seeds, starts gossip and returns; from then on one loop feeds the membership core, and small tasks serve each
//! connection. All of them run on the calling thread. Dropping the [`Cluster`] ends them at once and without a word, as a crash would;
//! [`Cluster::leave`] says goodbye first.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{error, info, warn};

use crate::config::{ClusterConfig, ConfigError};
use crate::event::{ClusterEvent, GoneReason, Member, MemberState};
use crate::gossip::{Gossip, LiveWatch};
use crate::id::{Incarnation, NodeId, Origin};
use crate::limits::{MAX_INCARNATIONS, WARN_INCARNATIONS};
use crate::link::Link;
use crate::link::handshake::Refusal;
use crate::net::counters::ClusterStats;
use crate::net::events::EventGate;
use crate::net::hub::{Hub, Phase};
use crate::net::join::Seeds;
use crate::net::{Datagrams, Listener, World, listener};
use crate::pace::REINCARNATION_PAUSE;

/// Attempts to find a port that is free for both protocols, when the system chooses.
const PORT_ATTEMPTS: usize = 16;

/// How long a stopped gossip may take to let go of its socket.
const GOSSIP_STOP_TIMEOUT: Duration = Duration::from_millis(200);

/// One node's membership of a cluster. It runs inside a `LocalSet`, on the thread that started it.
pub struct Cluster {
    hub: Rc<Hub>,
}

impl Cluster {
    /// Binds, asks the seeds and joins. Returns after the first round of asking, however it went, unless that is an error or
    /// `require_join` is set; the rest is told by events.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    ///
    /// # Panics
    /// Outside of a tokio `LocalSet`, as `spawn_local` does.
    pub async fn start(
        mut config: ClusterConfig,
        world: World,
    ) -> Result<(Self, mpsc::Receiver<ClusterEvent>), StartError> {
        config.validate()?;
        let (listener, datagrams) = bind(&config, &world).await?;
        let bound = listener.local_addr().map_err(|source| StartError::bind("TCP", config.listen, source))?;
        config.listen = bound;
        if config.advertise.port() == 0 {
            config.advertise.set_port(bound.port());
        }
        let mut seeds = Seeds::new(&config.seeds);
        let (events, receiver) = EventGate::new();
        // From here on an early return drops the cluster, and with it every task.
        let cluster = Self { hub: Rc::new(Hub::new(config, world, events)) };
        let hub = &cluster.hub;
        let pumping = Rc::clone(hub);
        hub.spawn(async move { pumping.events.pump().await });
        hub.spawn(listener::run(Rc::clone(hub), listener));
        seeds.join(hub).await?;
        let live = start_gossip(hub, &datagrams).await.map_err(StartError::Gossip)?;
        hub.set_phase(Phase::Running);
        seeds.start_gossip(hub);
        hub.spawn(seeds.keep_probing(Rc::clone(hub)));
        hub.spawn(follow(Rc::clone(hub), datagrams, live));
        let me = hub.me();
        info!(node = %me.node, addr = %me.addr, incarnation = %me.incarnation, cluster = hub.config.cluster, "node {} listens at {}", me.node, hub.config.listen);
        Ok((cluster, receiver))
    }

    /// This node, under its present incarnation.
    pub fn me(&self) -> Member {
        self.hub.me()
    }

    /// The other members that are not Gone, sorted by name.
    pub fn members(&self) -> Vec<(Member, MemberState)> {
        self.hub.members()
    }

    /// The origins that are known to be Gone and remembered, the oldest first. At most
    /// [`MAX_FENCED`](crate::limits::MAX_FENCED).
    pub fn gone(&self) -> Vec<Origin> {
        self.hub.gone()
    }

    /// The links that are established now, sorted by the peer's name.
    pub fn links(&self) -> Vec<Link> {
        self.hub.links()
    }

    /// What was counted so far.
    pub fn stats(&self) -> ClusterStats {
        self.hub.stats()
    }

    /// Holds an origin for Gone because a peer does: it is never taken back, and told so when it turns up alive.
    pub fn declare_gone(&self, origin: Origin, reason: GoneReason) {
        self.hub.declared_gone(origin, reason);
    }

    /// Says goodbye: what is queued on the links goes out, then a goodbye, and each peer confirms it. Then, or at the deadline,
    /// everything stops. No events are told from here on, so that nobody needs to take them.
    pub async fn leave(self, deadline: Duration) -> Parting {
        let until = Instant::now() + deadline;
        let hub = &self.hub;
        hub.set_phase(Phase::Leaving);
        hub.events.silence();
        let links = hub.links();
        let unlinked: Vec<Member> = hub
            .members()
            .into_iter()
            .filter(|(member, _)| !links.iter().any(|link| link.peer() == member))
            .map(|(member, _)| member)
            .collect();
        for link in &links {
            link.with_outbox(crate::link::outbox::Outbox::say_goodbye);
        }
        tell_left(hub, &unlinked, until).await;
        await_confirmations(hub, &links, until).await;
        let report = Parting::of(&links, &unlinked);
        info!(node = %hub.config.node, confirmed = report.confirmed.len(), unconfirmed = report.unconfirmed.len(), "this node has left");
        let mut tasks = hub.take_tasks();
        tasks.shutdown().await;
        if let Some(gossip) = hub.gossip() {
            gossip.stop(GOSSIP_STOP_TIMEOUT).await;
        }
        report
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.hub.take_tasks().abort_all();
        self.hub.set_gossip(None);
        for link in self.hub.links() {
            link.stop("this node has stopped");
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hub.fmt(f)
    }
}

/// Both protocols on one port. When the system chooses, the port that TCP got may be taken for UDP: then another is tried.
async fn bind(config: &ClusterConfig, world: &World) -> Result<(Box<dyn Listener>, Arc<dyn Datagrams>), StartError> {
    let mut attempts = PORT_ATTEMPTS;
    loop {
        attempts -= 1;
        let tcp = world.network.bind_tcp(config.listen).await;
        let tcp = tcp.map_err(|source| StartError::bind("TCP", config.listen, source))?;
        let addr = tcp.local_addr().map_err(|source| StartError::bind("TCP", config.listen, source))?;
        match world.network.bind_udp(addr).await {
            Ok(udp) => return Ok((tcp, udp)),
            Err(_) if config.listen.port() == 0 && attempts > 0 => {}
            Err(source) => return Err(StartError::bind("UDP", addr, source)),
        }
    }
}

async fn start_gossip(hub: &Hub, datagrams: &Arc<dyn Datagrams>) -> Result<LiveWatch, String> {
    let counters = Arc::clone(&hub.datagram_counters);
    let gossip = Gossip::start(&hub.config, &hub.me(), Arc::clone(datagrams), counters)
        .await
        .map_err(|error| error.to_string())?;
    let live = gossip.watch().await;
    hub.set_gossip(Some(gossip));
    Ok(live)
}

/// The loop that feeds the membership core and looks after gossip.
async fn follow(hub: Rc<Hub>, datagrams: Arc<dyn Datagrams>, mut live: LiveWatch) {
    let mut ticks = interval(hub.config.gossip_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_crowded = false;
    let mut reincarnated = None;
    loop {
        hub.events.drained().await;
        if reincarnated.is_none_or(|at: Instant| at.elapsed() >= REINCARNATION_PAUSE)
            && let Some(above) = hub.take_wanted_above()
        {
            reincarnated = Some(Instant::now());
            match reincarnate(&hub, &datagrams, above).await {
                Some(watch) => live = watch,
                None => return,
            }
        }
        tokio::select! {
            biased;
            () = hub.nudged.notified() => {}
            seen = live.changed() => hub.live_changed(&seen),
            _ = ticks.tick() => {
                hub.ticked();
                hub.tell_returned();
                hub.reap_tasks();
                hub.greet_absent();
                is_crowded = look_after_gossip(&hub, is_crowded).await;
            }
        }
    }
}

/// Goes on under a new incarnation, with gossip started afresh on the same socket.
async fn reincarnate(hub: &Rc<Hub>, datagrams: &Arc<dyn Datagrams>, above: Incarnation) -> Option<LiveWatch> {
    let (old, new) = hub.take_incarnation_above(above);
    warn!(node = %new.node, old = %old.incarnation, new = %new.incarnation, "peers have given this node up as gone; it goes on under a new incarnation and asserts again what it owns");
    hub.count(|stats| stats.reincarnations += 1);
    hub.events.emit(ClusterEvent::Reincarnated { old, new });
    hub.set_gossip(None);
    let live = match start_gossip(hub, datagrams).await {
        Ok(live) => live,
        Err(reason) => {
            error!(node = %hub.config.node, reason, "gossip does not start again; this node sees nobody come or go from here on and must be restarted");
            return None;
        }
    };
    for (member, _) in hub.members() {
        hub.greet(member.addr);
    }
    Some(live)
}

/// Counts who is known, warns at the first rail before the cliff, and notices when gossip has died. Returns whether it is crowded.
async fn look_after_gossip(hub: &Hub, was_crowded: bool) -> bool {
    let Some(gossip) = hub.gossip() else {
        return was_crowded;
    };
    let known = gossip.known_incarnations().await;
    let death = gossip.has_died();
    hub.count(|stats| stats.known_incarnations = known);
    if let Some(reason) = death
        && !hub.is_incarnation_wanted()
    {
        error!(node = %hub.config.node, reason, "gossip has stopped; it starts again under a new incarnation");
        let me = hub.me();
        hub.want_incarnation_above(me.incarnation, me.incarnation);
    }
    let is_crowded = known >= WARN_INCARNATIONS;
    if is_crowded && !was_crowded {
        warn!(
            node = %hub.config.node,
            "gossip knows {known} incarnations; newcomers are refused from {MAX_INCARNATIONS} on. Restarts count for half a minute each"
        );
    }
    is_crowded
}

/// Tells those without a link by gossip, which takes a few rounds.
async fn tell_left(hub: &Hub, unlinked: &[Member], until: Instant) {
    let Some(gossip) = hub.gossip() else {
        return;
    };
    gossip.say_left().await;
    if !unlinked.is_empty() {
        for member in unlinked {
            gossip.greet(member.addr);
        }
        let rounds = Instant::now() + hub.config.gossip_interval * 3;
        sleep_until(rounds.min(until)).await;
    }
}

async fn await_confirmations(hub: &Hub, links: &[Link], until: Instant) {
    let is_open = |link: &&Link| !link.goodbye_confirmed() && !link.is_closed();
    while links.iter().any(|link| is_open(&link)) {
        let progress = hub.leave_progressed.notified();
        tokio::select! {
            biased;
            () = progress => {}
            () = sleep_until(until) => return,
        }
    }
}

/// How a graceful leave went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parting {
    /// The peers that confirmed the goodbye, sorted: they hold this node for Gone.
    pub confirmed: Vec<NodeId>,
    /// The members that did not, sorted: they learn it by gossip, or when the grace time is over.
    pub unconfirmed: Vec<NodeId>,
}

impl Parting {
    fn of(links: &[Link], unlinked: &[Member]) -> Self {
        let (confirmed, unconfirmed): (Vec<&Link>, Vec<&Link>) =
            links.iter().partition(|link| link.goodbye_confirmed());
        let name = |link: &Link| link.peer().node.clone();
        let mut report = Self {
            confirmed: confirmed.into_iter().map(name).collect(),
            unconfirmed: unconfirmed.into_iter().map(name).collect(),
        };
        report.unconfirmed.extend(unlinked.iter().map(|member| member.node.clone()));
        report.unconfirmed.sort();
        report
    }
}

/// Why a node did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot work.
    #[error("the configuration is wrong: {0}")]
    Config(#[from] ConfigError),
    /// The address could not be bound.
    #[error("cannot listen at {addr} by {protocol}: {source}{hint}")]
    Bind {
        /// `TCP` or `UDP`.
        protocol: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What to do, when that is known.
        hint: &'static str,
        /// The system's words.
        source: io::Error,
    },
    /// Every seed that answered refused this node.
    #[error("every seed that answered refused this node:{}", lines(refusals))]
    Refused {
        /// Each seed and its reason.
        refusals: Vec<(String, Refusal)>,
    },
    /// Another live process has this node's name, for the whole of `join_timeout`.
    #[error(
        "the name {node} is in use: seed {seed} knows a live node of this name at {addr} (incarnation {incarnation}); give this node \
         another name with `name`, or stop the other process"
    )]
    NameInUse {
        /// The name.
        node: String,
        /// The seed that said so.
        seed: String,
        /// Where the other process is.
        addr: SocketAddr,
        /// Its incarnation.
        incarnation: Incarnation,
    },
    /// No seed was reached within `join_timeout`, and `require_join` is set.
    #[error("no seed was reached and `require_join` is set; tried:{}", lines(tried))]
    NobodyReached {
        /// Each seed and why it was not reached, in words.
        tried: Vec<(String, String)>,
    },
    /// Gossip did not start.
    #[error("gossip did not start: {0}")]
    Gossip(String),
}

impl StartError {
    fn bind(protocol: &'static str, addr: SocketAddr, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "; another process has this port: stop it, or give this node another port with `listen` and `advertise` \
                 (it needs the port for TCP and UDP)"
            }
            io::ErrorKind::AddrNotAvailable => {
                "; this machine does not have this address: `listen` is an address of a local interface or 0.0.0.0, \
                 `advertise` is where peers reach it"
            }
            io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges: choose a higher one",
            _ => "",
        };
        Self::Bind { protocol, addr, hint, source }
    }
}

/// One line per seed, below the sentence that introduces them.
fn lines<T: fmt::Display>(seeds: &[(String, T)]) -> String {
    let lines: Vec<String> = seeds.iter().map(|(seed, why)| format!("\n  {seed}: {why}")).collect();
    lines.concat()
}
