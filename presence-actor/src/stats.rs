//! Numbers about a node that operators look at.

/// A node's counts at one moment. Counters start at zero with the node and only grow; gauges say "now".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Gauge: keys that hold something, hidden ones included.
    pub keys: usize,
    /// Gauge: rows of all keys, hidden ones included.
    pub rows: usize,
    /// Gauge: what keys and rows are accounted for, in bytes; capped by `max_memory_bytes`.
    pub memory_bytes: usize,
    /// Gauge: the cap of that, in bytes.
    pub memory_limit: usize,
    /// Gauge: rows that leave with their owner, by the origin that owns them, this node's first.
    pub owned_rows: Vec<(headcount_cluster::Origin, usize)>,
    /// Gauge: keys with rows of two types, of which one is hidden.
    pub type_conflicts: usize,
    /// Gauge: incarnations of nodes that are in the version vector or may yet be, dead ones that are not forgotten included.
    pub origins: usize,
    /// Gauge: local subscriptions.
    pub subscriptions: usize,
    /// Gauge: calls to keys' homes, blocked pops and answers that are not settled yet, of this node and of others here.
    pub open_calls: usize,
    /// Gauge: local watches of keys and prefixes.
    pub watches: usize,
    /// Gauge: bytes of operations kept for repair.
    pub oplog_bytes: usize,
    /// Gauge: bytes of messages that wait for the peer for which most do; capped by `peer_queue_bytes`.
    pub queued_bytes: usize,
    /// Gauge: own operations that the slowest live peer has not yet confirmed.
    pub unconfirmed_ops: u64,
    /// Counter: operations written here.
    pub local_ops: u64,
    /// Counter: operations of peers applied here.
    pub remote_ops: u64,
    /// Counter: operations that arrived again and were refused by the stream.
    pub duplicate_ops: u64,
    /// Counter: operations served to peers that had missed them.
    pub repaired_ops: u64,
    /// Counter: bytes of operations served to peers that had missed them.
    pub repaired_bytes: u64,
    /// Counter: snapshots loaded.
    pub snapshots_loaded: u64,
    /// Counter: snapshots served.
    pub snapshots_served: u64,
    /// Counter: bytes of snapshots served.
    pub snapshot_bytes_served: u64,
    /// Counter: calls to keys' homes that failed with `TRYAGAIN`, without effect.
    pub calls_to_try_again: u64,
    /// Counter: calls to keys' homes that may or may not have been carried out.
    pub calls_of_unknown_outcome: u64,
    /// Counter: messages published here.
    pub messages_published: u64,
    /// Counter: messages handed to local subscriptions.
    pub messages_delivered: u64,
    /// Counter: messages dropped because a peer or a subscriber was too slow.
    pub messages_dropped: u64,
    /// Counter: changes dropped because a watcher was too slow.
    pub changes_missed: u64,
    /// Counter: frames from peers that could not be understood.
    pub garbage_frames: u64,
    /// Counter: stamps from peers whose clock is too far ahead.
    pub clocks_ahead: u64,
}
