//! The scenarios.

use headcount_simulations::scenarios;

pub(super) fn print() {
    for scenario in &scenarios::ALL {
        println!("{:<26} {} ({} nodes)", scenario.name, scenario.about, scenario.nodes);
    }
}
