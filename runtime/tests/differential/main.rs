//! What a real Redis answers, `LocalPresence` answers too: the same random commands to both, reply by reply.
//!
//! A sequence that ends in different replies is shrunk to the shortest that does, and told with its seed. `PROPTEST_CASES` says how many
//! sequences are played (2,000 by default). Time is a step of a sequence and passes on both sides at once, however long
//! the test takes: here a clock is set, there all deadlines are moved. Where the two differ on purpose stands in `differences`, and nowhere else.

#![allow(clippy::unwrap_used)] // All of this is a test, what helps there too.

mod answer;
mod differences;
mod local;
mod over_there;
mod patterns;
#[path = "../../../cluster/tests/ports/mod.rs"]
mod ports;
mod sequence;
#[allow(dead_code)] // the tests of presence over a Redis use more of it
#[path = "../redis/server.rs"]
mod server;

use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::differences::is_told;
use crate::local::Local;
use crate::over_there::Redis;
use crate::sequence::{Sequence, Step, sequences};

/// A runner of so many cases, unless the environment says how many.
fn runner(cases: u32) -> TestRunner {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config.max_shrink_iters = 100_000;
    config.failure_persistence = None;
    TestRunner::new(config)
}

#[test]
fn local_presence_answers_what_redis_answers() {
    let redis = Redis::start();
    let outcome = runner(2_000).run(&sequences(), |sequence: Sequence| {
        let mut here = Local::new();
        let theirs = redis.play(sequence.steps());
        let steps: Vec<&Step> = sequence.steps().collect();
        for (n, theirs) in theirs.into_iter().enumerate() {
            let step = steps[n];
            let ours = here.play(step);
            if is_told(&steps[..=n], &ours, &theirs) {
                return Ok(()); // From here on the two hold different things.
            }
            if ours != theirs {
                return Err(TestCaseError::fail(format!("{step}\nhere:     {ours}\nin Redis: {theirs}")));
            }
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
