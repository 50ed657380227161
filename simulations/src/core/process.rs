//! A node's process: membership, state and links put together, as the shells do it, without sockets and tasks.
//!
//! It is called with what happens (a datagram, a piece of a connection, a timer) and acts on the [`Net`]. What is decided is decided by the same cores as in
//! production: the membership, the handshake's verdict, the outbox, the backoff, the state. What the shells in `cluster/src/net`,
//! `cluster/src/cluster.rs` and the presence actor do between them is done here in the same order; who changes them looks here too. Left
//! out: the cap on incarnations, which is that of a datagram, and logs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headcount::{ClusterPresence, Limits, Member, MemberState};
use headcount_cluster::membership::{Membership, MembershipEvent};
use headcount_cluster::pace::REINCARNATION_PAUSE;
use headcount_cluster::{ClusterConfig, GoneReason, Incarnation, Origin, WallClock};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::calls::{Call, Dialer};
use super::clock::MachineClock;
use super::connection::End;
use super::event::{Piece, Timer};
use super::gossip::{Gossip, Message};
use super::leaving::Leaving;
use super::links::Link;
use super::net::Net;
use super::seeds::Seeds;
use super::shell::Shell;

/// A process. Times are microseconds since the world began.
#[derive(Debug)]
pub(crate) struct Process {
    pub(super) node: u32,
    /// Which process of the world it is.
    pub(super) life: u32,
    pub(super) config: Rc<ClusterConfig>,
    limits: Limits,
    clock: Arc<MachineClock>,
    pub(super) me: Member,
    pub(super) phase: Phase,
    started_at: u64,
    seed: u64,
    pub(super) rng: SmallRng,
    pub(super) membership: Membership,
    pub(super) links: BTreeMap<u32, Link>,
    /// At which machine each linked peer is: what is to be sent is told by origins, and looking through all links for each frame took
    /// the cube of the number of nodes when they met.
    pub(super) linked_at: BTreeMap<Origin, u32>,
    /// Incarnations whose link was lost and is not back: no proof that they live.
    pub(super) lost_links: BTreeSet<Origin>,
    pub(super) calls: BTreeMap<End, Call>,
    pub(super) dialers: BTreeMap<u32, Dialer>,
    pub(super) last_dialer: u32,
    /// Incarnations that are being told that they are Gone.
    pub(super) notices: BTreeSet<Origin>,
    pub(super) seeds: Seeds,
    /// Once it runs.
    gossip: Option<Gossip>,
    pub(super) shell: Option<Shell>,
    pub(super) wanted_above: Option<Incarnation>,
    reincarnated_at: Option<u64>,
    pub(super) leaving: Option<Leaving>,
    /// Whether it has ended by itself.
    pub(super) has_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Asks its seeds; the incarnation may still change. No links.
    Starting,
    Running,
    /// Says goodbye. No new links, and nothing is told to the state.
    Leaving,
}

/// What a process is started with.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) node: u32,
    pub(crate) life: u32,
    pub(crate) config: Rc<ClusterConfig>,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) seed: u64,
    pub(crate) seeds: Vec<u32>,
}

impl Process {
    /// Starts: asks the seeds first.
    pub(crate) fn start(birth: Birth, net: &mut Net) -> Self {
        let Birth { node, life, config, limits, clock, seed, seeds } = birth;
        let mut rng = SmallRng::seed_from_u64(seed);
        let incarnation = Incarnation::draw(clock.now().0, rng.random());
        let me = Member { node: config.node.clone(), incarnation, addr: config.advertise };
        let mut process = Self {
            node,
            life,
            membership: Membership::new(me.clone(), config.grace),
            seeds: Seeds::new(seeds, node),
            config,
            limits,
            clock,
            me,
            phase: Phase::Starting,
            started_at: net.now,
            seed,
            rng,
            links: BTreeMap::new(),
            linked_at: BTreeMap::new(),
            lost_links: BTreeSet::new(),
            calls: BTreeMap::new(),
            dialers: BTreeMap::new(),
            last_dialer: 0,
            notices: BTreeSet::new(),
            gossip: None,
            shell: None,
            wanted_above: None,
            reincarnated_at: None,
            leaving: None,
            has_ended: false,
        };
        process.probe_missing(net);
        process
    }

    /// Which process of the world it is.
    pub(crate) fn life(&self) -> u32 {
        self.life
    }

    /// A handle, once it listens and as long as it does not leave.
    pub(crate) fn presence(&self) -> Option<&ClusterPresence> {
        self.shell.as_ref().filter(|_| self.leaving.is_none()).map(Shell::presence)
    }

    /// The node under its present incarnation.
    pub(crate) fn me(&self) -> &Member {
        &self.me
    }

