//! Everything at random: each seed has its own kinds of trouble, its own strengths, its own clients and settings.

use super::Scenario;
use crate::drawing::{Draft, Weather, Workload};
use crate::plan::HomeRequires;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "storm", about: "each seed draws its own mix of faults, clients and settings", nodes: 5, tell };

fn tell(draft: &mut Draft) {
    let dice = &mut draft.dice;
    let settings = &mut draft.settings;
    settings.grace_ms = dice.spread(5_000, 120_000);
    if dice.percent(30) {
        settings.home_requires = HomeRequires::Majority;
    }
    // Small caps: snapshots instead of repairs, gaps, refusals.
    if dice.percent(35) {
        settings.oplog_bytes = dice.spread(512, 16_384) as usize;
    }
    if dice.percent(25) {
        settings.subscriber_queue = dice.spread(2, 64) as usize;
    }
    if dice.percent(25) {
        settings.peer_queue_bytes = dice.spread(256, 8_192) as usize;
    }
    if dice.percent(15) {
        settings.max_memory_bytes = dice.spread(10_000, 200_000) as usize;
    }
    settings.latency_ms = dice.one(&[(1, 2), (1, 10), (5, 60), (40, 120)]);
    let weather = Weather::drawn(dice);
    let workload = Workload::drawn(dice);
    weather.draw(draft);
    workload.draw(draft);
}
