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
use crate::few::Few;
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

    /// Whether readers see any field. Looks no further than the first.
    fn shows_any(&self, origins: &Origins) -> bool {
        self.rows.values().any(|register| register.view(origins).is_some())
    }

    /// Takes a field whose last row went away out of the map.
    pub(crate) fn tidy(&mut self, field: &[u8]) {
        if self.rows.get(field).is_some_and(Register::is_empty) {
            self.rows.remove(field);
        }
    }
}

/// One key's rows.
#[derive(Debug)]
pub(crate) enum Entry {
    String(Register),
    Set(Box<Members>),
    Hash(Box<Fields>),
    List(Box<List>),
    /// Various types, or a deadline, which few keys have.
    Various(Box<Various>),
}

#[derive(Debug, Default)]
pub(crate) struct Various {
    string: Register,
    set: Option<Box<Members>>,
    hash: Option<Box<Fields>>,
    list: Option<Box<List>>,
    expiry: Few<ExpiryRow>,
}

static NO_STRING: Register = Register::EMPTY;

impl Default for Entry {
    fn default() -> Self {
        Self::String(Register::default())
    }
}

/// What is stored of each type.
impl Entry {
    pub(crate) fn string(&self) -> &Register {
        match self {
            Self::String(string) => string,
            Self::Various(various) => &various.string,
            Self::Set(_) | Self::Hash(_) | Self::List(_) => &NO_STRING,
        }
    }

    pub(crate) fn set(&self) -> Option<&Members> {
        match self {
            Self::Set(set) => Some(set),
            Self::Various(various) => various.set.as_deref(),
            Self::String(_) | Self::Hash(_) | Self::List(_) => None,
        }
    }

