//! Locks: `SET NX`, with or without a life, kept by compare-and-set. Of two only one has it, and the key says so.

use bytes::Bytes;
use headcount::{Command, Reply};

use super::excuses::{Excuses, span};
use super::{Done, Key, Question, done, told};
use crate::checkers::Verdict;
use crate::checkers::clocks::{Clocks, Shows};
use crate::history::{Asked, Shown};

/// Somebody who took the lock, or kept it.
struct Holder<'a> {
    asked: &'a Asked,
    value: Bytes,
    /// When his life of it ends by the clock of its home, whichever that is; `None` when it has none.
    deadline: Option<Shows>,
}

/// What may have ended a lock, from when until when.
type End = (u64, u64);

pub(super) fn judge<'a>(excuses: &Excuses, key: &Key<'a>, verdict: &mut Verdict) {
    let wants = |(asked, question): &(&'a Asked, Question)| taker(asked, question, &excuses.clocks);
    let takers: Vec<Holder> = key.asks.iter().filter_map(wants).collect();
    if takers.is_empty() {
        return;
    }
    let ends: Vec<End> = key.asks.iter().filter_map(|(asked, question)| end(asked, question)).collect();
    let locks = Locks { excuses, key, ends, takers: &takers };
    let is_held = |holder: &&Holder| done(holder.asked) == Done::Yes && won(holder.asked);
    let holders: Vec<&Holder> = takers.iter().filter(is_held).collect();
    for (index, one) in holders.iter().enumerate() {
        holders[index + 1..].iter().for_each(|other| locks.judge_two(one, other, verdict));
        key.asks.iter().for_each(|(read, question)| locks.judge_read(one, read, question, verdict));
        locks.judge_end(one, verdict);
    }
}

/// The life that is given to what is written.
fn life(question: &Question) -> Option<i64> {
    match question {
        Question::Command(Command::Set { seconds, .. }) | Question::CompareAndSet { seconds, .. } => *seconds,
        Question::Command(_) => None,
    }
}

/// Who asks for the lock: to take it when nobody has it, or to keep what is his.
fn taker<'a>(asked: &'a Asked, question: &Question, clocks: &Clocks) -> Option<Holder<'a>> {
    let value = wanted(question)?;
    let (from, to) = span(asked);
    let deadline = life(question).map(|seconds| clocks.of_any(from, to).plus(seconds * 1_000));
    Some(Holder { asked, value, deadline })
}

/// What it is to hold then.
fn wanted(question: &Question) -> Option<Bytes> {
    match question {
        Question::Command(Command::Setnx { value, .. } | Command::Set { nx: true, value, .. }) => Some(value.clone()),
        Question::CompareAndSet { expected: Some(expected), new: Some(new), .. } if expected == new => {
            Some(Bytes::copy_from_slice(new.as_bytes()))
        }
        Question::Command(_) | Question::CompareAndSet { .. } => None,
    }
}

/// Whether it was told that it has it: `SET NX` says so with `OK` or 1, a compare-and-set with what it found.
fn won(asked: &Asked) -> bool {
    matches!(asked.answer, Some((_, Ok(Reply::Ok | Reply::Integer(1) | Reply::Bulk(_)))))
}

/// Anything else that writes may have ended it, from when it was asked until it was answered, or for ever when its outcome is unknown.
fn end(asked: &Asked, question: &Question) -> Option<End> {
    let has_done_nothing = done(asked) == Done::No || matches!(asked.answer, Some((_, Ok(Reply::Integer(0)))));
    if question.is_read() || wanted(question).is_some() || has_done_nothing {
        return None;
    }
    let until = if done(asked) == Done::Perhaps { u64::MAX } else { span(asked).1 };
    Some((asked.at, until))
}

struct Locks<'a> {
    excuses: &'a Excuses<'a>,
    key: &'a Key<'a>,
    ends: Vec<End>,
    /// All who asked, whatever they were answered.
    takers: &'a [Holder<'a>],
}

impl Locks<'_> {
    /// Whether something may have ended, by then, what was asked for at some moment.
    fn may_have_ended(&self, from: u64, by: u64) -> bool {
        self.ends.iter().any(|(asked, until)| *asked <= by && *until >= from)
    }

    /// Whether his life of it is not over by then: everybody hides it by his own clock, and whoever removes it goes by his.
    fn lasts(&self, holder: &Holder, by: u64) -> bool {
        let shown = || self.excuses.clocks.of_any(holder.asked.at, by);
        holder.deadline.is_none_or(|deadline| shown().is_before(deadline))
    }

    /// Two who have it at one time.
    fn judge_two(&self, one: &Holder, other: &Holder, verdict: &mut Verdict) {
        let (begin, to) = (one.asked.at.min(other.asked.at), span(one.asked).1.max(span(other.asked).1));
        let is_the_same = one.value == other.value && !(takes(one) && takes(other));
        let are_both_alive = self.lasts(one, to) && self.lasts(other, to);
        let is_double = !is_the_same && are_both_alive && !self.may_have_ended(begin, to);
        verdict.judge(!is_double || !self.excuses.must_differ(one.asked, other.asked), to, || {
            format!("two won {:?}: {}, and {}", self.key.name, told(one.asked), told(other.asked))
        });
    }

    /// Who reads on the same process sees what he has, or what he may have lost it to.
    fn judge_read(&self, holder: &Holder, read: &Asked, question: &Question, verdict: &mut Verdict) {
        let Question::Command(Command::Get { .. }) = question else { return };
        let Some((at, Ok(reply))) = &read.answer else { return };
        let is_later = read.process == holder.asked.process && *at > span(holder.asked).1;
        if !is_later || !self.is_held(holder, read.at, *at) {
            return;
        }
        verdict.judge(*reply == Reply::Bulk(holder.value.clone()), *at, || {
            format!("{} does not see what {} had won", told(read), told(holder.asked))
        });
    }

    /// At the end all see it.
    fn judge_end(&self, holder: &Holder, verdict: &mut Verdict) {
        let history = self.excuses.history;
        let Some(last) = history.samples.last().filter(|last| last.at >= history.calm_at && last.is_whole()) else {
            return;
        };
        if !self.is_held(holder, last.at, last.at) {
            return;
        }
        let text = String::from_utf8_lossy(self.key.name).into_owned();
        for (node, seen) in last.running() {
            let Some(shown) = seen.keys.get(&text) else { continue };
            verdict.judge(*shown == Shown::Value(holder.value.clone()), last.at, || {
                format!("at the end n{node} shows {shown:?} under {text}, which {} had won", told(holder.asked))
            });
        }
    }

    /// Whether it is his for sure at what somebody asks at some moment and is answered by another.
    fn is_held(&self, holder: &Holder, at: u64, by: u64) -> bool {
        // Who may have taken it under an excuse, or may have and nobody knows.
        let is_excused = |other: &Holder| {
            let may_have = done(other.asked) == Done::Perhaps || done(other.asked) == Done::Yes && won(other.asked);
            let by =
                if done(other.asked) == Done::Perhaps { by } else { span(other.asked).1.max(span(holder.asked).1) };
            let is_other = other.asked.at <= by && other.value != holder.value;
            is_other && may_have && !self.excuses.is_in_force(holder.asked, other.asked.at, by)
        };
        self.lasts(holder, by)
            && !self.may_have_ended(holder.asked.at, by)
            && self.excuses.is_in_force(holder.asked, at, by)
            && !self.takers.iter().any(is_excused)
    }
}

/// Whether it was taken, and not kept.
fn takes(holder: &Holder) -> bool {
    !matches!(holder.asked.ask, crate::plan::Ask::CompareAndSet { .. })
}
