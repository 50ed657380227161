//! One slot's rows: what a string key or a hash field holds.
//!
//! Usually one row. Concurrent writes leave several, and all are kept, because which of them a reader may see
//! depends on whose owner is alive: dropping the loser at once would give different answers on nodes that
//! heard of a death at different times. Values: the last by (stamp, origin) is seen. Contributions to a counter are
//! added to it when it is an integer, and stand alone when there is none.

use headcount_cluster::{Hlc, Origin, WallMs};

use super::erase::Erase;
use super::ledger::{Ledger, Slot};
use super::spent::{Spent, SpentCount};
use crate::blob::Blob;
use crate::command::integer;
use crate::dot::{OriginIx, Owner, Tag};
use crate::few::Few;
use crate::op::Step;
use crate::origin::Origins;

/// What a string value says about its key's expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueExpiry {
    /// Nothing any more: an `EXPIRE` or `PERSIST` that saw the value decides.
    Superseded,
    /// The key lives for ever.
    Never,
    /// The key lives until then.
    At(WallMs),
}

/// What an origin has added to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contribution {
    /// Sequence number of its first step. A new one begins after the whole was erased.
    pub(crate) epoch: u64,
    /// Sum of all steps since.
    pub(crate) total: i64,
    /// Steps up to this sequence number are erased;
    pub(crate) erased_through: u64,
    /// they summed up to this.
    pub(crate) erased: i64,
}

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Value { value: &'a Blob, expiry: ValueExpiry },
    Count(&'a Contribution),
}

impl Content<'_> {
    /// Bytes of the value.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Value { value, .. } => value.len(),
            Self::Count(_) => 0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) tag: Tag,
    held: Held,
}

/// As large as a value: what most rows have no need of is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    /// A value that says that its key lives for ever.
    Lasting(Blob),
    Value(Box<(Blob, ValueExpiry)>),
    Count(Box<Contribution>),
}

impl Row {
    pub(crate) fn value(tag: Tag, value: &[u8], expiry: ValueExpiry) -> Self {
        let held = match expiry {
            ValueExpiry::Never => Held::Lasting(value.into()),
            ValueExpiry::Superseded | ValueExpiry::At(_) => Held::Value(Box::new((value.into(), expiry))),
        };
        Self { tag, held }
    }

    pub(crate) fn count(tag: Tag, contribution: Contribution) -> Self {
        Self { tag, held: Held::Count(Box::new(contribution)) }
    }

    pub(crate) fn content(&self) -> Content<'_> {
        match &self.held {
            Held::Lasting(value) => Content::Value { value, expiry: ValueExpiry::Never },
            Held::Value(held) => Content::Value { value: &held.0, expiry: held.1 },
            Held::Count(count) => Content::Count(count),
        }
    }

    fn contribution_mut(&mut self) -> Option<&mut Contribution> {
        match &mut self.held {
            Held::Count(count) => Some(count),
            Held::Lasting(_) | Held::Value(_) => None,
        }
    }

    /// Says of a value that an expiry row decides now.
    pub(crate) fn supersede_expiry(&mut self) {
        match &mut self.held {
            Held::Lasting(value) => {
                let value = std::mem::take(value);
                self.held = Held::Value(Box::new((value, ValueExpiry::Superseded)));
            }
            Held::Value(held) => held.1 = ValueExpiry::Superseded,
            Held::Count(_) => {}
        }
    }
}

/// What a reader sees in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View<'a> {
    Bytes(&'a Blob),
    Integer(i64),
}

impl View<'_> {
    pub(crate) fn to_bytes(self) -> bytes::Bytes {
        match self {
            Self::Bytes(blob) => blob.to_bytes(),
            Self::Integer(number) => number.to_string().into(),
        }
    }

    /// The number to count from; `None` when it is not one.
    pub(crate) fn integer(self) -> Option<i64> {
        match self {
            Self::Bytes(blob) => integer(blob).ok(),
            Self::Integer(number) => Some(number),
        }
    }
}

