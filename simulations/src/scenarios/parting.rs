//! Nodes leave in order just after they were given more than their links carry at once, and nothing else is wrong.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::Via;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "parting", about: "nodes leave with much to tell", nodes: 3, tell };

/// Those who write much, one on each node.
const WRITERS: u32 = 900;
/// Values that are more than waits for a link.
const VALUES: u64 = 24;
const VALUE_BYTES: usize = 256 * 1024;

fn tell(draft: &mut Draft) {
    draft.settings.latency_ms = draft.dice.one(&[(1, 10), (20, 60)]);
    Workload::of(800, &[(Activity::Rows, 3), (Activity::Owned, 2), (Activity::Topics, 1)]).draw(draft);
    let value = "x".repeat(VALUE_BYTES);
    for (number, at) in draft.moments(15_000, 25_000, 60_000).into_iter().enumerate() {
        let node = draft.dice.index(draft.nodes);
        let until = at + draft.dice.between(12_000, 20_000);
        // Once, so that a plan stays small.
        if number == 0 {
            for count in 0..VALUES {
                let words = format!("SET big:{count} {value}");
                draft.command(at - VALUES + count, WRITERS + node as u32, node, Via::Shared, words);
            }
        }
        draft.redeploy(at, until, node);
    }
}
