//! Which seeds a story is run with.
//!
//! A test names the few that it runs with each time. Another number of them, or one again, is asked for by the environment, so that the
//! test need not be changed to look longer or to look again.

use std::env::VarError;
use std::ops::Range;

/// The variable that asks for other seeds: `HEADCOUNT_SIMULATION_SEEDS=1..1000`, or one alone as `HEADCOUNT_SIMULATION_SEEDS=7`.
/// Not `HEADCOUNT_SEEDS`: that is the setting of a node, whom it asks first.
pub const SEEDS_VARIABLE: &str = "HEADCOUNT_SIMULATION_SEEDS";

/// The seeds of this run: `usual`, or those that the environment asks for.
///
/// # Panics
/// When it asks for what is no range of numbers, or for a range without a seed: a test that plays nothing would pass.
pub fn seeds(usual: Range<u64>) -> Range<u64> {
    asked_for().unwrap_or(usual)
}

/// The seeds that the environment asks for, if it asks.
///
/// # Panics
/// As [`seeds`].
pub fn asked_for() -> Option<Range<u64>> {
    let asked = match std::env::var(SEEDS_VARIABLE) {
        Ok(asked) => asked,
        Err(VarError::NotPresent) => return None,
        Err(VarError::NotUnicode(asked)) => panic!("{SEEDS_VARIABLE} is {}, which is no text", asked.display()),
    };
    Some(parse(&asked).unwrap_or_else(|why| panic!("{SEEDS_VARIABLE} is {asked:?}: {why}")))
}

/// The range that is asked for, or what is wrong with it.
fn parse(asked: &str) -> Result<Range<u64>, &'static str> {
    const WANTED: &str = "it must be like 7, or like 1..1000";
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| WANTED);
    let range = match asked.split_once("..") {
        Some((first, end)) => number(first)?..number(end)?,
        None => number(asked)?..number(asked)?.checked_add(1).ok_or(WANTED)?,
    };
    if range.is_empty() { Err("there is no seed in it: the end of a range is not part of it") } else { Ok(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_or_a_range_can_be_asked_for() {
        assert_eq!(parse("7"), Ok(7..8));
        assert_eq!(parse("1..1000"), Ok(1..1000));
    }

    #[test]
    fn what_is_no_range_or_has_no_seed_is_an_error_and_not_a_pass() {
        for asked in ["", "some", "1..", "..5", "1..=5", "-3", "18446744073709551615"] {
            assert_eq!(parse(asked), Err("it must be like 7, or like 1..1000"), "{asked}");
        }
        for asked in ["5..5", "9..3"] {
            assert!(parse(asked).unwrap_err().starts_with("there is no seed in it"), "{asked}");
        }
    }
}
