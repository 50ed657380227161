//! `RedisPresence` against a real Redis, one for each test, started here on a free port and stopped with the test.

#![allow(clippy::unwrap_used)] // All of this is a test, what helps there too.

mod commands;
mod faults;
mod import;
mod interop;
mod losses;
mod node;
mod ownership;
mod pops;
#[path = "../../../cluster/tests/ports/mod.rs"]
mod ports;
mod proxy;
mod server;
mod sweeping;
mod tls;
mod topics;
