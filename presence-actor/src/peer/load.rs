//! Loading a snapshot: first all of it is received, then it is merged, row by row, in slices.
//!
//! Until the last chunk has come nothing is touched, so a server that dies half-way costs nothing. Then each row is
//! judged: one that is here already stays; one whose dot this node's vector covers was removed here and stays away;
//! others are added. At the end the rows that the snapshot lacks though its vector covers them are swept, because they were
//! removed there, and only then is the vector joined. Operations go on being applied meanwhile, and one that the snapshot's vector
//! covers may add such a row behind the sweep; when the vector is joined, its removal counts as known and never comes. So such places
//! are swept again.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::ops::ControlFlow;

use bytes::Bytes;
use foldhash::fast::FixedState;
use headcount_cluster::codec::CodecError;
use headcount_cluster::{GoneReason, Origin, WallMs};

use super::sweep::{Again, Sweep};
use crate::blob::Blob;
use crate::dot::{OriginIx, Owner, Tag};
use crate::limits::PATIENCE_ROUNDS;
use crate::op::Op;
use crate::shared::entry::Entry;
use crate::shared::expiry::ExpiryRow;
use crate::shared::ledger::Slot;
use crate::shared::list::{Element, ElementKey};
use crate::shared::members::Members;
use crate::shared::register::{Content, Contribution, Desk, Register, Row, ValueExpiry};
use crate::shared::rows::Rows;
use crate::shared::spent::SpentCount;
use crate::shared::walk::Cursor;
use crate::state::State;
use crate::watch::before::Spot;
use crate::wire::{self, Frame, Known, Part, WireContent, WireExpiry, WireTag};

/// A snapshot on its way here.
#[derive(Debug)]
pub(crate) struct Load {
    from: Origin,
    id: u64,
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// The gossip round in which something of it came last.
    heard_in: u64,
    merge: Option<Merge>,
}

impl Load {
    pub(crate) fn is_merging(&self) -> bool {
        self.merge.is_some()
    }
}

/// The work after the last chunk.
#[derive(Debug)]
pub(super) struct Merge {
    covered: Known,
    /// Per origin the highest number in `covered`.
    bounds: BTreeMap<Origin, u64>,
    /// Hashes of the rows that the snapshot has: in a table that grows without a pause.
    seen: Rows<()>,
    hasher: FixedState,
    /// The key that the parts are of.
    key: Blob,
    /// How far rows are swept, once no chunk is left,
    swept: Cursor,
    /// and what is to be swept again.
    again: Again,
}

