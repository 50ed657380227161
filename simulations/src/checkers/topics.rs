//! G7: a subscription hears what was published to its topic, or to the topics of its pattern, of each publisher in order to each topic, each message at most
//! once; and what it does not hear was counted ([`losses`]). Messages are told apart by their words; one that was published twice is judged by how often.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headcount::{Command, Event};
use headcount_cluster::Origin;

use super::{Verdict, losses};
use crate::history::{Asked, Heard, History};
use crate::model::{glob, words};
use crate::plan::Ask;

/// A message, in the order of publishing.
pub(super) struct Published<'a> {
    pub(super) asked: &'a Asked,
    pub(super) topic: Bytes,
    pub(super) message: Bytes,
    /// When it was; a command is asked a moment before it is carried out.
    pub(super) at: u64,
}

/// What a subscription is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sought<'a> {
    Topic(&'a str),
    Pattern(&'a str),
}

/// A subscription as its client names it: which of those to the same.
pub(super) type Named<'a> = (u32, Sought<'a>, u32);

/// A subscription while it lasted.
#[derive(Clone)]
pub(super) struct Subscribed<'a> {
    pub(super) asked: &'a Asked,
    pub(super) sought: Sought<'a>,
    /// Which of its client's to the same it is.
    pub(super) number: u32,
    pub(super) confirmed: Option<u64>,
    pub(super) ended: u64,
}

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("G7", "topics: FIFO, at most once, no duplicates; every loss is counted");
    let published: Vec<Published> = history.asked.iter().filter_map(publication).collect();
    let mut heard: BTreeMap<Named, Vec<&Heard>> = BTreeMap::new();
    for one in &history.heard {
        heard.entry((one.client, Sought::by(one), one.subscription)).or_default().push(one);
    }
    for events in heard.values() {
        judge_heard(&published, events, &mut verdict);
    }
    losses::judge(history, &published, &heard, &mut verdict);
    verdict
}

pub(super) fn publication(asked: &Asked) -> Option<Published<'_>> {
    let (Some(Command::Publish { topic, message }), Some(_)) = (words::command(&asked.ask), asked.process) else {
        return None;
    };
    let at = asked.answer.as_ref().map_or(asked.at, |(at, _)| *at);
    Some(Published { asked, topic, message, at })
}

impl<'a> Sought<'a> {
    /// What somebody sought who heard something.
    fn by(heard: &'a Heard) -> Self {
        if heard.is_pattern { Self::Pattern(&heard.topic) } else { Self::Topic(&heard.topic) }
    }

    /// Whether it is what an ask begins a subscription to.
    fn of(ask: &'a Ask) -> Option<Self> {
        match ask {
            Ask::Subscribe { topic } => Some(Self::Topic(topic)),
            Ask::SubscribePattern { pattern } => Some(Self::Pattern(pattern)),
            _ => None,
        }
    }

    /// Whether something asked ends subscriptions to it. What was given up before the node took it does not; reading a pattern ends at once.
    fn is_ended_by(self, asked: &'a Asked) -> bool {
        let never_taken = asked.begun.is_none() && asked.given_up.is_some();
        match &asked.ask {
            Ask::Unsubscribe { topic } => self == Self::Topic(topic) && !never_taken,
            Ask::UnsubscribePattern { pattern } => self == Self::Pattern(pattern),
            _ => false,
        }
    }

    /// Whether messages of a topic are for it.
    pub(super) fn is_of(self, topic: &[u8]) -> bool {
        match self {
            Self::Topic(name) => name.as_bytes() == topic,
            Self::Pattern(pattern) => glob::matches(pattern.as_bytes(), topic),
        }
    }

    /// Whether a message that it brings has to name this pattern.
    fn names(self, pattern: Option<&Bytes>) -> bool {
        match self {
            Self::Topic(_) => pattern.is_none(),
            Self::Pattern(name) => pattern.is_some_and(|pattern| pattern == name.as_bytes()),
        }
    }
}

