//! What became of the keys of an import.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount_presence::Type;

/// Keys that are named for each reason.
const EXAMPLES: usize = 10;

/// What became of the keys so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// Keys in the Redis when it began; unknown with a pattern, which Redis does not count.
    pub total: Option<u64>,
    /// Keys that were copied, by type.
    pub copied: BTreeMap<Type, u64>,
    /// Keys that were there already, whole.
    pub present: u64,
    /// Keys that were removed there, or expired, before they were read.
    pub gone: u64,
    /// Records that a `RedisPresence` keeps of owners: they mean nothing elsewhere.
    pub skipped: u64,
    /// Keys that could not be taken, by the reason.
    pub refused: BTreeMap<Refusal, Refused>,
}

/// Keys that could not be taken for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// Some of them.
    pub examples: Vec<Bytes>,
}

/// Why a key could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It has a type that headcount does not have, in Redis's word.
    #[error("of type {0}, which headcount has not: it has strings, sets, hashes and lists")]
    ForeignType(String),
    /// It, or a value of it, is over a cap of this name.
    #[error("over the limit `{0}`")]
    Limit(&'static str),
    /// Something stands in its place that is no part of it.
    #[error("in the cluster the key holds something else")]
    Occupied,
}

impl ImportReport {
    /// Keys that were copied.
    pub fn copied(&self) -> u64 {
        self.copied.values().sum()
    }

    /// Keys that could not be taken.
    pub fn refused(&self) -> u64 {
        self.refused.values().map(|refused| refused.count).sum()
    }

    /// Keys that were looked at.
    pub fn seen(&self) -> u64 {
        self.copied() + self.present + self.gone + self.skipped + self.refused()
    }

    pub(super) fn note(&mut self, key: Bytes, outcome: Outcome) {
        match outcome {
            Outcome::Copied(kind) => *self.copied.entry(kind).or_default() += 1,
            Outcome::Present => self.present += 1,
            Outcome::Gone => self.gone += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Refused(refusal) => {
                let refused = self.refused.entry(refusal).or_default();
                refused.count += 1;
                if refused.examples.len() < EXAMPLES {
                    refused.examples.push(key);
                }
            }
        }
    }
}

/// What became of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Copied(Type),
    Present,
    Gone,
    Skipped,
    Refused(Refusal),
}
