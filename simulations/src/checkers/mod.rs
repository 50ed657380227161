//! Checkers: what every history must keep, judged from the history and nothing else.

mod verdict;

pub use verdict::{Breach, Verdict};
