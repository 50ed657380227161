//! One direction between two machines: what passes in it, and when it arrives.
//!
//! A route decides arrival times and losses; the [fabric](super::fabric) carries. Latency is drawn evenly between two bounds. Datagrams may be lost,
//! come twice and overtake each other. Streams lose nothing, as TCP's do not: what a loss would have taken arrives later by the
//! time of a retransmission, and what comes after it waits.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::entropy;
use crate::plan::FaultKind;

/// What TCP waits before it sends something again: the least that Linux waits. Each further time doubles it.
pub(crate) const RETRANSMISSION: Duration = Duration::from_millis(200);

/// Most retransmissions of one piece that are played.
const MAX_RETRANSMISSIONS: u32 = 4;

/// What waits for a narrow route at most, in time; further datagrams are dropped, as routers do.
const NARROW_QUEUE: Duration = Duration::from_secs(1);

/// How often faults of each kind did something.
pub(crate) type Tally = BTreeMap<FaultKind, u64>;

/// One more time that a fault did something.
pub(crate) fn count(tally: &mut Tally, kind: FaultKind) {
    *tally.entry(kind).or_default() += 1;
}

/// The network's own decisions, from the seed.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, thrown: 0 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.thrown += 1;
        entropy::derive(self.seed, self.thrown) % bound
    }

    fn percent(&mut self, percent: u8) -> bool {
        percent > 0 && self.below(100) < u64::from(percent)
    }

    fn between(&mut self, (least, most): (Duration, Duration)) -> Duration {
        let span = most.saturating_sub(least).as_micros() as u64;
        least + Duration::from_micros(self.below(span + 1))
    }
}

/// One direction between two machines.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    usual: (Duration, Duration),
    slow: Option<(Duration, Duration)>,
    cut: bool,
    lost_percent: u8,
    repeated_percent: u8,
    stuck_until: Duration,
    bytes_per_second: Option<u32>,
    /// Until when a narrow route is busy with what it was given.
    busy_until: Duration,
    breaks_snapshot: bool,
}

