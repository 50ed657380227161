//! What the cluster counts of itself, for metrics and for tests.
//!
//! Counters only grow, from the start of the node; `links_up` and `known_incarnations` are gauges. They are updated where the thing happens
//! and read as one [`ClusterStats`].

/// A snapshot of a node's counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterStats {
    /// Links that are established now.
    pub links_up: usize,
    /// Links that were established since the start.
    pub links_established: u64,
    /// Links that ended since the start.
    pub links_lost: u64,
    /// Incarnations that gossip knows now, this node's included.
    pub known_incarnations: usize,
    /// Connections that did not begin with our handshake, or with a malformed one.
    pub garbage_handshakes: u64,
    /// Connections that were closed because too many were in their handshake.
    pub dropped_connections: u64,
    /// Links that were closed because of a frame over the limit or without meaning.
    pub garbage_frames: u64,
    /// Handshakes that this node refused, by reason.
    pub refused: RefusalCounts,
    /// Frames that were sent, heartbeats included.
    pub frames_out: u64,
    /// Bytes that were sent on links.
    pub bytes_out: u64,
    /// Frames that came, heartbeats included.
    pub frames_in: u64,
    /// Bytes that came on links.
    pub bytes_in: u64,
    /// Gossip datagrams that were sent.
    pub datagrams_out: u64,
    /// Gossip datagrams that came and were taken.
    pub datagrams_in: u64,
    /// Gossip datagrams that were not sent because they exceed the limit.
    pub oversized_datagrams: u64,
    /// Gossip datagrams that the system refused to send.
    pub unsent_datagrams: u64,
    /// Datagrams that came and were not gossip of this cluster, or would have overfilled it.
    pub garbage_datagrams: u64,
    /// Times that this node took a new incarnation after the first.
    pub reincarnations: u64,
}

/// Handshakes that this node refused, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusalCounts {
    /// The dialer is of another cluster.
    pub other_cluster: u64,
    /// The dialer differs in a setting that all nodes must have alike.
    pub other_setting: u64,
    /// No protocol version in common.
    pub incompatible_version: u64,
    /// Another live process has the dialer's name.
    pub name_in_use: u64,
    /// A higher incarnation of the dialer is known.
    pub stale_incarnation: u64,
    /// The dialer's incarnation is Gone here.
    pub gone: u64,
    /// Too many incarnations are known.
    pub cluster_full: u64,
    /// The dialer meant another node.
    pub not_you: u64,
    /// The dialer is this node.
    pub yourself: u64,
    /// This node is starting or leaving.
    pub unready: u64,
}
