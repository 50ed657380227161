//! What is promised of a key's home where `home_requires` is `any`, while nodes come and go and nothing else is wrong: the next home learns all that the
//! others know, so what any of them has seen answered is not answered again.
//!
//! Whoever is answered has seen it, so the promise holds for as long as that process lives. It holds while nothing breaks or holds up what passes between
//! nodes (who is silent for two seconds is gone on without), from a moment on at which the cluster was whole, and unless somebody is ready and
//! knows nobody, or nobody who knows that process: these have begun a cluster of their own.

use headcount_cluster::Origin;

use super::stability::{LOOKED_AT_EVERY_MS, Stability};
use crate::history::{Asked, Sample, Seen};

/// Whether of two answers that were given from one time to another the later had to take account of the earlier.
pub(super) fn knows_the_first(stability: &Stability, one: &Asked, other: &Asked, (from, to): (u64, u64)) -> bool {
    let history = stability.history;
    let answered = |asked: &Asked| asked.answer.as_ref().map_or(u64::MAX, |(at, _)| *at);
    let first = if answered(one) <= answered(other) { one } else { other };
    let lineage = first.process.map(|process| history.lineage(process)).unwrap_or_default();
    let lives = first.process.is_some_and(|process| history.ended(process).is_none_or(|end| end > to));
    let before = history.until(from).last();
    lives
        && before.is_some_and(|sample| sample.running().count() > 1 && sample.is_whole())
        && stability.is_undisturbed(from, to)
        && nobody_is_apart(history.within(from, to + LOOKED_AT_EVERY_MS), &lineage)
}

/// Whether all that were ready at these times knew somebody else, as long as there was anybody else, and knew somebody, if only by way of others.
fn nobody_is_apart(samples: &[Sample], somebody: &[Origin]) -> bool {
    samples.iter().all(|sample| {
        let ready: Vec<&Seen> = sample.running().filter(|(_, seen)| seen.ready).map(|(_, seen)| seen).collect();
        let knows_some = |one: &&Seen| ready.iter().any(|other| one.members.contains_key(&other.origin));
        ready.len() < 2 || ready.iter().all(knows_some) && all_know(ready, somebody)
    })
}

/// Whether all of them know somebody, or one who knows him, or one who knows such a one, and so on.
fn all_know(all: Vec<&Seen>, somebody: &[Origin]) -> bool {
    let (mut know, mut rest): (Vec<&Seen>, Vec<&Seen>) =
        all.into_iter().partition(|one| somebody.contains(&one.origin));
    let mut next = 0;
    while let Some(one) = know.get(next).copied() {
        know.extend(rest.extract_if(.., |other| other.members.contains_key(&one.origin)));
        next += 1;
    }
    rest.is_empty()
}