/// Nothing invented, nothing twice, each publisher's to a topic in order.
fn judge_heard(published: &[Published], events: &[&Heard], verdict: &mut Verdict) {
    let mut last: BTreeMap<(Origin, &Bytes), usize> = BTreeMap::new();
    let mut times: BTreeMap<&Bytes, usize> = BTreeMap::new();
    for heard in events {
        let Event::Message { topic, pattern, payload } = &heard.event else { continue };
        let sought = Sought::by(heard);
        let same: Vec<usize> = published
            .iter()
            .enumerate()
            .filter(|(_, one)| one.message == *payload && one.topic == *topic && sought.is_of(topic))
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
        verdict.judge(sought.names(pattern.as_ref()), heard.at, || format!("{}, as one of {pattern:?}", who()));
        verdict.judge(!same.is_empty(), heard.at, || format!("{}, which nobody has published there", who()));
        verdict.judge(same.is_empty() || *count <= same.len(), heard.at, || {
            format!("{} {count} times, and it was published {} times", who(), same.len())
        });
        let [index] = same[..] else { continue };
        let Some(author) = published[index].asked.process else { continue };
        let former = last.insert((author, topic), index);
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

/// All subscriptions, and when they ended.
pub(super) fn subscriptions(history: &History) -> Vec<Subscribed<'_>> {
    let mut numbers: BTreeMap<(u32, Sought), u32> = BTreeMap::new();
    let end = history.samples.last().map_or(0, |last| last.at);
    let mut found = Vec::new();
    for (index, asked) in history.asked.iter().enumerate() {
        let (Some(sought), Some(process)) = (Sought::of(&asked.ask), asked.process) else { continue };
        let number = numbers.entry((asked.client, sought)).or_default();
        let ends = |later: &&Asked| later.client == asked.client && sought.is_ended_by(later);
        let unsubscribed = history.asked[index..].iter().find(ends).map(|later| later.at);
        let died = history.ended(process);
        found.push(Subscribed {
            asked,
            sought,
            number: *number,
            confirmed: asked.answer.as_ref().filter(|(_, answer)| answer.is_ok()).map(|(at, _)| *at),
            ended: unsubscribed.unwrap_or(end).min(died.map_or(end, |died| heard_until(history, asked, process, died))),
        });
        *number += 1;
    }
    found
}

/// What keeps a client from reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hindrance {
    /// It does not want to.
    Dawdles,
    /// Its process stands still: reading is done there, so that who begins again meanwhile reads only once it goes on.
    StandsStill,
}

/// Until when a client reads what reaches a process that died: what it had not read by then goes with the process. To begin to read takes no time, but
/// a moment in which nothing keeps it from reading has to be more than an instant.
fn heard_until(history: &History, subscribed: &Asked, process: Origin, died: u64) -> u64 {
    let is_there = |asked: &&Asked| {
        let there = asked.process.map(|of| history.lineage(of));
        asked.at <= died && there.is_some_and(|there| there.last() == history.lineage(process).last())
    };
    let habits = history.asked.iter().filter(|asked| matches!(asked.ask, Ask::Dawdle | Ask::Listen));
    let habits = habits.filter(|asked| asked.client == subscribed.client).filter(is_there);
    let pauses = history.within(subscribed.at, died).iter().filter_map(|sample| {
        let seen = sample.nodes[subscribed.node].as_ref()?;
        Some((sample.at, Hindrance::StandsStill, seen.paused))
    });
    let mut changes: Vec<(u64, Hindrance, bool)> =
        habits.map(|asked| (asked.at, Hindrance::Dawdles, asked.ask == Ask::Dawdle)).chain(pauses).collect();
    changes.sort_by_key(|(at, ..)| *at);
    let (mut hindered, mut since, mut read_until) = (BTreeSet::new(), 0, 0);
    for (at, hindrance, is_so) in changes {
        if hindered.is_empty() && since < at {
            read_until = at;
        }
        if is_so {
            hindered.insert(hindrance)
        } else {
            hindered.remove(&hindrance)
        };
        since = at;
    }
    if hindered.is_empty() && since < died { died } else { read_until }
}

/// What somebody is subscribed to at the end, by process, and how many such subscriptions each process has.
pub(super) fn live(history: &History) -> BTreeMap<Origin, Vec<Sought<'_>>> {
    let end = history.samples.last().map_or(0, |last| last.at);
    let mut live: BTreeMap<Origin, Vec<Sought>> = BTreeMap::new();
    for subscribed in subscriptions(history) {
        let has_begun = subscribed.confirmed.is_some();
        if let Some(process) = subscribed.asked.process.filter(|_| has_begun && subscribed.ended >= end) {
            let now = history.lineage(process).last().copied().unwrap_or(process);
            live.entry(now).or_default().push(subscribed.sought);
        }
    }
    live
}
