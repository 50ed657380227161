//! Lines over time, and lines over the number of nodes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::open_svg;
use super::page::escape;
use crate::history::{History, Sample, Shown};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 24.0;
const COLOURS: [&str; 5] = ["--a", "--b", "--c", "--d", "--e"];

/// A line with a name.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// How long nodes have differed, in seconds, at each moment. A node that stands still or is not ready is not counted.
pub(super) fn convergence(history: &History) -> String {
    let mut agreed_at = 0;
    let points = history.samples.iter().map(|sample| {
        let digests: BTreeSet<u64> =
            sample.nodes.iter().flatten().filter(|seen| seen.ready && !seen.paused).map(|seen| seen.digest).collect();
        if digests.len() <= 1 {
            agreed_at = sample.at;
        }
        (seconds(sample), (sample.at - agreed_at) as f64 / 1000.0)
    });
    let line = Line { name: "seconds since all agreed".to_owned(), points: points.collect() };
    plot("convergence delay", &[line])
}

/// Members, fields and values that readers of each node see under the keys of owned rows.
pub(super) fn owned_rows(history: &History) -> String {
    let lines: Vec<Line> = (0..history.plan.nodes)
        .map(|node| {
            let points = history.samples.iter().filter_map(|sample| {
                let seen = sample.nodes.get(node)?.as_ref()?;
                let keys = seen.keys.iter().filter(|(key, _)| key.starts_with("own:"));
                Some((seconds(sample), keys.map(|(_, shown)| rows(shown)).sum::<usize>() as f64))
            });
            Line { name: format!("n{node}"), points: points.collect() }
        })
        .collect();
    plot("owned rows by node", &lines)
}

/// Bytes a second, of gossip and of links.
pub(super) fn bytes(history: &History) -> String {
    let rate = |of: fn(&Sample) -> u64| {
        let pairs = history.samples.windows(2).filter(|pair| pair[1].at > pair[0].at);
        pairs
            .map(|pair| {
                let passed = of(&pair[1]).saturating_sub(of(&pair[0])) as f64;
                (seconds(&pair[1]), passed * 1000.0 / (pair[1].at - pair[0].at) as f64)
            })
            .collect()
    };
    let lines = [
        Line { name: "links, bytes a second".to_owned(), points: rate(|sample| sample.carried.frame_bytes) },
        Line { name: "gossip, bytes a second".to_owned(), points: rate(|sample| sample.carried.datagram_bytes) },
    ];
    let carried = &history.carried;
    let sum = format!(
        "<p class=\"legend\">In all {} frames ({} bytes) and {} datagrams ({} bytes).</p>",
        carried.frames, carried.frame_bytes, carried.datagrams, carried.datagram_bytes
    );
    plot("bytes between nodes", &lines) + &sum
}

/// Values over numbers of nodes, both axes in decades.
pub(super) fn growth(points: &[(f64, f64)]) -> String {
    let logs = |(x, y): &(f64, f64)| (x.max(1e-9).log10(), y.max(1e-9).log10());
    let line = Line {
        name: "log10 of the value over log10 of the nodes".to_owned(),
        points: points.iter().map(logs).collect(),
    };
    plot("growth with the number of nodes", &[line])
}

fn seconds(sample: &Sample) -> f64 {
    sample.at as f64 / 1000.0
}

fn rows(shown: &Shown) -> usize {
    match shown {
        Shown::Missing => 0,
        Shown::Value(_) => 1,
        Shown::Set(members) => members.len(),
        Shown::Hash(fields) => fields.len(),
        Shown::List(elements) => elements.len(),
    }
}

fn plot(label: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (min_x, max_x) = bounds(points().map(|point| point.0));
    let (min_y, max_y) = bounds(points().map(|point| point.1).chain([0.0]));
    let x = |value: f64| LEFT + (WIDTH - LEFT - 10.0) * (value - min_x) / (max_x - min_x);
    let y = |value: f64| (HEIGHT - BOTTOM) - (HEIGHT - BOTTOM - 10.0) * (value - min_y) / (max_y - min_y);
    let mut svg = open_svg(WIDTH, HEIGHT, label);
    for quarter in 0..=4 {
        let part = f64::from(quarter) / 4.0;
        let (value, time) = (min_y + (max_y - min_y) * part, min_x + (max_x - min_x) * part);
        // Writing to a string cannot fail.
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"var(--line)\"/>\
             <text x=\"{1:.1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>\
             <text x=\"{4:.1}\" y=\"{5:.1}\" text-anchor=\"middle\">{6}</text>",
            y(value),
            LEFT - 6.0,
            y(value) + 4.0,
            short(value),
            x(time),
            HEIGHT - 6.0,
            short(time)
        );
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let path: Vec<String> =
            line.points.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"var({colour})\" stroke-width=\"1.5\"/>",
            path.join(" ")
        );
    }
    svg.push_str("</svg><p class=\"legend\">");
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let name = escape(&line.name);
        let _ = write!(svg, "<span class=\"key\" style=\"background:var({colour})\"></span>{name}");
    }
    svg.push_str("</p>");
    svg
}

/// The smallest and the largest, apart.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (min, max) = values.fold((f64::MAX, f64::MIN), |(min, max), value| (min.min(value), max.max(value)));
    if min > max {
        (0.0, 1.0)
    } else if max - min < 1e-9 {
        (min, min + 1.0)
    } else {
        (min, max)
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{:.1}M", value / 1e6),
        large if large >= 1e4 => format!("{:.0}k", value / 1e3),
        large if large >= 10.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}
