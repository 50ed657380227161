//! The core: everything one node knows, and the rules by which it changes.
//!
//! A plain value without IO, clock or task. Inputs are commands (`commands/`), frames and link events (`peer/`),
//! membership, and time; outputs are frames ([`State::poll_stream`], [`State::poll_bulk`]) and
//! [`State::poll_event`]. After any input a shell asks for outputs until there are none. Every write, local or remote, goes
//! through `Keyspace::apply`, so that all nodes compute alike; only what an author writes over his own row does not have to
//! (`commands/again.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use headcount_cluster::{GoneReason, Hlc, HlcClock, Member, NodeId, Origin, WallMs, codec};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use smallvec::SmallVec;

use crate::ack::Ack;
use crate::api::Result;
use crate::dot::{OriginIx, Owner};
use crate::homed::{Answered, Dot, Homed};
use crate::life::Life;
use crate::limits::{Limits, SPENT_HOLD};
use crate::notices::{Memory, Notices};
use crate::op::{Action, Op, Seen};
use crate::origin::{Origins, Standing};
use crate::peer::early::Early;
use crate::peer::forgetting::Forgetting;
use crate::peer::load::Load;
use crate::peer::peers::Peers;
use crate::peer::readiness::{Readiness, ReadyBy};
use crate::peer::receive::Unapplied;
use crate::peer::repair::Lag;
use crate::peer::{Item, Peer};
use crate::portions::Portions;
use crate::pubsub::interest::Interest;
use crate::pubsub::topics::Topics;
use crate::shared::entry::Entry;
use crate::shared::erase::{Erase, ErasedCount};
use crate::shared::keyspace::{Effect, Keyspace};
use crate::stats::Stats;
use crate::wire::Frame;

/// How long a peer's fast clock is not spoken of again.
const CLOCK_AHEAD_AGAIN_MS: u64 = 5 * 60 * 1000;

/// What the core wants its shell to know or to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateEvent {
    /// This node has all that the cluster knew when it joined.
    Ready(ReadyBy),
    /// A peer says that this origin is Gone, or no membership has known it for the grace time: the
    /// membership must not take it back.
    DeclareGone(Origin, GoneReason),
    /// A peer's clock is further ahead than ours follows.
    ClockAhead {
        /// Whose stamps.
        peer: Origin,
        /// By how many milliseconds.
        ahead_ms: u64,
    },
    /// How full this node is has changed.
    Memory {
        /// How full it is now.
        memory: Memory,
        /// What its keys and rows are accounted for.
        used: usize,
        /// The cap.
        limit: usize,
    },
    /// A majority, where one is required, was lost or is there again.
    Majority {
        /// Whether it is lacking.
        lacks: bool,
        /// How many nodes it is more than half of.
        known: usize,
        /// Those that are not Up.
        absent: Vec<NodeId>,
    },
    /// This node serves as a home without these, which hold the same view and do not answer.
    ServesWithout {
        /// The silent nodes.
        silent: Vec<NodeId>,
    },
    /// This node joins and has not met all that it was told of.
    StillJoining {
        /// Whom it has not met.
        waits_for: Vec<NodeId>,
    },
    /// This node joins, and has no link to some that are Up.
    Unlinked {
        /// Those.
        peers: Vec<NodeId>,
    },
    /// A peer knows more of this node's own stream than this node has written: two processes share an incarnation.
    IdentityReused {
        /// Who says so.
        peer: Origin,
    },
}

/// An own operation that erased what this node's vector did not cover.
#[derive(Debug)]
pub(crate) struct EarlyErasure {
    /// Under which origin it was written: this node may go on under another.
    pub(crate) author: OriginIx,
    seq: u64,
    /// As it is in the log.
    op: Box<[u8]>,
}

impl EarlyErasure {
    /// What it had observed and is not applied yet.
    pub(crate) fn missing(&self, origins: &Origins) -> Vec<Dot> {
        let op = crate::wire::decode_op(&mut &self.op[..]).ok();
        let seen = op.as_ref().and_then(|op| op.action.seen());
        let dots = seen.into_iter().flat_map(|seen| seen.dots.iter().copied());
        dots.filter(|(origin, seq)| origins.applied(*origin) < *seq).map(|(origin, seq)| Dot { origin, seq }).collect()
    }
}

