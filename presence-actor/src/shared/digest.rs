//! A number over rows that two nodes can compare.

use xxhash_rust::xxh3::xxh3_64;

use super::entry::Entry;
use super::register::{Content, Register, ValueExpiry};
use crate::dot::Tag;
use crate::origin::Origins;

/// A sum of the hashes of rows.
pub(crate) struct Digest<'a> {
    origins: &'a Origins,
    sum: u64,
    /// The row that is being hashed, each piece after its length.
    row: Vec<u8>,
}

impl<'a> Digest<'a> {
    pub(crate) fn new(origins: &'a Origins) -> Self {
        Self { origins, sum: 0, row: Vec::new() }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// Adds a key's rows.
    pub(crate) fn add_entry(&mut self, key: &[u8], entry: &Entry) {
        self.add_register(0, key, &[], entry.string());
        for (field, rows) in entry.hash().into_iter().flat_map(|hash| hash.rows.iter()) {
            self.add_register(2, key, field, rows);
        }
        for (member, tags) in entry.set().into_iter().flat_map(|set| set.rows.iter()) {
            for tag in tags.iter() {
                self.add(4, key, member, tag, &[]);
            }
        }
        for (place, element) in entry.list().into_iter().flat_map(|list| &list.elements) {
            let [position, index] = [place.position.to_le_bytes(), i64::from(place.index).to_le_bytes()];
            self.add(6, key, &[], &element.tag(place), &[&element.value, &position, &index]);
        }
        for row in entry.expiry() {
            let deadline = row.deadline.map_or(0, |at| at.0.saturating_add(1));
            self.add(5, key, &[], &row.tag, &[&deadline.to_le_bytes()]);
        }
    }

    fn add_register(&mut self, slot: u8, key: &[u8], name: &[u8], register: &Register) {
        for row in register.rows.iter() {
            match row.content() {
                Content::Value { value, expiry } => {
                    let expiry = match expiry {
                        ValueExpiry::Superseded => 1,
                        ValueExpiry::Never => 2,
                        ValueExpiry::At(at) => at.0.saturating_add(3),
                    };
                    self.add(slot, key, name, &row.tag, &[value, &expiry.to_le_bytes()]);
                }
                Content::Count(count) => {
                    let [epoch, total, erased] = [count.epoch as i64, count.total, count.erased].map(i64::to_le_bytes);
                    self.add(slot + 1, key, name, &row.tag, &[&epoch, &total, &erased]);
                }
            }
        }
    }

    fn add(&mut self, slot: u8, key: &[u8], name: &[u8], tag: &Tag, content: &[&[u8]]) {
        self.row.clear();
        for part in [&[slot][..], key, name].into_iter().chain(content.iter().copied()) {
            self.row.extend_from_slice(&(part.len() as u64).to_le_bytes());
            self.row.extend_from_slice(part);
        }
        self.row.extend_from_slice(&self.origins.get(tag.origin).origin.0.to_le_bytes());
        self.row.extend_from_slice(&tag.owner.0.to_le_bytes());
        self.row.extend_from_slice(&tag.seq.to_le_bytes());
        self.row.extend_from_slice(&tag.stamp.0.to_le_bytes());
        self.sum = self.sum.wrapping_add(xxh3_64(&self.row));
    }
}
