//! What was asked, answered, heard and seen while a plan played: all that checkers know.
//!
//! A history is data, so that a checker can be shown a false one. Times are milliseconds of virtual time since the beginning; clients
//! and nodes are the plan's numbers, processes are named by their [`Origin`], which no two share.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bytes::Bytes;
use headcount::{Error, Event, MemberState, Reply, Stats};
use headcount_cluster::Origin;

use crate::plan::{Ask, FaultKind, Plan};
use crate::stage::Carried;

/// Sequence numbers by origin: what a node knows.
pub type Vector = BTreeMap<Origin, u64>;

/// What the keys begin with under which those stand who are present under a topic.
pub const PRESENCE_PREFIX: &str = "headcount:presence:";

/// How long before the end all keys are looked at for the first time.
pub const BEFORE_THE_END_MS: u64 = 2_000;

/// A plan, and what came of it.
#[derive(Debug, Clone)]
pub struct History {
    /// The plan.
    pub plan: Plan,
    /// What clients asked, in the order in which they did.
    pub asked: Vec<Asked>,
    /// What subscribers heard, in the order in which each did.
    pub heard: Vec<Heard>,
    /// What those who follow keys and topics knew in the end.
    pub copied: Vec<Copied>,
    /// The processes that ran.
    pub processes: Vec<Process>,
    /// What each knew when it was ready.
    pub readied: Vec<Readied>,
    /// All nodes, at regular moments and after each fault.
    pub samples: Vec<Sample>,
    /// When all that was left of faults was taken back.
    pub calm_at: u64,
    /// How often faults did something.
    pub occurred: BTreeMap<FaultKind, u64>,
    /// What passed between nodes.
    pub carried: Carried,
    /// The world's trace.
    pub trace_hash: u64,
}

/// Something that was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The client.
    pub client: u32,
    /// The node.
    pub node: usize,
    /// The process that was asked; `None` when none ran there, so nothing was.
    pub process: Option<Origin>,
    /// What was asked.
    pub ask: Ask,
    /// When.
    pub at: u64,
    /// When the node took it, which is later when it stood still; `None` when it never did.
    pub begun: Option<u64>,
    /// What the node knew immediately before, of forgotten origins too.
    pub saw: Vector,
    /// Whether it was loading a snapshot then: readers see rows of it that `saw` does not cover yet.
    pub loading: bool,
    /// Whether the node said then that it was ready.
    pub ready: bool,
    /// What keys and rows were accounted for there then.
    pub memory_bytes: usize,
    /// On how many nodes, itself included, it has to be before it is answered.
    pub holders: usize,
    /// The numbers of the operations that the node itself wrote for it at once, from and to, if any.
    pub wrote: Option<(u64, u64)>,
    /// How many nodes that ran, itself included, had those operations when it was answered; only of what waits for others to have them.
    pub had_by: Option<usize>,
    /// When it was answered and how; `None` when it never was, because it was given up or the process died.
    pub answer: Option<(u64, Result<Reply, Error>)>,
    /// When it was given up, if it was.
    pub given_up: Option<u64>,
}

impl Asked {
    /// Something that nobody was there to be asked.
    pub fn of_nobody(client: u32, node: usize, ask: &Ask, at: u64) -> Self {
        Self {
            client,
            node,
            process: None,
            ask: ask.clone(),
            at,
            begun: None,
            saw: Vector::new(),
            loading: false,
            ready: false,
            memory_bytes: 0,
            holders: 1,
            wrote: None,
            had_by: None,
            answer: None,
            given_up: None,
        }
    }

    /// Whether the node knew then what another had written.
    pub fn has_seen(&self, other: &Self) -> bool {
        let (Some(author), Some((_, last))) = (other.process, other.wrote) else { return false };
        self.saw.get(&author).is_some_and(|known| *known >= last)
    }

    /// When it was done, if it takes no time: a process that stands still does it later than it was asked.
    pub fn done_at(&self) -> u64 {
        self.begun.unwrap_or(self.at)
    }
}

/// Something that a subscriber heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The client.
    pub client: u32,
    /// The node.
    pub node: usize,
    /// The process.
    pub process: Origin,
    /// The topic of the subscription, or its pattern.
    pub topic: String,
    /// Whether it is to a pattern.
    pub is_pattern: bool,
    /// Which of this client's subscriptions to the topic it was, from 0.
    pub subscription: u32,
    /// When.
    pub at: u64,
    /// What its node knew then, of forgotten origins too.
    pub saw: Vector,
    /// In which of its reader's turns: all that is heard in one turn had been waiting when it began.
    pub turn: u64,
    /// What.
    pub event: Event,
}

