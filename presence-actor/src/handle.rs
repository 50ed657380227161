//! Handles: how any thread reads and writes the state without a round trip.
//!
//! One lock around one core. A command takes it, runs to its end (some hundred nanoseconds) and lets go; a mailbox
//! round trip from another thread would cost thirty microseconds. The actor takes the same lock for what peers send, a
//! slice at a time. After a write that peers must hear of, the actor is woken, but only when it sleeps.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use headcount_cluster::{WallClock, WallMs};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::api::{Presence, Result};
use crate::args::{Arg, Args};
use crate::dot::Owner;
use crate::pubsub::Subscription;
use crate::pubsub::interest::Kind;
use crate::pubsub::topics::Family;
use crate::reply::Ttl;
use crate::state::State;

/// The state and what belongs to reaching it from anywhere.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn WallClock>,
    /// Whether an actor looks after deadlines; without one, writers do.
    attended: bool,
    /// Whether the actor has been woken and has not begun to look.
    awake: AtomicBool,
    wake: Notify,
    /// The version of this node's interest that all live peers have confirmed.
    noted: watch::Sender<u64>,
}

impl Shared {
    /// A state without an actor.
    pub(crate) fn unattended(state: State, clock: Arc<dyn WallClock>) -> Arc<Self> {
        Self::new(state, clock, false)
    }

    /// A state that an actor will look after.
    pub fn attended(state: State, clock: Arc<dyn WallClock>) -> Arc<Self> {
        Self::new(state, clock, true)
    }

    fn new(state: State, clock: Arc<dyn WallClock>, attended: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            clock,
            attended,
            awake: AtomicBool::new(false),
            wake: Notify::new(),
            noted: watch::Sender::new(0),
        })
    }

    /// The time now.
    pub fn now(&self) -> WallMs {
        self.clock.now()
    }

    /// Reads. The closure runs under the lock: it should be short.
    pub fn read<R>(&self, read: impl FnOnce(&State, WallMs) -> R) -> R {
        let state = self.state.lock();
        // Asking the clock costs as much as the rest of a read; without deadlines nobody needs to know.
        let now = if state.needs_time() { self.clock.now() } else { WallMs(0) };
        read(&state, now)
    }

    /// Writes. The closure runs under the lock: it should be short. Wakes the actor when there is something to send.
    pub fn write<R>(&self, write: impl FnOnce(&mut State, WallMs) -> R) -> R {
        let now = self.clock.now();
        let mut state = self.state.lock();
        if !self.attended && state.needs_time() {
            state.handle_time(now);
        }
        let result = write(&mut state, now);
        let output = state.take_output();
        drop(state);
        if output {
            self.wake();
        }
        result
    }

    /// Lets the actor look for something to send.
    pub fn wake(&self) {
        if !self.awake.load(Ordering::Acquire) && !self.awake.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Waits until the actor is woken. Wakes from now on are new ones.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
        self.awake.store(false, Ordering::Release);
    }

    /// Tells those who wait that peers have confirmed interest up to a version.
    pub(crate) fn interest_noted(&self, version: u64) {
        self.noted.send_if_modified(|known| std::mem::replace(known, version) != version);
    }

    async fn wait_until_noted(&self, version: u64) {
        let (noted, wait) = self.read(|state, _| (state.interest_noted() >= version, state.limits().subscribe_wait));
        if !noted {
            let mut watcher = self.noted.subscribe();
            let confirmed = watcher.wait_for(|noted| *noted >= version);
            if tokio::time::timeout(wait, confirmed).await.is_err() {
                tracing::debug!(version, "a subscription was not confirmed by every peer in time");
            }
        }
    }
}

/// Whose writes a handle makes.
struct Scope {
    owner: Owner,
    family: Family,
    shared: Arc<Shared>,
}

impl Scope {
    fn new(shared: &Arc<Shared>, owner: impl FnOnce(&mut State) -> Owner) -> Arc<Self> {
        let (owner, family) = shared.write(|state, _| (owner(state), state.open_family()));
        Arc::new(Self { owner, family, shared: Arc::clone(shared) })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if self.owner != Owner::SHARED && self.owner != Owner::NODE {
            self.shared.write(|state, now| state.end_session(self.owner, now));
        }
    }
}

