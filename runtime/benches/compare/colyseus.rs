//! Colyseus' `LocalPresence`, in a Node process that runs a round whenever it is told to.
//!
//! The process lives through the whole comparison, so that its rounds alternate with ours and its engine stays warm. npm
//! installs the pinned package below cargo's target directory, never into the source tree.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command};
use std::time::Duration;

use crate::competitor::{Competitor, Unavailable};

/// What npm needs, and the script.
const FILES: [&str; 3] = ["package.json", "package-lock.json", "bench.mjs"];

/// A `LocalPresence` to measure.
#[derive(Debug)]
pub(crate) struct Colyseus {
    /// What it is, with its versions.
    pub(crate) version: String,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Competitor,
}

impl Colyseus {
    /// Installs and starts it.
    pub(crate) fn start() -> Result<Self, Unavailable> {
        let mut node = Command::new("node");
        // Asked first: npm would blame its own script.
        node.arg("--version").output().map_err(Unavailable::running("node", "nodejs"))?;
        let directory = install()?;
        let started = Competitor::start(Command::new("node").arg("bench.mjs").current_dir(directory));
        let mut process = started.map_err(Unavailable::running("node", "nodejs"))?;
        let (orders, answers) = process.0.stdin.take().zip(process.0.stdout.take()).expect("both are piped");
        let mut answers = BufReader::new(answers).lines();
        let Some(Ok(version)) = answers.next() else {
            return Err(Unavailable::Failed("node bench.mjs", "its error is above".to_owned()));
        };
        Ok(Self { version, orders, answers, _process: process })
    }

    /// How long `count` awaited calls take.
    pub(crate) fn round(&mut self, operation: &str, count: u64) -> Duration {
        writeln!(self.orders, "{operation} {count}").expect("the Node process reads");
        let answer = self.answers.next().expect("the Node process answers").expect("a line");
        Duration::from_secs_f64(answer.parse().expect("seconds"))
    }
}

/// Installs the package, and returns where.
fn install() -> Result<PathBuf, Unavailable> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare/colyseus");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("colyseus");
    std::fs::create_dir_all(&target).expect("the target directory can be written to");
    for file in FILES {
        std::fs::copy(source.join(file), target.join(file)).expect("the script's files can be copied");
    }
    // Not `npm ci`: it wants an optional dependency's builds for every platform to be in the lock file.
    let arguments = ["install", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
    let npm = Command::new("npm").args(arguments).current_dir(&target).output();
    let output = npm.map_err(Unavailable::running("npm", "npm"))?;
    if output.status.success() {
        return Ok(target);
    }
    Err(Unavailable::Failed("npm install", String::from_utf8_lossy(&output.stderr).into_owned()))
}
