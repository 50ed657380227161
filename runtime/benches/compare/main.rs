//! headcount beside what a game server would use otherwise: Colyseus' `LocalPresence` in Node, and a Redis.
//!
//! `cargo bench -p headcount --bench compare` measures all sides in one run on one machine: how fast common operations are,
//! how much memory a million rows take, and for how long merging holds readers up. It needs `node`, `npm` and
//! `redis-server`; without one of them it says so and measures the rest. Nothing here is a test; nothing fails because a
//! machine is slow.

#![allow(clippy::disallowed_methods)] // it measures real time

mod colyseus;
mod competitor;
#[path = "../measure/mod.rs"]
mod measure;
mod memory;
mod merging;
mod redis;
mod rows;
mod speed;

use rows::Rows;

fn main() {
    // The bench runner passes flags of its own; the ones that matter are ours.
    if let Some(rows) = std::env::args().find_map(|arg| Rows::from_flag(&arg)) {
        println!("{}", memory::of_headcount(rows));
        return;
    }
    speed::compare();
    memory::compare();
    merging::measure();
}
