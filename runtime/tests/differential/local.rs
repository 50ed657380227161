//! This side: a `LocalPresence` under a clock that the sequence sets, on a runtime whose timers wait for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headcount::{Command, Limits, LocalPresence};
use headcount_cluster::{WallClock, WallMs};
use tokio::runtime::Runtime;

use crate::answer::Answer;
use crate::sequence::Step;

#[derive(Debug)]
struct Clock(AtomicU64);

impl WallClock for Clock {
    fn now(&self) -> WallMs {
        WallMs(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct Local {
    presence: LocalPresence,
    clock: Arc<Clock>,
    runtime: Runtime,
}

impl Local {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(Clock(AtomicU64::new(1_700_000_000_000)));
        let presence = LocalPresence::with(Limits::default(), Arc::clone(&clock) as Arc<dyn WallClock>);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        Self { presence, clock, runtime: runtime.unwrap() }
    }

    pub(crate) fn presence(&self) -> &LocalPresence {
        &self.presence
    }

    pub(crate) fn play(&mut self, step: &Step) -> Answer {
        match step {
            Step::Command(words) => {
                let outcome = match Command::parse(words) {
                    Ok(command) => self.runtime.block_on(command.execute(&self.presence)),
                    Err(error) => Err(error),
                };
                Answer::ours(step, outcome)
            }
            Step::Pass { seconds } => {
                self.clock.0.fetch_add(seconds * 1_000, Ordering::Relaxed);
                Answer::Nil
            }
        }
    }
}
