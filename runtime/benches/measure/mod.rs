//! What the benchmarks measure with: futures that are ready, medians, this process's memory, nodes on loopback.
//!
//! It decides how a number is taken; what is measured, and how it is told, is each benchmark's own.

use std::time::Duration;

use futures::FutureExt;
use headcount::{Config, Node};

/// Rounds of which the median counts.
pub(crate) const ROUNDS: usize = 7;

/// Rows in the large states.
pub(crate) const MILLION: u64 = 1_000_000;

/// Runs a future that never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a command that needs no peer is ready at once")
}

/// Millions a second.
pub(crate) fn millions(operations: u64, elapsed: Duration) -> f64 {
    operations as f64 / elapsed.as_secs_f64() / 1e6
}

/// The middle one.
pub(crate) fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Bytes of this process that are in memory.
pub(crate) fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// What this executable prints when it is run again with `flag`: a measurement in a process of its own, so that nothing
/// else counts.
pub(crate) fn alone(flag: &str) -> String {
    let output = std::env::current_exe().and_then(|exe| std::process::Command::new(exe).arg(flag).output());
    let output = output.expect("this executable can be run again");
    assert!(output.status.success(), "{flag}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A node on a port of the system's choice, as soon as it listens.
pub(crate) async fn start(name: &str, seed: Option<&Node>) -> Node {
    let mut config = Config::default();
    config.name = Some(name.to_owned());
    "127.0.0.1:0".clone_into(&mut config.listen);
    config.seeds = seed.map(|seed| seed.me().addr.to_string()).into_iter().collect();
    config.limits.subscriber_queue = 1_000_000;
    Node::builder(name).config(config).start().await.expect("a node")
}
