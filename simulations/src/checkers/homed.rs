//! G6: what a key's home answers it answers once.
//!
//! - sums of counters that are only counted at their home, with steps of one sign, differ
//! - and grow by no more than was asked for in between
//! - each element that was pushed once is popped at most once, and what was popped and is left was pushed
//! - an element goes to who has waited longest for it
//! - of two `SET NX` of a key, only one wins, unless somebody asked for something in between that may have ended the first
//! - no two `GETSET` of a key return the same value, when it was written once
//! - whoever reads on the same process after his homed call was answered sees what it wrote
//!
//! That is promised for all times under `majority`, as long as not more than half of the nodes that were there ended in the time that two answers span
//! (all that had the first may be among those), nobody joined a split cluster in it, and nobody started where it reached none of them and went
//! on alone; under `any`, for answers between which nodes neither came nor went nor lost each other ([`is_quiet`]), and for those between which they only came
//! and went, and who was answered first lived on ([`super::handover`]).
//! An answer that says that the outcome is unknown may stand for any outcome, and so may a call that was never answered; one that says
//! `TRYAGAIN` had no effect.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headcount::{Command, Error, Reply};
use headcount_cluster::Origin;

use super::Verdict;
use super::handover::knows_the_first;
use super::stability::is_quiet;
use crate::history::{Asked, History, Sample, Seen, Shown};
use crate::model::words;
use crate::plan::{Ask, Fault, HomeRequires, Via};

/// Nodes are looked at at least as often as this.
const LOOKED_AT_EVERY_MS: u64 = 1_000;

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("G6", "the answer of a key's home is given once");
    let mut keys: BTreeMap<Bytes, Vec<(&Asked, Command)>> = BTreeMap::new();
    for asked in history.asked.iter().filter(|asked| asked.process.is_some()) {
        let Some(command) = words::command(&asked.ask) else { continue };
        for key in words::keys(&command) {
            keys.entry(key).or_default().push((asked, command.clone()));
        }
    }
    for (key, asks) in &keys {
        counters(history, key, asks, &mut verdict);
        elements(history, key, asks, &mut verdict);
        locks(history, key, asks, &mut verdict);
        swaps(history, key, asks, &mut verdict);
    }
    verdict
}

/// When something was asked and, if ever, answered.
fn span(asked: &Asked) -> (u64, u64) {
    (asked.at, asked.answer.as_ref().map_or(asked.at, |(at, _)| *at))
}

/// Whether two answers had to differ.
fn must_differ(history: &History, one: &Asked, other: &Asked) -> bool {
    let spans = (span(one), span(other));
    let (from, to) = (spans.0.0.min(spans.1.0), spans.0.1.max(spans.1.1));
    match history.plan.settings.home_requires {
        HomeRequires::Any => is_quiet(history, from, to) || knows_the_first(history, one, other, (from, to)),
        HomeRequires::Majority => is_quiet(history, from, to) || !lost_majority(history, from, to),
    }
}

/// Whether all that had an answer may have ended, or somebody joined while the cluster was split, or began another. Who was ready then was counted.
fn lost_majority(history: &History, from: u64, to: u64) -> bool {
    let before = history.samples.iter().rfind(|sample| sample.at <= from);
    let there: BTreeSet<Origin> = before
        .into_iter()
        .flat_map(Sample::running)
        .filter(|(_, seen)| seen.ready)
        .map(|(_, seen)| seen.origin)
        .collect();
    let ended = there.iter().filter(|origin| history.ended(**origin).is_some_and(|until| until <= to)).count();
    let joined = history.processes.iter().filter(|process| process.from <= to).any(|process| {
        let mut around = history
            .samples
            .iter()
            .filter(|sample| sample.at + 10_000 >= process.from && sample.at <= process.from + 10_000);
        let has_joined_late =
            process.from > from || history.samples.iter().all(|sample| sample.at > from || !sample.is_whole());
        has_joined_late && around.any(|sample| is_split(sample, process.origin))
    });
    2 * ended > there.len() || joined || has_another_root(history, &there, from, to)
}

/// Whether somebody was there, or became ready, who has met none of the others, nor anybody who has met them: it counts none of them.
fn has_another_root(history: &History, there: &BTreeSet<Origin>, from: u64, to: u64) -> bool {
    let Some(first) = there.first() else { return false };
    let mut rooted = acquaintances(history, *first, from);
    if !there.is_subset(&rooted) {
        return true;
    }
    for sample in history.samples.iter().filter(|sample| from < sample.at && sample.at <= to + LOOKED_AT_EVERY_MS) {
        for (_, seen) in sample.running().filter(|(_, seen)| seen.ready) {
            if rooted.contains(&seen.origin) {
                continue;
            }
            if !seen.members.keys().any(|member| rooted.contains(member)) {
                return true;
            }
            rooted.extend(history.lineage(seen.origin));
        }
    }
    false
}

