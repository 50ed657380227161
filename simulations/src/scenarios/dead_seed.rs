//! A node that all others were told to begin with is dead for ever, and others have to start without it.

use super::Scenario;
use crate::drawing::{Draft, Workload};
use crate::plan::Fault;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "dead-seed", about: "nodes start again though a seed is dead for ever", nodes: 5, tell };

fn tell(draft: &mut Draft) {
    Workload::of_everything(400).draw(draft);
    // The first three are everybody's seeds; one stays.
    let dead = draft.dice.between(1, 2) as usize;
    let seeds: Vec<usize> = draft.dice.shuffled(3.min(draft.nodes - 1)).into_iter().take(dead).collect();
    for node in &seeds {
        let at = draft.dice.between(5_000, 20_000);
        draft.fault(at, Fault::PowerOff { node: *node });
    }
    for at in draft.moments(25_000, 10_000, 40_000) {
        let node = draft.dice.index(draft.nodes);
        if !seeds.contains(&node) {
            let until = at + draft.dice.spread(200, 8_000);
            draft.restart(at, until, node);
        }
    }
}
