//! G6: what a key's home answers it answers once.
//!
//! - sums of counters that are only counted at their home, with steps of one sign, differ
//! - and grow by no less than was answered and, while nobody was cut off, by no more than was asked for in between
//! - each element that was pushed once is popped at most once, and what was popped and is left was pushed; no more is lost than pops whose outcome is unknown
//! - an element goes to who has waited longest for it, and nobody waits beside one while all is quiet
//! - of two `SET NX` of a key only one wins, unless something was asked for that may have ended the first; and the key holds what the winner wrote, until
//!   its life is over
//! - no two `GETSET` or compare-and-sets of a key replace the same value, when it was written once
//! - whoever reads on the same process after his homed call was answered sees what it wrote
//!
//! When that is promised is in [`excuses`]. An answer that says that the outcome is unknown may stand for any outcome, and so may a call that was never
//! answered; one that says `TRYAGAIN`, or any error by which nothing was done, had no effect.

mod counters;
mod elements;
mod excuses;
mod locks;
mod majority;
mod swaps;

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Command, Error};

use self::excuses::{Excuses, span};
use super::Verdict;
use crate::history::{Asked, History};
use crate::model::words;
use crate::plan::Ask;

/// What was asked of processes about one key, in order.
struct Key<'a> {
    name: &'a Bytes,
    asks: Vec<(&'a Asked, Question<'a>)>,
}

/// What was asked.
#[derive(Debug, Clone)]
enum Question<'a> {
    Command(Command),
    /// To replace what is expected; `None` what the node reads. With nothing new the key is removed.
    CompareAndSet {
        expected: Option<&'a str>,
        new: Option<&'a str>,
        seconds: Option<i64>,
    },
}

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("G6", "the answer of a key's home is given once");
    let excuses = Excuses::of(history);
    let mut keys: BTreeMap<Bytes, Vec<(&Asked, Question)>> = BTreeMap::new();
    for asked in history.asked.iter().filter(|asked| asked.process.is_some()) {
        for (key, question) in questions(asked) {
            keys.entry(key).or_default().push((asked, question));
        }
    }
    for (name, asks) in &keys {
        let key = Key { name, asks: asks.clone() };
        counters::judge(&excuses, &key, &mut verdict);
        elements::judge(&excuses, &key, &mut verdict);
        locks::judge(&excuses, &key, &mut verdict);
        swaps::judge(&excuses, &key, &mut verdict);
    }
    verdict
}

/// What is asked, by the keys that it names.
fn questions(asked: &Asked) -> Vec<(Bytes, Question<'_>)> {
    if let Ask::CompareAndSet { key, expected, new, seconds } = &asked.ask {
        let (expected, new, seconds) = (expected.as_deref(), new.as_deref(), *seconds);
        return vec![(Bytes::from(key.clone()), Question::CompareAndSet { expected, new, seconds })];
    }
    let Some(command) = words::command(&asked.ask) else { return Vec::new() };
    let keys = words::keys(&command).into_iter();
    keys.map(|key| (key, Question::Command(command.clone()))).collect()
}

impl<'a> Key<'a> {
    /// What was asked in commands; `None` when something else was asked too.
    fn commands<'b>(&'b self) -> Option<Vec<(&'a Asked, &'b Command)>> {
        let command = |(asked, question): &'b (&'a Asked, Question<'a>)| match question {
            Question::Command(command) => Some((*asked, command)),
            Question::CompareAndSet { .. } => None,
        };
        self.asks.iter().map(command).collect()
    }
}

impl Question<'_> {
    /// Whether it changes nothing.
    fn is_read(&self) -> bool {
        match self {
            Self::Command(command) => is_read(command),
            Self::CompareAndSet { .. } => false,
        }
    }
}

/// Whether a command changes nothing.
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

/// What is known of whether something was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// It was.
    Yes,
    /// It was not, as the README says of the error; or what was done was taken back.
    No,
    /// Nobody knows.
    Perhaps,
}

fn done(asked: &Asked) -> Done {
    match &asked.answer {
        Some((_, Ok(_))) => Done::Yes,
        Some((_, Err(Error::OutcomeUnknown | Error::NotConfirmed { .. }))) | None => Done::Perhaps,
        Some((_, Err(_))) => Done::No,
    }
}

fn told(asked: &Asked) -> String {
    format!(
        "client {} on n{} (`{}` at {} ms, answered {:?})",
        asked.client, asked.node, asked.ask, asked.at, asked.answer
    )
}

/// Judges that no two answers are the same where they must differ.
fn all_differ<'a, T: Ord + std::fmt::Debug>(
    must_differ: impl Fn(&Asked, &Asked) -> bool,
    key: &Bytes,
    answers: impl IntoIterator<Item = (T, &'a Asked)>,
    what: &str,
    verdict: &mut Verdict,
) {
    let mut first: BTreeMap<T, Vec<&Asked>> = BTreeMap::new();
    for (answer, asked) in answers {
        let same = first.entry(answer).or_default();
        let twin = same.iter().find(|other| must_differ(other, asked));
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
