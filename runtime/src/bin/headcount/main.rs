//! The program `headcount`: one node of a cluster with a console, or a demonstration of a whole cluster.
//!
//! Here is only what all tasks share: the arguments, the log, and how an end becomes an exit code. `0` is a node that
//! left as it was told to or a demo whose checks all held, `1` anything that failed, with one `error:` line on
//! stderr, `2` wrong usage, `130` a stop before the node had left.
//!
//! # Layout
//! - `args`: flags
//! - `log`: what goes to stderr
//! - `node`: `headcount node`, from start to leaving; `signals`: being told to leave
//! - `served`: what it runs, a node of a cluster or one over a Redis
//! - `console`: the words on standard input and the replies to them
//! - `import`: `headcount import`, which copies a Redis into a cluster (feature `redis`)
//! - `demo`: `headcount demo`

mod args;
mod console;
mod demo;
#[cfg(feature = "redis")]
mod import;
mod log;
mod node;
mod served;
mod signals;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Task};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(reason) = log::start(arguments.log.as_deref(), &arguments.task) {
        return usage(&reason);
    }
    // The node has a thread of its own; this one carries the console or the demo's players.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(reason) => return failure(&format!("cannot start the program's runtime: {reason}")),
    };
    let end = match arguments.task {
        Task::Node(task) => runtime.block_on(node::run(&task)),
        #[cfg(feature = "redis")]
        Task::Import(task) => runtime.block_on(import::run(&task)),
        #[cfg(not(feature = "redis"))]
        Task::Import(_) => Err(node::failure(node::WITHOUT_REDIS)),
        Task::Demo(task) => runtime.block_on(demo::run(&task)),
    };
    match end {
        Ok(code) => code,
        Err(reason) => failure(&reason),
    }
}

/// Tells why the program fails. A stderr that nobody reads any more is no reason to panic.
fn failure(reason: &dyn Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {reason}");
    ExitCode::FAILURE
}

fn usage(reason: &dyn Display) -> ExitCode {
    failure(reason);
    ExitCode::from(2)
}
