//! What a command can fail with.
//!
//! The texts begin with Redis's error codes (`WRONGTYPE`, `ERR`, `OOM`), because the console and the Redis
//! protocol hand them on as they are. Unless a variant says otherwise the state is unchanged.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::reply::Type;

/// Why a command failed. The state is unchanged unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key holds another type than the command works on.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value: {} holds a {found}, the command needs a {needed}", printable(.key))]
    WrongType {
        /// The key.
        key: Bytes,
        /// What it holds.
        found: Type,
        /// What the command works on.
        needed: Type,
    },
    /// The key holds a type that this API does not have, as another program can write it on a backend that is shared.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value: {} holds a {found}, the command needs a {needed}", printable(.key))]
    ForeignType {
        /// The key.
        key: Bytes,
        /// What it holds, in the backend's word.
        found: String,
        /// What the command works on.
        needed: Type,
    },
    /// The value to be counted with is not a 64-bit signed integer.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// The field to be counted with is not a 64-bit signed integer.
    #[error("ERR hash value is not an integer")]
    HashValueNotAnInteger,
    /// The result would not fit into 64 bits.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// An expiry that is zero or negative where a command needs a positive one, or beyond what a clock can hold.
    #[error("ERR invalid expire time in '{command}' command")]
    InvalidExpiry {
        /// The command's name in lower case.
        command: &'static str,
    },
    /// A timeout that is negative, or no number of seconds.
    #[error("ERR timeout is not a float or out of range, or negative")]
    BadTimeout,
    /// The node that carries the command out holds more than it may; what does not add data still works.
    #[error(
        "OOM command not allowed: where it is carried out, keys and rows take {used} bytes, over the limit of {limit} (max_memory_bytes)"
    )]
    OutOfMemory {
        /// What that node's keys and rows are accounted for.
        used: usize,
        /// The cap.
        limit: usize,
    },
    /// Something is larger than its cap.
    #[error("ERR {what} of {bytes} bytes is over the limit of {limit} ({name})")]
    TooLarge {
        /// What it is, in words.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The cap.
        limit: usize,
        /// The cap's name in [`Limits`](crate::limits::Limits).
        name: &'static str,
    },
    /// There are more of something than its cap.
    #[error("ERR {count} {what} are over the limit of {limit} ({name})")]
    TooMany {
        /// What they are, in words.
        what: &'static str,
        /// How many.
        count: usize,
        /// The cap.
        limit: usize,
        /// The cap's name in [`Limits`](crate::limits::Limits).
        name: &'static str,
    },
    /// The number of arguments does not fit the command.
    #[error("ERR wrong number of arguments for '{command}' command")]
    WrongArity {
        /// The command's name in lower case.
        command: String,
    },
    /// There is no such command.
    #[error("ERR unknown command '{command}'")]
    UnknownCommand {
        /// What was asked for, cut after 64 characters.
        command: String,
    },
    /// The arguments do not make a command.
    #[error("ERR syntax error")]
    Syntax,
    /// More peers are to confirm than there are.
    #[error("ERR {wanted} peers are to confirm the write, but this node knows {known}")]
    TooFewPeers {
        /// How many are to confirm.
        wanted: usize,
        /// How many are Up or Down.
        known: usize,
    },
    /// Not enough peers confirmed in time. The write is kept and goes on its way.
    #[error("ERR the write is kept here, but only {confirmed} of {wanted} peers have confirmed it in time")]
    NotConfirmed {
        /// How many had confirmed.
        confirmed: usize,
        /// How many were to confirm.
        wanted: usize,
    },
    /// The key's home cannot carry the command out now; it was not carried out.
    #[error("TRYAGAIN {0}")]
    TryAgain(TryAgain),
    /// The key's home did not answer in time, or this node left meanwhile. The command may have been carried out, or be so yet.
    #[error(
        "ERR the key's home did not answer in time, or this node left before it did; the command may or may not have been carried out"
    )]
    OutcomeUnknown,
    /// The key's home refuses what this node would have taken: the two have different caps.
    #[error("ERR the key's home ({home}) refuses: {reason}")]
    RefusedByHome {
        /// The home's name.
        home: String,
        /// Its words.
        reason: String,
    },
    /// The command writes at the key's home, so its rows cannot leave with this node or session.
    #[error(
        "ERR this command writes at the key's home, so what it writes cannot belong to a node or a session; use a handle of shared rows"
    )]
    HomedOwned,
    /// What stands behind this presence, for example a Redis, failed or cannot do this. Where the command may have been carried out
    /// all the same, the message says so.
    #[error("ERR {backend}: {message}")]
    Backend {
        /// The backend's name.
        backend: &'static str,
        /// What happened, and what to do.
        message: String,
    },
    /// The node behind this handle has left or stopped; nothing can be written or delivered any more.
    #[error("ERR this node has left the cluster; start a new node to go on")]
    Closed,
}

/// Why a command at a key's home has to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum TryAgain {
    /// Not more than half of the nodes are there, and `home_requires` is `majority`.
    #[error("only {up} of {known} nodes are up here, and a majority is required (home_requires)")]
    NoMajority {
        /// Nodes that are Up, this one included.
        up: usize,
        /// Nodes that are Up or Down, or were given up for their silence within a day.
        known: usize,
    },
    /// The home was not reached or could not serve in time: nodes come or go, or do not agree on who is there.
    #[error("the key's home could not serve in time; nodes are coming or going, or cannot all reach each other")]
    NoAnswer,
    /// An element was popped, fewer peers confirmed that in time than were to, and it was put back.
    #[error("only {confirmed} of {wanted} peers have confirmed the pop in time, and the element was put back")]
    PopNotConfirmed {
        /// How many had confirmed.
        confirmed: usize,
        /// How many were to confirm.
        wanted: usize,
    },
    /// More commands wait at the home than it holds.
    #[error("the key's home has too many commands waiting")]
    Overloaded,
}

/// A key for people: as text when it is, with escapes otherwise, cut after 64 bytes.
fn printable(key: &Bytes) -> String {
    let shown = key.get(..64.min(key.len())).unwrap_or_default();
    let rest = if key.len() > shown.len() { "..." } else { "" };
    format!("\"{}{rest}\"", shown.escape_ascii())
}
