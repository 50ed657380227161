//! Who is in the cluster, and how bytes reach them.
//!
//! A [`Cluster`] is one node's view: it finds its peers through a seed list, tells who comes and goes, and keeps one
//! ordered link to each. It knows nothing of what the bytes mean. Membership runs over chitchat's gossip on UDP, links
//! over TCP, both on one advertised `ip:port`.
//!
//! # Layout
//! Cores, without IO, clock or task:
//! - [`id`], [`clock`]: who writes, and when
//! - [`config`], [`limits`]: what may be set, and what is fixed
//! - [`codec`]: bytes from values and back
//! - [`membership`]: Up, Down and Gone, from what gossip and links report
//! - [`link`]: frames, the handshake's verdicts, the bounded outbox
//! - [`backoff`]: when to try again
//! - [`pace`]: how often and how long the shells try
//! - [`ring`]: which node is the home of a key
//!
//! Shells, which move bytes and time between the cores and the world:
//! - [`net`]: the network seam, the listener, the dialers, the sessions, the seeds
//! - `gossip`: chitchat, over the same seam
//! - [`cluster`]: the composition
//! - [`event`]: what the layer above is told
//!
//! Everything runs on one thread, inside a tokio `LocalSet`, and is deterministic given its network, clock and seed.

pub mod backoff;
pub mod clock;
pub mod cluster;
pub mod codec;
pub mod config;
pub mod event;
mod gossip;
pub mod id;
pub mod limits;
pub mod link;
pub mod membership;
pub mod net;
pub mod pace;
pub mod ring;

pub use clock::{ClockAhead, Hlc, HlcClock, SystemClock, WallClock, WallMs};
pub use cluster::{Cluster, Parting, StartError};
pub use config::{ClusterConfig, ConfigError};
pub use event::{Class, ClusterEvent, GoneReason, Member, MemberState};
pub use id::{Incarnation, InvalidNodeId, NodeId, Origin};
pub use link::{Link, LinkFull};
pub use net::counters::ClusterStats;
pub use net::{Network, TokioNetwork, World};
pub use ring::home;
