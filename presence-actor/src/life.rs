//! How long a node has lived: what it waits for hours or days with, before it gives somebody up or forgets.
//!
//! Wall time can be set, by an hour or by years, and a clock that is set has waited for nobody. So time is counted from gossip round to
//! gossip round, by the wall clock, and one round counts for a part of the grace time at most: whatever the clock does
//! between two rounds, nobody is given up for it. Nor does time go slower than it is where the grace time is so short that a round takes
//! a good part of it: a round always counts for what it takes, if it comes on time, and where a round takes all of the grace time a clock that is
//! set does end it. A pause of the process counts as one round too.
//! Invariant: the age never goes back.

use std::time::Duration;

use headcount_cluster::WallMs;

/// What one round counts for at most,
const LONGEST_ROUND: Duration = Duration::from_mins(1);
/// and as a part of the grace time;
const ROUNDS_OF_GRACE: u32 = 8;
/// but always for what it takes until it is late by this part of a gossip interval.
const LATE_BY: u32 = 4;

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
    pub(crate) fn new(now: WallMs, grace: Duration, gossip_interval: Duration) -> Self {
        let on_time = gossip_interval + gossip_interval / LATE_BY;
        let longest_round = LONGEST_ROUND.min(grace / ROUNDS_OF_GRACE).max(on_time);
        Self { age: Duration::ZERO, round_at: now, longest_round }
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
    const INTERVAL: Duration = Duration::from_millis(200);

    #[test]
    fn age_is_the_time_between_rounds() {
        let mut life = Life::new(WallMs(5_000), GRACE, INTERVAL);
        let born = life.age();
        for at in [5_200, 6_200, 66_200] {
            life.handle_round(WallMs(at));
        }
        assert_eq!(life.age().since(born), Duration::from_millis(61_200));
        assert_eq!(born.since(life.age()), Duration::ZERO);
    }

    /// Found by a review: rounds counted for an eighth of a short grace time, so that a day took longer than a day.
    #[test]
    fn age_keeps_up_with_rounds_that_take_long_beside_the_grace_time() {
        for interval_ms in [50, 200, 5_000] {
            let (interval, rounds) = (Duration::from_millis(interval_ms), 1_000);
            let mut life = Life::new(WallMs(0), Duration::from_secs(1), interval);
            let born = life.age();
            (1..=rounds).for_each(|round| life.handle_round(WallMs(round * interval_ms)));
            assert_eq!(life.age().since(born), interval * rounds as u32);
        }
    }

    #[test]
    fn a_clock_that_is_set_adds_one_round_at_most() {
        let (short, shortest) = (Duration::from_secs(8), Duration::from_secs(1));
        let on_time = Duration::from_millis(250);
        for (grace, most) in [(GRACE, LONGEST_ROUND), (short, Duration::from_secs(1)), (shortest, on_time)] {
            let mut life = Life::new(WallMs(5_000), grace, INTERVAL);
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
