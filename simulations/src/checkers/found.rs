//! Topics and rows: who hears a message finds what its publisher wrote before it.
//!
//! What a node had written is known from what it knew of itself when it published, and what the subscriber's node had applied from when the
//! message was read. Whether readers see what was applied is the serial witness's to judge. Of messages with the same words none is judged.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::Event;

use super::Verdict;
use super::topics::{Published, publication};
use crate::history::History;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("found", "who hears a message finds what its publisher wrote before it");
    let mut published: BTreeMap<(Bytes, Bytes), Vec<Published>> = BTreeMap::new();
    for one in history.asked.iter().filter_map(publication) {
        published.entry((one.topic.clone(), one.message.clone())).or_default().push(one);
    }
    for heard in &history.heard {
        let Event::Message { topic, payload, .. } = &heard.event else { continue };
        let Some([one]) = published.get(&(topic.clone(), payload.clone())).map(Vec::as_slice) else { continue };
        let Some(author) = one.asked.process else { continue };
        let written = one.asked.saw.get(&author).copied().unwrap_or_default();
        let found = heard.saw.get(&author).copied().unwrap_or_default();
        verdict.judge(found >= written, heard.at, || {
            format!(
                "client {} on n{} hears {payload:?}, before which n{} ({author}) had written {written} operations, and finds {found} of them",
                heard.client, heard.node, one.asked.node
            )
        });
    }
    verdict
}