impl Route {
    pub(crate) fn new(usual: (Duration, Duration)) -> Self {
        Self {
            usual,
            slow: None,
            cut: false,
            lost_percent: 0,
            repeated_percent: 0,
            stuck_until: Duration::ZERO,
            bytes_per_second: None,
            busy_until: Duration::ZERO,
            breaks_snapshot: false,
        }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Cuts or mends it; returns whether that changed anything.
    pub(crate) fn set_cut(&mut self, cut: bool) -> bool {
        std::mem::replace(&mut self.cut, cut) != cut
    }

    pub(crate) fn lose(&mut self, percent: u8) {
        self.lost_percent = percent;
    }

    pub(crate) fn repeat(&mut self, percent: u8) {
        self.repeated_percent = percent;
    }

    /// Sets other bounds of latency than the usual ones; `None` for those.
    pub(crate) fn slow_down(&mut self, bounds: Option<(Duration, Duration)>) {
        self.slow = bounds;
    }

    pub(crate) fn clog_until(&mut self, until: Duration) {
        self.stuck_until = until;
    }

    /// Sets what passes in a second; `None` for whatever is given. Returns whether that changed anything.
    pub(crate) fn set_width(&mut self, bytes_per_second: Option<u32>) -> bool {
        std::mem::replace(&mut self.bytes_per_second, bytes_per_second) != bytes_per_second
    }

    /// The next connection that carries a piece of a snapshot here breaks.
    pub(crate) fn break_snapshot(&mut self) {
        self.breaks_snapshot = true;
    }

    /// Whether a connection that carries a piece of a snapshot now is to break. Asks once.
    pub(crate) fn takes_snapshot_break(&mut self, tally: &mut Tally) -> bool {
        let breaks = std::mem::take(&mut self.breaks_snapshot);
        if breaks {
            count(tally, FaultKind::BreakSnapshot);
        }
        breaks
    }

    /// All is as usual again.
    pub(crate) fn heal(&mut self) {
        *self = Self::new(self.usual);
    }

    /// When something without weight that leaves now arrives.
    pub(crate) fn arrival(&self, now: Duration, dice: &mut Dice) -> Duration {
        now + dice.between(self.slow.unwrap_or(self.usual))
    }

    /// When a datagram that leaves now arrives, and when it does again: never, once, or twice.
    pub(crate) fn datagram(
        &mut self,
        now: Duration,
        bytes: usize,
        dice: &mut Dice,
        tally: &mut Tally,
    ) -> [Option<Duration>; 2] {
        if self.cut {
            count(tally, FaultKind::Cut);
            return [None, None];
        }
        if dice.percent(self.lost_percent) {
            count(tally, FaultKind::Lose);
            return [None, None];
        }
        if self.bytes_per_second.is_some() && self.busy_until > now + NARROW_QUEUE {
            count(tally, FaultKind::Narrow);
            return [None, None];
        }
        let leaves = self.leaves(now, bytes, tally);
        let first = self.transit(now, leaves, dice, tally);
        let second = dice.percent(self.repeated_percent).then(|| {
            count(tally, FaultKind::Repeat);
            self.arrival(leaves, dice)
        });
        [Some(first), second]
    }

    /// When a piece of a stream that leaves now arrives, what was sent before it apart.
    pub(crate) fn piece(&mut self, now: Duration, bytes: usize, dice: &mut Dice, tally: &mut Tally) -> Duration {
        let leaves = self.leaves(now, bytes, tally);
        let mut arrives = self.transit(now, leaves, dice, tally);
        let mut wait = RETRANSMISSION;
        for _ in 0..MAX_RETRANSMISSIONS {
            if !dice.percent(self.lost_percent) {
                break;
            }
            count(tally, FaultKind::Lose);
            arrives += wait;
            wait *= 2;
        }
        arrives
    }

    /// When the route has taken so many bytes.
    fn leaves(&mut self, now: Duration, bytes: usize, tally: &mut Tally) -> Duration {
        let Some(width) = self.bytes_per_second else { return now };
        if self.busy_until > now {
            count(tally, FaultKind::Narrow);
        }
        let takes = Duration::from_micros(bytes as u64 * 1_000_000 / u64::from(width.max(1)));
        self.busy_until = self.busy_until.max(now) + takes;
        self.busy_until
    }

    fn transit(&self, now: Duration, leaves: Duration, dice: &mut Dice, tally: &mut Tally) -> Duration {
        if self.slow.is_some() {
            count(tally, FaultKind::Delay);
        }
        let arrives = self.arrival(leaves, dice);
        if now < self.stuck_until && arrives < self.stuck_until {
            count(tally, FaultKind::Clog);
            return self.stuck_until;
        }
        arrives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn route() -> (Route, Dice, Tally) {
        (Route::new((ms(1), ms(10))), Dice::new(7), Tally::new())
    }

    #[test]
    fn latency_stays_within_its_bounds_and_reaches_both_ends() {
        let (mut route, mut dice, mut tally) = route();
        let took: Vec<_> = (0..500).map(|_| route.piece(ms(100), 10, &mut dice, &mut tally)).collect();
        assert!(took.iter().all(|at| (ms(101)..=ms(110)).contains(at)));
        assert!(took.iter().any(|at| *at < ms(103)) && took.iter().any(|at| *at > ms(108)));
        route.slow_down(Some((ms(300), ms(400))));
        assert!(route.piece(ms(100), 10, &mut dice, &mut tally) >= ms(400));
        assert_eq!(tally, Tally::from([(FaultKind::Delay, 1)]));
    }

    #[test]
    fn loss_takes_datagrams_and_delays_streams() {
        let (mut route, mut dice, mut tally) = route();
        route.lose(50);
        let lost = (0..400).filter(|_| route.datagram(ms(0), 10, &mut dice, &mut tally)[0].is_none()).count();
        assert!((150..250).contains(&lost), "{lost} of 400");
        let late = (0..400).filter(|_| route.piece(ms(0), 10, &mut dice, &mut tally) > RETRANSMISSION).count();
        assert!((150..250).contains(&late), "{late} of 400");
        route.heal();
        assert!(route.datagram(ms(0), 10, &mut dice, &mut tally)[0].is_some());
    }

    #[test]
    fn repetition_brings_a_datagram_twice() {
        let (mut route, mut dice, mut tally) = route();
        route.repeat(100);
        assert!(route.datagram(ms(0), 10, &mut dice, &mut tally).iter().all(Option::is_some));
        assert_eq!(tally, Tally::from([(FaultKind::Repeat, 1)]));
    }

    #[test]
    fn what_is_stuck_arrives_all_at_once_and_what_comes_later_does_not_wait() {
        let (mut route, mut dice, mut tally) = route();
        route.clog_until(ms(500));
        assert_eq!(route.piece(ms(0), 10, &mut dice, &mut tally), ms(500));
        assert_eq!(route.piece(ms(400), 10, &mut dice, &mut tally), ms(500));
        assert!(route.piece(ms(500), 10, &mut dice, &mut tally) > ms(500));
        assert_eq!(tally, Tally::from([(FaultKind::Clog, 2)]));
    }

    #[test]
    fn a_narrow_route_takes_its_time_for_each_byte() {
        let (mut route, mut dice, mut tally) = route();
        assert!(route.set_width(Some(1_000)) && !route.set_width(Some(1_000)));
        assert!(route.piece(ms(0), 500, &mut dice, &mut tally) >= ms(500));
        assert!(route.piece(ms(0), 1_000, &mut dice, &mut tally) >= ms(1_500));
        assert_eq!(route.datagram(ms(0), 10, &mut dice, &mut tally), [None, None], "a second is waiting already");
        assert!(route.datagram(ms(1_400), 10, &mut dice, &mut tally)[0].is_some());
    }

    #[test]
    fn a_cut_loses_datagrams() {
        let (mut route, mut dice, mut tally) = route();
        assert!(route.set_cut(true) && !route.set_cut(true) && route.is_cut());
        assert_eq!(route.datagram(ms(0), 10, &mut dice, &mut tally), [None, None]);
    }
}
