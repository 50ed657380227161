//! The door to tracking. Beside [`Presence`](crate::Presence) for the reason that [`Watching`](crate::Watching) is.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use super::diffs::PresenceDiffs;
use super::present::Presences;
use super::rows::key_of;
use super::tracked::Tracked;
use crate::api::Result;
use crate::args::Arg;
use crate::handle::HasHandle;
use crate::watch::Watching as _;

/// Tracking who is present, for handles of a node and of [`LocalPresence`](crate::LocalPresence).
///
/// ```
/// use headcount_presence::{LocalPresence, Tracking};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let presence = LocalPresence::new();
/// let alice = presence.track("room:1", "alice", "on her phone").await?;
/// let mut room = presence.watch_presences("room:1").await?;
/// let everybody = room.recv().await.expect("the node runs");
/// assert_eq!(everybody.joins["alice".as_bytes()][0].meta, "on her phone");
/// drop(alice);
/// assert!(room.recv().await.expect("the node runs").leaves.contains_key("alice".as_bytes()));
/// # Ok::<(), headcount_presence::Error>(())
/// # }).unwrap();
/// ```
pub trait Tracking: HasHandle {
    /// Makes `key` present under `topic` as long as the returned guard, this handle's session and this node live, with something
    /// to be known of it. Several sessions may be present under one key, and one that is tracked twice is two.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge), [`Error::Closed`](crate::Error::Closed), and with an
    /// acknowledging handle [`Error::NotConfirmed`](crate::Error::NotConfirmed); nothing is tracked then.
    fn track(&self, topic: impl Arg, key: impl Arg, meta: impl Arg) -> impl Future<Output = Result<Tracked>> + Send {
        let row_key = key_of(topic.bytes());
        let (key, meta) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(meta.bytes()));
        async move { Tracked::start(self.handle().clone(), row_key, &key, &meta).await }
    }

    /// Everybody who is present under a topic, in the whole cluster.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed).
    fn presences(&self, topic: impl Arg) -> impl Future<Output = Result<Presences>> + Send {
        let row_key = key_of(topic.bytes());
        async move { self.handle().read(|state, now| state.presences(&row_key, now)) }
    }

    /// Follows who joins and leaves a topic, beginning with everybody who is present.
    ///
    /// # Errors
    /// As [`watch`](crate::Watching::watch).
    fn watch_presences(&self, topic: impl Arg) -> impl Future<Output = Result<PresenceDiffs>> + Send {
        let row_key = key_of(topic.bytes());
        async move {
            let watch = self.handle().watch(row_key.clone()).await?;
            Ok(PresenceDiffs::new(row_key, watch, Arc::downgrade(self.handle().shared())))
        }
    }
}

impl<T: HasHandle> Tracking for T {}
