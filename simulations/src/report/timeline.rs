//! When each node ran, stood still and was down, and when what went wrong.

use std::fmt::Write as _;

use super::page::escape;
use super::{clock, open_svg};
use crate::history::{End, History};
use crate::plan::FaultKind;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 40.0;
const LANE: f64 = 22.0;
/// Faults of links that a picture can show.
const MOST_MARKS: usize = 4_000;

/// The figure and its legend.
pub(super) fn svg(history: &History) -> String {
    let plan = &history.plan;
    let end = (plan.storm_ms + plan.calm_ms).max(1);
    let x = |at: u64| LEFT + (WIDTH - LEFT - 10.0) * (at.min(end) as f64 / end as f64);
    let lane = |node: usize| 8.0 + LANE * node as f64;
    let bottom = lane(plan.nodes);
    let mut svg = open_svg(WIDTH, bottom + 40.0, "nodes over time");
    // Writing to a string cannot fail.
    let mut put = |text: String| svg.push_str(&text);
    put(format!(
        "<rect x=\"{:.1}\" y=\"0\" width=\"{:.1}\" height=\"{bottom:.1}\" fill=\"var(--line)\" opacity=\".4\"><title>calm</title></rect>",
        x(history.calm_at),
        x(end) - x(history.calm_at)
    ));
    for node in 0..plan.nodes {
        put(format!("<text x=\"4\" y=\"{:.1}\">n{node}</text>", lane(node) + 13.0));
    }
    for process in &history.processes {
        let until = process.until.map_or(end, |(at, _)| at);
        let ended = match process.until {
            None => "ran to the end",
            Some((_, End::Died)) => "died",
            Some((_, End::Left)) => "left",
            Some((_, End::Reincarnated)) => "went on under another incarnation",
        };
        put(bar(
            x(process.from),
            x(until),
            lane(process.node),
            LANE - 8.0,
            "--up",
            &format!("n{} {} to {}: {ended}", process.node, clock(process.from), clock(until)),
        ));
    }
    for (node, from, until) in pauses(history, end) {
        put(bar(
            x(from),
            x(until),
            lane(node),
            LANE - 8.0,
            "--pause",
            &format!("n{node} stood still {} to {}", clock(from), clock(until)),
        ));
    }
    for (at, fault) in plan.faults().take(MOST_MARKS) {
        let words = format!("{} {fault}", clock(at));
        put(format!(
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\" stroke=\"var(--fault)\" opacity=\".7\"><title>{3}</title></line>",
            x(at),
            lane(fault.ends().1) - 3.0,
            lane(fault.ends().1) + LANE - 5.0,
            escape(&words)
        ));
    }
    for tenth in 0..=10 {
        let at = end * tenth / 10;
        put(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{}</text>",
            x(at),
            bottom + 18.0,
            if tenth < 10 { "middle" } else { "end" },
            &clock(at)[..5]
        ));
    }
    svg.push_str("</svg>");
    svg.push_str(&legend(history));
    svg
}

fn bar(from: f64, until: f64, y: f64, height: f64, colour: &str, title: &str) -> String {
    let width = (until - from).max(0.5);
    format!(
        "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\" fill=\"var({colour})\"><title>{}</title></rect>",
        escape(title)
    )
}

/// From when until when who stood still, as samples saw it.
fn pauses(history: &History, end: u64) -> Vec<(usize, u64, u64)> {
    let mut spans = Vec::new();
    for node in 0..history.plan.nodes {
        let mut since = None;
        for sample in &history.samples {
            let paused = sample.nodes.get(node).is_some_and(|seen| seen.as_ref().is_some_and(|seen| seen.paused));
            match (since, paused) {
                (None, true) => since = Some(sample.at),
                (Some(from), false) => {
                    spans.push((node, from, sample.at));
                    since = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
        spans.extend(since.map(|from| (node, from, end)));
    }
    spans
}

fn legend(history: &History) -> String {
    let mut legend = String::from("<p class=\"legend\">");
    for (colour, words) in [("--up", "runs"), ("--pause", "stands still"), ("--fault", "a fault begins or ends")] {
        let _ = write!(legend, "<span class=\"key\" style=\"background:var({colour})\"></span>{words}");
    }
    legend.push_str("</p>");
    for (title, met_by_messages) in [("Faults that did something", false), ("Messages that met a fault", true)] {
        let counts = counts(history, |kind| kind.is_met_by_messages() == met_by_messages);
        let _ = write!(legend, "<p class=\"legend\">{title}: {}</p>", escape(&counts));
    }
    legend
}

/// How often faults of some kinds did something, in words.
fn counts(history: &History, is_meant: impl Fn(FaultKind) -> bool) -> String {
    let counts = FaultKind::ALL.into_iter().filter(|kind| is_meant(*kind)).filter_map(|kind| {
        let count = history.occurred.get(&kind).filter(|count| **count > 0)?;
        Some(format!("{} {count}", kind.name()))
    });
    let counts: Vec<String> = counts.collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}
