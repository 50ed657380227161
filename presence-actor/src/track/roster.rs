//! What one who follows a topic was told of it.
//!
//! It has no queue: what it is asked for is always the difference between now and what it said last.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headcount_cluster::WallMs;

use super::present::{Diff, Present};
use crate::state::State;

/// Which rows may have changed since the last diff.
#[derive(Debug)]
pub(crate) enum Changed {
    /// Any of them.
    All,
    /// Those of these fields.
    Fields(BTreeSet<Bytes>),
}

/// What a follower knows: sessions and the keys they are tracked under, by field.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    told: BTreeMap<Bytes, (Bytes, Present)>,
}

impl Roster {
    /// Says what is different from what was said last. Of a node that has ended, nothing.
    pub(crate) fn difference(&mut self, state: &State, row_key: &[u8], changed: Changed, now: WallMs) -> Diff {
        let mut diff = Diff::default();
        let (fields, mut there) = match changed {
            Changed::All => {
                let Ok(there) = state.present(row_key, now) else { return diff };
                (self.told.keys().chain(there.keys()).cloned().collect(), there)
            }
            Changed::Fields(fields) => {
                let session = |field: &Bytes| Some((field.clone(), state.present_in(row_key, field, now)?));
                let there = fields.iter().filter_map(session).collect();
                (fields, there)
            }
        };
        for field in fields {
            let new = there.remove(&field);
            let old = match &new {
                Some(session) => self.told.insert(field, session.clone()),
                None => self.told.remove(&field),
            };
            if old == new {
                continue;
            }
            for (part, session) in [(&mut diff.leaves, old), (&mut diff.joins, new)] {
                if let Some((key, session)) = session {
                    part.entry(key).or_default().push(session);
                }
            }
        }
        diff
    }
}
