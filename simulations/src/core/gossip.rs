//! A stand-in for chitchat: who is heard of, and who is held alive.
//!
//! Each round a node shows its table (how often each incarnation's heart has beaten, as far as it knows) to three others, who answer with theirs, as
//! chitchat does with its digests; each message is a beat. A failure detector of the same kind and settings as chitchat's makes the
//! live set of it. What is left out: contents (but for whether somebody has left, which is the lowest bit of a beat) and the limit of a
//! datagram. Deterministic, because incarnations are numbers here and not keys of hash maps.

use std::rc::Rc;
use std::time::Duration;

use headcount_cluster::membership::Sighting;
use headcount_cluster::{ClusterConfig, Member};
use rand::rngs::SmallRng;
use rand::{Rng, RngExt};

/// Whom a round is shown to.
const FANOUT: usize = 3;

/// How many gaps between beats decide what is usual.
const WINDOW: f32 = 100.0;

/// As many gaps of the expected length are taken for granted.
const PRIOR_GAPS: f32 = 5.0;

/// How long a dead incarnation is remembered, in microseconds. It is not shown to others after half of it.
const FORGET_AFTER: u64 = 30_000_000;

/// Bytes of a datagram, and of each entry in it, as chitchat's.
const DATAGRAM_BYTES: usize = 20;
const ENTRY_BYTES: usize = 50;

/// An odd number with no pattern, for hashes.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a node shows of what it knows. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Table(Rc<Shown>);

#[derive(Debug)]
struct Shown {
    /// Beats by the numbers of incarnations; 0 for those that are not known. The lowest bit says whether it has left.
    beats: Vec<u32>,
    entries: usize,
    hash: u64,
}

impl Table {
    fn of(beats: impl Iterator<Item = u32>) -> Self {
        let (mut entries, mut hash) = (0, 0);
        let note = |beat: &u32| {
            entries += usize::from(*beat > 0);
            hash = u64::wrapping_add(u64::wrapping_mul(hash, MIX), u64::from(*beat));
        };
        let beats = beats.inspect(note).collect();
        Self(Rc::new(Shown { beats, entries, hash }))
    }
}

/// A datagram.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Syn(Table),
    SynAck(Table),
    Ack,
}

impl Message {
    /// What it takes on the wire.
    pub(crate) fn bytes(&self) -> usize {
        DATAGRAM_BYTES + self.table().map_or(0, |table| ENTRY_BYTES * table.0.entries)
    }

    /// A number that is different for another message.
    pub(crate) fn hash(&self) -> u64 {
        let kind = match self {
            Self::Syn(_) => 1,
            Self::SynAck(_) => 2,
            Self::Ack => 3,
        };
        self.table().map_or(0, |table| table.0.hash) ^ kind
    }

    fn table(&self) -> Option<&Table> {
        match self {
            Self::Syn(table) | Self::SynAck(table) => Some(table),
            Self::Ack => None,
        }
    }
}

/// One node's gossip under one incarnation. Times are microseconds.
#[derive(Debug)]
pub(crate) struct Gossip {
    me: u32,
    beats: Vec<u32>,
    watches: Vec<Watch>,
    phi_threshold: f32,
    expected_gap: f32,
    longest_gap: u64,
    /// The incarnations that are alive, with whether they have left, as they were told last.
    live: Vec<(u32, bool)>,
    dead: Vec<u32>,
    scratch: Vec<u32>,
}

/// What is known of one incarnation's beats.
#[derive(Debug, Clone, Copy, Default)]
struct Watch {
    last: u64,
    dead_since: Option<u64>,
    gaps: f32,
    gap_sum: f32,
    /// The beat at which it was forgotten.
    forgotten_at: u32,
    is_live: bool,
}

impl Gossip {
    /// Gossip of the incarnation with number `me`.
    pub(crate) fn new(me: u32, config: &ClusterConfig) -> Self {
        let micros = |span: Duration| span.as_micros() as u64;
        let mut gossip = Self {
            me,
            beats: Vec::new(),
            watches: Vec::new(),
            phi_threshold: config.phi_threshold as f32,
            expected_gap: micros(config.gossip_interval) as f32 / 2.0,
            longest_gap: micros(config.max_heartbeat_interval),
            live: Vec::new(),
            dead: Vec::new(),
            scratch: Vec::new(),
        };
        gossip.grow(me as usize + 1);
        gossip.beat();
        gossip
    }

    /// This node has left, and says so from here on.
    pub(crate) fn say_left(&mut self) {
        self.beats[self.me as usize] |= 1;
    }

    /// What a node shows of what it knows.
    pub(crate) fn syn(&self, now: u64) -> Message {
        Message::Syn(self.table(now))
    }

    /// Takes a message. Returns the answer.
    pub(crate) fn handle(&mut self, now: u64, message: &Message) -> Option<Message> {
        self.beat();
        if let Some(Table(shown)) = message.table() {
            self.merge(now, &shown.beats);
        }
        match message {
            Message::Syn(_) => Some(Message::SynAck(self.table(now))),
            Message::SynAck(_) => Some(Message::Ack),
            Message::Ack => None,
        }
    }