/// A handle to a node's presence.
#[derive(Clone)]
pub struct ClusterPresence {
    scope: Arc<Scope>,
}

impl fmt::Debug for ClusterPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterPresence").field("owner", &self.scope.owner).finish_non_exhaustive()
    }
}

impl ClusterPresence {
    /// A handle whose rows are shared.
    pub fn new(shared: &Arc<Shared>) -> Self {
        Self { scope: Scope::new(shared, |_| Owner::SHARED) }
    }

    /// The state behind the handle.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.scope.shared
    }
}

/// Anything that reaches a state through a [`ClusterPresence`].
pub trait HasHandle: Clone + Send + Sync + 'static {
    /// The handle.
    fn handle(&self) -> &ClusterPresence;

    /// The same with another handle.
    #[must_use]
    fn with_handle(&self, handle: ClusterPresence) -> Self;
}

impl HasHandle for ClusterPresence {
    fn handle(&self) -> &ClusterPresence {
        self
    }

    fn with_handle(&self, handle: ClusterPresence) -> Self {
        handle
    }
}

impl ClusterPresence {
    fn read<R>(&self, read: impl FnOnce(&State, WallMs) -> R) -> R {
        self.scope.shared.read(read)
    }

    fn write<R>(&self, write: impl FnOnce(&mut State, Owner, WallMs) -> R) -> R {
        self.scope.shared.write(|state, now| write(state, self.scope.owner, now))
    }

    async fn subscribe_to(&self, kind: Kind, name: &[u8]) -> Result<Subscription> {
        let family = self.scope.family;
        let (id, mailbox, version) = self.write(|state, owner, _| state.subscribe(kind, name, family, owner))?;
        let (shared, topic): (Weak<Shared>, Box<[u8]>) = (Arc::downgrade(&self.scope.shared), name.into());
        let subscription = Subscription::new(mailbox, move || {
            if let Some(shared) = shared.upgrade() {
                shared.write(|state, _| state.unsubscribe(kind, &topic, id));
            }
        });
        self.scope.shared.wait_until_noted(version).await;
        Ok(subscription)
    }
}

impl<T: HasHandle> Presence for T {
    async fn subscribe(&self, topic: impl Arg) -> Result<Subscription> {
        let topic = Bytes::copy_from_slice(topic.bytes());
        self.handle().subscribe_to(Kind::Topic, &topic).await
    }

    async fn psubscribe(&self, pattern: impl Arg) -> Result<Subscription> {
        let pattern = Bytes::copy_from_slice(pattern.bytes());
        self.handle().subscribe_to(Kind::Pattern, &pattern).await
    }

    async fn unsubscribe(&self, topic: impl Arg) -> Result<usize> {
        let family = self.handle().scope.family;
        self.handle().write(|state, _, _| state.unsubscribe_family(topic.bytes(), family))
    }

    async fn publish(&self, topic: impl Arg, message: impl Arg) -> Result<usize> {
        self.handle().write(|state, _, _| state.publish(topic.bytes(), message.bytes()))
    }

    async fn channels(&self, pattern: Option<&str>) -> Result<Vec<Bytes>> {
        self.handle().read(|state, _| state.channels(pattern.map(str::as_bytes)))
    }

    async fn exists(&self, keys: impl Args) -> Result<usize> {
        keys.with(|keys| self.handle().read(|state, now| state.exists(keys, now)))
    }

    async fn set(&self, key: impl Arg, value: impl Arg) -> Result<()> {
        self.handle().write(|state, owner, now| state.set(owner, key.bytes(), value.bytes(), None, now))
    }

    async fn setex(&self, key: impl Arg, value: impl Arg, seconds: i64) -> Result<()> {
        self.handle().write(|state, owner, now| state.set(owner, key.bytes(), value.bytes(), Some(seconds), now))
    }

    async fn expire(&self, key: impl Arg, seconds: i64) -> Result<bool> {
        self.handle().write(|state, _, now| state.expire(key.bytes(), seconds, now))
    }

    async fn persist(&self, key: impl Arg) -> Result<bool> {
        self.handle().write(|state, _, now| state.persist(key.bytes(), now))
    }

