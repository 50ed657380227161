//! G8: at rest nothing is left over: no calls, nothing unconfirmed, no history kept, no topics but those that somebody is subscribed to.
//!
//! At rest is a cluster that has been together and has written nothing for [`QUIET_ROUNDS`] gossip rounds and [`REST_MS`], half a calm after
//! clients gave up what they waited for. While somebody is held for Down, who may come back, history is kept for it, and nothing is said about that.

use std::collections::BTreeSet;

use bytes::Bytes;
use headcount::MemberState;

use super::topics::Sought;
use super::{Verdict, topics};
use crate::history::{Copied, History, Sample, Seen};

/// Gossip rounds for which history is kept after everybody has it, and some more for what is told by gossip.
const QUIET_ROUNDS: u64 = 25 + 15;

/// How long a homed call may take to be settled everywhere, and answers to be forgotten.
const REST_MS: u64 = 4_000;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict =
        Verdict::of("G8", "at rest: no pending requests, interest equals live subscriptions, history pruned");
    let Some(last) = history.samples.last() else { return verdict };
    let since = last.at.saturating_sub(REST_MS + QUIET_ROUNDS * history.plan.settings.gossip_ms);
    let gave_up = history.calm_at + history.plan.calm_ms / 2;
    let rest: Vec<&Sample> = history.samples.iter().filter(|sample| sample.at >= since).collect();
    if since < gave_up || !rest.iter().all(|sample| sample.is_whole()) || !writes_nothing(&rest) {
        return verdict;
    }
    let live = topics::live(history);
    let known: BTreeSet<Bytes> = live
        .values()
        .flatten()
        .filter_map(|sought| match sought {
            Sought::Topic(topic) => Some(Bytes::copy_from_slice(topic.as_bytes())),
            // As in Redis, patterns are no channels.
            Sought::Pattern(_) => None,
        })
        .collect();
    for (node, seen) in last.running() {
        let mut judge = |what: &str, is: &dyn std::fmt::Debug, expected: &dyn std::fmt::Debug| {
            let (is, expected) = (format!("{is:?}"), format!("{expected:?}"));
            verdict.judge(is == expected, last.at, || {
                format!(
                    "n{node} ({}) has been at rest since {since} ms, and its {what} is {is}, not {expected}",
                    seen.origin
                )
            });
        };
        judge("open_calls", &seen.stats.open_calls, &0);
        judge("unconfirmed_ops", &seen.stats.unconfirmed_ops, &0);
        judge("watches", &seen.stats.watches, &watches(history, seen));
        judge("subscriptions", &seen.stats.subscriptions, &live.get(&seen.origin).map_or(0, Vec::len));
        judge("topics", &seen.topics.iter().collect::<BTreeSet<_>>(), &known.iter().collect::<BTreeSet<_>>());
        if !anybody_is_down(last, seen) {
            judge("oplog_bytes", &seen.stats.oplog_bytes, &0);
        }
    }
    verdict
}

/// How many keep a copy there: for as long as their process lives.
fn watches(history: &History, seen: &Seen) -> usize {
    let is_there = |copied: &&Copied| history.lineage(copied.process).contains(&seen.origin);
    history.copied.iter().filter(is_there).count()
}

fn writes_nothing(rest: &[&Sample]) -> bool {
    let counts = |sample: &Sample| -> Vec<u64> { sample.running().map(|(_, seen)| seen.stats.local_ops).collect() };
    rest.windows(2).all(|pair| counts(pair[0]) == counts(pair[1]))
}

/// Whether anybody is held for Down, or for Up though it does not run.
fn anybody_is_down(sample: &Sample, seen: &Seen) -> bool {
    let runs = |origin| sample.running().any(|(_, other)| other.origin == origin);
    seen.members.iter().any(|(origin, state)| *state == MemberState::Down || !runs(*origin))
}
