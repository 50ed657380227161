//! Serving a snapshot: all rows, in chunks, while the node goes on.
//!
//! The vector is noted before the first row is read and sent with the last. Rows that are read later than the vector was noted
//! may be newer than it, and that does no harm, because the receiver judges each row by its own vector at that moment and
//! applies operations only when what they observed is there: whatever removes such a row is not covered by
//! the vector either and will still come.
//!
//! The walk goes from the last key to the first, and within a key from the last row to the first: rows that stay may
//! move towards the front only ([`crate::shared::Rows`]), so none is missed, though some may be sent twice.

use std::ops::ControlFlow;

use bytes::Bytes;
use headcount_cluster::{Origin, codec};

use crate::blob::Blob;
use crate::dot::Tag;
use crate::limits::{FRAME_TARGET_BYTES, SNAPSHOT_CHUNK_ROWS};
use crate::op::Raw;
use crate::origin::Origins;
use crate::shared::entry::Entry;
use crate::shared::list::ElementKey;
use crate::shared::register::{Content, Row, ValueExpiry};
use crate::shared::spent::SpentKey;
use crate::state::State;
use crate::wire::{self, Frame, Known, Part, WireContent, WireExpiry, WireTag};

/// A snapshot on its way to a peer.
#[derive(Debug)]
pub(crate) struct Serving {
    id: u64,
    known: Known,
    place: Place,
}

/// Where the walk stands.
#[derive(Debug)]
enum Place {
    /// Among spent contributions, after this one.
    Spent(Option<SpentKey>),
    /// Among answered calls, after this one.
    Answered(Option<(Origin, u64)>),
    /// Before the key with this index; all from there on are sent.
    Keys(usize),
    /// In the middle of the key with this index.
    Within {
        index: usize,
        key: Blob,
        rest: Rest,
    },
    Done,
}

/// What is still to be sent of a key: rows before these indices.
#[derive(Debug, Clone, Copy)]
struct Rest {
    strings: usize,
    deadlines: usize,
    members: usize,
    /// The element before which the rest is; `None` when nothing was sent yet.
    elements: Option<ElementKey>,
    fields: usize,
    /// Of the last of those fields.
    field_rows: usize,
}

impl Rest {
    const ALL: Self = Self {
        strings: usize::MAX,
        deadlines: usize::MAX,
        members: usize::MAX,
        elements: None,
        fields: usize::MAX,
        field_rows: usize::MAX,
    };
}

/// A chunk in the making.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    parts: u64,
    rows: usize,
}

impl Chunk {
    fn put(&mut self, part: &Part<'_>) {
        codec::append(part, &mut self.bytes);
        self.parts += 1;
        self.rows += usize::from(!matches!(part, Part::Key(_)));
    }

    /// It has at least one row then, however large that is.
    fn is_full(&self) -> bool {
        self.rows >= SNAPSHOT_CHUNK_ROWS || (self.rows > 0 && self.bytes.len() >= FRAME_TARGET_BYTES)
    }

    /// Puts what stands before an index, from the last to the first, while there is room.
    fn put_before(&mut self, before: &mut usize, len: usize, mut put: impl FnMut(&mut Self, usize)) -> ControlFlow<()> {
        *before = (*before).min(len);
        while let Some(index) = before.checked_sub(1) {
            if self.is_full() {
                return ControlFlow::Break(());
            }
            put(self, index);
            *before = index;
        }
        ControlFlow::Continue(())
    }
}

impl State {
    /// A peer asks for a snapshot.
    pub(crate) fn serve_snapshot(&mut self, to: Origin, id: u64) {
        // While rows are merged that the vector does not cover yet, nobody should build on them.
        let busy = self.load.as_ref().is_some_and(super::load::Load::is_merging);
        let known =
            Known { vector: self.wire_vector(), retired: vec![], forgotten: self.origins.forgotten.iter().collect() };
        let Some(peer) = self.peers.get_mut(&to) else { return };
        if busy {
            peer.send(&Frame::SnapshotRefused { id });
            return;
        }
        peer.serving = Some(Serving { id, known, place: Place::Spent(None) });
    }

    /// Ends all snapshots that are being served, because this node begins to merge one itself.
    pub(crate) fn refuse_snapshots(&mut self) {
        for peer in self.peers.values_mut() {
            if let Some(serving) = peer.serving.take() {
                peer.send(&Frame::SnapshotRefused { id: serving.id });
            }
        }
    }

    /// The next bulk frame to a peer; `None` when there is nothing.
    pub fn poll_bulk(&mut self, to: Origin) -> Option<Bytes> {
        let mut serving = self.peers.get_mut(&to).filter(|peer| peer.is_linked())?.serving.take()?;
        let mut chunk = Chunk::default();
        while !chunk.is_full() && !matches!(serving.place, Place::Done) {
            self.walk(&mut serving.place, &mut chunk);
        }
        let done = matches!(serving.place, Place::Done);
        let last = done.then(|| serving.known.clone());
        let mut bytes = wire::encode(&Frame::Snapshot { id: serving.id, parts: chunk.parts, last });
        bytes.extend_from_slice(&chunk.bytes);
        self.stats.snapshot_bytes_served += bytes.len() as u64;
        if done {
            self.stats.snapshots_served += 1;
        } else if let Some(peer) = self.peers.get_mut(&to) {
            peer.serving = Some(serving);
        }
        Some(bytes.into())
    }