/// All that a node knows.
#[derive(Debug)]
pub struct State {
    pub(crate) me: OriginIx,
    /// This node's name; `None` for one that will never have peers.
    pub(crate) node: Option<NodeId>,
    pub(crate) limits: Limits,
    pub(crate) portions: Portions,
    pub(crate) clock: HlcClock,
    pub(crate) life: Life,
    suspicions: u64,
    pub(crate) origins: Origins,
    pub(crate) keyspace: Keyspace,
    pub(crate) topics: Topics,
    pub(crate) interest: Interest,
    pub(crate) interest_version: u64,
    pub(crate) homed: Homed,
    pub(crate) peers: Peers,
    /// Up to where some peer, which may be Gone since, has said to have this node's operations.
    pub(crate) heard_by_somebody: u64,
    /// Own operations that erased what this node's vector does not cover yet.
    pub(crate) early_erasures: Vec<EarlyErasure>,
    /// Origins whose streams wait for something.
    pub(crate) blocked: BTreeSet<OriginIx>,
    /// Origins that are Gone and whose rows are still being dropped.
    pub(crate) doomed: VecDeque<OriginIx>,
    pub(crate) forgetting: Forgetting,
    pub(crate) lags: BTreeMap<Origin, Lag>,
    /// What is left of the last frame of operations,
    pub(crate) unapplied: Option<Unapplied>,
    /// and whether operations that waited for others may be applied after it.
    pub(crate) draining: bool,
    /// Messages that came before what was written before them.
    pub(crate) early: Early,
    pub(crate) load: Option<Load>,
    /// What is left of a load that ended: to be dropped where nobody waits.
    pub(crate) litter: Option<Load>,
    pub(crate) last_load_id: u64,
    pub(crate) last_pull: u64,
    /// Pulls up to this number were sent before the last snapshot was loaded.
    pub(crate) pulls_answered_by_load: u64,
    pub(crate) readiness: Readiness,
    pub(crate) gossip_round: u64,
    pub(crate) events: VecDeque<StateEvent>,
    /// When it was last said of a peer that its clock is ahead.
    clocks_told: BTreeMap<Origin, WallMs>,
    /// Whether something may be waiting to be sent.
    pub(crate) output: bool,
    pub(crate) closed: bool,
    pub(crate) rng: SmallRng,
    pub(crate) stats: Stats,
    pub(crate) notices: Notices,
    last_session: u32,
    last_family: u64,
}

impl State {
    /// A node without peers, now and for ever. With `seed` names are hashed.
    pub fn local(limits: Limits, seed: u64) -> Self {
        Self::with_origin(Origin(0), None, limits, WallMs(0), seed)
    }

    /// A node of a cluster. `seed` decides how names are hashed, and which peers it chooses for anti-entropy; where
    /// names come from outside, nobody there should know it.
    pub fn clustered(me: &Member, limits: Limits, now: WallMs, seed: u64) -> Self {
        Self::with_origin(me.origin(), Some(me.node.clone()), limits, now, seed)
    }

    fn with_origin(origin: Origin, node: Option<NodeId>, limits: Limits, now: WallMs, seed: u64) -> Self {
        let mut origins = Origins::default();
        let life = Life::new(now, limits.gossip_interval);
        let me = origins.intern(origin, life.age());
        origins.set_standing(me, Standing::Up);
        origins.get_mut(me).member = true;
        Self {
            me,
            node,
            clock: HlcClock::new(limits.max_clock_skew.as_millis() as u64),
            life,
            suspicions: 0,
            limits,
            portions: Portions::default(),
            origins,
            keyspace: Keyspace::new(seed),
            topics: Topics::new(seed),
            interest: Interest::new(seed),
            interest_version: 0,
            homed: Homed::default(),
            peers: Peers::default(),
            heard_by_somebody: 0,
            early_erasures: Vec::new(),
            blocked: BTreeSet::new(),
            doomed: VecDeque::new(),
            forgetting: Forgetting::default(),
            lags: BTreeMap::new(),
            unapplied: None,
            draining: false,
            early: Early::default(),
            load: None,
            litter: None,
            last_load_id: 0,
            last_pull: 0,
            pulls_answered_by_load: 0,
            readiness: Readiness::default(),
            gossip_round: 0,
            events: VecDeque::new(),
            clocks_told: BTreeMap::new(),
            output: false,
            closed: false,
            rng: SmallRng::seed_from_u64(seed),
            stats: Stats::default(),
            notices: Notices::default(),
            last_session: 0,
            last_family: 0,
        }
    }

    /// This node's origin.
    pub fn origin(&self) -> Origin {
        self.origins.get(self.me).origin
    }

