//! What this process believes to own in Redis: enough to write it again when Redis has lost it.
//!
//! Redis decides; this is a copy. What it answers to a write is noted here, what others take away it tells with a heartbeat, and an audit
//! finds what expired or what another program removed. Moments are numbers that Redis gives and that only grow, so that a late word about
//! an earlier loss does not undo a later write. Rows that were written under another origin than the present one are stale: they are written again,
//! also those whose answers come late. What is being taken away is forgotten with Redis's word that it was; without a word, an audit decides.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

/// A row: its key in Redis, its kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) key: Bytes,
    pub(super) row: Bytes,
}

impl Slot {
    pub(super) fn new(key: &[u8], kind: u8, name: &[u8]) -> Self {
        Self { key: Bytes::copy_from_slice(key), row: [&[kind], name].concat().into() }
    }

    /// As scripts write it.
    pub(super) fn encode(&self) -> Vec<u8> {
        [self.key.len().to_string().as_bytes(), b":", &self.key, &self.row].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let colon = bytes.iter().position(|byte| *byte == b':')?;
        let length: usize = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
        let (key, row) = bytes[colon + 1..].split_at_checked(length)?;
        Some(Self { key: Bytes::copy_from_slice(key), row: Bytes::copy_from_slice(row) })
    }
}

/// What is owned of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Share {
    Member,
    Value(Bytes),
    Count(i64),
}

impl Share {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Member => b"s".to_vec(),
            Self::Value(value) => [b"=", &value[..]].concat(),
            Self::Count(count) => format!("n{count}").into_bytes(),
        }
    }
}

/// A slot of a session; session zero is the node.
pub(super) type Place = (Slot, u32);

/// How many origins that this process had are remembered: the answer to a write may come after the loss of its lease.
const FORMERS: usize = 8;

#[derive(Debug)]
struct Entry {
    share: Share,
    moment: i64,
}

/// When a key expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    /// In milliseconds of Redis's clock; `None` is never.
    pub(super) at: Option<i64>,
    /// When that was so.
    pub(super) moment: i64,
}

/// What there is to be written again of one place.
#[derive(Debug)]
pub(super) struct Assertion {
    pub(super) place: Place,
    pub(super) share: Vec<u8>,
    pub(super) moment: i64,
    pub(super) deadline: Option<Deadline>,
}

/// What a command takes away.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Keys(Vec<Bytes>),
    Rows(Vec<Slot>),
}

/// How a command that takes something away ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Redis has not carried it out.
    Refused,
    /// Nobody knows.
    Unknown,
    /// It was carried out, at this moment or before.
    Done { moment: i64 },
}

/// The rows of this process.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<Place, Entry>,
    deadlines: BTreeMap<Bytes, Deadline>,
    /// Origins that this process has had; the last is the present one.
    origins: Vec<String>,
    /// What is to be written again under the present origin.
    stale: BTreeSet<Place>,
    /// What commands under way are taking away, and how many of them.
    leaving: BTreeMap<Place, usize>,
    /// What may have been taken away by commands that nobody answered.
    doubted: BTreeSet<Place>,
    audited: Option<Place>,
    /// The latest moment that an answer told: a Redis that is behind it has older data.
    heard: i64,
}

impl Ledger {
    /// Notes that Redis has told this moment.
    pub(super) fn hear(&mut self, moment: i64) {
        self.heard = self.heard.max(moment);
    }

    /// The latest moment that an answer to a command told.
    pub(super) fn heard(&self) -> i64 {
        self.heard
    }

    /// Notes a row that was written at a moment, under an origin.
    pub(super) fn note(&mut self, place: Place, share: Share, moment: i64, origin: &str) {
        if self.entries.get(&place).is_some_and(|entry| entry.moment >= moment) {
            return;
        }
        self.doubted.remove(&place);
        if self.origins.last().is_some_and(|present| present == origin) {
            self.stale.remove(&place);
        } else {
            self.stale.insert(place.clone());
        }
        self.entries.insert(place, Entry { share, moment });
    }

