//! One direction between two machines, and what is wrong with it.
//!
//! A wire says what becomes of something that is sent now: it is lost, or arrives later than usual. It knows no connections and keeps nothing that
//! is under way. The order within a connection, and what waits for a cut to end, are the connection's.

use rand::rngs::SmallRng;
use rand::{Rng, RngExt};

use crate::plan::FaultKind;

/// A queue before a narrow place that is longer than this loses datagrams.
const LONGEST_QUEUE: u64 = 500_000;

/// The first wait of TCP for an acknowledgement, in microseconds, shortest and longest.
const RETRANSMISSION: (u64, u64) = (200_000, 400_000);

/// What is wrong with a direction. Times are microseconds.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// Since when nothing passes.
    pub(crate) cut_since: Option<u64>,
    pub(crate) loss_percent: u8,
    pub(crate) repeat_percent: u8,
    pub(crate) delay: Option<(u64, u64)>,
    pub(crate) clogged_until: u64,
    pub(crate) width: Option<Width>,
    pub(crate) breaks_snapshot: bool,
}

/// A narrow place.
#[derive(Debug)]
pub(crate) struct Width {
    pub(crate) bytes_per_second: u64,
    pub(crate) free_at: u64,
}

/// The way of something that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    /// How long its bytes come in, one after the other: no time but behind a narrow place.
    pub(crate) trickles_for: u64,
    /// When its last byte is there.
    pub(crate) arrives: u64,
}

/// A uniform draw, both ends included.
pub(crate) fn draw(rng: &mut SmallRng, (min, max): (u64, u64)) -> u64 {
    if max <= min { min } else { min + rng.next_u64() % (max - min + 1) }
}

fn chance(rng: &mut SmallRng, percent: u8) -> bool {
    percent > 0 && rng.random_range(0..100) < percent
}

impl Wire {
    /// What becomes of a datagram; `None` when it is lost. `note` hears what had an effect on it.
    pub(crate) fn datagram(
        &mut self,
        now: u64,
        bytes: usize,
        usual: (u64, u64),
        rng: &mut SmallRng,
        mut note: impl FnMut(FaultKind),
    ) -> Option<Way> {
        if self.cut_since.is_some() {
            note(FaultKind::Cut);
            return None;
        }
        if chance(rng, self.loss_percent) {
            note(FaultKind::Lose);
            return None;
        }
        if self.width.as_ref().is_some_and(|width| width.free_at > now + LONGEST_QUEUE) {
            note(FaultKind::Narrow);
            return None;
        }
        Some(self.way(now, bytes, usual, rng, note))
    }

    /// Whether a datagram arrives once more.
    pub(crate) fn repeats(&self, rng: &mut SmallRng) -> bool {
        chance(rng, self.repeat_percent)
    }

    /// When a piece of a stream arrives, as long as the wire is not cut.
    pub(crate) fn piece(
        &mut self,
        now: u64,
        bytes: usize,
        usual: (u64, u64),
        rng: &mut SmallRng,
        mut note: impl FnMut(FaultKind),
    ) -> Way {
        let late = if chance(rng, self.loss_percent) {
            note(FaultKind::Lose);
            draw(rng, RETRANSMISSION)
        } else {
            0
        };
        let way = self.way(now, bytes, usual, rng, note);
        Way { arrives: way.arrives + late, ..way }
    }

    fn way(
        &mut self,
        now: u64,
        bytes: usize,
        usual: (u64, u64),
        rng: &mut SmallRng,
        mut note: impl FnMut(FaultKind),
    ) -> Way {
        let mut trickles_for = 0;
        let mut at = now;
        if let Some(width) = &mut self.width {
            if width.free_at > now {
                note(FaultKind::Narrow);
            }
            trickles_for = bytes as u64 * 1_000_000 / width.bytes_per_second.max(1);
            at = width.free_at.max(now) + trickles_for;
            width.free_at = at;
        }
        if at < self.clogged_until {
            note(FaultKind::Clog);
            return Way { trickles_for: 0, arrives: self.clogged_until + usual.0 };
        }
        if let Some(delay) = self.delay {
            note(FaultKind::Delay);
            return Way { trickles_for, arrives: at + draw(rng, delay) };
        }
        Way { trickles_for, arrives: at + draw(rng, usual) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const USUAL: (u64, u64) = (1000, 1000);

    fn arrives(wire: &mut Wire, now: u64, bytes: usize) -> u64 {
        wire.piece(now, bytes, USUAL, &mut SmallRng::seed_from_u64(1), |_| {}).arrives
    }

    #[test]
    fn a_narrow_place_lets_one_thing_pass_after_the_other() {
        let width = Some(Width { bytes_per_second: 1_000_000, free_at: 0 });
        let mut wire = Wire { width, ..Wire::default() };
        assert_eq!(arrives(&mut wire, 0, 500), 500 + 1000);
        assert_eq!(arrives(&mut wire, 0, 500), 1000 + 1000);
        assert_eq!(arrives(&mut wire, 5000, 500), 5500 + 1000);
    }

    #[test]
    fn what_was_stuck_arrives_all_at_once() {
        let mut wire = Wire { clogged_until: 70_000, ..Wire::default() };
        assert_eq!(arrives(&mut wire, 0, 1), 71_000);
        assert_eq!(arrives(&mut wire, 60_000, 1), 71_000);
        assert_eq!(arrives(&mut wire, 70_000, 1), 71_000);
    }

    #[test]
    fn a_cut_wire_loses_datagrams_and_says_so() {
        let mut wire = Wire { cut_since: Some(0), ..Wire::default() };
        let mut noted = Vec::new();
        let rng = &mut SmallRng::seed_from_u64(1);
        assert_eq!(wire.datagram(1, 1, USUAL, rng, |kind| noted.push(kind)), None);
        assert_eq!(noted, [FaultKind::Cut]);
    }
}
