//! What readers saw of a key before it was touched, and how that differs from what they see now.
//!
//! Noted are only the slots that an operation names, except where an operation on one slot can show or hide others: when rows of
//! another type are stored, everything is noted, because the write may decide which type is shown.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount_cluster::WallMs;

use super::change::{Author, Change, ChangeKind};
use crate::blob::Blob;
use crate::origin::Origins;
use crate::reply::Type;
use crate::shared::entry::Entry;
use crate::shared::list::ElementKey;
use crate::shared::register::View;

/// A place in a key whose content readers see or do not see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spot {
    String,
    Member(Blob),
    Field(Blob),
    Element(ElementKey),
}

impl Spot {
    fn shape(&self) -> Type {
        match self {
            Self::String => Type::String,
            Self::Member(_) => Type::Set,
            Self::Field(_) => Type::Hash,
            Self::Element(_) => Type::List,
        }
    }

    fn field(&self) -> Option<Bytes> {
        match self {
            Self::Member(name) | Self::Field(name) => Some(name.to_bytes()),
            Self::String | Self::Element(_) => None,
        }
    }

    /// What kind of change it is when something is there.
    fn arrival(&self) -> ChangeKind {
        match self {
            Self::String | Self::Field(_) => ChangeKind::Set,
            Self::Member(_) => ChangeKind::Added,
            Self::Element(_) => ChangeKind::Pushed,
        }
    }

    /// What a change carries as the value: members have none.
    fn value(&self, content: Option<Bytes>) -> Option<Bytes> {
        content.filter(|_| !matches!(self, Self::Member(_)))
    }

    /// What readers see there in a key that shows this type; a member is seen as no bytes.
    fn look(&self, entry: &Entry, origins: &Origins) -> Option<Bytes> {
        match self {
            Self::String => entry.string().view(origins).map(View::to_bytes),
            Self::Member(member) => entry.set()?.contains(member, origins).then(Bytes::new),
            Self::Field(field) => entry.hash()?.rows.get(field)?.view(origins).map(View::to_bytes),
            Self::Element(name) => {
                let element = entry.list()?.elements.get(name)?;
                origins.sees(&element.tag(name)).then(|| element.value.to_bytes())
            }
        }
    }
}

/// A key as readers see it.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    entry: &'a Entry,
    shape: Type,
    deadline: Option<WallMs>,
}

impl<'a> Seen<'a> {
    /// `None` when readers see no such key.
    fn new(entry: &'a Entry, origins: &Origins) -> Option<Self> {
        let deadline = entry.deadline(origins).map(|deadline| deadline.at);
        Some(Self { entry, shape: entry.shape(origins)?, deadline })
    }

    fn look(&self, spot: &Spot, origins: &Origins) -> Option<Bytes> {
        if spot.shape() == self.shape { spot.look(self.entry, origins) } else { None }
    }

    /// Everything that readers see in it.
    fn spots(&self, origins: &Origins) -> Vec<(Spot, Bytes)> {
        match self.shape {
            Type::String => {
                Spot::String.look(self.entry, origins).map(|value| (Spot::String, value)).into_iter().collect()
            }
            Type::Set => {
                let members = self.entry.set().into_iter().flat_map(|set| set.iter(origins));
                members.map(|member| (Spot::Member(member.clone()), Bytes::new())).collect()
            }
            Type::Hash => {
                let fields = self.entry.hash().into_iter().flat_map(|hash| hash.rows.iter());
                let seen = fields.filter_map(|(name, register)| Some((name, register.view(origins)?)));
                seen.map(|(name, view)| (Spot::Field(name.clone()), view.to_bytes())).collect()
            }
            Type::List => {
                let elements = self.entry.list().into_iter().flat_map(|list| list.iter(origins));
                elements.map(|(name, element)| (Spot::Element(*name), element.value.to_bytes())).collect()
            }
        }
    }
}

/// What is known of a touched key as it was.
#[derive(Debug)]
pub(crate) struct Before {
    /// The type that readers saw and the deadline; `None` when they did not see the key.
    seen: Option<(Type, Option<WallMs>)>,
    spots: BTreeMap<Spot, Option<Bytes>>,
    /// Whether all that was seen is in `spots`.
    whole: bool,
}

impl Before {
    /// Of a key that is touched for the first time; `entry` is `None` when there is no such key.
    pub(crate) fn new(entry: Option<&Entry>, origins: &Origins) -> Self {
        let seen = entry.and_then(|entry| Seen::new(entry, origins)).map(|seen| (seen.shape, seen.deadline));
        Self { seen, spots: BTreeMap::new(), whole: false }
    }

    /// Of a key past its deadline, of which watchers were told: nothing was seen, whatever is stored.
    pub(crate) fn hidden() -> Self {
        Self { seen: None, spots: BTreeMap::new(), whole: true }
    }

