//! What must happen sometimes: a swarm in which it never does tests less than it says.
//!
//! A checker finds nothing in a history in which nothing happens. So each history is asked what occurred in it, and a swarm that is large enough
//! fails when something of this never did: a kind of fault that drew no blood, a snapshot that nobody loaded.

mod partitions;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use headcount::{Error, Event, MemberState, Origin, Reply};

use self::partitions::Partition;
use crate::history::{Asked, End, Heard, History, Process, Seen, Shown};
use crate::plan::{Ask, FaultKind, Via};

/// Something that occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occurrence {
    /// A fault of this kind did something.
    Fault(FaultKind),
    /// One node and all others did not hear each other.
    OneCutOff,
    /// The nodes were in two halves that did not hear each other.
    Halved,
    /// Some were heard by others whom they did not hear.
    OneWay,
    /// A process started where one had died, while the nodes were in two parts.
    StartedInParts,
    /// Every node died or left and started again.
    AllRestarted,
    /// A process died, and none followed it.
    DiedForEver,
    /// A subscriber did not read.
    Dawdled,
    /// A node was held for Down, so its rows were hidden.
    Hidden,
    /// A node served operations that a peer had missed.
    Repaired,
    /// A node loaded a snapshot.
    SnapshotLoaded,
    /// A node that was given up came back under a new incarnation.
    Reincarnated,
    /// A call to a home took so long that it must have been repeated or gone to another home.
    HomedCallRetried,
    /// A call to a home was refused, to be tried again.
    TriedAgain,
    /// Two `SET NX` of one key, one of which was refused.
    LockRefused,
    /// A blocked pop got an element.
    BlockedPopServed,
    /// A wait was given up.
    GivenUp,
    /// A subscriber heard of a gap.
    GapHeard,
    /// Messages were dropped because somebody was slow.
    MessagesDropped,
    /// A key had rows of two types.
    TypeConflict,
    /// A command found the wrong type.
    WrongType,
    /// A key expired.
    Expired,
    /// A write was refused for want of memory.
    OutOfMemory,
    /// More was open at a time than a node takes.
    CapMet,
    /// A write was not confirmed in time.
    NotConfirmed,
    /// A session ended.
    SessionEnded,
    /// A stamp was from too far ahead.
    ClockAhead,
    /// A process died with questions open.
    DiedWhileAsked,
    /// A compare-and-set replaced what it expected.
    Exchanged,
    /// A compare-and-set found something else.
    ExchangeRefused,
    /// A lock with a life was taken.
    LockTaken,
    /// Somebody was told of changes.
    Watched,
    /// Somebody who is told of changes was told that some are missing. Too seldom to be demanded of any swarm.
    WatchGap,
    /// Somebody is present under a topic.
    Tracked,
    /// A message came by a pattern.
    PatternHeard,
}

/// What any swarm must see, faults of all kinds apart.
const EVENTS: [Occurrence; 33] = [
    Occurrence::OneCutOff,
    Occurrence::Halved,
    Occurrence::OneWay,
    Occurrence::StartedInParts,
    Occurrence::AllRestarted,
    Occurrence::DiedForEver,
    Occurrence::Dawdled,
    Occurrence::Hidden,
    Occurrence::Repaired,
    Occurrence::SnapshotLoaded,
    Occurrence::Reincarnated,
    Occurrence::HomedCallRetried,
    Occurrence::TriedAgain,
    Occurrence::LockRefused,
    Occurrence::BlockedPopServed,
    Occurrence::GivenUp,
    Occurrence::GapHeard,
    Occurrence::MessagesDropped,
    Occurrence::TypeConflict,
    Occurrence::WrongType,
    Occurrence::Expired,
    Occurrence::OutOfMemory,
    Occurrence::CapMet,
    Occurrence::NotConfirmed,
    Occurrence::SessionEnded,
    Occurrence::ClockAhead,
    Occurrence::DiedWhileAsked,
    Occurrence::Exchanged,
    Occurrence::ExchangeRefused,
    Occurrence::LockTaken,
    Occurrence::Watched,
    Occurrence::Tracked,
    Occurrence::PatternHeard,
];

/// All that there is.
pub fn all() -> BTreeSet<Occurrence> {
    FaultKind::ALL.into_iter().map(Occurrence::Fault).chain(EVENTS).collect()
}

