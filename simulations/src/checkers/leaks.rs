//! G8: at rest nothing is left over: no calls, nothing unconfirmed, no history kept, no topics but those that somebody is subscribed to, no keys that nobody
//! sees, and of the dead only those whose rows are left.
//!
//! At rest is a cluster that has been together and has written nothing for [`QUIET_ROUNDS`] gossip rounds and [`REST_MS`], half a calm after
//! clients gave up what they waited for. While somebody is held for Down, who may come back, history is kept for it, and nothing is said about that. Origins are kept too for whom
//! somebody may have been given up for his silence: nodes say so themselves, and are believed where somebody was silent for so long.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headcount::MemberState;
use headcount_cluster::Origin;

use super::stability::LOOKED_AT_EVERY_MS;
use super::topics::Sought;
use super::{Verdict, topics};
use crate::history::{BEFORE_THE_END_MS, Copied, History, Sample, Seen, Shown};

/// Gossip rounds for which history is kept after everybody has it, and some more for what is told by gossip.
const QUIET_ROUNDS: u64 = 25 + 15;

/// How long a homed call may take to be settled everywhere, and answers to be forgotten.
const REST_MS: u64 = 4_000;

/// Gossip rounds that it may take to forget: one batch of origins before, one with them, each until history is pruned and everybody has said so.
const FORGETTING_ROUNDS: u64 = 2 * (25 + 25);

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict =
        Verdict::of("G8", "at rest: no pending requests, interest equals live subscriptions, history pruned");
    let Some(last) = history.samples.last() else { return verdict };
    let since = last.at.saturating_sub(REST_MS + QUIET_ROUNDS * history.plan.settings.gossip_ms);
    let gave_up = history.plan.calm_asks_at();
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
    unseen_keys(history, last, &mut verdict);
    the_dead(history, last, &mut verdict);
    verdict
}

/// No key is stored that readers do not see: what has expired is removed by somebody, also where whoever gave it its life has ended.
fn unseen_keys(history: &History, last: &Sample, verdict: &mut Verdict) {
    // What expires at the very end is still on its way. Of the samples of that moment one is of all keys.
    let names = |sample: &Sample| -> BTreeSet<String> {
        sample.running().flat_map(|(_, seen)| seen.keys.keys()).cloned().collect()
    };
    let all = names(last);
    let is_of_all = |sample: &&Sample| sample.at + BEFORE_THE_END_MS <= last.at && names(sample) == all;
    let Some(before) = history.samples.iter().rfind(is_of_all) else { return };
    for (node, seen) in last.running().filter(|(_, seen)| !anybody_is_down(last, seen)) {
        let Some(former) = before.nodes[node].as_ref().filter(|former| former.origin == seen.origin) else { continue };
        let shown = former.keys.values().filter(|shown| **shown != Shown::Missing).count();
        verdict.judge(seen.stats.keys <= shown, last.at, || {
            format!(
                "n{node} ({}) is at rest and stores {} keys, of which readers saw {shown}",
                seen.origin, seen.stats.keys
            )
        });
    }
}

/// Of the dead nobody speaks any more of whom no row is left.
fn the_dead(history: &History, last: &Sample, verdict: &mut Verdict) {
    let since = last.at.saturating_sub(REST_MS + (QUIET_ROUNDS + FORGETTING_ROUNDS) * history.plan.settings.gossip_ms);
    let rest: Vec<&Sample> = history.samples.iter().filter(|sample| sample.at >= since).collect();
    let is_down = |sample: &&Sample| sample.running().any(|(_, seen)| anybody_is_down(sample, seen));
    if since < history.calm_at
        || !rest.iter().all(|sample| sample.is_whole())
        || !writes_nothing(&rest)
        || rest.iter().any(is_down)
        || last.running().any(|(_, seen)| seen.expects_strangers)
    {
        return;
    }
    if let Some((node, seen)) = last.running().find(|(_, seen)| seen.held) {
        verdict.judge(was_somebody_silent(history), last.at, || {
            format!("n{node} ({}) keeps all who are dead for somebody who was silent, and nobody was", seen.origin)
        });
        return;
    }
    let runs: BTreeSet<Origin> = last.running().map(|(_, seen)| seen.origin).collect();
    let authors: BTreeSet<Origin> = last.running().flat_map(|(_, seen)| &seen.authors).copied().collect();
    for (node, seen) in last.running() {
        let dead = history
            .processes
            .iter()
            .map(|process| process.origin)
            .filter(|origin| !runs.contains(origin) && !authors.contains(origin));
        for origin in dead {
            verdict.judge(!seen.vector.contains_key(&origin), last.at, || {
                format!(
                    "n{node} ({}) still counts {origin}, which is dead and of which there has been no row since {since} ms",
                    seen.origin
                )
            });
        }
    }
}

/// Whether somebody may have been given up for his silence: for about the grace time somebody held him for Down, or knew what he wrote and nobody had met him.
fn was_somebody_silent(history: &History) -> bool {
    let long = history.plan.settings.grace_ms.saturating_sub(2 * LOOKED_AT_EVERY_MS);
    let mut silences = Silences { history, since: BTreeMap::new(), met: BTreeSet::new() };
    history.samples.iter().any(|sample| sample.running().any(|(_, seen)| silences.longest(sample, seen) >= long))
}

/// Since when nobody has been heard of whom, by their origins: who listens, and who is silent.
struct Silences<'a> {
    history: &'a History,
    since: BTreeMap<(Origin, Origin), u64>,
    met: BTreeSet<(Origin, Origin)>,
}

impl Silences<'_> {
    /// How long somebody has been silent for a node at most.
    fn longest(&mut self, sample: &Sample, seen: &Seen) -> u64 {
        self.met.extend(seen.members.keys().map(|other| (seen.origin, *other)));
        let processes = self.history.processes.iter().filter(|process| process.origin != seen.origin);
        let mut longest = 0;
        for process in processes {
            let is_silent = match seen.members.get(&process.origin) {
                Some(state) => *state == MemberState::Down,
                None => self.is_strange(process.origin, seen, sample),
            };
            let pair = (seen.origin, process.origin);
            if is_silent {
                longest = longest.max(sample.at - *self.since.entry(pair).or_insert(sample.at));
            } else {
                self.since.remove(&pair);
            }
        }
        longest
    }

    /// Whether a node knows what somebody wrote whom it has never met, and nobody whom it has Up has told it that he is Gone: none has met him, or one
    /// still counts him.
    fn is_strange(&self, who: Origin, seen: &Seen, sample: &Sample) -> bool {
        let is_up = |origin: &Origin| seen.members.get(origin) == Some(&MemberState::Up);
        let counts = |(_, other): (usize, &Seen)| is_up(&other.origin) && other.members.contains_key(&who);
        seen.vector.contains_key(&who)
            && !self.met.contains(&(seen.origin, who))
            && (!seen.members.keys().any(|one| is_up(one) && self.met.contains(&(*one, who)))
                || sample.running().any(counts))
    }
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
