//! G9: every cap holds, in every sample.
//!
//! Memory is capped for what a node takes itself, and what its peers write is taken all the same: together not more than each node's cap. So a node that
//! is over its cap refuses whatever may add to it.
//! A subscriber that begins to read finds no more messages than its queue holds. Of calls and blocked pops no more are open at a time than a node takes;
//! that is judged by what its clients wait for.

use std::collections::BTreeMap;

use headcount::{Command, Error, Event};
use headcount_cluster::Origin;

use super::Verdict;
use crate::history::{Asked, History, Seen};
use crate::model::words;
use crate::plan::{Ask, Fault, Via};

/// What a word of a command may take as a row, besides its bytes.
const ROW_BYTES: usize = 512;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("G9", "every cap holds under overload");
    let caps = Caps::of(history);
    for sample in &history.samples {
        let origins = caps.origins(sample.at);
        for (node, seen) in sample.running() {
            for (what, is, cap) in caps.gauges(origins, seen) {
                verdict.judge(is <= cap, sample.at, || {
                    format!("n{node} ({}): {what} is {is}, over its cap of {cap}", seen.origin)
                });
            }
        }
    }
    histories_kept(history, &mut verdict);
    refusals(history, &mut verdict);
    backlogs(history, &mut verdict);
    let settings = &history.plan.settings;
    waits(history, ("calls to homes", settings.max_homed_calls), is_homed, &mut verdict);
    waits(history, ("blocked pops", settings.max_blocked_pops), is_blocked, &mut verdict);
    verdict
}

/// Gossip rounds after a write of which each node has had at least one.
const PRUNED_WITHIN_ROUNDS: u64 = 3;

/// What is kept for repair is cut to its cap at each gossip round: in the calm, some rounds after the last write.
fn histories_kept(history: &History, verdict: &mut Verdict) {
    let settings = &history.plan.settings;
    let (cap, within) = (settings.oplog_bytes, PRUNED_WITHIN_ROUNDS * settings.gossip_ms);
    for sample in history.samples.iter().filter(|sample| sample.at >= history.calm_at + within) {
        let Some(former) = history.until(sample.at - within).last() else { continue };
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

/// What one command may add beyond the memory's cap, because it is judged before it is carried out.
fn longest_command(history: &History) -> usize {
    let words = history.asked.iter().map(|asked| match &asked.ask {
        Ask::Command { words, .. } => (words.len(), words.split(' ').count()),
        Ask::CompareAndSet { key, new, .. } => (key.len() + new.as_ref().map_or(0, String::len), 2),
        Ask::Track { topic, meta } => (topic.len() + meta.len(), 2),
        Ask::Watch { .. }
        | Ask::Follow { .. }
        | Ask::Untrack
        | Ask::Subscribe { .. }
        | Ask::Unsubscribe { .. }
        | Ask::SubscribePattern { .. }
        | Ask::UnsubscribePattern { .. }
        | Ask::Dawdle
        | Ask::Listen
        | Ask::GiveUp
        | Ask::EndSession => (0, 0),
    });
    words.map(|(bytes, words)| bytes + words * ROW_BYTES).max().unwrap_or_default()
}

/// The caps of what nodes count.
struct Caps<'a> {
    history: &'a History,
    memory: usize,
    /// When processes were seen to begin, and when the plan started one, in order.
    begun: Vec<u64>,
}

impl<'a> Caps<'a> {
    fn of(history: &'a History) -> Self {
        let cap = history.plan.settings.max_memory_bytes.saturating_add(longest_command(history));
        let starts = history.plan.faults().filter(|(_, fault)| matches!(fault, Fault::Start { .. }));
        let mut begun: Vec<u64> = starts.map(|(at, _)| at).collect();
        begun.extend(history.processes.iter().map(|process| process.from));
        begun.sort_unstable();
        Self { history, memory: cap.saturating_mul(history.plan.nodes), begun }
    }

    /// Nobody knows more origins than there have been: those that were seen, and for each start one that was given up before anybody looked.
    fn origins(&self, at: u64) -> usize {
        self.begun.partition_point(|begun| *begun <= at) + self.history.plan.nodes
    }

    fn gauges(&self, origins: usize, seen: &Seen) -> [(&'static str, usize, usize); 5] {
        let settings = &self.history.plan.settings;
        [
            ("memory_bytes", seen.stats.memory_bytes, self.memory),
            ("subscriptions", seen.stats.subscriptions, settings.max_subscriptions),
            ("queued_bytes", seen.stats.queued_bytes, settings.peer_queue_bytes),
            ("origins", seen.stats.origins, origins),
            ("garbage_frames", seen.stats.garbage_frames as usize, 0),
        ]
    }
}

fn is_homed(ask: &Ask) -> bool {
    let is_counted = matches!(ask, Ask::Command { via: Via::Homed, .. });
    if matches!(ask, Ask::CompareAndSet { .. }) {
        return true;
    }
    match words::command(ask) {
        Some(Command::Incrby { .. }) => is_counted,
        Some(Command::Set { nx, .. }) => nx,
        Some(Command::Lpop { .. } | Command::Rpop { .. } | Command::Getset { .. } | Command::Setnx { .. }) => true,
        _ => false,
    }
}

fn is_blocked(ask: &Ask) -> bool {
    matches!(words::command(ask), Some(Command::Blpop { .. } | Command::Brpop { .. }))
}

/// What clients of one process wait for at the same time, and were not refused.
fn waits(history: &History, (what, cap): (&str, usize), is_meant: fn(&Ask) -> bool, verdict: &mut Verdict) {
    let mut open: BTreeMap<Origin, Vec<&Asked>> = BTreeMap::new();
    let mut meant: Vec<&Asked> = history.asked.iter().filter(|asked| is_meant(&asked.ask)).collect();
    meant.sort_by_key(|asked| asked.begun);
    for asked in meant {
        let (Some(process), Some(begun)) = (asked.process, asked.begun) else { continue };
        // Who is answered at once did not wait; nor did who is told that too many do.
        if waits_until(asked) <= begun || matches!(asked.answer, Some((_, Err(Error::TooMany { .. })))) {
            continue;
        }
        let open = open.entry(process).or_default();
        open.retain(|former| waits_until(former) > begun);
        open.push(asked);
        verdict.judge(open.len() <= cap, begun, || {
            format!("n{} ({process}) has {} {what} open, {cap} may be: {:?}", asked.node, open.len(), open)
        });
    }
}

fn waits_until(asked: &Asked) -> u64 {
    let answered = asked.answer.as_ref().map(|(at, _)| *at);
    answered.or(asked.given_up).unwrap_or(u64::MAX)
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
