//! A set's rows: per member one row for each origin and owner that added it and was not observed removed.
//!
//! A member is in the set while any row of it is visible. Rows of different owners do not replace each other: a player
//! that two servers put into a lobby stays until both are gone. The list that readers were last given is kept, so that reading
//! a set again copies nothing; whatever adds or removes a row here lets go of it.

use headcount_cluster::{Hlc, Origin};
use parking_lot::Mutex;

use super::ledger::{Ledger, Slot};
use super::register::rank;
use super::rows::Rows;
use crate::blob::Blob;
use crate::dot::Tag;
use crate::few::Few;
use crate::limits::MAX_KEPT_LIST;
use crate::origin::Origins;
use crate::values::Values;

/// The rows of one member.
pub(crate) type Tags = Few<Tag>;

#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) rows: Rows<Tags>,
    /// Behind a lock of its own, because readers of the state share that.
    kept: Mutex<Kept>,
}

/// What readers were last given.
#[derive(Debug, Default)]
struct Kept {
    list: Option<Values>,
    /// [`Origins::sight`] when it was made.
    sight: u32,
}

impl Members {
    /// None, to be hashed with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { rows: Rows::new(seed), kept: Mutex::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether readers see the member.
    pub(crate) fn contains(&self, member: &[u8], origins: &Origins) -> bool {
        self.rows.get(member).is_some_and(|tags| visible(tags, origins))
    }

    /// As [`contains`](Self::contains), of a member that is about to be added.
    pub(crate) fn aim(&mut self, member: &[u8], origins: &Origins) -> bool {
        self.rows.aim(member).is_some_and(|tags| visible(tags, origins))
    }

    /// How many members readers see.
    pub(crate) fn len(&self, origins: &Origins) -> usize {
        if origins.any_veiled() {
            return self.iter(origins).count();
        }
        self.rows.len()
    }

    /// The members that readers see.
    pub(crate) fn iter<'a>(&'a self, origins: &'a Origins) -> impl Iterator<Item = &'a Blob> + Clone {
        self.rows.iter().filter(|(_, tags)| visible(tags, origins)).map(|(member, _)| member)
    }

    /// The members that readers see, as a list to share.
    pub(crate) fn list(&self, origins: &Origins) -> Values {
        let copy = || Values::copies(self.iter(origins).map(|member| &**member));
        if self.rows.len() > MAX_KEPT_LIST {
            return copy();
        }
        let mut kept = self.kept.lock();
        if kept.sight != origins.sight() {
            *kept = Kept { list: None, sight: origins.sight() };
        }
        kept.list.get_or_insert_with(copy).clone()
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
                if tag.succeeds(known) {
                    *known = tag;
                }
                return;
            }
            tags.push(tag);
            // A row of another owner may show a member that was hidden.
            self.kept.get_mut().list = None;
        } else {
            self.kept.get_mut().list = None;
            self.rows.insert(member, Few::One(tag));
        }
        ledger.added(key, Slot::Member(member), &tag, 0);
    }

    /// Puts a row in place of an earlier one of the same origin and owner. Returns whether there is one.
    pub(crate) fn renew(&mut self, member: &[u8], tag: Tag) -> bool {
        let tags = self.rows.get_mut(member);
        let known = tags.and_then(|tags| tags.iter_mut().find(|known| tag.succeeds(known)));
        known.map(|known| *known = tag).is_some()
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
        self.kept.get_mut().list = None;
        tags.retain(|tag| {
            let keep = !doomed(tag);
            if !keep {
                ledger.removed(key, Slot::Member(member), tag, 0);
            }
            keep
        });
        if tags.is_empty() {
            self.rows.remove(member);
        }
    }

    /// Removes the rows that `doomed` names, of all members.
    pub(crate) fn drop_rows(&mut self, key: &[u8], doomed: impl Fn(&[u8], &Tag) -> bool, ledger: &mut Ledger) {
        self.kept.get_mut().list = None;
        self.rows.retain(|member, tags| {
            tags.retain(|tag| {
                let keep = !doomed(member, tag);
                if !keep {
                    ledger.removed(key, Slot::Member(member), tag, 0);
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
