//! The Presence API: Colyseus' method names and argument order, Redis's replies.
//!
//! Keys, members, fields and values are bytes. A method that changes something resolves when this node has applied
//! the change; it is then on its way to every peer. Semantics are those of the Redis command of the same name; where
//! Colyseus' `LocalPresence` differs from Redis, Redis wins.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

use crate::ack::Ack;
use crate::args::{Arg, Args};
use crate::error::Error;
use crate::pubsub::Subscription;
use crate::reply::Ttl;
use crate::values::Values;

/// A command's outcome.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Shared data and topics of a fleet of game servers.
///
/// Cloning a handle is cheap. All methods can be called from any thread.
///
/// # Commands at a key's home
/// Most commands are carried out where they are called and merge. Some have an answer that must not be given twice: pops, `set_nx`, `getset`,
/// `compare_and_set`, and counting through [`homed`](Self::homed). They are carried out at the key's *home*, one of the nodes that are Up
/// and ready, one after the other, and return once the caller's own node has what was written. What that promises:
///
/// - While nodes neither come nor go, an answer is given once in the whole cluster. What a node wrote before it called is there when its call is
///   carried out.
/// - When the home dies, the call goes to the next home under the same number, once the death is noticed (`detection_time`). That home
///   first learns all that the remaining nodes know, so a command that any of them has seen carried out is not carried out again, and
///   an element that any of them has seen taken is not taken again.
/// - No two nodes serve as home of a key at the same time while some node can talk to both: each node promises itself to one
///   view of the cluster for a second at a time. That rests on clocks that run at about the same rate, not on what they show.
/// - With `home_requires = "any"` (the default) nodes that are silent for two seconds are gone on without; at a partition each side goes on by
///   itself, so an element can be taken once on each side.
/// - With `"majority"` a side that has not more than half of the nodes answers [`Error::TryAgain`], and an answer is given only when
///   more than half of them have what was written: then it is unique also across partitions and deaths. Nodes are counted that
///   are Up or Down, and for a day those that were given up for their silence, unless they come back under their name. It does not hold
///   while nodes join a cluster that is split, or when a split lasts longer than that day and `grace`.
/// - [`Error::TryAgain`] says that the command had no effect: an element that was popped nevertheless is put back, and so is one
///   whose future is dropped before it was taken. After [`Error::OutcomeUnknown`] the command may have been carried out.
/// - A node that leaves waits up to five seconds for what homes have to say about its calls. [`Error::Closed`] says of them what
///   [`Error::TryAgain`] does, unless the home of a pop stayed silent for so long.
/// - Of those who wait for a list, who began first by its own clock comes first.
///
/// # Errors of all commands
/// What a command can fail with besides what stands at it, unless it only reads: [`Error::Closed`] once the node has left;
/// [`Error::OutOfMemory`] when it may add data and the node that carries it out is over `max_memory_bytes`; and through an
/// [acknowledging](Self::acknowledged) handle [`Error::TooFewPeers`], and [`Error::NotConfirmed`] with the write kept.
pub trait Presence: Clone + Send + Sync + 'static {
    /// Subscribes to a topic. Resolves when every live peer has confirmed the interest or left (a bounded wait), so
    /// that a publish anywhere after that is delivered. Ends when the [`Subscription`] is dropped.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for the topic, [`Error::TooMany`] subscriptions, [`Error::Closed`].
    fn subscribe(&self, topic: impl Arg) -> impl Future<Output = Result<Subscription>> + Send;

    /// Subscribes to all topics that match a Redis glob (`*`, `?`, `[a-z]`, `\` escapes).
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    fn psubscribe(&self, pattern: impl Arg) -> impl Future<Output = Result<Subscription>> + Send;

    /// Ends all subscriptions to a topic that were made through this handle or a clone of it; returns how many.
    ///
    /// # Errors
    /// [`Error::Closed`].
    fn unsubscribe(&self, topic: impl Arg) -> impl Future<Output = Result<usize>> + Send;

    /// Sends a message to every subscriber in the cluster, at most once and in order per publisher and topic.
    /// Returns how many subscriptions it was addressed to.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for topic or message, [`Error::Closed`].
    fn publish(&self, topic: impl Arg, message: impl Arg) -> impl Future<Output = Result<usize>> + Send;

    /// Topics with at least one subscriber anywhere in the cluster, in byte order; with a pattern, those that match it.
    /// Patterns that are subscribed to do not count, as in Redis's `PUBSUB CHANNELS`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for the pattern, [`Error::Closed`].
    fn channels(&self, pattern: Option<&str>) -> impl Future<Output = Result<Vec<Bytes>>> + Send;

    /// How many of the keys exist; a key named twice counts twice.
    ///
    /// # Errors
    /// [`Error::TooMany`] keys, [`Error::Closed`].
    fn exists(&self, keys: impl Args) -> impl Future<Output = Result<usize>> + Send;

    /// Sets a string; an earlier value of any type and its expiry are gone.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for key or value, [`Error::Closed`].
    fn set(&self, key: impl Arg, value: impl Arg) -> impl Future<Output = Result<()>> + Send;

    /// Sets a string that expires after `seconds`.
    ///
    /// # Errors
    /// [`Error::InvalidExpiry`] unless `seconds` is positive; [`Error::TooLarge`], [`Error::Closed`].
    fn setex(&self, key: impl Arg, value: impl Arg, seconds: i64) -> impl Future<Output = Result<()>> + Send;

    /// Lets a key expire after `seconds`; zero or a negative number deletes it. Returns whether the key existed.
    ///
    /// # Errors
    /// [`Error::InvalidExpiry`] when the deadline does not fit a clock, in the future or the past; [`Error::Closed`].
    fn expire(&self, key: impl Arg, seconds: i64) -> impl Future<Output = Result<bool>> + Send;

    /// Takes a key's expiry away. Returns whether it had one.
    ///
    /// # Errors
    /// [`Error::Closed`].
    fn persist(&self, key: impl Arg) -> impl Future<Output = Result<bool>> + Send;

    /// How long a key has to live.
    ///
    /// # Errors
    /// [`Error::Closed`].
    fn ttl(&self, key: impl Arg) -> impl Future<Output = Result<Ttl>> + Send;

    /// A string's value.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::Closed`].
    fn get(&self, key: impl Arg) -> impl Future<Output = Result<Option<Bytes>>> + Send;

    /// Deletes keys; returns how many existed.
    ///
    /// # Errors
    /// [`Error::TooMany`] keys, [`Error::Closed`].
    fn del(&self, keys: impl Args) -> impl Future<Output = Result<usize>> + Send;

    /// Adds members to a set; returns how many were new.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::TooLarge`], [`Error::TooMany`], [`Error::WrongArity`] without members, [`Error::Closed`].
    fn sadd(&self, key: impl Arg, members: impl Args) -> impl Future<Output = Result<usize>> + Send;

    /// All members of a set, in no particular order. While the set does not change, reading it again hands out the same list
    /// and copies nothing, unless it has more than [`MAX_KEPT_LIST`](crate::limits::MAX_KEPT_LIST) members.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::Closed`].
    fn smembers(&self, key: impl Arg) -> impl Future<Output = Result<Values>> + Send;

    /// Whether a set has a member; false when there is no such key.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::Closed`].
    fn sismember(&self, key: impl Arg, member: impl Arg) -> impl Future<Output = Result<bool>> + Send;

    /// Removes members from a set; returns how many were in it.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::TooMany`], [`Error::WrongArity`] without members, [`Error::Closed`].
    fn srem(&self, key: impl Arg, members: impl Args) -> impl Future<Output = Result<usize>> + Send;

    /// The number of members of a set.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::Closed`].
    fn scard(&self, key: impl Arg) -> impl Future<Output = Result<usize>> + Send;

    /// The members that all the sets have.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::TooMany`], [`Error::WrongArity`] without keys, [`Error::Closed`].
    fn sinter(&self, keys: impl Args) -> impl Future<Output = Result<Vec<Bytes>>> + Send;

    /// Sets a field of a hash. Returns whether the field is new.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::TooLarge`], [`Error::Closed`].
    fn hset(&self, key: impl Arg, field: impl Arg, value: impl Arg) -> impl Future<Output = Result<bool>> + Send;

    /// Sets several fields of a hash, given as pairs; returns how many are new.
    ///
    /// # Errors
    /// As [`hset`](Self::hset), and [`Error::TooMany`], [`Error::WrongArity`] without pairs.
    fn hset_multiple(
        &self,
        key: impl Arg,
        pairs: &[(impl Arg + Sync, impl Arg + Sync)],
    ) -> impl Future<Output = Result<usize>> + Send;

    /// Adds to a field of a hash, which counts from zero when it is missing; returns the sum that this node sees.
    ///
    /// # Errors
    /// [`Error::HashValueNotAnInteger`], [`Error::Overflow`], [`Error::WrongType`], [`Error::TooLarge`], [`Error::Closed`].
    fn hincrby(&self, key: impl Arg, field: impl Arg, by: i64) -> impl Future<Output = Result<i64>> + Send;

    /// [`hincrby`](Self::hincrby) and [`expire`](Self::expire) of the whole hash in one step, as Colyseus has it.
    ///
    /// # Errors
    /// As both.
    fn hincrbyex(
        &self,
        key: impl Arg,
        field: impl Arg,
        by: i64,
        seconds: i64,
    ) -> impl Future<Output = Result<i64>> + Send;

    /// A field of a hash.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::Closed`].
    fn hget(&self, key: impl Arg, field: impl Arg) -> impl Future<Output = Result<Option<Bytes>>> + Send;

    /// All fields of a hash with their values, in no particular order.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::Closed`].
    fn hgetall(&self, key: impl Arg) -> impl Future<Output = Result<Vec<(Bytes, Bytes)>>> + Send;

    /// Whether a hash has a field; false when there is no such key.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::Closed`].
    fn hexists(&self, key: impl Arg, field: impl Arg) -> impl Future<Output = Result<bool>> + Send;

    /// Removes fields from a hash; returns how many were in it.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::TooMany`], [`Error::WrongArity`] without fields, [`Error::Closed`].
    fn hdel(&self, key: impl Arg, fields: impl Args) -> impl Future<Output = Result<usize>> + Send;

    /// The number of fields of a hash.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::Closed`].
    fn hlen(&self, key: impl Arg) -> impl Future<Output = Result<usize>> + Send;

    /// Adds one to a counter; returns the sum that this node sees.
    ///
    /// # Errors
    /// As [`incrby`](Self::incrby).
    fn incr(&self, key: impl Arg) -> impl Future<Output = Result<i64>> + Send {
        self.incrby(key, 1)
    }

    /// Takes one from a counter; returns the sum that this node sees.
    ///
    /// # Errors
    /// As [`incrby`](Self::incrby).
    fn decr(&self, key: impl Arg) -> impl Future<Output = Result<i64>> + Send {
        self.incrby(key, -1)
    }

    /// Adds to a counter, which counts from zero when it is missing; returns the sum that this node sees.
    ///
    /// # Errors
    /// [`Error::NotAnInteger`], [`Error::Overflow`], [`Error::WrongType`], [`Error::TooLarge`], [`Error::Closed`].
    fn incrby(&self, key: impl Arg, by: i64) -> impl Future<Output = Result<i64>> + Send;

    /// Adds elements to the tail of a list; returns its length as this node sees it. Concurrent pushes are all kept, in one order
    /// everywhere.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::TooLarge`], [`Error::TooMany`], [`Error::WrongArity`] without values, [`Error::Closed`].
    fn rpush(&self, key: impl Arg, values: impl Args) -> impl Future<Output = Result<usize>> + Send;

    /// Adds elements to the head of a list, the last given becomes the first; returns its length as this node sees it.
    ///
    /// # Errors
    /// As [`rpush`](Self::rpush).
    fn lpush(&self, key: impl Arg, values: impl Args) -> impl Future<Output = Result<usize>> + Send;

    /// Takes the last element of a list, [at the key's home](Self#commands-at-a-keys-home).
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::TryAgain`], [`Error::TooMany`] open calls, [`Error::Closed`].
    fn rpop(&self, key: impl Arg) -> impl Future<Output = Result<Option<Bytes>>> + Send;

    /// Takes the first element of a list, [at the key's home](Self#commands-at-a-keys-home).
    ///
    /// # Errors
    /// As [`rpop`](Self::rpop).
    fn lpop(&self, key: impl Arg) -> impl Future<Output = Result<Option<Bytes>>> + Send;

    /// Takes the last element of the first of these lists that has one, or waits until one has, at most for `timeout`; zero
    /// waits for ever. Answers the key and the element; `None` when the time is over. Who has waited longest is
    /// served first, wherever in the cluster. An element that is just being taken when the time is over is waited for, for
    /// [`Limits::home_wait`](crate::Limits::home_wait) at most. Waiting ends when the future is dropped, and an element that was
    /// taken for it by then goes back. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::TryAgain`] without a required majority, [`Error::WrongArity`] without keys,
    /// [`Error::TooMany`] blocked pops, [`Error::Closed`].
    fn brpop(&self, keys: impl Args, timeout: Duration) -> impl Future<Output = Result<Option<(Bytes, Bytes)>>> + Send;

    /// As [`brpop`](Self::brpop), from the head.
    ///
    /// # Errors
    /// As [`brpop`](Self::brpop).
    fn blpop(&self, keys: impl Args, timeout: Duration) -> impl Future<Output = Result<Option<(Bytes, Bytes)>>> + Send;

    /// The number of elements of a list.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::Closed`].
    fn llen(&self, key: impl Arg) -> impl Future<Output = Result<usize>> + Send;

    /// Elements of a list from `start` to `stop`, both included; negative ones count from the end.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::Closed`].
    fn lrange(&self, key: impl Arg, start: i64, stop: i64) -> impl Future<Output = Result<Vec<Bytes>>> + Send;

    /// Sets a string unless the key exists, [at the key's home](Self#commands-at-a-keys-home). Returns whether it was set.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::OutOfMemory`], [`Error::TryAgain`], [`Error::OutcomeUnknown`], [`Error::NotConfirmed`] where
    /// `home_requires` is `majority`, [`Error::HomedOwned`], [`Error::TooMany`] open calls, [`Error::Closed`].
    fn set_nx(&self, key: impl Arg, value: impl Arg) -> impl Future<Output = Result<bool>> + Send;

    /// [`set_nx`](Self::set_nx) with a life of `seconds`: a lock that nobody can forget to open.
    ///
    /// # Errors
    /// As [`set_nx`](Self::set_nx), and [`Error::InvalidExpiry`] unless `seconds` is positive.
    fn set_nx_ex(&self, key: impl Arg, value: impl Arg, seconds: i64) -> impl Future<Output = Result<bool>> + Send;

    /// Sets a string, without an expiry, and returns what it was, [at the key's home](Self#commands-at-a-keys-home).
    ///
    /// # Errors
    /// As [`set_nx`](Self::set_nx), and [`Error::WrongType`].
    fn getset(&self, key: impl Arg, value: impl Arg) -> impl Future<Output = Result<Option<Bytes>>> + Send;

    /// Sets a string if it is as expected, [at the key's home](Self#commands-at-a-keys-home); `None` stands for a missing key,
    /// so that a `new` of `None` deletes: `compare_and_set(lock, Some(mine), None)` opens a lock that is still one's own.
    /// Returns whether it was as expected. As with any `SET`, a former expiry ends with the former value.
    ///
    /// # Errors
    /// As [`getset`](Self::getset).
    fn compare_and_set(
        &self,
        key: impl Arg,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// [`compare_and_set`](Self::compare_and_set) with a life of `seconds`: `compare_and_set_ex(lock, Some(mine), mine, 30)` keeps a
    /// lock that is still one's own.
    ///
    /// # Errors
    /// As [`getset`](Self::getset), and [`Error::InvalidExpiry`] unless `seconds` is positive.
    fn compare_and_set_ex(
        &self,
        key: impl Arg,
        expected: Option<&[u8]>,
        new: impl Arg,
        seconds: i64,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// A handle whose `incr`, `incrby`, `decr`, `hincrby` and `hincrbyex` count [at the key's home](Self#commands-at-a-keys-home),
    /// so that no two calls get the same sum, and fail as [`set_nx`](Self::set_nx) does. Counting elsewhere as well spoils
    /// that. A call that the next home carried out for a silent one may count twice, when the silent one had counted it unseen and
    /// is heard again: sums may skip. Other commands are not changed by it.
    #[must_use]
    fn homed(&self) -> Self;

    /// A handle whose writes return only when others have them too, or fail with [`Error::NotConfirmed`] after `timeout`;
    /// the write is kept even then. For one call: `presence.acknowledged(..).set(..)`. A pop that is not confirmed is put back, with
    /// [`Error::TryAgain`]. Blocking pops do not wait for others: where that is needed, `home_requires` is `majority`.
    #[must_use]
    fn acknowledged(&self, ack: Ack, timeout: Duration) -> Self;

    /// A handle whose writes belong to this node: their rows are hidden while it is Down and dropped when it is Gone. Who
    /// overwrites a value takes it over: what was there before does not come back when the new owner leaves, and what
    /// comes after is not the former owner's to take along.
    #[must_use]
    fn owned(&self) -> Self;

    /// A handle whose writes and subscriptions belong to a session: they leave when the last clone of the handle is
    /// dropped, or with this node.
    #[must_use]
    fn session(&self) -> Self;
}
