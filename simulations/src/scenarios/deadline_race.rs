//! Several give a key a life at the same moment, each another, or take it away; clocks are wrong, and links break meanwhile.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::{Fault, Via};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "deadline-race",
    about: "several give one key a life at the same moment, by clocks that differ",
    nodes: 5,
    tell,
};

/// The first of the racers, one on each node.
const RACERS: u32 = 900;

fn tell(draft: &mut Draft) {
    Workload::of(400, &[(Activity::Expiries, 4), (Activity::Exchanges, 2), (Activity::Clashes, 1)]).draw(draft);
    for (race, at) in draft.moments(5_000, 1_500, 5_000).into_iter().enumerate() {
        run(draft, race, at);
    }
    if draft.dice.percent(50) {
        draft.set_all_clocks(2_000);
    }
    for at in draft.moments(15_000, 10_000, 40_000) {
        let node = draft.dice.index(draft.nodes);
        let until = at + draft.dice.spread(500, 15_000);
        match draft.dice.below(4) {
            0 => draft.restart(at, until, node),
            1 => {
                let ahead_ms = draft.off_by(10_000);
                draft.fault(at, Fault::SetClock { node, ahead_ms });
            }
            _ => {
                let (one, other) = draft.parts();
                draft.partition(at, until, &one, &other);
            }
        }
    }
}

/// One makes the key, all give it a life, and somebody looks again and again.
fn run(draft: &mut Draft, race: usize, at: u64) {
    let key = format!("life:{race}");
    let maker = draft.dice.index(draft.nodes);
    let words = match draft.dice.below(4) {
        0 => format!("SET {key} v"),
        1 => format!("SADD {key} m"),
        2 => format!("HSET {key} f v"),
        _ => format!("RPUSH {key} e"),
    };
    let ask = |draft: &mut Draft, at: u64, node: usize, words: String| {
        draft.command(at, RACERS + node as u32, node, Via::Shared, words);
    };
    ask(draft, at, maker, words);
    if draft.dice.percent(50) {
        // So that there is a life to be taken away.
        let seconds = draft.dice.between(20, 60);
        ask(draft, at + 1, maker, format!("EXPIRE {key} {seconds}"));
    }
    let start = at + draft.dice.between(500, 3_000);
    for node in 0..draft.nodes {
        let seconds = draft.dice.between(3, 30);
        let words = if draft.dice.percent(10) { format!("PERSIST {key}") } else { format!("EXPIRE {key} {seconds}") };
        let at = start + draft.dice.below(20);
        ask(draft, at, node, words);
    }
    let mut at = start;
    for look in 0..8 {
        at += draft.dice.between(100, 400 << look.min(4));
        let node = draft.dice.index(draft.nodes);
        let name = draft.dice.one(&["TTL", "TTL", "EXISTS"]);
        ask(draft, at, node, format!("{name} {key}"));
    }
}
