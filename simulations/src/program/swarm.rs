//! Many seeds: each its own history, and together enough that everything occurs at least once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use headcount_simulations::checkers::Verdict;
use headcount_simulations::plan::Plan;
use headcount_simulations::regressions;
use headcount_simulations::scenarios;
use headcount_simulations::sometimes::{self, Occurrence};
use headcount_simulations::trial::{Trial, Where};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::args::SwarmTask;
use super::play::failure;
use super::stdout::say;
use super::story::{self, check_nodes, command_of, scenario};
use super::{End, Failure};

/// One history to be.
struct Seed {
    plan: Plan,
    minutes: u64,
    world: Where,
}

/// What is kept of a history.
struct Outcome {
    virtual_ms: u64,
    asked: u64,
    occurred: BTreeMap<Occurrence, u64>,
    /// How much was judged by each promise, in their order.
    judged: Vec<Judgement>,
    /// In words.
    broken: Option<String>,
}

/// How much was judged by a promise.
#[derive(Debug, Clone, Copy)]
struct Judgement {
    promise: &'static str,
    words: &'static str,
    judged: u64,
}

impl From<&Verdict> for Judgement {
    fn from(verdict: &Verdict) -> Self {
        Self { promise: verdict.promise, words: verdict.words, judged: verdict.judged }
    }
}

/// What the swarm hears while seeds are played.
enum News {
    /// The seed at this place was.
    Played(usize, Box<Outcome>),
    /// Somebody has pressed Ctrl-C.
    Interrupted,
}

/// Seeds, and minutes of all together, from which on a swarm has no excuse for something that never occurred.
const ENOUGH_SEEDS: u64 = 100;
const ENOUGH_MINUTES: u64 = 100;

pub(super) fn run(task: &SwarmTask) -> Result<End, Failure> {
    let seed = seeds(task)?;
    let count = if task.regressions { regressions::all().len() as u64 } else { task.seeds };
    let jobs = task.jobs.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    let bar = bar(count);
    #[allow(clippy::disallowed_methods)] // How fast the machine is, is no part of any history.
    let began = Instant::now();
    let mut sum = Sum::default();
    let mut judged = Judged::default();
    let is_interrupted = play_all(&seed, count as usize, jobs, |place, outcome| {
        judged.add(place);
        if let Some(words) = &outcome.broken {
            bar.suspend(|| say!("{words}\n"));
        }
        sum.add(outcome);
        bar.inc(1);
        bar.set_message(sum.shortly());
        !task.until_broken || sum.failed == 0
    });
    bar.finish_and_clear();
    sum.print(began.elapsed());
    if is_interrupted {
        say!("interrupted: {} of {count} seeds were judged; {}", sum.played, how_to_go_on(task, judged.before as u64));
        return Ok(End::Interrupted);
    }
    let complete = sum.print_missing(excuse(task, sum.played));
    Ok(End::from(sum.failed == 0 && complete))
}

/// Why not everything must occur in so many seeds; `None` when it must.
fn excuse(task: &SwarmTask, played: u64) -> Option<String> {
    if task.scenario.as_deref().is_some_and(|name| name != "storm") {
        return Some("one scenario has not".to_owned());
    }
    let is_enough = played >= ENOUGH_SEEDS && played.saturating_mul(task.minutes) >= ENOUGH_MINUTES;
    let seeds = if played == 1 { "seed is" } else { "seeds are" };
    (!is_enough).then(|| format!("{played} {seeds} too few for"))
}

/// The command that plays the seeds which an interrupted swarm has not judged, the first `judged` being done.
fn how_to_go_on(task: &SwarmTask, judged: u64) -> String {
    if task.regressions {
        return "the noted seeds can only be played from the first".to_owned();
    }
    let from = task.from.saturating_add(judged);
    let (seeds, minutes, world) = (task.seeds - judged, task.minutes, Where::from(task.world));
    let mut command =
        format!("{} swarm --from {from} --seeds {seeds} --minutes {minutes} --world {world}", story::program());
    for (flag, value) in [
        ("--scenario", task.scenario.clone()),
        ("--nodes", task.nodes.map(|nodes| nodes.to_string())),
        ("--jobs", task.jobs.map(|jobs| jobs.to_string())),
    ] {
        command.extend(value.into_iter().flat_map(|value| [" ".to_owned(), flag.to_owned(), " ".to_owned(), value]));
    }
    if task.until_broken {
        command.push_str(" --until-broken");
    }
    format!("go on with --from {from}: {command}")
}

