//! Clocks are wrong, by seconds or by minutes, and are set right or worse, while keys expire.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::Fault;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "clock-jump", about: "wall clocks jump while keys expire", nodes: 4, tell };

fn tell(draft: &mut Draft) {
    let mix = [
        (Activity::Rows, 4),
        (Activity::Expiries, 4),
        (Activity::Clashes, 3),
        (Activity::Owned, 1),
        (Activity::Homes, 2),
    ];
    Workload::of(300, &mix).draw(draft);
    draft.set_all_clocks(2_000);
    for at in draft.moments(10_000, 3_000, 40_000) {
        let node = draft.dice.index(draft.nodes);
        let far = draft.dice.spread(500, 3_600_000) as i64;
        let ahead_ms = draft.dice.one(&[far, -far, 0]);
        draft.fault(at, Fault::SetClock { node, ahead_ms });
        if draft.dice.percent(15) {
            let until = at + draft.dice.spread(1_000, 10_000);
            draft.restart(at + 100, until, node);
        }
    }
}
