//! How long a node has lived: what it waits for hours or days with, before it gives somebody up or forgets.
//!
//! Wall time can be set, by an hour or by years, once or by two programs in turn, and a clock that is set has waited for nobody. So time is counted
//! from gossip round to gossip round, by the wall clock, and a round counts for [`LONGEST_ROUND`] gossip intervals at most: whatever the clock does,
//! a time is over only after half as many rounds as it takes. A pause of the process counts as one round too, as membership
//! does not count it either. Where rounds are later than that, time goes slower than it is, which destroys nothing.
//! Invariant: the age never goes back.

use std::time::Duration;

use headcount_cluster::WallMs;

/// What one round counts for at most, in gossip intervals: it may be late.
const LONGEST_ROUND: u32 = 2;

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
    pub(crate) fn new(now: WallMs, gossip_interval: Duration) -> Self {
        Self { age: Duration::ZERO, round_at: now, longest_round: gossip_interval * LONGEST_ROUND }
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

    /// So much time passes without the many rounds that it takes.
    #[cfg(test)]
    pub(crate) fn pass(&mut self, time: Duration) {
        self.age += time;
        self.round_at = self.round_at.plus_ms(time.as_millis() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(200);

    #[test]
    fn age_is_the_time_between_rounds() {
        let mut life = Life::new(WallMs(5_000), INTERVAL);
        let born = life.age();
        for at in [5_200, 5_450, 5_850] {
            life.handle_round(WallMs(at));
        }
        assert_eq!(life.age().since(born), Duration::from_millis(850));
        assert_eq!(born.since(life.age()), Duration::ZERO);
    }

    /// Found by a review: rounds counted for less than they took where they take long, so that a day took longer than a day.
    #[test]
    fn age_keeps_up_with_rounds_however_long_they_are_meant_to_take() {
        for interval_ms in [50, 200, 5_000] {
            let (interval, rounds) = (Duration::from_millis(interval_ms), 1_000);
            let mut life = Life::new(WallMs(0), interval);
            let born = life.age();
            (1..=rounds).for_each(|round| life.handle_round(WallMs(round * interval_ms)));
            assert_eq!(life.age().since(born), interval * rounds as u32);
        }
    }

    #[test]
    fn a_clock_that_is_set_adds_two_rounds_at_most() {
        let mut life = Life::new(WallMs(5_000), INTERVAL);
        let born = life.age();
        life.handle_round(WallMs(1 << 50));
        assert_eq!(life.age().since(born), 2 * INTERVAL, "ahead");
        life.handle_round(WallMs(5_000));
        assert_eq!(life.age().since(born), 2 * INTERVAL, "and back");
        life.handle_round(WallMs(5_200));
        assert_eq!(life.age().since(born), 3 * INTERVAL, "then it goes on");
    }
}
