//! One plan, played once, and all that is to say about it.

use headcount_simulations::plan::Plan;
use headcount_simulations::report;
use headcount_simulations::trial::{Trial, Where};

use super::Failure;
use super::args::{Output, ReplayTask, RunTask};
use super::story::{check_writable, command_of, commit, save, write};

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
            println!("{}  {}", report::clock(step.at_ms), report::step_words(&step.event));
        }
    }
    if let Some(file) = &output.plan {
        save(plan, file)?;
    }
    let trial = Trial::of(plan, world);
    for verdict in &trial.verdicts {
        let outcome = if verdict.is_kept() { "kept" } else { "BROKEN" };
        println!("{:<9} {outcome:<7} {:>9} judged  {}", verdict.promise, verdict.judged, verdict.words);
    }
    println!("trace {:016x}", trial.trace_hash());
    if !trial.is_good() {
        println!("\n{}", failure(&trial, command));
    }
    if let Some(file) = &output.report {
        write(file, &report::html(&trial, command, &commit()))?;
        println!("report: {}", file.display());
    }
    Ok(trial.is_good())
}

/// Breaches of a promise that are told; a report has all.
const MOST_BREACHES: usize = 5;

/// What was broken, where, and how to see it again.
pub(super) fn failure(trial: &Trial, command: &str) -> String {
    let plan = &trial.plan;
    let mut lines = vec![format!("{} seed {} broke a promise (commit {}):", plan.scenario, plan.seed, commit())];
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
