//! `headcount demo`: a whole cluster at work in one process, with a crash in the middle and a check of everything at
//! the end.
//!
//! The nodes are real: each has its own thread, sockets on loopback and a seed list, and they know of each other only
//! what comes over those sockets. The demo keeps its own books of what its players did, and at the end compares them
//! with what every node says. Only when all agree the exit code is 0.
//!
//! - `script`: what happens when
//! - `stage`: playing on until a moment or a condition
//! - `fleet`: the nodes; `heard`: the chat that arrives on each
//! - `players`: who plays where, and what they do; `ledger`: what was added to which counter
//! - `probe`: how long a write takes to the next node
//! - `view`: the table on a terminal, plain lines elsewhere
//! - `checks`: the comparison at the end, and the summary

#![allow(clippy::disallowed_methods)] // it is a program: it measures real time and its players are random

mod checks;
mod fleet;
mod heard;
mod ledger;
mod players;
mod probe;
mod script;
mod stage;
mod view;

use std::fmt::Display;
use std::process::ExitCode;

use crate::args::DemoTask;

/// Plays the whole demo.
///
/// # Errors
/// What kept it from being played to its end. A check that does not hold is no error but an exit code.
pub(crate) async fn run(task: &DemoTask) -> Result<ExitCode, Box<dyn Display>> {
    let stage = stage::Stage::new(task).await.map_err(boxed)?;
    let summary = script::play(stage, task).await.map_err(boxed)?;
    Ok(if summary.all_held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn boxed(failure: Failure) -> Box<dyn Display> {
    Box::new(failure)
}

/// Why the demo could not be played to its end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("node {name} did not start: {reason}")]
    Start { name: String, reason: headcount::NodeError },
    #[error("a command failed: {0}")]
    Command(#[from] headcount::Error),
    #[error("after {seconds} s still waiting until {what}")]
    TooLate { what: String, seconds: u64 },
}