    /// One step of the walk.
    fn walk(&self, place: &mut Place, chunk: &mut Chunk) {
        *place = match std::mem::replace(place, Place::Done) {
            Place::Spent(after) => self.walk_spent(after.as_ref(), chunk),
            Place::Answered(after) => self.walk_answered(after, chunk),
            Place::Keys(before) => match before.min(self.keyspace.keys.len()).checked_sub(1) {
                Some(index) => self.walk_key(index, Rest::ALL, chunk),
                None => Place::Done,
            },
            Place::Within { index, key, rest } => match self.keyspace.keys.get_index(index) {
                Some((found, _)) if *found == key => self.walk_key(index, rest, chunk),
                // The key went, and what stands in its place was sent already.
                _ => Place::Keys(index),
            },
            Place::Done => Place::Done,
        };
    }

    fn walk_spent(&self, after: Option<&SpentKey>, chunk: &mut Chunk) -> Place {
        for (key, count) in self.keyspace.spent.after(after) {
            let (name, field, origin, owner) = key;
            let tag = Tag { origin: *origin, owner: *owner, seq: count.seq, stamp: headcount_cluster::Hlc::default() };
            let tag = wire_tag(&tag, &self.origins);
            let content = WireContent::Spent { epoch: count.epoch, total: count.total };
            chunk.put(&Part::Key(Raw(name)));
            chunk.put(&match field {
                Some(field) => Part::Field(Raw(field), tag, content),
                None => Part::String(tag, content),
            });
            if chunk.is_full() {
                return Place::Spent(Some(key.clone()));
            }
        }
        for (caller, through) in self.homed.answered.settled() {
            chunk.put(&Part::Settled(caller, through));
        }
        Place::Answered(None)
    }

    fn walk_answered(&self, after: Option<(Origin, u64)>, chunk: &mut Chunk) -> Place {
        let (caller, number) = after.unwrap_or((Origin(0), 0));
        for (caller, number, record) in self.homed.answered.after(caller, number) {
            chunk.put(&Part::Answered(caller, number, record.clone()));
            if chunk.is_full() {
                return Place::Answered(Some((caller, number)));
            }
        }
        Place::Keys(self.keyspace.keys.len())
    }

    /// Sends the rest of a key.
    fn walk_key(&self, index: usize, mut rest: Rest, chunk: &mut Chunk) -> Place {
        let Some((key, entry)) = self.keyspace.keys.get_index(index) else { return Place::Keys(index) };
        chunk.put(&Part::Key(Raw(key)));
        match self.put_entry(entry, &mut rest, chunk) {
            ControlFlow::Continue(()) => Place::Keys(index),
            ControlFlow::Break(()) => Place::Within { index, key: key.clone(), rest },
        }
    }

    fn put_entry(&self, entry: &Entry, rest: &mut Rest, chunk: &mut Chunk) -> ControlFlow<()> {
        let tag = |tag: &Tag| wire_tag(tag, &self.origins);
        let strings = &entry.string.rows;
        chunk.put_before(&mut rest.strings, strings.len(), |chunk, index| {
            let row = &strings[index];
            chunk.put(&Part::String(tag(&row.tag), wire_content(row)));
        })?;
        chunk.put_before(&mut rest.deadlines, entry.expiry.len(), |chunk, index| {
            let row = &entry.expiry[index];
            chunk.put(&Part::Expiry(tag(&row.tag), row.deadline));
        })?;
        if let Some(set) = &entry.set {
            chunk.put_before(&mut rest.members, set.rows.len(), |chunk, index| {
                let Some((member, tags)) = set.rows.get_index(index) else { return };
                tags.iter().for_each(|row| chunk.put(&Part::Member(Raw(member), tag(row))));
            })?;
        }
        let before = rest.elements;
        for (name, element) in entry.list.iter().flat_map(|list| list.before(before)) {
            if chunk.is_full() {
                return ControlFlow::Break(());
            }
            chunk.put(&Part::Element(*name, element.owner, Raw(&element.value)));
            rest.elements = Some(*name);
        }
        let Some(hash) = &entry.hash else { return ControlFlow::Continue(()) };
        rest.fields = rest.fields.min(hash.rows.len());
        while let Some(index) = rest.fields.checked_sub(1) {
            let Some((field, register)) = hash.rows.get_index(index) else { break };
            chunk.put_before(&mut rest.field_rows, register.rows.len(), |chunk, index| {
                let row = &register.rows[index];
                chunk.put(&Part::Field(Raw(field), tag(&row.tag), wire_content(row)));
            })?;
            rest.fields = index;
            rest.field_rows = usize::MAX;
        }
        ControlFlow::Continue(())
    }
}

fn wire_tag(tag: &Tag, origins: &Origins) -> WireTag {
    WireTag { origin: origins.get(tag.origin).origin, owner: tag.owner, seq: tag.seq, stamp: tag.stamp }
}

fn wire_content(row: &Row) -> WireContent<'_> {
    match &row.content {
        Content::Value { value, expiry } => WireContent::Value {
            value: Raw(value),
            expiry: match expiry {
                ValueExpiry::Superseded => WireExpiry::Superseded,
                ValueExpiry::Never => WireExpiry::Never,
                ValueExpiry::At(at) => WireExpiry::At(*at),
            },
        },
        Content::Count(count) => WireContent::Count {
            epoch: count.epoch,
            total: count.total,
            erased_through: count.erased_through,
            erased: count.erased,
        },
    }
}
