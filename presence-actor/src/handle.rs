//! Handles: how any thread reads and writes the state without a round trip.
//!
//! One lock around one core. A command takes it, runs to its end (some hundred nanoseconds) and lets go; a mailbox
//! round trip from another thread would cost thirty microseconds. Readers share it. The actor
//! takes the same lock for what peers send, a slice at a time. After a write that peers must hear of, the actor is woken, but
//! only when it sleeps.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use headcount_cluster::{WallClock, WallMs};
use parking_lot::{RwLock, RwLockWriteGuard};
use tokio::sync::{Notify, watch};

use crate::ack::{Ack, AckWithin};
use crate::api::{Presence, Result};
use crate::args::{Arg, Args};
use crate::blob::Blob;
use crate::dot::Owner;
use crate::error::{Error, TryAgain};
use crate::homed::{Answer, Carried, HomedCommand, Popped, Started};
use crate::pubsub::Subscription;
use crate::pubsub::interest::Kind;
use crate::pubsub::topics::Family;
use crate::reply::Ttl;
use crate::shared::list::End;
use crate::state::State;
use crate::values::Values;

/// The state and what belongs to reaching it from anywhere.
#[derive(Debug)]
pub struct Shared {
    state: RwLock<State>,
    clock: Arc<dyn WallClock>,
    /// Whether an actor looks after deadlines; without one, writers do.
    attended: bool,
    /// Whether the actor has been woken and has not begun to look.
    awake: AtomicBool,
    wake: Notify,
    /// Changes whenever peers may have confirmed something.
    progress: watch::Sender<()>,
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
            state: RwLock::new(state),
            clock,
            attended,
            awake: AtomicBool::new(false),
            wake: Notify::new(),
            progress: watch::Sender::new(()),
        })
    }

    /// Whether an actor looks after deadlines.
    pub(crate) fn is_attended(&self) -> bool {
        self.attended
    }

    /// The time now.
    pub fn now(&self) -> WallMs {
        self.clock.now()
    }

    /// Reads. The closure runs under the lock: it should be short.
    pub fn read<R>(&self, read: impl FnOnce(&State, WallMs) -> R) -> R {
        let state = self.state.read();
        // Asking the clock costs as much as the rest of a read; without deadlines nobody needs to know.
        let now = if state.needs_time() { self.clock.now() } else { WallMs(0) };
        read(&state, now)
    }

    /// Writes. The closure runs under the lock: it should be short. Wakes the actor when there is something to send.
    pub fn write<R>(&self, write: impl FnOnce(&mut State, WallMs) -> R) -> R {
        self.write_and(write, |state| drop(state))
    }

    /// Writes a part of something longer: whoever waits has the lock before the next part.
    pub(crate) fn write_in_turn<R>(&self, write: impl FnOnce(&mut State, WallMs) -> R) -> R {
        self.write_and(write, |state| RwLockWriteGuard::unlock_fair(state))
    }

    fn write_and<R>(
        &self,
        write: impl FnOnce(&mut State, WallMs) -> R,
        unlock: impl FnOnce(RwLockWriteGuard<'_, State>),
    ) -> R {
        let now = self.clock.now();
        let mut state = self.state.write();
        if !self.attended && state.needs_time() {
            state.handle_time(now);
        }
        let result = write(&mut state, now);
        state.settle(now);
        self.let_go(state, unlock);
        result
    }

    /// Publishes. Nothing of it depends on the time, and no call and no home waits for it.
    fn publish(&self, topic: &[u8], message: &[u8]) -> Result<usize> {
        let mut state = self.state.write();
        let addressed = state.publish(topic, message);
        self.let_go(state, |state| drop(state));
        addressed
    }

    /// Ends a write, and wakes the actor when there is something to send.
    fn let_go(&self, mut state: RwLockWriteGuard<'_, State>, unlock: impl FnOnce(RwLockWriteGuard<'_, State>)) {
        let output = state.take_output();
        unlock(state);
        if output {
            self.wake();
        }
    }

    /// Lets the actor look for something to send.
    pub fn wake(&self) {
        if !self.awake.load(Ordering::Acquire) && !self.awake.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Whether the actor was woken and has not looked since, for whoever looks without waiting. Wakes from now on are new ones.
    pub fn take_wake(&self) -> bool {
        self.awake.swap(false, Ordering::AcqRel)
    }

    /// Waits until the actor is woken. Wakes from now on are new ones.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
        self.awake.store(false, Ordering::Release);
    }

    /// Lets those look who wait for something that peers confirm.
    pub fn progressed(&self) {
        if self.progress.receiver_count() > 0 {
            self.progress.send_replace(());
        }
    }

    /// Waits until a condition that peers bring about holds. Returns whether it does, at the latest after `timeout`.
    pub async fn wait_until(&self, timeout: Duration, holds: impl Fn(&State) -> bool) -> bool {
        if self.read(|state, _| holds(state)) {
            return true;
        }
        let mut progress = self.progress.subscribe();
        let reached = async {
            while !self.read(|state, _| holds(state)) {
                if progress.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(timeout, reached).await;
        self.read(|state, _| holds(state))
    }
}

/// A call to a key's home that its caller waits for. Dropped, it is taken back, and an element that lies ready for it
/// goes back to its list.
struct OpenCall<'a> {
    shared: &'a Shared,
    number: u64,
    /// The list that it pops from, if it does.
    pops: Option<(End, Blob)>,
    outcome: oneshot::Receiver<Result<Carried>>,
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.shared.write(|state, _| {
            state.give_up_call(self.number);
            self.outcome.close();
            if let (Some((end, key)), Ok(Some(Ok(Carried { answer: Answer::Value(value), .. })))) =
                (self.pops.take(), self.outcome.try_recv())
            {
                state.give_back(end, key, value);
            }
        });
    }
}

