//! All nodes are replaced one after the other while clients go on: what every release does.

use super::Scenario;
use crate::drawing::{Draft, Workload};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "rolling-deploy", about: "all nodes are restarted, one after the other", nodes: 5, tell };

fn tell(draft: &mut Draft) {
    Workload::of_everything(400).draw(draft);
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
