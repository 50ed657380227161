//! The door to watching.
//!
//! Not part of [`Presence`](crate::Presence): another backend of that API (a Redis server) has neither the old value nor the author
//! of a change, and does not tell of what a dead node owned. So who asks for a `Watching` says that it needs this one.

use std::future::Future;
use std::sync::Arc;

use super::stream::Watch;
use super::watches::Selector;
use crate::api::Result;
use crate::args::Arg;
use crate::handle::HasHandle;

/// Watching keys, for handles of a node and of [`LocalPresence`](crate::LocalPresence).
///
/// ```
/// use headcount_presence::{ChangeKind, LocalPresence, Presence, WatchEvent, Watching};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let presence = LocalPresence::new();
/// let mut lobby = presence.watch("lobby").await?;
/// presence.sadd("lobby", "alice").await?;
/// let Some(WatchEvent::Change(change)) = lobby.recv().await else { panic!("alice has come") };
/// assert_eq!(change.kind, ChangeKind::Added);
/// assert_eq!(change.field.as_deref(), Some(&b"alice"[..]));
/// # Ok::<(), headcount_presence::Error>(())
/// # }).unwrap();
/// ```
pub trait Watching: HasHandle {
    /// Watches a key, which need not exist: what changes of it from now on, whoever changes it.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge) for the key, [`Error::TooMany`](crate::Error::TooMany) watches,
    /// [`Error::Closed`](crate::Error::Closed).
    fn watch(&self, key: impl Arg) -> impl Future<Output = Result<Watch>> + Send {
        async move { start(self, Selector::Key(key.bytes().into())) }
    }

    /// Watches all keys that begin with `prefix`, those to come too; an empty prefix is every key.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    fn watch_prefix(&self, prefix: impl Arg) -> impl Future<Output = Result<Watch>> + Send {
        async move { start(self, Selector::Prefix(prefix.bytes().into())) }
    }
}

impl<T: HasHandle> Watching for T {}

fn start(presence: &impl HasHandle, selector: Selector) -> Result<Watch> {
    let shared = presence.handle().shared();
    let (id, mailbox) = shared.write(|state, now| state.watch(&selector, now))?;
    Ok(Watch::new(selector, id, mailbox, Arc::downgrade(shared)))
}
