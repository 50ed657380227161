//! Locks: `SET NX`, with or without a life, kept by compare-and-set. Of two only one has it, and the key says so.

use bytes::Bytes;
use headcount::{Command, Reply};

use super::excuses::{Excuses, span};
use super::{Done, Key, Question, done, told};
use crate::checkers::Verdict;
use crate::history::{Asked, Shown};
use crate::plan::Fault;

/// Milliseconds by which a moment may be rounded.
const ROUNDED_MS: u64 = 2;

/// Somebody who took the lock, or kept it.
struct Holder<'a> {
    asked: &'a Asked,
    value: Bytes,
    /// Until when it is his for sure, unless it is opened.
    until: u64,
}

/// What may have ended a lock, from when until when.
type End = (u64, u64);

pub(super) fn judge(excuses: &Excuses, key: &Key, verdict: &mut Verdict) {
    let takers: Vec<Holder> = key.asks.iter().filter_map(|(asked, question)| taker(asked, question)).collect();
    let has_lives = key.asks.iter().any(|(_, question)| life(question).is_some());
    if takers.is_empty() || has_lives && has_set_clocks(excuses) {
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

fn has_set_clocks(excuses: &Excuses) -> bool {
    excuses.history.plan.faults().any(|(_, fault)| matches!(fault, Fault::SetClock { .. }))
}

/// The life that is given to what is written.
fn life(question: &Question) -> Option<i64> {
    match question {
        Question::Command(Command::Set { seconds, .. }) | Question::CompareAndSet { seconds, .. } => *seconds,
        Question::Command(_) => None,
    }
}

/// Who asks for the lock: to take it when nobody has it, or to keep what is his.
fn taker<'a>(asked: &'a Asked, question: &Question) -> Option<Holder<'a>> {
    let value = match question {
        Question::Command(Command::Setnx { value, .. } | Command::Set { nx: true, value, .. }) => value.clone(),
        Question::CompareAndSet { expected: Some(expected), new: Some(new), .. } if expected == new => {
            Bytes::copy_from_slice(new.as_bytes())
        }
        Question::Command(_) | Question::CompareAndSet { .. } => return None,
    };
    let until = life(question).map_or(u64::MAX, |seconds| asked.at + seconds.unsigned_abs() * 1_000);
    Some(Holder { asked, value, until })
}

/// Whether it was told that it has it: `SET NX` says so with `OK` or 1, a compare-and-set with what it found.
fn won(asked: &Asked) -> bool {
    matches!(asked.answer, Some((_, Ok(Reply::Ok | Reply::Integer(1) | Reply::Bulk(_)))))
}

/// Anything else that writes may have ended it, from when it was asked until it was answered, or for ever when its outcome is unknown.
fn end(asked: &Asked, question: &Question) -> Option<End> {
    let has_done_nothing = done(asked) == Done::No || matches!(asked.answer, Some((_, Ok(Reply::Integer(0)))));
    if question.is_read() || taker(asked, question).is_some() || has_done_nothing {
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

    /// Two who have it at one time.
    fn judge_two(&self, one: &Holder, other: &Holder, verdict: &mut Verdict) {
        let (begin, to) = (one.asked.at.min(other.asked.at), span(one.asked).1.max(span(other.asked).1));
        let is_the_same = one.value == other.value && !(takes(one) && takes(other));
        let are_both_alive = to + ROUNDED_MS < one.until.min(other.until);
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
        by + ROUNDED_MS < holder.until
            && !self.may_have_ended(holder.asked.at, by)
            && self.excuses.is_in_force(holder.asked, at, by)
            && !self.takers.iter().any(is_excused)
    }
}

/// Whether it was taken, and not kept.
fn takes(holder: &Holder) -> bool {
    !matches!(holder.asked.ask, crate::plan::Ask::CompareAndSet { .. })
}
