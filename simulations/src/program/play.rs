//! One plan, played once, and all that is to say about it.

use headcount_simulations::checkers::Verdict;
use headcount_simulations::plan::Plan;
use headcount_simulations::report;
use headcount_simulations::trial::{Trial, Where};

use super::Failure;
use super::args::{Output, ReplayTask, RunTask};
use super::stdout::say;
use super::story::{COMMIT, check_writable, command_of, save, write};

pub(super) fn run(task: &RunTask) -> Result<bool, Failure> {
    let plan = task.story.plan()?;
    let world = task.story.world.into();
    let command = command_of(&plan, task.story.minutes, world);
    play(&plan, world, &command, &task.output)
}

pub(super) fn replay(task: &ReplayTask) -> Result<bool, Failure> {
    let (plan, command) = task.story.plan_or(task.file.as_deref())?;
    play(&plan, task.story.world.into(), &command, &task.output)
}

fn play(plan: &Plan, world: Where, command: &str, output: &Output) -> Result<bool, Failure> {
    output.report.as_deref().map_or(Ok(()), check_writable)?;
    if output.print {
        for step in &plan.steps {
            say!("{}  {}", report::clock(step.at_ms), report::step_words(&step.event));
        }
    }
    if let Some(file) = &output.plan {
        save(plan, file)?;
    }
    let trial = Trial::of(plan, world);
    if output.answers {
        answers(&trial);
    }
    for verdict in &trial.verdicts {
        say!("{:<9} {:<24}  {}", verdict.promise, outcome(verdict), verdict.words);
    }
    say!("trace {:016x}", trial.trace_hash());
    if !trial.is_good() {
        say!("\n{}", failure(&trial, command));
    }
    if let Some(file) = &output.report {
        write(file, &report::html(&trial, command, COMMIT))?;
        say!("report: {}", file.display());
    }
    Ok(trial.is_good())
}

/// How a promise fared. One of which nothing was judged was not kept either.
fn outcome(verdict: &Verdict) -> String {
    match (verdict.is_kept(), verdict.judged) {
        (true, 0) => "not put to the test".to_owned(),
        (true, judged) => format!("kept    {judged:>9} judged"),
        (false, judged) => format!("BROKEN  {judged:>9} judged"),
    }
}

/// What clients asked and were answered, and what they heard, in the order of the answers.
fn answers(trial: &Trial) {
    let Some(history) = &trial.history else { return };
    let asked = history.asked.iter().map(|asked| {
        let (at, words) = report::answer_words(asked);
        (at, format!("n{} client {} at {}: {words}", asked.node, asked.client, report::clock(asked.at)))
    });
    let heard = history.heard.iter().map(|heard| {
        (heard.at, format!("n{} client {} hears on {}: {:?}", heard.node, heard.client, heard.topic, heard.event))
    });
    let mut lines: Vec<(u64, String)> = asked.chain(heard).collect();
    lines.sort_by_key(|(at, _)| *at);
    for (at, words) in lines {
        say!("{}  {}", report::clock(at), report::shortened(&words));
    }
}

/// Breaches of a promise that are told; a report has all.
const MOST_BREACHES: usize = 5;

/// What was broken, where, and how to see it again.
pub(super) fn failure(trial: &Trial, command: &str) -> String {
    let plan = &trial.plan;
    let mut lines = vec![format!("{} seed {} broke a promise (commit {COMMIT}):", plan.scenario, plan.seed)];
    for verdict in trial.broken() {
        lines.push(format!("  {}: {}", verdict.promise, verdict.words));
        for breach in verdict.broken.iter().take(MOST_BREACHES) {
            lines.push(format!("    {}  {}", report::clock(breach.at), breach.words));
        }
        if verdict.broken.len() > MOST_BREACHES {
            lines.push(format!("    and {} more", verdict.broken.len() - MOST_BREACHES));
        }
    }
    lines.push(format!("  see it again: {command}"));
    lines.join("\n")
}
