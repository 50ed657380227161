//! One is cut off, in one direction or both, again and again, while all want the same locks and tickets: homes that nobody hears any more, callers that
//! do not hear the answer and ask again, and views that change back.

use super::Scenario;
use super::races::race;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::HomeRequires;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "cut-off", about: "one is cut off while all want the same locks and tickets", nodes: 4, tell };

fn tell(draft: &mut Draft) {
    // What a majority promises holds at all times.
    draft.settings.home_requires = HomeRequires::Majority;
    draft.settings.latency_ms = draft.dice.one(&[(1, 10), (20, 60)]);
    Workload::of(1_000, &[(Activity::Rows, 2), (Activity::Owned, 1)]).draw(draft);
    // Nothing that homes promise rests on what clocks show.
    if draft.dice.percent(50) {
        draft.set_all_clocks(10_000);
    }
    for at in draft.moments(6_000, 10_000, 20_000) {
        let one = draft.dice.index(draft.nodes);
        let others: Vec<usize> = (0..draft.nodes).filter(|node| *node != one).collect();
        // Some last until links and members are given up, and some only until consents are.
        let until = at + draft.dice.spread(800, 9_000);
        match draft.dice.below(4) {
            0 | 1 => draft.partition(at, until, &[one], &others),
            2 => draft.silence(at, until, &[one], &others),
            _ => draft.silence(at, until, &others, &[one]),
        }
    }
    race(draft);
}
