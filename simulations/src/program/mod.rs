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

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Run(task) => play::run(&task),
        Task::Replay(task) => play::replay(&task),
        Task::Swarm(task) => swarm::run(&task),
        Task::Shrink(task) => shrink::run(&task),
        Task::Meta(task) => meta::run(&task),
        Task::Scale(task) => scale::run(&task),
        Task::Trace(story) => meta::print_trace(&story),
        Task::List => {
            list::print();
            Ok(true)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(words) => {
            stdout::complain(&words);
            ExitCode::from(2)
        }
    }
}
