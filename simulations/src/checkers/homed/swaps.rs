//! Keys that are only exchanged: no value is replaced twice.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::{Command, Reply};

use super::excuses::Excuses;
use super::{Key, Question, all_differ};
use crate::checkers::Verdict;
use crate::history::Asked;

/// `GETSET` answers what it replaced, and so does a compare-and-set that found what it expected, where a plan's client tells of it.
pub(super) fn judge(excuses: &Excuses, key: &Key, verdict: &mut Verdict) {
    let mut written: BTreeMap<Bytes, usize> = BTreeMap::new();
    let mut is_removed = false;
    for (_, question) in &key.asks {
        match question {
            Question::Command(Command::Getset { value, .. }) => *written.entry(value.clone()).or_default() += 1,
            Question::CompareAndSet { new: Some(new), seconds: None, .. } => {
                *written.entry(Bytes::copy_from_slice(new.as_bytes())).or_default() += 1;
            }
            Question::CompareAndSet { new: None, .. } => is_removed = true,
            question if question.is_read() => {}
            Question::Command(_) | Question::CompareAndSet { .. } => return,
        }
    }
    let replaced = |asked: &Asked| match &asked.answer {
        Some((_, Ok(Reply::Bulk(value)))) if written.get(value) == Some(&1) => Some(Some(value.clone())),
        Some((_, Ok(Reply::Nil))) if !is_removed => Some(None),
        _ => None,
    };
    let asks = key.asks.iter().filter(|(_, question)| !question.is_read());
    let returned = asks.filter_map(|(asked, _)| Some((replaced(asked)?, *asked)));
    all_differ(|one, other| excuses.must_differ(one, other), key.name, returned, "one former value", verdict);
}
