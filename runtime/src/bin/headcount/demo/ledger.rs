//! The demo's own books: what was added to which counter. At the end every node must show these sums.
//!
//! An amount is booked when the node has acknowledged it, never before: an addition that failed is not expected back, and
//! one that was acknowledged may not be lost.

use std::collections::BTreeMap;
use std::fmt;

use headcount::{ClusterPresence, Presence as _};

use super::Failure;

/// A counter in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counter {
    /// A key that counts.
    Key(&'static str),
    /// A field of a hash that counts.
    Field(&'static str, String),
}

impl Counter {
    /// The sum that a node shows; zero when it has none.
    pub(super) async fn read(&self, presence: &ClusterPresence) -> Result<i64, Failure> {
        let value = match self {
            Self::Key(key) => presence.get(*key).await?,
            Self::Field(key, field) => presence.hget(*key, field).await?,
        };
        Ok(value.and_then(|value| std::str::from_utf8(&value).ok()?.parse().ok()).unwrap_or(0))
    }

    async fn add(&self, presence: &ClusterPresence, by: i64) -> Result<(), Failure> {
        match self {
            Self::Key(key) => presence.incrby(*key, by).await?,
            Self::Field(key, field) => presence.hincrby(*key, field, by).await?,
        };
        Ok(())
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Field(key, field) => write!(f, "{key} {field}"),
        }
    }
}

/// What every counter must show.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sums: BTreeMap<Counter, i64>,
}

impl Ledger {
    /// Adds to a counter through a node, and to the books when the node has acknowledged it.
    pub(super) async fn add(&mut self, presence: &ClusterPresence, counter: Counter, by: i64) -> Result<(), Failure> {
        counter.add(presence, by).await?;
        *self.sums.entry(counter).or_default() += by;
        Ok(())
    }

    /// All counters with their sums.
    pub(super) fn sums(&self) -> impl Iterator<Item = (&Counter, i64)> {
        self.sums.iter().map(|(counter, sum)| (counter, *sum))
    }

    /// How many counters there are.
    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }
}
