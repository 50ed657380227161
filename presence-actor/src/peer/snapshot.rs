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
use crate::shared::register::{Content, Row, ValueExpiry};
use crate::shared::spent::SpentKey;
use crate::state::State;
use crate::wire::{self, Frame, Part, WireContent, WireExpiry, WireTag, WireVector};

/// A snapshot on its way to a peer.
#[derive(Debug)]
pub(crate) struct Serving {
    id: u64,
    vector: WireVector,
    place: Place,
}

/// Where the walk stands.
#[derive(Debug)]
enum Place {
    /// Among spent contributions, after this one.
    Spent(Option<SpentKey>),
    /// Before the key with this index; all from there on are sent.
    Keys(usize),
    /// In the middle of the key with this index: members and fields before these indices are still to be sent.
    Within {
        index: usize,
        key: Blob,
        members: usize,
        fields: usize,
    },
    Done,
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

    fn is_full(&self) -> bool {
        self.rows >= SNAPSHOT_CHUNK_ROWS || self.bytes.len() >= FRAME_TARGET_BYTES
    }
}

impl State {
    /// A peer asks for a snapshot.
    pub(crate) fn serve_snapshot(&mut self, to: Origin, id: u64) {
        // While rows are merged that the vector does not cover yet, nobody should build on them.
        let busy = self.load.as_ref().is_some_and(super::load::Load::is_merging);
        let vector = self.wire_vector();
        let Some(peer) = self.peers.get_mut(&to) else { return };
        if busy {
            peer.send(&Frame::SnapshotRefused { id });
            return;
        }
        peer.serving = Some(Serving { id, vector, place: Place::Spent(None) });
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
        let last = done.then(|| serving.vector.clone());
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
            Place::Keys(before) => match before.min(self.keyspace.keys.len()).checked_sub(1) {
                Some(index) => self.walk_key(index, None, chunk),
                None => Place::Done,
            },
            Place::Within { index, key, members, fields } => match self.keyspace.keys.get_index(index) {
                Some((found, _)) if *found == key => self.walk_key(index, Some((members, fields)), chunk),
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
        Place::Keys(self.keyspace.keys.len())
    }

    /// Sends a key, or the rest of it.
    fn walk_key(&self, index: usize, resume: Option<(usize, usize)>, chunk: &mut Chunk) -> Place {
        let Some((key, entry)) = self.keyspace.keys.get_index(index) else { return Place::Keys(index) };
        chunk.put(&Part::Key(Raw(key)));
        let (mut members, mut fields) = resume.unwrap_or((usize::MAX, usize::MAX));
        if resume.is_none() {
            self.put_head(entry, chunk);
        }
        let full = self.put_members(entry, &mut members, chunk);
        if full.is_continue() && self.put_fields(entry, &mut fields, chunk).is_continue() {
            return Place::Keys(index);
        }
        Place::Within { index, key: key.clone(), members, fields }
    }

    fn put_head(&self, entry: &Entry, chunk: &mut Chunk) {
        for row in &entry.string.rows {
            chunk.put(&Part::String(wire_tag(&row.tag, &self.origins), wire_content(row)));
        }
        for row in &entry.expiry {
            chunk.put(&Part::Expiry(wire_tag(&row.tag, &self.origins), row.deadline));
        }
    }

    fn put_members(&self, entry: &Entry, before: &mut usize, chunk: &mut Chunk) -> ControlFlow<()> {
        let Some(set) = &entry.set else { return ControlFlow::Continue(()) };
        *before = (*before).min(set.rows.len());
        while let Some(index) = before.checked_sub(1) {
            if chunk.is_full() {
                return ControlFlow::Break(());
            }
            if let Some((member, tags)) = set.rows.get_index(index) {
                tags.iter().for_each(|tag| chunk.put(&Part::Member(Raw(member), wire_tag(tag, &self.origins))));
            }
            *before = index;
        }
        ControlFlow::Continue(())
    }

    fn put_fields(&self, entry: &Entry, before: &mut usize, chunk: &mut Chunk) -> ControlFlow<()> {
        let Some(hash) = &entry.hash else { return ControlFlow::Continue(()) };
        *before = (*before).min(hash.rows.len());
        while let Some(index) = before.checked_sub(1) {
            if chunk.is_full() {
                return ControlFlow::Break(());
            }
            if let Some((field, register)) = hash.rows.get_index(index) {
                for row in &register.rows {
                    chunk.put(&Part::Field(Raw(field), wire_tag(&row.tag, &self.origins), wire_content(row)));
                }
            }
            *before = index;
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
