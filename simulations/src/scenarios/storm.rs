//! Everything at random: each seed has its own kinds of trouble, its own strengths, its own clients and settings.

use super::Scenario;
use crate::drawing::{Draft, Weather, Workload};
use crate::plan::{HomeRequires, Via};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "storm", about: "each seed draws its own mix of faults, clients and settings", nodes: 5, tell };

fn tell(draft: &mut Draft) {
    let dice = &mut draft.dice;
    let settings = &mut draft.settings;
    settings.grace_ms = dice.spread(5_000, (draft.storm_ms / 3).clamp(8_000, 120_000));
    if dice.percent(30) {
        settings.home_requires = HomeRequires::Majority;
    }
    // Small caps: snapshots instead of repairs, gaps, refusals.
    if dice.percent(35) {
        settings.oplog_bytes = dice.spread(1_024, 16_384) as usize;
    }
    // In a short storm few subscribers do not read for long.
    let is_short = draft.storm_ms < 300_000;
    if dice.percent(if is_short { 60 } else { 25 }) {
        settings.subscriber_queue = dice.spread(2, 64) as usize;
    }
    if dice.percent(25) {
        settings.peer_queue_bytes = dice.spread(1_024, 16_384) as usize;
    }
    // So few that those who ask at the same time meet them. By dice of their own: what else a seed draws stays.
    let mut caps = dice.fork(2);
    if caps.percent(35) {
        settings.max_subscriptions = caps.between(1, 3) as usize;
        settings.max_homed_calls = caps.between(1, 2) as usize;
        settings.max_blocked_pops = caps.between(1, 2) as usize;
    }
    let is_scarce = dice.percent(15);
    if is_scarce {
        settings.max_memory_bytes = LEAST_MEMORY;
    }
    settings.latency_ms = dice.one(&[(1, 2), (1, 10), (5, 60), (40, 120)]);
    let weather = Weather::drawn(dice, draft.storm_ms);
    let workload = Workload::drawn(dice, draft.storm_ms);
    weather.draw(draft);
    workload.draw(draft);
    if is_scarce {
        hoard(draft);
    }
}

/// The least that a node takes as a cap, in bytes.
const LEAST_MEMORY: usize = 1024 * 1024;
/// Those who fill it, one on each node.
const HOARDERS: u32 = 900;

/// Fills the memory, and empties it sometimes.
fn hoard(draft: &mut Draft) {
    let value = "x".repeat(16 * 1024);
    let longest_gap_ms = (draft.storm_ms / 150).clamp(300, 2_000);
    for at in draft.moments(3_000, 200, longest_gap_ms) {
        let (node, key) = (draft.dice.index(draft.nodes), draft.dice.below(3));
        let words = match draft.dice.below(240) {
            0 => format!("DEL bulk:{key}"),
            field => format!("HSET bulk:{key} f{field} {value}"),
        };
        draft.command(at, HOARDERS + node as u32, node, Via::Shared, words);
    }
}
