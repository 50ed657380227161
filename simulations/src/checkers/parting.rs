//! Leaves: who leaves in order is gone at once, and leaves nothing behind that it had answered.
//!
//! Judged are leaves from a cluster that is together and in which nothing else happens at the time: then each of the others is told goodbye on its link, after all that
//! the leaver had written, and drops what it owned. A node that is only silent is held for Down for the whole grace instead. A leaver that may have been given an
//! element by a home that is Down waits for its word, and is not judged.

use headcount::MemberState;
use headcount_cluster::Origin;

use super::Verdict;
use super::stability::Stability;
use crate::history::{Asked, End, History, Process, Sample, Seen};
use crate::model::words;

/// How long a leave takes at most: what others lack goes to them and is confirmed, then the goodbye, each by messages that take half a second at most, and all is
/// seen a moment later.
const PARTED_MS: u64 = 2_500;

/// Around a leave so long nobody else may come or go.
const ALONE_MS: u64 = 5_000;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("leaves", "who leaves is gone at once, and what it had answered is not");
    let stability = Stability::of(history);
    for process in &history.processes {
        judge(&stability, history, process, &mut verdict);
    }
    verdict
}

fn judge(stability: &Stability, history: &History, leaver: &Process, verdict: &mut Verdict) {
    let Some((left_at, End::Left)) = leaver.until else { return };
    let parted_at = left_at + PARTED_MS;
    let Some(before) = history.samples.iter().rfind(|sample| sample.at < left_at) else { return };
    let Some(after) = history.samples.iter().find(|sample| sample.at >= parted_at) else { return };
    let is_alone = history.processes.iter().filter(|other| other.origin != leaver.origin).all(|other| {
        let is_near = |at: u64| (left_at.saturating_sub(ALONE_MS)..=after.at).contains(&at);
        !is_near(other.from) && other.until.is_none_or(|(until, _)| !is_near(until))
    });
    if !is_alone
        || leaver.from + ALONE_MS > left_at
        || !before.is_whole()
        || awaits_the_dead(history, leaver, before)
        || !stability.is_undisturbed(left_at - ALONE_MS, after.at)
    {
        return;
    }
    let written = history.asked.iter().filter(|asked| is_answered_by(asked, leaver.origin, left_at));
    let written = written.filter_map(|asked| asked.wrote).map(|(_, last)| last).max().unwrap_or_default();
    for (node, seen) in after.running().filter(|(node, seen)| is_same(before, *node, seen)) {
        verdict.judge(!seen.members.contains_key(&leaver.origin), after.at, || {
            format!(
                "n{node} ({}) still has {} of n{} for a member ({:?}) at {} ms, which left at {left_at} ms",
                seen.origin,
                leaver.origin,
                leaver.node,
                seen.members.get(&leaver.origin),
                after.at
            )
        });
        let known = seen.knows(leaver.origin).unwrap_or_default();
        verdict.judge(known >= written, after.at, || {
            format!(
                "n{node} ({}) knows {known} operations of {} of n{}, which left in order at {left_at} ms and had answered for {written}",
                seen.origin, leaver.origin, leaver.node
            )
        });
    }
}

/// Whether somebody who leaves holds a node for Down that it may have asked to pop something and that has not said what it popped.
fn awaits_the_dead(history: &History, leaver: &Process, before: &Sample) -> bool {
    let holds_for_down = |sample: &&Sample, dead: Origin| {
        let seen = sample.nodes[leaver.node].as_ref().filter(|seen| seen.origin == leaver.origin);
        seen.is_some_and(|seen| seen.members.get(&dead) == Some(&MemberState::Down))
    };
    let pops: Vec<&Asked> = history.asked.iter().filter(|asked| is_pop_of(asked, leaver.origin)).collect();
    before.nodes[leaver.node].iter().flat_map(|seen| seen.members.keys()).any(|&dead| {
        let down = history.until(before.at).iter().rev().take_while(|sample| holds_for_down(sample, dead));
        let died = history.ended(dead).unwrap_or_default();
        // Who is Down already is not asked, and who was answered before the death was answered by whom it had asked.
        let may_have_asked_it = |pop: &&Asked, down_at: u64| {
            pop.at <= down_at && !matches!(pop.answer, Some((answered, Ok(_))) if answered < died)
        };
        down.last().is_some_and(|first| pops.iter().any(|pop| may_have_asked_it(pop, first.at)))
    })
}

fn is_pop_of(asked: &Asked, process: Origin) -> bool {
    asked.process == Some(process) && words::command(&asked.ask).is_some_and(|command| words::is_pop(&command))
}

/// Whether it was answered by this process, before it left, that something was written.
fn is_answered_by(asked: &Asked, process: Origin, left_at: u64) -> bool {
    asked.process == Some(process) && matches!(asked.answer, Some((at, Ok(_))) if at <= left_at)
}

fn is_same(before: &Sample, node: usize, seen: &Seen) -> bool {
    !seen.paused && before.nodes[node].as_ref().is_some_and(|former| former.origin == seen.origin)
}
