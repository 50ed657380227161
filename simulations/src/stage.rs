//! What both worlds offer to whoever plays a plan: time, faults, nodes to speak to and to look at.
//!
//! A stage decides nothing of what happens; it makes it happen. Nodes are numbers here. A stage is driven by one thread and
//! deterministic: the same calls in the same order give the same history and the same [`trace_hash`](Stage::trace_hash).

use std::collections::BTreeMap;
use std::rc::Rc;

use futures::future::LocalBoxFuture;
use headcount::{ClusterPresence, Member, MemberState};
use headcount_cluster::Origin;

use crate::plan::{Fault, FaultKind};

/// A world in which a plan can be played.
pub trait Stage {
    /// Milliseconds of virtual time since the beginning.
    fn now_ms(&self) -> u64;

    /// The same for what runs in processes: jobs ask it when something came of them.
    fn clock(&self) -> Rc<dyn Fn() -> u64>;

    /// Lets time pass until `at_ms`, and all that happens until then.
    fn advance_to(&mut self, at_ms: u64);

    /// Changes the world.
    fn inject(&mut self, fault: &Fault);

    /// Takes all faults back that are no deaths: everything passes, nobody stands still, clocks are right. Processes that do not
    /// run stay so.
    fn heal(&mut self);

    /// A node as it is now; `None` when its process does not run.
    fn look(&self, node: usize) -> Option<Look>;

    /// Under which origin a node runs; `None` when its process does not.
    fn origin(&self, node: usize) -> Option<Origin>;

    /// Lets something run in a node's process, from now on, in its turns and in its time: it does not while the process is paused,
    /// and is dropped without another word when it dies. Returns false when the process does not run.
    fn run(&mut self, node: usize, job: LocalBoxFuture<'static, ()>) -> bool;

    /// How often faults of each kind did something so far: a crash of a node that ran, a datagram that was lost, a stream that
    /// was held up.
    fn occurred(&self) -> BTreeMap<FaultKind, u64>;

    /// What was carried so far.
    fn carried(&self) -> Carried;

    /// A hash of everything that was delivered, in order, with its time.
    fn trace_hash(&self) -> u64;
}

/// What passed between nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Datagrams delivered, and their bytes.
    pub datagrams: u64,
    /// Bytes of datagrams.
    pub datagram_bytes: u64,
    /// Frames of links delivered, heartbeats not counted.
    pub frames: u64,
    /// Bytes of frames.
    pub frame_bytes: u64,
}

/// A node as it is at a moment.
#[derive(Debug, Clone)]
pub struct Look {
    /// The node under its present incarnation.
    pub me: Member,
    /// What it holds of the others that are not Gone.
    pub members: Vec<(Member, MemberState)>,
    /// The peers that it has a link to, sorted.
    pub linked: Vec<Member>,
    /// Whether it has all that the cluster knew when it joined.
    pub ready: bool,
    /// Whether its process is stopped.
    pub paused: bool,
    /// A handle whose rows are shared. Reading through it takes no time.
    pub presence: ClusterPresence,
}
