//! Serving a snapshot: all rows, in chunks, while the node goes on.
//!
//! The vector is noted before the first row is read and sent with the last. Rows that are read later than the vector was noted
//! may be newer than it, and that does no harm, because the receiver judges each row by its own vector at that moment and
//! applies operations only when what they observed is there: whatever removes such a row is not covered by
//! the vector either and will still come.
//!
//! The walk ([`crate::shared::walk`]) meets every row that stays, whatever changes between two chunks.

use std::ops::ControlFlow;

use bytes::Bytes;
use headcount_cluster::{Origin, codec};

use crate::dot::Tag;
use crate::homed::AnswerKey;
use crate::op::Raw;
use crate::origin::Origins;
use crate::portions::Portions;
use crate::shared::register::{Content, Row, ValueExpiry};
use crate::shared::spent::SpentKey;
use crate::shared::walk::{Cursor, Piece};
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
    Answered(Option<AnswerKey>),
    /// Among rows.
    Rows(Cursor),
    Done,
}

/// A chunk in the making.
#[derive(Debug)]
struct Chunk {
    portions: Portions,
    bytes: Vec<u8>,
    parts: u64,
    rows: usize,
}

impl Chunk {
    fn new(portions: Portions) -> Self {
        Self { portions, bytes: Vec::new(), parts: 0, rows: 0 }
    }

    fn put(&mut self, part: &Part<'_>) {
        codec::append(part, &mut self.bytes);
        self.parts += 1;
        self.rows += usize::from(!matches!(part, Part::Key(_)));
    }

    /// It has at least one row then, however large that is.
    fn is_full(&self) -> bool {
        let Portions { chunk_rows, frame_bytes, .. } = self.portions;
        self.rows >= chunk_rows || (self.rows > 0 && self.bytes.len() >= frame_bytes)
    }
}

impl State {
    /// A peer asks for a snapshot.
    pub(crate) fn serve_snapshot(&mut self, to: Origin, id: u64) {
        // While rows are merged that the vector does not cover yet, nobody should build on them.
        let busy = self.load.as_ref().is_some_and(super::load::Load::is_merging) || self.has_erased_what_comes();
        let known =
            Known { vector: self.wire_vector(), retired: vec![], forgotten: self.origins.forgotten.iter().collect() };
        let Some(peer) = self.peers.get_mut(to) else { return };
        if busy {
            peer.send(&Frame::SnapshotRefused { id });
            return;
        }
        peer.serving = Some(Serving { id, known, place: Place::Spent(None) });
    }

    /// Whether an own operation has erased what the vector does not cover yet, and it is still to come. With a snapshot that operation would be
    /// known and what it erased would not: whoever has that would keep it.
    fn has_erased_what_comes(&self) -> bool {
        let mut missing = self.early_erasures.iter().flat_map(|erasure| erasure.missing(&self.origins));
        missing.any(|dot| self.peers_that_have(dot) > 0)
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
        let mut serving = self.peers.get_mut(to).filter(|peer| peer.is_linked())?.serving.take()?;
        let mut chunk = Chunk::new(self.portions);
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
        } else if let Some(peer) = self.peers.get_mut(to) {
            peer.serving = Some(serving);
        }
        Some(bytes.into())
    }

    /// One step of the walk.
    fn walk(&self, place: &mut Place, chunk: &mut Chunk) {
        *place = match std::mem::replace(place, Place::Done) {
            Place::Spent(after) => self.walk_spent(after.as_ref(), chunk),
            Place::Answered(after) => self.walk_answered(after, chunk),
            Place::Rows(cursor) => self.walk_rows(cursor, chunk),
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
        // This node keeps no answers to its own calls; who loads may, from operations, and will not see what settled them.
        let own = (self.origin(), self.homed.calls.told);
        for (caller, through) in self.homed.answered.settled().chain([own]) {
            chunk.put(&Part::Settled(caller, through));
        }
        Place::Answered(None)
    }

    fn walk_answered(&self, after: Option<AnswerKey>, chunk: &mut Chunk) -> Place {
        for (caller, number, record) in self.homed.answered.after(after) {
            chunk.put(&Part::Answered(caller, number, record.clone()));
            if chunk.is_full() {
                return Place::Answered(Some((caller, number, record.dot.origin)));
            }
        }
        Place::Rows(Cursor::Start)
    }

    fn walk_rows(&self, mut cursor: Cursor, chunk: &mut Chunk) -> Place {
        let mut current = None;
        self.keyspace.walk(&mut cursor, |key, piece| {
            if current != Some(key) {
                chunk.put(&Part::Key(Raw(key)));
                current = Some(key);
            }
            self.put_piece(piece, chunk);
            if chunk.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if cursor.is_at_end() { Place::Done } else { Place::Rows(cursor) }
    }

    fn put_piece(&self, piece: Piece<'_>, chunk: &mut Chunk) {
        let tag = |tag: &Tag| wire_tag(tag, &self.origins);
        match piece {
            Piece::String(row) => chunk.put(&Part::String(tag(&row.tag), wire_content(row))),
            Piece::Expiry(rows) => rows.iter().for_each(|row| chunk.put(&Part::Expiry(tag(&row.tag), row.deadline))),
            Piece::Member(member, tags) => {
                tags.iter().for_each(|row| chunk.put(&Part::Member(Raw(member), tag(row))));
            }
            Piece::Element(name, element) => chunk.put(&Part::Element(*name, element.owner, Raw(&element.value))),
            Piece::Field(field, row) => chunk.put(&Part::Field(Raw(field), tag(&row.tag), wire_content(row))),
        }
    }
}

fn wire_tag(tag: &Tag, origins: &Origins) -> WireTag {
    WireTag { origin: origins.get(tag.origin).origin, owner: tag.owner, seq: tag.seq, stamp: tag.stamp }
}

fn wire_content(row: &Row) -> WireContent<'_> {
    match row.content() {
        Content::Value { value, expiry } => WireContent::Value {
            value: Raw(value),
            expiry: match expiry {
                ValueExpiry::Superseded => WireExpiry::Superseded,
                ValueExpiry::Never => WireExpiry::Never,
                ValueExpiry::At(at) => WireExpiry::At(at),
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
