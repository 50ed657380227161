//! What wall clocks showed: by how much each machine's was ahead of the true time, as the plan set it.
//!
//! Clocks are only ever set by the plan, belong to the machine and not to the process, and are right again once the storm is over. At the very millisecond at
//! which one is set it may show either.

use crate::history::History;
use crate::plan::Fault;

/// Milliseconds by which a moment may be rounded.
pub(super) const ROUNDED_MS: i64 = 2;

/// The clocks of a history. Wall time is told in milliseconds that a right clock would show since the beginning.
pub(super) struct Clocks {
    /// Of each machine, when it was set and to be how far ahead.
    set: Vec<Vec<(u64, i64)>>,
}

/// What a clock may have shown, from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shows {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Clocks {
    pub(super) fn of(history: &History) -> Self {
        let mut set: Vec<Vec<(u64, i64)>> = vec![vec![(0, 0)]; history.plan.nodes];
        for (at, fault) in history.plan.faults() {
            if let Fault::SetClock { node, ahead_ms } = fault {
                set[*node].push((at, *ahead_ms));
            }
        }
        for of in &mut set {
            of.push((history.calm_at, 0));
        }
        Self { set }
    }

    /// What a machine's clock showed at a moment.
    pub(super) fn at(&self, node: usize, at: u64) -> Shows {
        self.within(node, at, at)
    }

    /// What it showed from one moment to another.
    pub(super) fn within(&self, node: usize, from: u64, to: u64) -> Shows {
        let of = &self.set[node];
        let before = of.partition_point(|(set, _)| *set < from).saturating_sub(1);
        let mut shows = Shows { least: i64::MAX, most: i64::MIN };
        for (index, (set, ahead)) in of.iter().enumerate().skip(before).take_while(|(_, (set, _))| *set <= to) {
            let until = of.get(index + 1).map_or(to, |(next, _)| *next);
            shows.least = shows.least.min(from.max(*set) as i64 + ahead);
            shows.most = shows.most.max(to.min(until) as i64 + ahead);
        }
        shows
    }

    /// What any machine's clock showed from one moment to another.
    pub(super) fn of_any(&self, from: u64, to: u64) -> Shows {
        let all = (0..self.set.len()).map(|node| self.within(node, from, to));
        all.reduce(|one, other| Shows { least: one.least.min(other.least), most: one.most.max(other.most) })
            .unwrap_or(Shows { least: from as i64, most: to as i64 })
    }
}

impl Shows {
    /// So much later.
    pub(super) fn plus(self, ms: i64) -> Self {
        Self { least: self.least + ms, most: self.most + ms }
    }

    /// Whether it was sure to be before.
    pub(super) fn is_before(self, other: Self) -> bool {
        self.most + ROUNDED_MS < other.least
    }

    /// Whether it was sure to be no earlier.
    pub(super) fn is_from(self, other: Self) -> bool {
        self.least >= other.most + ROUNDED_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_what_it_was_set_to_from_then_on() {
        let clocks =
            Clocks { set: vec![vec![(0, 0), (1_000, 500), (2_000, -3_000), (9_000, 0)], vec![(0, 0), (9_000, 0)]] };
        let shows = |least, most| Shows { least, most };
        assert_eq!(clocks.at(0, 999), shows(999, 999));
        assert_eq!(clocks.at(0, 1_000), shows(1_000, 1_500), "either, when it is set");
        assert_eq!(clocks.at(0, 1_001), shows(1_501, 1_501));
        assert_eq!(clocks.within(0, 1_500, 2_500), shows(-1_000, 2_500));
        assert_eq!(clocks.at(0, 9_500), shows(9_500, 9_500), "all are right in the calm");
        assert_eq!(clocks.of_any(1_500, 1_600), shows(1_500, 2_100));
    }
}