    /// Notes a slot that is about to change.
    pub(crate) fn note(&mut self, spot: Spot, entry: Option<&Entry>, origins: &Origins) {
        let Some(entry) = entry else {
            self.spots.entry(spot).or_insert(None);
            return;
        };
        if entry.holds_other_than(spot.shape()) {
            self.note_all(Some(entry), origins);
        }
        if !self.whole {
            self.spots
                .entry(spot)
                .or_insert_with_key(|spot| Seen::new(entry, origins).and_then(|seen| seen.look(spot, origins)));
        }
    }

    /// Notes everything. What was noted before it changed stays as it was noted.
    pub(crate) fn note_all(&mut self, entry: Option<&Entry>, origins: &Origins) {
        if self.whole {
            return;
        }
        self.whole = true;
        let Some(seen) = entry.and_then(|entry| Seen::new(entry, origins)) else { return };
        for (spot, content) in seen.spots(origins) {
            self.spots.entry(spot).or_insert(Some(content));
        }
    }

    /// The differences to what readers see now; `entry` is `None` when they do not see the key.
    pub(crate) fn changes(
        self,
        key: &Blob,
        entry: Option<&Entry>,
        expired: bool,
        author: Option<&Author>,
        origins: &Origins,
    ) -> Vec<Change> {
        let seen = entry.and_then(|entry| Seen::new(entry, origins));
        let mut appeared = Vec::new();
        if self.whole {
            let now = seen.map(|seen| seen.spots(origins)).unwrap_or_default();
            appeared = now.into_iter().filter(|(spot, _)| !self.spots.contains_key(spot)).collect();
        }
        let key = key.to_bytes();
        let change = |kind, shape, field, old, new| Change {
            key: key.clone(),
            kind,
            shape,
            field,
            old,
            new,
            author: author.cloned(),
        };
        let (mut departures, mut arrivals) = (Vec::new(), Vec::new());
        let gone = if expired { ChangeKind::Expired } else { ChangeKind::Removed };
        for (spot, old) in self.spots {
            match (old, seen.and_then(|seen| seen.look(&spot, origins))) {
                (old, new) if old == new => {}
                (old, None) => departures.push(change(gone, spot.shape(), spot.field(), spot.value(old), None)),
                (old, new @ Some(_)) => {
                    let (old, new) = (spot.value(old), spot.value(new));
                    arrivals.push(change(spot.arrival(), spot.shape(), spot.field(), old, new));
                }
            }
        }
        for (spot, new) in appeared {
            arrivals.push(change(spot.arrival(), spot.shape(), spot.field(), None, spot.value(Some(new))));
        }
        // A key that is replaced by one of another type goes first, and its deadline with it. One that stays is never
        // empty in between.
        let stays = self.seen.filter(|(shape, _)| seen.is_some_and(|seen| seen.shape == *shape));
        let mut changes =
            if stays.is_some() { [arrivals, departures].concat() } else { [departures, arrivals].concat() };
        let before = stays.and_then(|(_, deadline)| deadline);
        if let Some(seen) = seen.filter(|seen| seen.deadline != before) {
            let text = |deadline: WallMs| deadline.0.to_string().into();
            let (before, now) = (before.map(text), seen.deadline.map(text));
            changes.push(change(ChangeKind::Deadline, seen.shape, None, before, now));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dot::Owner;
    use crate::limits::Limits;
    use crate::state::State;

    /// A chunk of a snapshot can take one field and bring another: who replays that must not think in between that the
    /// key, and its deadline, are gone.
    #[test]
    fn a_key_that_stays_is_never_empty_in_between() {
        let (now, later) = (WallMs(1_000_000), 1_000);
        let mut state = State::local(Limits::default(), 0);
        state.hset(Owner::SHARED, b"k", &[b"f", b"1"], now).unwrap();
        state.expire(b"k", later, now).unwrap();
        let key = Blob::from(&b"k"[..]);
        let entry = state.keyspace.keys.get(&key);
        let mut before = Before::new(entry, &state.origins);
        for field in [&b"f"[..], b"g"] {
            before.note(Spot::Field(field.into()), entry, &state.origins);
        }
        state.hset(Owner::SHARED, b"k", &[b"g", b"2"], now).unwrap();
        state.hdel(b"k", &[b"f"], now).unwrap();
        let changes = before.changes(&key, state.keyspace.keys.get(&key), false, None, &state.origins);
        let kinds: Vec<_> = changes.iter().map(|change| (change.kind, change.field.as_deref())).collect();
        assert_eq!(kinds, [(ChangeKind::Set, Some(&b"g"[..])), (ChangeKind::Removed, Some(&b"f"[..]))]);
    }
}