/// All that somebody has met until then, and those whom these have met, with the origins under which they went on.
fn acquaintances(history: &History, one: Origin, until: u64) -> BTreeSet<Origin> {
    let met: Vec<&Seen> = history
        .samples
        .iter()
        .filter(|sample| sample.at <= until)
        .flat_map(Sample::running)
        .map(|(_, seen)| seen)
        .collect();
    let mut found: BTreeSet<Origin> = history.lineage(one).into_iter().collect();
    loop {
        let before = found.len();
        for seen in &met {
            let knows_some = found.contains(&seen.origin) || seen.members.keys().any(|member| found.contains(member));
            if knows_some {
                let both = seen.members.keys().chain([&seen.origin]);
                found.extend(both.flat_map(|origin| history.lineage(*origin)));
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Whether some other two nodes that run are not together.
fn is_split(sample: &Sample, joiner: Origin) -> bool {
    let mut others = sample.clone();
    for seen in &mut others.nodes {
        if seen.as_ref().is_some_and(|seen| seen.origin == joiner || !seen.ready) {
            *seen = None;
        }
    }
    !others.is_whole()
}

fn told(asked: &Asked) -> String {
    format!(
        "client {} on n{} (`{}` at {} ms, answered {:?})",
        asked.client, asked.node, asked.ask, asked.at, asked.answer
    )
}

/// Judges that no two answers are the same where they must differ.
fn all_differ<'a, T: Ord + std::fmt::Debug>(
    history: &History,
    key: &Bytes,
    answers: impl IntoIterator<Item = (T, &'a Asked)>,
    what: &str,
    verdict: &mut Verdict,
) {
    let mut first: BTreeMap<T, Vec<&Asked>> = BTreeMap::new();
    for (answer, asked) in answers {
        let same = first.entry(answer).or_default();
        let twin = same.iter().find(|other| must_differ(history, other, asked));
        verdict.judge(twin.is_none(), span(asked).1, || {
            format!(
                "{what} of {key:?} twice: to {}, and to {}",
                twin.map_or_else(String::new, |twin| told(twin)),
                told(asked)
            )
        });
        same.push(asked);
    }
}

/// Whether a command may change what a counter, a list or a lock of a key holds, other than through the home's own command.
fn is_read(command: &Command) -> bool {
    matches!(
        command,
        Command::Get { .. }
            | Command::Exists { .. }
            | Command::Ttl { .. }
            | Command::Llen { .. }
            | Command::Lrange { .. }
            | Command::Hget { .. }
            | Command::Hgetall { .. }
    )
}

fn counters(history: &History, key: &Bytes, asks: &[(&Asked, Command)], verdict: &mut Verdict) {
    let steps = |asked: &Asked, command: &Command| match (command, &asked.ask) {
        (Command::Incrby { by, .. }, Ask::Command { via: Via::Homed, .. }) => Some(*by),
        _ => None,
    };
    let only_counts =
        asks.iter().all(|(asked, command)| is_read(command) || steps(asked, command).is_some_and(|by| by > 0));
    if !only_counts {
        return;
    }
    let counts: Vec<&Asked> =
        asks.iter().filter(|(asked, command)| steps(asked, command).is_some()).map(|(asked, _)| *asked).collect();
    let sum = |asked: &Asked| if let Some((_, Ok(Reply::Integer(sum)))) = asked.answer { Some(sum) } else { None };
    let answered = counts.iter().filter_map(|asked| Some((sum(asked)?, *asked)));
    all_differ(history, key, answered, "one sum", verdict);
    growth(history, key, &counts, verdict);
    // A later read on the same process shows at least as much.
    for (asked, command) in asks {
        let (Command::Get { .. }, Some((at, Ok(reply)))) = (command, &asked.answer) else { continue };
        let shown =
            if let Reply::Bulk(value) = reply { headcount_presence::command::integer(value).ok() } else { None };
        let before = counts
            .iter()
            .filter(|count| count.process == asked.process && span(count).1 < *at && count.answer.is_some());
        let most = before.filter_map(|count| sum(count)).max();
        let is_seen = most.is_none_or(|most| shown.is_some_and(|shown| shown >= most));
        if let Some(most) = most
            && counts.iter().all(|count| must_differ(history, count, asked))
        {
            verdict.judge(is_seen, *at, || {
                format!("{} sees less than {most}, which its node had answered before", told(asked))
            });
        }
    }
}

/// How long a home may take to hear that a caller has given up.
const SETTLED_MS: u64 = 2_000;

/// Between two sums lies no more than what was asked for meanwhile: nothing was counted twice. What failed may have been counted until all held the same.
fn growth(history: &History, key: &Bytes, counts: &[&Asked], verdict: &mut Verdict) {
    let sum = |asked: &Asked| if let Some((_, Ok(Reply::Integer(sum)))) = asked.answer { Some(sum) } else { None };
    let whole: Vec<u64> = history
        .samples
        .iter()
        .filter(|sample| sample.is_whole() && sample.holds_the_same())
        .map(|sample| sample.at)
        .collect();
    let is_settled = |failed: u64, by: u64| whole.iter().any(|at| failed + SETTLED_MS <= *at && *at <= by);
    for later in counts {
        let Some(after) = sum(later) else { continue };
        let formers = counts.iter().filter(|former| sum(former).is_some() && span(former).1 < later.at);
        let Some(former) = formers.max_by_key(|former| span(former).1) else { continue };
        if !must_differ(history, former, later) {
            continue;
        }
        let (from, to) = (former.at, span(later).1);
        let may_count = |asked: &&&Asked| {
            let is_over = match asked.answer {
                Some((at, Ok(_) | Err(Error::TryAgain(_)))) => at < from,
                Some((at, Err(_))) => is_settled(at, from),
                None => false,
            };
            asked.at <= to && !is_over && !std::ptr::eq(**asked, *former)
        };
        let most: i64 = counts.iter().filter(may_count).map(|asked| step(asked)).sum();
        let before = sum(former).unwrap_or_default();
        verdict.judge(after - before <= most, to, || {
            format!("{key:?} grew by more than {most}, from {}, to {}", told(former), told(later))
        });
    }
}

/// What a command adds to a counter.
fn step(asked: &Asked) -> i64 {
    if let Some(Command::Incrby { by, .. }) = words::command(&asked.ask) { by } else { 0 }
}

/// How much longer somebody must have waited, and goes on waiting, for an element to have been his for sure.
const CLEARLY_MS: u64 = 1_000;

/// Who pops after having waited, while somebody else has waited for the same key for longer and goes on.
fn lines(history: &History, key: &Bytes, asks: &[(&Asked, Command)], verdict: &mut Verdict) {
    if history.plan.faults().any(|(_, fault)| matches!(fault, Fault::SetClock { .. })) {
        return;
    }
    let waits = |command: &Command| matches!(command, Command::Brpop { .. } | Command::Blpop { .. });
    let waiters: Vec<&Asked> = asks.iter().filter(|(_, command)| waits(command)).map(|(asked, _)| *asked).collect();
    for served in &waiters {
        let Some((at, _)) = served.answer.as_ref().filter(|_| popped(served, key).is_some()) else { continue };
        for passed in &waiters {
            let until = passed.answer.as_ref().map(|(until, _)| *until).or(passed.given_up);
            let is_before = passed.at + CLEARLY_MS < served.at && until.is_some_and(|until| until > at + CLEARLY_MS);
            if is_before && is_quiet(history, passed.at, *at) {
                verdict.breach(*at, || {
                    format!("an element of {key:?} went to {}, and not to {}", told(served), told(passed))
                });
            }
        }
    }
}

fn elements(history: &History, key: &Bytes, asks: &[(&Asked, Command)], verdict: &mut Verdict) {
    let is_queue = asks.iter().all(|(_, command)| {
        let is_pop = matches!(
            command,
            Command::Rpop { .. } | Command::Lpop { .. } | Command::Brpop { .. } | Command::Blpop { .. }
        );
        is_pop || is_read(command) || matches!(command, Command::Rpush { .. } | Command::Lpush { .. })
    });
    if !is_queue {
        return;
    }
    let mut pushed: BTreeMap<Bytes, Vec<&Asked>> = BTreeMap::new();
    for (asked, command) in asks {
        if let Command::Rpush { values, .. } | Command::Lpush { values, .. } = command {
            for value in values {
                pushed.entry(value.clone()).or_default().push(asked);
            }
        }
    }
    let popped: Vec<(Bytes, &Asked)> =
        asks.iter().filter_map(|(asked, _)| Some((popped(asked, key)?, *asked))).collect();
    if popped.is_empty() {
        return;
    }
    for (element, asked) in &popped {
        verdict.judge(pushed.contains_key(element), span(asked).1, || {
            format!("{element:?} was never pushed to {key:?}, and popped by {}", told(asked))
        });
    }
    let is_unique = |element: &Bytes| pushed.get(element).is_some_and(|pushes| pushes.len() == 1);
    let unique =
        popped.iter().filter(|(element, _)| is_unique(element)).map(|(element, asked)| (element.clone(), *asked));
    all_differ(history, key, unique, "one element", verdict);
    lines(history, key, asks, verdict);
    judge_rest(history, key, asks, &pushed, &popped, verdict);
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
fn judge_rest(
    history: &History,
    key: &Bytes,
    asks: &[(&Asked, Command)],
    pushed: &BTreeMap<Bytes, Vec<&Asked>>,
    popped: &[(Bytes, &Asked)],
    verdict: &mut Verdict,
) {
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
    if asks.iter().any(|(asked, command)| is_unknown_pop(history, asked, command)) {
        return;
    }
    let taken: BTreeSet<&Bytes> = popped.iter().map(|(element, _)| element).collect();
    for (element, pushes) in pushed {
        let is_written = pushes.iter().any(|push| push.wrote.is_some() && is_author_alive(push));
        if is_written {
            verdict.judge(left.contains(element) || taken.contains(element), last.at, || {
                format!(
                    "{element:?} was pushed to {key:?} by {}, nobody popped it, and it is not there",
                    told(pushes[0])
                )
            });
        }
    }
}

/// Whether it is not known what a pop took.
fn is_unknown_pop(history: &History, asked: &Asked, command: &Command) -> bool {
    let is_pop =
        matches!(command, Command::Rpop { .. } | Command::Lpop { .. } | Command::Brpop { .. } | Command::Blpop { .. });
    let is_known = match &asked.answer {
        Some((_, Ok(_) | Err(Error::TryAgain(_)))) => true,
        // Given up by its client, it is put back; by a process that died then, nobody knows.
        None => {
            let died = asked.process.and_then(|process| history.ended(process));
            let lived_on = |given_up: u64| died.is_none_or(|died| given_up + SETTLED_MS < died);
            asked.given_up.is_some_and(lived_on)
        }
        Some((_, Err(_))) => false,
    };
    is_pop && !is_known
}

fn locks(history: &History, key: &Bytes, asks: &[(&Asked, Command)], verdict: &mut Verdict) {
    let is_nx =
        |command: &Command| matches!(command, Command::Setnx { .. } | Command::Set { nx: true, seconds: None, .. });
    let is_won = |asked: &Asked| matches!(asked.answer, Some((_, Ok(Reply::Ok | Reply::Integer(1)))));
    let winners: Vec<&Asked> =
        asks.iter().filter(|(asked, command)| is_nx(command) && is_won(asked)).map(|(asked, _)| *asked).collect();
    // Anything else that writes may have ended it, from when it was asked; a removal travels until the calm is over.
    let ends: Vec<u64> =
        asks.iter().filter(|(_, command)| !is_nx(command) && !is_read(command)).map(|(asked, _)| asked.at).collect();
    for (index, one) in winners.iter().enumerate() {
        for other in &winners[index + 1..] {
            let to = span(one).1.max(span(other).1);
            if ends.iter().all(|end| *end > to) && must_differ(history, one, other) {
                verdict.breach(to, || format!("two won {key:?}: {}, and {}", told(one), told(other)));
            } else {
                verdict.judge(true, to, String::new);
            }
        }
        let from = span(one).1;
        for (read, command) in asks {
            let Command::Get { .. } = command else { continue };
            let Some((at, Ok(reply))) = &read.answer else { continue };
            if read.process == one.process
                && *at > from
                && ends.iter().all(|end| end > at)
                && must_differ(history, one, read)
            {
                verdict.judge(*reply != Reply::Nil, *at, || {
                    format!("{} does not see what {} had won", told(read), told(one))
                });
            }
        }
    }
}

fn swaps(history: &History, key: &Bytes, asks: &[(&Asked, Command)], verdict: &mut Verdict) {
    let is_swap = |command: &Command| matches!(command, Command::Getset { .. });
    if !asks.iter().all(|(_, command)| is_swap(command) || is_read(command)) {
        return;
    }
    let mut written: BTreeMap<Bytes, usize> = BTreeMap::new();
    for (_, command) in asks {
        if let Command::Getset { value, .. } = command {
            *written.entry(value.clone()).or_default() += 1;
        }
    }
    let returned = asks.iter().filter(|(_, command)| is_swap(command)).filter_map(|(asked, _)| match &asked.answer {
        Some((_, Ok(Reply::Bulk(value)))) if written.get(value) == Some(&1) => Some((Some(value.clone()), *asked)),
        Some((_, Ok(Reply::Nil))) => Some((None, *asked)),
        _ => None,
    });
    all_differ(history, key, returned, "one former value", verdict);
}
