//! Notes the commit that the program is built of, so that whoever is told of a broken promise knows what to check out, wherever the program
//! was copied to. `HEADCOUNT_COMMIT` of the environment goes before what git says, for trees that are built without their history.

use std::path::Path;
use std::process::Command;

/// What the program is made of, from this folder.
const SOURCES: [&str; 6] = ["../Cargo.lock", "../Cargo.toml", "../cluster", "../presence-actor", "../runtime", "."];

fn main() {
    println!("cargo:rerun-if-env-changed=HEADCOUNT_COMMIT");
    let told = std::env::var("HEADCOUNT_COMMIT").ok().filter(|commit| !commit.is_empty());
    println!("cargo:rustc-env=HEADCOUNT_COMMIT={}", told.or_else(commit).unwrap_or_else(|| "unknown".to_owned()));
    // Where git says what is checked out, and all that may differ from it.
    let of_git = ["HEAD", "logs/HEAD", "index"].into_iter().filter_map(|file| git(&["rev-parse", "--git-path", file]));
    for path in of_git.chain(SOURCES.map(str::to_owned)).filter(|path| Path::new(path).exists()) {
        println!("cargo:rerun-if-changed={path}");
    }
}

/// The commit, and whether the sources are something else by now.
fn commit() -> Option<String> {
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(SOURCES);
    let is_changed = !git(&status)?.is_empty();
    Some(if is_changed { format!("{commit}, with changes that are not committed") } else { commit })
}

/// What git answers, when there is one and this is a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
