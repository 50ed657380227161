//! Who is here, on which node, and who must hear about it: presence for a fleet of game servers, without a server for
//! it.
//!
//! A [`Node`] joins its peers through a seed list and replicates sets, hashes, counters, strings and lists with them;
//! topic messages go straight from node to node. What it knows is read and written through [`Presence`].
//!
//! ```
//! use headcount::{Node, Presence};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::builder("game-1").listen("127.0.0.1:0").start().await?;
//! node.ready().await?;
//! let presence = node.presence();
//!
//! presence.owned().sadd("lobby", "alice").await?; // leaves with this node
//! presence.incr("games").await?; // stays
//! let mut chat = presence.subscribe("chat").await?;
//! presence.publish("chat", "hello all").await?;
//!
//! assert_eq!(presence.smembers("lobby").await?, ["alice"]);
//! assert!(chat.recv().await.is_some());
//! node.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//! - [`node`]: [`Node`], its builder, readiness, leaving
//! - `backend`: other places to keep the data: `RedisPresence` and `RedisNode` (feature `redis`)
//! - [`config`]: settings from a file, the environment and flags
//! - `bin/headcount`: the program, with its console and its demo
//!
//! The state and the topics live in the crate `headcount-presence`, membership and links in `headcount-cluster`; what
//! their users need is exported from here.

#[cfg(feature = "redis")]
pub mod backend;
pub mod config;
pub mod node;

#[cfg(feature = "redis")]
pub use backend::redis::{
    Import, ImportError, ImportReport, RedisBuilder, RedisClients, RedisMember, RedisMemberEvent, RedisMembers,
    RedisNode, RedisNodeBuilder, RedisPresence, RedisStats, Refusal, Refused,
};
pub use bytes::Bytes;
pub use config::{Config, ConfigError};
pub use headcount_cluster::{ClusterStats, GoneReason, Incarnation, Member, MemberState, NodeId, Origin};
pub use headcount_presence::{
    Ack, Arg, Args, Author, Change, ChangeKind, Command, Diff, Error, Event, HomeRequires, Limits, LocalPresence,
    Presence, PresenceDiffs, PresenceRef, Presences, Present, Reply, Stats, Subscription, Tracked, Tracking, TryAgain,
    Ttl, Type, Values, Watch, WatchEvent, Watching,
};
pub use node::{
    ClusterPresence, LeaveReport, MemberEvent, Members, Node, NodeBuilder, NodeError, NodeStats, Ready, ReadyBy,
    StopReason,
};
