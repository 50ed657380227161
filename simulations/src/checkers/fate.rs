//! What became of a write: whether those that are there at the end have it.
//!
//! Vectors say so, and what is remembered of dead origins that have left them. When nobody who is there at the end ever heard of the author, it died with
//! who had it; only rows of a snapshot that nobody finished may be left, and nobody can tell.

use headcount_cluster::Origin;

use crate::history::{History, Seen};

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// All that are there have it.
    Known,
    /// None of those has it.
    Lost,
    /// The history does not say.
    Unsure,
}

/// What became of what an origin wrote under these numbers.
pub(super) fn fate(history: &History, author: Origin, (first, last): (u64, u64)) -> Fate {
    let Some(end) = history.samples.last() else { return Fate::Unsure };
    let known: Vec<u64> = end.running().filter_map(|(_, seen)| seen.knows(author)).collect();
    match (known.iter().min(), known.iter().max()) {
        (Some(lowest), _) if *lowest >= last => Fate::Known,
        (_, Some(highest)) if *highest < first => Fate::Lost,
        _ => Fate::Unsure,
    }
}

impl Seen {
    /// How much of an origin the node has applied, forgotten or not.
    pub(super) fn knows(&self, origin: Origin) -> Option<u64> {
        self.vector.get(&origin).or_else(|| self.forgotten.get(&origin)).copied()
    }
}
