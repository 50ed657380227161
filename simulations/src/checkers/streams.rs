//! G4: what a node knows of an origin never goes back, and is never more than its author has written.
//!
//! An origin that a node holds for Gone may be forgotten: its entry leaves the vector, and what is remembered of it instead is not below
//! what it was. How much an author had written is known while it runs, and after it died, because whoever plays looks once more before it
//! kills; what it wrote while it was leaving is not, so nothing is said about more than was seen of one that left.

use std::collections::BTreeMap;

use headcount_cluster::Origin;
use headcount_presence::limits::MAX_FORGOTTEN_ORIGINS;

use super::Verdict;
use crate::history::{End, History, Sample, Vector};

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("G4", "per origin, the applied sequence never goes back and never skips");
    // Per process, the highest that it knew of each origin.
    let mut known: BTreeMap<Origin, Vector> = BTreeMap::new();
    let mut written = Vector::new();
    let ends = ends(history);
    // No story has so many.
    let remembers_too_many = history.processes.len() > MAX_FORGOTTEN_ORIGINS;
    for sample in &history.samples {
        note_written(sample, &mut written);
        for (node, seen) in sample.running() {
            let before = known.entry(seen.origin).or_default();
            for (author, former) in before.iter() {
                // Whom a node holds for a member it has not given up.
                let may_be_forgotten = *author != seen.origin && !seen.members.contains_key(author);
                let now = if may_be_forgotten { seen.knows(*author) } else { seen.vector.get(author).copied() };
                let is_kept = now.map_or(remembers_too_many, |now| now >= *former);
                verdict.judge(is_kept, sample.at, || {
                    format!("n{node} ({}) knew {author} up to {former}, and now knows it up to {now:?}", seen.origin)
                });
            }
            for (author, seq) in seen.vector.iter().chain(&seen.forgotten) {
                if let Some(limit) = most_written(&ends, *author, &written) {
                    verdict.judge(*seq <= limit, sample.at, || {
                        format!("n{node} ({}) knows {author} up to {seq}, which has written {limit}", seen.origin)
                    });
                }
                let most = before.entry(*author).or_default();
                *most = (*most).max(*seq);
            }
        }
    }
    verdict
}

fn note_written(sample: &Sample, written: &mut Vector) {
    for (_, seen) in sample.running() {
        let own = seen.vector.get(&seen.origin).copied().unwrap_or(0);
        let most = written.entry(seen.origin).or_default();
        *most = (*most).max(own);
    }
}

/// What an author has written at most, when that is known.
fn most_written(ends: &BTreeMap<Origin, Option<End>>, author: Origin, written: &Vector) -> Option<u64> {
    match ends.get(&author)? {
        Some(End::Left | End::Reincarnated) => None,
        Some(End::Died) | None => written.get(&author).copied(),
    }
}

/// How each process ended.
fn ends(history: &History) -> BTreeMap<Origin, Option<End>> {
    history.processes.iter().map(|process| (process.origin, process.until.map(|(_, end)| end))).collect()
}
