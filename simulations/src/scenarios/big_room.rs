//! A room of ten thousand members that come and go, on nodes that come and go.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::Via;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "big-room", about: "a room of 10,000 members on nodes that come and go", nodes: 4, tell };

const MEMBERS: u64 = 10_000;
const BATCH: u64 = 250;
/// The first of the clients that fill the room, one on each node.
const FILLERS: u32 = 900;

fn tell(draft: &mut Draft) {
    for batch in 0..MEMBERS / BATCH {
        let node = batch as usize % draft.nodes;
        let members: Vec<String> = (0..BATCH).map(|member| format!("p{}", batch * BATCH + member)).collect();
        let words = format!("SADD room:0 {}", members.join(" "));
        draft.command(2_000 + batch * 100, FILLERS + node as u32, node, Via::Shared, words);
    }
    for at in draft.moments(8_000, 100, 1_000) {
        let (node, member) = (draft.dice.index(draft.nodes), draft.dice.below(MEMBERS));
        let name = draft.dice.one(&["SADD", "SREM"]);
        draft.command(at, FILLERS + node as u32, node, Via::Shared, format!("{name} room:0 p{member}"));
    }
    Workload::of(1_000, &[(Activity::Rows, 2), (Activity::Owned, 1), (Activity::Topics, 1)]).draw(draft);
    for at in draft.moments(15_000, 20_000, 60_000) {
        let node = draft.dice.index(draft.nodes);
        let until = at + draft.dice.spread(200, 20_000);
        if draft.dice.percent(60) {
            draft.restart(at, until, node);
        } else {
            let others: Vec<usize> = (0..draft.nodes).filter(|other| *other != node).collect();
            draft.partition(at, until, &[node], &others);
        }
    }
}
