//! What the program does, one file per task.
//!
//! - `args`: what it takes; `story`: which plan is meant, and the command that names it
//! - `play`: `run` and `replay`; `swarm`; `shrink`; `meta`; `list`; `scale`
//! - `stdout`: what it says

mod args;
mod list;
mod meta;
mod play;
mod scale;
mod shrink;
mod stdout;
mod story;
mod swarm;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Task};

/// Why a task ended without an answer: in words that say what to do.
type Failure = String;

/// The exit code of a program that was stopped before it was done, as shells have it for Ctrl-C.
const STOPPED: u8 = 130;

/// How a task ended that has an answer.
enum End {
    Kept,
    Broken,
    /// By Ctrl-C; it has said how to go on.
    Interrupted,
}

impl From<bool> for End {
    fn from(good: bool) -> Self {
        if good { Self::Kept } else { Self::Broken }
    }
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Run(task) => play::run(&task).map(End::from),
        Task::Replay(task) => play::replay(&task).map(End::from),
        Task::Swarm(task) => swarm::run(&task),
        Task::Shrink(task) => shrink::run(&task).map(End::from),
        Task::Meta(task) => meta::run(&task).map(End::from),
        Task::Scale(task) => scale::run(&task).map(End::from),
        Task::Trace(story) => meta::print_trace(&story).map(End::from),
        Task::List => {
            list::print();
            Ok(End::Kept)
        }
    };
    match result {
        Ok(End::Kept) => ExitCode::SUCCESS,
        Ok(End::Broken) => ExitCode::FAILURE,
        Ok(End::Interrupted) => ExitCode::from(STOPPED),
        Err(words) => {
            stdout::complain(&words);
            ExitCode::from(2)
        }
    }
}
