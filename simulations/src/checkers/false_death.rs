//! G3: a live owner's rows are visible to whoever holds it for Up and has what it wrote; and to all within [`SHOWN_MS`] of the nodes being
//! together again after the storm, with links on which something passes.
//!
//! In the storm a link may hold up what passes and be up all the same, so that nothing is said about who has not heard yet; and for as long after it as
//! what was sent into a cut may wait to be sent again. Judged are rows that nobody asked to take away.

use headcount::MemberState;
use headcount_cluster::Origin;

use super::owned::{self, Glance, Owned};
use super::stability::LOOKED_AT_EVERY_MS;
use super::{Verdict, convergence};
use crate::history::{End, History, Process, Sample, Seen};
use crate::plan::Fault;

/// Within which time of the nodes being together a live owner's rows are visible everywhere.
const SHOWN_MS: u64 = 2_000;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("G3", "a live owner's rows are visible everywhere within 2 s of a heal");
    let owned: Vec<Owned> = owned::rows(history);
    let mut rows: Vec<Present> = owned.iter().filter_map(|owned| Present::of(history, owned)).collect();
    let mut together_since = None;
    for (index, sample) in history.samples.iter().enumerate() {
        if sample.at < history.calm_at + convergence::STALLED_MS || !sample.is_whole() {
            together_since = None;
        } else if together_since.is_none() {
            together_since = Some(sample.at);
        }
        let is_shown_everywhere = together_since.is_some_and(|since| sample.at >= since + SHOWN_MS);
        for row in rows.iter_mut().filter(|row| row.is_present(sample)) {
            for (node, seen) in sample.running().filter(|(_, seen)| !seen.paused) {
                let is_due = is_shown_everywhere && sample.at >= row.owned.by.at + SHOWN_MS;
                if is_due || row.was_known(history, index, node) {
                    let owned = row.owned;
                    verdict.judge(row.glance.is_shown(node, seen), sample.at, || hidden(owned, node, seen, is_due));
                }
            }
        }
    }
    for process in &history.processes {
        given_up(history, process, &mut verdict);
    }
    verdict
}

/// Who lives is given up only by somebody who has not heard of him for the whole grace time: a suspicion hides and destroys nothing. The first to give
/// up decides, and tells the others.
fn given_up<'a>(history: &'a History, process: &Process, verdict: &mut Verdict) {
    if matches!(process.until, Some((_, End::Left))) {
        return;
    }
    let runs = |sample: &Sample| sample.nodes[process.node].as_ref().is_some_and(|seen| seen.origin == process.origin);
    let held = |sample: &Sample, observer: &Seen, node: usize| {
        let then = sample.nodes[node].as_ref().filter(|then| then.origin == observer.origin)?;
        then.members.get(&process.origin).copied()
    };
    let gave_up = |index: usize| -> Vec<(usize, &Seen)> {
        let (before, sample) = (&history.samples[index - 1], &history.samples[index]);
        let observers = sample.running().filter(|(_, seen)| !seen.members.contains_key(&process.origin));
        observers.filter(|(node, seen)| held(before, seen, *node).is_some()).collect()
    };
    let mut lives = (1..history.samples.len()).filter(|index| runs(&history.samples[*index]));
    let Some((index, observers)) =
        lives.find_map(|index| Some((index, gave_up(index))).filter(|(_, of)| !of.is_empty()))
    else {
        return;
    };
    let at = history.samples[index].at;
    let silent_since = |(node, seen): &(usize, &Seen)| {
        let up = |sample: &&Sample| held(sample, seen, *node) == Some(MemberState::Up);
        history.samples[..index].iter().rfind(up).map_or(0, |sample| sample.at)
    };
    // Who knows his rows and has never met him gives him up too, when the grace has passed since its own start.
    let never_met = |(node, seen): &(usize, &Seen)| {
        history.samples[..=index].iter().all(|sample| held(sample, seen, *node).is_none())
    };
    let strangers = [index - 1, index].into_iter().flat_map(|index| history.samples[index].running());
    let started = strangers.filter(|one| one.1.origin != process.origin && never_met(one)).filter_map(|(_, seen)| {
        let goes_on = |other: &&Process| history.lineage(other.origin).contains(&seen.origin);
        history.processes.iter().find(goes_on).map(|other| other.from.saturating_sub(LOOKED_AT_EVERY_MS))
    });
    // And who has ended since the sample before, or left and was still there then, may have been the first.
    let has_ended = |other: &&Process| {
        let is_over = matches!(other.until, Some((until, end)) if until <= at && end != End::Reincarnated);
        is_over && other.was_there(history.samples[index - 1].at)
    };
    let last_seen = |other: &Process| {
        let seen = |sample: &'a Sample| sample.nodes[other.node].as_ref().filter(|seen| seen.origin == other.origin);
        Some((other.node, history.samples[..index].iter().rev().find_map(seen)?))
    };
    let ended = history.processes.iter().filter(has_ended).filter_map(last_seen);
    let ended: Vec<(usize, &Seen)> = ended.filter(|(_, seen)| seen.members.contains_key(&process.origin)).collect();
    let since = observers.iter().chain(&ended).map(silent_since).chain(started).min().unwrap_or(at);
    verdict.judge(at >= since + history.plan.settings.grace_ms, at, || {
        let nodes: Vec<usize> = observers.iter().map(|(node, _)| *node).collect();
        format!(
            "n{} ({}) lives, and nodes {nodes:?} gave it up, which had it Up at {since} ms",
            process.node, process.origin
        )
    });
}