    /// Notes when a key with rows here expires.
    pub(super) fn learn(&mut self, key: &Bytes, deadline: Deadline) {
        let is_newer = self.deadlines.get(key).is_none_or(|known| known.moment <= deadline.moment);
        if is_newer && self.has_key(key) {
            self.deadlines.insert(key.clone(), deadline);
        }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Begins to take something away. Returns the places, and the moments of their last writes.
    pub(super) fn begin_removal(&mut self, target: &Target) -> BTreeMap<Place, i64> {
        let places: BTreeMap<Place, i64> = self.places(target).into_iter().collect();
        for place in places.keys() {
            *self.leaving.entry(place.clone()).or_default() += 1;
        }
        places
    }

    /// Ends what [`begin_removal`](Self::begin_removal) began.
    pub(super) fn end_removal(&mut self, target: &Target, begun: &BTreeMap<Place, i64>, outcome: Outcome) {
        for place in begun.keys() {
            match self.leaving.get_mut(place) {
                Some(under_way @ 2..) => *under_way -= 1,
                _ => drop(self.leaving.remove(place)),
            }
        }
        match outcome {
            Outcome::Refused => {}
            Outcome::Unknown => self.doubted.extend(begun.keys().cloned()),
            Outcome::Done { moment } => {
                for (place, _) in self.places(target) {
                    // What was noted before the command was sent is gone whatever moments say: Redis may have lost its data.
                    let latest = begun.get(&place).map_or(moment, |begun| moment.max(*begun));
                    self.lose(&place, latest);
                }
            }
        }
    }

    /// Forgets what a key that was made anew had up to a moment.
    pub(super) fn begin_key(&mut self, key: &Bytes, moment: i64) {
        for (place, _) in self.of_key(key) {
            if !self.stale.contains(&place) {
                self.lose(&place, moment);
            }
        }
    }

    /// Forgets a session.
    pub(super) fn forget_session(&mut self, session: u32) {
        let of_session = |place: &&Place| place.1 == session;
        for place in self.entries.keys().filter(of_session).cloned().collect::<Vec<_>>() {
            self.remove(&place);
        }
    }

    /// Forgets what Redis says was lost at a moment: `owner slot`.
    pub(super) fn lose_named(&mut self, lost: &[u8], moment: i64) {
        let Some(space) = lost.iter().position(|byte| *byte == b' ') else { return };
        let Some(slot) = Slot::decode(&lost[space + 1..]) else { return };
        self.lose(&(slot, session_of(&lost[..space])), moment);
    }

    /// Forgets a place unless it was written after `moment`.
    pub(super) fn lose(&mut self, place: &Place, moment: i64) {
        if self.entries.get(place).is_some_and(|entry| entry.moment <= moment) {
            self.remove(place);
        }
    }

    /// From now on rows are written under another origin, and those that there are, again.
    pub(super) fn begin_origin(&mut self, origin: &str) {
        if self.origins.last().is_none_or(|present| present != origin) {
            self.origins.push(origin.to_owned());
        }
        self.origins.drain(..self.origins.len().saturating_sub(FORMERS + 1));
        self.stale = self.entries.keys().cloned().collect();
    }

    /// The origins that this process has had, the present one last.
    pub(super) fn origins(&self) -> &[String] {
        &self.origins
    }

    /// Some of what is to be written again after `after`, but for what is being taken away.
    pub(super) fn assertions(&self, after: Option<&Place>, most: usize) -> Vec<Assertion> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let stale = self.stale.range::<Place, _>((start, Bound::Unbounded));
        let assertion = |place: &Place| {
            let entry = self.entries.get(place)?;
            let deadline = self.deadlines.get(&place.0.key).copied();
            Some(Assertion { place: place.clone(), share: entry.share.encode(), moment: entry.moment, deadline })
        };
        stale.filter(|place| !self.leaving.contains_key(*place)).filter_map(assertion).take(most).collect()
    }

    /// Notes that this was written again.
    pub(super) fn asserted(&mut self, assertion: &Assertion) {
        if self.entries.get(&assertion.place).is_some_and(|entry| entry.moment == assertion.moment) {
            self.stale.remove(&assertion.place);
        }
    }

    /// The next places to be looked at, first those in doubt; after the last it begins anew.
    pub(super) fn next_audit(&mut self, most: usize) -> Vec<(Place, i64)> {
        self.doubted.retain(|place| self.entries.contains_key(place));
        if !self.doubted.is_empty() {
            let looked_at = |place: &Place| Some((place.clone(), self.entries.get(place)?.moment));
            return self.doubted.iter().filter_map(looked_at).take(most).collect();
        }
        let start = self.audited.take().map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.entries.range::<Place, _>((start, Bound::Unbounded)).take(most);
        let places: Vec<_> = found.map(|(place, entry)| (place.clone(), entry.moment)).collect();
        self.audited = places.last().filter(|_| places.len() == most).map(|(place, _)| place.clone());
        places
    }

    /// Notes that a place is as it was believed.
    pub(super) fn confirm(&mut self, place: &Place) {
        self.doubted.remove(place);
    }

