//! Which seeds a story is run with.
//!
//! A test names the few that it runs with each time. Another number of them, or one again, is asked for by the environment, so that the
//! test need not be changed to look longer or to look again.

use std::ops::Range;

/// The variable that asks for other seeds: `HEADCOUNT_SEEDS=1..1000`, or one alone as `HEADCOUNT_SEEDS=7`.
pub const SEEDS_VARIABLE: &str = "HEADCOUNT_SEEDS";

/// The seeds of this run: `usual`, or those that the environment asks for.
///
/// # Panics
/// When it asks for what is no range of numbers.
pub fn seeds(usual: Range<u64>) -> Range<u64> {
    match std::env::var(SEEDS_VARIABLE) {
        Ok(asked) => parse(&asked).unwrap_or_else(|| panic!("{SEEDS_VARIABLE} is {asked:?}, not like 7 or 1..1000")),
        Err(_) => usual,
    }
}

fn parse(asked: &str) -> Option<Range<u64>> {
    match asked.split_once("..") {
        Some((first, end)) => Some(first.parse().ok()?..end.parse().ok()?),
        None => asked.parse().ok().map(|seed| seed..seed + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_or_a_range_can_be_asked_for() {
        assert_eq!(parse("7"), Some(7..8));
        assert_eq!(parse("1..1000"), Some(1..1000));
        assert_eq!(parse("some"), None);
    }
}
