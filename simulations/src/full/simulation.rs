//! What is chosen before a world begins, and the thread that it then has for itself.
//!
//! A seed decides everything that is left to chance: delays, the order in which machines get their turn, jitter, incarnations, the order of
//! maps. A story that fails is told together with its seed, and the same seed makes it fail again.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use headcount::Config;

use super::clock::VirtualTime;
use super::world::World;
use crate::entropy;

/// How many of the machines are every node's seeds.
const SEED_NODES: usize = 3;

/// A world to be: a seed, machines, and the settings of their nodes.
#[derive(Debug, Clone)]
#[must_use]
pub struct Simulation {
    pub(crate) seed: u64,
    pub(crate) names: Vec<String>,
    pub(crate) config: Config,
    pub(crate) tick: Duration,
    pub(crate) max_latency: Duration,
}

impl Simulation {
    /// A world of machines with these names, each with room for a node of the same name. The first three are everybody's
    /// seeds. At most 20 or so: the network's cost grows with the square.
    pub fn of(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let seed_node = |index| format!("{}:{}", super::machine::ip(index), super::machine::PORT);
        let mut config = Config::default();
        config.seeds = (0..names.len().min(SEED_NODES)).map(seed_node).collect();
        Self { seed: 0, names, config, tick: Duration::from_millis(5), max_latency: Duration::from_millis(40) }
    }

    /// The seed. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Changes the settings of all nodes. Name and addresses are the machines' and cannot be changed.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// How much time one step takes, 1 ms or more. Longer steps are faster and coarser. Default 5 ms.
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// The longest time that a message is under way; most take a fifth of it. Default 40 ms.
    pub fn max_latency(mut self, latency: Duration) -> Self {
        self.max_latency = latency;
        self
    }

    /// Lets `story` happen, on a thread of its own, and returns what it returns.
    ///
    /// # Panics
    /// When the story does, or a node; the seed and the virtual time are told.
    pub fn run<T: Send>(self, story: impl FnOnce(&mut World) -> T + Send) -> T {
        let seed = self.seed;
        let time = Arc::new(VirtualTime::default());
        let its_time = Arc::clone(&time);
        let told = thread::scope(|scope| {
            let history = thread::Builder::new().name(format!("world-{seed}")).spawn_scoped(scope, move || {
                entropy::arm(seed);
                story(&mut World::new(self, its_time))
            });
            history.expect("the system gives a test one more thread").join()
        });
        told.unwrap_or_else(|panic| {
            eprintln!("the world of seed {seed} failed at {:?} of virtual time", time.now());
            resume_unwind(panic)
        })
    }
}
