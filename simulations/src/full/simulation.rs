//! What is chosen before a world begins, and the thread that it then has for itself.
//!
//! A seed decides everything that is left to chance: delays, the order in which machines get their turn, jitter, incarnations, the order of
//! maps. A story that fails is told together with its seed, and the same seed makes it fail again.

use std::fmt::Write;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use headcount::Config;

use super::clock::VirtualTime;
use super::seeds::SEEDS_VARIABLE;
use super::server::{Program, Server, ServerResult};
use super::trace::Trace;
use super::world::World;
use crate::entropy;
use crate::plan::Plan;

/// How many of the machines are every node's seeds.
const SEED_NODES: usize = 3;

/// How many events before a difference are shown.
const CONTEXT: usize = 5;

/// Where to look when a story is not the same twice.
const SUSPECTS: &str = "what the sender of the first difference did before it does not follow from the seed. Look there for:\n  \
    std::time::Instant or SystemTime (use tokio::time, Server::now, Server::wall_time)\n  \
    threads, spawn_blocking, actix Arbiters, rayon: their order is the machine's\n  \
    sockets, files and processes of the real machine, environment variables that change\n  \
    random numbers that do not come from getrandom (rdrand, a generator kept in a static, getrandom 0.2 with a custom backend)\n  \
    maps or sorting by address, by pointer or by actor address\n  \
    statics and thread-locals that the first run has changed";

/// A world to be: a seed, machines, and the settings of their nodes.
#[derive(Debug, Clone)]
#[must_use]
pub struct Simulation {
    pub(crate) seed: u64,
    pub(crate) names: Vec<String>,
    pub(crate) config: Config,
    pub(crate) tick: Duration,
    pub(crate) latency: (Duration, Duration),
    pub(crate) program: Option<Program>,
    pub(crate) keeps_trace: bool,
    /// Whether all machines run before the story begins.
    boots: bool,
}

impl Simulation {
    /// A world under this seed, of three machines at first.
    pub fn new(seed: u64) -> Self {
        Self::of(["n0", "n1", "n2"]).seed(seed)
    }

    /// A world of machines with these names, each with room for a node of the same name. The first three are everybody's
    /// seeds. At most 20 or so: all of them take their turn in each tick.
    ///
    /// # Panics
    /// When there is no name, or one is there twice.
    #[track_caller]
    pub fn of(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let ms = Duration::from_millis;
        let simulation = Self {
            seed: 0,
            names: Vec::new(),
            config: Config::default(),
            tick: ms(5),
            latency: (ms(1), ms(20)),
            program: None,
            keeps_trace: true,
            boots: false,
        };
        simulation.named(names)
    }

    /// The world of a plan, whose nodes are `n0`, `n1` and so on and have been started. It keeps the hash of its trace and not the events.
    ///
    /// # Panics
    /// When the plan has no nodes, or its latency is upside down: [`Plan::check`] says so beforehand.
    #[track_caller]
    pub fn of_plan(plan: &Plan) -> Self {
        let mut simulation = Self::new(plan.seed).nodes(plan.nodes);
        let seeds = std::mem::take(&mut simulation.config.seeds);
        simulation.config = plan.settings.config();
        simulation.config.seeds = seeds;
        simulation.keeps_trace = false;
        simulation.boots = true;
        let (least, most) = plan.settings.latency_ms;
        let ms = |ms: u32| Duration::from_millis(u64::from(ms));
        simulation.latency(ms(least)..ms(most))
    }

    /// The seed. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// So many machines, named `n0`, `n1` and so on.
    ///
    /// # Panics
    /// When there are none.
    #[track_caller]
    pub fn nodes(self, count: usize) -> Self {
        self.named((0..count).map(|index| format!("n{index}")))
    }

    #[track_caller]
    fn named(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.names = names.into_iter().map(Into::into).collect();
        assert!(!self.names.is_empty(), "a world has one machine or more");
        let twice = (1..self.names.len()).find(|index| self.names[..*index].contains(&self.names[*index]));
        if let Some(index) = twice {
            panic!("there are two machines {:?}", self.names[index]);
        }
        let seed_node = |index| format!("{}:{}", super::machine::ip(index), super::machine::PORT);
        self.config.seeds = (0..self.names.len().min(SEED_NODES)).map(seed_node).collect();
        self
    }

