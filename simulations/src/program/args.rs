//! What the program takes.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use headcount_simulations::plan::Plan;
use headcount_simulations::trial::Where;

/// How many nodes a cluster may have that is drawn.
const NODES: RangeInclusive<u64> = 2..=Plan::MOST_NODES as u64;

/// Simulated clusters, one per seed: plays them, judges them, replays and shrinks what fails
#[derive(Debug, Parser)]
#[command(name = "headcount-simulations", version, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) task: Task,
}

#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// Play one seed of a scenario
    Run(RunTask),
    /// Play many seeds
    Swarm(SwarmTask),
    /// Play a plan from a file, or a seed, once more and say all about it
    Replay(ReplayTask),
    /// Make a plan smaller that breaks a promise, and write it to a file
    Shrink(ShrinkTask),
    /// Play seeds twice, each time in a process of its own, and compare all that was delivered
    Meta(MetaTask),
    /// What clusters cost as they grow, and by which law
    Scale(ScaleTask),
    /// The scenarios
    List,
    /// Print the hash of all that is delivered in a seed's history
    #[command(hide = true)]
    Trace(Story),
}

impl Task {
    /// Whether a task is called by this name.
    pub(super) fn is_named(name: &str) -> bool {
        let arguments = Arguments::command();
        arguments.find_subcommand(name).is_some_and(|task| !task.is_hide_set())
    }
}

/// Which story.
#[derive(Debug, Clone, Args)]
pub(super) struct Story {
    /// What decides everything that is left to chance
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>(0..=u64::MAX))]
    pub(super) seed: u64,
    /// A scenario's name; `list` has them all [default: storm]
    #[arg(long)]
    pub(super) scenario: Option<String>,
    /// How many nodes, 2 or more (a plan's file may have 1, as shrunk ones do) [default: the scenario's]
    #[arg(long, value_parser = whole::<u32>(NODES))]
    pub(super) nodes: Option<u32>,
    /// How many minutes of virtual time things go wrong
    #[arg(long, default_value_t = 10, value_parser = whole::<u64>(1..=10_000))]
    pub(super) minutes: u64,
    /// Pure cores (fast), or whole nodes on a simulated network
    #[arg(long, value_enum, default_value_t = World::Core)]
    pub(super) world: World,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum World {
    Core,
    Full,
}

#[derive(Debug, Args)]
pub(super) struct RunTask {
    #[command(flatten)]
    pub(super) story: Story,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Output {
    /// Write a page about it to this file
    #[arg(long, value_name = "FILE.html")]
    pub(super) report: Option<PathBuf>,
    /// Write the plan to this file
    #[arg(long, value_name = "FILE.json")]
    pub(super) plan: Option<PathBuf>,
    /// Print what happens in the plan
    #[arg(long)]
    pub(super) print: bool,
    /// Print what clients were answered and heard, and when
    #[arg(long)]
    pub(super) answers: bool,
}

#[derive(Debug, Args)]
pub(super) struct SwarmTask {
    /// How many seeds
    #[arg(long, default_value_t = 1000, value_parser = whole::<u64>(1..=u64::MAX))]
    pub(super) seeds: u64,
    /// The first
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>(0..=u64::MAX))]
    pub(super) from: u64,
    /// Only this scenario [default: every other seed a storm, the rest in turns]
    #[arg(long)]
    pub(super) scenario: Option<String>,
    /// How many nodes [default: each scenario's]
    #[arg(long, value_parser = whole::<u32>(NODES))]
    pub(super) nodes: Option<u32>,
    /// Minutes of virtual time of each
    #[arg(long, default_value_t = 10, value_parser = whole::<u64>(1..=10_000))]
    pub(super) minutes: u64,
    /// Pure cores (fast), or whole nodes on a simulated network
    #[arg(long, value_enum, default_value_t = World::Core)]
    pub(super) world: World,
    /// How many at the same time [default: as many as there are cores]
    #[arg(long, value_parser = whole::<u16>(1..=1024))]
    pub(super) jobs: Option<u16>,
    /// End with the first seed that breaks a promise
    #[arg(long)]
    pub(super) until_broken: bool,
    /// Play the noted seeds that once found something, and nothing else
    #[arg(long, conflicts_with_all = ["seeds", "from", "scenario", "nodes", "minutes", "world"])]
    pub(super) regressions: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReplayTask {
    /// A plan; without it, the seed's
    #[arg(conflicts_with_all = ["seed", "scenario", "nodes", "minutes"])]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) story: Story,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct ShrinkTask {
    /// A plan; without it, the seed's
    #[arg(conflicts_with_all = ["seed", "scenario", "nodes", "minutes"])]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) story: Story,
    /// How many smaller plans are played at most
    #[arg(long, default_value_t = 400, value_parser = whole::<usize>(0..=u64::MAX))]
    pub(super) tries: usize,
    /// Where the smallest is written
    #[arg(long, value_name = "FILE.json", default_value = "shrunk.json")]
    pub(super) output: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct MetaTask {
    /// How many seeds of each scenario
    #[arg(long, default_value_t = 1, value_parser = whole::<u64>(1..=u64::MAX))]
    pub(super) seeds: u64,
    /// Only this scenario [default: all]
    #[arg(long)]
    pub(super) scenario: Option<String>,
    /// Minutes of virtual time of each
    #[arg(long, default_value_t = 1, value_parser = whole::<u64>(1..=10_000))]
    pub(super) minutes: u64,
    /// Only this world [default: both]
    #[arg(long, value_enum)]
    pub(super) world: Option<World>,
}

#[derive(Debug, Args)]
pub(super) struct ScaleTask {
    /// Numbers of nodes; computing grows faster than with their square
    #[arg(long, value_delimiter = ',', default_values_t = [10, 30, 100, 300], value_parser = whole::<u32>(NODES))]
    pub(super) nodes: Vec<u32>,
    /// Where the plots are written
    #[arg(long, value_name = "FILE.html", default_value = "scale.html")]
    pub(super) report: PathBuf,
}

/// Takes a whole number of this range, and says so of anything else.
fn whole<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match (range.start(), range.end()) {
            (least, &u64::MAX) => format!("a whole number is expected, {least} or more"),
            (least, most) => format!("a whole number is expected, from {least} to {most}"),
        })
    }
}

impl From<World> for Where {
    fn from(world: World) -> Self {
        match world {
            World::Core => Self::Core,
            World::Full => Self::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        for line in [
            "run --seed x",
            "run --nodes 1",
            "swarm --world moon",
            "run --minutes 0",
            "swarm --regressions --seeds 3",
            "swarm --seeds 0",
            "meta --seeds 0",
            "replay x.json --seed 9 --scenario flood --nodes 3",
            "replay x.json --minutes 10",
            "shrink x.json --seed 0",
            "fly",
        ] {
            let error = Arguments::try_parse_from(format!("x {line}").split(' ')).unwrap_err().to_string();
            assert!(error.starts_with("error:"), "{line}: {error}");
        }
    }

    #[test]
    fn who_gives_no_number_is_told_which_ones_there_are() {
        for (line, expected) in [
            ("swarm --seeds abc", "'abc' for '--seeds <SEEDS>': a whole number is expected, 1 or more"),
            ("swarm --seeds 0", "'0' for '--seeds <SEEDS>': a whole number is expected, 1 or more"),
            ("run --seed 1.5", "'1.5' for '--seed <SEED>': a whole number is expected, 0 or more"),
            ("run --nodes 1", "'1' for '--nodes <NODES>': a whole number is expected, from 2 to 2000"),
        ] {
            let error = Arguments::try_parse_from(format!("x {line}").split(' ')).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
