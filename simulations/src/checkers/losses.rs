//! G7, of what is lost: a message that had to come and did not was counted where it was dropped, at that time.
//!
//! A message had to come when its subscription was confirmed before and lived on, on a process that was quietly together with the publisher's
//! around that time, whatever happened to others. Others can only have kept it waiting, for what its publisher had written before it and what that
//! depends on (`has_caught_up`). Two things may have become of it instead. A subscriber that is slow loses what waits for it: a `Gap` says how
//! many, and stands between what was heard before and after. Or the publisher's node had no room for the subscriber's, or that none for what it
//! still had to wait with: they count that for each peer, so that what was dropped for one excuses nothing at another, and what was dropped then
//! nothing at another time. A message that is dropped for a node is missed by all subscriptions there and is counted once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headcount::Event;
use headcount_cluster::Origin;

use super::Verdict;
use super::stability::Stability;
use super::topics::{Named, Published, Subscribed, subscriptions};
use crate::history::{Heard, History, Seen};

/// How long a message may be under way, and how long before its end a subscription is sure to hear.
const UNDER_WAY_MS: u64 = 3_000;

/// What was dropped at some time, and how much of it has explained nothing yet.
#[derive(Debug)]
struct Loss {
    /// When what was dropped may have been published.
    from: u64,
    to: u64,
    left: u64,
}

impl Loss {
    fn may_be(&self, one: &Published) -> bool {
        self.left > 0 && self.from <= one.at && one.asked.at <= self.to
    }
}

/// From which process to which.
type Direction = (Origin, Origin);

/// What had to come and did not is counted somewhere.
pub(super) fn judge(
    history: &History,
    published: &[Published],
    heard: &BTreeMap<Named, Vec<&Heard>>,
    verdict: &mut Verdict,
) {
    let stability = Stability::of(history);
    // Of each direction the messages that no gap explains, each with a subscription that misses it.
    let mut missed: BTreeMap<Direction, BTreeMap<usize, Subscribed>> = BTreeMap::new();
    let mut dropped: BTreeMap<Direction, Vec<Loss>> = BTreeMap::new();
    for subscribed in subscriptions(history) {
        let Some(subscriber) = subscribed.asked.process else { continue };
        let heard_by = (subscribed.asked.client, subscribed.sought, subscribed.number);
        let events = heard.get(&heard_by).map_or(&[][..], |events| events);
        let mut lost = Vec::new();
        let messages: BTreeSet<(&[u8], &Bytes)> = events.iter().filter_map(|heard| message(heard)).collect();
        for (index, one) in published.iter().enumerate().filter(|(_, one)| is_due(&stability, one, &subscribed)) {
            verdict.judge(true, one.at, String::new);
            let Some(author) = one.asked.process else { continue };
            let direction = (author, subscriber);
            dropped.entry(direction).or_insert_with(|| dropped_between(history, direction));
            if !messages.contains(&(&one.topic[..], &one.message)) {
                lost.push((index, direction));
            }
        }
        // What a node's own counts may explain waits for those: a gap may be all that explains another.
        lost.sort_by_key(|(index, direction)| {
            let is_counted = dropped[direction].iter().any(|loss| loss.may_be(&published[*index]));
            (is_counted, *index)
        });
        let mut gaps = gaps(events);
        for (index, direction) in lost {
            if !explains(&mut gaps, &published[index]) {
                missed.entry(direction).or_default().insert(index, subscribed.clone());
            }
        }
    }
    for (direction, missed) in missed {
        let losses = dropped.entry(direction).or_default();
        for (index, subscribed) in missed {
            let one = &published[index];
            if !explains(losses, one) {
                verdict.breach(one.at, || words(one, &subscribed, direction));
            }
        }
    }
}

/// Whether one of these losses may have been this message, the one that ends first, because others may explain more. It is used up.
fn explains(losses: &mut [Loss], one: &Published) -> bool {
    let first = losses.iter_mut().filter(|loss| loss.may_be(one)).min_by_key(|loss| loss.to);
    first.map(|loss| loss.left -= 1).is_some()
}

