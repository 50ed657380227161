//! What must hold between any two inputs, checked by tests after each.
//!
//! 1. The ledger says what a new one would that is told of each row once: rows, bytes, and owned rows at their places.
//! 2. No key, field or member is stored without a row.
//! 3. An origin's log ends where the origin's applied number is, or is empty.
//! 4. No own contribution is erased whole and still there.
//! 5. An element's name and its row speak of one origin.
//! 6. The list that readers of a set are given has exactly the members that they see.
//! 7. Whatever names an origin by its index names one that is not forgotten.
//! 8. The lists of origins that are Gone or have written, and of peers that are ready, have exactly those.
//! 9. The view that homes go by is that of the peers, unless it is still to be looked at.

#![cfg(test)]

use headcount_cluster::Origin;

use crate::blob::Blob;
use crate::dot::OriginIx;
use crate::origin::{OriginState, Origins, Standing};
use crate::shared::entry::Entry;
use crate::shared::ledger::{Ledger, Slot};
use crate::shared::register::{Content, Register};
use crate::state::State;

impl State {
    pub(crate) fn check_invariants(&self) {
        let mut book = Ledger::default();
        for (key, entry) in self.keyspace.keys.iter() {
            self.check_entry(key, entry);
            enter(&mut book, key, entry);
        }
        self.check_ledger(&book);
        self.check_indices(&book);
        self.check_lists();
        for (_, state) in self.origins.iter() {
            if let Some(first) = state.log.first() {
                assert!(first <= state.applied, "(3) {:?}", state.origin);
                assert!(state.log.run(state.applied, state.applied, 1).is_some(), "(3) {:?}", state.origin);
            }
        }
    }

    fn check_lists(&self) {
        let is_gone = |(_, state): &(OriginIx, &OriginState)| state.standing == Standing::Gone;
        let gone: Vec<Origin> = self.origins.iter().filter(is_gone).map(|(_, state)| state.origin).collect();
        assert_eq!(self.origins.gone().map(|(origin, _)| origin).collect::<Vec<_>>(), gone, "(8) Gone");
        let has_written = |(_, state): &(OriginIx, &OriginState)| state.applied > 0;
        let written: Vec<OriginIx> = self.origins.iter().filter(has_written).map(|(ix, _)| ix).collect();
        assert_eq!(self.origins.written().map(|(ix, _)| ix).collect::<Vec<_>>(), written, "(8) written");
        let ready = self.peers.iter().filter(|(_, peer)| peer.ready).map(|(origin, _)| *origin).collect();
        assert_eq!(self.readiness.ready_peers, ready, "(8) ready");
        assert!(self.closed || self.is_view_noticed(), "(9)");
    }

    fn check_entry(&self, key: &Blob, entry: &Entry) {
        assert!(!entry.is_empty(), "(2) {key:?} is stored without a row");
        for (member, tags) in entry.set().into_iter().flat_map(|set| set.rows.iter()) {
            assert!(!tags.is_empty(), "(2) member {member:?}");
        }
        if let Some(set) = entry.set() {
            // Reading keeps the list, so that the next check finds out when something forgot to let go of it.
            let members: Vec<_> = set.iter(&self.origins).map(Blob::to_bytes).collect();
            assert_eq!(set.list(&self.origins), members, "(6) {key:?}");
        }
        for (field, register) in entry.hash().into_iter().flat_map(|hash| hash.rows.iter()) {
            assert!(!register.is_empty(), "(2) field {field:?}");
            for row in register.rows.iter() {
                if let Content::Count(count) = row.content() {
                    assert!(count.erased_through < row.tag.seq, "(4) {key:?} {field:?} {row:?}");
                }
            }
        }
        assert!(entry.list().is_none_or(|list| !list.is_empty()), "(2) the list of {key:?}");
        for (name, element) in entry.list().into_iter().flat_map(|list| &list.elements) {
            assert_eq!(self.origins.get(element.origin).origin, name.origin, "(5) {name:?}");
        }
    }

    fn check_ledger(&self, book: &Ledger) {
        let ledger = &self.keyspace.ledger;
        assert_eq!(ledger.rows(), book.rows(), "(1) rows");
        assert_eq!(ledger.bytes(), book.bytes(), "(1) bytes");
        assert_eq!(ledger.owned(), book.owned(), "(1) owned rows");
        for ix in indices(&self.origins) {
            assert_eq!(ledger.rows_of(ix), book.rows_of(ix), "(1) rows of {ix:?}");
        }
    }

    fn check_indices(&self, book: &Ledger) {
        for ix in indices(&self.origins) {
            let is_named = book.rows_of(ix) > 0
                || self.keyspace.spent.names(ix)
                || self.doomed.contains(&ix)
                || self.blocked.contains(&ix)
                || self.early_erasures.iter().any(|erasure| erasure.author == ix)
                || self.peers.values().any(|peer| peer.repairs.iter().any(|repair| repair.origin == ix))
                || self.me == ix;
            assert!(!is_named || self.origins.find(self.origins.get(ix).origin) == Some(ix), "(7) {ix:?}");
        }
    }
}

fn indices(origins: &Origins) -> impl Iterator<Item = OriginIx> {
    (0..origins.slots()).map(OriginIx::new)
}

/// Tells a ledger of all rows of a key.
fn enter(book: &mut Ledger, key: &Blob, entry: &Entry) {
    book.key_added(key);
    enter_register(book, key, Slot::String, entry.string());
    for (member, tags) in entry.set().into_iter().flat_map(|set| set.rows.iter()) {
        tags.iter().for_each(|tag| book.added(key, Slot::Member(member), tag, 0));
    }
    for (field, register) in entry.hash().into_iter().flat_map(|hash| hash.rows.iter()) {
        enter_register(book, key, Slot::Field(field), register);
    }
    for (name, element) in entry.list().into_iter().flat_map(|list| &list.elements) {
        book.added(key, Slot::Element(name), &element.tag(name), element.value.len());
    }
    entry.expiry().iter().for_each(|row| book.added(key, Slot::Expiry, &row.tag, 0));
}

fn enter_register(book: &mut Ledger, key: &Blob, slot: Slot<'_>, register: &Register) {
    register.rows.iter().for_each(|row| book.added(key, slot, &row.tag, row.content().bytes()));
}
