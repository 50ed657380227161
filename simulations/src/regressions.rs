//! Seeds that once found something, and what.
//!
//! They are in `regressions.toml`, a line of reason with each. A seed means a plan only as long as nobody changes its scenario; so one that
//! a change of the drawing makes harmless stays what it is, a seed among others, and the finding itself has a test where it was mended.

use std::time::Duration;

use serde::Deserialize;

use crate::plan::Plan;
use crate::scenarios;
use crate::trial::Where;

/// A seed that found something.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// How many minutes.
    pub minutes: u64,
    /// Where.
    pub world: Where,
    /// What it found.
    pub why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    regression: Vec<Regression>,
}

/// All of them.
///
/// # Panics
/// When the file, which is part of the program, is none.
pub fn all() -> Vec<Regression> {
    let file: Result<File, _> = toml::from_str(include_str!("../regressions.toml"));
    file.expect("regressions.toml is checked by a test").regression
}

impl Regression {
    /// Its plan.
    ///
    /// # Panics
    /// When there is no such scenario.
    pub fn plan(&self) -> Plan {
        let scenario = scenarios::by_name(&self.scenario).expect("regressions.toml is checked by a test");
        scenario.plan(self.seed, self.nodes, Duration::from_mins(self.minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Trial;

    #[test]
    fn every_noted_seed_keeps_all_promises_now() {
        for regression in all() {
            let trial = Trial::of(&regression.plan(), regression.world);
            let broken: Vec<_> = trial.broken().collect();
            assert!(broken.is_empty(), "{regression:?}: {broken:#?}");
        }
    }
}
