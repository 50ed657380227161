//! The caps of this crate, each with the reason for its number.
//!
//! A cap that an operator may want to move is a field of [`crate::ClusterConfig`] whose default is here. The
//! others follow from a protocol or protect the process, and moving one is a change of code.
//! Invariant: every queue, set and message of the crate is bounded by something named in this file.

/// The longest cluster name, in bytes: it travels in every gossip round.
pub const MAX_CLUSTER_NAME_BYTES: usize = 64;

/// The most seeds in a configuration: each is probed in parallel.
pub const MAX_SEEDS: usize = 64;

/// The most addresses of one seed name that are tried, in the resolver's order.
pub const MAX_ADDRS_PER_SEED: usize = 16;

/// Settings that all nodes must have alike.
pub const MAX_ALIKE: usize = 8;

/// Bytes of such a setting's name, and of its value.
pub const MAX_ALIKE_BYTES: usize = 32;

/// The largest handshake message, in bytes, magic and header included.
pub const MAX_HANDSHAKE_BYTES: usize = 2048;

/// Inbound connections that have not finished their handshake; more are closed at once.
pub const MAX_PENDING_HANDSHAKES: usize = 128;

/// Known incarnations at which the operator is warned: half way to the refusal.
pub const WARN_INCARNATIONS: usize = 250;

/// Known incarnations from which no new member is taken. See `gossip` for the cliff that it stays clear of.
pub const MAX_INCARNATIONS: usize = 500;

/// Known incarnations that no datagram may push this node over, whatever its peers say. Every entry of a digest takes at
/// most 85 bytes, so that this many fit into one datagram.
pub const HARD_INCARNATIONS: usize = 650;

/// The largest gossip datagram that is sent or taken, in bytes. UDP's own limit is 65,507.
pub const MAX_DATAGRAM_BYTES: usize = 60_000;

/// Origins known to be Gone that are remembered. The oldest is forgotten first.
pub const MAX_FENCED: usize = 4_096;

/// Events that wait for the layer above; readers of links stop reading when it is full.
pub const MAX_QUEUED_EVENTS: usize = 1_024;

/// Distinct things that are logged only once and remembered for it. When full, the memory starts afresh.
pub const MAX_LOGGED_ONCE: usize = 1_024;

/// The largest frame that a configuration may allow, and the largest message that the codec takes, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Default of the largest frame, in bytes: class byte and payload.
pub const DEFAULT_FRAME_BYTES: usize = 4 << 20;

/// Default cap of the control class of an outbox, in bytes.
pub const DEFAULT_CONTROL_BYTES: usize = 64 << 10;

/// Default cap of the stream class of an outbox, in bytes.
pub const DEFAULT_STREAM_BYTES: usize = 4 << 20;

/// Default cap of the bulk class of an outbox, in bytes.
pub const DEFAULT_BULK_BYTES: usize = 4 << 20;