/// How often each occurred in a history. Those that did not are not there.
pub fn in_history(history: &History) -> BTreeMap<Occurrence, u64> {
    let mut counts: BTreeMap<Occurrence, u64> = BTreeMap::new();
    for (kind, count) in &history.occurred {
        counts.insert(Occurrence::Fault(*kind), *count);
    }
    let seen = || history.samples.iter().flat_map(|sample| sample.nodes.iter().flatten());
    let mut at_some_time = |occurrence, count| {
        if count > 0 {
            counts.insert(occurrence, count);
        }
    };
    let most = |of: fn(&Seen) -> u64| seen().map(of).max().unwrap_or_default();
    at_some_time(
        Occurrence::Hidden,
        most(|seen| seen.members.values().filter(|state| is_down(**state)).count() as u64),
    );
    at_some_time(Occurrence::Repaired, most(|seen| seen.stats.repaired_ops));
    at_some_time(Occurrence::SnapshotLoaded, most(|seen| seen.stats.snapshots_loaded));
    at_some_time(Occurrence::MessagesDropped, most(|seen| seen.stats.messages_dropped));
    at_some_time(Occurrence::TypeConflict, most(|seen| seen.stats.type_conflicts as u64));
    at_some_time(Occurrence::ClockAhead, most(|seen| seen.stats.clocks_ahead));
    let reborn = history.processes.iter().filter(|process| matches!(process.until, Some((_, End::Reincarnated))));
    at_some_time(Occurrence::Reincarnated, reborn.count() as u64);
    let gaps = history.heard.iter().filter(|heard| matches!(heard.event, Event::Gap { .. }));
    at_some_time(Occurrence::GapHeard, gaps.count() as u64);
    let by_pattern = |heard: &&Heard| matches!(heard.event, Event::Message { pattern: Some(_), .. });
    at_some_time(Occurrence::PatternHeard, history.heard.iter().filter(by_pattern).count() as u64);
    let watched = history.copied.iter().filter(|copied| copied.known != Shown::Missing);
    at_some_time(Occurrence::Watched, watched.count() as u64);
    at_some_time(Occurrence::WatchGap, history.copied.iter().map(|copied| copied.gaps).sum());
    at_some_time(Occurrence::DiedWhileAsked, died_while_asked(history));
    let partitions = partitions::of(&history.plan);
    let parted = |wanted: &dyn Fn(&Partition) -> bool| partitions.iter().filter(|one| wanted(one)).count() as u64;
    at_some_time(Occurrence::OneCutOff, parted(&|one| !one.is_one_way && one.smaller == 1));
    at_some_time(Occurrence::Halved, parted(&|one| !one.is_one_way && one.smaller == history.plan.nodes / 2));
    at_some_time(Occurrence::OneWay, parted(&|one| one.is_one_way));
    at_some_time(Occurrence::StartedInParts, started_in_parts(history, &partitions));
    let starts = |node: usize| restarts(history).filter(|process| process.node == node).count() as u64;
    at_some_time(Occurrence::AllRestarted, (0..history.plan.nodes).map(starts).min().unwrap_or_default());
    at_some_time(Occurrence::DiedForEver, died_for_ever(history));
    for occurrence in history.asked.iter().flat_map(of_asked) {
        *counts.entry(occurrence).or_default() += 1;
    }
    at_some_time_expired(history, &mut counts);
    counts
}

/// Processes that started during the storm where another had died or left.
fn restarts(history: &History) -> impl Iterator<Item = &Process> {
    let has_ended = |process: &Process, by: u64| {
        process.until.is_some_and(|(at, end)| at <= by && matches!(end, End::Died | End::Left))
    };
    history.processes.iter().filter(move |process| {
        let mut former =
            history.processes.iter().filter(|other| other.node == process.node && other.from < process.from);
        process.from < history.calm_at && former.next_back().is_some_and(|other| has_ended(other, process.from))
    })
}

fn started_in_parts(history: &History, partitions: &[Partition]) -> u64 {
    let is_during = |process: &&Process| {
        partitions.iter().any(|one| !one.is_one_way && (one.from_ms..one.until_ms).contains(&process.from))
    };
    restarts(history).filter(is_during).count() as u64
}

fn died_for_ever(history: &History) -> u64 {
    let last = |node: usize| history.processes.iter().rfind(|process| process.node == node);
    let is_dead = |process: &&Process| matches!(process.until, Some((_, End::Died)));
    (0..history.plan.nodes).filter_map(last).filter(is_dead).count() as u64
}

fn is_down(state: MemberState) -> bool {
    matches!(state, MemberState::Down)
}

/// What was asked of a process that died before it answered.
fn died_while_asked(history: &History) -> u64 {
    let died =
        |process: &Process| process.until.filter(|(_, end)| *end == End::Died).map(|(at, _)| (process.origin, at));
    let died: BTreeMap<Origin, u64> = history.processes.iter().filter_map(died).collect();
    let open = |asked: &&Asked| {
        let death = asked.process.and_then(|process| died.get(&process));
        asked.answer.is_none() && death.is_some_and(|at| asked.given_up.is_none_or(|given_up| given_up >= *at))
    };
    history.asked.iter().filter(open).count() as u64
}

/// A call to a home that took longer than this, and was answered all the same, did not go as it should.
const LONG_CALL_MS: u64 = 1_000;

