//! Again and again nobody hears one until it is held for Down, and then all hear it again but one: those that are back with it have just promised themselves
//! to homes among which it is not, and it asks them to let it be one.

use super::Scenario;
use super::races::race;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::{Fault, HomeRequires};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "heard-late",
    about: "who was not heard is heard again, by one later than by the others, while all want the same locks and tickets",
    nodes: 5,
    tell,
};

fn tell(draft: &mut Draft) {
    // What a majority promises holds at all times.
    draft.settings.home_requires = HomeRequires::Majority;
    draft.settings.latency_ms = draft.dice.one(&[(1, 10), (20, 60)]);
    Workload::of(1_000, &[(Activity::Rows, 2), (Activity::Owned, 1)]).draw(draft);
    for at in draft.moments(6_000, 9_000, 15_000) {
        let order = draft.dice.shuffled(draft.nodes);
        let (one, late, others) = (order[0], order[1], &order[2..]);
        let until = at + draft.dice.between(3_500, 6_000);
        draft.silence(at, until, &[one], others);
        let later = until + draft.dice.between(500, 2_500);
        draft.silence(at, later, &[one], &[late]);
        // What the late one writes meanwhile the other does not soon know,
        let slow = draft.dice.between(100, 900) as u32;
        draft.fault(at, Fault::Delay { from: late, to: one, min_ms: slow, max_ms: slow + 100 });
        // nor is the late one soon told by the others.
        let slow = draft.dice.between(1, 300) as u32;
        for &other in others {
            draft.fault(at, Fault::Delay { from: other, to: late, min_ms: slow / 2, max_ms: slow });
        }
        let (min_ms, max_ms) = draft.settings.latency_ms;
        let of_others = others.iter().map(|other| (*other, late));
        for (from, to) in std::iter::once((late, one)).chain(of_others) {
            draft.fault(later + 1_000, Fault::Delay { from, to, min_ms, max_ms });
        }
    }
    race(draft);
}