/// Which seeds have been judged: several are played at a time, and they end in any order.
#[derive(Debug, Default)]
struct Judged {
    /// All before this place,
    before: usize,
    /// and these after it.
    beyond: BTreeSet<usize>,
}

impl Judged {
    fn add(&mut self, place: usize) {
        self.beyond.insert(place);
        while self.beyond.remove(&self.before) {
            self.before += 1;
        }
    }
}

fn bar(count: u64) -> ProgressBar {
    let bar = ProgressBar::new(count);
    // The template is a constant that parses.
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} seeds, {per_sec}, {eta} left; {msg}") {
        bar.set_style(style.with_key("per_sec", |state: &ProgressState, text: &mut dyn Write| {
            // A terminal that takes no more text is no matter of the swarm's.
            let _ = write!(text, "{:.1} a second", state.per_sec());
        }));
    }
    bar.set_message("all kept");
    bar
}

/// The numbers of the seeds.
fn numbers(task: &SwarmTask) -> Range<u64> {
    task.from..task.from.saturating_add(task.seeds)
}

/// The plan of each seed, the first, the second and so on.
type Seeds = Arc<dyn Fn(usize) -> Seed + Send + Sync>;

/// Makes the plan of each seed.
fn seeds(task: &SwarmTask) -> Result<Seeds, Failure> {
    if task.regressions {
        let noted = regressions::all();
        return Ok(Arc::new(move |number| {
            let regression = &noted[number];
            Seed { plan: regression.plan(), minutes: regression.minutes, world: regression.world }
        }));
    }
    let only = task.scenario.as_deref().map(scenario).transpose()?;
    let (minutes, world) = (task.minutes, Where::from(task.world));
    let numbers: Vec<u64> = numbers(task).collect();
    let nodes = task.nodes.map(|nodes| nodes as usize);
    check_nodes(nodes.unwrap_or_default(), world)?;
    Ok(Arc::new(move |index| {
        let seed = numbers[index];
        let scenario = only.unwrap_or_else(|| scenarios::of_seed(seed));
        let plan = scenario.plan(seed, nodes.unwrap_or(scenario.nodes), Duration::from_mins(minutes));
        Seed { plan, minutes, world }
    }))
}

/// Plays all, so many at a time, and tells each outcome and its place as it comes, for as long as `tell` wants more. Returns whether
/// Ctrl-C ended it. What is being played at an early end is left behind.
fn play_all(seed: &Seeds, count: usize, jobs: usize, mut tell: impl FnMut(usize, &Outcome) -> bool) -> bool {
    let next = Arc::new(AtomicUsize::new(0));
    let (news, heard) = mpsc::channel();
    for _ in 0..jobs {
        let (news, next, seed) = (news.clone(), Arc::clone(&next), Arc::clone(seed));
        thread::spawn(move || {
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                if place >= count || news.send(News::Played(place, Box::new(outcome_of(&seed(place))))).is_err() {
                    return;
                }
            }
        });
    }
    thread::spawn(move || hear_interrupt(&news));
    for one in heard.iter().take(count) {
        match one {
            News::Played(place, outcome) if tell(place, &outcome) => {}
            News::Played(..) => return false,
            News::Interrupted => return true,
        }
    }
    false
}

/// Waits for Ctrl-C. Where the system has no such thing, there is none to hear.
fn hear_interrupt(news: &Sender<News>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
        // The swarm may be over.
        let _ = news.send(News::Interrupted);
    }
}