/// Where a register stands, and the books that know of its rows.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) field: Option<&'a [u8]>,
    pub(crate) ledger: &'a mut Ledger,
    /// `None` when there is nobody who could send a snapshot.
    pub(crate) spent: Option<&'a mut Spent>,
}

impl Desk<'_> {
    pub(crate) fn added(&mut self, row: &Row) {
        let slot = self.field.map_or(Slot::String, Slot::Field);
        self.ledger.added(self.key, slot, &row.tag, row.content().bytes());
    }

    pub(crate) fn removed(&mut self, row: &Row) {
        let slot = self.field.map_or(Slot::String, Slot::Field);
        self.ledger.removed(self.key, slot, &row.tag, row.content().bytes());
    }

    fn spent(&mut self, row: &Row) {
        if let (Content::Count(count), Some(spent)) = (row.content(), self.spent.as_deref_mut()) {
            let key = (self.key.into(), self.field.map(Blob::from), row.tag.origin, row.tag.owner);
            spent.record(key, SpentCount { epoch: count.epoch, seq: row.tag.seq, total: count.total });
        }
    }
}

/// The rows of a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Register {
    pub(crate) rows: Few<Row>,
}

impl Register {
    pub(crate) const EMPTY: Self = Self { rows: Few::Other(None) };

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The value that counts as last written, among rows for which `sees` holds.
    pub(crate) fn winner(&self, origins: &Origins, sees: impl Fn(&Tag) -> bool) -> Option<(&Tag, &Blob, ValueExpiry)> {
        self.rows
            .iter()
            .filter_map(|row| match row.content() {
                Content::Value { value, expiry } if sees(&row.tag) => Some((&row.tag, value, expiry)),
                Content::Value { .. } | Content::Count(_) => None,
            })
            .reduce(|known, other| if rank(other.0, origins) >= rank(known.0, origins) { other } else { known })
    }