    fn places(&self, target: &Target) -> Vec<(Place, i64)> {
        match target {
            Target::Keys(keys) => keys.iter().flat_map(|key| self.of_key(key)).collect(),
            Target::Rows(slots) => slots.iter().flat_map(|slot| self.of_slot(slot)).collect(),
        }
    }

    fn of_key(&self, key: &Bytes) -> Vec<(Place, i64)> {
        self.entries_of_key(key).map(|(place, entry)| (place.clone(), entry.moment)).collect()
    }

    fn has_key(&self, key: &Bytes) -> bool {
        self.entries_of_key(key).next().is_some()
    }

    fn entries_of_key<'a>(&'a self, key: &'a Bytes) -> impl Iterator<Item = (&'a Place, &'a Entry)> {
        let first = (Slot { key: key.clone(), row: Bytes::new() }, 0);
        self.entries.range(first..).take_while(move |((slot, _), _)| slot.key == *key)
    }

    fn of_slot(&self, slot: &Slot) -> Vec<(Place, i64)> {
        let whole = (slot.clone(), 0)..=(slot.clone(), u32::MAX);
        self.entries.range(whole).map(|(place, entry)| (place.clone(), entry.moment)).collect()
    }

    fn remove(&mut self, place: &Place) {
        self.entries.remove(place);
        self.stale.remove(place);
        self.doubted.remove(place);
        if !self.has_key(&place.0.key) {
            self.deadlines.remove(&place.0.key);
        }
    }
}

/// The session of an owner's name: what follows `#`; zero for the node.
fn session_of(owner: &[u8]) -> u32 {
    let text = std::str::from_utf8(owner).unwrap_or_default();
    text.split_once('#').and_then(|(_, session)| session.parse().ok()).unwrap_or_default()
}

