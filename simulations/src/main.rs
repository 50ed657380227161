//! The program `headcount-simulations`: plays plans, judges them, makes them smaller, reports.
//!
//! It exits with 0 when all promises were kept, 1 when one was broken, 2 when it was asked for something that makes no sense,
//! 130 when Ctrl-C ended a swarm, 141 when nobody read to the end what it says.

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::run()
}