    pub(crate) fn hash(&self) -> Option<&Fields> {
        match self {
            Self::Hash(hash) => Some(hash),
            Self::Various(various) => various.hash.as_deref(),
            Self::String(_) | Self::Set(_) | Self::List(_) => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&List> {
        match self {
            Self::List(list) => Some(list),
            Self::Various(various) => various.list.as_deref(),
            Self::String(_) | Self::Set(_) | Self::Hash(_) => None,
        }
    }

    pub(crate) fn expiry(&self) -> &[ExpiryRow] {
        match self {
            Self::Various(various) => &various.expiry,
            Self::String(_) | Self::Set(_) | Self::Hash(_) | Self::List(_) => &[],
        }
    }

    /// For whoever changes it, to be [tidied](Self::tidy) afterwards.
    pub(crate) fn string_mut(&mut self) -> &mut Register {
        match self {
            Self::String(string) => string,
            Self::Set(_) | Self::Hash(_) | Self::List(_) | Self::Various(_) => &mut self.various().string,
        }
    }

    pub(crate) fn set_mut(&mut self) -> Option<&mut Members> {
        match self {
            Self::Set(set) => Some(set),
            Self::Various(various) => various.set.as_deref_mut(),
            Self::String(_) | Self::Hash(_) | Self::List(_) => None,
        }
    }

    pub(crate) fn hash_mut(&mut self) -> Option<&mut Fields> {
        match self {
            Self::Hash(hash) => Some(hash),
            Self::Various(various) => various.hash.as_deref_mut(),
            Self::String(_) | Self::Set(_) | Self::List(_) => None,
        }
    }

    pub(crate) fn list_mut(&mut self) -> Option<&mut List> {
        match self {
            Self::List(list) => Some(list),
            Self::Various(various) => various.list.as_deref_mut(),
            Self::String(_) | Self::Set(_) | Self::Hash(_) => None,
        }
    }

    pub(crate) fn expiry_mut(&mut self) -> &mut Few<ExpiryRow> {
        &mut self.various().expiry
    }

    /// The set, which is made when there is none, to be hashed with `seed`.
    pub(crate) fn make_set(&mut self, seed: u64) -> &mut Members {
        let make = || Box::new(Members::new(seed));
        if self.is_bare() {
            *self = Self::Set(make());
        }
        match self {
            Self::Set(set) => set,
            Self::String(_) | Self::Hash(_) | Self::List(_) | Self::Various(_) => {
                self.various().set.get_or_insert_with(make)
            }
        }
    }

    pub(crate) fn make_hash(&mut self, seed: u64) -> &mut Fields {
        let make = || Box::new(Fields::new(seed));
        if self.is_bare() {
            *self = Self::Hash(make());
        }
        match self {
            Self::Hash(hash) => hash,
            Self::String(_) | Self::Set(_) | Self::List(_) | Self::Various(_) => {
                self.various().hash.get_or_insert_with(make)
            }
        }
    }

    pub(crate) fn make_list(&mut self) -> &mut List {
        if self.is_bare() {
            *self = Self::List(Box::default());
        }
        match self {
            Self::List(list) => list,
            Self::String(_) | Self::Set(_) | Self::Hash(_) | Self::Various(_) => {
                self.various().list.get_or_insert_default()
            }
        }
    }

    /// Whether it is a string without rows, which any type may take the place of.
    fn is_bare(&self) -> bool {
        matches!(self, Self::String(string) if string.is_empty())
    }

    /// Makes room for every type.
    fn various(&mut self) -> &mut Various {
        if !matches!(self, Self::Various(_)) {
            let mut various = Box::<Various>::default();
            match std::mem::take(self) {
                Self::String(string) => various.string = string,
                Self::Set(set) => various.set = Some(set),
                Self::Hash(hash) => various.hash = Some(hash),
                Self::List(list) => various.list = Some(list),
                Self::Various(_) => {}
            }
            *self = Self::Various(various);
        }
        match self {
            Self::Various(various) => various,
            Self::String(_) | Self::Set(_) | Self::Hash(_) | Self::List(_) => unreachable!("it was just made so"),
        }
    }
}

impl Entry {
    /// Whether nothing is stored, expiry rows included.
    pub(crate) fn is_empty(&self) -> bool {
        self.holds_no_data() && self.expiry().is_empty()
    }

    /// Whether nothing but expiry rows is stored.
    pub(crate) fn holds_no_data(&self) -> bool {
        match self {
            Self::String(string) => string.is_empty(),
            Self::Set(_) | Self::Hash(_) | Self::List(_) => false,
            Self::Various(various) => various.types() == 0,
        }
    }

    /// Whether a deadline is stored for data that is gone.
    pub(crate) fn is_orphan(&self) -> bool {
        self.holds_no_data() && !self.expiry().is_empty()
    }

    /// Whether rows of another type than this are stored.
    pub(crate) fn holds_other_than(&self, shape: Type) -> bool {
        (shape != Type::String && !self.string().is_empty())
            || (shape != Type::Set && self.set().is_some())
            || (shape != Type::Hash && self.hash().is_some())
            || (shape != Type::List && self.list().is_some())
    }

    /// Whether rows of more than one type are stored.
    pub(crate) fn is_mixed(&self) -> bool {
        matches!(self, Self::Various(various) if various.types() > 1)
    }

    /// The type that readers see; `None` when they see no such key.
    pub(crate) fn shape(&self, origins: &Origins) -> Option<Type> {
        if self.is_mixed() {
            return self.winning_shape(origins);
        }
        if let Some(set) = self.set() {
            return (!origins.any_veiled() || set.iter(origins).next().is_some()).then_some(Type::Set);
        }
        if let Some(hash) = self.hash() {
            return (!origins.any_veiled() || hash.shows_any(origins)).then_some(Type::Hash);
        }
        if let Some(list) = self.list() {
            return (!origins.any_veiled() || list.iter(origins).next().is_some()).then_some(Type::List);
        }
        self.string().view(origins).map(|_| Type::String)
    }

    /// A value that was set wins, because `SET` replaces any type and whatever comes after it on one node fails:
    /// every serial order ends with it. Else the latest write decides.
    fn winning_shape(&self, origins: &Origins) -> Option<Type> {
        if self.string().winner(origins, |tag| origins.sees(tag)).is_some() {
            return Some(Type::String);
        }
        let hash =
            self.hash().into_iter().flat_map(|hash| hash.rows.values()).filter_map(|field| field.newest(origins)).max();
        let newest: [(Option<(Hlc, Origin)>, Type); 4] = [
            (self.string().newest(origins), Type::String),
            (self.set().and_then(|set| set.newest(origins)), Type::Set),
            (hash, Type::Hash),
            (self.list().and_then(|list| list.newest(origins)), Type::List),
        ];
        newest.into_iter().filter_map(|(newest, shape)| Some((newest?, shape))).max().map(|(_, shape)| shape)
    }

    /// The deadline in force, whoever can see the rows.
    pub(crate) fn deadline(&self, origins: &Origins) -> Option<Deadline> {
        let string = match self {
            Self::Set(_) | Self::Hash(_) | Self::List(_) => return None,
            Self::String(string) => string,
            Self::Various(various) => &various.string,
        };
        match string.winner(origins, |_| true) {
            Some((tag, _, ValueExpiry::At(at))) => Some(Deadline { at, set_by: tag.origin }),
            Some((_, _, ValueExpiry::Never)) => None,
            Some((_, _, ValueExpiry::Superseded)) | None => in_force(self.expiry()),
        }
    }

    /// The tags of all rows.
    pub(crate) fn tags(&self) -> impl Iterator<Item = crate::dot::Tag> {
        let fields = self.hash().into_iter().flat_map(|hash| hash.rows.values()).flat_map(|field| field.rows.iter());
        let members = self.set().into_iter().flat_map(|set| set.rows.values()).flat_map(|tags| tags.iter());
        let elements = self.list().into_iter().flat_map(|list| &list.elements).map(|(key, element)| element.tag(key));
        let rows = self.string().rows.iter().chain(fields).map(|row| row.tag);
        rows.chain(members.copied()).chain(elements).chain(self.expiry().iter().map(|row| row.tag))
    }

    /// Removes what was observed of the whole key.
    pub(crate) fn erase_all(
        &mut self,
        key: &[u8],
        erase: &Erase<'_>,
        ledger: &mut Ledger,
        mut spent: Option<&mut Spent>,
    ) {
        self.erase_all_but_string(key, erase, ledger, spent.as_deref_mut());
        if !self.string().is_empty() {
            self.string_mut().erase(erase, &mut Desk { key, field: None, ledger, spent });
        }
        self.tidy();
    }

    /// Removes what was observed of the key, except of its string.
    pub(crate) fn erase_all_but_string(
        &mut self,
        key: &[u8],
        erase: &Erase<'_>,
        ledger: &mut Ledger,
        mut spent: Option<&mut Spent>,
    ) {
        if matches!(self, Self::String(_)) {
            return;
        }
        if let Some(set) = self.set_mut() {
            set.drop_rows(key, |_, tag| erase.covers(tag), ledger);
        }
        if let Some(hash) = self.hash_mut() {
            hash.rows.retain(|field, register| {
                let spent = spent.as_deref_mut();
                register.erase(erase, &mut Desk { key, field: Some(field), ledger, spent });
                !register.is_empty()
            });
        }
        if let Some(list) = self.list_mut() {
            list.drop_rows(key, |_, tag| erase.covers(tag), ledger);
        }
        self.drop_expiry(key, |row| erase.covers(&row.tag), ledger);
        self.tidy();
    }

    /// Takes the expiry rows away that `doomed` names.
    pub(crate) fn drop_expiry(&mut self, key: &[u8], doomed: impl Fn(&ExpiryRow) -> bool, ledger: &mut Ledger) {
        if self.expiry().is_empty() {
            return;
        }
        self.expiry_mut().retain(|row| {
            let keep = !doomed(row);
            if !keep {
                ledger.removed(key, Slot::Expiry, &row.tag, 0);
            }
            keep
        });
    }

    /// Says of the values that were observed that an expiry row decides now.
    pub(crate) fn supersede_value_expiry(&mut self, erase: &Erase<'_>) {
        if self.string().is_empty() {
            return;
        }
        for row in self.string_mut().rows.iter_mut() {
            if erase.covers(&row.tag) {
                row.supersede_expiry();
            }
        }
    }

    /// Lets go of what became empty, and of room for several types when only one is left.
    pub(crate) fn tidy(&mut self) {
        let empty = match self {
            Self::String(_) => false,
            Self::Set(set) => set.is_empty(),
            Self::Hash(hash) => hash.rows.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Various(various) => {
                if let Some(one) = various.tidy() {
                    *self = one;
                }
                return;
            }
        };
        if empty {
            *self = Self::default();
        }
    }
}

impl Various {
    /// Of how many types rows are stored.
    fn types(&self) -> usize {
        let stored = [!self.string.is_empty(), self.set.is_some(), self.hash.is_some(), self.list.is_some()];
        stored.into_iter().filter(|stored| *stored).count()
    }

    /// Lets go of what became empty; returns what is left when that needs no room for various.
    fn tidy(&mut self) -> Option<Entry> {
        self.set.take_if(|set| set.is_empty());
        self.hash.take_if(|hash| hash.rows.is_empty());
        self.list.take_if(|list| list.is_empty());
        let Self { string, set, hash, list, expiry } = self;
        match (string.is_empty(), set.is_none(), hash.is_none(), list.is_none(), expiry.is_empty()) {
            (_, true, true, true, true) => Some(Entry::String(std::mem::take(string))),
            (true, _, true, true, true) => set.take().map(Entry::Set),
            (true, true, _, true, true) => hash.take().map(Entry::Hash),
            (true, true, true, _, true) => list.take().map(Entry::List),
            (..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_takes_what_its_string_takes() {
        assert_eq!(size_of::<Entry>(), size_of::<Register>());
    }
}