    /// What readers see.
    pub(crate) fn view(&self, origins: &Origins) -> Option<View<'_>> {
        if let [row @ Row { tag, .. }] = &*self.rows
            && let Content::Value { value, .. } = row.content()
        {
            return origins.sees(tag).then_some(View::Bytes(value));
        }
        let winner = self.winner(origins, |tag| origins.sees(tag)).map(|(_, value, _)| value);
        let mut counted = false;
        let mut sum = 0_i128;
        for row in self.rows.iter() {
            if let (Content::Count(count), true) = (row.content(), origins.sees(&row.tag)) {
                counted = true;
                sum += i128::from(count.total) - i128::from(count.erased);
            }
        }
        match (winner, counted) {
            (None, false) => None,
            (None, true) => Some(View::Integer(saturate(sum))),
            (Some(value), false) => Some(View::Bytes(value)),
            (Some(value), true) => Some(match integer(value) {
                Ok(base) => View::Integer(saturate(sum + i128::from(base))),
                Err(_) => View::Bytes(value),
            }),
        }
    }

    /// The latest write that readers see; decides between types.
    pub(crate) fn newest(&self, origins: &Origins) -> Option<(Hlc, Origin)> {
        self.rows.iter().filter(|row| origins.sees(&row.tag)).map(|row| rank(&row.tag, origins)).max()
    }

    /// An origin's own contribution.
    pub(crate) fn contribution(&self, origin: OriginIx, owner: Owner) -> Option<&Contribution> {
        self.rows.iter().find_map(|row| match row.content() {
            Content::Count(count) if row.tag.origin == origin && row.tag.owner == owner => Some(count),
            Content::Count(_) | Content::Value { .. } => None,
        })
    }

    /// Removes what was observed: rows whole, and of contributions that have grown since the observed part.
    pub(crate) fn erase(&mut self, erase: &Erase<'_>, desk: &mut Desk<'_>) {
        self.rows.retain(|row| {
            if erase.covers(&row.tag) {
                desk.removed(row);
                desk.spent(row);
                return false;
            }
            let tag = row.tag;
            if let Some(count) = row.contribution_mut()
                && let Some(part) = erase.part_of(desk.field, &tag, count.epoch)
                && (count.erased_through + 1..tag.seq).contains(&part.seq)
            {
                count.erased_through = part.seq;
                count.erased = part.total;
            }
            true
        });
    }

    /// Puts a value in place of what was observed. Where that is one value of the same owner, the row stays.
    pub(crate) fn replace(
        &mut self,
        erase: &Erase<'_>,
        tag: Tag,
        value: &[u8],
        expiry: ValueExpiry,
        desk: &mut Desk<'_>,
    ) {
        if expiry == ValueExpiry::Never && self.rewrite(tag, value, desk.ledger) {
            return;
        }
        self.erase(erase, desk);
        self.put(tag, value, expiry, desk);
    }

    /// Puts a lasting value in place of one that the same author wrote for the same owner, when there is nothing else. Returns
    /// whether that was so.
    pub(crate) fn rewrite(&mut self, tag: Tag, value: &[u8], ledger: &mut Ledger) -> bool {
        let Few::One(Row { tag: known, held: Held::Lasting(held) }) = &mut self.rows else { return false };
        if !tag.succeeds(known) {
            return false;
        }
        ledger.resized(held.len(), value.len());
        *known = tag;
        held.assign(value);
        true
    }

    /// Adds a value, after [`erase`](Self::erase) took what it replaces.
    fn put(&mut self, tag: Tag, value: &[u8], expiry: ValueExpiry, desk: &mut Desk<'_>) {
        // A snapshot may have brought a later value of the same author already; this one is then superseded.
        let superseded = self.rows.iter().any(|row| {
            row.tag.origin == tag.origin && row.tag.seq >= tag.seq && matches!(row.content(), Content::Value { .. })
        });
        if !superseded {
            let row = Row::value(tag, value, expiry);
            desk.added(&row);
            self.rows.push(row);
        }
    }

    /// Applies a step of a contribution.
    pub(crate) fn step(&mut self, tag: Tag, step: Step, desk: &mut Desk<'_>) {
        let known = self.rows.iter_mut().filter(|row| row.tag.origin == tag.origin && row.tag.owner == tag.owner);
        let mut known = known.filter_map(|row| match &mut row.held {
            Held::Count(count) => Some((&mut row.tag, count)),
            Held::Lasting(_) | Held::Value(_) => None,
        });
        if let Some((known_tag, count)) = known.next() {
            if known_tag.seq >= tag.seq {
                return; // a snapshot brought it already
            }
            *known_tag = tag;
            if count.epoch == step.epoch {
                count.total = step.total;
            } else {
                // The origin began anew: it saw all of the old contribution erased.
                **count = Contribution { epoch: step.epoch, total: step.total, erased_through: 0, erased: 0 };
            }
            return;
        }
        let mut count = Contribution { epoch: step.epoch, total: step.total, erased_through: 0, erased: 0 };
        if step.epoch < tag.seq {
            // The earlier steps were applied here and erased since; this one had not seen that and survives alone.
            count.erased_through = tag.seq - 1;
            count.erased = step.total.wrapping_sub(step.delta);
        }
        let row = Row::count(tag, count);
        desk.added(&row);
        self.rows.push(row);
    }

    /// Takes the rows that `doomed` names away, for owners that left.
    pub(crate) fn drop_rows(&mut self, doomed: impl Fn(&Tag) -> bool, desk: &mut Desk<'_>) {
        self.rows.retain(|row| {
            let keep = !doomed(&row.tag);
            if !keep {
                desk.removed(row);
            }
            keep
        });
    }
}

/// The order of concurrent writes: by stamp, then by origin. Never by index, which differs between nodes.
pub(crate) fn rank(tag: &Tag, origins: &Origins) -> (Hlc, Origin) {
    (tag.stamp, origins.get(tag.origin).origin)
}

fn saturate(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_what_its_tag_and_its_value_take() {
        assert_eq!((size_of::<Tag>(), size_of::<Row>(), size_of::<Register>()), (24, 40, 40));
        assert_eq!(size_of::<crate::shared::members::Tags>(), 24);
    }
}