    /// This node's name, for the log; empty for one that will never have peers.
    pub(crate) fn name(&self) -> &str {
        self.node.as_ref().map_or("", NodeId::as_str)
    }

    /// The caps in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A number that is equal on two nodes exactly when they hold the same rows. Walks all rows.
    pub fn digest(&self) -> u64 {
        self.keyspace.digest(&self.origins)
    }

    /// How often rows here may have changed: while it stands still, so does [`digest`](Self::digest).
    pub fn changes(&self) -> u64 {
        self.keyspace.changes
    }

    /// How often members have gone Down here: while it stands still, whoever was Up has stayed so or is Gone.
    pub fn suspicions(&self) -> u64 {
        self.suspicions
    }

    /// The version vector: per origin the last operation that was applied here.
    pub fn vector(&self) -> crdts::VClock<Origin> {
        self.origins.vector()
    }

    /// What is remembered of origins that have left the vector: per origin the last operation that was applied here before.
    pub fn forgotten(&self) -> crdts::VClock<Origin> {
        let mut forgotten = crdts::VClock::new();
        forgotten.dots.extend(self.origins.forgotten.iter());
        forgotten
    }

    /// Whose rows are held here, hidden ones included, as the rows themselves say. It goes through all of them.
    pub fn authors(&self) -> BTreeSet<Origin> {
        let tags = self.keyspace.keys.values().flat_map(Entry::tags);
        let authors: BTreeSet<OriginIx> = tags.map(|tag| tag.origin).collect();
        authors.into_iter().map(|ix| self.origins.get(ix).origin).collect()
    }

    /// The next thing that the shell should know.
    pub fn poll_event(&mut self) -> Option<StateEvent> {
        self.events.pop_front()
    }

    /// Whether there may be something to send; asking clears it.
    pub fn take_output(&mut self) -> bool {
        std::mem::take(&mut self.output)
    }

    /// Whether a snapshot is being loaded. Readers see rows of it before the vector covers them.
    pub fn is_loading(&self) -> bool {
        self.load.is_some()
    }

    /// Whether any key has a deadline, so that reading needs to know the time.
    pub fn needs_time(&self) -> bool {
        !self.keyspace.deadlines.is_empty()
    }

    /// A session's number, never used before by this node.
    pub(crate) fn open_session(&mut self) -> Owner {
        self.last_session += 1;
        Owner::session(self.last_session - 1)
    }

    /// A handle family's number.
    pub(crate) fn open_family(&mut self) -> crate::pubsub::topics::Family {
        self.last_family += 1;
        crate::pubsub::topics::Family(self.last_family)
    }

    /// Ends a session: its rows and subscriptions go, here and everywhere.
    pub fn end_session(&mut self, session: Owner, now: WallMs) {
        if self.closed {
            return;
        }
        if self.keyspace.ledger.owns_any(self.me, session) {
            self.commit(now, Action::EndSession { session });
        }
        for (kind, name) in self.topics.remove_session(session) {
            self.interest_changed(kind, &name);
        }
    }

    /// Ends the node: all commands fail from now on and subscriptions end. Rows stay as they are.
    pub fn close(&mut self) {
        self.closed = true;
        self.topics.close();
        self.close_homed();
        self.keyspace.watches.close();
    }

    /// Writes an operation of this node: numbers it, keeps it for peers, and applies it.
    pub(crate) fn commit(&mut self, now: WallMs, action: Action<'_>) {
        self.commit_answering(now, action, None);
    }

    /// Writes an operation that answers another node's call.
    pub(crate) fn commit_answering(&mut self, now: WallMs, action: Action<'_>, answers: Option<Box<Answered>>) {
        self.tell_expired(now);
        let stamp = if answers.is_some() { self.stamp_as_home(now) } else { self.clock.tick(now) };
        let op = Op { stamp, answers, action };
        let seq = self.number(|bytes| codec::append(&op, bytes));
        let erase = self.resolve(self.me, seq, &op.action);
        self.keyspace.apply(&op, &erase, Effect::Whole, &self.origins);
        if erase.dots.iter().any(|(origin, seq)| self.origins.get(*origin).applied < *seq) {
            let mut bytes = Vec::new();
            codec::append(&op, &mut bytes);
            self.early_erasures.push(EarlyErasure { author: self.me, seq, op: bytes.into() });
        }
        self.note_homed(self.me, seq, &op);
        self.tell_watchers(Some(self.origin()), now);
    }

