//! One link breaks and comes back faster than anybody can make up his mind about it.

use super::Scenario;
use crate::drawing::{Draft, Workload};
use crate::plan::Fault;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "flapping-link", about: "one link breaks and comes back all the time", nodes: 4, tell };

fn tell(draft: &mut Draft) {
    Workload::of_everything(400).draw(draft);
    let order = draft.dice.shuffled(draft.nodes);
    let (a, b) = (order[0], order[1]);
    for at in draft.moments(5_000, 700, 12_000) {
        draft.between(at, a, b, |from, to| Fault::Cut { from, to });
        let until = at + draft.dice.spread(100, 8_000);
        draft.between(until, a, b, |from, to| Fault::Mend { from, to });
    }
}
