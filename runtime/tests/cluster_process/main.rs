//! The program as its users have it: real processes on loopback, commands on standard input, replies on standard
//! output.
//!
//! No test here relies on a span of time being long enough: everything is waited for, and what must not happen is
//! looked for in each answer on the way. When something fails, the logs of all processes of the test are shown.
//!
//! - `process`: one `headcount node`, and the addresses for it
//! - `commands`: what is written on one node is read on the others
//! - `joining`: seeds, dead or alive, and who is refused
//! - `faults`: crashes, stops, returns, goodbyes
//! - `demo`: the other task of the program
//! - `import`: copying a Redis into a cluster
//! - `redis`: the same program over a Redis (`server`)
//! - `usage`: mistakes of the one who starts it, and the streams of the process

#![allow(clippy::disallowed_methods)] // it waits for real processes, in real time
#![cfg(unix)]
// All of this is test code, its helpers too.
#![allow(clippy::unwrap_used)]

mod commands;
mod demo;
mod faults;
#[cfg(feature = "redis")]
mod import;
mod joining;
#[path = "../../../cluster/tests/ports/mod.rs"]
mod ports;
mod process;
#[cfg(feature = "redis")]
mod redis;
// Of what the other tests need of a Redis, these use a part.
#[cfg(feature = "redis")]
#[allow(dead_code)]
#[path = "../redis/server.rs"]
mod server;
mod usage;
