//! Watching and tracking: who keeps a copy of what he is told has, at rest, what his node shows; each change fits the copy that came before it; and under
//! a topic are those who are tracked and whose processes live, and nobody else.
//!
//! Nodes may differ for as long as they are not together, so the end is judged when they are.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Verdict;
use crate::history::{Asked, History, PRESENCE_PREFIX, Sample, Shown};
use crate::plan::Ask;

/// How many digits of a field name the session.
const REFERENCE_DIGITS: usize = 32;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("watch", "who is told of changes knows what is there, and who is tracked is present");
    for copied in &history.copied {
        verdict.judge(copied.misfit.is_none(), copied.misfit.as_ref().map_or(0, |(at, _)| *at), || {
            let words = copied.misfit.as_ref().map(|(_, words)| words.as_str()).unwrap_or_default();
            format!(
                "client {} on n{} follows {}, and was told what does not fit: {words}",
                copied.client, copied.node, copied.key
            )
        });
    }
    let Some(last) = history.samples.last().filter(|last| last.at >= history.calm_at && last.is_whole()) else {
        return verdict;
    };
    copies(history, last, &mut verdict);
    topics(history, last, &mut verdict);
    verdict
}

/// In the end each copy is what its node shows.
fn copies(history: &History, last: &Sample, verdict: &mut Verdict) {
    for copied in &history.copied {
        let lives = |origin| history.lineage(copied.process).contains(&origin);
        let Some(seen) = last.nodes[copied.node].as_ref().filter(|seen| lives(seen.origin)) else { continue };
        let Some(shown) = seen.keys.get(&copied.key) else { continue };
        let shown = in_order(shown);
        verdict.judge(shown == copied.known, last.at, || {
            format!(
                "client {} on n{} follows {}, has {:?} by what it was told, and {shown:?} is there",
                copied.client, copied.node, copied.key, copied.known
            )
        });
    }
}

/// A watcher is not told where in a list an element is.
fn in_order(shown: &Shown) -> Shown {
    let mut shown = shown.clone();
    if let Shown::List(elements) = &mut shown {
        elements.sort();
        if elements.is_empty() {
            return Shown::Missing;
        }
    }
    shown
}

/// In the end those are present who are tracked.
fn topics(history: &History, last: &Sample, verdict: &mut Verdict) {
    let named: BTreeSet<&String> = history
        .asked
        .iter()
        .filter_map(|asked| if let Ask::Track { topic, .. } = &asked.ask { Some(topic) } else { None })
        .collect();
    for topic in named {
        let expected: BTreeSet<(Bytes, Bytes)> =
            history.asked.iter().filter_map(|asked| tracked(history, last, asked, topic)).collect();
        for (node, seen) in last.running() {
            let present: BTreeSet<(Bytes, Bytes)> = match seen.keys.get(&format!("{PRESENCE_PREFIX}{topic}")) {
                Some(Shown::Hash(fields)) => fields
                    .iter()
                    .map(|(field, meta)| (field.slice(REFERENCE_DIGITS.min(field.len())..), meta.clone()))
                    .collect(),
                _ => BTreeSet::new(),
            };
            verdict.judge(present == expected, last.at, || {
                format!("n{node} has {present:?} present under {topic}, and tracked are {expected:?}")
            });
        }
    }
}

/// Whom an ask tracks that nobody has taken back, on a process that lives: the key and what is known of it.
fn tracked(history: &History, last: &Sample, asked: &Asked, topic: &str) -> Option<(Bytes, Bytes)> {
    let Ask::Track { topic: of, meta } = &asked.ask else { return None };
    let process = asked.process?;
    let lives = history.lineage(process).iter().any(|origin| last.running().any(|(_, seen)| seen.origin == *origin));
    let is_of_client =
        |other: &&Asked| other.client == asked.client && other.at >= asked.at && !std::ptr::eq(*other, asked);
    let mut later = history.asked.iter().filter(is_of_client);
    // Whoever is tracked again leaves where it was.
    let is_over = later.any(|other| other.begun.is_some() && matches!(other.ask, Ask::Untrack | Ask::Track { .. }));
    let is_tracked = of == topic && lives && !is_over && matches!(asked.answer, Some((_, Ok(_))));
    is_tracked.then(|| (Bytes::from(asked.client.to_string()), Bytes::from(meta.clone())))
}
