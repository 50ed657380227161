//! What an operation takes away: its observation, with origins resolved to this node's indices.

use smallvec::SmallVec;

use crate::dot::{OriginIx, Owner, Tag};

/// An observed contribution, resolved.
#[derive(Debug)]
pub(crate) struct ErasedCount<'a> {
    pub(crate) field: Option<&'a [u8]>,
    pub(crate) origin: OriginIx,
    pub(crate) owner: Owner,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    pub(crate) total: i64,
}

/// Which rows an operation removes within its scope.
#[derive(Debug)]
pub(crate) struct Erase<'a> {
    /// Who removes: it has observed all that it wrote before.
    pub(crate) author: OriginIx,
    /// The removing operation's sequence number.
    pub(crate) seq: u64,
    pub(crate) dots: SmallVec<[(OriginIx, u64); 1]>,
    pub(crate) counts: Vec<ErasedCount<'a>>,
}

impl Erase<'_> {
    /// Whether the operation had observed the write of this row.
    pub(crate) fn covers(&self, tag: &Tag) -> bool {
        if tag.origin == self.author {
            return tag.seq < self.seq;
        }
        self.dots.iter().any(|(origin, seq)| *origin == tag.origin && tag.seq <= *seq)
    }

    /// How much of a contribution that has grown since was observed.
    pub(crate) fn part_of(&self, field: Option<&[u8]>, tag: &Tag, epoch: u64) -> Option<&ErasedCount<'_>> {
        self.counts.iter().find(|count| {
            count.origin == tag.origin && count.owner == tag.owner && count.epoch == epoch && count.field == field
        })
    }
}
