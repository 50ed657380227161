//! Checkers: what every history must keep, judged from the history and nothing else.
//!
//! One file for each promise of the README and of DESIGN section 10. Each says at its head what exactly is promised, what it leaves out and why. A
//! checker judges what the history determines and is silent on the rest: `judged` says on how much it had a say, so that silence is seen.
//! Each is shown to reject false histories in its tests, because a checker that accepts everything looks like one that works.

mod acknowledged;
mod ahead;
mod bounds;
mod calm;
mod clocks;
mod convergence;
mod deadlines;
mod false_death;
mod fate;
mod found;
mod handover;
mod homed;
mod joiners;
mod leaks;
mod lives;
mod losses;
mod mixed;
mod orphans;
mod owned;
mod parting;
mod stability;
mod streams;
#[cfg(test)]
mod tests;
mod topics;
mod verdict;
mod watchers;
mod witness;

use crate::history::History;

pub use verdict::{Breach, Verdict};

/// What all checkers say about a history, in the order of the promises.
pub fn check(history: &History) -> Vec<Verdict> {
    vec![
        convergence::check(history),
        joiners::check(history),
        orphans::check(history),
        false_death::check(history),
        streams::check(history),
        witness::check(history),
        mixed::check(history),
        deadlines::check(history),
        lives::check(history),
        acknowledged::check(history),
        calm::check(history),
        parting::check(history),
        homed::check(history),
        topics::check(history),
        watchers::check(history),
        found::check(history),
        leaks::check(history),
        bounds::check(history),
    ]
}
