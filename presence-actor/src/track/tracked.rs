//! A guard: as long as it lives, a session is present.

use std::fmt;

use bytes::Bytes;

use super::present::PresenceRef;
use crate::api::Result;
use crate::args::Arg;
use crate::dot::Owner;
use crate::handle::ClusterPresence;

/// A tracked session. It leaves when this is dropped, and with its node. It keeps its handle's session open, as a clone of
/// the handle would.
#[must_use = "who is tracked leaves when this is dropped"]
pub struct Tracked {
    presence: ClusterPresence,
    row_key: Bytes,
    field: Bytes,
    reference: PresenceRef,
}

impl Tracked {
    pub(super) async fn start(presence: ClusterPresence, row_key: Bytes, key: &[u8], meta: &[u8]) -> Result<Self> {
        let written =
            presence.begin(|state, owner, now| state.track(lasting_no_longer(owner), &row_key, key, meta, now))?;
        let (reference, field) = written.value.clone();
        // Whatever comes of the confirmation, from here on the row goes when nobody holds it.
        let tracked = Self { presence: presence.clone(), row_key, field, reference };
        presence.confirm(Ok(written)).await?;
        Ok(tracked)
    }

    /// Names the session in lists and diffs.
    pub fn reference(&self) -> PresenceRef {
        self.reference
    }

    /// Says something new of the session. Who follows the topic gets the old meta among the leaves and the new one among the
    /// joins of one diff.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge), [`Error::Closed`](crate::Error::Closed), and with an
    /// acknowledging handle [`Error::NotConfirmed`](crate::Error::NotConfirmed), the new meta being kept.
    pub async fn update(&self, meta: impl Arg) -> Result<()> {
        let written = self.presence.begin(|state, owner, now| {
            state.hset(lasting_no_longer(owner), &self.row_key, &[&self.field, meta.bytes()], now)
        });
        self.presence.confirm(written).await.map(drop)
    }
}

/// The owner of a tracked row: presence that outlives its node would be a lie.
fn lasting_no_longer(handle: Owner) -> Owner {
    if handle.is_shared() { Owner::NODE } else { handle }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // A node that has left has told its peers to drop what it owned.
        let _ = self.presence.write(|state, _, now| state.hdel(&self.row_key, &[&self.field], now));
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked").field("reference", &self.reference).finish_non_exhaustive()
    }
}