    /// Changes the settings of all nodes. Name and addresses are the machines' and cannot be changed.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// How much time one step takes, 1 ms or more. Longer steps are faster and coarser: two machines exchange at most one question
    /// and answer in a step. Default 5 ms.
    ///
    /// # Panics
    /// When it is less than 1 ms.
    #[track_caller]
    pub fn tick(mut self, tick: Duration) -> Self {
        assert!(tick >= Duration::from_millis(1), "a step takes 1 ms or more, not {tick:?}");
        self.tick = tick;
        self
    }

    /// How long a message is under way at least and at most. Default 1 to 20 ms.
    ///
    /// # Panics
    /// When it is longer at least than at most.
    #[track_caller]
    pub fn latency(mut self, bounds: Range<Duration>) -> Self {
        self.latency = in_order(&bounds);
        self
    }

    /// A server of your own, which runs on each node each time that one starts. When it ends well its node stays; when it returns an
    /// error or panics, the simulation fails.
    pub fn node<F>(mut self, server: impl Fn(Server) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ServerResult> + 'static,
    {
        self.program = Some(Program::new(server));
        self
    }

    /// Lets `story` happen, on a thread of its own, and returns what it returns.
    ///
    /// # Panics
    /// When the story does, or a node or its server; the seed and the virtual time are told.
    pub fn run<T: Send>(self, story: impl FnOnce(&mut World) -> T + Send) -> T {
        demand_tokio_unstable();
        let seed = self.seed;
        let time = Arc::new(VirtualTime::default());
        let its_time = Arc::clone(&time);
        let told = thread::scope(|scope| {
            let history = thread::Builder::new().name(format!("world-{seed}")).spawn_scoped(scope, move || {
                entropy::arm(seed);
                let boots = self.boots;
                let mut world = World::new(self, its_time);
                if boots {
                    world.boot_all();
                }
                story(&mut world)
            });
            history.expect("the system gives a test one more thread").join()
        });
        told.unwrap_or_else(|panic| {
            eprintln!(
                "\nthe world of seed {seed} failed at {:.3} s of virtual time. The same seed fails in the same way each time: run it with \
                 Simulation::new({seed}), or with {SEEDS_VARIABLE}={seed} where the story asks `seeds` for its seeds",
                time.now().as_secs_f64()
            );
            resume_unwind(panic)
        })
    }

    /// Lets `story` happen twice and returns what it returned first.
    ///
    /// The second history must be the first one again, message for message. It is not when something on a node or in the story takes
    /// what it does from elsewhere than the seed and virtual time: the clocks, threads, files and sockets of the real
    /// machine, the order of addresses in memory, statics that outlive a run. What such code does is seen as soon as another node hears of it.
    ///
    /// # Panics
    /// When the story does, or when the histories differ: with the first difference, what was before it, and what to look for.
    pub fn run_twice<T: Send>(mut self, story: impl Fn(&mut World) -> T + Send + Sync) -> T {
        self.keeps_trace = true;
        let seed = self.seed;
        let once = |simulation: Self| simulation.run(|world| (story(world), world.trace()));
        let (told, first) = once(self.clone());
        let (_, second) = once(self);
        if let Some(words) = difference(&first, &second) {
            panic!("two runs of seed {seed} differ.\n{words}\n{SUSPECTS}");
        }
        told
    }
}

/// The least and the most that a message takes.
///
/// # Panics
/// When the least is more.
#[track_caller]
pub(super) fn in_order(bounds: &Range<Duration>) -> (Duration, Duration) {
    let (least, most) = (bounds.start, bounds.end);
    assert!(least <= most, "a message cannot take {least:?} at least and {most:?} at most");
    (least, most)
}

/// Without the flag tokio's own choices do not follow from the seed.
fn demand_tokio_unstable() {
    #[cfg(not(tokio_unstable))]
    panic!("simulations need `rustflags = [\"--cfg\", \"tokio_unstable\"]` under [build] in .cargo/config.toml");
}

/// Where two traces part, in words.
fn difference(first: &Trace, second: &Trace) -> Option<String> {
    let (place, mine, theirs) = first.first_difference(second)?;
    let mut words = format!("After {place} equal events, the last of them");
    for event in &first.events()[place.saturating_sub(CONTEXT)..place] {
        let _ = write!(words, "\n    {event}");
    }
    for (run, event) in [("first", mine), ("second", theirs)] {
        let event = event.map_or_else(|| "nothing more".to_owned(), |event| event.to_string());
        let _ = write!(words, "\n  the {run} run has\n    {event}");
    }
    Some(words)
}
