//! Noting what a command observes of the rows that it takes away.

use headcount_cluster::{Origin, WallMs};
use smallvec::SmallVec;

use crate::blob::Blob;
use crate::dot::{OriginIx, Owner, Tag};
use crate::limits::{MAX_SEEN_BYTES, MAX_SEEN_COUNTS};
use crate::op::{Action, Raw, Seen, SeenCount, Several};
use crate::origin::{Origins, Standing};
use crate::shared::entry::Entry;
use crate::shared::register::{Content, Register};
use crate::state::State;

/// An observed contribution, before it is borrowed by an operation.
#[derive(Debug)]
struct Counted {
    field: Option<Blob>,
    origin: Origin,
    owner: Owner,
    epoch: u64,
    seq: u64,
    total: i64,
}

/// What was observed so far. What this node wrote itself needs no noting.
#[derive(Debug)]
pub(super) struct Observed {
    me: OriginIx,
    dots: SmallVec<[(OriginIx, u64); 1]>,
    counts: Vec<Counted>,
}

impl Observed {
    pub(super) fn nothing(me: OriginIx) -> Self {
        Self { me, dots: SmallVec::new(), counts: Vec::new() }
    }

    pub(super) fn note(&mut self, tag: &Tag) {
        self.note_all(tag.origin, tag.seq);
    }

    /// All of an origin, up to this number.
    fn note_all(&mut self, origin: OriginIx, seq: u64) {
        if origin == self.me {
            return;
        }
        match self.dots.iter_mut().find(|(known, _)| *known == origin) {
            Some((_, known)) => *known = seq.max(*known),
            None => self.dots.push((origin, seq)),
        }
    }

    pub(super) fn note_register(&mut self, field: Option<&[u8]>, register: &Register, origins: &Origins) {
        for row in register.rows.iter() {
            self.note(&row.tag);
            if let Content::Count(count) = row.content()
                && row.tag.origin != self.me
            {
                self.counts.push(Counted {
                    field: field.map(Blob::from),
                    origin: origins.get(row.tag.origin).origin,
                    owner: row.tag.owner,
                    epoch: count.epoch,
                    seq: row.tag.seq,
                    total: count.total,
                });
            }
        }
    }

    /// Whether what was observed is about as much as one operation should list.
    pub(super) fn is_heavy(&self) -> bool {
        let bytes = |count: &Counted| count.field.as_ref().map_or(0, |field| field.len());
        self.counts.len() >= MAX_SEEN_COUNTS || self.counts.iter().map(bytes).sum::<usize>() >= MAX_SEEN_BYTES
    }

    pub(super) fn note_entry(&mut self, entry: &Entry, origins: &Origins) {
        self.note_register(None, entry.string(), origins);
        if matches!(entry, Entry::String(_)) {
            return;
        }
        for (field, register) in entry.hash().into_iter().flat_map(|hash| hash.rows.iter()) {
            self.note_register(Some(field), register, origins);
        }
        for tag in entry.set().into_iter().flat_map(|set| set.rows.values()).flat_map(|tags| tags.iter()) {
            self.note(tag);
        }
        for (key, element) in entry.list().into_iter().flat_map(|list| &list.elements) {
            self.note(&element.tag(key));
        }
        for row in entry.expiry() {
            self.note(&row.tag);
        }
    }

    /// As an operation carries it.
    pub(super) fn seen(&self, origins: &Origins) -> Seen<'_> {
        let counts = self.counts.iter().map(|count| SeenCount {
            field: count.field.as_deref().map(Raw),
            origin: count.origin,
            owner: count.owner,
            epoch: count.epoch,
            seq: count.seq,
            total: count.total,
        });
        Seen {
            dots: self.dots.iter().map(|(ix, seq)| (origins.get(*ix).origin, *seq)).collect(),
            counts: counts.collect(),
        }
    }
}

impl State {
    /// What a removal of the whole key observes.
    ///
    /// Contributions are listed one by one; a hash with very many is taken apart first, so that
    /// no operation outgrows a frame.
    pub(super) fn observe_key(&mut self, key: &[u8], now: WallMs) -> Observed {
        let mut observed = Observed::nothing(self.me);
        let Some(entry) = self.keyspace.keys.aim(key) else { return observed };
        observed.note_entry(entry, &self.origins);
        if !observed.is_heavy() {
            return observed;
        }
        let mut fields: Vec<Blob> = observed.counts.into_iter().filter_map(|count| count.field).collect();
        fields.dedup();
        let names: Vec<&[u8]> = fields.iter().map(|field| &**field).collect();
        self.remove_fields(key, &names, now);
        // What is left are values, which need no list, and contributions to a string, of which each origin has one.
        let mut observed = Observed::nothing(self.me);
        if let Some(entry) = self.keyspace.keys.get(key) {
            observed.note_entry(entry, &self.origins);
        }
        observed
    }

    /// Removes what is seen of a key, its expiry included.
    pub(crate) fn remove_observed(&mut self, key: &[u8], now: WallMs) {
        let observed = self.observe_key(key, now);
        let seen = observed.seen(&self.origins);
        self.commit(now, Action::Del { key: Raw(key), seen });
    }

    /// Removes the deadlines of a key whose data is gone. Whose operation took the data is not kept, so all that is known of those that live is observed: where
    /// the data is still there, it does not lose its deadlines before.
    pub(crate) fn remove_orphan(&mut self, key: &[u8], now: WallMs) {
        let mut observed = self.observe_key(key, now);
        for (ix, state) in self.origins.written().filter(|(_, state)| state.standing != Standing::Gone) {
            observed.note_all(ix, state.applied);
        }
        let seen = observed.seen(&self.origins);
        self.commit(now, Action::Del { key: Raw(key), seen });
    }

    /// Removes what is seen of fields, in as many operations as it takes for each to fit a frame.
    pub(super) fn remove_fields(&mut self, key: &[u8], fields: &[&[u8]], now: WallMs) {
        let mut rest = fields;
        while !rest.is_empty() {
            let mut observed = Observed::nothing(self.me);
            let hash = self.keyspace.keys.get(key).and_then(|entry| entry.hash());
            let mut taken = 0;
            while taken < rest.len() && !observed.is_heavy() {
                if let Some(register) = hash.and_then(|hash| hash.rows.get(rest[taken])) {
                    observed.note_register(Some(rest[taken]), register, &self.origins);
                }
                taken += 1;
            }
            let (now_removed, later) = rest.split_at(taken);
            let seen = observed.seen(&self.origins);
            let fields = Several(now_removed.iter().map(|field| Raw(field)).collect());
            self.commit(now, Action::Hdel { key: Raw(key), fields, seen });
            rest = later;
        }
    }

    /// Lets the expiry of a key go whose last row was just removed: a key without data has no deadline.
    pub(super) fn settle_empty(&mut self, key: &[u8], now: WallMs) {
        if self.keyspace.keys.get(key).is_some_and(Entry::is_orphan) {
            self.remove_observed(key, now);
        }
    }
}
