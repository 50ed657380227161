//! More is published than a narrow link can take, in large messages: what waits for a peer is bounded, stays in order, and what does not fit is dropped.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::{Ask, Fault, Via};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "flood", about: "more is published than a narrow link can take", nodes: 3, tell };

/// The first of the subscribers and of the publishers, one on each node.
const SUBSCRIBERS: u32 = 900;
const PUBLISHERS: u32 = 950;
/// Messages of a flood, and their bytes: together more than a connection and the queue of a link take before anything waits for the peer.
const MESSAGES: u64 = 40;
const BYTES: usize = 160 * 1024;

fn tell(draft: &mut Draft) {
    draft.settings.peer_queue_bytes = draft.dice.spread(2 * BYTES as u64, 8 * BYTES as u64) as usize;
    Workload::of(1_000, &[(Activity::Rows, 2), (Activity::Topics, 1)]).draw(draft);
    for node in 0..draft.nodes {
        draft.ask(1_500, SUBSCRIBERS + node as u32, node, Ask::Subscribe { topic: "flood".to_owned() });
    }
    let filling = "x".repeat(BYTES);
    for (flood, at) in draft.moments(8_000, 40_000, 80_000).into_iter().enumerate() {
        let from = draft.dice.index(draft.nodes);
        let to = (from + 1) % draft.nodes;
        let client = PUBLISHERS + from as u32;
        let bytes_per_second = draft.dice.spread(1_000, 50_000) as u32;
        draft.fault(at, Fault::Narrow { from, to, bytes_per_second });
        draft.fault(at + 6_000, Fault::Widen { from, to });
        for message in 0..MESSAGES {
            let words = format!("PUBLISH flood {client}.{flood}.{message}.{filling}");
            draft.command(at + 1_000 + message * 60, client, from, Via::Shared, words);
        }
    }
}
