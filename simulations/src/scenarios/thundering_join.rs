//! One node has everything, and all the others start at the same moment: what was given must not be given again by those that have not found it yet.

use super::Scenario;
use crate::drawing::{Draft, Workload};
use crate::plan::{Fault, Via};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "thundering-join", about: "all but one start at the same moment", nodes: 8, tell };

/// The first of those that want what was given, one on each node.
const RACERS: u32 = 900;

fn tell(draft: &mut Draft) {
    Workload::of_everything(500).draw(draft);
    for (race, at) in draft.moments(15_000, 40_000, 90_000).into_iter().enumerate() {
        let stays = draft.dice.index(draft.nodes);
        let start = at + draft.dice.spread(500, 35_000);
        let apart = draft.dice.one(&[0, 1, 200]);
        for (place, node) in draft.dice.shuffled(draft.nodes).into_iter().filter(|node| *node != stays).enumerate() {
            draft.fault(at, Fault::Crash { node });
            draft.fault(start + place as u64 * apart, Fault::Start { node });
        }
        let given = at - 5_000;
        let asked_again = start + draft.dice.between(50, 1_000);
        for (at, asking) in [(given, vec![stays]), (asked_again, draft.dice.shuffled(draft.nodes))] {
            for node in asking {
                let client = RACERS + node as u32;
                draft.command(at, client, node, Via::Shared, format!("SET lock:race{race} {client}.{race} NX"));
            }
        }
    }
}
