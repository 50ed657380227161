//! One page about one history: what was played, what the checkers say, when what happened.
//!
//! The page is one file that needs nothing else: no script, no font, no picture from elsewhere, so that it can be mailed, kept as an artifact
//! of a build and opened years later. It follows the reader's light or dark, and a phone's width. Everything that comes from a history is
//! escaped on its way in: `Page` takes text, and only this folder writes markup.

mod charts;
mod page;
mod timeline;

use std::fmt::Write as _;

use page::{Page, escape};

use crate::history::{Asked, History};
use crate::plan::Event;
use crate::sometimes;
use crate::trial::Trial;

/// How much around a breach is listed, in milliseconds before and after it.
const NEAR_MS: (u64, u64) = (15_000, 3_000);
/// Lines that are listed at most.
const MOST_LINES: usize = 400;

/// The page about a trial. `command` replays it, `commit` says of which code it is.
pub fn html(trial: &Trial, command: &str, commit: &str) -> String {
    let plan = &trial.plan;
    let mut page = Page::new(&format!("{} · seed {}", plan.scenario, plan.seed));
    page.verdict(trial.is_good());
    page.facts(&[
        ("world", trial.world.to_string()),
        ("nodes", plan.nodes.to_string()),
        ("length", format!("{} + {} of calm", clock(plan.storm_ms), clock(plan.calm_ms))),
        ("steps", plan.steps.len().to_string()),
        ("trace", format!("{:016x}", trial.trace_hash())),
        ("commit", commit.to_owned()),
    ]);
    page.code(command);
    verdicts(&mut page, trial);
    if let Some(history) = &trial.history {
        page.section("Nodes and faults", &timeline::svg(history));
        page.section("Convergence", &charts::convergence(history));
        page.section("Owned rows that each node shows", &charts::owned_rows(history));
        page.section("Bytes between nodes", &charts::bytes(history));
        occurrences(&mut page, history);
    }
    near_breaches(&mut page, trial);
    settings(&mut page, trial);
    page.finish()
}

fn verdicts(page: &mut Page, trial: &Trial) {
    let rows = trial.verdicts.iter().map(|verdict| {
        let outcome = match (verdict.broken.len(), verdict.judged) {
            (0, 0) => "not put to the test".to_owned(),
            (0, _) => "kept".to_owned(),
            (times, _) => format!("broken {times} times"),
        };
        vec![verdict.promise.to_owned(), verdict.words.to_owned(), verdict.judged.to_string(), outcome]
    });
    page.table("Promises", &["", "promise", "judged", "verdict"], rows);
    let lines = trial.broken().flat_map(|verdict| {
        let line =
            |breach: &crate::checkers::Breach| format!("{}  {}: {}", clock(breach.at), verdict.promise, breach.words);
        verdict.broken.iter().take(MOST_LINES).map(line)
    });
    page.lines("Breaches", lines);
}

fn occurrences(page: &mut Page, history: &History) {
    let rows =
        sometimes::in_history(history).into_iter().map(|(what, count)| vec![what.to_string(), count.to_string()]);
    page.table("What occurred", &["", "times"], rows);
}

