//! Liveness: in a whole cluster whoever asks is answered, in the time that this takes where nobody has died.
//!
//! Judged is what the calm asks of every node (`play::calm`) while the cluster is quiet around it, which it must be by then (G1): a write with each
//! acknowledgement, a count, a lock and a pop at a home, a subscription, messages and reads. The README: a subscription waits for two seconds at most for those who
//! are silent, and so does a home; where nobody is, neither waits. What rightly is refused is not judged: where machines are dead for ever, what needs more nodes than there
//! are; where the memory of a node is full, what adds data; subscriptions beyond their cap.

use headcount::Reply;

use super::Verdict;
use super::stability::Stability;
use crate::history::{Asked, History, Sample};
use crate::plan::{Ask, Via};

/// How long whatever is asked may take: less than silent nodes are waited for.
const ANSWERED_MS: u64 = 2_000;

/// How long a write may take that others must have: what its caller gives it. One that was not pushed to somebody gets there by repair, some gossip rounds later.
const ACKNOWLEDGED_MS: u64 = 5_000;

/// What a small write may need of a node's memory.
const SMALL_BYTES: usize = 1_024;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("calm", "who asks in a whole cluster is answered, and soon");
    let Some(last) = history.samples.last() else { return verdict };
    let stability = Stability::of(history);
    // What the plan asked last may be asked in the calm's first moment: time has ticks.
    let begin = history.plan.calm_asks_at();
    for asked in history.asked.iter().filter(|asked| asked.at >= begin) {
        let within_ms = match asked.ask {
            Ask::Command { via: Via::Peer | Via::Majority | Via::All, .. } => ACKNOWLEDGED_MS,
            _ => ANSWERED_MS,
        };
        let by = asked.at + within_ms;
        if by > last.at
            || asked.process.is_none()
            || !stability.is_quiet(asked.at, by)
            || may_be_refused(history, asked)
        {
            continue;
        }
        let answer = asked.answer.as_ref();
        let is_answered =
            answer.is_some_and(|(at, answer)| *at < by && matches!(answer, Ok(reply) if *reply != Reply::Nil));
        verdict.judge(is_answered, by, || {
            format!(
                "client {} asked n{} at {} ms, in a whole cluster, `{}`, which was to be done within {within_ms} ms, and was answered {:?}",
                asked.client, asked.node, asked.at, asked.ask, asked.answer
            )
        });
    }
    verdict
}

/// Whether something may rightly be refused, or wait for those that do not run.
fn may_be_refused(history: &History, asked: &Asked) -> bool {
    let around = history.samples.iter().rfind(|sample| sample.at <= asked.at);
    let Some(sample) = around else { return true };
    let settings = &history.plan.settings;
    let running = sample.running().count();
    match &asked.ask {
        Ask::Subscribe { .. } | Ask::SubscribePattern { .. } => {
            let subscribed = sample.nodes[asked.node].as_ref().map_or(0, |seen| seen.stats.subscriptions);
            subscribed >= settings.max_subscriptions
        }
        Ask::Command { .. } | Ask::CompareAndSet { .. } => {
            !history.has_majority(sample) || asked.holders > running || is_full(sample, settings.max_memory_bytes)
        }
        _ => false,
    }
}

/// Whether a node, which may be a key's home, has no room for more.
fn is_full(sample: &Sample, max_memory_bytes: usize) -> bool {
    sample.running().any(|(_, seen)| seen.stats.memory_bytes + SMALL_BYTES > max_memory_bytes)
}
