//! G5, of several who give one key a life: of deadlines that were set at once the latest holds, and none beats them all.
//!
//! Judged are keys to which one command gave all that they hold and that are only given lives since. Who sets a deadline, or takes it away, replaces those that it
//! had seen; so what a node knows says which stand beside each other there. Where no clock has shown the first of all deadlines yet, nobody may have removed the key, and readers are
//! told for how long it is to live; and as long as they see it they are told of the same deadline. Once it is over by their own clock they see nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Command, Reply};

use super::Verdict;
use super::ahead::Ahead;
use super::clocks::{Clocks, Shows};
use crate::history::{Asked, History};
use crate::model::words;
use crate::plan::{Ask, Via};

/// Somebody who gave a key a life, or took it away.
struct Word<'a> {
    asked: &'a Asked,
    /// When the key is to die, by the clock of whoever said so; `None` when it is not to.
    deadline: Option<Shows>,
}

/// A key to which one command gave all that it holds.
struct Key<'a> {
    name: Bytes,
    made: &'a Asked,
    words: Vec<Word<'a>>,
    reads: Vec<(&'a Asked, Command)>,
}

/// Judges a history.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::of("lives", "of several deadlines of a key the latest holds");
    let (clocks, ahead) = (Clocks::of(history), Ahead::of(history));
    let mut keys: BTreeMap<Bytes, Vec<(&Asked, Command)>> = BTreeMap::new();
    for asked in history.asked.iter().filter(|asked| asked.begun.is_some()) {
        let named = match &asked.ask {
            Ask::CompareAndSet { key, .. } => vec![(Bytes::from(key.clone()), None)],
            ask => {
                let command = words::command(ask);
                let keys = command.iter().flat_map(words::keys);
                keys.map(|key| (key, command.clone())).collect()
            }
        };
        for (key, command) in named {
            // What is no command is none that leaves a key to be judged either.
            let command = command.unwrap_or_else(|| Command::Del { keys: vec![key.clone()] });
            keys.entry(key).or_default().push((asked, command));
        }
    }
    for (name, asks) in keys {
        let Some(key) = Key::of(name, asks, &clocks) else { continue };
        for (read, command) in &key.reads {
            if let Some((_, Ok(reply))) = read.answer.as_ref().filter(|_| !ahead.may_see_more(read)) {
                key.judge(&clocks, read, command, reply, &mut verdict);
            }
        }
    }
    verdict
}

impl<'a> Key<'a> {
    /// The key, when one command made it and all others give it lives or read.
    fn of(name: Bytes, asks: Vec<(&'a Asked, Command)>, clocks: &Clocks) -> Option<Self> {
        let (mut made, mut words, mut reads) = (None, Vec::new(), Vec::new());
        for (asked, command) in asks {
            let deadline = match command {
                Command::Get { .. } | Command::Exists { .. } | Command::Ttl { .. } => {
                    reads.push((asked, command));
                    continue;
                }
                Command::Expire { seconds: seconds @ 1.., .. } => {
                    Some(clocks.at(asked.node, asked.done_at()).plus(seconds * 1_000))
                }
                Command::Persist { .. } => None,
                Command::Set { seconds: None, nx: false, .. }
                | Command::Sadd { .. }
                | Command::Hset { .. }
                | Command::Rpush { .. }
                    if made.is_none() =>
                {
                    made = Some(asked);
                    continue;
                }
                _ => return None,
            };
            if asked.wrote.is_some() {
                words.push(Word { asked, deadline });
            }
        }
        let made = made?;
        let is_judged = |asked: &Asked| matches!(asked.ask, Ask::Command { via: Via::Shared, .. });
        let is_fit = is_judged(made) && words.iter().all(|word| is_judged(word.asked) && word.asked.has_seen(made));
        is_fit.then_some(Self { name, made, words, reads })
    }

    fn judge(&self, clocks: &Clocks, read: &Asked, command: &Command, reply: &Reply, verdict: &mut Verdict) {
        let known: Vec<&Word> = self.words.iter().filter(|word| read.has_seen(word.asked)).collect();
        if !read.has_seen(self.made) || known.is_empty() {
            return;
        }
        let stands = |word: &&&Word| known.iter().all(|other| !other.asked.has_seen(word.asked));
        let standing: Vec<&&Word> = known.iter().filter(stands).collect();
        let latest =
            |one: Shows, other: Shows| Shows { least: one.least.max(other.least), most: one.most.max(other.most) };
        let deadline: Option<Option<Shows>> = standing
            .iter()
            .map(|word| word.deadline)
            .reduce(|one, other| one.zip(other).map(|(one, other)| latest(one, other)));
        let Some(deadline) = deadline else { return };
        let now = clocks.at(read.node, read.done_at());
        let is_shown = match (command, reply) {
            (Command::Ttl { .. }, reply) => *reply != Reply::Integer(-2),
            (_, reply) => !matches!(reply, Reply::Nil | Reply::Integer(0)),
        };
        let told = |what: &str| {
            let of =
                |word: &&Word| format!("`{}` on n{} at {} ms", word.asked.ask, word.asked.node, word.asked.done_at());
            let lines: Vec<String> = known.iter().map(of).collect();
            format!(
                "client {} on n{} asked `{}` at {} ms and was answered {reply:?}; {:?} {what}: {}",
                read.client,
                read.node,
                read.ask,
                read.done_at(),
                self.name,
                lines.join("; ")
            )
        };
        if deadline.is_some_and(|deadline| now.is_from(deadline)) {
            verdict.judge(!is_shown, read.at, || told("was to live no longer"));
            return;
        }
        let is_alive = deadline.is_none_or(|deadline| now.is_before(deadline));
        if is_alive && !self.may_be_removed(clocks, read.done_at()) {
            verdict.judge(is_shown, read.at, || told("was to live"));
        }
        if let (Command::Ttl { .. }, Reply::Integer(left @ -1..)) = (command, reply) {
            let expected = deadline
                .map_or((-1, -1), |deadline| (seconds(deadline.least - now.most), seconds(deadline.most - now.least)));
            verdict.judge((expected.0..=expected.1).contains(left), read.at, || {
                told(&format!("was to live for {expected:?} s"))
            });
        }
    }

    /// Whether some clock has shown any of the deadlines by then, so that somebody who did not know of another may have removed the key.
    fn may_be_removed(&self, clocks: &Clocks, by: u64) -> bool {
        let shown = clocks.of_any(self.made.done_at(), by.max(self.made.done_at()));
        self.words.iter().filter_map(|word| word.deadline).any(|deadline| !shown.is_before(deadline))
    }
}

/// As `TTL` rounds.
fn seconds(ms: i64) -> i64 {
    (ms.max(0) + 500) / 1_000
}
