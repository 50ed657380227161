//! Many seeds: each its own history, and together enough that everything occurs at least once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use headcount_simulations::plan::Plan;
use headcount_simulations::regressions;
use headcount_simulations::scenarios;
use headcount_simulations::sometimes::{self, Occurrence};
use headcount_simulations::trial::{Trial, Where};
use indicatif::{ProgressBar, ProgressStyle};

use super::Failure;
use super::args::SwarmTask;
use super::play::failure;
use super::story::{check_nodes, command_of, scenario};

/// One history to be.
struct Seed {
    plan: Plan,
    minutes: u64,
    world: Where,
}

/// What is kept of a history.
struct Outcome {
    virtual_ms: u64,
    occurred: BTreeMap<Occurrence, u64>,
    /// In words.
    broken: Option<String>,
}

/// Seeds from which on a swarm has no excuse for something that never occurred.
const ENOUGH_SEEDS: u64 = 150;

pub(super) fn run(task: &SwarmTask) -> Result<bool, Failure> {
    let seed = seeds(task)?;
    let count = if task.regressions { regressions::all().len() as u64 } else { numbers(task).count() as u64 };
    let jobs = task.jobs.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    let bar = ProgressBar::new(count);
    // The template is a constant that parses.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta} left, {msg}") {
        bar.set_style(style);
    }
    bar.set_message("all kept");
    #[allow(clippy::disallowed_methods)] // How fast the machine is, is no part of any history.
    let began = Instant::now();
    let mut sum = Sum::default();
    play_all(&seed, count as usize, jobs, |outcome| {
        if let Some(words) = &outcome.broken {
            bar.suspend(|| println!("{words}\n"));
        }
        sum.add(outcome);
        bar.inc(1);
        if sum.failed > 0 {
            bar.set_message(format!("{} failed", sum.failed));
        }
        !task.until_broken || sum.failed == 0
    });
    bar.finish_and_clear();
    sum.print(began.elapsed());
    let all_must_occur = sum.played >= ENOUGH_SEEDS
        && matches!(Where::from(task.world), Where::Core)
        && task.scenario.as_deref().is_none_or(|name| name == "storm");
    let complete = sum.print_missing(all_must_occur);
    Ok(sum.failed == 0 && complete)
}

/// The numbers of the seeds.
fn numbers(task: &SwarmTask) -> impl Iterator<Item = u64> {
    (task.from..task.from.saturating_add(task.seeds)).filter(|seed| !task.without.contains(seed))
}

/// Makes the plan of each seed, the first, the second and so on.
fn seeds(task: &SwarmTask) -> Result<Box<dyn Fn(usize) -> Seed + Sync>, Failure> {
    if task.regressions {
        let noted = regressions::all();
        return Ok(Box::new(move |number| {
            let regression = &noted[number];
            Seed { plan: regression.plan(), minutes: regression.minutes, world: regression.world }
        }));
    }
    let only = task.scenario.as_deref().map(scenario).transpose()?;
    let (minutes, world) = (task.minutes, Where::from(task.world));
    let numbers: Vec<u64> = numbers(task).collect();
    let nodes = task.nodes.map(|nodes| nodes as usize);
    check_nodes(nodes.unwrap_or_default(), world)?;
    Ok(Box::new(move |index| {
        let seed = numbers[index];
        let scenario = only.unwrap_or_else(|| scenarios::of_seed(seed));
        let plan = scenario.plan(seed, nodes.unwrap_or(scenario.nodes), Duration::from_mins(minutes));
        Seed { plan, minutes, world }
    }))
}

/// Plays all, so many at a time, and tells each outcome as it comes, for as long as `tell` wants more.
fn play_all(seed: &(dyn Fn(usize) -> Seed + Sync), count: usize, jobs: usize, mut tell: impl FnMut(&Outcome) -> bool) {
    let next = AtomicUsize::new(0);
    let (outcomes, played) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (outcomes, next) = (outcomes.clone(), &next);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || outcomes.send(outcome_of(&seed(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(outcomes);
        for outcome in played {
            if !tell(&outcome) {
                return; // with it goes the receiver, and nobody begins another
            }
        }
    });
}

fn outcome_of(seed: &Seed) -> Outcome {
    let trial = Trial::of(&seed.plan, seed.world);
    let occurred = trial.history.as_ref().map(sometimes::in_history).unwrap_or_default();
    let broken = (!trial.is_good()).then(|| failure(&trial, &command_of(&seed.plan, seed.minutes, seed.world)));
    Outcome { virtual_ms: seed.plan.storm_ms + seed.plan.calm_ms, occurred, broken }
}

/// All outcomes together.
#[derive(Default)]
struct Sum {
    played: u64,
    failed: u64,
    virtual_ms: u64,
    occurred: BTreeMap<Occurrence, u64>,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.played += 1;
        self.failed += u64::from(outcome.broken.is_some());
        self.virtual_ms += outcome.virtual_ms;
        for (occurrence, count) in &outcome.occurred {
            *self.occurred.entry(*occurrence).or_default() += count;
        }
    }

    fn print(&self, took: Duration) {
        let seconds = took.as_secs_f64().max(0.001);
        let hours = self.virtual_ms as f64 / 3_600_000.0;
        println!("{} seeds, {} of them broke a promise", self.played, self.failed);
        println!(
            "{seconds:.1} s, {:.2} seeds a second, {hours:.1} virtual hours, {:.1} of them in a real minute",
            self.played as f64 / seconds,
            hours * 60.0 / seconds
        );
        for (occurrence, count) in &self.occurred {
            println!("  {count:>9}  {occurrence}");
        }
    }

    /// Says what never occurred. Returns whether that is all right.
    fn print_missing(&self, all_must_occur: bool) -> bool {
        let missing: Vec<String> = sometimes::all()
            .into_iter()
            .filter(|one| !self.occurred.contains_key(one))
            .map(|one| one.to_string())
            .collect();
        if missing.is_empty() {
            return true;
        }
        println!("never occurred: {}", missing.join("; "));
        if all_must_occur {
            println!("so many seeds must have seen each of these at least once: the swarm tests less than it says");
        }
        !all_must_occur
    }
}
