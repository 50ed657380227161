//! G1: once faults have stopped, live nodes come together within [`TOGETHER_MS`], and from then on hold the same rows.
//!
//! Coming together is to hold each other for Up, to be linked, ready, and done with snapshots; how long that takes follows from the time-outs of
//! links and from back-off, not from the data. From then on nodes may differ for [`ROUNDS`] gossip intervals at a time: rows still expire in a
//! calm, and a removal takes its way. Where logs are cut short, a write may be cut off before it was sent, and is loaded: so a node that
//! loads soon after a write has not left the others. Machines whose power went are not live, and may be held for anything.

use std::collections::{BTreeMap, BTreeSet};

use headcount::Command;
use headcount_cluster::Origin;

use super::Verdict;
use crate::history::{History, Sample};
use crate::model::words;
use crate::plan::Settings;

/// How long nodes may take to find each other again: a silent link is closed after 4 s, dialled again after up to 5 s and half as much of
/// jitter, given 2 s to connect and 2 s for its handshake; and what was missed meanwhile is loaded.
pub(super) const TOGETHER_MS: u64 = 20_000;

/// For how long after a heal a link may be up and nothing pass: what was sent into a cut is sent again ever more rarely, until the link is closed for its
/// silence.
pub(super) const STALLED_MS: u64 = 4_000;

/// Gossip intervals within which nodes that are together hold the same rows.
const ROUNDS: u64 = 5;

/// Gossip intervals within which a write is loaded that was cut off the log of its author: others hear of it by vectors, ask, are referred to a
/// snapshot, and those who were told first tell the rest.
const LOADED_ROUNDS: u64 = 25;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict =
        Verdict::of("G1", "once faults stop, live nodes hold identical digests within 5 gossip intervals");
    let calm: Vec<&Sample> = history.samples.iter().filter(|sample| sample.at >= history.calm_at).collect();
    let Some(last) = calm.last() else { return verdict };
    let loaded = loaded_after_a_write(history, &calm);
    let is_early = |sample: &Sample| sample.at < history.calm_at + STALLED_MS;
    let is_apart = |sample: &Sample| is_early(sample) || !(sample.is_whole() || loaded.contains(&sample.at));
    let apart = calm.iter().rposition(|sample| is_apart(sample)).map_or(0, |apart| apart + 1);
    // Whoever still loads what was missed has not come together yet.
    let first = calm[apart..].iter().position(|sample| sample.is_whole());
    let Some(together @ [first, ..]) = first.map(|whole| &calm[apart + whole..]) else {
        if last.at >= history.calm_at + TOGETHER_MS {
            verdict.breach(last.at, || {
                format!(
                    "{} ms after the storm the nodes are still not together:\n{}",
                    last.at - history.calm_at,
                    last.apart()
                )
            });
        }
        return verdict;
    };
    verdict.judge(first.at <= history.calm_at + TOGETHER_MS, first.at, || {
        format!(
            "the nodes were together only {} ms after the storm, {TOGETHER_MS} are allowed",
            first.at - history.calm_at
        )
    });
    // A calm that is too short to know says nothing.
    let allowed = ROUNDS * history.plan.settings.gossip_ms;
    let mut equal_at = first.at;
    for sample in together {
        if sample.holds_the_same() || !sample.is_whole() {
            equal_at = sample.at;
        }
        verdict.judge(sample.at <= equal_at + allowed, sample.at, || {
            format!(
                "the nodes are together since {} ms and have differed for {} ms:\n{}",
                first.at,
                sample.at - equal_at,
                sample.rows()
            )
        });
    }
    same_sight(history, last, &mut verdict);
    verdict
}

/// The moments at which nodes were together but that some loaded what had been written just before, and been cut off a log.
fn loaded_after_a_write(history: &History, calm: &[&Sample]) -> BTreeSet<u64> {
    let settings = &history.plan.settings;
    if settings.oplog_bytes >= Settings::default().oplog_bytes {
        return BTreeSet::new();
    }
    let mut until = None;
    let moments = calm.windows(2).filter_map(|pair| {
        let [before, sample] = pair else { return None };
        if before.written() != sample.written() {
            until = Some(before.at + LOADED_ROUNDS * settings.gossip_ms);
        }
        let is_soon = until.is_some_and(|until| sample.at <= until);
        (is_soon && sample.is_whole_but_for_loads()).then_some(sample.at)
    });
    moments.collect()
}

/// Where nodes hold the same rows, readers see the same in the end: which of several rows wins does not depend on who looks. What has a deadline is hidden
/// by each node's own clock.
fn same_sight(history: &History, last: &Sample, verdict: &mut Verdict) {
    let mut running = last.running();
    let Some((first, seen)) = running.next().filter(|_| last.holds_the_same()) else { return };
    let mortal = mortal_keys(history);
    for (node, other) in running {
        for (key, shown) in seen.keys.iter().filter(|(key, _)| !mortal.contains(*key)) {
            let same = other.keys.get(key);
            verdict.judge(same == Some(shown), last.at, || {
                format!("of the same rows n{first} shows {shown:?} under {key}, and n{node} shows {same:?}")
            });
        }
    }
}

/// The keys that somebody gave a deadline, or wanted to.
fn mortal_keys(history: &History) -> BTreeSet<String> {
    let commands = history.asked.iter().filter_map(|asked| words::command(&asked.ask));
    let mortal = commands.filter(|command| {
        matches!(command, Command::Set { seconds: Some(_), .. } | Command::Expire { .. } | Command::Hincrbyex { .. })
    });
    mortal.flat_map(|command| words::keys(&command)).map(|key| String::from_utf8_lossy(&key).into_owned()).collect()
}

impl Sample {
    /// Whether all that run hold the same rows.
    pub(super) fn holds_the_same(&self) -> bool {
        let mut digests = self.running().map(|(_, seen)| seen.digest);
        let first = digests.next();
        digests.all(|digest| Some(digest) == first)
    }

    /// Up to which operation each that runs has written.
    fn written(&self) -> BTreeMap<Origin, Option<u64>> {
        self.running().map(|(_, seen)| (seen.origin, seen.vector.get(&seen.origin).copied())).collect()
    }

    fn apart(&self) -> String {
        let line = |(node, seen): (usize, &crate::history::Seen)| {
            format!(
                "  n{node} is {}: ready {}, paused {}, loading {}, members {:?}, linked {:?}",
                seen.origin, seen.ready, seen.paused, seen.loading, seen.members, seen.linked
            )
        };
        self.running().map(line).collect::<Vec<_>>().join("\n")
    }

    fn rows(&self) -> String {
        let line = |(node, seen): (usize, &crate::history::Seen)| {
            format!(
                "  n{node} ({}): digest {:016x}, {} keys, {} rows, vector {:?}",
                seen.origin, seen.digest, seen.stats.keys, seen.stats.rows, seen.vector
            )
        };
        self.running().map(line).collect::<Vec<_>>().join("\n")
    }
}
