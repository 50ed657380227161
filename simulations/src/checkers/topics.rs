//! G7: a subscription hears what was published to its topic, of each publisher in order, each message at most once; and what it does not hear was
//! counted.
//!
//! A message is lost without a count only when it had to come: its subscription was confirmed before and lived on, on a process that was
//! quietly together with the publisher's around that time. How many messages were dropped is known from `Gap` events and from the counts of
//! all nodes (`messages_dropped`). Messages are told apart by their words; one that was published twice is judged by how often.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Command, Event};
use headcount_cluster::Origin;

use super::Verdict;
use super::stability::is_quiet;
use crate::history::{Asked, Heard, History};
use crate::model::words;
use crate::plan::Ask;

/// How long a message may be under way, and how long before its end a subscription is sure to hear.
const UNDER_WAY_MS: u64 = 3_000;

/// A message, in the order of publishing.
struct Published<'a> {
    asked: &'a Asked,
    topic: Bytes,
    message: Bytes,
    /// When it was; a command is asked a moment before it is carried out.
    at: u64,
}

/// A subscription while it lasted.
struct Subscribed<'a> {
    asked: &'a Asked,
    topic: &'a str,
    /// Which of its client's to the topic it is.
    number: u32,
    confirmed: Option<u64>,
    ended: u64,
}

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("G7", "topics: FIFO, at most once, no duplicates; every loss is counted");
    let published: Vec<Published> = history.asked.iter().filter_map(publication).collect();
    let mut heard: BTreeMap<(u32, &str, u32), Vec<&Heard>> = BTreeMap::new();
    for one in &history.heard {
        heard.entry((one.client, &one.topic, one.subscription)).or_default().push(one);
    }
    for events in heard.values() {
        judge_heard(&published, events, &mut verdict);
    }
    judge_losses(history, &published, &heard, &mut verdict);
    verdict
}

fn publication(asked: &Asked) -> Option<Published<'_>> {
    let (Some(Command::Publish { topic, message }), Some(_)) = (words::command(&asked.ask), asked.process) else {
        return None;
    };
    let at = asked.answer.as_ref().map_or(asked.at, |(at, _)| *at);
    Some(Published { asked, topic, message, at })
}

/// Nothing invented, nothing twice, each publisher's in order.
fn judge_heard(published: &[Published], events: &[&Heard], verdict: &mut Verdict) {
    let mut last: BTreeMap<Origin, usize> = BTreeMap::new();
    let mut times: BTreeMap<&Bytes, usize> = BTreeMap::new();
    for heard in events {
        let Event::Message { topic, payload, .. } = &heard.event else { continue };
        let same: Vec<usize> = published
            .iter()
            .enumerate()
            .filter(|(_, one)| one.message == *payload && one.topic == *topic && topic == heard.topic.as_bytes())
            .filter(|(_, one)| one.asked.at <= heard.at)
            .map(|(index, _)| index)
            .collect();
        let who = || {
            format!(
                "client {} on n{} hears {payload:?} on {:?} (its {}th subscription)",
                heard.client, heard.node, heard.topic, heard.subscription
            )
        };
        let count = times.entry(payload).or_default();
        *count += 1;
        verdict.judge(!same.is_empty(), heard.at, || format!("{}, which nobody has published there", who()));
        verdict.judge(same.is_empty() || *count <= same.len(), heard.at, || {
            format!("{} {count} times, and it was published {} times", who(), same.len())
        });
        let [index] = same[..] else { continue };
        let Some(author) = published[index].asked.process else { continue };
        let former = last.insert(author, index);
        verdict.judge(
            former.is_none_or(|former| former < index || published[former].message == *payload),
            heard.at,
            || {
                let former = former.map(|former| &published[former].message);
                format!("{} after {former:?}, which {author} published later", who())
            },
        );
    }
}

/// What had to come and did not is counted somewhere.
fn judge_losses(
    history: &History,
    published: &[Published],
    heard: &BTreeMap<(u32, &str, u32), Vec<&Heard>>,
    verdict: &mut Verdict,
) {
    let subscriptions = subscriptions(history);
    // What a publisher dropped for a peer is counted once, and missed by all its subscriptions.
    let dropped = dropped(history) * most_on_one_process(&subscriptions);
    let mut lost_in_all = 0;
    for subscribed in subscriptions {
        let events =
            heard.get(&(subscribed.asked.client, subscribed.topic, subscribed.number)).map_or(&[][..], |events| events);
        let gaps: u64 = events
            .iter()
            .map(|heard| if let Event::Gap { missed: Some(missed) } = heard.event { missed } else { 0 })
            .sum();
        let due = published.iter().filter(|one| is_due(history, one, &subscribed));
        let is_heard = |one: &Published| {
            events.iter().any(|heard| matches!(&heard.event, Event::Message { payload, .. } if *payload == one.message))
        };
        let (mut missed, mut first) = (0, None);
        for one in due {
            verdict.judge(true, one.at, String::new);
            if !is_heard(one) {
                missed += 1;
                first.get_or_insert(one);
            }
        }
        let Some(first) = first.filter(|_| missed > gaps) else { continue };
        lost_in_all += missed - gaps;
        if lost_in_all > dropped {
            verdict.breach(first.at, || {
                format!(
                    "client {} on n{} subscribed to {:?} at {} ms and missed {missed} messages that had to come; its gaps say {gaps}, and all nodes have \
                     counted {dropped} as dropped; the first was `{}` by client {} on n{} at {} ms",
                    subscribed.asked.client,
                    subscribed.asked.node,
                    subscribed.topic,
                    subscribed.asked.at,
                    first.asked.ask,
                    first.asked.client,
                    first.asked.node,
                    first.at
                )
            });
        }
    }
}

