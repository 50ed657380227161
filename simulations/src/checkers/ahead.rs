//! When readers on a node see more than its vector says: while it loads a snapshot, and afterwards until it has all that was written before
//! the end of that.
//!
//! Rows of a snapshot may be newer than the vector that comes with it. So what a command observed then is at least what its node knew, and
//! perhaps more. Loads are known from what asks note and from counts in samples.

use headcount_cluster::Origin;

use crate::history::{Asked, History, Sample, Seen, Vector};

/// The loads of a history.
pub(super) struct Ahead {
    loads: Vec<Load>,
}

struct Load {
    process: Origin,
    /// Before which time the node was not loading it any more, but for what it had begun after `from`.
    from: u64,
    /// All that anybody knew when it was over.
    written: Vector,
}

impl Ahead {
    pub(super) fn of(history: &History) -> Self {
        let mut loads = Vec::new();
        for node in 0..history.plan.nodes {
            let mut former: Option<(&Sample, &Seen)> = None;
            for sample in &history.samples {
                let Some(seen) = sample.nodes[node].as_ref() else { continue };
                let of_it = former.filter(|(_, before)| before.stats.snapshots_loaded <= seen.stats.snapshots_loaded);
                let before = of_it.map_or(0, |(_, before)| before.stats.snapshots_loaded);
                if seen.stats.snapshots_loaded > before {
                    let from = of_it.map_or(0, |(before, _)| before.at);
                    loads.push(Load { process: seen.origin, from, written: known_by_all(sample) });
                }
                former = Some((sample, seen));
            }
        }
        Self { loads }
    }

    /// Whether what was asked may have observed more than its node's vector said.
    pub(super) fn may_see_more(&self, asked: &Asked) -> bool {
        let done_by = asked.answer.as_ref().map_or(u64::MAX, |(at, _)| *at);
        let covers = |written: &Vector| {
            written.iter().all(|(origin, seq)| asked.saw.get(origin).is_some_and(|known| known >= seq))
        };
        let mut loads = self.loads.iter().filter(|load| Some(load.process) == asked.process && load.from <= done_by);
        asked.loading || loads.any(|load| !covers(&load.written))
    }
}

/// All that any node knows in a sample.
fn known_by_all(sample: &Sample) -> Vector {
    let mut known = Vector::new();
    for (_, seen) in sample.running() {
        for (origin, seq) in &seen.vector {
            let most = known.entry(*origin).or_default();
            *most = (*most).max(*seq);
        }
    }
    known
}
