//! Again and again one joins whom another cannot reach, and what it says is held up until it is ready: it asks to be a home of keys long before the
//! others hear of it, and they have just promised themselves to homes among which it is not.

use super::Scenario;
use super::races::race;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::{Fault, HomeRequires};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "held-up-joiner",
    about: "who joins is heard late, and by one never, while all want the same locks and tickets",
    nodes: 4,
    tell,
};

fn tell(draft: &mut Draft) {
    // What a majority promises holds at all times.
    draft.settings.home_requires = HomeRequires::Majority;
    draft.settings.latency_ms = draft.dice.one(&[(1, 10), (20, 60)]);
    Workload::of(1_000, &[(Activity::Rows, 2), (Activity::Owned, 1)]).draw(draft);
    for at in draft.moments(6_000, 25_000, 35_000) {
        let order = draft.dice.shuffled(draft.nodes);
        let (joiner, deaf) = (order[0], order[1]);
        let starts = at + draft.dice.spread(200, 4_000);
        draft.redeploy(at, starts, joiner);
        draft.partition(at, starts + 15_000, &[joiner], &[deaf]);
        // Whom it does not reach it waits for some five seconds, and whom it goes on without as a home for two more.
        let held_up = starts + draft.dice.spread(1_000, 5_000);
        let heard = starts + draft.dice.between(7_000, 11_000);
        for &other in &order[2..] {
            let heard = heard + draft.dice.below(200);
            draft.fault(held_up, Fault::Clog { from: joiner, to: other, ms: (heard - held_up) as u32 });
        }
    }
    race(draft);
}
