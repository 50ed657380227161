//! Subscribe to a channel of one's own, ask, and have the answer from a third node: the pattern that every remote call over topics is.

use super::Scenario;
use crate::drawing::Draft;
use crate::plan::{Ask, Fault, Via};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "reply-channel", about: "subscribe, ask, and a third node answers", nodes: 3, tell };

/// The first of those that take requests, and of those that answer; one of each on each node.
const WORKERS: u32 = 100;
const REPLIERS: u32 = 200;
/// After which a subscription is usually confirmed; a client that still waits for it does not ask.
const SUBSCRIBED_MS: u64 = 100;

fn tell(draft: &mut Draft) {
    for node in 0..draft.nodes {
        draft.ask(1_500, WORKERS + node as u32, node, Ask::Subscribe { topic: "requests".to_owned() });
    }
    let mut slow = draft.dice.fork(4);
    if slow.percent(60) {
        // What one says to another goes the long way all the time, while a third answers both at once: a request overtakes the word of who wants its answer.
        let from = slow.index(draft.nodes);
        let to = (from + slow.between(1, draft.nodes as u64 - 1) as usize) % draft.nodes;
        draft.fault(1_000, Fault::Delay { from, to, min_ms: 300, max_ms: 450 });
    }
    // The same for all calls, so that who answers does so in the order of the calls.
    let takes_ms = draft.dice.between(10, 300);
    for (call, at) in draft.moments(3_000, 50, 1_500).into_iter().enumerate() {
        let (asker, replier) = (call % draft.nodes, draft.dice.index(draft.nodes));
        let topic = format!("reply:{}", call % 20);
        let client = asker as u32;
        draft.ask(at, client, asker, Ask::Subscribe { topic: topic.clone() });
        draft.command(at + SUBSCRIBED_MS, client, asker, Via::Shared, format!("PUBLISH requests {client}.{call}"));
        let repliers = REPLIERS + replier as u32;
        draft.command(
            at + SUBSCRIBED_MS + takes_ms,
            repliers,
            replier,
            Via::Shared,
            format!("PUBLISH {topic} {repliers}.{call}"),
        );
        let heard = at + draft.dice.between(600, 3_000);
        draft.ask(heard, client, asker, Ask::Unsubscribe { topic });
    }
    for at in draft.moments(30_000, 20_000, 60_000) {
        let node = draft.dice.index(draft.nodes);
        let until = at + draft.dice.spread(200, 10_000);
        match draft.dice.below(3) {
            0 => draft.redeploy(at, until, node),
            1 => draft.restart(at, until, node),
            _ => {
                let other = (node + 1) % draft.nodes;
                let max_ms = draft.dice.spread(20, 500) as u32;
                let (usual_min, usual_max) = draft.settings.latency_ms;
                draft.between(at, node, other, |from, to| Fault::Delay { from, to, min_ms: 1, max_ms });
                draft.between(until, node, other, |from, to| Fault::Delay {
                    from,
                    to,
                    min_ms: usual_min,
                    max_ms: usual_max,
                });
            }
        }
    }
}
