//! Origins and their streams.
//!
//! Each origin's writes form one stream of operations, numbered from 1 without gaps, and are applied in that order
//! everywhere. So one number per origin, [`OriginState::applied`], says exactly what this node knows of it, and all of
//! them together are the version vector. A stream may wait: an operation that observed another origin's row is
//! applied only once that row's dot is covered ([`inbox`]), otherwise a removal could overtake what it removes.
//! An origin that is Gone and of which nothing is left anywhere is forgotten: its index is used again, and only its
//! number stays for a while ([`forgotten`]).

mod forgotten;
pub(crate) mod inbox;
pub(crate) mod oplog;

use std::collections::{BTreeMap, BTreeSet};

use crdts::VClock;
use headcount_cluster::Origin;

use self::forgotten::Forgotten;
use self::inbox::Inbox;
use self::oplog::Oplog;
use crate::dot::{OriginIx, Owner, Tag};
use crate::life::Age;

/// What this node holds of an origin, as far as its owned rows are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its rows are shown.
    Up,
    /// Its owned rows are hidden since this moment. So is one that no membership has named yet.
    Hidden {
        /// Since when.
        since: Age,
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
    /// Whether it is Gone and all that it owned is dropped.
    bare: bool,
    /// Whether the membership has named it. Nobody else will ever declare one Gone that has not been.
    pub(crate) member: bool,
    pub(crate) log: Oplog,
    pub(crate) inbox: Inbox,
}

/// All origins that this node has heard of and not forgotten.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    /// By index; one that is in `free` means nothing.
    list: Vec<OriginState>,
    free: Vec<OriginIx>,
    by_origin: BTreeMap<Origin, OriginIx>,
    gone: BTreeSet<Origin>,
    /// Those that have written anything.
    written: BTreeSet<Origin>,
    pub(crate) forgotten: Forgotten,
    /// How many may own rows that are not visible; zero makes every row visible at a glance.
    veiled: usize,
    /// Grows whenever rows become visible or invisible: what readers were shown before may be out of date.
    sight: u32,
}

impl Origins {
    /// The index of an origin, which is hidden from `now` on when it is new.
    pub(crate) fn intern(&mut self, origin: Origin, now: Age) -> OriginIx {
        if let Some(ix) = self.by_origin.get(&origin) {
            return *ix;
        }
        let (standing, applied) = match self.forgotten.recall(origin) {
            Some(applied) => (Standing::Gone, applied),
            None => (Standing::Hidden { since: now }, 0),
        };
        let bare = standing == Standing::Gone;
        let (log, inbox) = (Oplog::default(), Inbox::default());
        let state = OriginState { origin, applied, standing, bare, member: false, log, inbox };
        let ix = if let Some(ix) = self.free.pop() {
            *self.get_mut(ix) = state;
            ix
        } else {
            self.list.push(state);
            OriginIx::new(self.list.len() - 1)
        };
        self.by_origin.insert(origin, ix);
        if bare {
            self.gone.insert(origin);
        }
        if applied > 0 {
            self.written.insert(origin);
        }
        self.veiled += usize::from(!bare);
        ix
    }

    /// All that an origin owned is dropped; it is Gone, so there will be no more.
    pub(crate) fn set_bare(&mut self, ix: OriginIx) {
        let state = self.get_mut(ix);
        if !std::mem::replace(&mut state.bare, true) {
            self.veiled -= 1;
        }
    }

    /// Lets go of an origin that is Gone. Nothing may hold its index any more.
    pub(crate) fn forget(&mut self, ix: OriginIx) {
        self.set_bare(ix);
        let OriginState { origin, applied, standing, .. } = *self.get(ix);
        debug_assert_eq!(standing, Standing::Gone, "{origin} is forgotten");
        self.by_origin.remove(&origin);
        self.gone.remove(&origin);
        self.written.remove(&origin);
        self.free.push(ix);
        self.forgotten.remember(origin, applied);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_origin.len()
    }

    /// A number above all indices.
    pub(crate) fn slots(&self) -> usize {
        self.list.len()
    }

    /// Whether an origin is known to be Gone, forgotten or not.
    pub(crate) fn is_gone(&self, origin: Origin) -> bool {
        match self.find(origin) {
            Some(ix) => self.get(ix).standing == Standing::Gone,
            None => self.forgotten.get(origin).is_some(),
        }
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

    pub(crate) fn indices(&self) -> Vec<OriginIx> {
        self.by_origin.values().copied().collect()
    }

    /// Those that are Gone and not forgotten.
    pub(crate) fn gone(&self) -> impl Iterator<Item = (Origin, &OriginState)> {
        self.gone.iter().map(|origin| (*origin, self.get(self.by_origin[origin])))
    }

    /// Those of which anything is applied, in the order of the wire's origins.
    pub(crate) fn written(&self) -> impl Iterator<Item = (OriginIx, &OriginState)> {
        self.written.iter().map(|origin| self.by_origin[origin]).map(|ix| (ix, self.get(ix)))
    }

    /// An origin's operations are applied up to `seq`.
    pub(crate) fn advance(&mut self, ix: OriginIx, seq: u64) -> &mut OriginState {
        let state = &mut self.list[ix.index()];
        if state.applied == 0 {
            self.written.insert(state.origin);
        }
        state.applied = seq;
        state
    }

    /// Sequence number applied of an origin, forgotten or not; zero when it was never heard of.
    pub(crate) fn applied(&self, origin: Origin) -> u64 {
        match self.find(origin) {
            Some(ix) => self.get(ix).applied,
            None => self.forgotten.get(origin).unwrap_or(0),
        }
    }

    /// The version vector.
    pub(crate) fn vector(&self) -> VClock<Origin> {
        let mut vector = VClock::new();
        for (_, state) in self.written() {
            vector.dots.insert(state.origin, state.applied);
        }
        vector
    }

    pub(crate) fn set_standing(&mut self, ix: OriginIx, standing: Standing) {
        let state = self.get_mut(ix);
        let was_up = state.standing == Standing::Up;
        state.standing = standing;
        let origin = state.origin;
        if standing == Standing::Gone {
            self.gone.insert(origin);
        }
        let is_up = standing == Standing::Up;
        self.veiled = self.veiled + usize::from(was_up) - usize::from(is_up);
        self.sight = self.sight.wrapping_add(u32::from(was_up != is_up));
    }

    /// Whether some rows may be invisible.
    pub(crate) fn any_veiled(&self) -> bool {
        self.veiled > 0
    }

    /// A number that is another whenever rows have become visible or invisible.
    pub(crate) fn sight(&self) -> u32 {
        self.sight
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
