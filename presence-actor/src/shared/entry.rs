//! One key: the rows of each type, and its expiry.
//!
//! Usually rows of one type. When two nodes wrote different types under one key, both are kept and one type is shown,
//! the other hidden: what is hidden may yet be all that remains.

use headcount_cluster::{Hlc, Origin};

use super::erase::Erase;
use super::expiry::{Deadline, ExpiryRow, in_force};
use super::ledger::{Ledger, Slot};
use super::list::List;
use super::members::Members;
use super::register::{Desk, Register, ValueExpiry};
use super::rows::Rows;
use super::spent::Spent;
use crate::origin::Origins;
use crate::reply::Type;

/// A hash's fields.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) rows: Rows<Register>,
}

impl Fields {
    /// None, to be hashed with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { rows: Rows::new(seed) }
    }

    /// How many fields readers see.
    pub(crate) fn len(&self, origins: &Origins) -> usize {
        if origins.any_veiled() {
            return self.rows.values().filter(|register| register.view(origins).is_some()).count();
        }
        self.rows.len()
    }

    /// Takes a field whose last row went away out of the map.
    pub(crate) fn tidy(&mut self, field: &[u8]) {
        if self.rows.get(field).is_some_and(Register::is_empty) {
            self.rows.remove(field);
        }
    }
}

/// One key's rows.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) string: Register,
    pub(crate) set: Option<Box<Members>>,
    pub(crate) hash: Option<Box<Fields>>,
    pub(crate) list: Option<Box<List>>,
    pub(crate) expiry: Vec<ExpiryRow>,
}

impl Entry {
    /// Whether nothing is stored, expiry rows included.
    pub(crate) fn is_empty(&self) -> bool {
        self.holds_no_data() && self.expiry.is_empty()
    }

    /// Whether nothing but expiry rows is stored.
    pub(crate) fn holds_no_data(&self) -> bool {
        self.string.is_empty() && self.set.is_none() && self.hash.is_none() && self.list.is_none()
    }

    /// Whether a deadline is stored for data that is gone.
    pub(crate) fn is_orphan(&self) -> bool {
        self.holds_no_data() && !self.expiry.is_empty()
    }

    /// Whether rows of more than one type are stored.
    pub(crate) fn is_mixed(&self) -> bool {
        let stored = [!self.string.is_empty(), self.set.is_some(), self.hash.is_some(), self.list.is_some()];
        stored.into_iter().filter(|stored| *stored).count() > 1
    }

    /// The type that readers see; `None` when they see no such key.
    pub(crate) fn shape(&self, origins: &Origins) -> Option<Type> {
        if self.is_mixed() {
            return self.winning_shape(origins);
        }
        if let Some(set) = &self.set {
            return (!origins.any_veiled() || set.len(origins) > 0).then_some(Type::Set);
        }
        if let Some(hash) = &self.hash {
            return (!origins.any_veiled() || hash.len(origins) > 0).then_some(Type::Hash);
        }
        if let Some(list) = &self.list {
            return (!origins.any_veiled() || list.len(origins) > 0).then_some(Type::List);
        }
        self.string.view(origins).map(|_| Type::String)
    }

    /// A value that was set wins, because `SET` replaces any type and whatever comes after it on one node fails:
    /// every serial order ends with it. Else the latest write decides.
    fn winning_shape(&self, origins: &Origins) -> Option<Type> {
        if self.string.winner(origins, |tag| origins.sees(tag)).is_some() {
            return Some(Type::String);
        }
        let hash = self.hash.iter().flat_map(|hash| hash.rows.values()).filter_map(|field| field.newest(origins)).max();
        let newest: [(Option<(Hlc, Origin)>, Type); 4] = [
            (self.string.newest(origins), Type::String),
            (self.set.as_ref().and_then(|set| set.newest(origins)), Type::Set),
            (hash, Type::Hash),
            (self.list.as_ref().and_then(|list| list.newest(origins)), Type::List),
        ];
        newest.into_iter().filter_map(|(newest, shape)| Some((newest?, shape))).max().map(|(_, shape)| shape)
    }

    /// The deadline in force, whoever can see the rows.
    pub(crate) fn deadline(&self, origins: &Origins) -> Option<Deadline> {
        if self.string.is_empty() {
            return in_force(&self.expiry);
        }
        match self.string.winner(origins, |_| true) {
            Some((tag, _, ValueExpiry::At(at))) => Some(Deadline { at, set_by: tag.origin }),
            Some((_, _, ValueExpiry::Never)) => None,
            Some((_, _, ValueExpiry::Superseded)) | None => in_force(&self.expiry),
        }
    }

    /// The tags of all rows.
    #[cfg(test)]
    pub(crate) fn tags(&self) -> impl Iterator<Item = crate::dot::Tag> {
        let fields = self.hash.iter().flat_map(|hash| hash.rows.values()).flat_map(|field| field.rows.iter());
        let members = self.set.iter().flat_map(|set| set.rows.values()).flat_map(|tags| tags.iter());
        let elements = self.list.iter().flat_map(|list| &list.elements).map(|(key, element)| element.tag(key));
        let rows = self.string.rows.iter().chain(fields).map(|row| row.tag);
        rows.chain(members.copied()).chain(elements).chain(self.expiry.iter().map(|row| row.tag))
    }

    /// Removes what was observed of the whole key.
    pub(crate) fn erase_all(
        &mut self,
        key: &[u8],
        erase: &Erase<'_>,
        ledger: &mut Ledger,
        mut spent: Option<&mut Spent>,
    ) {
        self.string.erase(erase, &mut Desk { key, field: None, ledger, spent: spent.as_deref_mut() });
        if let Some(set) = &mut self.set {
            set.erase_all(key, erase, ledger);
        }
        if let Some(hash) = &mut self.hash {
            hash.rows.retain(|field, register| {
                let spent = spent.as_deref_mut();
                register.erase(erase, &mut Desk { key, field: Some(field), ledger, spent });
                !register.is_empty()
            });
        }
        if let Some(list) = &mut self.list {
            list.drop_rows(key, |_, tag| erase.covers(tag), ledger);
        }
        self.drop_expiry(key, |row| erase.covers(&row.tag), ledger);
        self.tidy();
    }

    /// Takes the expiry rows away that `doomed` names.
    pub(crate) fn drop_expiry(&mut self, key: &[u8], doomed: impl Fn(&ExpiryRow) -> bool, ledger: &mut Ledger) {
        self.expiry.retain(|row| {
            let keep = !doomed(row);
            if !keep {
                ledger.removed(key, Slot::Expiry, &row.tag);
            }
            keep
        });
    }

    /// Says of the values that were observed that an expiry row decides now.
    pub(crate) fn supersede_value_expiry(&mut self, erase: &Erase<'_>) {
        for row in self.string.rows.iter_mut() {
            if erase.covers(&row.tag) {
                row.supersede_expiry();
            }
        }
    }

    /// Lets go of containers that became empty.
    pub(crate) fn tidy(&mut self) {
        if self.set.as_ref().is_some_and(|set| set.is_empty()) {
            self.set = None;
        }
        if self.hash.as_ref().is_some_and(|hash| hash.rows.is_empty()) {
            self.hash = None;
        }
        if self.list.as_ref().is_some_and(|list| list.is_empty()) {
            self.list = None;
        }
    }
}
