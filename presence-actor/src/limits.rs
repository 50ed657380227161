//! Every cap of the presence layer, by name.
//!
//! Caps that both sides of a link must agree on are constants; the others are settings with a default that a game
//! server can live with. Zero never means "unlimited": it means "none allowed".

use std::time::Duration;

use crate::homed::HomeRequires;

/// Bytes of operations or messages that are put into one frame before it is closed. A single operation may exceed it.
pub const FRAME_TARGET_BYTES: usize = 64 * 1024;

/// Rows that are put into one snapshot chunk before it is closed.
pub const SNAPSHOT_CHUNK_ROWS: usize = 512;

/// Rows that background work (applying, merging, dropping, sweeping) handles before it lets others have the state.
pub const SLICE_ROWS: usize = 256;

/// Bytes of names that are kept while rows are swept, of what operations add meanwhile. Beyond it the sweep begins anew instead.
pub const MAX_SWEPT_AGAIN_BYTES: usize = 1024 * 1024;

/// The highest number of an operation, and of a call, that is believed. An origin that writes a billion operations a
/// second gets there in a century; a number beyond it is garbage, and arithmetic below it cannot overflow.
pub const MAX_SEQUENCE: u64 = u64::MAX >> 2;

/// The furthest position of a list's element that is believed; as with [`MAX_SEQUENCE`], only garbage gets there.
pub const MAX_POSITION: i64 = i64::MAX >> 2;

/// Other origins' contributions that one operation may list as observed. A removal that observed more is
/// split into several operations.
pub const MAX_SEEN_COUNTS: usize = 4096;

/// Commands that wait at a key's home until it may serve,
pub const MAX_PARKED_COMMANDS: usize = 100_000;

/// and their bytes.
pub const MAX_PARKED_BYTES: usize = 64 * 1024 * 1024;

/// Popped elements that are remembered, the latest: of an element that two homes have popped, who hears of both knows that it is not his alone
/// to put back.
pub const MAX_TAKEN_ELEMENTS: usize = 100_000;

/// Pops of one element of which a node takes note: an element of so many takers goes back nowhere.
pub const MAX_TAKERS: usize = 16;

/// Blocked pops of one caller that wait at a key's home; those past it are not heard.
pub const MAX_WAITERS_OF_CALLER: usize = 1_000_000;

/// How long erased contributions and dead origins are remembered after a peer was given up that may come back with what
/// it knew.
pub const SPENT_HOLD: Duration = Duration::from_hours(24);

/// Erased contributions that are remembered at most.
pub const MAX_SPENT_COUNTS: usize = 100_000;

/// Bytes of field names in observed contributions after which a removal is split, for the same reason.
pub const MAX_SEEN_BYTES: usize = 1024 * 1024;

/// Gossip rounds without a chunk after which a snapshot is not waited for any longer, and for which a stream may wait for
/// something that nobody seems to have before its author is asked for a snapshot.
pub const PATIENCE_ROUNDS: u64 = 25;

/// Gossip rounds without any peer after which a node whose seeds had answered is alone. Ten seconds at the default interval.
pub const LONELY_ROUNDS: u64 = 50;

/// Forgotten origins that are remembered by their numbers though no peer speaks of them. Every snapshot lists them.
pub const MAX_FORGOTTEN_ORIGINS: usize = 1024;

/// Frames that may wait for a peer that does not read, messages not counted; beyond it the link is closed.
pub const MAX_QUEUED_FRAMES: usize = 100_000;

/// Bytes of one origin's operations that wait here for something they depend on. Beyond it they are dropped and
/// fetched again by anti-entropy.
pub const MAX_INBOX_BYTES: usize = 4 * 1024 * 1024;

/// Members of a set up to which the list that readers were last given is kept for the next: it takes about as much memory
/// again as the set.
pub const MAX_KEPT_LIST: usize = 4096;

/// Caps of one node's presence. All sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest key. Default 4 KiB.
    pub max_key_bytes: usize,
    /// Longest member, field name or value. Default 1 MiB.
    pub max_value_bytes: usize,
    /// Most values in one command. Default 10,000.
    pub max_arguments: usize,
    /// Most bytes of all values of one command; an operation must fit into a frame. Default 2 MiB.
    pub max_command_bytes: usize,
    /// Longest topic or pattern. Default 1 KiB.
    pub max_topic_bytes: usize,
    /// Longest message. Default 1 MiB.
    pub max_message_bytes: usize,
    /// Most subscriptions on this node. Default 1,000,000.
    pub max_subscriptions: usize,
    /// Messages that wait for one subscriber; beyond it the oldest are dropped and counted. Default 1,024.
    pub subscriber_queue: usize,
    /// Most watches of keys and prefixes on this node. Default 100,000.
    pub max_watches: usize,
    /// Changes that wait for one watcher; beyond it the oldest are dropped and counted. Default 1,024.
    pub watcher_queue: usize,
    /// Bytes of messages that wait for one peer; beyond it new ones are dropped and counted. Default 16 MiB.
    pub peer_queue_bytes: usize,
    /// Bytes of operations kept for repair, over all origins, cut to this at each gossip round; a peer that missed more loads a snapshot. Default
    /// 64 MiB.
    pub oplog_bytes: usize,
    /// Bytes of keys and rows, as accounted; beyond it writes that may add data fail with `OOM`, and all else goes on. What peers
    /// write is taken all the same, or nodes would differ: give all the same. Default 4 GiB.
    pub max_memory_bytes: usize,
    /// Bytes of a snapshot that are held while it is being received. Default 4 GiB.
    pub snapshot_bytes: usize,
    /// How far a peer's clock may be ahead before our clock stops following it. Default 60 s.
    pub max_clock_skew: Duration,
    /// How long `subscribe` waits for peers to confirm. Default 2 s.
    pub subscribe_wait: Duration,
    /// Calls to keys' homes that this node has open. Default 10,000.
    pub max_homed_calls: usize,
    /// Blocked pops (`brpop`, `blpop`) of this node. Default 10,000.
    pub max_blocked_pops: usize,
    /// How long a call waits for its key's home. Default 10 s, so that it outlives the detection of a death.
    pub home_wait: Duration,
    /// What must hold for a key's home to serve; the same on all nodes. Default `Any`.
    pub home_requires: HomeRequires,
    /// How long rows of an owner that no membership knows stay hidden before they are dropped. Default 10 min.
    pub grace: Duration,
    /// How often a gossip round is. Default 200 ms.
    pub gossip_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_key_bytes: 4 * 1024,
            max_value_bytes: 1024 * 1024,
            max_arguments: 10_000,
            max_command_bytes: 2 * 1024 * 1024,
            max_topic_bytes: 1024,
            max_message_bytes: 1024 * 1024,
            max_subscriptions: 1_000_000,
            subscriber_queue: 1024,
            max_watches: 100_000,
            watcher_queue: 1024,
            peer_queue_bytes: 16 * 1024 * 1024,
            oplog_bytes: 64 * 1024 * 1024,
            max_memory_bytes: 4 * 1024 * 1024 * 1024,
            snapshot_bytes: 4 * 1024 * 1024 * 1024,
            max_clock_skew: Duration::from_mins(1),
            subscribe_wait: Duration::from_secs(2),
            max_homed_calls: 10_000,
            max_blocked_pops: 10_000,
            home_wait: Duration::from_secs(10),
            home_requires: HomeRequires::Any,
            grace: Duration::from_mins(10),
            gossip_interval: Duration::from_millis(200),
        }
    }
}