/// What somebody knows who is told of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The client.
    pub client: u32,
    /// The node.
    pub node: usize,
    /// The process, under its incarnation when this began.
    pub process: Origin,
    /// The key; of a topic, that under which its rows stand.
    pub key: String,
    /// What is there, by what was told; a list in the order of its elements' bytes.
    pub known: Shown,
    /// How often it was told that something is missing, and began anew.
    pub gaps: u64,
    /// The first that was told and did not fit what was known, and when.
    pub misfit: Option<(u64, String)>,
}

/// A process that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Where.
    pub node: usize,
    /// Its origin. A process that takes a new incarnation has another entry for each.
    pub origin: Origin,
    /// Since when.
    pub from: u64,
    /// Until when, and how it ended; `None` when it ran to the end.
    pub until: Option<(u64, End)>,
}

/// A process that is ready from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readied {
    /// Its origin.
    pub origin: Origin,
    /// When.
    pub at: u64,
    /// What it knew, of forgotten origins too.
    pub knew: Vector,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It died.
    Died,
    /// It left.
    Left,
    /// It goes on under another incarnation.
    Reincarnated,
}

/// All nodes at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When.
    pub at: u64,
    /// Each node; `None` where no process runs.
    pub nodes: Vec<Option<Seen>>,
    /// What had passed between nodes until then.
    pub carried: Carried,
    /// How many snapshots a fault had broken until then: when one breaks is not in the plan.
    pub broken_snapshots: u64,
}

/// A node as it was seen.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // Each is a state of its own: a node that is ready may stand still, load and hold.
pub struct Seen {
    /// Its origin.
    pub origin: Origin,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it stands still.
    pub paused: bool,
    /// Whether it loads a snapshot.
    pub loading: bool,
    /// What it holds of the others that are not Gone, by their origins.
    pub members: BTreeMap<Origin, MemberState>,
    /// How often any of them has gone Down there: some are Up again before anybody looks.
    pub suspicions: u64,
    /// The peers that it is linked to.
    pub linked: Vec<Origin>,
    /// A number that is equal where the same rows are held.
    pub digest: u64,
    /// How often its rows may have changed.
    pub changes: u64,
    /// What it knows.
    pub vector: Vector,
    /// What it knew of dead origins when it forgot them.
    pub forgotten: Vector,
    /// Whether it keeps dead origins for somebody who was given up for its silence.
    pub held: bool,
    /// Whether it keeps what it erased, and those who wrote that, for somebody whom it has never met.
    pub expects_strangers: bool,
    /// In the last sample, whose rows it holds.
    pub authors: BTreeSet<Origin>,
    /// Its counts.
    pub stats: Stats,
    /// How many messages it has dropped that each peer should have been sent, where it dropped any.
    pub dropped_for: BTreeMap<Origin, u64>,
    /// How many messages of each publisher it has dropped, where it dropped any.
    pub dropped_of: BTreeMap<Origin, u64>,
    /// What readers see under the keys to which the plan's clients add owned rows; in the last sample, and in that of
    /// [`BEFORE_THE_END_MS`] before, under all keys that they speak of.
    pub keys: Keys,
    /// The topics that somebody anywhere subscribes to, as this node knows.
    pub topics: Vec<Bytes>,
}

/// What readers see, by keys. Samples share it as long as nothing changes in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Arc<BTreeMap<String, Shown>>);

impl Keys {
    /// Whether it is one and the same, so that nothing can be different.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl FromIterator<(String, Shown)> for Keys {
    fn from_iter<I: IntoIterator<Item = (String, Shown)>>(keys: I) -> Self {
        Self(Arc::new(keys.into_iter().collect()))
    }
}

impl Deref for Keys {
    type Target = BTreeMap<String, Shown>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Keys {
    /// Whoever changes it has his own from then on.
    fn deref_mut(&mut self) -> &mut Self::Target {
        Arc::make_mut(&mut self.0)
    }
}

/// What readers see under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Missing,
    /// A string.
    Value(Bytes),
    /// A set's members, sorted.
    Set(Vec<Bytes>),
    /// A hash's fields, sorted.
    Hash(Vec<(Bytes, Bytes)>),
    /// A list's elements, in order.
    List(Vec<Bytes>),
}
