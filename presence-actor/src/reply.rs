//! What a command answers, in the shapes that Redis gives.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::values::Values;

/// The types a key can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Type {
    /// Bytes, or a counter.
    String,
    /// Distinct members.
    Set,
    /// Fields with values.
    Hash,
    /// Elements in an order.
    List,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::List => "list",
        })
    }
}

/// What is left of a key's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key. Redis says `-2`.
    Missing,
    /// The key does not expire. Redis says `-1`.
    Never,
    /// The key expires after this time.
    Remaining(Duration),
}

impl Ttl {
    /// As Redis's `TTL` answers: whole seconds, rounded to the nearest.
    pub fn as_seconds(self) -> i64 {
        match self {
            Self::Missing => -2,
            Self::Never => -1,
            Self::Remaining(left) => (left.as_millis() as i64 + 500) / 1000,
        }
    }
}

/// The answer to a [`Command`](crate::command::Command).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Ok,
    /// A number.
    Integer(i64),
    /// A value.
    Bulk(Bytes),
    /// No value.
    Nil,
    /// A list of values.
    Array(Values),
    /// Fields and their values, in turn.
    Map(Vec<(Bytes, Bytes)>),
}
