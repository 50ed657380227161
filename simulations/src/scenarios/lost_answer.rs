//! Who asks a key's home is cut off before the answer comes, and asks again when he can: the answer must not be another.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::{HomeRequires, Via};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "lost-answer", about: "who asks a home is cut off before it hears the answer", nodes: 4, tell };

/// Counters, some of which have their home elsewhere.
const COUNTERS: u32 = 6;
/// The first of those that count; each has one counter on one node.
const CLIENTS: u32 = 900;

fn tell(draft: &mut Draft) {
    draft.settings.home_requires = HomeRequires::Majority;
    draft.settings.latency_ms = (20, 60);
    Workload::of(1_000, &[(Activity::Rows, 2), (Activity::Owned, 1)]).draw(draft);
    for at in draft.moments(6_000, 15_000, 25_000) {
        let (caller, other) = (draft.dice.index(draft.nodes), draft.dice.index(draft.nodes));
        count(draft, at - 2_000, other);
        count(draft, at, caller);
        let others: Vec<usize> = (0..draft.nodes).filter(|node| *node != caller).collect();
        let cut = at + draft.dice.between(15, 100);
        // Long enough for the link to be given up, and short enough for somebody to wait still.
        let until = cut + draft.dice.between(4_500, 8_000);
        draft.partition(cut, until, &[caller], &others);
        count(draft, until + 5_000, other);
    }
}

fn count(draft: &mut Draft, at: u64, node: usize) {
    for counter in 0..COUNTERS {
        let client = CLIENTS + node as u32 * COUNTERS + counter;
        draft.command(at, client, node, Via::Homed, format!("INCRBY homed:{counter} 1"));
    }
}
