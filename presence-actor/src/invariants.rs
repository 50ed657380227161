//! What must hold between any two inputs, checked by tests after each.
//!
//! 1. The ledger counts each row once, and owned rows at their places.
//! 2. No key, field or member is stored without a row.
//! 3. An origin's log ends where the origin's applied number is, or is empty.
//! 4. No own contribution is erased whole and still there.
//! 5. An element's name and its row speak of one origin.
//! 6. The list that readers of a set are given has exactly the members that they see.
//! 7. Whatever names an origin by its index names one that is not forgotten.

#![cfg(test)]

use crate::shared::register::Content;
use crate::state::State;

impl State {
    pub(crate) fn check_invariants(&self) {
        let mut rows = 0;
        let mut rows_of = std::collections::BTreeMap::<crate::dot::OriginIx, usize>::new();
        let mut owned = std::collections::BTreeMap::<crate::dot::OriginIx, std::collections::BTreeSet<String>>::new();
        for (key, entry) in self.keyspace.keys.iter() {
            assert!(!entry.is_empty(), "(2) {key:?} is stored without a row");
            let mut place = |tag: &crate::dot::Tag, place: String| {
                rows += 1;
                *rows_of.entry(tag.origin).or_default() += 1;
                if !tag.owner.is_shared() {
                    owned.entry(tag.origin).or_default().insert(format!("{:?} {key:?} {place}", tag.owner));
                }
            };
            for row in entry.string().rows.iter() {
                place(&row.tag, "string".into());
            }
            for (member, tags) in entry.set().into_iter().flat_map(|set| set.rows.iter()) {
                assert!(!tags.is_empty(), "(2) member {member:?}");
                tags.iter().for_each(|tag| place(tag, format!("member {member:?}")));
            }
            if let Some(set) = entry.set() {
                // Reading keeps the list, so that the next check finds out when something forgot to let go of it.
                let members: Vec<_> = set.iter(&self.origins).map(crate::blob::Blob::to_bytes).collect();
                assert_eq!(set.list(&self.origins), members, "(6) {key:?}");
            }
            for (field, register) in entry.hash().into_iter().flat_map(|hash| hash.rows.iter()) {
                assert!(!register.is_empty(), "(2) field {field:?}");
                for row in register.rows.iter() {
                    place(&row.tag, format!("field {field:?}"));
                    if let Content::Count(count) = row.content() {
                        assert!(count.erased_through < row.tag.seq, "(4) {key:?} {field:?} {row:?}");
                    }
                }
            }
            assert!(entry.list().is_none_or(|list| !list.is_empty()), "(2) the list of {key:?}");
            for (name, element) in entry.list().into_iter().flat_map(|list| &list.elements) {
                place(&element.tag(name), "elements".into());
                assert_eq!(self.origins.get(element.origin).origin, name.origin, "(5) {name:?}");
            }
            for row in entry.expiry() {
                rows += 1;
                *rows_of.entry(row.tag.origin).or_default() += 1;
            }
        }
        assert_eq!(rows, self.keyspace.ledger.rows(), "(1) rows");
        if rows == 0 {
            assert_eq!(self.keyspace.ledger.bytes(), 0, "(1) what is gone costs nothing");
        }
        for ix in (0..self.origins.slots()).map(crate::dot::OriginIx::new) {
            let counted = rows_of.get(&ix).copied().unwrap_or(0);
            assert_eq!(self.keyspace.ledger.rows_of(ix), counted, "(1) rows of {ix:?}");
            let is_named = counted > 0
                || self.keyspace.spent.names(ix)
                || self.doomed.contains(&ix)
                || self.blocked.contains(&ix)
                || self.peers.values().any(|peer| peer.repairs.iter().any(|repair| repair.origin == ix))
                || self.me == ix;
            assert!(!is_named || self.origins.find(self.origins.get(ix).origin) == Some(ix), "(7) {ix:?}");
        }
        let counted = owned.into_iter().map(|(origin, places)| (origin, places.len())).collect();
        assert_eq!(self.keyspace.ledger.owned_by_origin(), counted, "(1) owned rows");
        for (_, state) in self.origins.iter() {
            if let Some(first) = state.log.first() {
                assert!(first <= state.applied, "(3) {:?}", state.origin);
                assert!(state.log.run(state.applied, state.applied, 1).is_some(), "(3) {:?}", state.origin);
            }
        }
    }
}
