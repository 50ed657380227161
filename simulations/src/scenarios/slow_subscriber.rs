//! Some do not read what they subscribed to, and some links are slower than what is published.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::{Ask, Fault, Via};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "slow-subscriber", about: "some do not read, and some links are too narrow", nodes: 3, tell };

/// The first of the subscribers and of the publishers, one on each node.
const SUBSCRIBERS: u32 = 900;
const PUBLISHERS: u32 = 950;

fn tell(draft: &mut Draft) {
    draft.settings.subscriber_queue = draft.dice.spread(2, 128) as usize;
    draft.settings.peer_queue_bytes = draft.dice.spread(1_024, 16_384) as usize;
    Workload::of(500, &[(Activity::Topics, 4), (Activity::Dawdling, 2), (Activity::Rows, 2)]).draw(draft);
    for node in 0..draft.nodes {
        draft.ask(1_500, SUBSCRIBERS + node as u32, node, Ask::Subscribe { topic: "feed".to_owned() });
    }
    for (number, at) in draft.moments(4_000, 20, 400).into_iter().enumerate() {
        let node = draft.dice.index(draft.nodes);
        let client = PUBLISHERS + node as u32;
        draft.command(at, client, node, Via::Shared, format!("PUBLISH feed {client}.{number}"));
    }
    for at in draft.moments(6_000, 3_000, 20_000) {
        let node = draft.dice.index(draft.nodes);
        let client = SUBSCRIBERS + node as u32;
        let until = at + draft.dice.spread(200, 15_000);
        draft.ask(at, client, node, Ask::Dawdle);
        draft.ask(until, client, node, Ask::Listen);
        let (from, to) = (node, (node + 1) % draft.nodes);
        if draft.dice.percent(30) {
            let bytes_per_second = draft.dice.spread(100, 5_000) as u32;
            draft.fault(at, Fault::Narrow { from, to, bytes_per_second });
            draft.fault(until, Fault::Widen { from, to });
        }
    }
}
