//! Which seeds a story is run with.
//!
//! Three by default, which find what any history shows. `HEADCOUNT_SEEDS=1..1000` looks for what only some do, and
//! `HEADCOUNT_SEEDS=120..121` repeats one. A seed that once found a defect is kept in its story, as an extra.

use std::ops::Range;

const VARIABLE: &str = "HEADCOUNT_SEEDS";

/// The seeds of this run, and those that once found something in this story.
pub(crate) fn seeds(extra: &[u64]) -> Vec<u64> {
    match std::env::var(VARIABLE) {
        Ok(range) => parse(&range).unwrap_or_else(|| panic!("{VARIABLE} is {range:?}, not like 1..1000")).collect(),
        Err(_) => (1..4).chain(extra.iter().copied()).collect(),
    }
}

fn parse(range: &str) -> Option<Range<u64>> {
    let (first, end) = range.split_once("..")?;
    Some(first.parse().ok()?..end.parse().ok()?)
}