/// A row that was written, and when nobody had asked for anything that may take it away.
struct Present<'a> {
    owned: &'a Owned<'a>,
    /// When it was answered.
    since: u64,
    /// When somebody asked, or the end of time.
    until: u64,
    /// When its author begins to end under the origin that wrote it: see [`begins_to_end`].
    author_until: u64,
    glance: Glance<'a>,
}

impl<'a> Present<'a> {
    fn of(history: &History, owned: &'a Owned<'a>) -> Option<Self> {
        let (since, _) = *owned.by.answer.as_ref()?;
        let author_until = owned.by.process.map_or(0, |author| begins_to_end(history, author));
        let until = owned.contested.unwrap_or(u64::MAX);
        Some(Self { owned, since, until, author_until, glance: Glance::at(&owned.row) })
    }

    /// Whether it is there, and its owner lives.
    fn is_present(&self, sample: &Sample) -> bool {
        sample.at > self.since
            && sample.at < self.until
            && sample.running().any(|(_, seen)| self.owned.owners.contains(&seen.origin))
    }

    /// Whether in this sample and in the one before, the node held the origin that wrote the row for Up and had what it wrote.
    fn was_known(&self, history: &History, index: usize, node: usize) -> bool {
        let Some(before) = index.checked_sub(1).map(|index| &history.samples[index]) else { return false };
        let sample = &history.samples[index];
        if sample.at < before.at + 200 || sample.at >= self.author_until {
            return false;
        }
        let (Some(before), Some(now)) = (&before.nodes[node], &sample.nodes[node]) else { return false };
        let (Some((_, seq)), Some(author)) = (self.owned.by.wrote, self.owned.by.process) else { return false };
        let knows = |seen: &Seen| {
            let is_up = seen.origin == author || seen.members.get(&author) == Some(&MemberState::Up);
            is_up && seen.vector.get(&author).is_some_and(|known| *known >= seq)
        };
        before.origin == now.origin && knows(before) && knows(now)
    }
}

/// Until when somebody runs under the same origin and has not begun to leave: who takes a new incarnation writes its rows again, and whoever has not
/// met that hides them until then.
fn begins_to_end(history: &History, origin: Origin) -> u64 {
    let Some(process) = history.processes.iter().find(|process| process.origin == origin) else { return 0 };
    match process.until {
        None => u64::MAX,
        Some((until, End::Died | End::Reincarnated)) => until,
        Some((until, End::Left)) => {
            let leaves = |(at, fault): &(u64, &Fault)| *at <= until && **fault == Fault::Leave { node: process.node };
            history.plan.faults().filter(leaves).last().map_or(0, |(at, _)| at)
        }
    }
}

fn hidden(owned: &Owned, node: usize, seen: &Seen, is_due: bool) -> String {
    let why = if is_due { "the nodes are together" } else { "it holds the owner for Up and knows the write" };
    format!(
        "n{node} ({}) does not show {:?}, which client {} wrote on n{} at {} ms and nobody took away, though {why}; owners {:?}, members {:?}",
        seen.origin, owned.row, owned.by.client, owned.by.node, owned.by.at, owned.owners, seen.members
    )
}