    /// The others that are not Gone, by name.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Member, MemberState)> {
        self.membership.members()
    }

    /// The peers that it is linked to, sorted.
    pub(crate) fn linked(&self) -> Vec<Member> {
        let mut linked: Vec<Member> = self.links.values().map(|link| link.peer().clone()).collect();
        linked.sort();
        linked
    }

    /// Whether it has left, or was superseded.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// A datagram came.
    pub(crate) fn handle_datagram(&mut self, net: &mut Net, from: u32, message: &Message) {
        let Some(gossip) = &mut self.gossip else { return };
        if let Some(answer) = gossip.handle(net.now, message) {
            net.send_datagram(self.node, from, answer);
        }
    }

    /// A piece of a connection came.
    pub(crate) fn handle_piece(&mut self, net: &mut Net, to: End, piece: Piece) {
        match piece {
            Piece::Hello(hello) => self.answer(net, to, &hello),
            Piece::Answer(answer) => self.call_answered(net, to, *answer),
            Piece::Frame(class, payload) => self.take_frame(net, to, class, &payload),
            Piece::End(reason) => {
                if self.calls.contains_key(&to) {
                    self.call_failed(net, to, reason);
                } else {
                    self.link_ended(net, to);
                }
                net.close(to, reason);
            }
        }
    }

    /// A timer is over.
    pub(crate) fn handle_timer(&mut self, net: &mut Net, timer: Timer) {
        match timer {
            Timer::Round => self.gossip_round(net),
            Timer::Deadlines => self.look_at_deadlines(net),
            Timer::Work => self.go_on_working(net),
            Timer::Probe => self.probe_missing(net),
            Timer::Dial { peer, number } => self.dial_if_due(net, peer, number),
            Timer::CallOver(end) => {
                if self.calls.contains_key(&end) {
                    net.close(end, "the caller does not wait any longer");
                    self.call_failed(net, end, "nothing answered in time");
                }
            }
            Timer::NoticeOver(origin) => {
                self.notices.remove(&origin);
            }
            Timer::Heartbeat(end) => self.keep_alive(net, end),
            Timer::Silence(end) => self.suspect_silence(net, end),
            Timer::Writable(end) => self.go_on_writing(net, end),
            Timer::Leave => self.go_on_leaving(net),
        }
    }

    /// Does all that has become possible. To be called after every input, and after jobs were polled.
    pub(crate) fn follow_up(&mut self, net: &mut Net) {
        loop {
            self.reincarnate_if_wanted(net);
            if !self.pump(net) {
                break;
            }
        }
        self.watch_time(net);
    }

    /// Runs: gossips, takes links, and has a state. All seeds were asked once.
    pub(super) fn run(&mut self, net: &mut Net) {
        self.phase = Phase::Running;
        self.start_gossip(net);
        self.shell = Some(Shell::new(&self.me, self.limits.clone(), Arc::clone(&self.clock) as _, self.seed));
        self.greet_seeds(net);
        self.call_at(net, net.now, Timer::Round);
    }

    pub(super) fn call_at(&self, net: &mut Net, at: u64, timer: Timer) {
        net.call_at(at, self.node, self.life, timer);
    }

    pub(super) fn call_after(&self, net: &mut Net, span: Duration, timer: Timer) {
        self.call_at(net, net.now + micros(span), timer);
    }

    pub(super) fn since_start(&self, net: &Net) -> Duration {
        Duration::from_micros(net.now - self.started_at)
    }

    // ---- gossip

    fn start_gossip(&mut self, net: &mut Net) {
        net.incarnations.push(self.me.clone());
        self.gossip = Some(Gossip::new(net.incarnations.len() as u32 - 1, &self.config));
    }

    fn gossip_round(&mut self, net: &mut Net) {
        self.call_after(net, self.config.gossip_interval, Timer::Round);
        self.show_table(net);
        let now = self.since_start(net);
        if let Some(live) = self.gossip.as_mut().and_then(|gossip| gossip.look(net.now, &net.incarnations)) {
            self.membership.handle_live(now, &live);
        }
        self.membership.handle_tick(now);
        self.follow_membership(net);
        self.tell_returned(net);
        for addr in self.membership.to_greet(&self.seeds.addrs(), &mut self.rng) {
            self.greet(net, addr);
        }
        self.note_round(net);
    }

    fn show_table(&mut self, net: &mut Net) {
        let Some(gossip) = &mut self.gossip else { return };
        let chosen: [Option<u32>; 4] = {
            let mut chosen = gossip.round(&mut self.rng);
            std::array::from_fn(|_| chosen.next())
        };
        let syn = gossip.syn(net.now);
        for id in chosen.into_iter().flatten() {
            let to = node_at(net.incarnations[id as usize].addr);
            if to != self.node {
                net.send_datagram(self.node, to, syn.clone());
            }
        }
    }

    /// Starts an exchange with a node: how a seed, or a member that was lost, is approached.
    pub(super) fn greet(&self, net: &mut Net, addr: SocketAddr) {
        if let Some(gossip) = &self.gossip {
            let syn = gossip.syn(net.now);
            net.send_datagram(self.node, node_at(addr), syn);
        }
    }

    /// Says by gossip that this node leaves, and to those without a link at once.
    pub(super) fn say_left(&mut self, net: &mut Net, unlinked: &[SocketAddr]) {
        if let Some(gossip) = &mut self.gossip {
            gossip.say_left();
        }
        for addr in unlinked {
            self.greet(net, *addr);
        }
    }

    // ---- membership

    /// A seed's acceptance is a sign of life; when it is Gone here, it is told so.
    pub(super) fn seed_accepted(&mut self, net: &mut Net, seed: &Member) {
        let is_member = self.membership.handle_contact(self.since_start(net), seed);
        self.follow_membership(net);
        if !is_member {
            self.tell_gone(net, seed.clone());
        }
        self.greet(net, seed.addr);
    }

    pub(super) fn declared_gone(&mut self, net: &mut Net, origin: Origin, reason: GoneReason) {
        self.membership.handle_declared_gone(origin, reason);
        self.follow_membership(net);
    }

    pub(super) fn follow_membership(&mut self, net: &mut Net) {
        let (mut changed, mut came_up) = (false, false);
        while let Some(event) = self.membership.poll_event() {
            changed = true;
            match event {
                MembershipEvent::Up(member) => {
                    came_up = true;
                    self.tell(|state, now| state.handle_member_up(&member, now));
                }
                MembershipEvent::Down(member) => self.tell(|state, now| state.handle_member_down(&member, now)),
                MembershipEvent::Gone(member, reason) => self.member_gone(net, &member, reason),
                MembershipEvent::Superseded(_) => self.has_ended = true,
            }
        }
        if came_up {
            self.dial_all_waiting(net);
        }
        if changed && self.phase == Phase::Running {
            self.sync_dialers(net);
        }
    }

    fn member_gone(&mut self, net: &mut Net, member: &Member, reason: GoneReason) {
        self.lost_links.remove(&member.origin());
        let peer = node_at(member.addr);
        if self.links.get(&peer).is_some_and(|link| link.peer().incarnation == member.incarnation) {
            self.drop_link(net, peer, "the peer is gone");
        }
        self.tell(|state, now| state.handle_member_gone(member, reason, now));
        self.start_work(net);
    }

    // ---- identity

    /// Asks for a new incarnation, unless it has already changed from `used`.
    pub(super) fn want_incarnation_above(&mut self, above: Incarnation, used: Incarnation) {
        if self.me.incarnation == used {
            self.wanted_above = self.wanted_above.max(Some(above));
        }
    }

    /// Takes a new incarnation: every link ends, and whoever was Up stays so until gossip had time to find them again.
    pub(super) fn take_incarnation_above(&mut self, net: &mut Net, above: Incarnation) {
        let peers: Vec<u32> = self.links.keys().copied().collect();
        for peer in peers {
            self.drop_link(net, peer, "the peer takes a new incarnation");
        }
        self.me.incarnation = self.me.incarnation.above(above, self.rng.random());
        self.membership.handle_restart(self.since_start(net), self.me.clone());
    }

    fn reincarnate_if_wanted(&mut self, net: &mut Net) {
        let pause = micros(REINCARNATION_PAUSE);
        let is_too_early = self.reincarnated_at.is_some_and(|at| net.now < at + pause);
        if self.wanted_above.is_none() || is_too_early || self.phase != Phase::Running {
            return;
        }
        let Some(above) = self.wanted_above.take() else { return };
        self.reincarnated_at = Some(net.now);
        self.take_incarnation_above(net, above);
        let me = self.me.clone();
        self.tell(|state, now| state.handle_reincarnated(&me, now));
        self.start_work(net);
        self.start_gossip(net);
        let addrs: Vec<SocketAddr> = self.membership.members().map(|(member, _)| member.addr).collect();
        for addr in addrs {
            self.greet(net, addr);
        }
    }
}

/// A span in microseconds.
pub(super) fn micros(span: Duration) -> u64 {
    span.as_micros() as u64
}

/// The number of the machine with this address.
pub(super) fn node_at(addr: SocketAddr) -> u32 {
    match addr {
        SocketAddr::V4(addr) => u32::from(*addr.ip()) - u32::from(FIRST_IP),
        SocketAddr::V6(_) => unreachable!("a core world's machines have addresses of the fourth version"),
    }
}

/// The address of the first machine; the others follow.
const FIRST_IP: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 0, 0, 1);

/// The address of a machine.
pub(super) fn addr_of(node: u32) -> SocketAddr {
    let ip = std::net::Ipv4Addr::from(u32::from(FIRST_IP) + node);
    SocketAddr::from((ip, 7946))
}
