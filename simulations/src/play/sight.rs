//! What is seen of a node when it is looked at: its own words about itself, and what readers see under the plan's keys.
//!
//! Looking takes no virtual time and changes nothing.

use std::collections::BTreeSet;

use futures::FutureExt;
use headcount::{ClusterPresence, Error, Presence, Type};
use headcount_presence::state::State;

use super::calm;
use crate::history::{Keys as ByKey, PRESENCE_PREFIX, Seen, Shown, Vector};
use crate::model::words;
use crate::plan::{Ask, Event, Plan, Via};
use crate::stage::Look;

/// The keys that a plan's clients speak of.
pub(super) struct Keys {
    /// Those under which somebody owns rows.
    pub(super) owned: BTreeSet<String>,
    /// All.
    pub(super) all: BTreeSet<String>,
}

impl Keys {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut keys = Self { owned: BTreeSet::new(), all: BTreeSet::new() };
        let of_plan = plan.steps.iter().filter_map(|step| match &step.event {
            Event::Ask { ask, .. } => Some(ask.clone()),
            Event::Fault(_) => None,
        });
        let of_calm = (0..plan.nodes).flat_map(calm::questions).map(|(_, _, ask)| ask);
        for ask in of_plan.chain(of_calm) {
            match &ask {
                Ask::CompareAndSet { key, .. } | Ask::Watch { key } => drop(keys.all.insert(key.clone())),
                Ask::Track { topic, .. } | Ask::Follow { topic } => drop(keys.all.insert(presence_key(topic))),
                Ask::Command { .. }
                | Ask::Untrack
                | Ask::Subscribe { .. }
                | Ask::Unsubscribe { .. }
                | Ask::SubscribePattern { .. }
                | Ask::UnsubscribePattern { .. }
                | Ask::Dawdle
                | Ask::Listen
                | Ask::EndSession
                | Ask::GiveUp => {}
            }
            let (Ask::Command { via, .. }, Some(command)) = (&ask, words::command(&ask)) else { continue };
            for key in words::keys(&command) {
                let key = String::from_utf8_lossy(&key).into_owned();
                if let Via::Node | Via::Session = via {
                    keys.owned.insert(key.clone());
                }
                keys.all.insert(key);
            }
        }
        keys
    }
}

/// Where the rows of those stand who are present under a topic.
pub(super) fn presence_key(topic: &str) -> String {
    format!("{PRESENCE_PREFIX}{topic}")
}

/// A node's version vector, in the history's words.
fn vector(state: &State) -> Vector {
    state.vector().dots
}

/// What it remembers of origins that are forgotten.
fn forgotten(state: &State) -> Vector {
    state.forgotten().dots
}

/// All that a node has seen: its vector, and what was forgotten of it.
pub(super) fn known(state: &State) -> Vector {
    let mut known = vector(state);
    known.extend(forgotten(state));
    known
}

/// A node as it is now. What is as it was `before` is shared with that.
pub(super) fn see(look: &Look, keys: &BTreeSet<String>, before: Option<&Seen>) -> Seen {
    let mut linked: Vec<_> = look.linked.iter().map(headcount::Member::origin).collect();
    linked.sort_unstable();
    let keys = show_all(&look.presence, keys, before.map(|before| &before.keys));
    let topics = now(look.presence.channels(None)).unwrap_or_default();
    look.presence.shared().read(|state, _| Seen {
        origin: look.me.origin(),
        ready: look.ready,
        paused: look.paused,
        loading: state.is_loading(),
        members: look.members.iter().map(|(member, state)| (member.origin(), *state)).collect(),
        suspicions: state.suspicions(),
        linked,
        digest: digest(state, before),
        changes: state.changes(),
        vector: vector(state),
        forgotten: forgotten(state),
        held: state.is_held(),
        expects_strangers: state.has_yet_to_meet(),
        authors: BTreeSet::new(),
        stats: state.stats(),
        dropped_for: state.messages_dropped_for_peers().filter(|(_, dropped)| *dropped > 0).collect(),
        dropped_of: state.messages_dropped_of_peers().collect(),
        keys,
        topics,
    })
}

/// A node in the end: also whose rows it holds.
pub(super) fn see_all(look: &Look, keys: &Keys) -> Seen {
    let authors = look.presence.shared().read(|state, _| state.authors());
    Seen { authors, ..see(look, &keys.all, None) }
}

/// A number that is equal where the same rows are held. It takes a walk through all of them, unless nothing has changed.
fn digest(state: &State, before: Option<&Seen>) -> u64 {
    let same = before.filter(|before| before.origin == state.origin() && before.changes == state.changes());
    same.map_or_else(|| state.digest(), |before| before.digest)
}

/// What readers see under some keys.
fn show_all(presence: &ClusterPresence, keys: &BTreeSet<String>, before: Option<&ByKey>) -> ByKey {
    let same = before.filter(|before| {
        before.len() == keys.len()
            && before.iter().zip(keys).all(|((of, shown), key)| of == key && *shown == show(presence, key))
    });
    same.cloned().unwrap_or_else(|| keys.iter().map(|key| (key.clone(), show(presence, key))).collect())
}

/// What readers see under a key.
fn show(presence: &ClusterPresence, key: &str) -> Shown {
    match now(presence.get(key)) {
        Ok(Some(value)) => Shown::Value(value),
        Err(Error::WrongType { found, .. }) => show_typed(presence, key, found),
        // A node that has closed shows nothing.
        Ok(None) | Err(_) => Shown::Missing,
    }
}

fn show_typed(presence: &ClusterPresence, key: &str, found: Type) -> Shown {
    match found {
        Type::String => Shown::Missing,
        Type::Set => Shown::Set(sorted(now(presence.smembers(key)).map(|members| members.iter().cloned().collect()))),
        Type::Hash => Shown::Hash(sorted(now(presence.hgetall(key)))),
        Type::List => Shown::List(now(presence.lrange(key, 0, -1)).unwrap_or_default()),
    }
}

fn sorted<T: Ord>(found: Result<Vec<T>, Error>) -> Vec<T> {
    let mut found = found.unwrap_or_default();
    found.sort_unstable();
    found
}

fn now<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    answer.now_or_never().expect("reading takes no time")
}
