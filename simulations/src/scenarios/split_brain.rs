//! The nodes fall into two parts that both go on writing, and meet again; again and again.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "split-brain", about: "two parts go on alone and meet again", nodes: 5, tell };

fn tell(draft: &mut Draft) {
    let mix =
        [(Activity::Rows, 6), (Activity::Owned, 2), (Activity::Homes, 2), (Activity::Queues, 1), (Activity::Topics, 1)];
    Workload::of(300, &mix).draw(draft);
    for at in draft.moments(8_000, 30_000, 90_000) {
        let (one, other) = draft.parts();
        let until = at + draft.dice.between(2_000, 25_000);
        draft.partition(at, until, &one, &other);
    }
}
