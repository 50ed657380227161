//! What is known, and who hears it.
//!
//! The core is a plain value, [`state::State`]: commands and frames in, frames and events out, no IO, no clock, no task. Around it are thin shells:
//! [`ClusterPresence`], through which any thread reads and writes without a round trip, and the
//! [`PresenceActor`](actor::PresenceActor), which alone moves what peers send and get.
//!
//! # Layout
//! - [`api`]: the trait [`Presence`]; [`args`], [`reply`], [`values`], [`error`]: its types; [`command`]: commands as words
//! - `ack`: who must have a write before its call returns
//! - [`limits`], [`checks`], [`stats`], `notices`: caps, what is checked of a command, counts, and what an operator is told
//! - `dot`, `op`, `blob`, `few`: what a write is, and how little it takes
//! - `origin/`: streams of operations, their logs, and those that wait
//! - `shared/`: keys and rows, and what readers see of them
//! - `commands/`: what a command checks, answers and writes
//! - `homed/`: commands whose answer is unique in the cluster: homes, calls, agreement, blocking pops
//! - `pubsub/`: topics, patterns, interest, subscriptions
//! - [`watch`]: what readers see differently, told to whoever watches
//! - [`track`]: who is present under a topic, on rows and watches
//! - `peer/`: what goes to peers and comes from them: push, repair, snapshots, readiness
//! - [`state`]: the core's entry; `wire`: frames
//! - [`handle`], [`local`], [`actor`]: the shells

mod ack;
pub mod actor;
pub mod api;
pub mod args;
mod blob;
pub mod checks;
pub mod command;
mod commands;
mod dot;
pub mod error;
mod few;
pub mod handle;
mod homed;
mod invariants;
mod life;
pub mod limits;
pub mod local;
mod notices;
mod op;
mod origin;
mod peer;
mod portions;
pub mod pubsub;
pub mod reply;
mod shared;
pub mod state;
pub mod stats;
#[cfg(test)]
mod tests;
pub mod track;
pub mod values;
pub mod watch;
mod wire;

pub use ack::Ack;
pub use api::{Presence, Result};
pub use args::{Arg, Args};
pub use command::Command;
pub use dot::Owner;
pub use error::{Error, TryAgain};
pub use handle::ClusterPresence;
pub use homed::{HomeRequires, UnknownRequirement};
pub use limits::Limits;
pub use local::LocalPresence;
pub use notices::Memory;
pub use peer::readiness::ReadyBy;
pub use pubsub::{Event, Subscribers, Subscription};
pub use reply::{Reply, Ttl, Type};
pub use stats::Stats;
pub use track::{Diff, PresenceDiffs, PresenceRef, Presences, Present, Tracked, Tracking};
pub use values::Values;
pub use watch::{Author, Change, ChangeKind, Watch, WatchEvent, Watching};
