//! The demo, as it is seen without a terminal.
//!
//! Its own checks are the test: it exits with 0 only when every one held. Here it is made sure that it tells so, and that
//! it does not depend on anybody reading it.

use std::process::Stdio;

use crate::process::program;

#[test]
fn the_demo_tells_its_story_in_plain_lines_and_all_its_checks_hold() {
    let output = program().args(["demo", "--nodes", "3", "--seconds", "4"]).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{failed}");
    for part in ["c is killed without goodbye", "have vanished from every other node", "c is back", "every check held"]
    {
        assert!(told.contains(part), "{part:?} is missing in\n{told}");
    }
    assert!(!told.contains('\u{1b}'), "no control sequences without a terminal:\n{told}");
    assert_eq!(failed, "");
}

#[test]
fn a_demo_whose_reader_goes_away_still_ends_by_itself() {
    let mut command = program();
    command.args(["demo", "--nodes", "2", "--seconds", "4"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
