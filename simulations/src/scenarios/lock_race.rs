//! Everybody wants the same lock, the same ticket and the same job at the same moment, and homes move meanwhile.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::{HomeRequires, Via};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "lock-race",
    about: "all want the same locks, tickets and jobs at the same moment",
    nodes: 5,
    tell,
};

/// The first of the racers, one on each node.
const RACERS: u32 = 900;

fn tell(draft: &mut Draft) {
    if draft.dice.percent(50) {
        draft.settings.home_requires = HomeRequires::Majority;
    }
    Workload::of(400, &[(Activity::Homes, 4), (Activity::Queues, 4), (Activity::Rows, 1)]).draw(draft);
    for (race, at) in draft.moments(5_000, 2_000, 10_000).into_iter().enumerate() {
        // A lock is free once: whoever gets it keeps it.
        let words = |node: usize| match race % 3 {
            0 => (Via::Shared, format!("SET lock:race{race} {}.{race} NX", RACERS + node as u32)),
            1 => (Via::Homed, "INCRBY homed:0 1".to_owned()),
            _ => (Via::Shared, "LPOP queue:0".to_owned()),
        };
        for node in 0..draft.nodes {
            let (via, words) = words(node);
            let at = at + draft.dice.below(3);
            draft.command(at, RACERS + node as u32, node, via, words);
        }
    }
    for at in draft.moments(20_000, 20_000, 60_000) {
        let node = draft.dice.index(draft.nodes);
        let until = at + draft.dice.spread(500, 20_000);
        match draft.dice.below(4) {
            0 => draft.restart(at, until, node),
            1 => draft.redeploy(at, until, node),
            2 => draft.pause(at, until, node),
            _ => {
                let (one, other) = draft.parts();
                draft.partition(at, until, &one, &other);
            }
        }
    }
}
