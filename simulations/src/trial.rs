//! One plan, played and judged.
//!
//! Every trial has a thread of its own (see [`alone`]). A panic on it, whether of an invariant in a core or of a task of a node, is a broken
//! promise like any other. What a trial found is named by its promise, so that a smaller plan can be asked whether it breaks the same.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alone::alone;
use crate::checkers::{self, Breach, Verdict};
use crate::core::CoreWorld;
use crate::full::Simulation;
use crate::history::History;
use crate::plan::Plan;
use crate::play;

/// Where a plan is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Where {
    /// In the world of pure cores: fast, and for many nodes.
    #[default]
    Core,
    /// In the world of whole nodes.
    Full,
}

/// What came of a plan.
#[derive(Debug)]
pub struct Trial {
    /// The plan.
    pub plan: Plan,
    /// Where it was played.
    pub world: Where,
    /// What happened; `None` when it panicked.
    pub history: Option<History>,
    /// What the checkers say; one of its own when it panicked.
    pub verdicts: Vec<Verdict>,
}

/// What a panic counts as.
const NO_PANIC: &str = "no panic";

impl Trial {
    /// Plays a plan and judges what happened.
    pub fn of(plan: &Plan, world: Where) -> Self {
        let (history, verdicts) = match played(plan, world) {
            Ok((history, verdicts)) => (Some(history), verdicts),
            Err(words) => (None, vec![panicked(words)]),
        };
        Self { plan: plan.clone(), world, history, verdicts }
    }

    /// The promises that were broken.
    pub fn broken(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| !verdict.is_kept())
    }

    /// Whether all promises were kept.
    pub fn is_good(&self) -> bool {
        self.broken().next().is_none()
    }

    /// Whether this promise was broken.
    pub fn breaks(&self, promise: &str) -> bool {
        self.broken().any(|verdict| verdict.promise == promise)
    }

    /// The hash of the trace; 0 when it panicked.
    pub fn trace_hash(&self) -> u64 {
        self.history.as_ref().map_or(0, |history| history.trace_hash)
    }
}

/// The history and the verdicts, or what the panic said.
fn played(plan: &Plan, world: Where) -> Result<(History, Vec<Verdict>), String> {
    let plan = plan.clone();
    alone(plan.seed, move || {
        let history = play(&plan, world);
        let verdicts = checkers::check(&history);
        (history, verdicts)
    })
}

fn play(plan: &Plan, world: Where) -> History {
    match world {
        Where::Core => play::play(plan, &mut CoreWorld::of(plan)),
        Where::Full => Simulation::of_plan(plan).run(|world| play::play(plan, world)),
    }
}

fn panicked(words: String) -> Verdict {
    let broken = vec![Breach { at: 0, words }];
    Verdict { promise: NO_PANIC, words: "no assertion of any node or of the world fails", judged: 1, broken }
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => "core",
            Self::Full => "full",
        })
    }
}
