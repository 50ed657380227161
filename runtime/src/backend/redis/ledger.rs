//! What this process believes to own in Redis: enough to write it again when Redis has lost it.
//!
//! Redis decides; this is a copy. What it answers to a write is noted here, what others take away it tells with a heartbeat, and an audit
//! finds what expired or what another program removed. Moments are numbers that Redis gives, so that a late word about
//! an earlier loss does not undo a later write.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

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

#[derive(Debug)]
struct Entry {
    share: Share,
    moment: i64,
    /// When the key expires, as far as this process has said so.
    until: Option<Instant>,
}

/// What there is to be written again of one place.
#[derive(Debug)]
pub(super) struct Assertion {
    pub(super) place: Place,
    pub(super) share: Vec<u8>,
    pub(super) life: Option<Duration>,
    pub(super) moment: i64,
}

/// The rows of this process.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<Place, Entry>,
    audited: Option<Place>,
}

impl Ledger {
    /// Notes a row that was written at a moment.
    pub(super) fn note(&mut self, place: Place, share: Share, moment: i64, life: Option<Duration>) {
        if self.entries.get(&place).is_none_or(|entry| entry.moment < moment) {
            let kept = match share {
                Share::Value(_) => None,
                Share::Member | Share::Count(_) => self.entries.get(&place).and_then(|entry| entry.until),
            };
            let until = life.map(|life| Instant::now() + life).or(kept);
            self.entries.insert(place, Entry { share, moment, until });
        }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets the rows of a key.
    pub(super) fn forget_key(&mut self, key: &[u8]) {
        for place in self.of_key(key) {
            self.entries.remove(&place);
        }
    }

    /// Forgets a row, whoever has it here.
    pub(super) fn forget_row(&mut self, key: &[u8], kind: u8, name: &[u8]) {
        let slot = Slot::new(key, kind, name);
        let places: Vec<Place> =
            self.entries.range((slot.clone(), 0)..=(slot, u32::MAX)).map(|(place, _)| place.clone()).collect();
        for place in &places {
            self.entries.remove(place);
        }
    }

    /// Notes that a key has another deadline.
    pub(super) fn set_life(&mut self, key: &[u8], life: Option<Duration>) {
        let until = life.map(|life| Instant::now() + life);
        for place in self.of_key(key) {
            if let Some(entry) = self.entries.get_mut(&place) {
                entry.until = until;
            }
        }
    }

    /// Forgets a session.
    pub(super) fn forget_session(&mut self, session: u32) {
        self.entries.retain(|(_, of), _| *of != session);
    }

    /// Forgets what Redis says was lost up to a moment: `owner slot`.
    pub(super) fn lose(&mut self, lost: &[u8], moment: i64) {
        let Some(space) = lost.iter().position(|byte| *byte == b' ') else { return };
        let Some(slot) = Slot::decode(&lost[space + 1..]) else { return };
        let place = (slot, session_of(&lost[..space]));
        if self.entries.get(&place).is_some_and(|entry| entry.moment <= moment) {
            self.entries.remove(&place);
        }
    }

    /// Forgets a place unless it was written after `moment`.
    pub(super) fn lose_place(&mut self, place: &Place, moment: i64) {
        if self.entries.get(place).is_some_and(|entry| entry.moment <= moment) {
            self.entries.remove(place);
        }
    }

    /// Moments begin anew: a Redis that has lost its data counts them from the beginning.
    pub(super) fn restart(&mut self) {
        for entry in self.entries.values_mut() {
            entry.moment = 0;
        }
    }

    /// Some of the places after `after`, and what stands there; nothing of what has expired.
    pub(super) fn assertions(&self, after: Option<&Place>, most: usize) -> Vec<Assertion> {
        let now = Instant::now();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries.range::<Place, _>((start, Bound::Unbounded));
        let live = entries.filter(|(_, entry)| entry.until.is_none_or(|until| until > now));
        let assertion = |(place, entry): (&Place, &Entry)| Assertion {
            place: place.clone(),
            share: entry.share.encode(),
            life: entry.until.map(|until| until - now),
            moment: entry.moment,
        };
        live.take(most).map(assertion).collect()
    }

    /// The next places to be looked at; after the last it begins anew.
    pub(super) fn next_audit(&mut self, most: usize) -> Vec<(Place, i64)> {
        let start = self.audited.take().map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries.range::<Place, _>((start, Bound::Unbounded)).take(most);
        let places: Vec<_> = entries.map(|(place, entry)| (place.clone(), entry.moment)).collect();
        self.audited = places.last().filter(|_| places.len() == most).map(|(place, _)| place.clone());
        places
    }

    fn of_key(&self, key: &[u8]) -> Vec<Place> {
        let first = (Slot { key: Bytes::copy_from_slice(key), row: Bytes::new() }, 0);
        self.entries.range(first..).map(|(place, _)| place).take_while(|(slot, _)| slot.key == key).cloned().collect()
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

    fn place(key: &str, name: &str, session: u32) -> Place {
        (Slot::new(key.as_bytes(), b's', name.as_bytes()), session)
    }

    fn names(ledger: &Ledger) -> Vec<String> {
        ledger.assertions(None, 100).iter().map(|a| String::from_utf8(a.place.0.row.to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_loss_takes_what_was_written_before_it_and_not_what_was_written_after() {
        let mut ledger = Ledger::default();
        ledger.note(place("k", "old", 3), Share::Member, 5, None);
        ledger.note(place("k", "new", 3), Share::Member, 9, None);
        let lost = |name: &str| [b"origin#3 ".to_vec(), place("k", name, 3).0.encode()].concat();
        ledger.lose(&lost("old"), 7);
        ledger.lose(&lost("new"), 7);
        assert_eq!(names(&ledger), ["snew"]);
    }

    #[tokio::test]
    async fn a_key_is_forgotten_without_those_that_begin_alike() {
        let mut ledger = Ledger::default();
        for (moment, key) in [(1, "room"), (2, "room:1"), (3, "roo")] {
            ledger.note(place(key, key, 0), Share::Member, moment, None);
        }
        ledger.forget_key(b"room");
        assert_eq!(names(&ledger), ["sroo", "sroom:1"]);
    }

    #[tokio::test]
    async fn a_redis_that_counts_from_the_beginning_is_believed() {
        let mut ledger = Ledger::default();
        ledger.note(place("k", "a", 0), Share::Member, 1000, None);
        ledger.restart();
        ledger.note(place("k", "a", 0), Share::Count(2), 1, None);
        assert_eq!(ledger.assertions(None, 1)[0].share, b"n2");
    }

    #[test]
    fn slots_hold_any_bytes() {
        for (key, name) in [(&b""[..], &b""[..]), (b"1:2", b":"), (b"\xff\0 ", b"12:")] {
            let slot = Slot::new(key, b'h', name);
            assert_eq!(Slot::decode(&slot.encode()), Some(slot));
        }
        assert_eq!(Slot::decode(b"9:short"), None);
    }

    #[tokio::test]
    async fn an_audit_goes_round() {
        let mut ledger = Ledger::default();
        for (moment, name) in [(1, "a"), (2, "b"), (3, "c")] {
            ledger.note(place("k", name, 0), Share::Member, moment, None);
        }
        let mut audited = || ledger.next_audit(2).len();
        assert_eq!([audited(), audited(), audited()], [2, 1, 2]);
    }
}
