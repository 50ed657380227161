//! Small stories, each a game developer's question, told with headcount.
//!
//! - `hello`: two nodes share a set and a topic
//! - `lobby`: who is online, on which node, and what becomes of them when a node dies
//! - `seats`: a server of one's own, tested against crashes and partitions
//! - `who_is_here`: who joins and leaves a room, as every node hears of it
//!
//! Run one with `cargo run -p headcount-examples --example hello`. Each ends by itself, and fails when it did not show
//! what it tells.

#![allow(clippy::disallowed_methods)] // it measures real time

use std::time::{Duration, Instant};

use headcount::Error;

/// The README's Rust, run as a test. Some of it needs the feature.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// How long something that must come true may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until the answer is yes; returns how long that took.
///
/// # Errors
/// Those of the question.
///
/// # Panics
/// When it takes longer than half a minute.
pub async fn until(what: &str, yes: impl AsyncFn() -> Result<bool, Error>) -> Result<Duration, Error> {
    let asked = Instant::now();
    while !yes().await? {
        assert!(asked.elapsed() < PATIENCE, "waited {PATIENCE:?} and still not: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(asked.elapsed())
}
