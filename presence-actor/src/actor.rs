//! The presence actor: moves bytes and time between the core and the world.
//!
//! It decides nothing. Cluster events and frames go into the core in the order in which they come; whenever the core may have something
//! to say and a link has room, frames go out. Work that would hold readers up is done in slices, with the mailbox's other
//! messages in between. Nothing here is `Send`: it runs where the cluster runs, on one thread, with or without an actix
//! system, and so inside a simulation too.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, StreamHandler};
use bytes::Bytes;
use headcount_cluster::{Class, ClusterEvent, GoneReason, Link, LinkFull, Member, MemberState, NodeId, Origin};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use crate::handle::Shared;
use crate::notices::Memory;
use crate::peer::readiness::ReadyBy;
use crate::state::{State, StateEvent};

/// How often deadlines are looked at. Readers hide an expired key by themselves at once.
pub const TIME_INTERVAL: Duration = Duration::from_millis(50);

/// What the actor tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresenceEvent {
    /// This node has all that the cluster knew when it joined.
    Ready(ReadyBy),
    /// A member's state has changed.
    Member {
        /// The member.
        member: Member,
        /// Its state from now on.
        state: MemberState,
        /// Why, when it is Gone.
        reason: Option<GoneReason>,
    },
    /// The membership should hold this origin for Gone too.
    DeclareGone(Origin, GoneReason),
    /// This node goes on under a new incarnation.
    Reincarnated(Member),
    /// Nothing more will come: another live process has this node's name.
    Superseded(Member),
}

/// Moves what peers send and get.
pub struct PresenceActor {
    shared: Arc<Shared>,
    /// This node's name, for the log: several nodes may write into one.
    node: String,
    links: BTreeMap<Origin, Link>,
    cluster: Option<mpsc::Receiver<ClusterEvent>>,
    tell: mpsc::UnboundedSender<PresenceEvent>,
    working: bool,
}

impl fmt::Debug for PresenceActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceActor").field("links", &self.links.len()).finish_non_exhaustive()
    }
}

impl PresenceActor {
    /// An actor for `shared`, fed by a cluster's events; `tell` hears what its owner should know.
    pub fn new(
        shared: Arc<Shared>,
        cluster: mpsc::Receiver<ClusterEvent>,
        tell: mpsc::UnboundedSender<PresenceEvent>,
    ) -> Self {
        let node = shared.read(|state, _| state.name().to_owned());
        Self { shared, node, links: BTreeMap::new(), cluster: Some(cluster), tell, working: false }
    }

    fn tell(&self, event: PresenceEvent) {
        // An owner that is gone does not want to know.
        let _ = self.tell.send(event);
    }

    /// Sends what is due wherever there is room.
    fn pump(&mut self) {
        let owed = self.shared.write(|state, _| state.owed());
        for origin in owed {
            let Some(link) = self.links.get(&origin) else { continue };
            self.pump_class(origin, link, Class::Stream);
            self.pump_class(origin, link, Class::Bulk);
            if self.shared.read(|state, _| state.is_overwhelmed(origin)) {
                warn!(node = %self.node, peer = %link.peer().node, "{} does not read what it is sent; closing the link", link.peer().node);
                link.close("the peer does not read");
            }
        }
        self.shared.progressed();
        self.report();
    }

    fn pump_class(&self, origin: Origin, link: &Link, class: Class) {
        while link.has_room(class) {
            let frame: Option<Bytes> = self.shared.write_in_turn(|state, _| match class {
                Class::Bulk => state.poll_bulk(origin),
                Class::Stream | Class::Control => state.poll_stream(origin),
            });
            let Some(frame) = frame else { break };
            match link.try_send(class, frame) {
                Ok(()) => {}
                Err(LinkFull::Closed(_)) => break,
                Err(refused) => {
                    // Room was asked for, and every cap of a command is below the frame's: only our own mistake gets here.
                    error!(node = %self.node, peer = %link.peer().node, ?class, "a frame was refused by its link: {refused}");
                    link.close("a frame could not be sent");
                    break;
                }
            }
        }
    }

