//! The program as its user meets it: a process with flags, words and an exit code.

#![allow(clippy::unwrap_used)] // All of this is test code.

use std::io;
use std::process::{Command, Output};

fn program(line: &str) -> Output {
    let words = line.split(' ').filter(|word| !word.is_empty());
    Command::new(env!("CARGO_BIN_EXE_headcount-simulations")).args(words).output().unwrap()
}

fn gives_one_history(line: &str, times: usize) {
    let output = program(line);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.ends_with(" twice")).count(), times, "{said}");
}

#[test]
fn every_scenario_is_one_history_in_the_world_of_cores_in_any_process_and_surroundings() {
    gives_one_history("meta --world core", headcount_simulations::scenarios::ALL.len());
}

#[test]
fn a_storm_is_one_history_in_the_world_of_whole_nodes_in_any_process_and_surroundings() {
    gives_one_history("meta --world full --scenario storm --seeds 2", 2);
}

#[test]
fn who_asks_for_what_makes_no_sense_is_told_what_does() {
    let no_plan = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (line, told) in [
        ("run --scenario split-brian", "did you mean \"split-brain\"?"),
        ("swarm --scenario zzz", "There are storm, "),
        ("run --seed minus", "invalid value 'minus' for '--seed"),
        ("run --report /nowhere/at/all.html", "/nowhere/at/all.html cannot be written"),
        (&format!("replay {no_plan}"), "`run --plan FILE.json` and `shrink` write plans"),
        ("replay /nowhere/plan.json", "/nowhere/plan.json cannot be read"),
        ("shrink --seed 1 --minutes 1 --output /nowhere/x.json", "breaks no promise"),
        ("run --world full --nodes 50", "the full world takes at most 20 nodes"),
    ] {
        let output = program(line);
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {words}");
        assert!(words.contains(told), "{line}: {words}");
    }
}

#[test]
fn whose_words_nobody_reads_ends_quietly_and_says_nothing_of_promises() {
    for line in ["list", "replay --minutes 1 --nodes 3 --answers", "swarm --seeds 1 --minutes 1 --nodes 3 --jobs 1"] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_headcount-simulations"));
        let output = command.args(line.split(' ')).stdout(writer).output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), words.as_str()), (Some(141), ""), "{line}");
    }
}
