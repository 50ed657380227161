//! Whether a seed means one history: the same in any process, wherever and with whatever around it the process runs.
//!
//! Each history is played by two processes. The second has none of the first one's environment variables, others instead, and another
//! directory; hashes and addresses differ between processes anyway.

use std::process::Command;

use headcount_simulations::scenarios;
use headcount_simulations::trial::{Trial, Where};

use super::Failure;
use super::args::{MetaTask, Story, World};
use super::stdout::say;
use super::story::scenario;

pub(super) fn run(task: &MetaTask) -> Result<bool, Failure> {
    let only = task.scenario.as_deref().map(scenario).transpose()?;
    let worlds = task.world.map_or_else(|| vec![World::Core, World::Full], |world| vec![world]);
    let mut good = true;
    for world in worlds.into_iter().map(Where::from) {
        for scenario in scenarios::ALL.iter().filter(|one| only.is_none_or(|only| only.name == one.name)) {
            for seed in 0..task.seeds {
                good &= compare(scenario.name, seed, task.minutes, world)?;
            }
        }
    }
    say!("{}", if good { "each seed gave one history" } else { "a seed gave two histories" });
    Ok(good)
}

/// Plays a seed twice. Returns whether it was the same.
fn compare(scenario: &str, seed: u64, minutes: u64, world: Where) -> Result<bool, Failure> {
    let mut first = trace_command(scenario, seed, minutes, world)?;
    let mut second = trace_command(scenario, seed, minutes, world)?;
    second.env_clear().env("LANG", "tlh").env("TZ", "Asia/Kathmandu").env("RUST_LOG", "trace");
    second.current_dir(std::env::temp_dir());
    let (first, second) = (said(&mut first)?, said(&mut second)?);
    let same = first == second;
    say!("{world} {scenario} seed {seed}: {first} {}", if same { "twice" } else { "and then another" });
    if !same {
        say!("  second time: {second}");
    }
    Ok(same)
}

/// Another process of this program that plays a seed.
fn trace_command(scenario: &str, seed: u64, minutes: u64, world: Where) -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(|error| format!("this program does not find itself: {error}"))?;
    let (seed, minutes, world) = (seed.to_string(), minutes.to_string(), world.to_string());
    let mut command = Command::new(program);
    command.args(["trace", "--scenario", scenario, "--seed", &seed, "--minutes", &minutes, "--world", &world]);
    Ok(command)
}

/// What a process says.
fn said(command: &mut Command) -> Result<String, Failure> {
    let output = command.output().map_err(|error| format!("no other process can be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The trace's hash and how much there was of it. Broken promises are no matter here; a panic is.
pub(super) fn print_trace(story: &Story) -> Result<bool, Failure> {
    let trial = Trial::of(&story.plan()?, story.world.into());
    let Some(history) = &trial.history else {
        let words = trial.broken().flat_map(|verdict| &verdict.broken).map(|breach| breach.words.as_str());
        return Err(words.collect::<Vec<_>>().join("; "));
    };
    let carried = &history.carried;
    say!("{:016x} {} frames {} datagrams", trial.trace_hash(), carried.frames, carried.datagrams);
    Ok(true)
}
