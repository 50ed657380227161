//! Virtual time, and the wall clocks that run by it.
//!
//! Time passes only while the world steps. Within a step each machine runs on its own, so code on a machine reads the
//! machine's time, and code outside (the story) reads the time of the last whole step. No clock of the operating system is ever asked:
//! two runs of one seed read the same from every clock. Wall time is [`EPOCH`] plus virtual time plus the machine's skew.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use headcount_cluster::{WallClock, WallMs};

/// What every wall clock without skew shows when a world begins, since the Unix epoch: some time in January 2025.
pub const EPOCH: Duration = Duration::from_hours(482_200);

/// The virtual time of one world.
#[derive(Debug, Default)]
pub struct VirtualTime {
    /// Nanoseconds at the end of the last step.
    stepped: AtomicU64,
}

impl VirtualTime {
    /// Since the world began.
    pub fn now(&self) -> Duration {
        // Without a runtime, tokio's clock is the operating system's: so it is when a machine is being cleared away.
        let on_machine = tokio::runtime::Handle::try_current().is_ok();
        let exact = if on_machine { turmoil::sim_elapsed() } else { None };
        exact.unwrap_or_else(|| Duration::from_nanos(self.stepped.load(Ordering::Relaxed)))
    }

    /// A step has ended at `elapsed`.
    pub(crate) fn advance_to(&self, elapsed: Duration) {
        self.stepped.store(elapsed.as_nanos() as u64, Ordering::Relaxed);
    }
}

/// The wall clock of one machine.
#[derive(Debug)]
pub struct MachineClock {
    time: Arc<VirtualTime>,
    skew_ms: AtomicI64,
}

impl MachineClock {
    pub(crate) fn new(time: &Arc<VirtualTime>) -> Self {
        Self { time: Arc::clone(time), skew_ms: AtomicI64::new(0) }
    }

    /// Sets how far it is ahead of the true time, in milliseconds; behind it when negative.
    pub(crate) fn set_skew_ms(&self, ahead: i64) {
        self.skew_ms.store(ahead, Ordering::Relaxed);
    }
}

impl WallClock for MachineClock {
    fn now(&self) -> WallMs {
        let true_ms = (EPOCH + self.time.now()).as_millis() as u64;
        WallMs(true_ms.saturating_add_signed(self.skew_ms.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_virtual_time_and_its_skew() {
        let time = Arc::new(VirtualTime::default());
        let clock = MachineClock::new(&time);
        let epoch_ms = EPOCH.as_millis() as u64;
        assert_eq!(clock.now(), WallMs(epoch_ms));
        time.advance_to(Duration::from_millis(250));
        assert_eq!(clock.now(), WallMs(epoch_ms + 250));
        clock.set_skew_ms(-1_000);
        assert_eq!(clock.now(), WallMs(epoch_ms - 750));
    }
}
