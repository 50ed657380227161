//! Elements of lists that are only pushed and popped: each is given once, to who has waited longest, and none is lost.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headcount::node::LEAVE_DEADLINE;
use headcount::{Command, Error, Reply};

use super::excuses::{Excuses, span};
use super::{Done, Key, all_differ, done, is_read, told};
use crate::checkers::Verdict;
use crate::history::{Asked, Shown};
use crate::model::words;
use crate::plan::HomeRequires;

/// How long a home may take to hear that a caller has given up.
const SETTLED_MS: u64 = 2_000;

/// How long a process that leaves waits at most for what homes have to say.
const FLUSHES_WITHIN_MS: u64 = LEAVE_DEADLINE.as_millis() as u64 / 2;

/// A list that is only pushed to and popped from, and what came of it.
struct Queue<'a> {
    excuses: &'a Excuses<'a>,
    key: &'a Bytes,
    asks: Vec<(&'a Asked, &'a Command)>,
    pushed: BTreeMap<Bytes, Vec<&'a Asked>>,
    popped: Vec<(Bytes, &'a Asked)>,
}

pub(super) fn judge(excuses: &Excuses, key: &Key, verdict: &mut Verdict) {
    let (key, Some(asks)) = (key.name, key.commands()) else { return };
    let is_queue = asks.iter().all(|(_, command)| {
        words::is_pop(command) || is_read(command) || matches!(command, Command::Rpush { .. } | Command::Lpush { .. })
    });
    if !is_queue {
        return;
    }
    let mut pushed: BTreeMap<Bytes, Vec<&Asked>> = BTreeMap::new();
    for (asked, command) in &asks {
        if let Command::Rpush { values, .. } | Command::Lpush { values, .. } = command {
            for value in values {
                pushed.entry(value.clone()).or_default().push(asked);
            }
        }
    }
    let popped: Vec<(Bytes, &Asked)> =
        asks.iter().filter_map(|(asked, _)| Some((popped(asked, key)?, *asked))).collect();
    for (element, asked) in &popped {
        verdict.judge(pushed.contains_key(element), span(asked).1, || {
            format!("{element:?} was never pushed to {key:?}, and popped by {}", told(asked))
        });
    }
    let is_unique = |element: &Bytes| pushed.get(element).is_some_and(|pushes| pushes.len() == 1);
    let unique =
        popped.iter().filter(|(element, _)| is_unique(element)).map(|(element, asked)| (element.clone(), *asked));
    let returned: Vec<&Asked> =
        asks.iter().filter(|(asked, command)| may_be_returned(asked, command)).map(|(asked, _)| *asked).collect();
    let must_differ = |one: &Asked, other: &Asked| {
        // An element that was taken on two sides comes back for the one that nobody waits for any more.
        let comes_back =
            || returned.iter().any(|pop| pop.at <= span(other).1 && !excuses.must_differ_at_once(one, pop));
        excuses.must_differ_at_once(one, other) || excuses.must_differ(one, other) && !comes_back()
    };
    all_differ(must_differ, key, unique, "one element", verdict);
    let queue = Queue { excuses, key, asks, pushed, popped };
    lines(&queue, verdict);
    served(&queue, verdict);
    judge_rest(&queue, verdict);
}

/// Whether a pop may have taken something that is put back, because its caller did not get it.
fn may_be_returned(asked: &Asked, command: &Command) -> bool {
    let is_empty = matches!(asked.answer, Some((_, Ok(Reply::Nil))));
    words::is_pop(command) && (done(asked) != Done::Yes || is_empty)
}

fn is_blocking(command: &Command) -> bool {
    matches!(command, Command::Brpop { .. } | Command::Blpop { .. })
}

/// What a pop gave from this key.
fn popped(asked: &Asked, key: &Bytes) -> Option<Bytes> {
    match (words::command(&asked.ask)?, asked.answer.as_ref()?) {
        (Command::Rpop { .. } | Command::Lpop { .. }, (_, Ok(Reply::Bulk(value)))) => Some(value.clone()),
        (Command::Brpop { .. } | Command::Blpop { .. }, (_, Ok(Reply::Array(found)))) => {
            let found: Vec<Bytes> = found.iter().cloned().collect();
            (found.first() == Some(key)).then(|| found.get(1).cloned()).flatten()
        }
        _ => None,
    }
}

