//! Origins and their streams.
//!
//! Each origin's writes form one stream of operations, numbered from 1 without gaps, and are applied in that order
//! everywhere. So one number per origin, [`OriginState::applied`], says exactly what this node knows of it, and all of
//! them together are the version vector. A stream may wait: an operation that observed another origin's row is
//! applied only once that row's dot is covered ([`inbox`]), otherwise a removal could overtake what it removes.

pub(crate) mod inbox;
pub(crate) mod oplog;

use std::collections::{BTreeMap, VecDeque};

use crdts::VClock;
use headcount_cluster::{Origin, WallMs};

use self::inbox::Inbox;
use self::oplog::Oplog;
use crate::dot::{OriginIx, Owner, Tag};
use crate::limits::MAX_FENCED_STRANGERS;

/// What this node holds of an origin, as far as its owned rows are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its rows are shown.
    Up,
    /// Its owned rows are hidden since this moment. So is one that no membership has named yet.
    Hidden {
        /// Since when.
        since: WallMs,
    },
    /// Its owned rows are dropped and never accepted again.
    Gone,
}

/// One origin.
#[derive(Debug)]
pub(crate) struct OriginState {
    pub(crate) origin: Origin,
    /// Sequence number of the last applied operation.
    pub(crate) applied: u64,
    pub(crate) standing: Standing,
    /// Whether the membership has named it. Nobody else will ever declare one Gone that has not been.
    pub(crate) member: bool,
    pub(crate) log: Oplog,
    pub(crate) inbox: Inbox,
}

/// All origins that this node has heard of.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    list: Vec<OriginState>,
    by_origin: BTreeMap<Origin, OriginIx>,
    /// Origins that are Gone and of which nothing was ever held; the oldest is forgotten first.
    fenced: VecDeque<Origin>,
    /// How many are not [`Standing::Up`]; zero makes every row visible at a glance.
    veiled: usize,
}

impl Origins {
    /// The index of an origin, which is hidden from `now` on when it is new.
    pub(crate) fn intern(&mut self, origin: Origin, now: WallMs) -> OriginIx {
        if let Some(ix) = self.by_origin.get(&origin) {
            return *ix;
        }
        let ix = OriginIx::new(self.list.len());
        let standing = if self.fenced.contains(&origin) { Standing::Gone } else { Standing::Hidden { since: now } };
        self.list.push(OriginState {
            origin,
            applied: 0,
            standing,
            member: false,
            log: Oplog::default(),
            inbox: Inbox::default(),
        });
        self.by_origin.insert(origin, ix);
        self.veiled += 1;
        ix
    }

    /// Remembers an origin of which nothing was ever held for Gone.
    pub(crate) fn fence(&mut self, origin: Origin) {
        if self.fenced.contains(&origin) {
            return;
        }
        if self.fenced.len() == MAX_FENCED_STRANGERS {
            self.fenced.pop_front();
        }
        self.fenced.push_back(origin);
    }

    pub(crate) fn find(&self, origin: Origin) -> Option<OriginIx> {
        self.by_origin.get(&origin).copied()
    }

    pub(crate) fn get(&self, ix: OriginIx) -> &OriginState {
        &self.list[ix.index()]
    }

    pub(crate) fn get_mut(&mut self, ix: OriginIx) -> &mut OriginState {
        &mut self.list[ix.index()]
    }

    /// In the order of the wire's origins, which is the same on every node.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (OriginIx, &OriginState)> {
        self.by_origin.values().map(|ix| (*ix, self.get(*ix)))
    }

    pub(crate) fn indices(&self) -> impl Iterator<Item = OriginIx> + use<> {
        (0..self.list.len()).map(OriginIx::new)
    }

    /// Sequence number applied of an origin; zero when it was never heard of.
    pub(crate) fn applied(&self, origin: Origin) -> u64 {
        self.find(origin).map_or(0, |ix| self.get(ix).applied)
    }

    /// The version vector.
    pub(crate) fn vector(&self) -> VClock<Origin> {
        let mut vector = VClock::new();
        for (_, state) in self.iter().filter(|(_, state)| state.applied > 0) {
            vector.dots.insert(state.origin, state.applied);
        }
        vector
    }

    pub(crate) fn set_standing(&mut self, ix: OriginIx, standing: Standing) {
        let state = self.get_mut(ix);
        let was_up = state.standing == Standing::Up;
        state.standing = standing;
        let is_up = standing == Standing::Up;
        self.veiled = self.veiled + usize::from(was_up) - usize::from(is_up);
    }

    /// Whether some rows may be invisible.
    pub(crate) fn any_veiled(&self) -> bool {
        self.veiled > 0
    }

    /// Whether readers see a row: it is shared, or its owner is Up.
    pub(crate) fn sees(&self, tag: &Tag) -> bool {
        tag.owner.is_shared() || self.get(tag.origin).standing == Standing::Up
    }

    /// Whether rows of this owner may still be added.
    pub(crate) fn admits(&self, origin: OriginIx, owner: Owner) -> bool {
        owner.is_shared() || self.get(origin).standing != Standing::Gone
    }
}
