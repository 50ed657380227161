//! Keys that are only exchanged: no value is replaced twice.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Command, Reply};

use super::excuses::Excuses;
use super::{Done, Key, Question, all_differ, done};
use crate::checkers::Verdict;
use crate::history::Asked;

/// `GETSET` answers what it replaced, and so does a compare-and-set that found what it expected, where a plan's client tells of it.
pub(super) fn judge(excuses: &Excuses, key: &Key, verdict: &mut Verdict) {
    let mut written: BTreeMap<Bytes, Vec<&Asked>> = BTreeMap::new();
    let mut is_removed = false;
    for (asked, question) in &key.asks {
        match question {
            Question::Command(Command::Getset { value, .. }) => written.entry(value.clone()).or_default().push(asked),
            Question::CompareAndSet { new: Some(new), seconds: None, .. } => {
                written.entry(Bytes::copy_from_slice(new.as_bytes())).or_default().push(asked);
            }
            Question::CompareAndSet { new: None, .. } => is_removed = true,
            question if question.is_read() => {}
            Question::Command(_) | Question::CompareAndSet { .. } => return,
        }
    }
    // Where homes may have been two while it was asked for, each may have written it.
    let is_once = |asked: &Asked| done(asked) == Done::Yes && excuses.is_done_once(asked);
    let is_unique = |value: &Bytes| written.get(value).is_some_and(|by| by.len() == 1 && is_once(by[0]));
    let replaced = |asked: &Asked| match &asked.answer {
        Some((_, Ok(Reply::Bulk(value)))) if is_unique(value) => Some(Some(value.clone())),
        Some((_, Ok(Reply::Nil))) if !is_removed => Some(None),
        _ => None,
    };
    let asks = key.asks.iter().filter(|(_, question)| !question.is_read());
    let returned = asks.filter_map(|(asked, _)| Some((replaced(asked)?, *asked)));
    all_differ(|one, other| excuses.must_differ(one, other), key.name, returned, "one former value", verdict);
}
