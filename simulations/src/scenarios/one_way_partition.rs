//! Some are not heard though they hear: what asymmetric routes and full queues of switches do.

use super::Scenario;
use crate::drawing::{Draft, Workload};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "one-way-partition", about: "some are not heard, though they hear the others", nodes: 4, tell };

fn tell(draft: &mut Draft) {
    Workload::of_everything(400).draw(draft);
    for at in draft.moments(8_000, 20_000, 60_000) {
        let (silent, others) = draft.parts();
        let until = at + draft.dice.spread(500, 40_000);
        draft.silence(at, until, &silent, &others);
    }
}
