//! What the tasks of one node share, and the consequences of what each of them learns.
//!
//! Everything here is synchronous and on one thread: a method takes what happened, asks the membership core, tells the layer above and starts or
//! stops what follows. Since no method waits, none can be interrupted half-way, and the order of calls is the order of
//! events. Invariants: `MemberUp` is told before a member's `LinkUp`; a link that is not in `links` is stopped;
//! and before `MemberGone` is told the member's link is stopped, so that nothing more comes of it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::World;
use super::counters::ClusterStats;
use super::dialer;
use super::events::EventGate;
use crate::backoff::Backoff;
use crate::config::ClusterConfig;
use crate::event::{ClusterEvent, GoneReason, Member, MemberState};
use crate::gossip::{DatagramCounters, Gossip};
use crate::id::{Incarnation, NodeId, Origin};
use crate::limits::{MAX_INCARNATIONS, MAX_LOGGED_ONCE};
use crate::link::Link;
use crate::link::handshake::{Hello, Intent, Knowledge, Notice, Refusal, judge};
use crate::membership::{Membership, MembershipEvent, Sighting};

pub(crate) struct Hub {
    /// The configuration, with the advertised port resolved.
    pub(crate) config: ClusterConfig,
    pub(crate) world: World,
    pub(crate) events: EventGate,
    /// The hub's loop has something to do.
    pub(crate) nudged: Notify,
    /// A member is up: whoever waits before dialling again need not.
    pub(crate) came_up: Notify,
    /// A goodbye was confirmed, or a link ended.
    pub(crate) leave_progressed: Notify,
    pub(crate) datagram_counters: Arc<DatagramCounters>,
    pub(crate) pending_handshakes: Cell<usize>,
    started: Instant,
    state: RefCell<State>,
    stats: RefCell<ClusterStats>,
    gossip: RefCell<Option<Rc<Gossip>>>,
    tasks: RefCell<JoinSet<()>>,
}

struct State {
    me: Member,
    phase: Phase,
    membership: Membership,
    links: BTreeMap<NodeId, Link>,
    /// Incarnations whose link was lost and is not back: no proof that they live.
    lost_links: BTreeSet<Origin>,
    dialers: BTreeMap<NodeId, Incarnation>,
    notices: BTreeSet<Origin>,
    /// This node must take an incarnation above this one.
    wanted_above: Option<Incarnation>,
    superseded: bool,
    next_serial: u64,
    seed_addrs: Vec<SocketAddr>,
    rng: SmallRng,
    logged: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Looking for a seed; the incarnation may still change. No links.
    Starting,
    Running,
    /// Saying goodbye. No new links.
    Leaving,
}

impl Hub {
    pub(crate) fn new(config: ClusterConfig, world: World, events: EventGate) -> Self {
        let mut rng = SmallRng::seed_from_u64(world.rng_seed);
        let me = Member {
            node: config.node.clone(),
            incarnation: Incarnation::draw(world.clock.now().0, rng.random()),
            addr: config.advertise,
        };
        Self {
            events,
            nudged: Notify::new(),
            came_up: Notify::new(),
            leave_progressed: Notify::new(),
            datagram_counters: Arc::default(),
            pending_handshakes: Cell::new(0),
            started: Instant::now(),
            state: RefCell::new(State {
                membership: Membership::new(me.clone(), config.grace),
                me,
                phase: Phase::Starting,
                links: BTreeMap::new(),
                lost_links: BTreeSet::new(),
                dialers: BTreeMap::new(),
                notices: BTreeSet::new(),
                wanted_above: None,
                superseded: false,
                next_serial: 0,
                seed_addrs: Vec::new(),
                rng,
                logged: BTreeSet::new(),
            }),
            stats: RefCell::default(),
            gossip: RefCell::new(None),
            tasks: RefCell::new(JoinSet::new()),
            config,
            world,
        }
    }

    pub(crate) fn me(&self) -> Member {
        self.state.borrow().me.clone()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.state.borrow().phase
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.state.borrow_mut().phase = phase;
    }

    pub(crate) fn members(&self) -> Vec<(Member, MemberState)> {
        let state = self.state.borrow();
        state.membership.members().map(|(member, state)| (member.clone(), state)).collect()
    }

    pub(crate) fn gone(&self) -> Vec<Origin> {
        self.state.borrow().membership.gone().collect()
    }

