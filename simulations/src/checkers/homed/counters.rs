//! Counters that are only counted at their homes, by steps of one sign: no sum is given twice, and sums grow by what was asked for.

use headcount::{Command, Error, Reply};

use super::excuses::{Excuses, span};
use super::{Key, all_differ, is_read, told};
use crate::checkers::Verdict;
use crate::history::Asked;
use crate::model::words;
use crate::plan::{Ask, Via};

/// How long a home may take to hear that a caller has given up.
const SETTLED_MS: u64 = 2_000;

pub(super) fn judge(excuses: &Excuses, key: &Key, verdict: &mut Verdict) {
    let steps = |asked: &Asked, command: &Command| match (command, &asked.ask) {
        (Command::Incrby { by, .. }, Ask::Command { via: Via::Homed, .. }) => Some(*by),
        _ => None,
    };
    let Some(asks) = key.commands() else { return };
    let only_counts =
        asks.iter().all(|(asked, command)| is_read(command) || steps(asked, command).is_some_and(|by| by > 0));
    if !only_counts {
        return;
    }
    let counts: Vec<&Asked> =
        asks.iter().filter(|(asked, command)| steps(asked, command).is_some()).map(|(asked, _)| *asked).collect();
    let answered = counts.iter().filter_map(|asked| Some((sum(asked)?, *asked)));
    all_differ(|one, other| excuses.must_differ(one, other), key.name, answered, "one sum", verdict);
    growth(excuses, key, &counts, verdict);
    let reads = asks.iter().filter(|(_, command)| matches!(command, Command::Get { .. }));
    for (read, _) in reads {
        shown(excuses, &counts, read, verdict);
    }
}

fn sum(asked: &Asked) -> Option<i64> {
    if let Some((_, Ok(Reply::Integer(sum)))) = asked.answer { Some(sum) } else { None }
}

/// Of those that were answered before then, who was answered most.
fn most<'a>(counts: &[&'a Asked], by: u64) -> Option<&'a Asked> {
    counts.iter().filter(|count| span(count).1 < by).max_by_key(|count| sum(count)).copied()
}

/// A later read on the same process shows at least as much; and so does any, once all have had the sum.
fn shown(excuses: &Excuses, counts: &[&Asked], read: &Asked, verdict: &mut Verdict) {
    let Some((at, Ok(reply))) = &read.answer else { return };
    let shown = if let Reply::Bulk(value) = reply { headcount_presence::command::integer(value).ok() } else { None };
    let mine: Vec<&Asked> = counts.iter().filter(|count| count.process == read.process).copied().collect();
    let own = most(&mine, *at).filter(|_| counts.iter().take(1).all(|first| excuses.must_differ(first, read)));
    let any = excuses.settled_before(read.at).and_then(|settled| most(counts, settled));
    let any = any.filter(|count| excuses.was_had_by(read, count));
    for count in [own, any].into_iter().flatten().filter(|count| sum(count).is_some()) {
        let expected = sum(count);
        verdict.judge(shown >= expected, *at, || {
            format!("{} sees less than {expected:?}, which had been answered before: to {}", told(read), told(count))
        });
    }
}

/// Between two sums lies what was asked for meanwhile: nothing was lost, and nothing was counted twice. The latter is judged while nobody was held for anything but
/// Up since all held the same: of a home that was cut off, what it had counted unheard comes to light later, though another has counted it too.
fn growth(excuses: &Excuses, key: &Key, counts: &[&Asked], verdict: &mut Verdict) {
    for later in counts {
        let Some(after) = sum(later) else { continue };
        // The highest of all, and the highest that all had.
        let settled = excuses.settled_before(later.at).unwrap_or_default();
        let highest = [later.at, settled].into_iter().filter_map(|by| most(counts, by));
        if let Some(former) = highest.into_iter().find(|former| excuses.must_differ(former, later)) {
            let least = sum(former).unwrap_or_default() + step(later);
            verdict.judge(after >= least, span(later).1, || {
                format!(
                    "{:?} has to be at least {least} after {}, and was not to {}",
                    key.name,
                    told(former),
                    told(later)
                )
            });
        }
        let formers = counts.iter().filter(|former| sum(former).is_some() && span(former).1 < later.at);
        let Some(former) = formers.max_by_key(|former| span(former).1) else { continue };
        let (from, to) = (former.at, span(later).1);
        let Some(since) = excuses.steady_since(from, to).filter(|_| excuses.must_differ(former, later)) else {
            continue;
        };
        let may_count = |asked: &&&Asked| {
            let is_over = match asked.answer {
                Some((at, Ok(_) | Err(Error::TryAgain(_)))) => at < from,
                Some((at, Err(_))) => at + SETTLED_MS <= since,
                None => false,
            };
            asked.at <= to && !is_over && !std::ptr::eq(**asked, *former)
        };
        let most: i64 = counts.iter().filter(may_count).map(|asked| step(asked)).sum();
        let before = sum(former).unwrap_or_default();
        verdict.judge(after - before <= most, to, || {
            format!("{:?} grew by more than {most}, from {}, to {}", key.name, told(former), told(later))
        });
    }
}

/// What a command adds to a counter.
fn step(asked: &Asked) -> i64 {
    if let Some(Command::Incrby { by, .. }) = words::command(&asked.ask) { by } else { 0 }
}
