//! Which plan is meant, and the command that names it.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use headcount_simulations::plan::Plan;
use headcount_simulations::scenarios::{self, Scenario};
use headcount_simulations::trial::Where;
use serde_json::error::Category;
use strsim::jaro_winkler;

use super::Failure;
use super::args::{Story, Task};

/// From where on a name is taken for another one's misspelling; equal ones are 1.
const ALIKE: f64 = 0.75;

/// Whole nodes cost the square of their number.
const MOST_FULL_NODES: usize = 20;

impl Story {
    /// The plan of a seed.
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        let scenario = scenario(self.scenario.as_deref().unwrap_or("storm"))?;
        let nodes = self.nodes.map_or(scenario.nodes, |nodes| nodes as usize);
        check_nodes(nodes, self.world.into())?;
        Ok(scenario.plan(self.seed, nodes, Duration::from_mins(self.minutes)))
    }

    /// The plan of a file, or else of the seed, and the command that replays it.
    pub(super) fn plan_or(&self, file: Option<&Path>) -> Result<(Plan, String), Failure> {
        let Some(file) = file else {
            let plan = self.plan()?;
            let command = command_of(&plan, self.minutes, self.world.into());
            return Ok((plan, command));
        };
        let plan = read(file)?;
        check_nodes(plan.nodes, self.world.into())?;
        Ok((plan, format!("{} replay {} --world {}", program(), file.display(), Where::from(self.world))))
    }
}

/// The plan in a file, one that can be played.
fn read(file: &Path) -> Result<Plan, Failure> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| {
        let what = match error.classify() {
            Category::Data => "no plan",
            Category::Syntax | Category::Eof | Category::Io => "not JSON",
        };
        format!("{shown} is {what}: {error}; `run --plan FILE.json` and `shrink` write plans")
    })?;
    let sound = scenario(&plan.scenario).and_then(|_| plan.check());
    sound.map_err(|reason| format!("{shown} is no plan: {reason}"))?;
    Ok(plan)
}

/// Why there is no plan in a file. Who gives a number means a seed.
fn unreadable(file: &Path, error: &io::Error) -> Failure {
    let shown = file.display();
    match file.to_str().and_then(|name| name.parse::<u64>().ok()) {
        Some(seed) => {
            format!("{shown} cannot be read: {error}; a plan's file is expected here, and a seed as `--seed {seed}`")
        }
        None => format!("{shown} cannot be read: {error}"),
    }
}

/// The scenario of this name.
pub(super) fn scenario(name: &str) -> Result<&'static Scenario, Failure> {
    scenarios::by_name(name).ok_or_else(|| {
        if Task::is_named(name) {
            return format!("there is no scenario {name:?}; that is a command of its own: {} {name}", program());
        }
        let names: Vec<&str> = scenarios::ALL.iter().map(|scenario| scenario.name).collect();
        let nearest = names.iter().max_by(|a, b| jaro_winkler(name, a).total_cmp(&jaro_winkler(name, b)));
        let nearest = nearest.filter(|nearest| jaro_winkler(name, nearest) > ALIKE);
        let meant = nearest.map_or_else(|| ".".to_owned(), |nearest| format!("; did you mean {nearest:?}?"));
        format!("there is no scenario {name:?}{meant} There are {}", names.join(", "))
    })
}

pub(super) fn check_nodes(nodes: usize, world: Where) -> Result<(), Failure> {
    match world {
        Where::Full if nodes > MOST_FULL_NODES => Err(format!(
            "the full world takes at most {MOST_FULL_NODES} nodes, not {nodes}; use fewer with --nodes, or --world core"
        )),
        Where::Full | Where::Core => Ok(()),
    }
}

/// The command that replays a seed's plan.
pub(super) fn command_of(plan: &Plan, minutes: u64, world: Where) -> String {
    let Plan { scenario, seed, nodes, .. } = plan;
    let program = program();
    format!("{program} replay --scenario {scenario} --seed {seed} --nodes {nodes} --minutes {minutes} --world {world}")
}

/// How this program was called, so that a command can be copied.
pub(super) fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "headcount-simulations".to_owned())
}

/// The commit that the program was built of, as `build.rs` found it.
pub(super) const COMMIT: &str = env!("HEADCOUNT_COMMIT");

/// Writes a plan to a file.
pub(super) fn save(plan: &Plan, file: &Path) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(plan).map_err(|error| format!("the plan cannot be written down: {error}"))?;
    write(file, &text)
}

/// Says whether a file can be written, before much is done for what goes into it. What is in it stays.
pub(super) fn check_writable(file: &Path) -> Result<(), Failure> {
    let opened = fs::OpenOptions::new().append(true).create(true).open(file);
    opened.map(drop).map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

/// Writes a file.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text).map_err(|error| format!("{} cannot be written: {error}", file.display()))
}