    /// One round: whom to show the table to, by the numbers of incarnations.
    pub(crate) fn round(&mut self, rng: &mut SmallRng) -> impl Iterator<Item = u32> {
        self.beat();
        let mut pool = std::mem::take(&mut self.scratch);
        pool.clear();
        if self.live.is_empty() {
            pool.extend((0..self.beats.len() as u32).filter(|id| *id != self.me && self.beats[*id as usize] > 0));
        } else {
            pool.extend(self.live.iter().map(|(id, _)| *id));
        }
        let mut chosen = [None; FANOUT + 1];
        for place in chosen.iter_mut().take(FANOUT) {
            if !pool.is_empty() {
                *place = Some(pool.swap_remove(rng.next_u64() as usize % pool.len()));
            }
        }
        self.scratch = pool;
        let share = self.dead.len() as f64 / (self.live.len() + 1) as f64;
        if share > rng.random::<f64>() {
            chosen[FANOUT] = Some(self.dead[rng.next_u64() as usize % self.dead.len()]);
        }
        chosen.into_iter().flatten()
    }

    /// Looks who is alive. Returns all that are, when something has changed.
    pub(crate) fn look(&mut self, now: u64, incarnations: &[Member]) -> Option<Vec<Sighting>> {
        let mut changed = false;
        let mut alive = 0;
        self.dead.clear();
        for id in 0..self.beats.len() as u32 {
            if id == self.me || self.beats[id as usize] == 0 {
                continue;
            }
            if self.is_alive(now, id) {
                let state = (id, self.beats[id as usize] & 1 == 1);
                changed |= self.live.get(alive) != Some(&state);
                if changed {
                    self.live.truncate(alive);
                    self.live.push(state);
                }
                alive += 1;
            } else if self.is_over(now, id) {
                let watch = &mut self.watches[id as usize];
                *watch = Watch { forgotten_at: self.beats[id as usize], ..Watch::default() };
                self.beats[id as usize] = 0;
            } else {
                self.dead.push(id);
            }
        }
        changed |= self.live.len() > alive;
        self.live.truncate(alive);
        let sighting = |(id, left): &(u32, bool)| Sighting { member: incarnations[*id as usize].clone(), left: *left };
        changed.then(|| self.live.iter().map(sighting).collect())
    }

    fn is_alive(&mut self, now: u64, id: u32) -> bool {
        let (threshold, expected) = (self.phi_threshold, self.expected_gap);
        let watch = &mut self.watches[id as usize];
        let mean = (watch.gap_sum + PRIOR_GAPS * expected) / (watch.gaps + PRIOR_GAPS);
        watch.is_live = watch.gaps > 0.0 && (now - watch.last) as f32 / mean <= threshold;
        if watch.is_live {
            watch.dead_since = None;
        } else {
            watch.dead_since.get_or_insert(now);
            // When it comes back, its old rhythm does not count.
            (watch.gaps, watch.gap_sum) = (0.0, 0.0);
        }
        watch.is_live
    }

    fn is_over(&self, now: u64, id: u32) -> bool {
        self.watches[id as usize].dead_since.is_some_and(|since| now >= since + FORGET_AFTER)
    }

    fn beat(&mut self) {
        self.beats[self.me as usize] += 2;
    }

    fn grow(&mut self, count: usize) {
        if self.beats.len() < count {
            self.beats.resize(count, 0);
            self.watches.resize(count, Watch::default());
        }
    }

    fn table(&self, now: u64) -> Table {
        let is_shown =
            |watch: &Watch| watch.is_live || watch.dead_since.is_none_or(|since| now <= since + FORGET_AFTER / 2);
        let shown = |(beat, watch): (&u32, &Watch)| if is_shown(watch) { *beat } else { 0 };
        Table::of(self.beats.iter().zip(&self.watches).map(shown))
    }

    fn merge(&mut self, now: u64, table: &[u32]) {
        self.grow(table.len());
        for (id, theirs) in table.iter().enumerate() {
            let mine = &mut self.beats[id];
            if *theirs <= *mine || id as u32 == self.me {
                continue;
            }
            let watch = &mut self.watches[id];
            if *mine > 0 {
                watch.hear(now, self.longest_gap);
                *mine = *theirs;
            } else if *theirs > watch.forgotten_at {
                // The first beat may be an old one of somebody who is dead.
                *mine = *theirs;
            }
        }
    }
}

impl Watch {
    fn hear(&mut self, now: u64, longest_gap: u64) {
        let gap = now - self.last;
        if self.last > 0 && gap <= longest_gap {
            self.gaps += 1.0;
            self.gap_sum += gap as f32;
            if self.gaps > WINDOW {
                // Instead of a list of the last gaps: the older ones fade.
                self.gaps -= 1.0;
                self.gap_sum *= (WINDOW) / (WINDOW + 1.0);
            }
        }
        self.last = now;
    }
}