fn of_asked(asked: &Asked) -> Vec<Occurrence> {
    let mut occurred = Vec::new();
    if asked.given_up.is_some() {
        occurred.push(Occurrence::GivenUp);
    }
    let Ask::Command { via, words } = &asked.ask else {
        if matches!(asked.ask, Ask::EndSession) && asked.wrote.is_some() {
            occurred.push(Occurrence::SessionEnded);
        }
        let answer = asked.answer.as_ref().and_then(|(_, answer)| answer.as_ref().ok());
        match (&asked.ask, answer) {
            (Ask::CompareAndSet { .. }, Some(Reply::Integer(0))) => occurred.push(Occurrence::ExchangeRefused),
            (Ask::CompareAndSet { .. }, Some(_)) => occurred.push(Occurrence::Exchanged),
            (Ask::Track { .. }, Some(_)) => occurred.push(Occurrence::Tracked),
            _ => {}
        }
        if matches!(asked.ask, Ask::Dawdle) && asked.answer.is_some() {
            occurred.push(Occurrence::Dawdled);
        }
        return occurred;
    };
    let Some((at, answer)) = &asked.answer else { return occurred };
    let took = at - asked.at;
    let name = words.split(' ').next().unwrap_or_default();
    let blocks = matches!(name, "BLPOP" | "BRPOP");
    let homed = matches!(name, "LPOP" | "RPOP" | "GETSET") || words.ends_with(" NX") || *via == Via::Homed;
    match answer {
        Ok(Reply::Ok) if words.contains(" NX EX ") => occurred.push(Occurrence::LockTaken),
        Ok(Reply::Nil) if words.ends_with(" NX") => occurred.push(Occurrence::LockRefused),
        Ok(Reply::Array(_)) if blocks => occurred.push(Occurrence::BlockedPopServed),
        Err(Error::WrongType { .. }) => occurred.push(Occurrence::WrongType),
        Err(Error::OutOfMemory { .. }) => occurred.push(Occurrence::OutOfMemory),
        Err(Error::TooMany { .. }) => occurred.push(Occurrence::CapMet),
        Err(Error::NotConfirmed { .. }) => occurred.push(Occurrence::NotConfirmed),
        Err(Error::TryAgain(_)) => occurred.push(Occurrence::TriedAgain),
        Ok(_) | Err(_) => {}
    }
    if homed && answer.is_ok() && took > LONG_CALL_MS {
        occurred.push(Occurrence::HomedCallRetried);
    }
    occurred
}

/// Keys under `once:` are only ever set with a deadline: who finds nothing where the same node had something finds an expiry.
fn at_some_time_expired(history: &History, counts: &mut BTreeMap<Occurrence, u64>) {
    let mut held: BTreeSet<(Origin, &str)> = BTreeSet::new();
    for asked in &history.asked {
        let (Ask::Command { words, .. }, Some(process), Some((_, Ok(reply)))) =
            (&asked.ask, asked.process, &asked.answer)
        else {
            continue;
        };
        let mut parts = words.split(' ');
        let (Some(name), Some(key)) = (parts.next(), parts.next()) else { continue };
        match (name, reply) {
            ("SETEX" | "GET", Reply::Ok | Reply::Bulk(_)) if key.starts_with("once:") => {
                held.insert((process, key));
            }
            ("GET", Reply::Nil) if held.remove(&(process, key)) => {
                *counts.entry(Occurrence::Expired).or_default() += 1;
            }
            _ => {}
        }
    }
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fault(kind) if kind.is_met_by_messages() => {
                return write!(f, "fault: {}, each message that met it", kind.name());
            }
            Self::Fault(kind) => return write!(f, "fault: {}", kind.name()),
            Self::OneCutOff => "one node and all others did not hear each other",
            Self::Halved => "two halves did not hear each other",
            Self::OneWay => "some were heard by others whom they did not hear",
            Self::StartedInParts => "a process started while the nodes were in two parts",
            Self::AllRestarted => "every node was restarted",
            Self::DiedForEver => "a process died for ever",
            Self::Dawdled => "a subscriber did not read",
            Self::Hidden => "a node was held for Down",
            Self::Repaired => "missed operations were repaired",
            Self::SnapshotLoaded => "a snapshot was loaded",
            Self::Reincarnated => "a node came back under a new incarnation",
            Self::HomedCallRetried => "a call to a home took more than a second and was answered",
            Self::TriedAgain => "a call to a home was refused with TRYAGAIN",
            Self::LockRefused => "a SET NX was refused",
            Self::BlockedPopServed => "a blocked pop got an element",
            Self::GivenUp => "a wait was given up",
            Self::GapHeard => "a subscriber heard a Gap",
            Self::MessagesDropped => "messages were dropped and counted",
            Self::TypeConflict => "a key had rows of two types",
            Self::WrongType => "a command was refused with WRONGTYPE",
            Self::Expired => "a key expired",
            Self::OutOfMemory => "a write was refused for want of memory",
            Self::CapMet => "a subscription, call or blocked pop too many was refused",
            Self::NotConfirmed => "a write was not confirmed in time",
            Self::SessionEnded => "a session with rows ended",
            Self::ClockAhead => "a stamp was from too far ahead",
            Self::DiedWhileAsked => "a process died with a question open",
            Self::Exchanged => "a compare-and-set replaced what it expected",
            Self::ExchangeRefused => "a compare-and-set found something else",
            Self::LockTaken => "a SET NX EX took a lock",
            Self::Watched => "somebody was told of changes of a key or a topic's presence",
            Self::WatchGap => "a watcher heard a Gap",
            Self::Tracked => "somebody was tracked under a topic",
            Self::PatternHeard => "a message came by a pattern",
        })
    }
}