    /// Takes the next number for an operation of this node, and keeps what `encode` writes of it when there are peers.
    pub(crate) fn number(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let seq = self.origins.get(self.me).applied + 1;
        let me = self.origins.advance(self.me, seq);
        if !self.peers.is_empty() {
            me.log.append(seq, self.gossip_round, encode);
            self.peers.touch_all();
            self.output = true;
        } else if me.log.bytes() > 0 {
            me.log.clear();
        }
        self.stats.local_ops += 1;
        seq
    }

    /// Erases again what this node erased before its vector covered it: rows of a snapshot can be seen while it is
    /// merged, and what of them is still to come, from the snapshot or as operations, was observed just the same.
    pub(crate) fn repeat_erasures(&mut self) {
        let mut waiting = std::mem::take(&mut self.early_erasures);
        waiting.retain(|erasure| {
            let Ok(op) = crate::wire::decode_op(&mut &erasure.op[..]) else { return false };
            let erase = self.resolve(erasure.author, erasure.seq, &op.action);
            self.keyspace.apply(&op, &erase, Effect::Erasure, &self.origins);
            !self.depends_on_nothing_missing(&op)
        });
        self.early_erasures = waiting;
    }

    /// Resolves an operation's observation to this node's indices. An origin that is not known here has nothing to erase.
    pub(crate) fn resolve<'a>(&self, author: OriginIx, seq: u64, action: &Action<'a>) -> Erase<'a> {
        let mut erase = Erase { author, seq, dots: SmallVec::new(), counts: Vec::new() };
        if let Some(Seen { dots, counts }) = action.seen() {
            for (origin, seq) in dots {
                erase.dots.extend(self.origins.find(*origin).map(|ix| (ix, *seq)));
            }
            for count in counts {
                let Some(origin) = self.origins.find(count.origin) else { continue };
                erase.counts.push(ErasedCount {
                    field: count.field.map(|field| field.0),
                    origin,
                    owner: count.owner,
                    epoch: count.epoch,
                    seq: count.seq,
                    total: count.total,
                });
            }
        }
        erase
    }

    /// A member is there, for the first time or again.
    pub fn handle_member_up(&mut self, member: &Member, now: WallMs) {
        if self.origins.is_gone(member.origin()) {
            // What this node remembers of the Gone the membership may never have heard, or have forgotten.
            self.events.push_back(StateEvent::DeclareGone(member.origin(), GoneReason::Reported));
            return;
        }
        let ix = self.origins.intern(member.origin(), self.life.age());
        self.origins.get_mut(ix).member = true;
        self.homed.missing.remove(&member.node);
        self.change_standing(ix, Standing::Up, now);
        self.peers.get_or_add(member).up = true;
        self.keyspace.keep_spent = true;
        self.homed_member_changed();
        self.update_readiness();
    }

    /// A member is not heard of: its owned rows are hidden.
    pub fn handle_member_down(&mut self, member: &Member, now: WallMs) {
        if let Some(peer) = self.peers.get_mut(member.origin()) {
            // What it wants to hear stays known: it is told again only on a new link, and this one may live on.
            peer.up = false;
        }
        if let Some(ix) = self.origins.find(member.origin())
            && self.origins.get(ix).standing == Standing::Up
        {
            self.suspicions += 1;
            self.change_standing(ix, Standing::Hidden { since: self.life.age() }, now);
        }
        self.homed_member_changed();
        self.update_readiness();
    }

    /// A member will not come back: its owned rows are dropped, and peers are told.
    pub fn handle_member_gone(&mut self, member: &Member, reason: GoneReason, now: WallMs) {
        self.declare_gone(member.origin(), reason, now);
    }

    /// Drops an origin's owned rows for good, and tells peers.
    pub(crate) fn declare_gone(&mut self, origin: Origin, reason: GoneReason, now: WallMs) {
        if self.give_up(origin, reason, now) {
            self.tell_gone(&[origin], reason);
            self.update_readiness();
        }
    }

    /// Drops an origin's owned rows for good. Returns whether that was news.
    pub(crate) fn give_up(&mut self, origin: Origin, reason: GoneReason, now: WallMs) -> bool {
        if origin == self.origin() || self.origins.is_gone(origin) {
            return false;
        }
        let ix = self.origins.intern(origin, self.life.age());
        if reason == GoneReason::GraceOver {
            let node = self.peers.get(&origin).map(|peer| peer.member.node.clone());
            self.homed.missing.extend(node.map(|node| (node, self.life.age())));
            if !self.is_held_for(origin) {
                self.hold(origin, SPENT_HOLD);
            }
        }
        self.change_standing(ix, Standing::Gone, now);
        self.doomed.push_back(ix);
        self.forget_peer(origin);
        self.drop_answers(origin);
        self.homed_peer_changed(origin, now);
        self.view_changed();
        self.clocks_told.remove(&origin);
        true
    }

    /// This node goes on under a new origin, because peers hold the old one for Gone. What it owns is asserted again, unless it is
    /// leaving: that would come back only to go.
    pub fn handle_reincarnated(&mut self, member: &Member, now: WallMs) {
        let old = self.me;
        let new = self.origins.intern(member.origin(), self.life.age());
        self.origins.set_standing(new, Standing::Up);
        self.origins.get_mut(new).member = true;
        self.me = new;
        let owners = if self.closed { Vec::new() } else { self.keyspace.ledger.owners(old) };
        for owner in owners {
            for (key, slot) in self.keyspace.ledger.places(old, owner) {
                self.reassert(old, owner, &key, &slot, now);
            }
        }
        self.change_standing(old, Standing::Gone, now);
        self.doomed.push_back(old);
        self.forsake_calls(self.origins.get(old).origin, now);
        for peer in self.peers.values_mut() {
            // What was confirmed, and how far it was pushed, speaks of the old stream.
            peer.confirmed = 0;
            peer.cursor = None;
        }
        self.heard_by_somebody = 0;
        self.view_changed();
    }

    /// Tells peers who is Gone.
    pub(crate) fn tell_gone(&mut self, origins: &[Origin], reason: GoneReason) {
        let gone = origins.iter().map(|origin| (*origin, self.held_ms(*origin))).collect();
        self.broadcast(&Frame::Gone { gone, reason });
    }

    /// Sends a frame to every linked peer.
    pub(crate) fn broadcast(&mut self, frame: &Frame) {
        let bytes = crate::wire::encode(frame);
        for peer in self.peers.values_mut().filter(|peer| peer.is_linked()) {
            peer.queue.push_back(Item::Frame(bytes.clone()));
            self.output = true;
        }
    }

    /// What the caller should drop once nobody waits for it.
    pub fn take_litter(&mut self) -> Option<impl Send + use<>> {
        self.litter.take()
    }

    /// Works on what must not hold others up, one slice at a time. Returns whether there is more to do.
    pub fn work(&mut self, now: WallMs) -> bool {
        self.work_on_rest(now);
        self.drop_doomed();
        self.merge_slice(now);
        self.tell_watchers(None, now);
        self.handle_time(now);
        self.settle(now);
        let due = self.keyspace.deadlines.is_due(now) || self.homed_has_work(now);
        due || self.has_rest() || !self.doomed.is_empty() || self.load.as_ref().is_some_and(Load::is_merging)
    }

    fn drop_doomed(&mut self) {
        let mut budget = self.portions.slice_rows;
        while let Some(origin) = self.doomed.front().copied() {
            let Some(owner) = self.keyspace.ledger.any_owner(origin) else {
                self.doomed.pop_front();
                self.origins.set_bare(origin);
                continue;
            };
            while let Some((place, rows)) = self.keyspace.ledger.any_place(origin, owner) {
                if budget == 0 {
                    return;
                }
                budget = budget.saturating_sub(rows);
                self.keyspace.drop_place(&place, origin, owner, &self.origins);
            }
        }
    }

    /// Removes keys whose deadline has passed, where that is this node's task: one slice of them.
    pub fn handle_time(&mut self, now: WallMs) {
        self.tell_expired(now);
        for _ in 0..self.portions.slice_rows {
            let Some(key) = self.keyspace.deadlines.pop_due(now) else { break };
            self.remove_or_wait(key, now);
        }
    }

    /// Removes deadlines whose data is gone, where this node is the key's home.
    pub(crate) fn remove_orphans(&mut self, now: WallMs) {
        for key in std::mem::take(&mut self.keyspace.orphans) {
            if !self.keyspace.keys.get(&key).is_some_and(Entry::is_orphan) {
                continue;
            }
            if self.is_home(&key) {
                self.remove_orphan(&key, now);
            } else {
                self.keyspace.orphans.insert(key);
            }
        }
    }

    /// Removes an expired key, or leaves that to the node whose task it is.
    fn remove_or_wait(&mut self, key: crate::blob::Blob, now: WallMs) {
        let Some(entry) = self.keyspace.keys.get(&key) else { return };
        let Some(deadline) = entry.deadline(&self.origins) else { return };
        if deadline.at > now {
            self.keyspace.deadlines.set(&key, Some(deadline.at));
        } else if self.removes(&key, deadline.set_by) {
            self.remove_observed(&key, now);
        } else {
            self.keyspace.deadlines.wait_for_removal(key);
        }
    }

    /// Whether it is this node that removes a key: the origin of the deadline does, or the key's home among
    /// the nodes that are Up when that origin is Gone.
    fn removes(&self, key: &[u8], set_by: OriginIx) -> bool {
        if set_by == self.me || self.origins.get(set_by).standing != Standing::Gone {
            return set_by == self.me;
        }
        self.is_home(key)
    }

    /// A moment for the clock from a peer's stamp.
    pub(crate) fn observe_stamp(&mut self, stamp: Hlc, from: Origin, now: WallMs) {
        if let Err(ahead) = self.clock.observe(stamp, now) {
            self.stats.clocks_ahead += 1;
            let told = self.clocks_told.get(&from).copied();
            if told.is_none_or(|told| now.since_ms(told) >= CLOCK_AHEAD_AGAIN_MS) {
                self.clocks_told.insert(from, now);
                self.events.push_back(StateEvent::ClockAhead { peer: from, ahead_ms: ahead.ahead_ms });
            }
        }
    }

    /// The number of this node's last operation.
    pub fn written(&self) -> u64 {
        self.origins.get(self.me).applied
    }

    /// How many peers an [`Ack`] asks for now.
    pub(crate) fn peers_needed(&self, ack: Ack) -> Result<usize> {
        ack.peers_needed(|| self.peers.values().filter(|peer| peer.up).count(), self.peers.len())
    }

    /// How many peers are known to have an operation.
    pub(crate) fn peers_that_have(&self, dot: Dot) -> usize {
        self.peers.values().filter(|peer| peer.has(dot)).count()
    }

    /// How many peers have applied this node's operations up to `seq`.
    pub(crate) fn peers_that_confirmed(&self, seq: u64) -> usize {
        self.peers.values().filter(|peer| peer.confirmed() >= seq).count()
    }

    /// This node's operations that the slowest live peer has not confirmed; when all peers are Down, the slowest of those.
    pub fn unconfirmed(&self) -> u64 {
        let anybody_up = self.peers.values().any(|peer| peer.up);
        let counted = self.peers.values().filter(|peer| peer.up || !anybody_up);
        let confirmed = counted.map(Peer::confirmed).min();
        confirmed.map_or(0, |seq| self.origins.get(self.me).applied.saturating_sub(seq))
    }

    /// This node's operations that no peer has ever confirmed.
    pub fn unheard(&self) -> u64 {
        self.written() - self.heard_by_somebody
    }

    /// Whether every live peer has confirmed all operations, all that waits for linked peers was handed to their links, and homes have said what became
    /// of this node's calls.
    pub fn is_flushed(&self) -> bool {
        self.unconfirmed() == 0 && self.are_calls_over() && self.peers.values().all(|peer| peer.queue.is_empty())
    }

    /// Counts and gauges.
    pub fn stats(&self) -> Stats {
        let mine = self.origins.get(self.me);
        let mut owned_rows: Vec<(Origin, usize)> = vec![(mine.origin, 0)];
        for (ix, places) in self.keyspace.ledger.owned_by_origin() {
            match self.origins.get(ix).origin {
                origin if ix == self.me => owned_rows[0] = (origin, places),
                origin => owned_rows.push((origin, places)),
            }
        }
        Stats {
            keys: self.keyspace.keys.len(),
            rows: self.keyspace.ledger.rows(),
            memory_bytes: self.keyspace.ledger.bytes(),
            memory_limit: self.limits.max_memory_bytes,
            owned_rows,
            type_conflicts: self.keyspace.type_conflicts(),
            origins: self.origins.len(),
            subscriptions: self.topics.count(),
            open_calls: self.open_calls(),
            watches: self.keyspace.watches.count(),
            oplog_bytes: self.origins.iter().map(|(_, state)| state.log.bytes()).sum(),
            queued_bytes: self.peers.values().map(|peer| peer.queued_bytes).max().unwrap_or(0),
            unconfirmed_ops: self.unconfirmed(),
            ..self.stats.clone()
        }
    }
}
