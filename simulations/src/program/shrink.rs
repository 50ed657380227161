//! Makes a plan smaller that breaks a promise.

use headcount_simulations::plan::Plan;
use headcount_simulations::report;
use headcount_simulations::shrinking;
use headcount_simulations::trial::{Trial, Where};
use indicatif::ProgressBar;

use super::Failure;
use super::args::ShrinkTask;
use super::stdout::say;
use super::story::{check_writable, program, save};

pub(super) fn run(task: &ShrinkTask) -> Result<bool, Failure> {
    let (plan, _) = task.story.plan_or(task.file.as_deref())?;
    let world: Where = task.story.world.into();
    let Some(promise) = Trial::of(&plan, world).broken().map(|verdict| verdict.promise).next() else {
        return Err("the plan breaks no promise, so there is nothing to shrink".to_owned());
    };
    check_writable(&task.output)?;
    say!("{promise} is broken by {}", size(&plan));
    let bar = ProgressBar::new(task.tries as u64);
    let small = shrinking::shrink(&plan, task.tries, &mut |candidate: &Plan| {
        bar.inc(1);
        Trial::of(candidate, world).breaks(promise)
    });
    bar.finish_and_clear();
    save(&small, &task.output)?;
    say!("and still by {}", size(&small));
    for step in &small.steps {
        say!("  {}  {}", report::clock(step.at_ms), report::step_words(&step.event));
    }
    say!("see it again: {} replay {} --world {world}", program(), task.output.display());
    Ok(true)
}

fn size(plan: &Plan) -> String {
    format!("{} nodes, {} steps, {}", plan.nodes, plan.steps.len(), report::clock(plan.storm_ms))
}
