//! Nodes leave in order just after they were given more than their links carry at once, while elements are on their way to them, and nothing else is wrong.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::Via;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "parting", about: "nodes leave with much to tell", nodes: 3, tell };

/// Those who write much, one on each node.
const WRITERS: u32 = 900;
/// The first of those who pop last,
const POPPERS: u32 = 950;
/// so many on each node.
const POPS: u32 = 6;
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
        pop_last(draft, number, at, node);
        draft.redeploy(at, until, node);
    }
}

/// Asks for elements that are there, so late that some come when who asked has gone.
fn pop_last(draft: &mut Draft, number: usize, at: u64, node: usize) {
    let other = (node + 1) % draft.nodes;
    let client = |node: usize, pop: u32| POPPERS + node as u32 * POPS + pop;
    for pop in 0..POPS {
        let key = format!("last:{number}:{pop}");
        draft.command(at - 5_000, client(other, pop), other, Via::Shared, format!("RPUSH {key} {number}.{pop}"));
        let asked_at = at - draft.dice.below(120);
        draft.command(asked_at, client(node, pop), node, Via::Shared, format!("LPOP {key}"));
    }
}
