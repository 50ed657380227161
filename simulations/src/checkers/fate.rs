//! What became of a write: whether those that are there at the end have it.
//!
//! Vectors say so, but dead origins leave them. What somebody who is there at the end had of an origin before it was forgotten it has still; when
//! nobody of those ever had any of it, they may have got it in a snapshot, or it died with who had it: nobody can tell.

use headcount_cluster::Origin;

use crate::history::{History, Sample, Vector};

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
    let survivors: Vec<(Origin, &Vector)> = end.running().map(|(_, seen)| (seen.origin, &seen.vector)).collect();
    let known: Vec<u64> = survivors.iter().filter_map(|(_, vector)| vector.get(&author).copied()).collect();
    let decide = |known: &[u64]| match (known.iter().min(), known.iter().max()) {
        (Some(lowest), _) if *lowest >= last => Fate::Known,
        (_, Some(highest)) if *highest < first => Fate::Lost,
        _ => Fate::Unsure,
    };
    if !known.is_empty() {
        let is_everybody = known.len() == survivors.len();
        // Who has forgotten it had it at the same number as who has not yet.
        return if is_everybody || known.iter().all(|seq| *seq == known[0]) { decide(&known) } else { Fate::Unsure };
    }
    let former = history.samples.iter().flat_map(Sample::running);
    let known = former.filter(|(_, seen)| survivors.iter().any(|(survivor, _)| *survivor == seen.origin));
    let most = known.filter_map(|(_, seen)| seen.vector.get(&author).copied()).max();
    most.map_or(Fate::Unsure, |most| decide(&[most]))
}