    /// Hands on what the core wants known.
    fn report(&self) {
        while let Some(event) = self.shared.write(|state, _| state.poll_event()) {
            match event {
                StateEvent::Ready(by) => self.tell(PresenceEvent::Ready(by)),
                StateEvent::DeclareGone(origin, reason) => self.tell(PresenceEvent::DeclareGone(origin, reason)),
                StateEvent::ClockAhead { peer, ahead_ms } => {
                    let peer =
                        self.links.get(&peer).map_or_else(|| peer.to_string(), |link| link.peer().node.to_string());
                    warn!(node = %self.node, %peer, ahead_ms, "the clock of {peer} is {ahead_ms} ms ahead of ours; its writes win over \
                        concurrent ones until that is mended - check its time synchronisation");
                }
                StateEvent::Memory { memory, used, limit } => report_memory(&self.node, memory, used, limit),
                StateEvent::Majority { lacks: true, known, absent } => warn!(
                    node = %self.node,
                    known,
                    "not more than half of the {known} nodes are up here, and home_requires is majority: pops, SET NX, GETSET and homed \
                     counters answer TRYAGAIN until enough of these are back: {}",
                    names(&absent)
                ),
                StateEvent::Majority { lacks: false, known, .. } => {
                    info!(node = %self.node, known, "more than half of the {known} nodes are up again; keys' homes serve");
                }
                StateEvent::ServesWithout { silent } => warn!(
                    node = %self.node,
                    "this node serves as a home of keys without {}, which count as up and do not answer in time",
                    names(&silent)
                ),
                StateEvent::StillJoining { waits_for } => info!(
                    node = %self.node,
                    "joining: waiting for {}, of which the cluster says that they are up; without an answer this node is ready some \
                     five seconds later",
                    names(&waits_for)
                ),
                StateEvent::Unlinked { peers } => warn!(
                    node = %self.node,
                    "joining: there is no link with {} yet, of which gossip (UDP) says that they are up; this node is not ready before. Open the \
                     ports for TCP in both directions, and look at their logs",
                    names(&peers)
                ),
                StateEvent::IdentityReused { peer } => error!(
                    node = %self.node,
                    %peer,
                    "a peer knows writes of this node that this node has not made: two processes run under one \
                     incarnation (a copied disk or a cloned machine?); stop one of them and start it again"
                ),
            }
        }
    }

    /// Does a slice of background work and asks for the next.
    fn work(&mut self, context: &mut Context<Self>) {
        // What is left of a load is large; it is dropped after the lock is free.
        let (working, _litter) = self.shared.write_in_turn(|state, now| (state.work(now), state.take_litter()));
        self.working = working;
        if self.working {
            context.notify(Work);
        } else {
            self.shared.wake();
        }
    }

    /// One gossip round after the other, each an interval after the last: after a standstill those that were missed are not made up for at once, because
    /// rounds count how long others had to answer.
    fn gossip_later(&mut self, context: &mut Context<Self>) {
        let gossip_interval = self.shared.read(|state, _| state.limits().gossip_interval);
        context.run_later(gossip_interval, |actor, context| {
            actor.shared.write(State::handle_gossip);
            actor.shared.wake();
            actor.start_work(context);
            actor.gossip_later(context);
        });
    }

    fn start_work(&mut self, context: &mut Context<Self>) {
        if !self.working {
            self.work(context);
        }
    }
}

impl Actor for PresenceActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some(events) = self.cluster.take() {
            context.add_stream(futures::stream::unfold(events, |mut events| async {
                events.recv().await.map(|event| (event, events))
            }));
        }
        context.add_stream(futures::stream::unfold(Arc::clone(&self.shared), |shared| async {
            shared.woken().await;
            Some((Woken, shared))
        }));
        context.run_interval(TIME_INTERVAL, Self::start_work);
        self.gossip_later(context);
    }
}

