//! A program to compare with: looked for, started, and stopped whatever happens.
//!
//! A competitor that is not there is no failure of the benchmark: it is told, with what it is needed for and how to get
//! it, and the rest is measured.

use std::io;
use std::process::{Child, Command, Stdio};

/// Why there is nothing to compare with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    /// The program is not on the PATH.
    #[error("`{0}` is not on the PATH; install it, for example: apt-get install {1}")]
    Missing(&'static str, &'static str),
    /// The program is there and does not do what it should.
    #[error("`{0}` failed: {1}")]
    Failed(&'static str, String),
}

impl Unavailable {
    /// What became of running `program`, which the system's package `package` has.
    pub(crate) fn running(program: &'static str, package: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.kind() {
            io::ErrorKind::NotFound => Self::Missing(program, package),
            _ => Self::Failed(program, error.to_string()),
        }
    }
}

/// A running program that is stopped when this is dropped, by a panic too.
#[derive(Debug)]
pub(crate) struct Competitor(pub(crate) Child);

impl Competitor {
    /// Starts `command`, with pipes to its input and output.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map(Self)
    }
}

impl Drop for Competitor {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
