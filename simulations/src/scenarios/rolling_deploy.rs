//! All nodes are replaced one after the other while clients go on: what every release does. Some clients are at the same places under several owners.

use super::Scenario;
use crate::drawing::{Draft, Workload};
use crate::plan::{Ask, Via};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "rolling-deploy", about: "all nodes are restarted, one after the other", nodes: 5, tell };

/// The first of those who share places, two on each node.
const GUESTS: u32 = 900;

fn tell(draft: &mut Draft) {
    Workload::of_everything(400).draw(draft);
    share_places(draft);
    let mut at = 10_000;
    while at < draft.storm_ms {
        let (pace, down) = (draft.dice.spread(1_000, 20_000), draft.dice.spread(100, 10_000));
        for node in draft.dice.shuffled(draft.nodes) {
            // Not every process is given the time to say goodbye.
            if draft.dice.percent(80) {
                draft.redeploy(at, at + down, node);
            } else {
                draft.restart(at, at + down, node);
            }
            at += pace;
        }
        at += draft.dice.between(10_000, 60_000);
    }
}

/// Nodes and sessions add the same members, and end. By dice of their own: what else a seed draws stays.
fn share_places(draft: &mut Draft) {
    let mut dice = draft.dice.fork(3);
    let mut at = 5_000;
    while at < draft.storm_ms {
        let node = dice.index(draft.nodes);
        let guest = GUESTS + 2 * node as u32 + dice.below(2) as u32;
        let words = format!("SADD own:place:{} m{}", dice.below(2), dice.below(3));
        match dice.below(6) {
            0 => draft.ask(at, guest, node, Ask::EndSession),
            1 | 2 => draft.command(at, guest, node, Via::Node, words),
            _ => draft.command(at, guest, node, Via::Session, words),
        }
        at += dice.between(100, 1_500);
    }
}
