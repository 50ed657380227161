//! Which seeds a story is run with.
//!
//! Three by default, which find what any history shows. `HEADCOUNT_SIMULATION_SEEDS=1..1000` looks for what only some do, and
//! `HEADCOUNT_SIMULATION_SEEDS=120` repeats one. A seed that once found a defect is kept in its story, as an extra.

use headcount_simulations::full::seeds::asked_for;

/// The seeds of this run, and those that once found something in this story.
pub(crate) fn seeds(extra: &[u64]) -> Vec<u64> {
    asked_for().map_or_else(|| (1..4).chain(extra.iter().copied()).collect(), Iterator::collect)
}
