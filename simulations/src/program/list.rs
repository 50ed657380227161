//! The scenarios.

use headcount_simulations::scenarios;

use super::stdout::say;

pub(super) fn print() {
    for scenario in &scenarios::ALL {
        say!("{:<26} {} ({} nodes)", scenario.name, scenario.about, scenario.nodes);
    }
}
