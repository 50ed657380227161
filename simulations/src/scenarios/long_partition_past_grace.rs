//! A part is away for so long that the others give it up, and then it is there again, alive and with what it wrote meanwhile.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "long-partition-past-grace",
    about: "a part is given up by the others, and comes back alive",
    nodes: 5,
    tell,
};

fn tell(draft: &mut Draft) {
    draft.settings.grace_ms = draft.dice.between(3_000, 15_000);
    let mix = [
        (Activity::Rows, 4),
        (Activity::Owned, 4),
        (Activity::Clashes, 2),
        (Activity::Homes, 1),
        (Activity::Topics, 1),
    ];
    Workload::of(400, &mix).draw(draft);
    let mut at = 10_000;
    while at < draft.storm_ms {
        let (one, other) = draft.parts();
        let until = at + 2 * draft.settings.grace_ms + draft.dice.between(10_000, 60_000);
        draft.partition(at, until, &one, &other);
        at = until + draft.dice.between(5_000, 40_000);
    }
}
