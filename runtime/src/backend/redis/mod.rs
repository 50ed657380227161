//! Presence over a Redis: for teams that run one and want to keep it behind the same API.
//!
//! Keys, values and topics stand plainly in Redis, so that any other program sees them (Colyseus' `RedisPresence` for one). What Redis lacks is
//! here: rows that leave with their node or session. They are recorded under a lease that the node renews; any live node
//! sweeps what belongs to a lease that has expired, in one atomic script per slice. Redis is one place, so every answer is unique and
//! [`homed`](crate::Presence::homed) changes nothing; and it is one place that can be down, which is why everything here has a deadline.
//!
//! # Layout
//! - `options`: [`RedisBuilder`]; `presence`: [`RedisPresence`]; `commands`: what it answers; `backend`: what all handles share
//! - `link`: the connection for commands; `topics`: that for messages; `pops`: those of blocking pops; `fault`: what goes wrong;
//!   `eviction`: what a Redis would do that is full
//! - `scripts` and `lua/`: rows with owners, in one step; `ledger`: this process's copy of what it owns; `lease`: renewing, regaining, sweeping
//! - `node`: [`RedisNode`], a presence that knows the others; `members`: who they are
//! - `import`: [`Import`], which copies a Redis into any presence

mod backend;
mod commands;
mod eviction;
mod fault;
mod import;
mod lease;
mod ledger;
mod link;
mod members;
mod node;
mod options;
mod pops;
mod presence;
mod reply;
mod scripts;
mod task;
mod topics;

pub use self::import::{Import, ImportError, ImportReport, Refusal, Refused};
pub use self::members::{RedisMember, RedisMemberEvent, RedisMembers};
pub use self::node::{RedisNode, RedisNodeBuilder, RedisStats};
pub use self::options::{RedisBuilder, RedisClients};
pub use self::presence::RedisPresence;

/// A process is its own shell here: nothing else could give it randomness.
#[allow(clippy::disallowed_methods)]
fn random<T>() -> T
where
    rand::distr::StandardUniform: rand::distr::Distribution<T>,
{
    rand::random()
}
