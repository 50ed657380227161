//! The handle to a Redis, and how it comes and goes.
//!
//! Handles share one backend and differ in whose rows and subscriptions they make. A session ends with its last handle: its
//! subscriptions at once, its rows with the word that its keeper gets. The backend ends with the last handle of all, without a word to
//! Redis; only `leave` says goodbye, because that can fail and takes time, which a drop cannot tell or take.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use headcount_presence::api::Result;
use headcount_presence::{Ack, Limits};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::backend::{Backend, Belongs};
use super::eviction;
use super::lease::{self, Holding, Keeper};
use super::ledger::Ledger;
use super::link::Link;
use super::options::{RedisBuilder, RedisClients, not_connected};
use super::pops::Pops;
use super::scripts::Scripts;
use super::task::Task;
use super::topics::Topics;
#[cfg(doc)]
use crate::{Error, Presence};

/// [`Presence`] over a Redis. Clones are cheap, and any thread of the tokio runtime that connected it may use them.
///
/// What differs from a node is said in the README: who must know of a write is always Redis alone
/// ([`acknowledged`](Presence::acknowledged) takes [`Ack::Local`] only), elements of lists have no owners,
/// [`homed`](Presence::homed) changes nothing, and there is no [`Tracking`](crate::Tracking) and no [`Watching`](crate::Watching).
///
/// Dropping the last clone is a crash to others: what this node owned goes when its lease ends. [`leave`](Self::leave) lets it go at once.
#[derive(Clone)]
pub struct RedisPresence {
    pub(super) scope: Arc<Scope>,
    pub(super) ack: Ack,
}

/// Whose writes and subscriptions a handle makes.
pub(super) struct Scope {
    backend: Arc<Backend>,
    pub(super) belongs: Belongs,
    pub(super) family: u64,
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let Belongs::Session(session @ 1..) = self.belongs {
            self.backend.topics.subscribers.end_session(session);
            // Without its keeper the presence has left, and its rows with it.
            let _ = self.backend.ended.send(session);
        }
    }
}

impl fmt::Debug for RedisPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { backend, belongs, .. } = &*self.scope;
        f.debug_struct("RedisPresence")
            .field("address", &backend.address)
            .field("name", &backend.name)
            .field("belongs", belongs)
            .finish_non_exhaustive()
    }
}

impl RedisPresence {
    /// With all defaults; [`RedisBuilder::connect`] connects.
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    pub(super) async fn connect(options: RedisBuilder, clients: RedisClients) -> Result<Self> {
        let place = clients.data.get_connection_info().addr().to_string();
        let address = format!("the Redis at {place}");
        let limits = options.limits.clone().unwrap_or_else(default_limits);
        let timeouts = options.timeouts;
        let linked = |client, companion| {
            let address = &address;
            async move {
                let link = Link::connect(client, timeouts, companion).await;
                link.map(Arc::new).map_err(|error| not_connected(address, &error))
            }
        };
        let publishing = if options.publishes_apart() { Some(linked(clients.publish, None).await?) } else { None };
        let link = linked(clients.data.clone(), publishing.clone()).await?;
        let (ended, ends) = mpsc::unbounded_channel();
        let none_yet = Holding::Lost { why: "it is not taken yet".into() };
        let backend = Arc::new(Backend {
            meta: [&options.key_prefix[..], b"headcount:"].concat(),
            name: options.name.unwrap_or_else(|| format!("node-{:016x}", super::random::<u64>())),
            timeouts,
            link,
            publishing,
            scripts: Scripts::new(),
            topics: Topics::start(clients.subscribe, &options.key_prefix, limits.clone(), timeouts),
            pops: Pops::new(clients.data),
            ledger: Mutex::new(Ledger::default()),
            holding: watch::Sender::new(none_yet),
            good_until: Mutex::new(None),
            met: watch::Sender::default(),
            ended,
            closed: AtomicBool::new(false),
            families: AtomicU64::new(1),
            sessions: AtomicU32::new(0),
            keeper: Mutex::new(None),
            place,
            address,
            prefix: options.key_prefix,
            limits,
        });
        let keeper = Keeper::take(&backend, options.lease).await?;
        *backend.keeper.lock() = Some(Task::spawn(keeper.keep(Arc::downgrade(&backend), ends)));
        eviction::warn_of(&backend).await;
        Ok(Self { scope: Scope::new(&backend, Belongs::Everybody), ack: Ack::Local })
    }

    /// This node's name on the Redis.
    pub fn name(&self) -> &str {
        &self.scope.backend.name
    }

    /// Leaves: commands are refused from now on, subscriptions end, and what this node and its sessions owned goes before this returns.
    ///
    /// # Errors
    /// [`Error::Backend`] when it could not be done within five command timeouts: says what is left, and who takes it away.
    pub async fn leave(self) -> Result<()> {
        let backend = &self.scope.backend;
        if !backend.stop() {
            return Ok(());
        }
        lease::leave(backend).await
    }
}

/// A node's, but for blocked pops: each has a connection of its own here.
pub(super) fn default_limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_blocked_pops = 256;
    limits
}

impl Scope {
    fn new(backend: &Arc<Backend>, belongs: Belongs) -> Arc<Self> {
        let family = backend.families.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { backend: Arc::clone(backend), belongs, family })
    }
}

impl RedisPresence {
    pub(super) fn backend(&self) -> &Arc<Backend> {
        &self.scope.backend
    }

    /// A handle for other rows.
    pub(super) fn with_scope(&self, belongs: Belongs) -> Self {
        Self { scope: Scope::new(self.backend(), belongs), ack: self.ack }
    }
}