/// A blocked pop that its caller waits for. Dropped, it leaves the lines, and an element that lies ready for it goes back.
struct OpenWait<'a> {
    shared: &'a Shared,
    number: u64,
    end: End,
    outcome: oneshot::Receiver<Result<Popped>>,
}

impl Drop for OpenWait<'_> {
    fn drop(&mut self) {
        self.shared.write(|state, _| {
            state.drop_wait(self.number);
            self.outcome.close();
            if let Ok(Some(Ok(Some((key, value))))) = self.outcome.try_recv() {
                state.give_back(self.end, key, value);
            }
        });
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
    within: AckWithin,
    /// Whether counters are counted at their key's home.
    homed: bool,
}

impl fmt::Debug for ClusterPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterPresence").field("owner", &self.scope.owner).finish_non_exhaustive()
    }
}

impl ClusterPresence {
    /// A handle whose rows are shared.
    pub fn new(shared: &Arc<Shared>) -> Self {
        Self { scope: Scope::new(shared, |_| Owner::SHARED), within: AckWithin::default(), homed: false }
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

/// A write, and what its confirmation takes.
pub(crate) struct Written<R> {
    pub(crate) value: R,
    wanted: usize,
    seq: u64,
}

impl ClusterPresence {
    pub(crate) fn read<R>(&self, read: impl FnOnce(&State, WallMs) -> R) -> R {
        self.scope.shared.read(read)
    }

    pub(crate) fn write<R>(&self, write: impl FnOnce(&mut State, Owner, WallMs) -> R) -> R {
        self.scope.shared.write(|state, now| write(state, self.scope.owner, now))
    }

    /// Writes, and takes note of who has to confirm it.
    pub(crate) fn begin<R>(&self, write: impl FnOnce(&mut State, Owner, WallMs) -> Result<R>) -> Result<Written<R>> {
        self.write(|state, owner, now| {
            let wanted = state.peers_needed(self.within.ack)?;
            Ok(Written { value: write(state, owner, now)?, wanted, seq: state.written() })
        })
    }

    /// Waits until a write is confirmed as the handle demands.
    pub(crate) async fn confirm<R>(&self, written: Result<Written<R>>) -> Result<R> {
        let Written { value, wanted, seq } = written?;
        if wanted > 0 {
            // Boxed, so that the future of a write that waits for nobody is small.
            Box::pin(self.wait_for(wanted, seq)).await?;
        }
        Ok(value)
    }

    /// Waits until so many peers have this node's operations up to `seq`.
    async fn wait_for(&self, wanted: usize, seq: u64) -> Result<()> {
        let confirmed = |state: &State| state.peers_that_confirmed(seq);
        if self.scope.shared.wait_until(self.within.timeout, |state| confirmed(state) >= wanted).await {
            return Ok(());
        }
        Err(Error::NotConfirmed { confirmed: self.read(|state, _| confirmed(state)), wanted })
    }

    fn scoped(&self, owner: impl FnOnce(&mut State) -> Owner) -> Self {
        Self { scope: Scope::new(&self.scope.shared, owner), ..self.clone() }
    }

    /// Lets a key's home carry a command out.
    async fn at_home(&self, command: HomedCommand) -> Result<Answer> {
        if command.adds_rows() && !self.scope.owner.is_shared() {
            return Err(Error::HomedOwned);
        }
        let shared = &*self.scope.shared;
        let pops = if let HomedCommand::Pop { end, key, .. } = &command { Some((*end, key.clone())) } else { None };
        let begun = self.write(|state, _, now| {
            let wanted = state.peers_needed(self.within.ack)?;
            Ok((state.call(command, now)?, wanted))
        });
        let (started, wanted) = begun?;
        let Carried { answer, dot } = match started {
            Started::Carried(carried) => carried,
            Started::Later { number, outcome } => {
                let mut call = OpenCall { shared, number, pops: pops.clone(), outcome };
                let wait = self.read(|state, _| state.limits().home_wait);
                match tokio::time::timeout(wait, &mut call.outcome).await {
                    Ok(outcome) => outcome.unwrap_or(Err(Error::Closed))?,
                    Err(_) => return Err(self.write(|state, _, _| state.give_up_call(number))),
                }
            }
        };
        let confirmed = |state: &State| dot.map_or(wanted, |dot| state.peers_that_have(dot));
        if wanted == 0 || shared.wait_until(self.within.timeout, |state| confirmed(state) >= wanted).await {
            return Ok(answer);
        }
        let confirmed = self.read(|state, _| confirmed(state));
        if let (Some((end, key)), Answer::Value(value)) = (pops, answer) {
            self.write(|state, _, _| state.give_back(end, key, value));
            return Err(Error::TryAgain(TryAgain::PopNotConfirmed { confirmed, wanted }));
        }
        Err(Error::NotConfirmed { confirmed, wanted })
    }

    async fn pop(&self, end: End, key: &[u8]) -> Result<Option<Bytes>> {
        self.at_home(HomedCommand::Pop { end, key: key.into(), wait: None }).await.map(Answer::into_value)
    }

    async fn blocking_pop(
        &self,
        end: End,
        begun: Result<(u64, oneshot::Receiver<Result<Popped>>)>,
        timeout: Duration,
    ) -> Result<Option<(Bytes, Bytes)>> {
        let (number, outcome) = begun?;
        let shared = &*self.scope.shared;
        let mut wait = OpenWait { shared, number, end, outcome };
        let popped = if timeout.is_zero() {
            (&mut wait.outcome).await
        } else if let Ok(popped) = tokio::time::timeout(timeout, &mut wait.outcome).await {
            popped
        } else {
            // An element may be on its way; then it counts.
            let home_wait = shared.write(|state, _| {
                state.end_wait(number);
                state.limits().home_wait
            });
            tokio::time::timeout(home_wait, &mut wait.outcome).await.unwrap_or(Ok(Ok(None)))
        };
        let popped = popped.unwrap_or(Err(Error::Closed))?;
        Ok(popped.map(|(key, value)| (key.to_bytes(), value.to_bytes())))
    }

    /// Counts at the key's home.
    async fn count_at_home(&self, key: &[u8], field: Option<&[u8]>, by: i64, seconds: Option<i64>) -> Result<i64> {
        let field = field.map(Blob::from);
        self.at_home(HomedCommand::Count { key: key.into(), field, by, seconds }).await.map(Answer::into_number)
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
        let wait = self.read(|state, _| state.limits().subscribe_wait);
        if !self.scope.shared.wait_until(wait, |state| state.interest_noted() >= version).await {
            tracing::debug!(version, "a subscription was not confirmed by every peer in time");
        }
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
        self.handle().scope.shared.publish(topic.bytes(), message.bytes())
    }

    async fn channels(&self, pattern: Option<&str>) -> Result<Vec<Bytes>> {
        self.handle().read(|state, _| state.channels(pattern.map(str::as_bytes)))
    }

    async fn exists(&self, keys: impl Args) -> Result<usize> {
        keys.with(|keys| self.handle().read(|state, now| state.exists(keys, now)))
    }

    async fn set(&self, key: impl Arg, value: impl Arg) -> Result<()> {
        let written = self.handle().begin(|state, owner, now| state.set(owner, key.bytes(), value.bytes(), None, now));
        self.handle().confirm(written).await
    }

    async fn setex(&self, key: impl Arg, value: impl Arg, seconds: i64) -> Result<()> {
        let written =
            self.handle().begin(|state, owner, now| state.set(owner, key.bytes(), value.bytes(), Some(seconds), now));
        self.handle().confirm(written).await
    }

    async fn expire(&self, key: impl Arg, seconds: i64) -> Result<bool> {
        let written = self.handle().begin(|state, _, now| state.expire(key.bytes(), seconds, now));
        self.handle().confirm(written).await
    }

    async fn persist(&self, key: impl Arg) -> Result<bool> {
        let written = self.handle().begin(|state, _, now| state.persist(key.bytes(), now));
        self.handle().confirm(written).await
    }

    async fn ttl(&self, key: impl Arg) -> Result<Ttl> {
        self.handle().read(|state, now| state.ttl(key.bytes(), now))
    }

    async fn get(&self, key: impl Arg) -> Result<Option<Bytes>> {
        self.handle().read(|state, now| state.get(key.bytes(), now))
    }

    async fn del(&self, keys: impl Args) -> Result<usize> {
        let written = keys.with(|keys| self.handle().begin(|state, _, now| state.del(keys, now)));
        self.handle().confirm(written).await
    }

    async fn sadd(&self, key: impl Arg, members: impl Args) -> Result<usize> {
        let written = members
            .with(|members| self.handle().begin(|state, owner, now| state.sadd(owner, key.bytes(), members, now)));
        self.handle().confirm(written).await
    }

    async fn smembers(&self, key: impl Arg) -> Result<Values> {
        self.handle().read(|state, now| state.smembers(key.bytes(), now))
    }

    async fn sismember(&self, key: impl Arg, member: impl Arg) -> Result<bool> {
        self.handle().read(|state, now| state.sismember(key.bytes(), member.bytes(), now))
    }

    async fn srem(&self, key: impl Arg, members: impl Args) -> Result<usize> {
        let written =
            members.with(|members| self.handle().begin(|state, _, now| state.srem(key.bytes(), members, now)));
        self.handle().confirm(written).await
    }

    async fn scard(&self, key: impl Arg) -> Result<usize> {
        self.handle().read(|state, now| state.scard(key.bytes(), now))
    }

    async fn sinter(&self, keys: impl Args) -> Result<Vec<Bytes>> {
        keys.with(|keys| self.handle().read(|state, now| state.sinter(keys, now)))
    }

    async fn hset(&self, key: impl Arg, field: impl Arg, value: impl Arg) -> Result<bool> {
        let pair = [field.bytes(), value.bytes()];
        let written = self.handle().begin(|state, owner, now| state.hset(owner, key.bytes(), &pair, now));
        Ok(self.handle().confirm(written).await? > 0)
    }

    async fn hset_multiple(&self, key: impl Arg, pairs: &[(impl Arg + Sync, impl Arg + Sync)]) -> Result<usize> {
        let pairs: Vec<&[u8]> = pairs.iter().flat_map(|(field, value)| [field.bytes(), value.bytes()]).collect();
        let written = self.handle().begin(|state, owner, now| state.hset(owner, key.bytes(), &pairs, now));
        self.handle().confirm(written).await
    }

    async fn hincrby(&self, key: impl Arg, field: impl Arg, by: i64) -> Result<i64> {
        if self.handle().homed {
            return self.handle().count_at_home(key.bytes(), Some(field.bytes()), by, None).await;
        }
        let written =
            self.handle().begin(|state, owner, now| state.hincrby(owner, key.bytes(), field.bytes(), by, now));
        self.handle().confirm(written).await
    }

    async fn hincrbyex(&self, key: impl Arg, field: impl Arg, by: i64, seconds: i64) -> Result<i64> {
        if self.handle().homed {
            return self.handle().count_at_home(key.bytes(), Some(field.bytes()), by, Some(seconds)).await;
        }
        let written = self
            .handle()
            .begin(|state, owner, now| state.hincrbyex(owner, key.bytes(), field.bytes(), by, seconds, now));
        self.handle().confirm(written).await
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
        let written = fields.with(|fields| self.handle().begin(|state, _, now| state.hdel(key.bytes(), fields, now)));
        self.handle().confirm(written).await
    }

    async fn hlen(&self, key: impl Arg) -> Result<usize> {
        self.handle().read(|state, now| state.hlen(key.bytes(), now))
    }

    async fn incrby(&self, key: impl Arg, by: i64) -> Result<i64> {
        if self.handle().homed {
            return self.handle().count_at_home(key.bytes(), None, by, None).await;
        }
        let written = self.handle().begin(|state, owner, now| state.incrby(owner, key.bytes(), by, now));
        self.handle().confirm(written).await
    }

    async fn rpush(&self, key: impl Arg, values: impl Args) -> Result<usize> {
        let written = values.with(|values| {
            self.handle().begin(|state, owner, now| state.push(owner, End::Right, key.bytes(), values, now))
        });
        self.handle().confirm(written).await
    }

    async fn lpush(&self, key: impl Arg, values: impl Args) -> Result<usize> {
        let written = values.with(|values| {
            self.handle().begin(|state, owner, now| state.push(owner, End::Left, key.bytes(), values, now))
        });
        self.handle().confirm(written).await
    }

    async fn rpop(&self, key: impl Arg) -> Result<Option<Bytes>> {
        self.handle().pop(End::Right, key.bytes()).await
    }

    async fn lpop(&self, key: impl Arg) -> Result<Option<Bytes>> {
        self.handle().pop(End::Left, key.bytes()).await
    }

    async fn brpop(&self, keys: impl Args, timeout: Duration) -> Result<Option<(Bytes, Bytes)>> {
        let begun = keys.with(|keys| self.handle().write(|state, _, now| state.begin_wait(End::Right, keys, now)));
        self.handle().blocking_pop(End::Right, begun, timeout).await
    }

    async fn blpop(&self, keys: impl Args, timeout: Duration) -> Result<Option<(Bytes, Bytes)>> {
        let begun = keys.with(|keys| self.handle().write(|state, _, now| state.begin_wait(End::Left, keys, now)));
        self.handle().blocking_pop(End::Left, begun, timeout).await
    }

    async fn llen(&self, key: impl Arg) -> Result<usize> {
        self.handle().read(|state, now| state.llen(key.bytes(), now))
    }

    async fn lrange(&self, key: impl Arg, start: i64, stop: i64) -> Result<Vec<Bytes>> {
        self.handle().read(|state, now| state.lrange(key.bytes(), start, stop, now))
    }

    async fn set_nx(&self, key: impl Arg, value: impl Arg) -> Result<bool> {
        let command = HomedCommand::SetNx { key: key.bytes().into(), value: value.bytes().into(), seconds: None };
        self.handle().at_home(command).await.map(Answer::into_flag)
    }

    async fn set_nx_ex(&self, key: impl Arg, value: impl Arg, seconds: i64) -> Result<bool> {
        let seconds = Some(seconds);
        let command = HomedCommand::SetNx { key: key.bytes().into(), value: value.bytes().into(), seconds };
        self.handle().at_home(command).await.map(Answer::into_flag)
    }

    async fn getset(&self, key: impl Arg, value: impl Arg) -> Result<Option<Bytes>> {
        let command = HomedCommand::Getset { key: key.bytes().into(), value: value.bytes().into() };
        self.handle().at_home(command).await.map(Answer::into_value)
    }

    async fn compare_and_set(&self, key: impl Arg, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<bool> {
        let (expected, new) = (expected.map(Blob::from), new.map(Blob::from));
        let command = HomedCommand::CompareAndSet { key: key.bytes().into(), expected, new, seconds: None };
        self.handle().at_home(command).await.map(Answer::into_flag)
    }

    async fn compare_and_set_ex(
        &self,
        key: impl Arg,
        expected: Option<&[u8]>,
        new: impl Arg,
        seconds: i64,
    ) -> Result<bool> {
        let (expected, new) = (expected.map(Blob::from), Some(new.bytes().into()));
        let command = HomedCommand::CompareAndSet { key: key.bytes().into(), expected, new, seconds: Some(seconds) };
        self.handle().at_home(command).await.map(Answer::into_flag)
    }

    fn acknowledged(&self, ack: Ack, timeout: Duration) -> Self {
        let handle = self.handle();
        let within = AckWithin { ack, timeout };
        self.with_handle(ClusterPresence { within, ..handle.clone() })
    }

    fn homed(&self) -> Self {
        self.with_handle(ClusterPresence { homed: true, ..self.handle().clone() })
    }

    fn owned(&self) -> Self {
        self.with_handle(self.handle().scoped(|_| Owner::NODE))
    }

    fn session(&self) -> Self {
        self.with_handle(self.handle().scoped(State::open_session))
    }
}
