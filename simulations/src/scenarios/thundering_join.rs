//! One node has everything, and all the others start at the same moment.

use super::Scenario;
use crate::drawing::{Draft, Workload};
use crate::plan::Fault;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "thundering-join", about: "all but one start at the same moment", nodes: 8, tell };

fn tell(draft: &mut Draft) {
    Workload::of_everything(500).draw(draft);
    for at in draft.moments(15_000, 40_000, 90_000) {
        let stays = draft.dice.index(draft.nodes);
        let start = at + draft.dice.between(1_000, 15_000);
        let apart = draft.dice.one(&[0, 1, 200]);
        for (place, node) in draft.dice.shuffled(draft.nodes).into_iter().filter(|node| *node != stays).enumerate() {
            draft.fault(at, Fault::Crash { node });
            draft.fault(start + place as u64 * apart, Fault::Start { node });
        }
    }
}
