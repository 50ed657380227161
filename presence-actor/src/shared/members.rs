//! A set's rows: per member one row for each origin and owner that added it and was not observed removed.
//!
//! A member is in the set while any row of it is visible. Rows of different owners do not replace each other: a player
//! that two servers put into a lobby stays until both are gone.

use headcount_cluster::{Hlc, Origin};

use super::erase::Erase;
use super::ledger::{Ledger, Slot};
use super::register::rank;
use super::rows::Rows;
use crate::dot::Tag;
use crate::few::Few;
use crate::origin::Origins;

/// The rows of one member.
pub(crate) type Tags = Few<Tag>;

#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) rows: Rows<Tags>,
}

impl Members {
    /// None, to be hashed with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { rows: Rows::new(seed) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether readers see the member.
    pub(crate) fn contains(&self, member: &[u8], origins: &Origins) -> bool {
        self.rows.get(member).is_some_and(|tags| visible(tags, origins))
    }

    /// How many members readers see.
    pub(crate) fn len(&self, origins: &Origins) -> usize {
        if origins.any_veiled() {
            return self.iter(origins).count();
        }
        self.rows.len()
    }

    /// The members that readers see.
    pub(crate) fn iter<'a>(&'a self, origins: &'a Origins) -> impl Iterator<Item = &'a crate::blob::Blob> {
        self.rows.iter().filter(|(_, tags)| visible(tags, origins)).map(|(member, _)| member)
    }

    /// The latest write that readers see; decides between types.
    pub(crate) fn newest(&self, origins: &Origins) -> Option<(Hlc, Origin)> {
        self.rows
            .values()
            .flat_map(|tags| tags.iter())
            .filter(|tag| origins.sees(tag))
            .map(|tag| rank(tag, origins))
            .max()
    }

    /// Adds a member; an earlier row of the same origin and owner is replaced.
    pub(crate) fn add(&mut self, key: &[u8], member: &[u8], tag: Tag, ledger: &mut Ledger) {
        if let Some(tags) = self.rows.get_mut(member) {
            if let Some(known) = tags.iter_mut().find(|known| known.origin == tag.origin && known.owner == tag.owner) {
                if known.seq < tag.seq {
                    *known = tag;
                }
                return;
            }
            tags.push(tag);
        } else {
            self.rows.insert(member, Few::One(tag));
        }
        ledger.added(key, Slot::Member(member), &tag);
    }

    /// Removes the rows of a member that `doomed` names.
    pub(crate) fn drop_member(
        &mut self,
        key: &[u8],
        member: &[u8],
        doomed: impl Fn(&Tag) -> bool,
        ledger: &mut Ledger,
    ) {
        let Some(tags) = self.rows.get_mut(member) else { return };
        tags.retain(|tag| {
            let keep = !doomed(tag);
            if !keep {
                ledger.removed(key, Slot::Member(member), tag);
            }
            keep
        });
        if tags.is_empty() {
            self.rows.remove(member);
        }
    }

    /// Removes what was observed of all members.
    pub(crate) fn erase_all(&mut self, key: &[u8], erase: &Erase<'_>, ledger: &mut Ledger) {
        self.rows.retain(|member, tags| {
            tags.retain(|tag| {
                let keep = !erase.covers(tag);
                if !keep {
                    ledger.removed(key, Slot::Member(member), tag);
                }
                keep
            });
            !tags.is_empty()
        });
    }
}

fn visible(tags: &Tags, origins: &Origins) -> bool {
    tags.iter().any(|tag| origins.sees(tag))
}