/// What happened around the first breach; without one, nothing is listed.
fn near_breaches(page: &mut Page, trial: &Trial) {
    let Some(at) = trial.broken().flat_map(|verdict| &verdict.broken).map(|breach| breach.at).min() else { return };
    let (from, until) = (at.saturating_sub(NEAR_MS.0), at + NEAR_MS.1);
    let mut lines = Vec::new();
    for step in trial.plan.steps.iter().filter(|step| (from..=until).contains(&step.at_ms)) {
        lines.push((step.at_ms, step_words(&step.event)));
    }
    if let Some(history) = &trial.history {
        for asked in &history.asked {
            let (at, words) = answer_words(asked);
            if (from..=until).contains(&at) {
                lines.push((at, format!("n{} answers client {}: {words}", asked.node, asked.client)));
            }
        }
        for heard in history.heard.iter().filter(|heard| (from..=until).contains(&heard.at)) {
            lines.push((heard.at, format!("client {} hears on n{}: {:?}", heard.client, heard.node, heard.event)));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let lines = lines.into_iter().take(MOST_LINES).map(|(at, words)| format!("{}  {}", clock(at), shortened(&words)));
    page.lines(&format!("Around {}", clock(at)), lines);
}

fn settings(page: &mut Page, trial: &Trial) {
    let settings = format!("{:#?}", trial.plan.settings);
    page.lines("Settings", settings.lines().map(str::to_owned));
}

/// What was asked and what came of it, and when that was known.
pub fn answer_words(asked: &Asked) -> (u64, String) {
    let (at, outcome) = match (&asked.answer, asked.given_up, asked.process) {
        (Some((at, Ok(reply))), ..) => (*at, format!("{reply:?}")),
        (Some((at, Err(error))), ..) => (*at, error.to_string()),
        (None, Some(at), _) => (at, "given up".to_owned()),
        (None, None, Some(_)) => (asked.at, "never answered".to_owned()),
        (None, None, None) => (asked.at, "nobody was there".to_owned()),
    };
    (at, format!("{} -> {outcome}", asked.ask))
}

/// A step in words.
pub fn step_words(event: &Event) -> String {
    match event {
        Event::Fault(fault) => fault.to_string(),
        Event::Ask { client, node, ask } => format!("client {client} asks n{node}: {ask}"),
    }
}

/// Commands that fill a room are pages long.
/// The beginning of what is too long to be read.
pub fn shortened(words: &str) -> String {
    const MOST_CHARS: usize = 240;
    if words.chars().count() <= MOST_CHARS {
        return words.to_owned();
    }
    words.chars().take(MOST_CHARS).chain("..".chars()).collect()
}

/// Minutes, seconds and milliseconds.
pub fn clock(ms: u64) -> String {
    format!("{:02}:{:02}.{:03}", ms / 60_000, ms / 1000 % 60, ms % 1000)
}

/// The page with a plot of how something grows with the number of nodes; `series` are named, each a list of (nodes, value).
pub fn growth(title: &str, notes: &[String], series: &[(&str, Vec<(f64, f64)>)]) -> String {
    let mut page = Page::new(title);
    for (name, points) in series {
        page.section(name, &charts::growth(points));
    }
    page.lines("In words", notes.iter().cloned());
    page.finish()
}

/// A figure's beginning; whoever calls closes it.
fn open_svg(width: f64, height: f64, label: &str) -> String {
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{}\" preserveAspectRatio=\"none\">",
        escape(label)
    );
    svg
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use headcount::{Origin, Stats};

    use super::*;
    use crate::checkers::{Breach, Verdict};
    use crate::history::{End, Keys, Process, Sample, Seen};
    use crate::plan::{FaultKind, Plan};
    use crate::scenarios;
    use crate::stage::Carried;
    use crate::trial::Where;

    fn trial(words: &str) -> Trial {
        let plan = scenarios::by_name("storm").unwrap().plan(1, 3, Duration::from_mins(1));
        let broken = vec![Breach { at: 20_000, words: words.to_owned() }];
        let verdicts = vec![
            Verdict { promise: "G1", words: "all agree", judged: 3, broken },
            Verdict { promise: "G2", words: "no orphan", judged: 0, broken: Vec::new() },
        ];
        Trial { plan, world: Where::Core, history: None, verdicts }
    }

    #[test]
    fn a_page_names_what_was_broken_and_how_to_see_it_again() {
        let page = html(&trial("n1 differs from n2"), "replay --seed 1", "abc");
        for part in
            ["G1", "n1 differs from n2", "00:20.000", "replay --seed 1", "not put to the test", "broken 1 times"]
        {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn what_comes_from_a_history_is_never_markup() {
        let page = html(&trial("<script>alert(1)</script> & \"quotes\""), "<b>", "'");
        assert!(!page.contains("<script>") && !page.contains("<b>"));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot;"));
    }

    /// Two nodes, one of which dies, and that once differed.
    fn history(plan: Plan) -> History {
        let origin = |node: usize| Origin(node as u64);
        let seen = |node: usize, digest| Seen {
            origin: origin(node),
            ready: true,
            paused: false,
            loading: false,
            members: BTreeMap::new(),
            suspicions: 0,
            linked: Vec::new(),
            digest,
            changes: 0,
            vector: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            held: false,
            expects_strangers: false,
            authors: BTreeSet::new(),
            stats: Stats::default(),
            dropped_for: BTreeMap::new(),
            dropped_of: BTreeMap::new(),
            keys: Keys::default(),
            topics: Vec::new(),
        };
        let carried = |bytes| Carried { frames: 1, frame_bytes: bytes, ..Carried::default() };
        let samples = [(0, 1, 1), (1_000, 1, 2), (2_000, 2, 2)];
        let sample = |(at, one, other)| Sample {
            at,
            nodes: vec![Some(seen(0, one)), Some(seen(1, other)), None],
            carried: carried(at),
            broken_snapshots: 0,
        };
        let processes = (0..2).map(|node| Process {
            node,
            origin: origin(node),
            from: 0,
            until: (node == 1).then_some((1_500, End::Died)),
        });
        History {
            plan,
            asked: Vec::new(),
            heard: Vec::new(),
            copied: Vec::new(),
            processes: processes.collect(),
            readied: Vec::new(),
            samples: samples.map(sample).to_vec(),
            calm_at: 60_000,
            occurred: [(FaultKind::Crash, 1), (FaultKind::Cut, 4646), (FaultKind::Mend, 100)].into(),
            carried: carried(2_000),
            trace_hash: 1,
        }
    }

    #[test]
    fn a_page_shows_who_ran_until_when_and_how_long_nodes_differed() {
        let mut trial = trial("x");
        trial.history = Some(history(trial.plan.clone()));
        let page = html(&trial, "c", "c");
        for part in [
            "n1 00:00.000 to 00:01.500: died",
            "did something: crash 1, mend 100<",
            "met a fault: cut 4646<",
            "seconds since all agreed",
            "In all 1 frames (2000 bytes)",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let page = html(&trial("x"), "c", "c");
        assert!(
            !page.contains("http://")
                && !page.contains("https://")
                && !page.contains("src=")
                && !page.contains("@import")
        );
    }
}
