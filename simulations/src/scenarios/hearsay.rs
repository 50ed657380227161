//! Single links break while all nodes are up, and logs are short: much is heard by way of others, in another order, and in snapshots.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::{Fault, Via};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "hearsay", about: "single links break, and much is heard by way of others", nodes: 4, tell };

/// The first of those that write the same at the same moment, one on each node.
const RACERS: u32 = 900;

fn tell(draft: &mut Draft) {
    draft.settings.oplog_bytes = draft.dice.spread(1_024, 16_384) as usize;
    let mix = [(Activity::Clashes, 2), (Activity::Owned, 2), (Activity::Queues, 2), (Activity::Homes, 1)];
    Workload { clients: 2, gap_ms: 200, mix: mix.to_vec(), keys: 2 }.draw(draft);
    for (race, at) in draft.moments(3_000, 200, 1_500).into_iter().enumerate() {
        for node in 0..draft.nodes {
            let client = RACERS + node as u32;
            let words = match draft.dice.below(20) {
                0..=2 => format!("SET val:0 {client}.{race}"),
                3 => "DEL val:0".to_owned(),
                4 | 5 => format!("HSET hash:0 m0 {client}.{race}"),
                6 => "HDEL hash:0 m0".to_owned(),
                7 => "HINCRBY hash:0 n0 1".to_owned(),
                8 => "DEL hash:0".to_owned(),
                9..=12 => "INCRBY count:0 1".to_owned(),
                13 => "DEL count:0".to_owned(),
                14 => format!("RPUSH list:0 {client}.{race}"),
                15 => "DEL list:0".to_owned(),
                16..=18 => format!("SADD set:0 m{}", draft.dice.below(3)),
                _ => format!("SREM set:0 m{}", draft.dice.below(3)),
            };
            draft.command(at, client, node, Via::Shared, words);
        }
    }
    for at in draft.moments(5_000, 500, 5_000) {
        let order = draft.dice.shuffled(draft.nodes);
        let (from, to) = (order[0], order[1]);
        let until = at + draft.dice.spread(500, 10_000);
        if draft.dice.percent(50) {
            draft.between(at, from, to, |from, to| Fault::Cut { from, to });
            draft.between(until, from, to, |from, to| Fault::Mend { from, to });
        } else {
            draft.fault(at, Fault::Cut { from, to });
            draft.fault(until, Fault::Mend { from, to });
        }
    }
    for at in draft.moments(20_000, 20_000, 60_000) {
        let node = draft.dice.index(draft.nodes);
        let until = at + draft.dice.spread(200, 5_000);
        draft.restart(at, until, node);
    }
}
