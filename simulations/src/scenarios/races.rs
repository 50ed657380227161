//! Clients on all nodes that want the same at the same moment: what two homes of a key would both give.

use crate::drawing::Draft;
use crate::plan::Via;

/// Counters, of which each node is the home of some.
const COUNTERS: u64 = 4;
/// The first of those that race, so many on each node, so that some still ask when others wait for their answers.
const RACERS: u64 = 900;
const RACERS_OF_NODE: u64 = 40;

/// Races for locks and tickets, to the storm's end.
pub(super) fn race(draft: &mut Draft) {
    for (race, at) in draft.moments(5_000, 150, 500).into_iter().enumerate() {
        let (turn, counter) = (race as u64 % RACERS_OF_NODE, race as u64 % COUNTERS);
        for node in 0..draft.nodes {
            let client = (RACERS + node as u64 * RACERS_OF_NODE + turn) as u32;
            let at = at + draft.dice.below(100);
            if race % 3 == 0 {
                draft.command(at, client, node, Via::Homed, format!("INCRBY homed:{counter} 1"));
            } else {
                // A lock is free once: whoever gets it keeps it.
                draft.command(at, client, node, Via::Shared, format!("SET lock:race{race} {client}.{race} NX"));
            }
        }
    }
}
