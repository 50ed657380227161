//! How long a node has lived: what it waits for hours or days with, before it gives somebody up or forgets.
//!
//! Wall time can be set, by an hour or by years, and a clock that is set has waited for nobody. So time is counted from gossip round to
//! gossip round, by the wall clock, and one round counts for no more than it can sensibly take: whatever the clock does
//! between two rounds, what nobody was heard of in is never a whole grace time. A pause of the process counts as one round too.
//! Invariant: the age never goes back.

use std::time::Duration;

use headcount_cluster::WallMs;

/// What one round counts for at most,
const LONGEST_ROUND: Duration = Duration::from_mins(1);
/// and as a part of the grace time.
const ROUNDS_OF_GRACE: u32 = 8;

/// A moment, by how long the node had lived then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age(Duration);

impl Age {
    /// The time from `earlier` to this moment.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment so much later.
    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

/// Counts a node's age.
#[derive(Debug)]
pub(crate) struct Life {
    age: Duration,
    /// When the last round was, by the clock.
    round_at: WallMs,
    longest_round: Duration,
}

impl Life {
    /// A node that begins to live now.
    pub(crate) fn new(now: WallMs, grace: Duration) -> Self {
        Self { age: Duration::ZERO, round_at: now, longest_round: LONGEST_ROUND.min(grace / ROUNDS_OF_GRACE) }
    }

    /// As of the last gossip round.
    pub(crate) fn age(&self) -> Age {
        Age(self.age)
    }

    /// A gossip round begins.
    pub(crate) fn handle_round(&mut self, now: WallMs) {
        let round = Duration::from_millis(now.since_ms(self.round_at));
        self.age += round.min(self.longest_round);
        self.round_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_mins(10);

    #[test]
    fn age_is_the_time_between_rounds() {
        let mut life = Life::new(WallMs(5_000), GRACE);
        let born = life.age();
        for at in [5_200, 6_200, 66_200] {
            life.handle_round(WallMs(at));
        }
        assert_eq!(life.age().since(born), Duration::from_millis(61_200));
        assert_eq!(born.since(life.age()), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_is_set_adds_one_round_at_most() {
        for (grace, most) in [(GRACE, LONGEST_ROUND), (Duration::from_secs(8), Duration::from_secs(1))] {
            let mut life = Life::new(WallMs(5_000), grace);
            let born = life.age();
            life.handle_round(WallMs(1 << 50));
            assert_eq!(life.age().since(born), most, "ahead, with a grace time of {grace:?}");
            life.handle_round(WallMs(5_000));
            assert_eq!(life.age().since(born), most, "and back");
            life.handle_round(WallMs(5_200));
            assert_eq!(life.age().since(born), most + Duration::from_millis(200), "then it goes on");
        }
    }
}