/// The most subscriptions that a process ever had to one topic.
fn most_on_one_process(subscriptions: &[Subscribed]) -> u64 {
    let mut counts: BTreeMap<(Option<Origin>, &str), u64> = BTreeMap::new();
    for subscribed in subscriptions {
        *counts.entry((subscribed.asked.process, subscribed.topic)).or_default() += 1;
    }
    counts.into_values().max().unwrap_or(0)
}

/// Messages that all processes have dropped, each as last seen; what subscribers were told is among them.
fn dropped(history: &History) -> u64 {
    let mut counts: BTreeMap<Origin, u64> = BTreeMap::new();
    for sample in &history.samples {
        for (_, seen) in sample.running() {
            counts.insert(seen.origin, seen.stats.messages_dropped);
        }
    }
    let told: u64 = history
        .heard
        .iter()
        .map(|heard| if let Event::Gap { missed: Some(missed) } = heard.event { missed } else { 0 })
        .sum();
    counts.values().sum::<u64>().saturating_sub(told)
}

fn is_due(history: &History, published: &Published, subscribed: &Subscribed) -> bool {
    published.topic == subscribed.topic.as_bytes()
        && published.asked.answer.is_some()
        && subscribed.confirmed.is_some_and(|confirmed| confirmed < published.asked.at)
        && published.at + UNDER_WAY_MS < subscribed.ended
        && is_quiet(
            history,
            subscribed.confirmed.unwrap_or(0).max(published.at.saturating_sub(UNDER_WAY_MS)),
            published.at + UNDER_WAY_MS,
        )
        && is_quiet(history, subscribed.asked.at, subscribed.confirmed.unwrap_or(0))
}

/// All subscriptions, and when they ended.
fn subscriptions(history: &History) -> Vec<Subscribed<'_>> {
    let mut numbers: BTreeMap<(u32, &str), u32> = BTreeMap::new();
    let end = history.samples.last().map_or(0, |last| last.at);
    let mut found = Vec::new();
    for (index, asked) in history.asked.iter().enumerate() {
        let (Ask::Subscribe { topic }, Some(process)) = (&asked.ask, asked.process) else { continue };
        let number = numbers.entry((asked.client, topic)).or_default();
        let ends = |later: &&Asked| {
            later.client == asked.client && matches!(&later.ask, Ask::Unsubscribe { topic: of } if of == topic)
        };
        let unsubscribed = history.asked[index..].iter().find(ends).map(|later| later.at);
        let died = history.ended(process);
        found.push(Subscribed {
            asked,
            topic,
            number: *number,
            confirmed: asked.answer.as_ref().filter(|(_, answer)| answer.is_ok()).map(|(at, _)| *at),
            ended: unsubscribed.unwrap_or(end).min(died.map_or(end, |died| heard_until(history, asked.client, died))),
        });
        *number += 1;
    }
    found
}

/// Until when a client reads what reaches a process that died: one that had stopped reading takes with it what it did not read.
fn heard_until(history: &History, client: u32, died: u64) -> u64 {
    let of_client = history.asked.iter().filter(|asked| asked.client == client && asked.at <= died);
    let habits = of_client.filter(|asked| matches!(asked.ask, Ask::Dawdle | Ask::Listen));
    let mut stopped = None;
    for habit in habits {
        stopped = if habit.ask == Ask::Dawdle { stopped.or(Some(habit.at)) } else { None };
    }
    stopped.unwrap_or(died)
}

/// The topics that somebody is subscribed to at the end, by process, and how many such subscriptions each process has.
pub(super) fn live(history: &History) -> BTreeMap<Origin, Vec<&str>> {
    let end = history.samples.last().map_or(0, |last| last.at);
    let mut live: BTreeMap<Origin, Vec<&str>> = BTreeMap::new();
    for subscribed in subscriptions(history) {
        let has_begun = subscribed.confirmed.is_some();
        if let Some(process) = subscribed.asked.process.filter(|_| has_begun && subscribed.ended >= end) {
            let now = history.lineage(process).last().copied().unwrap_or(process);
            live.entry(now).or_default().push(subscribed.topic);
        }
    }
    live
}