    pub(crate) fn is_up(&self, node: &NodeId) -> bool {
        let state = self.state.borrow();
        matches!(state.membership.member(node), Some((_, MemberState::Up)))
    }

    pub(crate) fn links(&self) -> Vec<Link> {
        self.state.borrow().links.values().cloned().collect()
    }

    pub(crate) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn stats(&self) -> ClusterStats {
        let datagrams = &self.datagram_counters;
        ClusterStats {
            links_up: self.state.borrow().links.len(),
            datagrams_out: datagrams.sent.load(Ordering::Relaxed),
            datagrams_in: datagrams.taken.load(Ordering::Relaxed),
            oversized_datagrams: datagrams.oversized.load(Ordering::Relaxed),
            unsent_datagrams: datagrams.unsent.load(Ordering::Relaxed),
            garbage_datagrams: datagrams.garbage.load(Ordering::Relaxed),
            ..self.stats.borrow().clone()
        }
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut ClusterStats)) {
        change(&mut self.stats.borrow_mut());
    }

    pub(crate) fn next_wait(&self, backoff: &mut Backoff) -> Duration {
        backoff.next_wait(&mut self.state.borrow_mut().rng)
    }

    /// Whether `line` is said for the first time.
    pub(crate) fn is_news(&self, line: String) -> bool {
        let logged = &mut self.state.borrow_mut().logged;
        if logged.len() >= MAX_LOGGED_ONCE {
            logged.clear();
        }
        logged.insert(line)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().spawn_local(task);
    }

    /// Forgets the tasks that have ended.
    pub(crate) fn reap_tasks(&self) {
        let mut tasks = self.tasks.borrow_mut();
        while tasks.try_join_next().is_some() {}
    }

    /// Takes the tasks out, to be stopped.
    pub(crate) fn take_tasks(&self) -> JoinSet<()> {
        self.tasks.take()
    }

    pub(crate) fn set_gossip(&self, gossip: Option<Gossip>) {
        *self.gossip.borrow_mut() = gossip.map(Rc::new);
    }

    pub(crate) fn gossip(&self) -> Option<Rc<Gossip>> {
        self.gossip.borrow().clone()
    }

    /// Where seeds were when they last accepted this node.
    pub(crate) fn set_seed_addrs(&self, addrs: Vec<SocketAddr>) {
        self.state.borrow_mut().seed_addrs = addrs;
    }

    /// Approaches those that are Down, and seeds that are missing: who starts again is found before it goes on by itself.
    pub(crate) fn greet_absent(&self) {
        let absent = {
            let state = &mut *self.state.borrow_mut();
            state.membership.to_greet(&state.seed_addrs, &mut state.rng)
        };
        for addr in absent {
            self.greet(addr);
        }
    }

    /// Starts a gossip exchange with an address.
    pub(crate) fn greet(&self, addr: SocketAddr) {
        if let Some(gossip) = &*self.gossip.borrow() {
            gossip.greet(addr);
        }
    }

    // ---- handshakes

    /// The verdict on a dialer.
    pub(crate) fn judge(&self, hello: &Hello) -> Result<(), Refusal> {
        let state = self.state.borrow();
        let dialer = &hello.member;
        let namesake = state.membership.member(&dialer.node);
        let known = Knowledge {
            highest: state.membership.highest(&dialer.node),
            is_gone: state.membership.is_gone(dialer.origin()),
            live_namesake: namesake
                .filter(|(member, member_state)| {
                    *member_state == MemberState::Up
                        && member.incarnation != dialer.incarnation
                        && member.addr != dialer.addr
                        && !state.lost_links.contains(&member.origin())
                })
                .map(|(member, _)| member.clone()),
            has_room: namesake.is_some() || self.stats.borrow().known_incarnations < MAX_INCARNATIONS,
            is_ready: state.phase == Phase::Running,
        };
        judge(&state.me, &self.config, hello, &known)
    }

    pub(crate) fn count_refusal(&self, refusal: &Refusal) {
        let refused = &mut self.stats.borrow_mut().refused;
        let counter = match refusal {
            Refusal::OtherCluster { .. } => &mut refused.other_cluster,
            Refusal::OtherSetting { .. } => &mut refused.other_setting,
            Refusal::IncompatibleVersion { .. } => &mut refused.incompatible_version,
            Refusal::NameInUse { .. } => &mut refused.name_in_use,
            Refusal::StaleIncarnation { .. } => &mut refused.stale_incarnation,
            Refusal::Gone => &mut refused.gone,
            Refusal::ClusterFull => &mut refused.cluster_full,
            Refusal::NotYou { .. } => &mut refused.not_you,
            Refusal::Yourself => &mut refused.yourself,
            Refusal::Unready => &mut refused.unready,
        };
        *counter += 1;
    }

    /// Whether a refusal, given or got, is to be told and was not yet. Around a goodbye nodes refuse each other rightly, and none of them comes back.
    pub(crate) fn is_news_of(&self, refusal: &Refusal, news: String) -> bool {
        self.phase() != Phase::Leaving && !matches!(refusal, Refusal::Unready | Refusal::Yourself) && self.is_news(news)
    }

    /// What follows from being refused as `used`.
    pub(crate) fn refused(&self, peer: &dyn fmt::Display, used: &Member, refusal: &Refusal) {
        match refusal {
            Refusal::Gone => self.want_incarnation_above(used.incarnation, used.incarnation),
            Refusal::StaleIncarnation { known } => self.want_incarnation_above(*known, used.incarnation),
            Refusal::NameInUse { addr, incarnation } => {
                let by = Member { node: used.node.clone(), incarnation: *incarnation, addr: *addr };
                if by.incarnation > used.incarnation && by.addr != used.addr && self.me() == *used {
                    self.superseded(by);
                }
            }
            Refusal::OtherCluster { .. }
            | Refusal::OtherSetting { .. }
            | Refusal::IncompatibleVersion { .. }
            | Refusal::ClusterFull
            | Refusal::NotYou { .. }
            | Refusal::Unready
            | Refusal::Yourself => {}
        }
        if self.is_news_of(refusal, format!("{peer} refuses: {refusal}")) {
            warn!(node = %used.node, peer = %peer, "{peer} refused this node: {refusal}");
        }
    }

    /// Another process has this node's name, and this one has to stop.
    pub(crate) fn superseded(&self, by: Member) {
        let first = !std::mem::replace(&mut self.state.borrow_mut().superseded, true);
        if first {
            error!(
                node = %by.node, addr = %by.addr,
                "another live process at {} has this node's name {} (incarnation {}); this node cannot go on: give each node its own name",
                by.addr, by.node, by.incarnation
            );
            self.events.emit(ClusterEvent::Superseded { by });
        }
    }

    // ---- identity

    /// Asks for a new incarnation, unless it has already changed from `used`.
    pub(crate) fn want_incarnation_above(&self, above: Incarnation, used: Incarnation) {
        let mut state = self.state.borrow_mut();
        if state.me.incarnation == used {
            state.wanted_above = state.wanted_above.max(Some(above));
            drop(state);
            self.nudged.notify_one();
        }
    }

    /// What an incarnation that is asked for has to be above. Who says goodbye takes none: peers that have heard it tell this one rightly that it is
    /// Gone, and of another nobody would ever hear a goodbye.
    pub(crate) fn take_wanted_above(&self) -> Option<Incarnation> {
        let mut state = self.state.borrow_mut();
        if state.phase == Phase::Leaving { None } else { state.wanted_above.take() }
    }

    pub(crate) fn is_incarnation_wanted(&self) -> bool {
        self.state.borrow().wanted_above.is_some()
    }

    /// Takes a new incarnation: every link ends, and whoever was Up stays so until gossip had time to find them again.
    pub(crate) fn take_incarnation_above(&self, above: Incarnation) -> (Member, Member) {
        let links = std::mem::take(&mut self.state.borrow_mut().links);
        for link in links.into_values() {
            self.end_link(&link, "this node takes a new incarnation");
        }
        let now = self.since_start();
        let mut state = self.state.borrow_mut();
        let old = state.me.clone();
        let random = state.rng.random();
        let new = Member { incarnation: old.incarnation.above(above, random), ..old.clone() };
        state.me = new.clone();
        state.superseded = false;
        state.membership.handle_restart(now, new.clone());
        (old, new)
    }

    // ---- membership

    pub(crate) fn live_changed(self: &Rc<Self>, live: &[Sighting]) {
        let now = self.since_start();
        self.tell_pause(now);
        self.state.borrow_mut().membership.handle_live(now, live);
        self.follow_membership();
    }

    pub(crate) fn ticked(self: &Rc<Self>) {
        let now = self.since_start();
        self.tell_pause(now);
        self.state.borrow_mut().membership.handle_tick(now);
        self.follow_membership();
    }

    /// What follows from a pause reads as if the others had gone.
    fn tell_pause(&self, now: Duration) {
        if let Some(pause) = self.state.borrow().membership.pause_before(now) {
            warn!(
                node = %self.config.node,
                "this process stood still for {pause:.1?} (stopped, swapped out, or its machine suspended); others may have held it \
                 for Down meanwhile, and it has to hear of them anew"
            );
        }
    }

    /// Tells the incarnations that are Gone, or too low, and that gossip shows alive.
    pub(crate) fn tell_returned(self: &Rc<Self>) {
        let returned: Vec<Member> = self.state.borrow().membership.returned().cloned().collect();
        for member in returned {
            self.tell_gone(member);
        }
    }

    /// Takes a seed's acceptance as a sign of life; when it is Gone here, it is told so.
    pub(crate) fn seed_accepted(self: &Rc<Self>, seed: &Member) {
        let now = self.since_start();
        let is_member = self.state.borrow_mut().membership.handle_contact(now, seed);
        self.follow_membership();
        if !is_member {
            self.tell_gone(seed.clone());
        }
        self.greet(seed.addr);
    }

    /// An incarnation that is Gone here but lives, or lower than another, must take a new one. Each is told by one task at a time.
    fn tell_gone(self: &Rc<Self>, member: Member) {
        if self.state.borrow_mut().notices.insert(member.origin()) {
            let notice = Notice::to(&member, self.state.borrow().membership.highest(&member.node));
            self.spawn(dialer::tell_gone(Rc::clone(self), member, notice));
        }
    }

    pub(crate) fn notice_ended(&self, origin: Origin) {
        self.state.borrow_mut().notices.remove(&origin);
    }

    fn follow_membership(self: &Rc<Self>) {
        loop {
            let event = self.state.borrow_mut().membership.poll_event();
            match event {
                None => break,
                Some(MembershipEvent::Up(member)) => {
                    info!(node = %self.config.node, peer = %member.node, addr = %member.addr, incarnation = %member.incarnation, "{} is up", member.node);
                    self.events.emit(ClusterEvent::MemberUp(member));
                    self.came_up.notify_waiters();
                }
                Some(MembershipEvent::Down(member)) => {
                    warn!(node = %self.config.node, peer = %member.node, addr = %member.addr, "{} is not heard of any more; what it owns is hidden until it returns, and dropped when it has not within {:?}", member.node, self.config.grace);
                    self.events.emit(ClusterEvent::MemberDown(member));
                }
                Some(MembershipEvent::Gone(member, reason)) => self.member_gone(member, reason),
                Some(MembershipEvent::Superseded(by)) => self.superseded(by),
            }
        }
        if self.phase() == Phase::Running {
            self.sync_dialers();
        }
    }

    fn member_gone(&self, member: Member, reason: GoneReason) {
        let words = match reason {
            GoneReason::Left => "it said goodbye",
            GoneReason::GraceOver => "it was not heard of for the whole grace time",
            GoneReason::Superseded => "a newer incarnation of it was seen",
            GoneReason::Reported => "another node knows that it is gone",
        };
        info!(node = %self.config.node, peer = %member.node, addr = %member.addr, incarnation = %member.incarnation, "{} is gone: {words}", member.node);
        let link = {
            let mut state = self.state.borrow_mut();
            state.lost_links.remove(&member.origin());
            match state.links.get(&member.node) {
                Some(link) if link.peer().incarnation == member.incarnation => state.links.remove(&member.node),
                Some(_) | None => None,
            }
        };
        if let Some(link) = link {
            self.end_link(&link, words);
        }
        self.events.emit(ClusterEvent::MemberGone(member, reason));
    }

    /// Of a pair, the node with the smaller name dials.
    fn sync_dialers(self: &Rc<Self>) {
        let to_dial: Vec<Member> = {
            let mut state = self.state.borrow_mut();
            let State { me, membership, dialers, .. } = &mut *state;
            let is_new =
                |member: &&Member| me.node < member.node && dialers.get(&member.node) != Some(&member.incarnation);
            let new: Vec<Member> = membership.members().map(|(member, _)| member).filter(is_new).cloned().collect();
            dialers.extend(new.iter().map(|member| (member.node.clone(), member.incarnation)));
            new
        };
        for member in to_dial {
            self.spawn(dialer::keep_linked(Rc::clone(self), member));
        }
    }

    /// Whether a dialer is still to keep a link to this incarnation.
    pub(crate) fn is_to_dial(&self, member: &Member) -> bool {
        let state = self.state.borrow();
        state.phase == Phase::Running
            && matches!(state.membership.member(&member.node), Some((known, _)) if known.incarnation == member.incarnation)
    }

    pub(crate) fn dialer_ended(&self, member: &Member) {
        let dialers = &mut self.state.borrow_mut().dialers;
        if dialers.get(&member.node) == Some(&member.incarnation) {
            dialers.remove(&member.node);
        }
    }

    // ---- links

    /// Registers a link to `peer`, to whom this node introduced itself as `as_me`. `None` when it must not be: this node
    /// or the peer has changed since the handshake.
    pub(crate) fn link_up(self: &Rc<Self>, as_me: &Member, peer: &Member) -> Option<Link> {
        if self.phase() != Phase::Running || self.me() != *as_me {
            return None;
        }
        let now = self.since_start();
        let is_member = self.state.borrow_mut().membership.handle_contact(now, peer);
        self.follow_membership();
        if !is_member {
            return None;
        }
        let (link, replaced) = {
            let mut state = self.state.borrow_mut();
            state.next_serial += 1;
            let link = Link::new(state.next_serial, peer.clone(), &self.config);
            state.lost_links.remove(&peer.origin());
            let replaced = state.links.insert(peer.node.clone(), link.clone());
            (link, replaced)
        };
        if let Some(replaced) = replaced {
            replaced.stop("the peer has opened a new connection");
            self.count(|stats| stats.links_lost += 1);
        }
        self.count(|stats| stats.links_established += 1);
        info!(node = %self.config.node, peer = %peer.node, addr = %peer.addr, "linked with {}", peer.node);
        self.events.emit(ClusterEvent::LinkUp { peer: peer.clone(), link: link.clone() });
        self.greet(peer.addr);
        Some(link)
    }

    /// The session of a link has ended by itself.
    pub(crate) fn link_ended(&self, link: &Link, reason: &str) {
        if self.remove_link(link) {
            self.state.borrow_mut().lost_links.insert(link.peer().origin());
            self.end_link(link, reason);
        }
    }

    /// The peer of a link has said goodbye. The session goes on until it has confirmed.
    pub(crate) fn said_goodbye(self: &Rc<Self>, link: &Link) {
        if self.remove_link(link) {
            self.tell_link_down(link, "it said goodbye");
            self.state.borrow_mut().membership.handle_goodbye(link.peer().origin());
            self.follow_membership();
        }
    }

    /// The layer above has heard from a peer that an origin is Gone.
    pub(crate) fn declared_gone(self: &Rc<Self>, origin: Origin, reason: GoneReason) {
        self.state.borrow_mut().membership.handle_declared_gone(origin, reason);
        self.follow_membership();
    }

    fn remove_link(&self, link: &Link) -> bool {
        let links = &mut self.state.borrow_mut().links;
        let node = &link.peer().node;
        let is_current = links.get(node).is_some_and(|current| current.serial() == link.serial());
        if is_current {
            links.remove(node);
        }
        is_current
    }

    fn end_link(&self, link: &Link, reason: &str) {
        link.stop(reason);
        self.tell_link_down(link, reason);
    }

    fn tell_link_down(&self, link: &Link, reason: &str) {
        let peer = link.peer().clone();
        info!(node = %self.config.node, peer = %peer.node, addr = %peer.addr, "the link with {} ended: {reason}", peer.node);
        self.count(|stats| stats.links_lost += 1);
        self.events.emit(ClusterEvent::LinkDown { peer, reason: reason.to_owned() });
        self.leave_progressed.notify_one();
    }
}

/// A hello from this node.
pub(crate) fn hello(hub: &Hub, intent: Intent, expected: Option<NodeId>, notice: Option<Notice>) -> Hello {
    let (cluster, alike) = (hub.config.cluster.clone(), hub.config.alike.clone());
    Hello { cluster, alike, member: hub.me(), intent, expected, notice }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Hub")
            .field("me", &state.me)
            .field("phase", &state.phase)
            .field("links", &state.links)
            .finish_non_exhaustive()
    }
}