fn words(one: &Published, subscribed: &Subscribed, (author, at): Direction) -> String {
    format!(
        "client {} on n{} ({at}), subscribed to {:?} at {} ms, missed `{}` of {} ms by client {} on n{} ({author}), which had to come; no \
         gap says so, and what n{} has counted as dropped for n{} at that time is something else",
        subscribed.asked.client,
        subscribed.asked.node,
        subscribed.sought,
        subscribed.asked.at,
        one.asked.ask,
        one.at,
        one.asked.client,
        one.asked.node,
        one.asked.node,
        subscribed.asked.node,
    )
}

fn message(heard: &Heard) -> Option<(&[u8], &Bytes)> {
    if let Event::Message { topic, payload, .. } = &heard.event { Some((&topic[..], payload)) } else { None }
}

/// What a subscription was told to have missed: what came after it had read all there was, and before it was told.
fn gaps(events: &[&Heard]) -> Vec<Loss> {
    let mut found = Vec::new();
    let mut from = 0;
    for heard in events {
        if let Event::Gap { missed } = heard.event {
            found.push(Loss { from, to: heard.at, left: missed.unwrap_or(u64::MAX) });
        }
        from = heard.at.saturating_sub(UNDER_WAY_MS);
    }
    found
}

/// What one process counted as dropped for another, and the other as dropped of it.
fn dropped_between(history: &History, (publisher, subscriber): Direction) -> Vec<Loss> {
    let mut losses = counted(history, publisher, |seen| &seen.dropped_for, subscriber);
    losses.extend(counted(history, subscriber, |seen| &seen.dropped_of, publisher));
    losses
}

/// How a process's count of another grew between one look and the next.
fn counted(
    history: &History,
    by: Origin,
    counts: impl Fn(&Seen) -> &BTreeMap<Origin, u64>,
    other: Origin,
) -> Vec<Loss> {
    let (own, others) = (history.lineage(by), history.lineage(other));
    let Some(process) = history.processes.iter().find(|process| process.origin == by) else { return Vec::new() };
    let mut before: BTreeMap<Origin, u64> = BTreeMap::new();
    let (mut losses, mut looked_at) = (Vec::new(), 0);
    for sample in &history.samples {
        let seen = sample.nodes[process.node].as_ref().filter(|seen| own.contains(&seen.origin));
        let Some(seen) = seen else { continue };
        for (peer, count) in counts(seen).iter().filter(|(peer, _)| others.contains(peer)) {
            let former = before.insert(*peer, *count).unwrap_or_default();
            if *count > former {
                // What waited when its link broke was published before.
                let from = u64::saturating_sub(looked_at, UNDER_WAY_MS);
                losses.push(Loss { from, to: sample.at, left: count - former });
            }
        }
        looked_at = sample.at;
    }
    losses
}

/// Whether a subscription had to hear a message, or to be told that it did not.
fn is_due(stability: &Stability, published: &Published, subscribed: &Subscribed) -> bool {
    let Some(confirmed) = subscribed.confirmed else { return false };
    if !subscribed.sought.is_of(&published.topic)
        || published.asked.answer.is_none()
        || confirmed >= published.asked.at
        || published.at + UNDER_WAY_MS >= subscribed.ended
    {
        return false;
    }
    let (from, to) = (confirmed.max(published.at.saturating_sub(UNDER_WAY_MS)), published.at + UNDER_WAY_MS);
    stability.is_quiet_between(published.asked.node, subscribed.asked.node, from, to)
        && (has_caught_up(stability.history, published, subscribed, to) || stability.is_quiet_so_far(from, to))
}

/// Whether the subscriber's node had by then what the publisher had written before. Until it has, messages wait there, and are dropped with whatever
/// ends the waiting: that may be a third node's writes, of which somebody else has to tell.
fn has_caught_up(history: &History, published: &Published, subscribed: &Subscribed, by: u64) -> bool {
    let Some(author) = published.asked.process else { return false };
    let wrote = published.asked.saw.get(&author).copied().unwrap_or_default();
    let seen = history.until(by).last().and_then(|sample| sample.nodes[subscribed.asked.node].as_ref());
    seen.is_some_and(|seen| seen.vector.get(&author).copied().unwrap_or_default() >= wrote)
}