fn outcome_of(seed: &Seed) -> Outcome {
    let trial = Trial::of(&seed.plan, seed.world);
    let occurred = trial.history.as_ref().map(sometimes::in_history).unwrap_or_default();
    let broken = (!trial.is_good()).then(|| failure(&trial, &command_of(&seed.plan, seed.minutes, seed.world)));
    let asked = trial.history.as_ref().map_or(0, |history| history.asked.len() as u64);
    // Where a panic ended it, no checker had a say.
    let verdicts = trial.history.iter().flat_map(|_| &trial.verdicts);
    let judged = verdicts.map(Judgement::from).collect();
    Outcome { virtual_ms: seed.plan.storm_ms + seed.plan.calm_ms, asked, occurred, judged, broken }
}

/// All outcomes together.
#[derive(Default)]
struct Sum {
    played: u64,
    failed: u64,
    asked: u64,
    virtual_ms: u64,
    occurred: BTreeMap<Occurrence, u64>,
    judged: Vec<Judgement>,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.played += 1;
        self.failed += u64::from(outcome.broken.is_some());
        self.asked += outcome.asked;
        self.virtual_ms += outcome.virtual_ms;
        for (occurrence, count) in &outcome.occurred {
            *self.occurred.entry(*occurrence).or_default() += count;
        }
        for one in &outcome.judged {
            match self.judged.iter_mut().find(|sum| sum.promise == one.promise) {
                Some(sum) => sum.judged += one.judged,
                None => self.judged.push(*one),
            }
        }
    }

    /// What came of all so far, for a line that is written over.
    fn shortly(&self) -> String {
        let kept = if self.failed == 0 { "all kept".to_owned() } else { format!("{} FAILED", self.failed) };
        format!("{kept}, {} faults", self.faults())
    }

    /// How often faults did something.
    fn faults(&self) -> u64 {
        let is_fault = |occurrence: &Occurrence| matches!(occurrence, Occurrence::Fault(_));
        self.occurred.iter().filter(|(occurrence, _)| is_fault(occurrence)).map(|(_, count)| count).sum()
    }

    fn print(&self, took: Duration) {
        let seconds = took.as_secs_f64().max(0.001);
        let hours = self.virtual_ms as f64 / 3_600_000.0;
        say!(
            "{} seeds, {} of them broke a promise; {} commands asked, {} faults that did something",
            self.played,
            self.failed,
            self.asked,
            self.faults()
        );
        say!(
            "{seconds:.1} s, {:.2} seeds and {:.0} commands a second; {hours:.1} virtual hours, {:.1} of them in a real minute",
            self.played as f64 / seconds,
            self.asked as f64 / seconds,
            hours * 60.0 / seconds
        );
        for (occurrence, count) in &self.occurred {
            say!("  {count:>9}  {occurrence}");
        }
        say!("judged:");
        for Judgement { promise, words, judged } in &self.judged {
            say!("  {judged:>9}  {promise:<9} {words}");
        }
    }

    /// Says what never occurred, and which promises were never put to the test. Returns whether that is all right.
    fn print_missing(&self, excuse: Option<String>) -> bool {
        let missing: Vec<String> = sometimes::all()
            .into_iter()
            .filter(|one| !self.occurred.contains_key(one))
            .map(|one| one.to_string())
            .collect();
        let silent: Vec<&str> = self.judged.iter().filter(|sum| sum.judged == 0).map(|sum| sum.promise).collect();
        let count = missing.len() + silent.len();
        if count == 0 {
            return true;
        }
        if let Some(excuse) = excuse {
            say!("{excuse} all kinds of faults and promises: {count} of them did not occur");
            return true;
        }
        if !missing.is_empty() {
            say!("never occurred: {}", missing.join("; "));
        }
        if !silent.is_empty() {
            say!("never judged: {}", silent.join(", "));
        }
        say!("so many seeds must have seen each of these at least once: the swarm tests less than it says");
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_that_were_judged_out_of_turn_do_not_hide_one_that_was_not() {
        let mut judged = Judged::default();
        for (place, before) in [(1, 0), (3, 0), (0, 2), (4, 2), (2, 5)] {
            judged.add(place);
            assert_eq!(judged.before, before);
        }
    }
}