/// A key's part that a row stands in, as the sweep names it.
#[derive(Debug, Hash)]
pub(super) enum Place<'a> {
    Value(Option<&'a [u8]>, u64, u64),
    /// A contribution is one row however far it has grown.
    Count(Option<&'a [u8]>, u64, u32),
    Member(&'a [u8], u64, u64, u32),
    Expiry(u64, u64),
    Element(u64, u64, u32),
}

impl State {
    /// A peer's log does not reach back to where this node stood when it sent the pull with this number, be it not the last: a peer that is far away answers
    /// after the next was sent.
    pub(crate) fn handle_beyond_log(&mut self, from: Origin, number: u64) {
        let asked = self.peers.get(&from).is_some_and(|peer| peer.pulled.is_some_and(|last| number <= last));
        // An answer to a pull from before the last snapshot speaks of what that has brought.
        if asked && number > self.pulls_answered_by_load {
            self.request_snapshot(from);
        }
    }

    pub(crate) fn request_snapshot(&mut self, from: Origin) {
        if self.load.is_some() {
            return;
        }
        self.last_load_id += 1;
        let id = self.last_load_id;
        let Some(peer) = self.peers.get_mut(from) else { return };
        peer.send(&Frame::SnapshotRequest { id });
        let heard_in = self.gossip_round;
        self.load = Some(Load { from, id, chunks: VecDeque::new(), bytes: 0, heard_in, merge: None });
    }

    /// A snapshot of which nothing comes is not waited for: another node may have what this one lacks.
    pub(crate) fn give_up_slow_load(&mut self) {
        let is_slow = |load: &mut Load| !load.is_merging() && self.gossip_round >= load.heard_in + PATIENCE_ROUNDS;
        if let Some(load) = self.load.take_if(is_slow) {
            tracing::warn!(node = %self.name(), peer = %load.from, "a snapshot does not come; another is asked for");
            self.litter = Some(load);
        }
    }

    /// The peer cannot go on; the next gossip round finds another or the same.
    pub(crate) fn snapshot_refused(&mut self, from: Origin, id: u64) {
        if self.load.as_ref().is_some_and(|load| load.id == id) {
            self.abandon_load(from);
        }
    }

    /// The link to a peer is gone, and with it what it had not sent yet.
    pub(crate) fn abandon_load(&mut self, from: Origin) {
        if self.load.as_ref().is_some_and(|load| load.from == from && !load.is_merging()) {
            self.litter = self.load.take();
            self.readiness.pulled_in = None;
        }
    }

    /// Takes a chunk.
    pub(crate) fn handle_snapshot(&mut self, from: Origin, id: u64, last: Option<Known>, parts: Bytes) {
        let Some(load) = self.load.as_mut().filter(|load| load.from == from && load.id == id && !load.is_merging())
        else {
            return;
        };
        // An empty chunk costs something too.
        load.bytes += parts.len() + size_of::<Bytes>();
        load.heard_in = self.gossip_round;
        load.chunks.push_back(parts);
        if load.bytes > self.limits.snapshot_bytes {
            self.litter = self.load.take();
            return;
        }
        if let Some(covered) = last {
            load.merge = Some(Merge::new(covered, self.keyspace.seed));
            self.refuse_snapshots();
        }
    }

    /// One slice of merging, when there is something to merge.
    pub(crate) fn merge_slice(&mut self, now: WallMs) {
        let Some(mut load) = self.load.take_if(|load| load.is_merging()) else { return };
        let Some(merge) = &mut load.merge else { return };
        if let Some(chunk) = load.chunks.front_mut() {
            match self.merge_parts(merge, chunk) {
                Ok(merged) if merged == chunk.len() => drop(load.chunks.pop_front()),
                Ok(merged) => *chunk = chunk.slice(merged..),
                Err(error) => {
                    // The rest is as good as what came; the vector is not joined, so nothing is taken for known.
                    tracing::warn!(node = %self.name(), %error, "a snapshot could not be understood and is dropped");
                    self.stats.garbage_frames += 1;
                    self.litter = Some(load);
                    return;
                }
            }
            self.repeat_erasures();
        } else if !merge.swept.is_at_end() {
            self.sweep(merge);
        } else if !merge.again.is_empty() {
            self.sweep_again(merge);
        } else {
            self.finish_load(&merge.covered, now);
            self.litter = Some(load);
            return;
        }
        self.load = Some(load);
    }

    fn finish_load(&mut self, covered: &Known, now: WallMs) {
        for (origin, seq) in covered.vector.iter().chain(&covered.retired) {
            if *seq > self.origins.applied(*origin) {
                let ix = self.origins.intern(*origin, self.life.age());
                self.join(ix, *seq);
            }
        }
        for (origin, seq) in &covered.forgotten {
            match self.origins.find(*origin) {
                Some(ix) => self.join(ix, *seq),
                None => self.origins.forgotten.remember(*origin, *seq),
            }
        }
        let gone: Vec<Origin> = covered.forgotten.iter().map(|(origin, _)| *origin).collect();
        self.handle_gone(&gone, GoneReason::Reported, now);
        self.repeat_erasures();
        self.note_answers_of_snapshot();
        self.keyspace.spent.restart_barrier();
        self.stats.snapshots_loaded += 1;
        self.pulls_answered_by_load = self.last_pull;
        self.draining = true;
        for peer in self.linked_peers() {
            self.tell_vector(peer, true);
        }
        self.hand_out_early();
        self.update_readiness();
    }

    /// An origin is known up to `seq` by a snapshot.
    fn join(&mut self, ix: OriginIx, seq: u64) {
        if seq > self.origins.get(ix).applied && ix != self.me {
            let state = self.origins.advance(ix, seq);
            state.log.clear();
            state.inbox.drop_through(seq);
        }
    }

    /// Merges a slice of a chunk; returns how many of its bytes that were.
    fn merge_parts(&mut self, merge: &mut Merge, chunk: &Bytes) -> Result<usize, CodecError> {
        let mut rest = &chunk[..];
        for _ in 0..self.portions.slice_rows {
            if rest.is_empty() {
                break;
            }
            match wire::decode_part(&mut rest)? {
                Part::Key(key) => merge.key = key.0.into(),
                Part::String(tag, content) => self.merge_row(merge, None, tag, content),
                Part::Field(field, tag, content) => self.merge_row(merge, Some(field.0), tag, content),
                Part::Member(member, tag) => self.merge_member(merge, member.0, tag),
                Part::Expiry(tag, deadline) => self.merge_expiry(merge, tag, deadline),
                Part::Settled(caller, through) => self.note_settled(caller, through),
                Part::Answered(caller, number, record) => self.note_record(caller, number, record),
                Part::Element(name, owner, value) => self.merge_element(merge, name, owner, value.0),
            }
        }
        Ok(chunk.len() - rest.len())
    }

    fn merge_member(&mut self, merge: &mut Merge, member: &[u8], tag: WireTag) {
        merge.saw(&Place::Member(member, tag.origin.0, tag.seq, tag.owner.0));
        let Some((tag, known)) = self.admit(tag) else { return };
        let there = |set: &Members| {
            set.rows.get(member).is_some_and(|tags| {
                tags.iter().any(|old| old.origin == tag.origin && old.owner == tag.owner && old.seq >= tag.seq)
            })
        };
        let set = self.keyspace.keys.get(&merge.key).and_then(|entry| entry.set());
        if known || set.is_some_and(there) {
            return;
        }
        let seed = self.keyspace.seed;
        self.touch(&merge.key, || Some(Spot::Member(member.into())));
        self.keyspace.change(&merge.key, &self.origins, |entry, ledger, _| {
            let set = entry.make_set(seed);
            set.add(&merge.key, member, tag, ledger);
        });
    }

    fn merge_expiry(&mut self, merge: &mut Merge, tag: WireTag, deadline: Option<WallMs>) {
        merge.saw(&Place::Expiry(tag.origin.0, tag.seq));
        let Some((tag, known)) = self.admit(tag) else { return };
        let rows = self.keyspace.keys.get(&merge.key).map(Entry::expiry);
        let there = rows.is_some_and(|rows| rows.iter().any(|old| same_dot(&old.tag, &tag)));
        if !known && !there {
            self.touch(&merge.key, || None);
            self.keyspace.change(&merge.key, &self.origins, |entry, ledger, _| {
                ledger.added(&merge.key, Slot::Expiry, &tag, 0);
                entry.expiry_mut().push(ExpiryRow { tag, deadline });
            });
        }
    }

    fn merge_element(&mut self, merge: &mut Merge, name: ElementKey, owner: Owner, value: &[u8]) {
        merge.saw(&Place::Element(name.origin.0, name.seq, name.index));
        let tag = WireTag { origin: name.origin, owner, seq: name.seq, stamp: name.stamp };
        let Some((tag, known)) = self.admit(tag) else { return };
        if known {
            return;
        }
        self.touch(&merge.key, || Some(Spot::Element(name)));
        self.keyspace.change(&merge.key, &self.origins, |entry, ledger, _| {
            let element = Element { origin: tag.origin, owner, value: value.into() };
            entry.make_list().add(&merge.key, name, element, ledger);
        });
    }

    fn merge_row(&mut self, merge: &mut Merge, field: Option<&[u8]>, wire: WireTag, content: WireContent<'_>) {
        match content {
            WireContent::Value { .. } => merge.saw(&Place::Value(field, wire.origin.0, wire.seq)),
            WireContent::Count { .. } => merge.saw(&Place::Count(field, wire.origin.0, wire.owner.0)),
            WireContent::Spent { .. } => {}
        }
        let Some((tag, known)) = self.admit(wire) else { return };
        let applied = self.origins.get(tag.origin).applied;
        let key = merge.key.clone();
        let spent_key = (key.clone(), field.map(Blob::from), tag.origin, tag.owner);
        let spent_here = self.keyspace.spent.get(&spent_key).copied();
        if let WireContent::Spent { epoch, total } = content {
            self.keyspace.spent.record(spent_key, SpentCount { epoch, seq: tag.seq, total });
        }
        let registers = self.keyspace.keys.get(&key).map(|entry| match field {
            None => Some(entry.string()),
            Some(field) => entry.hash().and_then(|hash| hash.rows.get(field)),
        });
        let register = registers.flatten();
        let change = judge(register, &tag, known, applied, content, spent_here);
        if matches!(change, Change::Nothing) {
            return;
        }
        let seed = self.keyspace.seed;
        self.touch(&key, || Some(field.map_or(Spot::String, |field| Spot::Field(field.into()))));
        self.keyspace.change(&key, &self.origins, |entry, ledger, _| {
            let mut desk = Desk { key: &key, field, ledger, spent: None };
            match field {
                None => change.apply(entry.string_mut(), &tag, &mut desk),
                Some(field) => {
                    let hash = entry.make_hash(seed);
                    change.apply(hash.rows.get_or_insert_with(field, Register::default), &tag, &mut desk);
                    hash.tidy(field);
                }
            }
        });
    }

    /// A slot of a key is about to change, or with `None` nothing but its deadline.
    fn touch(&mut self, key: &Blob, spot: impl FnOnce() -> Option<Spot>) {
        if !self.keyspace.watches.is_empty() {
            self.keyspace.watches.touch(&self.keyspace.keys, key, spot(), &self.origins);
        }
    }

    /// A row's tag with this node's index, and whether the vector covers it; `None` when its owner is Gone, or when this node
    /// would have written it and has not: none of its operations could remove that.
    fn admit(&mut self, tag: WireTag) -> Option<(Tag, bool)> {
        let origin = self.origins.intern(tag.origin, self.life.age());
        let known = self.origins.get(origin).applied >= tag.seq;
        let tag = Tag { origin, owner: tag.owner, seq: tag.seq, stamp: tag.stamp };
        let forged = origin == self.me && !known;
        (self.origins.admits(origin, tag.owner) && !forged).then_some((tag, known))
    }

    /// An operation was applied while a snapshot is merged. What it adds may be a row that the snapshot lacks, at a place that was
    /// swept before.
    pub(crate) fn note_behind_sweep(&mut self, author: OriginIx, seq: u64, op: &Op<'_>) {
        let Some(load) = self.load.as_mut().filter(|load| load.chunks.is_empty()) else { return };
        let Some(merge) = &mut load.merge else { return };
        let origin = self.origins.get(author).origin;
        if merge.bounds.get(&origin).is_none_or(|bound| *bound < seq) {
            return;
        }
        merge.again.note(op, (author, seq), origin);
        if merge.again.bytes() > self.portions.swept_again_bytes {
            merge.again = Again::default();
            merge.swept = Cursor::Start;
        }
    }

    /// Looks again at a slice of the places where operations have added something since the sweep began.
    fn sweep_again(&mut self, merge: &mut Merge) {
        let places = merge.again.take(self.portions.slice_rows);
        let sweep = Sweep { merge, bound: self.bound_by_index(merge), origins: &self.origins };
        for (key, stop) in places {
            sweep.remove(&mut self.keyspace, &key, &stop);
        }
    }

    /// The snapshot's vector, by this node's indices.
    fn bound_by_index(&self, merge: &Merge) -> Vec<u64> {
        let mut bound = vec![0; self.origins.slots()];
        for (origin, seq) in &merge.bounds {
            // One that is not known here has no rows here.
            if let Some(ix) = self.origins.find(*origin) {
                bound[ix.index()] = *seq;
            }
        }
        bound
    }

    /// Looks at a slice of rows and removes those that the snapshot lacks.
    fn sweep(&mut self, merge: &mut Merge) {
        let mut swept = std::mem::take(&mut merge.swept);
        let sweep = Sweep { merge, bound: self.bound_by_index(merge), origins: &self.origins };
        let (mut rows, mut doomed, most) = (0, Vec::new(), self.portions.slice_rows);
        self.keyspace.walk(&mut swept, |key, piece| {
            if sweep.dooms(key, piece) {
                doomed.push((key.clone(), piece.stop()));
            }
            rows += piece.rows();
            if rows < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        for (key, stop) in doomed {
            sweep.remove(&mut self.keyspace, &key, &stop);
        }
        merge.swept = swept;
    }
}

impl Merge {
    /// Nothing is merged yet; `seed` is what this node hashes with.
    fn new(covered: Known, seed: u64) -> Self {
        let mut bounds = BTreeMap::new();
        for (origin, seq) in covered.iter() {
            let bound: &mut u64 = bounds.entry(origin).or_default();
            *bound = seq.max(*bound);
        }
        Self {
            covered,
            bounds,
            seen: Rows::new(seed),
            hasher: FixedState::with_seed(seed),
            key: Blob::default(),
            swept: Cursor::Start,
            again: Again::default(),
        }
    }

    /// Whether the snapshot had no such row.
    pub(super) fn lacks(&self, key: &[u8], place: &Place<'_>) -> bool {
        self.seen.get(&self.hash(key, place).to_ne_bytes()).is_none()
    }

    fn hash(&self, key: &[u8], place: &Place<'_>) -> u64 {
        self.hasher.hash_one((key, place))
    }

    fn saw(&mut self, place: &Place<'_>) {
        let hash = self.hash(&self.key, place);
        self.seen.insert(&hash.to_ne_bytes(), ());
    }
}

/// What a snapshot's row does to a register.
#[derive(Debug)]
enum Change<'a> {
    Nothing,
    AddValue(&'a [u8], ValueExpiry),
    SupersedeExpiry,
    PutCount(Contribution),
    /// Takes the contribution away.
    DropCount,
}

/// Decides what a row does, by what is here.
fn judge<'a>(
    register: Option<&Register>,
    tag: &Tag,
    known: bool,
    applied: u64,
    content: WireContent<'a>,
    spent: Option<SpentCount>,
) -> Change<'a> {
    let mut rows = register.into_iter().flat_map(|register| register.rows.iter());
    match content {
        WireContent::Value { value, expiry } => {
            let here = rows.find_map(|row| match row.content() {
                Content::Value { expiry, .. } if same_dot(&row.tag, tag) => Some(expiry),
                Content::Value { .. } | Content::Count(_) => None,
            });
            match (here, expiry) {
                (Some(ValueExpiry::Never | ValueExpiry::At(_)), WireExpiry::Superseded) => Change::SupersedeExpiry,
                (Some(_), _) => Change::Nothing,
                (None, _) if known => Change::Nothing,
                (None, WireExpiry::Superseded) => Change::AddValue(value.0, ValueExpiry::Superseded),
                (None, WireExpiry::Never) => Change::AddValue(value.0, ValueExpiry::Never),
                (None, WireExpiry::At(at)) => Change::AddValue(value.0, ValueExpiry::At(at)),
            }
        }
        WireContent::Count { epoch, total, erased_through, erased } => {
            let theirs = Contribution { epoch, total, erased_through, erased };
            match find_count(register, tag) {
                Some((here_tag, here)) if here.epoch == epoch => {
                    let later = if tag.seq > here_tag.seq { theirs } else { *here };
                    let erased = if erased_through > here.erased_through { theirs } else { *here };
                    let joined = Contribution { erased_through: erased.erased_through, erased: erased.erased, ..later };
                    if joined == *here && tag.seq <= here_tag.seq { Change::Nothing } else { Change::PutCount(joined) }
                }
                Some((_, here)) if here.epoch > epoch => Change::Nothing,
                Some(_) => Change::PutCount(theirs),
                None if known => Change::Nothing,
                // Part of it was applied here and erased.
                None => match spent.filter(|spent| spent.epoch == epoch && spent.seq > erased_through) {
                    Some(spent) if applied >= epoch => {
                        Change::PutCount(Contribution { erased_through: spent.seq, erased: spent.total, ..theirs })
                    }
                    Some(_) | None => Change::PutCount(theirs),
                },
            }
        }
        WireContent::Spent { epoch, total } => match find_count(register, tag) {
            Some((here_tag, here)) if here.epoch == epoch && here_tag.seq <= tag.seq => Change::DropCount,
            Some((_, here)) if here.epoch == epoch && here.erased_through < tag.seq => {
                Change::PutCount(Contribution { erased_through: tag.seq, erased: total, ..*here })
            }
            Some((_, here)) if here.epoch < epoch => Change::DropCount,
            Some(_) | None => Change::Nothing,
        },
    }
}

impl Change<'_> {
    fn apply(self, register: &mut Register, tag: &Tag, desk: &mut Desk<'_>) {
        match self {
            Self::Nothing => {}
            Self::AddValue(value, expiry) => {
                let row = Row::value(*tag, value, expiry);
                desk.added(&row);
                register.rows.push(row);
            }
            Self::SupersedeExpiry => {
                for row in register.rows.iter_mut().filter(|row| same_dot(&row.tag, tag)) {
                    row.supersede_expiry();
                }
            }
            Self::PutCount(contribution) => {
                let here = register.rows.iter_mut().find(|row| is_count_of(row, tag));
                if let Some(row) = here {
                    if tag.seq > row.tag.seq {
                        row.tag = *tag;
                    }
                    *row = Row::count(row.tag, contribution);
                } else {
                    let row = Row::count(*tag, contribution);
                    desk.added(&row);
                    register.rows.push(row);
                }
            }
            Self::DropCount => retain(register, |row| !is_count_of(row, tag), desk),
        }
    }
}

pub(super) fn retain(register: &mut Register, keep: impl Fn(&Row) -> bool, desk: &mut Desk<'_>) {
    register.rows.retain(|row| {
        let keep = keep(row);
        if !keep {
            desk.removed(row);
        }
        keep
    });
}

fn find_count<'a>(register: Option<&'a Register>, tag: &Tag) -> Option<(&'a Tag, &'a Contribution)> {
    register?.rows.iter().find(|row| is_count_of(row, tag)).and_then(|row| match row.content() {
        Content::Count(count) => Some((&row.tag, count)),
        Content::Value { .. } => None,
    })
}

fn is_count_of(row: &Row, tag: &Tag) -> bool {
    row.tag.origin == tag.origin && row.tag.owner == tag.owner && matches!(row.content(), Content::Count(_))
}

fn same_dot(a: &Tag, b: &Tag) -> bool {
    a.origin == b.origin && a.seq == b.seq
}