/// What is left at the end was not popped; and nothing that is neither left nor popped was lost, when every outcome is known and every pusher lives.
fn judge_rest(Queue { excuses, key, asks, pushed, popped }: &Queue, verdict: &mut Verdict) {
    let history = excuses.history;
    let Some(last) = history.samples.last().filter(|last| last.at >= history.calm_at && last.is_whole()) else {
        return;
    };
    let text = String::from_utf8_lossy(key).into_owned();
    let Some(seen) = last.running().next().map(|(_, seen)| seen) else { return };
    let left: BTreeSet<Bytes> = match seen.keys.get(&text) {
        Some(Shown::List(elements)) => elements.iter().cloned().collect(),
        _ => BTreeSet::new(),
    };
    let is_author_alive =
        |asked: &Asked| asked.process.is_some_and(|process| last.running().any(|(_, seen)| seen.origin == process));
    let is_quiet = history.processes.iter().all(|process| process.until.is_none());
    for (element, asked) in
        popped.iter().filter(|(element, _)| pushed.get(element).is_some_and(|pushes| pushes.len() == 1))
    {
        let had_to_stay_away =
            is_quiet || history.plan.settings.home_requires == HomeRequires::Majority && is_author_alive(asked);
        if had_to_stay_away {
            verdict.judge(!left.contains(element), last.at, || {
                format!("{element:?} is still in {key:?} and was popped by {}", told(asked))
            });
        }
    }
    let taken: BTreeSet<&Bytes> = popped.iter().map(|(element, _)| element).collect();
    // What a session pushed ends with it.
    let has_ended = |push: &Asked| history.ends_of_session(push).next().is_some();
    let stays = |push: &Asked| push.wrote.is_some() && is_author_alive(push) && !has_ended(push);
    let is_written = |pushes: &[&Asked]| pushes.iter().any(|push| stays(push));
    let is_missing = |element: &Bytes| !left.contains(element) && !taken.contains(element);
    let written = pushed.iter().filter(|(_, pushes)| is_written(pushes));
    let missing: Vec<(&Bytes, &Asked)> =
        written.filter(|(element, _)| is_missing(element)).map(|(element, pushes)| (element, pushes[0])).collect();
    // Each pop of which nobody knows what it took has taken one at most.
    let unknown = asks.iter().filter(|(asked, command)| is_unknown_pop(excuses, asked, command)).count();
    verdict.judge(missing.len() <= unknown, last.at, || {
        let lines: Vec<String> = missing.iter().map(|(element, push)| format!("{element:?} by {}", told(push))).collect();
        format!(
            "{} elements were pushed to {key:?} that nobody popped and that are not there, though only {unknown} pops may have taken one unheard: {}",
            missing.len(),
            lines.join("; ")
        )
    });
}

/// Whether it is not known what a pop took.
fn is_unknown_pop(excuses: &Excuses, asked: &Asked, command: &Command) -> bool {
    let history = excuses.history;
    // Given up by its client, it is put back; by a process that died then, or might not hear what was popped for it and died, nobody knows.
    let is_put_back = || {
        let died = asked.process.and_then(|process| history.ended(process));
        let lived_on = |given_up: u64| {
            let settled = given_up + SETTLED_MS;
            died.is_none_or(|died| settled < died && excuses.is_orderly(given_up, settled))
        };
        asked.given_up.is_some_and(lived_on)
    };
    words::is_pop(command) && (done(asked) == Done::Perhaps && !is_put_back() || is_left_behind(excuses, asked))
}

/// Whether a process may have left without hearing in time what was popped for it: its home died, or was hard to reach.
fn is_left_behind(excuses: &Excuses, asked: &Asked) -> bool {
    let Some((_, Err(Error::Closed))) = asked.answer else { return false };
    let left = asked.process.and_then(|process| excuses.history.ended(process));
    left.is_some_and(|left| !excuses.is_orderly(asked.done_at(), left + FLUSHES_WITHIN_MS))
}

/// How soon an element comes to who waits for it, while all is quiet.
const SERVED_MS: u64 = 5_000;

/// While all is quiet nobody waits beside an element that nobody takes, unless homes lack a majority.
fn served(Queue { excuses, key, asks, pushed, popped }: &Queue, verdict: &mut Verdict) {
    for (element, pushes) in pushed {
        let [push] = pushes[..] else { continue };
        let Some((at, Ok(_))) = push.answer else { continue };
        let until = at + SERVED_MS;
        let may_have_taken = |(asked, command): &(&Asked, &Command)| {
            words::is_pop(command) && asked.at <= until && done(asked) == Done::Perhaps && !is_blocking(command)
        };
        let is_taken =
            popped.iter().any(|(taken, by)| taken == element && span(by).1 <= until) || asks.iter().any(may_have_taken);
        if is_taken || !excuses.is_quiet(at, until) || !excuses.has_majority(at, until) {
            continue;
        }
        let waits = |asked: &Asked| {
            let ended = asked.answer.as_ref().map(|(ended, _)| *ended).or(asked.given_up).unwrap_or(u64::MAX);
            let lives =
                asked.process.is_some_and(|process| excuses.history.ended(process).is_none_or(|end| end > until));
            asked.begun.is_some_and(|begun| begun <= at) && ended > until && lives
        };
        let waiter = asks.iter().find(|(asked, command)| is_blocking(command) && waits(asked));
        verdict.judge(waiter.is_none(), until, || {
            let waiter = waiter.map(|(asked, _)| told(asked)).unwrap_or_default();
            format!("{element:?} stands in {key:?} since {at} ms, and beside it waits {waiter}")
        });
    }
}

/// How much longer somebody must have waited, and goes on waiting, for an element to have been his for sure.
const CLEARLY_MS: u64 = 1_000;

/// Who pops after having waited, while somebody else has waited for the same key for longer, by his own clock too, and goes on.
fn lines(Queue { excuses, key, asks, .. }: &Queue, verdict: &mut Verdict) {
    let began = |asked: &Asked| excuses.clocks.at(asked.node, asked.done_at());
    let waiters: Vec<&Asked> =
        asks.iter().filter(|(_, command)| is_blocking(command)).map(|(asked, _)| *asked).collect();
    for served in &waiters {
        let Some((at, _)) = served.answer.as_ref().filter(|_| popped(served, key).is_some()) else { continue };
        for passed in &waiters {
            let until = passed.answer.as_ref().map(|(until, _)| *until).or(passed.given_up);
            let is_before = passed.at + CLEARLY_MS < served.at && until.is_some_and(|until| until > at + CLEARLY_MS);
            let is_longer = is_before && began(passed).plus(CLEARLY_MS as i64).is_before(began(served));
            if is_longer && excuses.is_quiet(passed.at, *at) {
                verdict.breach(*at, || {
                    format!("an element of {key:?} went to {}, and not to {}", told(served), told(passed))
                });
            }
        }
    }
}
