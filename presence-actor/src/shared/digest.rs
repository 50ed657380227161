//! A number over rows that two nodes can compare.

use xxhash_rust::xxh3::Xxh3;

use super::entry::Entry;
use super::register::{Content, ValueExpiry};
use crate::dot::Tag;
use crate::origin::Origins;

/// The sum of the hashes of a key's rows.
pub(crate) fn of_entry(key: &[u8], entry: &Entry, origins: &Origins) -> u64 {
    let hash = |slot: u8, name: &[u8], tag: &Tag, content: &[&[u8]]| {
        let mut hasher = Xxh3::new();
        for part in [&[slot][..], key, name].into_iter().chain(content.iter().copied()) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(&origins.get(tag.origin).origin.0.to_le_bytes());
        hasher.update(&tag.owner.0.to_le_bytes());
        hasher.update(&tag.seq.to_le_bytes());
        hasher.update(&tag.stamp.0.to_le_bytes());
        hasher.digest()
    };
    let register = |slot: u8, name: &[u8], register: &super::register::Register| {
        register.rows.iter().fold(0_u64, |sum, row| {
            sum.wrapping_add(match row.content() {
                Content::Value { value, expiry } => {
                    let expiry = match expiry {
                        ValueExpiry::Superseded => 1,
                        ValueExpiry::Never => 2,
                        ValueExpiry::At(at) => at.0.saturating_add(3),
                    };
                    hash(slot, name, &row.tag, &[value, &expiry.to_le_bytes()])
                }
                Content::Count(count) => {
                    let [epoch, total, erased] = [count.epoch as i64, count.total, count.erased].map(i64::to_le_bytes);
                    hash(slot + 1, name, &row.tag, &[&epoch, &total, &erased])
                }
            })
        })
    };
    let mut sum = register(0, &[], entry.string());
    for (field, rows) in entry.hash().into_iter().flat_map(|hash| hash.rows.iter()) {
        sum = sum.wrapping_add(register(2, field, rows));
    }
    for (member, tags) in entry.set().into_iter().flat_map(|set| set.rows.iter()) {
        sum = tags.iter().fold(sum, |sum, tag| sum.wrapping_add(hash(4, member, tag, &[])));
    }
    for (key, element) in entry.list().into_iter().flat_map(|list| &list.elements) {
        let place = [key.position.to_le_bytes(), i64::from(key.index).to_le_bytes()];
        sum = sum.wrapping_add(hash(6, &[], &element.tag(key), &[&element.value, &place[0], &place[1]]));
    }
    entry.expiry().iter().fold(sum, |sum, row| {
        let deadline = row.deadline.map_or(0, |at| at.0.saturating_add(1));
        sum.wrapping_add(hash(5, &[], &row.tag, &[&deadline.to_le_bytes()]))
    })
}
