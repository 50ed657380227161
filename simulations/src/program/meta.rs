//! Whether a seed means one history: the same in any process.

use std::process::Command;

use headcount_simulations::trial::{Trial, Where};

use super::Failure;
use super::args::{MetaTask, Story};

pub(super) fn run(task: &MetaTask) -> Result<bool, Failure> {
    let mut good = true;
    for world in [Where::Core, Where::Full] {
        for seed in 0..task.seeds {
            let (first, second) = (in_a_process(seed, task.minutes, world)?, in_a_process(seed, task.minutes, world)?);
            let same = first == second;
            println!("{world} seed {seed}: {first} {}", if same { "twice" } else { "and then another" });
            if !same {
                println!("  second time: {second}");
            }
            good &= same;
        }
    }
    println!("{}", if good { "each seed gave one history" } else { "a seed gave two histories" });
    Ok(good)
}

/// What another process of this program says of a seed.
fn in_a_process(seed: u64, minutes: u64, world: Where) -> Result<String, Failure> {
    let program = std::env::current_exe().map_err(|error| format!("this program does not find itself: {error}"))?;
    let arguments =
        ["trace", "--seed", &seed.to_string(), "--minutes", &minutes.to_string(), "--world", &world.to_string()];
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("no other process can be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("seed {seed} in the {world} world: {}", String::from_utf8_lossy(&output.stderr).trim()));
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
    println!("{:016x} {} frames {} datagrams", trial.trace_hash(), carried.frames, carried.datagrams);
    Ok(true)
}
