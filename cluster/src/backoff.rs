//! When to try again: exponential waits with jitter.
//!
//! Each wait is drawn from the upper half of a span that doubles up to a cap. The jitter keeps nodes that lost the same peer
//! at the same moment from coming back to it at the same moment; the lower bound keeps a retry from being immediate.

use std::time::Duration;

use rand::{Rng, RngExt};

/// The waits between attempts at one thing.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits from about `min`, doubling up to `max`.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// The next wait.
    pub fn next_wait<R: Rng>(&mut self, rng: &mut R) -> Duration {
        let span = self.next;
        self.next = (span * 2).min(self.max);
        span.mul_f64(rng.random_range(0.5..1.0))
    }

    /// Starts again from the smallest wait: the last attempt succeeded.
    pub fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_again_after_a_success() {
        let ms = Duration::from_millis;
        let mut rng = SmallRng::seed_from_u64(1);
        let mut backoff = Backoff::new(ms(100), ms(1_000));
        for span in [100, 200, 400, 800, 1_000, 1_000] {
            let wait = backoff.next_wait(&mut rng);
            assert!(wait >= ms(span / 2) && wait < ms(span), "{wait:?} of {span} ms");
        }
        backoff.reset();
        assert!(backoff.next_wait(&mut rng) < ms(100));
    }
}
