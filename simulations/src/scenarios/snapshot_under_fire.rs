//! Logs are so short that whoever missed something loads a snapshot, while everybody writes and connections break.

use super::Scenario;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::{Fault, Via};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "snapshot-under-fire",
    about: "snapshots are loaded while all write and links break",
    nodes: 4,
    tell,
};

/// Rows that make a snapshot of several chunks.
const ROWS: u64 = 2_000;
const LOADER: u32 = 900;

fn tell(draft: &mut Draft) {
    draft.settings.oplog_bytes = draft.dice.spread(1_024, 8_192) as usize;
    for batch in 0..ROWS / 100 {
        let members: Vec<String> = (0..100).map(|row| format!("r{}", batch * 100 + row)).collect();
        draft.command(1_500 + batch * 50, LOADER, 0, Via::Shared, format!("SADD room:0 {}", members.join(" ")));
    }
    let mix = [(Activity::Rows, 6), (Activity::Clashes, 3), (Activity::Owned, 2), (Activity::Expiries, 1)];
    Workload::of(120, &mix).draw(draft);
    for at in draft.moments(10_000, 10_000, 30_000) {
        let node = draft.dice.index(draft.nodes);
        let until = at + draft.dice.spread(500, 12_000);
        if draft.dice.percent(50) {
            draft.restart(at, until, node);
        } else {
            let others: Vec<usize> = (0..draft.nodes).filter(|other| *other != node).collect();
            draft.partition(at, until, &[node], &others);
        }
        if draft.dice.percent(60) {
            for from in (0..draft.nodes).filter(|from| *from != node) {
                draft.fault(until - 1, Fault::BreakSnapshot { from, to: node });
            }
        }
    }
}
