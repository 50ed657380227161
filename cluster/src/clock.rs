//! Time: what wall clocks say, and the hybrid logical clock that orders writes across nodes.
//!
//! A stamp is 48 bits of milliseconds and 16 bits of counter, so that it sorts as one `u64` and says roughly
//! when. The clock never goes back, is ahead of every stamp it has issued or accepted, and does not follow
//! a peer that is further ahead than [`HlcClock::max_skew_ms`]: one broken clock must not drag the cluster's along.
//! Stamps order writes and nothing else: when something expires is a matter of wall time, which no peer's clock can push.
//! Nothing here reads a clock; shells hand the time in, so that a simulation can own it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bits of a stamp that count events within a millisecond.
const COUNTER_BITS: u32 = 16;

/// Milliseconds since the Unix epoch as one machine's wall clock tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct WallMs(pub u64);

impl WallMs {
    /// This moment plus a span in milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to `self`; zero when `earlier` is later.
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where a shell gets wall time from. Cores take a [`WallMs`] instead.
pub trait WallClock: Send + Sync + fmt::Debug + 'static {
    /// The time now.
    fn now(&self) -> WallMs;
}

/// The operating system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    /// As of the kernel's last tick, a few milliseconds ago at most: every write asks, and the exact time costs 30 ns, a
    /// fourth of the fastest write.
    #[cfg(target_os = "linux")]
    fn now(&self) -> WallMs {
        let since = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        WallMs(u64::try_from(since.tv_sec).unwrap_or_default() * 1000 + since.tv_nsec as u64 / 1_000_000)
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::disallowed_methods)] // the one place that reads the wall clock
    fn now(&self) -> WallMs {
        use std::time::{SystemTime, UNIX_EPOCH};
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallMs(since.as_millis() as u64)
    }
}

/// A hybrid-logical-clock stamp. Later writes that have seen earlier ones have higher stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The lowest stamp of a millisecond.
    pub fn from_wall(at: WallMs) -> Self {
        Self(at.0 << COUNTER_BITS)
    }

    /// The wall-clock part.
    pub fn wall(self) -> WallMs {
        WallMs(self.0 >> COUNTER_BITS)
    }
}

/// A node's hybrid logical clock.
#[derive(Debug, Clone)]
pub struct HlcClock {
    last: Hlc,
    max_skew_ms: u64,
}

impl HlcClock {
    /// A clock that follows peers at most `max_skew_ms` ahead of the local wall clock.
    pub fn new(max_skew_ms: u64) -> Self {
        Self { last: Hlc::default(), max_skew_ms }
    }

    /// How far ahead a peer may be and still be followed, in milliseconds.
    pub fn max_skew_ms(&self) -> u64 {
        self.max_skew_ms
    }

    /// The stamp of a new local event.
    pub fn tick(&mut self, now: WallMs) -> Hlc {
        self.last = self.peek(now);
        self.last
    }

    /// What [`tick`](Self::tick) would give.
    pub fn peek(&self, now: WallMs) -> Hlc {
        Hlc::from_wall(now).max(Hlc(self.last.0 + 1))
    }

    /// Takes note of a peer's stamp.
    ///
    /// # Errors
    /// [`ClockAhead`] when the stamp is further ahead than the clock follows; the clock is then advanced
    /// to the bound only.
    pub fn observe(&mut self, stamp: Hlc, now: WallMs) -> Result<(), ClockAhead> {
        let bound = now.plus_ms(self.max_skew_ms);
        let ahead_ms = stamp.wall().since_ms(now);
        if stamp.wall() > bound {
            self.last = self.last.max(Hlc::from_wall(bound));
            return Err(ClockAhead { ahead_ms });
        }
        self.last = self.last.max(stamp);
        Ok(())
    }
}

/// A peer's clock is too far ahead to be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a peer's clock is {ahead_ms} ms ahead of ours; its stamps are kept but our clock does not follow")]
pub struct ClockAhead {
    /// By how many milliseconds.
    pub ahead_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_even_when_the_wall_clock_goes_back() {
        let mut clock = HlcClock::new(1_000);
        let first = clock.tick(WallMs(5_000));
        let second = clock.tick(WallMs(4_000));
        assert!(second > first);
    }

    #[test]
    fn a_stamp_that_was_seen_is_exceeded() {
        let mut clock = HlcClock::new(1_000);
        clock.observe(Hlc::from_wall(WallMs(5_500)), WallMs(5_000)).unwrap();
        assert!(clock.tick(WallMs(5_000)) > Hlc::from_wall(WallMs(5_500)));
    }

    #[test]
    fn a_clock_minutes_ahead_is_reported_and_not_followed() {
        let mut clock = HlcClock::new(1_000);
        let ahead = clock.observe(Hlc::from_wall(WallMs(305_000)), WallMs(5_000));
        assert_eq!(ahead, Err(ClockAhead { ahead_ms: 300_000 }));
        assert!(clock.tick(WallMs(5_001)).wall() <= WallMs(6_000));
    }
}
