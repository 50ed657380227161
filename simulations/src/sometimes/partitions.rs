//! Which partitions a plan has, and from when until when.
//!
//! Read off the plan's cuts and mends alone: whether somebody wanted to speak across them is counted elsewhere. Several cuts at once are one
//! partition, whatever they were drawn as; what is cut between two nodes that hear each other through a third parts nobody.

use std::collections::BTreeSet;

use crate::plan::{Fault, Plan};

/// A time in which some do not hear others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    /// How many nodes are on the smaller side.
    pub(super) smaller: usize,
    /// Whether one side is heard by the other and does not hear it, or nodes otherwise do not hear whom they are heard by.
    pub(super) is_one_way: bool,
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
}

/// All partitions, in order.
pub(super) fn of(plan: &Plan) -> Vec<Partition> {
    let mut partitions = Vec::new();
    let mut cuts = BTreeSet::new();
    let mut present: Option<Partition> = None;
    let faults: Vec<(u64, Fault)> = plan.faults().map(|(at, fault)| (at, *fault)).collect();
    for moment in faults.chunk_by(|(one, _), (next, _)| one == next) {
        let before = cuts.clone();
        for (_, fault) in moment {
            if let Fault::Cut { from, to } = *fault {
                cuts.insert((from, to));
            } else if let Fault::Mend { from, to } = *fault {
                cuts.remove(&(from, to));
            }
        }
        if cuts != before {
            let at = moment[0].0;
            partitions.extend(present.take().map(|past| Partition { until_ms: at, ..past }));
            present = parted(&cuts, plan.nodes).map(|(smaller, is_one_way)| Partition {
                smaller,
                is_one_way,
                from_ms: at,
                until_ms: plan.storm_ms,
            });
        }
    }
    partitions.extend(present);
    partitions
}

/// How many are on the smaller side, and whether one hears the other; `None` when all hear all, directly or through others.
fn parted(cuts: &BTreeSet<(usize, usize)>, nodes: usize) -> Option<(usize, bool)> {
    let mut side = BTreeSet::from([0]);
    let mut next = vec![0];
    while let Some(node) = next.pop() {
        let talks = |other: &usize| !cuts.contains(&(node, *other)) && !cuts.contains(&(*other, node));
        for other in (0..nodes).filter(talks) {
            if side.insert(other) {
                next.push(other);
            }
        }
    }
    let smaller = side.len().min(nodes - side.len());
    let is_one_way = cuts.iter().any(|(from, to)| !cuts.contains(&(*to, *from)));
    (smaller > 0).then_some((smaller, is_one_way))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Event, Settings, Step};

    fn plan(cuts: &[(u64, Fault)]) -> Plan {
        let steps = cuts.iter().map(|(at_ms, fault)| Step { at_ms: *at_ms, event: Event::Fault(*fault) }).collect();
        let settings = Settings::default();
        Plan { scenario: "test".to_owned(), seed: 0, nodes: 3, settings, storm_ms: 100, calm_ms: 0, steps }
    }

    #[test]
    fn who_hears_nobody_and_is_heard_by_nobody_is_cut_off_from_the_first_cut_to_the_first_mend() {
        let cut = |from, to| (10, Fault::Cut { from, to });
        let plan = plan(&[cut(0, 1), cut(0, 2), cut(1, 0), cut(2, 0), (50, Fault::Mend { from: 0, to: 1 })]);
        let whole = Partition { smaller: 1, is_one_way: false, from_ms: 10, until_ms: 50 };
        let rest = Partition { smaller: 1, is_one_way: true, from_ms: 50, until_ms: 100 };
        assert_eq!(of(&plan), [whole, rest]);
    }

    #[test]
    fn a_cut_between_two_whom_a_third_hears_parts_nobody() {
        let plan = plan(&[(10, Fault::Cut { from: 0, to: 1 }), (10, Fault::Cut { from: 1, to: 0 })]);
        assert_eq!(of(&plan), []);
    }
}
