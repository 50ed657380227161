//! How tracked sessions stand in rows, and reading and writing them.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount_cluster::WallMs;

use super::present::{PresenceRef, Presences, Present};
use crate::api::Result;
use crate::dot::Owner;
use crate::error::Error;
use crate::reply::Type;
use crate::shared::register::{Register, View};
use crate::state::State;

/// What keys of topics begin with.
pub(crate) const KEY_PREFIX: &[u8] = b"headcount:presence:";

/// The key of a topic's rows.
pub(crate) fn key_of(topic: &[u8]) -> Bytes {
    [KEY_PREFIX, topic].concat().into()
}

/// The field of a session that is tracked under a key.
fn field_of(reference: PresenceRef, key: &[u8]) -> Bytes {
    [reference.to_string().as_bytes(), key].concat().into()
}

/// The session, and the key it is tracked under; `None` for a field that no tracking has written.
fn parse_field(field: &[u8]) -> Option<(PresenceRef, &[u8])> {
    let (digits, key) = field.split_at_checked(PresenceRef::DIGITS)?;
    Some((PresenceRef::parse(digits)?, key))
}

impl State {
    /// Writes the row of a new session. Returns its reference and its field.
    pub(crate) fn track(
        &mut self,
        owner: Owner,
        row_key: &[u8],
        key: &[u8],
        meta: &[u8],
        now: WallMs,
    ) -> Result<(PresenceRef, Bytes)> {
        let (bytes, limit) =
            (row_key.len() - KEY_PREFIX.len(), self.limits.max_key_bytes.saturating_sub(KEY_PREFIX.len()));
        if bytes > limit {
            return Err(Error::TooLarge { what: "topic", bytes, limit, name: "max_key_bytes" });
        }
        // No other operation of this origin had the number or will have it.
        let reference = PresenceRef::new(self.origin(), self.written() + 1);
        let field = field_of(reference, key);
        self.hset(owner, row_key, &[&field, meta], now)?;
        Ok((reference, field))
    }

    /// All who are present.
    pub(crate) fn presences(&self, row_key: &[u8], now: WallMs) -> Result<Presences> {
        let mut presences = Presences::new();
        // In the order of their fields, which is that of the references.
        for (key, session) in self.present(row_key, now)?.into_values() {
            presences.entry(key).or_default().push(session);
        }
        Ok(presences)
    }

    /// All sessions with their keys, by field.
    pub(crate) fn present(&self, row_key: &[u8], now: WallMs) -> Result<BTreeMap<Bytes, (Bytes, Present)>> {
        self.check_open()?;
        let hash = self.typed(row_key, Type::Hash, now)?.and_then(|entry| entry.hash());
        let rows = hash.into_iter().flat_map(|hash| hash.rows.iter());
        let present = rows.filter_map(|(field, row)| Some((field.to_bytes(), self.read_present(field, row)?)));
        Ok(present.collect())
    }

    /// The session of a field and its key, when it is present.
    pub(crate) fn present_in(&self, row_key: &[u8], field: &[u8], now: WallMs) -> Option<(Bytes, Present)> {
        let entry = self.typed(row_key, Type::Hash, now).ok()??;
        self.read_present(field, entry.hash()?.rows.get(field)?)
    }

    fn read_present(&self, field: &[u8], register: &Register) -> Option<(Bytes, Present)> {
        let (reference, key) = parse_field(field)?;
        let (tag, ..) = register.winner(&self.origins, |tag| self.origins.sees(tag))?;
        let node = self.author(self.origins.get(tag.origin).origin).node;
        let meta = register.view(&self.origins).map(View::to_bytes)?;
        Some((Bytes::copy_from_slice(key), Present { reference, node, meta }))
    }
}

#[cfg(test)]
mod tests {
    use headcount_cluster::Origin;

    use super::*;

    #[test]
    fn topics_and_keys_may_hold_any_bytes_and_never_meet() {
        assert_ne!(key_of(b"a:b"), key_of(b"a"));
        let reference = PresenceRef::new(Origin(u64::MAX), 7);
        for key in [&b""[..], b":", b"\xff\0", b"0123456789abcdef0123456789abcdef"] {
            assert_eq!(parse_field(&field_of(reference, key)), Some((reference, key)));
        }
        for strange in [&b""[..], b"alice", b"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzalice"] {
            assert_eq!(parse_field(strange), None, "{strange:?}");
        }
    }
}
