//! All die at once, as when the power of a rack fails, and start in some order with nothing.

use super::Scenario;
use crate::drawing::{Draft, Workload};
use crate::plan::Fault;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "cold-restart", about: "all die at once and start again in some order", nodes: 5, tell };

fn tell(draft: &mut Draft) {
    Workload::of_everything(400).draw(draft);
    for at in draft.moments(20_000, 60_000, 120_000) {
        let spread = draft.dice.one(&[1, 500, 5_000]);
        let pause = draft.dice.between(1_000, 30_000);
        for node in draft.dice.shuffled(draft.nodes) {
            let down = at + draft.dice.below(200);
            draft.fault(down, Fault::PowerOff { node });
            let up = at + pause + draft.dice.below(spread);
            draft.fault(up, Fault::Start { node });
        }
    }
}