fn report_memory(node: &str, memory: Memory, used: usize, limit: usize) {
    match memory {
        Memory::Roomy => info!(%node, used, limit, "keys and rows take {used} bytes; there is room again"),
        Memory::Short => info!(
            %node,
            used,
            limit,
            "keys and rows take {used} bytes of the {limit} that they may (max_memory_bytes); beyond it writes that may add \
             data fail with OOM"
        ),
        Memory::Full => warn!(
            %node,
            used,
            limit,
            "keys and rows take {used} bytes, over the limit of {limit} (max_memory_bytes): writes that may add data fail with OOM \
             here, removals and reads go on; remove keys, or restart with a higher limit"
        ),
    }
}

fn names(nodes: &[NodeId]) -> String {
    let names: Vec<&str> = nodes.iter().map(NodeId::as_str).collect();
    names.join(", ")
}

/// The core may have something to send.
#[derive(Debug)]
struct Woken;

impl StreamHandler<Woken> for PresenceActor {
    fn handle(&mut self, _: Woken, _: &mut Self::Context) {
        self.pump();
    }
}

/// The next slice of background work is due.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Work;

impl Handler<Work> for PresenceActor {
    type Result = ();

    fn handle(&mut self, _: Work, context: &mut Self::Context) {
        self.work(context);
    }
}

impl StreamHandler<ClusterEvent> for PresenceActor {
    fn handle(&mut self, event: ClusterEvent, context: &mut Self::Context) {
        match event {
            ClusterEvent::Frame { from, payload, .. } => {
                let first = |state: &mut State, now| state.handle_frame(from, &payload, now).map(|()| state.has_rest());
                let mut handled = self.shared.write_in_turn(first);
                while let Ok(true) = handled {
                    handled = self.shared.write_in_turn(State::handle_rest);
                }
                if let Err(garbage) = handled
                    && let Some(link) = self.links.get(&from)
                {
                    warn!(node = %self.node, peer = %link.peer().node, addr = %link.peer().addr, "closing the link: {garbage}");
                    link.close(format!("a frame could not be understood: {garbage}"));
                }
                self.start_work(context);
            }
            ClusterEvent::MemberUp(member) => {
                self.shared.write(|state, now| state.handle_member_up(&member, now));
                self.tell(PresenceEvent::Member { member, state: MemberState::Up, reason: None });
            }
            ClusterEvent::MemberDown(member) => {
                self.shared.write(|state, now| state.handle_member_down(&member, now));
                self.tell(PresenceEvent::Member { member, state: MemberState::Down, reason: None });
            }
            ClusterEvent::MemberGone(member, reason) => {
                self.links.remove(&member.origin());
                self.shared.write(|state, now| state.handle_member_gone(&member, reason, now));
                self.start_work(context);
                self.tell(PresenceEvent::Member { member, state: MemberState::Gone, reason: Some(reason) });
            }
            ClusterEvent::LinkUp { peer, link } => {
                debug!(node = %self.node, peer = %peer.node, "link up");
                self.links.insert(peer.origin(), link);
                self.shared.write(|state, _| state.handle_link_up(&peer));
            }
            ClusterEvent::LinkDown { peer, reason } => {
                debug!(node = %self.node, peer = %peer.node, reason, "link down");
                self.links.remove(&peer.origin());
                self.shared.write(|state, now| state.handle_link_down(peer.origin(), now));
            }
            ClusterEvent::Reincarnated { old, new } => {
                warn!(node = %self.node, old = %old.incarnation, new = %new.incarnation, "peers had given this node up; it goes on under \
                    a new incarnation and asserts what it owns again");
                self.links.clear();
                self.shared.write(|state, now| state.handle_reincarnated(&new, now));
                self.start_work(context);
                self.tell(PresenceEvent::Reincarnated(new));
            }
            ClusterEvent::SeedsTried { answered } => self.shared.write(|state, _| state.handle_seeds_tried(answered)),
            ClusterEvent::Alone { tried } => {
                self.shared.write(|state, _| state.handle_alone(tried));
            }
            ClusterEvent::Superseded { by } => self.tell(PresenceEvent::Superseded(by)),
            // `LinkWritable` needs nothing but the wake that follows every event.
            _ => {}
        }
        self.shared.wake();
    }
}