    async fn ttl(&self, key: impl Arg) -> Result<Ttl> {
        self.handle().read(|state, now| state.ttl(key.bytes(), now))
    }

    async fn get(&self, key: impl Arg) -> Result<Option<Bytes>> {
        self.handle().read(|state, now| state.get(key.bytes(), now))
    }

    async fn del(&self, keys: impl Args) -> Result<usize> {
        keys.with(|keys| self.handle().write(|state, _, now| state.del(keys, now)))
    }

    async fn sadd(&self, key: impl Arg, members: impl Args) -> Result<usize> {
        members.with(|members| self.handle().write(|state, owner, now| state.sadd(owner, key.bytes(), members, now)))
    }

    async fn smembers(&self, key: impl Arg) -> Result<Vec<Bytes>> {
        self.handle().read(|state, now| state.smembers(key.bytes(), now))
    }

    async fn sismember(&self, key: impl Arg, member: impl Arg) -> Result<bool> {
        self.handle().read(|state, now| state.sismember(key.bytes(), member.bytes(), now))
    }

    async fn srem(&self, key: impl Arg, members: impl Args) -> Result<usize> {
        members.with(|members| self.handle().write(|state, _, now| state.srem(key.bytes(), members, now)))
    }

    async fn scard(&self, key: impl Arg) -> Result<usize> {
        self.handle().read(|state, now| state.scard(key.bytes(), now))
    }

    async fn sinter(&self, keys: impl Args) -> Result<Vec<Bytes>> {
        keys.with(|keys| self.handle().read(|state, now| state.sinter(keys, now)))
    }

    async fn hset(&self, key: impl Arg, field: impl Arg, value: impl Arg) -> Result<bool> {
        let pair = [field.bytes(), value.bytes()];
        Ok(self.handle().write(|state, owner, now| state.hset(owner, key.bytes(), &pair, now))? > 0)
    }

    async fn hset_multiple(&self, key: impl Arg, pairs: &[(impl Arg + Sync, impl Arg + Sync)]) -> Result<usize> {
        let pairs: Vec<&[u8]> = pairs.iter().flat_map(|(field, value)| [field.bytes(), value.bytes()]).collect();
        self.handle().write(|state, owner, now| state.hset(owner, key.bytes(), &pairs, now))
    }

    async fn hincrby(&self, key: impl Arg, field: impl Arg, by: i64) -> Result<i64> {
        self.handle().write(|state, owner, now| state.hincrby(owner, key.bytes(), field.bytes(), by, now))
    }

    async fn hincrbyex(&self, key: impl Arg, field: impl Arg, by: i64, seconds: i64) -> Result<i64> {
        self.handle().write(|state, owner, now| state.hincrbyex(owner, key.bytes(), field.bytes(), by, seconds, now))
    }

    async fn hget(&self, key: impl Arg, field: impl Arg) -> Result<Option<Bytes>> {
        self.handle().read(|state, now| state.hget(key.bytes(), field.bytes(), now))
    }

    async fn hgetall(&self, key: impl Arg) -> Result<Vec<(Bytes, Bytes)>> {
        self.handle().read(|state, now| state.hgetall(key.bytes(), now))
    }

    async fn hexists(&self, key: impl Arg, field: impl Arg) -> Result<bool> {
        self.handle().read(|state, now| state.hexists(key.bytes(), field.bytes(), now))
    }

    async fn hdel(&self, key: impl Arg, fields: impl Args) -> Result<usize> {
        fields.with(|fields| self.handle().write(|state, _, now| state.hdel(key.bytes(), fields, now)))
    }

    async fn hlen(&self, key: impl Arg) -> Result<usize> {
        self.handle().read(|state, now| state.hlen(key.bytes(), now))
    }

    async fn incrby(&self, key: impl Arg, by: i64) -> Result<i64> {
        self.handle().write(|state, owner, now| state.incrby(owner, key.bytes(), by, now))
    }

    fn owned(&self) -> Self {
        let shared = &self.handle().scope.shared;
        self.with_handle(ClusterPresence { scope: Scope::new(shared, |_| Owner::NODE) })
    }

    fn session(&self) -> Self {
        let shared = &self.handle().scope.shared;
        self.with_handle(ClusterPresence { scope: Scope::new(shared, State::open_session) })
    }
}
