//! Whoever starts is read from as soon as it says that it is ready, when the way to the others is long: what it then lacks is seen.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::Via;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "first-read", about: "who starts is read from at once", nodes: 4, tell };

/// Who fills a room, and who reads it, one on each node.
const LOADER: u32 = 900;
const READERS: u32 = 950;
/// Rows that make a snapshot of several chunks.
const ROWS: u64 = 1_200;
/// For how long, and how often, a node that starts is read from.
const READ_FOR_MS: u64 = 2_000;
const READ_EVERY_MS: u64 = 25;

fn tell(draft: &mut Draft) {
    draft.settings.latency_ms = draft.dice.one(&[(1, 10), (5, 60), (40, 120)]);
    if draft.dice.percent(70) {
        draft.settings.oplog_bytes = draft.dice.spread(1_024, 8_192) as usize;
    }
    for batch in 0..ROWS / 100 {
        let members: Vec<String> = (0..100).map(|row| format!("r{}", batch * 100 + row)).collect();
        draft.command(1_500 + batch * 50, LOADER, 0, Via::Shared, format!("SADD room:0 {}", members.join(" ")));
    }
    // Its answers are judged too, of the many rows that would take long.
    draft.command(1_400, LOADER, 0, Via::Shared, "SADD room:1 a b c");
    Workload::of(300, &[(Activity::Rows, 3), (Activity::Owned, 1)]).draw(draft);
    for at in draft.moments(12_000, 15_000, 30_000) {
        let node = draft.dice.index(draft.nodes);
        let until = at + draft.dice.spread(500, 8_000);
        if draft.dice.percent(50) {
            draft.redeploy(at, until, node);
        } else {
            draft.restart(at, until, node);
        }
        for after in (0..READ_FOR_MS).step_by(READ_EVERY_MS as usize) {
            draft.command(until + after, READERS + node as u32, node, Via::Shared, "SMEMBERS room:1");
        }
    }
}
