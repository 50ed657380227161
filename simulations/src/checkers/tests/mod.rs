//! Each checker accepts what happened and rejects what did not: one true history, and false ones made of it.

mod answers;
mod durability;
mod loads;
mod messages;
mod outcomes;
mod ownership;
mod replication;
mod rest;
mod time;
mod told;

use std::sync::OnceLock;

use bytes::Bytes;
use headcount::Error::{Closed, OutcomeUnknown};
use headcount::{Event, MemberState, Reply};
use headcount_cluster::Origin;

use self::told::{Told, plan, plan_of_a_leave};
use super::stability::Stability;
use super::*;
use crate::core::CoreWorld;
use crate::history::{Asked, BEFORE_THE_END_MS, End, Keys, Readied, Sample, Seen, Shown, Vector};
use crate::plan::{self, Ask, Fault, HomeRequires, Plan, Step, Via};
use crate::play::play;

/// What happened.
fn truth() -> History {
    static TRUTH: OnceLock<History> = OnceLock::new();
    TRUTH.get_or_init(|| play(&plan(), &mut CoreWorld::of(&plan()))).clone()
}

/// Shows that a checker rejects what a lie makes of the truth, and says so in words with this in them.
fn rejects(check: fn(&History) -> Verdict, words: &str, lie: impl FnOnce(&mut History)) {
    let mut history = truth();
    let verdict = check(&history);
    assert!(verdict.is_kept() && verdict.judged > 0, "of the truth: {verdict:?}");
    lie(&mut history);
    assert!(history != truth(), "a lie has to differ from the truth");
    let verdict = check(&history);
    assert!(verdict.broken.iter().any(|breach| breach.words.contains(words)), "{words:?} is not told: {verdict:?}");
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        (&self.asked, &self.heard, &self.copied, &self.processes, &self.readied, &self.samples)
            == (&other.asked, &other.heard, &other.copied, &other.processes, &other.readied, &other.samples)
            && self.plan == other.plan
    }
}

fn seen(sample: &mut Sample, node: usize) -> &mut Seen {
    sample.nodes[node].as_mut().unwrap()
}

fn last(history: &mut History, node: usize) -> &mut Seen {
    seen(history.samples.last_mut().unwrap(), node)
}

/// All samples of a node in the calm, from so long after its beginning.
fn calm(history: &mut History, node: usize, from_ms: u64) -> impl Iterator<Item = &mut Seen> {
    let begin = history.calm_at + from_ms;
    history
        .samples
        .iter_mut()
        .filter(move |sample| sample.at >= begin)
        .filter_map(move |sample| sample.nodes[node].as_mut())
}

fn asked<'a>(history: &'a mut History, words: &str) -> &'a mut Asked {
    let is_it = |asked: &&mut Asked| matches!(&asked.ask, Ask::Command { words: of, .. } if of == words);
    history.asked.iter_mut().find(is_it).unwrap()
}

fn answer(history: &mut History, words: &str, reply: Reply) {
    asked(history, words).answer.as_mut().unwrap().1 = Ok(reply);
}

fn set<'a>(seen: &'a mut Seen, key: &str) -> &'a mut Vec<Bytes> {
    let shown = seen.keys.get_mut(key).unwrap();
    if *shown == Shown::Missing {
        *shown = Shown::Set(Vec::new());
    }
    if let Shown::Set(members) = shown { members } else { panic!("{key} is no set: {shown:?}") }
}

fn add(seen: &mut Seen, key: &str, member: &'static str) {
    let members = set(seen, key);
    members.push(member.into());
    members.sort();
}

/// Changes what all nodes show in the end.
fn shown_in_the_end(history: &mut History, key: &str, change: impl Fn(&mut Shown)) {
    for node in 0..3 {
        change(last(history, node).keys.get_mut(key).unwrap());
    }
}

#[test]
fn what_happened_keeps_every_promise_and_puts_each_to_the_test() {
    for verdict in check(&truth()) {
        // Of a leave there is another story.
        assert!(verdict.is_kept() && (verdict.judged > 0 || verdict.promise == "leaves"), "{verdict:#?}");
    }
}
