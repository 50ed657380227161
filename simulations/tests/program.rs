//! The program as its user meets it: a process with flags, words and an exit code.

#![allow(clippy::disallowed_methods)] // it waits for real processes, in real time
#![allow(clippy::unwrap_used)] // All of this is test code.

use std::fs;
use std::io;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

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
        ("run --scenario meta", "there is no scenario \"meta\"; that is a command of its own: "),
        ("run --seed minus", "invalid value 'minus' for '--seed"),
        ("run --report /nowhere/at/all.html", "/nowhere/at/all.html cannot be written"),
        (&format!("replay {no_plan}"), "Cargo.toml is not JSON: expected value at line 1 column 2"),
        (&format!("replay {no_plan}"), "`run --plan FILE.json` and `shrink` write plans"),
        (&format!("replay {no_plan} --seed 9"), "cannot be used with"),
        (&format!("shrink {no_plan} --nodes 3"), "cannot be used with"),
        ("replay /nowhere/plan.json", "/nowhere/plan.json cannot be read"),
        (
            "replay 7",
            "7 cannot be read: No such file or directory (os error 2); a plan's file is expected here, and a seed as `--seed 7`",
        ),
        ("swarm --seeds 0", "'0' for '--seeds <SEEDS>': a whole number is expected, 1 or more"),
        ("shrink --seed 1 --minutes 1 --output /nowhere/x.json", "breaks no promise"),
        ("run --world full --nodes 50", "the full world takes at most 20 nodes"),
    ] {
        let output = program(line);
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {words}");
        assert!(words.contains(told), "{line}: {words}");
    }
}

/// Found by a new user's review: each was played as if it made sense, and some were called broken promises.
#[test]
fn a_plan_that_cannot_be_played_is_refused_with_the_reason() {
    let written = concat!(env!("CARGO_TARGET_TMPDIR"), "/sound.json");
    let changed = concat!(env!("CARGO_TARGET_TMPDIR"), "/unsound.json");
    assert!(program(&format!("run --seed 1 --nodes 3 --minutes 1 --plan {written}")).status.success());
    assert!(program(&format!("replay {written}")).status.success());
    let plan: Value = serde_json::from_str(&fs::read_to_string(written).unwrap()).unwrap();
    for (field, value, told) in [
        ("/nodes", json!(0), "a plan of 0 nodes tests nothing; its `nodes` has to be 1 or more"),
        ("/nodes", json!(1), "there is no node "),
        ("/nodes", json!("three"), "is no plan: invalid type"),
        ("/scenario", json!("strom"), "there is no scenario \"strom\"; did you mean \"storm\"?"),
        ("/settings/gossip_ms", json!(0), "its `gossip_ms` is 0"),
        ("/settings/max_memory_bytes", json!(0), "no node takes its settings"),
        ("/settings/latency_ms", json!([10, 1]), "upside down"),
        ("/steps/0/at_ms", json!(59_999), "step 2 of "),
    ] {
        let mut plan = plan.clone();
        *plan.pointer_mut(field).unwrap() = value;
        fs::write(changed, plan.to_string()).unwrap();
        for line in [format!("replay {changed}"), format!("shrink {changed}")] {
            let output = program(&line);
            let words = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{line}: {words}");
            assert!(words.contains("unsound.json is no plan: ") && words.contains(told), "{field}: {words}");
        }
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

#[test]
fn a_promise_of_which_nothing_was_judged_is_not_called_kept() {
    let output = program("run --scenario storm --seed 1 --minutes 1");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("not put to the test"), "{said}");
    assert!(!said.contains(" 0 judged"), "{said}");
}

/// Found by a new user's review: the last lines of a good short swarm were twenty things that never occurred.
#[test]
fn a_short_swarm_says_in_a_line_that_it_is_short_and_each_promise_in_words() {
    for (line, told) in [
        ("swarm --seeds 2 --nodes 3", "2 seeds are too few for all kinds of faults and promises: "),
        ("swarm --seeds 1 --scenario flood", "one scenario has not all kinds of faults and promises: "),
    ] {
        let output = program(&format!("{line} --minutes 1 --jobs 1"));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.lines().last().unwrap().starts_with(told) && !said.contains("\nnever "), "{said}");
        let run = String::from_utf8(program("run --nodes 3 --minutes 1").stdout).unwrap();
        let words = run.lines().next().unwrap().rsplit("  ").next().unwrap();
        assert!(said.lines().any(|line| line.contains("  G1 ") && line.ends_with(words)), "{words}: {said}");
    }
}

/// Found by an operator's review: it ended as what makes no sense does, and did not say where to go on.
#[test]
fn a_swarm_that_ctrl_c_ends_says_with_which_seed_to_go_on() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headcount-simulations"));
    command.args(["swarm", "--from", "100", "--seeds", "1000000", "--nodes", "3", "--minutes", "1", "--jobs", "1"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !catches_interrupts(child.id()) {
        assert!(begun.elapsed() < Duration::from_secs(40), "it never listens for Ctrl-C");
        thread::sleep(Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let told = said.lines().last().unwrap();
    let judged: u64 = told.strip_prefix("interrupted: ").unwrap().split(' ').next().unwrap().parse().unwrap();
    let (from, rest) = (100 + judged, 1_000_000 - judged);
    assert!(told.contains(&format!("go on with --from {from}: ")), "{told}");
    assert!(
        told.ends_with(&format!("swarm --from {from} --seeds {rest} --minutes 1 --world core --nodes 3 --jobs 1")),
        "{told}"
    );
}

/// Whether a process has said that it takes the signal of Ctrl-C.
fn catches_interrupts(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (2 - 1)) != 0
}
