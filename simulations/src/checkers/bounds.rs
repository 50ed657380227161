//! G9: every cap holds, in every sample.
//!
//! Memory is capped for what a node takes itself, and what its peers write is taken all the same: together not more than each node's cap. So a node that
//! is over its cap refuses whatever may add to it.
//! A subscriber that begins to read finds no more messages than its queue holds.

use std::collections::BTreeMap;

use headcount::{Command, Config, Event};

use super::Verdict;
use crate::history::{History, Seen};
use crate::model::words;
use crate::plan::{Ask, Via};

/// What one command may add beyond the memory's cap, because it is judged before it is carried out.
const ONE_COMMAND: usize = 4 * 1024 * 1024;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("G9", "every cap holds under overload");
    let config = history.plan.settings.config();
    for sample in &history.samples {
        for (node, seen) in sample.running() {
            for (what, is, cap) in gauges(history, &config, seen) {
                verdict.judge(is <= cap, sample.at, || {
                    format!("n{node} ({}): {what} is {is}, over its cap of {cap}", seen.origin)
                });
            }
        }
    }
    histories_kept(history, &mut verdict);
    refusals(history, &mut verdict);
    backlogs(history, &mut verdict);
    verdict
}

/// What is kept for repair is cut to its cap at each gossip round: in the calm, where each round is looked at, three looks after the last write.
fn histories_kept(history: &History, verdict: &mut Verdict) {
    let cap = history.plan.settings.oplog_bytes;
    let calm: Vec<_> = history.samples.iter().filter(|sample| sample.at >= history.calm_at).collect();
    for (former, sample) in calm.iter().zip(calm.iter().skip(3)) {
        for (node, seen) in sample.running() {
            let is_steady = former.nodes[node].as_ref().is_some_and(|former| former.vector == seen.vector);
            if is_steady && !seen.paused {
                let is = seen.stats.oplog_bytes;
                verdict.judge(is <= cap, sample.at, || {
                    format!("n{node} ({}): oplog_bytes is {is}, over its cap of {cap}", seen.origin)
                });
            }
        }
    }
}

fn gauges(history: &History, config: &Config, seen: &Seen) -> Vec<(&'static str, usize, usize)> {
    let limits = &config.limits;
    let nodes = history.plan.nodes;
    // Processes that were, and the origins that each may remember of before.
    let origins = history.processes.len() + headcount_presence::limits::MAX_FORGOTTEN_ORIGINS;
    let calls = nodes * 2 * (limits.max_homed_calls + limits.max_blocked_pops);
    vec![
        ("memory_bytes", seen.stats.memory_bytes, (limits.max_memory_bytes + ONE_COMMAND).saturating_mul(nodes)),
        ("subscriptions", seen.stats.subscriptions, limits.max_subscriptions),
        ("queued_bytes", seen.stats.queued_bytes, limits.peer_queue_bytes),
        ("watches", seen.stats.watches, limits.max_watches),
        ("open_calls", seen.stats.open_calls, calls),
        ("origins", seen.stats.origins, origins),
        ("garbage_frames", seen.stats.garbage_frames as usize, 0),
    ]
}

/// What a node takes that has no room for it.
fn refusals(history: &History, verdict: &mut Verdict) {
    let cap = history.plan.settings.max_memory_bytes;
    for asked in history.asked.iter().filter(|asked| asked.memory_bytes > cap && may_add(&asked.ask)) {
        let is_taken = matches!(asked.answer, Some((_, Ok(_))));
        verdict.judge(!is_taken, asked.at, || {
            format!(
                "client {} on n{} was granted `{}`, though {} bytes of {cap} were used",
                asked.client, asked.node, asked.ask, asked.memory_bytes
            )
        });
    }
}

/// Whether the node itself adds rows for an ask.
fn may_add(ask: &Ask) -> bool {
    let is_here = !matches!(ask, Ask::Command { via: Via::Homed, .. });
    let adds = matches!(
        words::command(ask),
        Some(
            Command::Set { nx: false, .. }
                | Command::Sadd { .. }
                | Command::Hset { .. }
                | Command::Rpush { .. }
                | Command::Lpush { .. }
                | Command::Incrby { .. }
                | Command::Hincrby { .. }
        )
    );
    is_here && adds
}

/// What a subscriber reads at once, for however long it did not read before.
fn backlogs(history: &History, verdict: &mut Verdict) {
    let cap = history.plan.settings.subscriber_queue.max(1);
    let mut found: BTreeMap<(u32, &str, u32, u64), (u64, usize)> = BTreeMap::new();
    for heard in history.heard.iter().filter(|heard| matches!(heard.event, Event::Message { .. })) {
        let turn = (heard.client, heard.topic.as_str(), heard.subscription, heard.turn);
        found.entry(turn).or_insert((heard.at, 0)).1 += 1;
    }
    for ((client, topic, ..), (at, count)) in found {
        verdict.judge(count <= cap, at, || {
            format!("client {client} found {count} messages of {topic:?} that had waited, {cap} may wait")
        });
    }
}