/// What an origin's name is followed by to name a session of it.
pub(super) fn suffix(session: u32) -> String {
    if session == 0 { String::new() } else { format!("#{session}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "origin";

    fn place(key: &str, name: &str, session: u32) -> Place {
        (Slot::new(key.as_bytes(), b's', name.as_bytes()), session)
    }

    /// A ledger with members, each written at a moment.
    fn ledger(members: &[(&str, &str, i64)]) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.begin_origin(HERE);
        for (key, name, moment) in members {
            ledger.note(place(key, name, 0), Share::Member, *moment, HERE);
        }
        ledger
    }

    fn row(place: &Place) -> String {
        String::from_utf8(place.0.row.to_vec()).unwrap()
    }

    fn names(ledger: &Ledger) -> Vec<String> {
        ledger.entries.keys().map(row).collect()
    }

    fn stale(ledger: &Ledger) -> Vec<String> {
        ledger.assertions(None, 100).iter().map(|assertion| row(&assertion.place)).collect()
    }

    fn key(name: &'static str) -> Target {
        Target::Keys(vec![Bytes::from_static(name.as_bytes())])
    }

    fn remove(ledger: &mut Ledger, target: &Target, outcome: Outcome) {
        let begun = ledger.begin_removal(target);
        ledger.end_removal(target, &begun, outcome);
    }

    #[test]
    fn a_loss_takes_what_was_written_before_it_and_not_what_was_written_after() {
        let mut ledger = ledger(&[]);
        ledger.note(place("k", "old", 3), Share::Member, 5, HERE);
        ledger.note(place("k", "new", 3), Share::Member, 9, HERE);
        let lost = |name: &str| [b"origin#3 ".to_vec(), place("k", name, 3).0.encode()].concat();
        ledger.lose_named(&lost("old"), 7);
        ledger.lose_named(&lost("new"), 7);
        assert_eq!(names(&ledger), ["snew"]);
    }

    #[test]
    fn a_key_is_forgotten_without_those_that_begin_alike() {
        let mut ledger = ledger(&[("room", "room", 1), ("room:1", "room:1", 2), ("roo", "roo", 3)]);
        remove(&mut ledger, &key("room"), Outcome::Done { moment: 9 });
        assert_eq!(names(&ledger), ["sroo", "sroom:1"]);
    }

    #[test]
    fn a_removal_takes_what_was_there_before_it_whatever_moments_say_and_not_what_came_after_it() {
        let mut ledger = ledger(&[("k", "before", 100), ("k", "again", 100)]);
        let begun = ledger.begin_removal(&key("k"));
        ledger.note(place("k", "again", 0), Share::Member, 105, HERE);
        ledger.note(place("k", "meanwhile", 0), Share::Member, 101, HERE);
        ledger.end_removal(&key("k"), &begun, Outcome::Done { moment: 3 });
        assert_eq!(names(&ledger), ["sagain", "smeanwhile"]);
        remove(&mut ledger, &key("k"), Outcome::Done { moment: 3 });
        assert!(names(&ledger).is_empty() && ledger.leaving.is_empty());
    }

    #[test]
    fn what_is_not_known_to_be_taken_away_stays_and_is_looked_at_first() {
        let mut ledger = ledger(&[("k", "a", 1), ("k", "z", 2)]);
        let row = Target::Rows(vec![place("k", "z", 0).0]);
        remove(&mut ledger, &row, Outcome::Refused);
        assert_eq!(ledger.next_audit(1)[0].0, place("k", "a", 0));
        remove(&mut ledger, &row, Outcome::Unknown);
        for _ in 0..2 {
            assert_eq!(ledger.next_audit(9), [(place("k", "z", 0), 2)], "until an audit has decided");
        }
        ledger.confirm(&place("k", "z", 0));
        assert_eq!(ledger.next_audit(9).len(), 1, "the round goes on");
        assert_eq!(names(&ledger), ["sa", "sz"]);
    }

    #[test]
    fn under_a_new_origin_all_is_written_again_but_what_is_being_taken_away_and_what_comes_late_too() {
        let mut ledger = ledger(&[("k", "a", 1), ("k", "leaving", 2)]);
        assert!(stale(&ledger).is_empty());
        let row = Target::Rows(vec![place("k", "leaving", 0).0]);
        let begun = ledger.begin_removal(&row);
        ledger.begin_origin("next");
        ledger.begin_origin("next");
        assert_eq!((stale(&ledger), ledger.origins().len()), (vec!["sa".to_owned()], 2));
        for assertion in ledger.assertions(None, 9) {
            ledger.asserted(&assertion);
        }
        ledger.note(place("k", "late", 0), Share::Member, 3, HERE);
        ledger.note(place("k", "present", 0), Share::Member, 4, "next");
        ledger.end_removal(&row, &begun, Outcome::Refused);
        assert_eq!(stale(&ledger), ["slate", "sleaving"]);
    }

    #[test]
    fn what_was_written_anew_while_it_was_asserted_is_asserted_again() {
        let mut ledger = ledger(&[("k", "a", 1)]);
        ledger.begin_origin("next");
        let asserted = ledger.assertions(None, 9);
        ledger.note(place("k", "a", 0), Share::Member, 2, HERE);
        ledger.asserted(&asserted[0]);
        assert_eq!(stale(&ledger), ["sa"]);
    }

    #[test]
    fn a_deadline_is_its_key_s_and_the_latest_word_of_it_counts() {
        let mut ledger = ledger(&[("k", "a", 1), ("k", "b", 2)]);
        let k = Bytes::from_static(b"k");
        ledger.learn(&k, Deadline { at: Some(500), moment: 7 });
        ledger.learn(&k, Deadline { at: None, moment: 6 });
        ledger.learn(&Bytes::from_static(b"other"), Deadline { at: Some(1), moment: 9 });
        ledger.begin_origin("next");
        let deadlines: Vec<_> = ledger.assertions(None, 9).iter().map(|assertion| assertion.deadline).collect();
        assert_eq!(deadlines, [Some(Deadline { at: Some(500), moment: 7 }); 2]);
        remove(&mut ledger, &key("k"), Outcome::Done { moment: 9 });
        assert!(ledger.deadlines.is_empty(), "it goes with the last row");
    }

    #[test]
    fn a_key_that_is_made_anew_has_nothing_of_before() {
        let mut ledger = ledger(&[("k", "expired", 1), ("k", "new", 5)]);
        ledger.begin_key(&Bytes::from_static(b"k"), 4);
        assert_eq!(names(&ledger), ["snew"]);
    }

    #[test]
    fn slots_hold_any_bytes() {
        for (key, name) in [(&b""[..], &b""[..]), (b"1:2", b":"), (b"\xff\0 ", b"12:")] {
            let slot = Slot::new(key, b'h', name);
            assert_eq!(Slot::decode(&slot.encode()), Some(slot));
        }
        assert_eq!(Slot::decode(b"9:short"), None);
    }

    #[test]
    fn an_audit_goes_round() {
        let mut ledger = ledger(&[("k", "a", 1), ("k", "b", 2), ("k", "c", 3)]);
        let mut audited = || ledger.next_audit(2).len();
        assert_eq!([audited(), audited(), audited()], [2, 1, 2]);
    }
}
