//! Writing again what a former incarnation of this node owned.

use headcount_cluster::WallMs;

use super::observe::Observed;
use crate::blob::Blob;
use crate::dot::{OriginIx, Owner};
use crate::op::{Action, Raw, Several, Step};
use crate::shared::ledger::OwnedSlot;
use crate::shared::register::{Content, Row, ValueExpiry};
use crate::state::State;

impl State {
    /// Writes the rows that `old` owned at a place under this node's present origin.
    pub(crate) fn reassert(&mut self, old: OriginIx, owner: Owner, key: &Blob, slot: &OwnedSlot, now: WallMs) {
        let key: &[u8] = key;
        let rows: Vec<Row> = match (slot, self.keyspace.keys.get(key)) {
            (_, None) => return,
            (OwnedSlot::Member(member), Some(_)) => {
                let members = Several([Raw(member)].into_iter().collect());
                self.commit(now, Action::Sadd { key: Raw(key), members, owner });
                return;
            }
            (OwnedSlot::Element(name), Some(entry)) => {
                let Some(element) = entry.list().and_then(|list| list.elements.get(name)) else { return };
                let value = element.value.clone();
                let values = Several([Raw(&value)].into_iter().collect());
                self.commit(now, Action::Push { key: Raw(key), position: name.position, values, owner });
                return;
            }
            (OwnedSlot::String, Some(entry)) => entry.string().rows.to_vec(),
            (OwnedSlot::Field(field), Some(entry)) => {
                let register = entry.hash().and_then(|hash| hash.rows.get(field));
                register.map(|register| register.rows.to_vec()).unwrap_or_default()
            }
        };
        let field = match slot {
            OwnedSlot::Field(field) => Some(Raw(field)),
            OwnedSlot::String | OwnedSlot::Member(_) | OwnedSlot::Element(_) => None,
        };
        for row in rows.iter().filter(|row| row.tag.origin == old && row.tag.owner == owner) {
            self.reassert_row(row, owner, key, field, now);
        }
    }

    fn reassert_row(&mut self, row: &Row, owner: Owner, key: &[u8], field: Option<Raw<'_>>, now: WallMs) {
        let mut observed = Observed::nothing(self.me);
        observed.note(&row.tag);
        let seen = observed.seen(&self.origins);
        match (row.content(), field) {
            (Content::Value { value, .. }, Some(field)) => {
                let pairs = Several([field, Raw(value)].into_iter().collect());
                self.commit(now, Action::Hset { key: Raw(key), pairs, owner, seen });
            }
            (Content::Value { value, expiry }, None) => {
                let entry = self.keyspace.keys.get(key);
                let deadline = match expiry {
                    ValueExpiry::At(at) => Some(at),
                    ValueExpiry::Never => None,
                    ValueExpiry::Superseded => {
                        entry.and_then(|entry| entry.deadline(&self.origins)).map(|deadline| deadline.at)
                    }
                };
                self.commit(now, Action::Set { key: Raw(key), value: Raw(value), deadline, owner, seen });
            }
            (Content::Count(count), field) => {
                let amount = count.total.wrapping_sub(count.erased);
                let epoch = self.origins.get(self.me).applied + 1;
                let step = Step { delta: amount, total: amount, epoch };
                self.commit(now, Action::Incr { key: Raw(key), field, owner, step });
            }
        }
    }
}
