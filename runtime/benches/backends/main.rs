//! The same calls over every backend: `LocalPresence`, a cluster of three nodes on loopback, and a Redis on this machine.
//!
//! `cargo bench -p headcount --features redis --bench backends` measures all in one run: calls that are awaited one after the other, and 64 tasks
//! that each do so. What is written to the cluster counts only once all three nodes have it. It needs `redis-server`; without it it
//! says so and measures the rest. Nothing here is a test; nothing fails because a machine is slow.

#![allow(clippy::disallowed_methods)] // it measures real time

mod call;
#[allow(dead_code)] // the other benchmarks use more of it
#[path = "../measure/mod.rs"]
mod measure;
#[path = "../../../cluster/tests/ports/mod.rs"]
mod ports;
#[allow(dead_code, clippy::unwrap_used)] // the tests of presence over a Redis use more of it
#[path = "../../tests/redis/server.rs"]
mod server;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use headcount::{LocalPresence, Node, Presence, RedisPresence};

use crate::call::{Call, Caller};
use crate::measure::{ROUNDS, median, start};
use crate::server::Server;

/// Calls at once, in the second half of the table.
const AT_ONCE: usize = 64;
/// How long a round takes at least.
const ROUND: Duration = Duration::from_millis(60);
/// The nodes of the cluster, and of those over the Redis.
const NAMES: [&str; 3] = ["a", "b", "c"];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(compare());
}

async fn compare() {
    let local = LocalPresence::new();
    let nodes = cluster().await;
    let redis = over_redis().await;
    println!("thousand calls a second, median of {ROUNDS} rounds; of three nodes each calls in turn\n");
    println!("{:38}one at a time{:27}{AT_ONCE} at once", "", "");
    println!("{:26}{}", "", "    Local   cluster     Redis  ".repeat(2));
    for call in Call::ALL {
        let mut cells = Vec::new();
        for tasks in [1, AT_ONCE] {
            let local = rate(call, tasks, std::slice::from_ref(&local), &[]).await;
            let in_cluster = rate(call, tasks, &nodes.iter().map(Node::presence).collect::<Vec<_>>(), &nodes).await;
            let there = match &redis {
                Some((_, presences)) => format!("{:.1}", rate(call, tasks, presences, &[]).await),
                None => "-".to_owned(),
            };
            cells.push(format!("{local:>9.1} {in_cluster:>9.1} {there:>9}"));
        }
        println!("{:26}{}", call.label(), cells.join("  "));
    }
    for node in nodes {
        node.leave().await;
    }
}

async fn cluster() -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for name in NAMES {
        let node = start(name, nodes.first()).await;
        node.ready().await.expect("a ready node");
        nodes.push(node);
    }
    while nodes.iter().any(|node| node.linked().len() + 1 < NAMES.len()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    nodes
}

async fn over_redis() -> Option<(Server, Vec<RedisPresence>)> {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    if found.is_err() {
        println!(
            "no Redis to compare with: `redis-server` is not on the PATH; install it, for example: apt-get install redis-server"
        );
        return None;
    }
    let server = Server::start().await;
    let mut presences = Vec::new();
    for name in NAMES {
        presences.push(server.presence(name).await);
    }
    Some((server, presences))
}

/// Thousands a second: the median of rounds that are as long as it takes to be measured.
async fn rate<P: Presence>(call: Call, tasks: usize, presences: &[P], nodes: &[Node]) -> f64 {
    let mut callers = Vec::new();
    for task in 0..tasks {
        callers.push(Caller::new(call, task, presences).await);
    }
    let mut count = 16;
    let mut rates = Vec::new();
    while rates.len() < ROUNDS {
        let begin = Instant::now();
        let calling = callers.into_iter().map(|mut caller| {
            tokio::spawn(async move {
                for _ in 0..count {
                    caller.call().await;
                }
                caller
            })
        });
        callers = Vec::new();
        for caller in calling.collect::<Vec<_>>() {
            callers.push(caller.await.expect("calls succeed"));
        }
        while nodes.iter().any(|node| node.stats().presence.unconfirmed_ops > 0) {
            tokio::task::yield_now().await;
        }
        let elapsed = begin.elapsed();
        if elapsed < ROUND {
            count *= 2;
        } else {
            rates.push((count * tasks) as f64 / elapsed.as_secs_f64() / 1e3);
        }
    }
    median(rates)
}
