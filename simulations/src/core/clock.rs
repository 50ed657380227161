//! The wall clocks of the core world's machines.
//!
//! All run by the world's one virtual time; each may be ahead of it or behind. Invariant: nothing but the world moves them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use headcount_cluster::{WallClock, WallMs};

use crate::full::clock::EPOCH;

/// Virtual time, shared with all clocks. Microseconds since the world began.
pub(crate) type Now = Arc<AtomicU64>;

/// A machine's wall clock.
#[derive(Debug)]
pub(crate) struct MachineClock {
    now: Now,
    ahead_ms: AtomicI64,
}

impl MachineClock {
    pub(crate) fn new(now: &Now) -> Self {
        Self { now: Arc::clone(now), ahead_ms: AtomicI64::new(0) }
    }

    /// Sets it so far ahead of the true time, or behind it. Returns whether that changes anything.
    pub(crate) fn set(&self, ahead_ms: i64) -> bool {
        self.ahead_ms.swap(ahead_ms, Ordering::Relaxed) != ahead_ms
    }
}

impl WallClock for MachineClock {
    fn now(&self) -> WallMs {
        let true_ms = EPOCH.as_millis() as u64 + self.now.load(Ordering::Relaxed) / 1000;
        WallMs(true_ms.saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed)))
    }
}
