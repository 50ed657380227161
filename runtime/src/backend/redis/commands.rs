//! The commands, on Redis.
//!
//! Each checks what a node would check, in the same words, then asks Redis. Reads, lists and deadlines are plain commands; what may touch a row with
//! an owner is a script. Two things are refused with an error that names the backend: elements of lists with an owner, which Redis could not
//! tell from others of the same value; and acknowledgements by peers, because there are none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use headcount_cluster::{SystemClock, WallClock, WallMs};
use headcount_presence::api::Result;
use headcount_presence::checks::{expiry, life};
use headcount_presence::pubsub::Kind;
use headcount_presence::{Ack, Arg, Args, Error, Presence, Subscription, Ttl, Type, Values};
use redis::{Cmd, Value};

use super::backend::{Backend, Belongs};
use super::fault::{self, Fault};
use super::ledger::{Deadline, Share, Slot, Target};
use super::pops::{self, Side};
use super::presence::RedisPresence;
use super::removal::Removal;
use super::reply;
use super::scripts::Call;
use super::topics::{escape_glob, is_beyond};

/// What a script that writes rows answers: what it returns, when that was (zero: no row has an owner), when the key expires; and when it was for an
/// owner, whether the key was made anew, and what the owner has of a counter.
struct Written<'a> {
    value: Value,
    moment: i64,
    deadline: Option<Deadline>,
    is_new: bool,
    share: Option<Bytes>,
    /// Under which origin of this node.
    origin: String,
    removal: Option<Removal<'a>>,
}

impl Written<'_> {
    /// Ends a removal that was carried out.
    fn removed(self) -> Value {
        if let Some(removal) = self.removal {
            removal.done(self.moment);
        }
        self.value
    }
}

impl RedisPresence {
    /// Begins a command that writes.
    fn begin(&self) -> Result<&Arc<Backend>> {
        let backend = self.backend();
        backend.check_open()?;
        match self.ack {
            Ack::Local => Ok(backend),
            ack @ (Ack::Peers(_) | Ack::Majority | Ack::All) => Err(fault::backend(format!(
                "nobody but the Redis has what is written there, so Ack::{ack:?} cannot be waited for; use Ack::Local, or a cluster of nodes"
            ))),
        }
    }

    /// Begins a command whose rows cannot have an owner.
    fn begin_unowned(&self) -> Result<&Arc<Backend>> {
        let backend = self.begin()?;
        if self.scope.belongs == Belongs::Everybody { Ok(backend) } else { Err(Error::HomedOwned) }
    }

    /// A plain command on a key.
    fn command(&self, name: &str, key: &[u8]) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(self.backend().key(key));
        command
    }

    async fn read(&self, name: &str, key: &[u8], args: &[&[u8]], needed: Type) -> Result<Value> {
        self.backend().check_open()?;
        let mut command = self.command(name, key);
        command.arg(args);
        self.backend().typed(&command, &[key], needed).await
    }

    fn answer<T>(&self, answer: std::result::Result<T, Fault>) -> Result<T> {
        answer.map_err(|fault| self.backend().error(fault))
    }

    /// Runs a script that writes rows of a key for this handle's owner, and takes others of this process away.
    async fn write(
        &self,
        key: &[u8],
        needed: Type,
        takes: Option<Target>,
        call: impl Fn(&str) -> Call,
    ) -> Result<Written<'_>> {
        let backend = self.backend();
        let removal = takes.map(|target| Removal::begin(backend, target));
        let Belongs::Session(session) = self.scope.belongs else {
            return self.written(backend.write(&call("")).await, removal, key, needed).await;
        };
        match backend.write_owned(session, call).await {
            Ok((origin, outcome)) => Ok(Written { origin, ..self.written(outcome, removal, key, needed).await? }),
            Err(error) => {
                if let Some(removal) = removal {
                    removal.refused();
                }
                Err(error)
            }
        }
    }

    /// Runs a script that only takes away, whoever has it.
    async fn take(&self, target: Target, call: &Call, key: &[u8], needed: Type) -> Result<Written<'_>> {
        let removal = Removal::begin(self.backend(), target);
        self.written(self.backend().write(call).await, Some(removal), key, needed).await
    }

    async fn written<'a>(
        &self,
        outcome: std::result::Result<Value, Fault>,
        removal: Option<Removal<'a>>,
        key: &[u8],
        needed: Type,
    ) -> Result<Written<'a>> {
        match outcome {
            Ok(answer) => Ok(Written { removal, ..self.answer(taken_apart(answer))? }),
            Err(fault) => {
                if let Some(removal) = removal {
                    removal.failed(&fault);
                }
                Err(self.backend().typed_error(fault, &[key], needed).await)
            }
        }
    }

    /// Notes what was written for an owner, and what was taken away. Returns what the script returned.
    fn settle(&self, key: &[u8], written: Written<'_>, rows: impl IntoIterator<Item = (Slot, Share)>) -> Value {
        let key: Bytes = self.backend().key(key).into();
        let mut ledger = self.backend().ledger.lock();
        ledger.hear(written.moment);
        let mut taken = written.moment;
        if let (Belongs::Session(session), 1..) = (self.scope.belongs, written.moment) {
            taken -= 1;
            if written.is_new {
                ledger.begin_key(&key, taken);
            }
            for (slot, share) in rows {
                ledger.note((slot, session), share, written.moment, &written.origin);
            }
        }
        if let Some(deadline) = written.deadline {
            ledger.learn(&key, deadline);
        }
        drop(ledger);
        if let Some(removal) = written.removal {
            removal.done(taken);
        }
        written.value
    }

    fn whole(&self, key: &[u8]) -> Target {
        Target::Keys(vec![self.backend().key(key).into()])
    }

    fn rows(&self, key: &[u8], kind: u8, names: &[&[u8]]) -> Target {
        Target::Rows(names.iter().map(|name| self.slot(key, kind, name)).collect())
    }

    fn slot(&self, key: &[u8], kind: u8, name: &[u8]) -> Slot {
        Slot::new(&self.backend().key(key), kind, name)
    }

    async fn set_to(&self, key: &[u8], value: &[u8], seconds: Option<i64>, nx: bool) -> Result<bool> {
        let backend = self.backend();
        let takes = if nx { None } else { Some(self.whole(key)) };
        let call = |owner: &str| {
            let seconds = seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
            backend.call(&backend.scripts.set, owner, key).arg(value).arg(seconds).arg(if nx { "1" } else { "0" })
        };
        let written = self.write(key, Type::String, takes, call).await?;
        let row = (self.slot(key, b'v', b""), Share::Value(Bytes::copy_from_slice(value)));
        self.answer(reply::flag(self.settle(key, written, [row])))
    }

    async fn count(&self, key: &[u8], field: Option<&[u8]>, by: i64, seconds: Option<i64>) -> Result<i64> {
        let backend = self.begin()?;
        seconds.map_or(Ok(None), |seconds| expiry("hincrbyex", seconds, now()))?;
        backend.limits.check_key(key)?;
        field.map_or(Ok(()), |field| backend.limits.check_counted_field(field))?;
        let (kind, name, needed) = field.map_or((b'v', &b""[..], Type::String), |field| (b'h', field, Type::Hash));
        // An expiry that is over takes the key away.
        let takes = seconds.filter(|seconds| *seconds <= 0).map(|_| self.whole(key));
        let is_taken = takes.is_some();
        let call = |owner: &str| {
            let call = backend.call(&backend.scripts.count, owner, key).arg([&[kind], name].concat());
            call.arg(by.to_string()).arg(seconds.map(|seconds| seconds.to_string()).unwrap_or_default())
        };
        let written = self.write(key, needed, takes, call).await?;
        let total = written.share.as_ref().and_then(|share| std::str::from_utf8(share).ok()?.parse().ok());
        let row = total.filter(|_| !is_taken).map(|total| (self.slot(key, kind, name), Share::Count(total)));
        self.answer(reply::integer(self.settle(key, written, row)))
    }

    async fn remove(&self, command: &str, kind: u8, key: &[u8], names: &[&[u8]], needed: Type) -> Result<usize> {
        let backend = self.backend();
        let call = backend.call(&backend.scripts.remove, "", key).arg(command).arg([kind]).args(names.iter().copied());
        let written = self.take(self.rows(key, kind, names), &call, key, needed).await?;
        self.answer(reply::count(written.removed()))
    }

    async fn exchange(
        &self,
        key: &[u8],
        mode: &str,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
        seconds: Option<i64>,
    ) -> Result<(bool, Option<Bytes>)> {
        let backend = self.backend();
        let life = seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
        let tagged = |value: Option<&[u8]>| value.map(|value| [b"=", value].concat()).unwrap_or_default();
        let call = backend.call(&backend.scripts.exchange, "", key).arg(mode);
        let call = call.arg(tagged(expected)).arg(tagged(new)).arg(life.as_str());
        let mut written = self.take(self.whole(key), &call, key, Type::String).await?;
        let old = written.share.take();
        let is_done = written.value == Value::Int(1);
        if is_done {
            written.removed();
        } else if let Some(removal) = written.removal {
            removal.refused();
        }
        Ok((is_done, old))
    }

    async fn change_deadline(&self, key: &[u8], call: &Call) -> Result<bool> {
        let outcome = self.backend().write(call).await.and_then(taken_apart);
        self.answer(reply::flag(self.settle(key, self.answer(outcome)?, [])))
    }

    async fn push(&self, command: &'static str, key: &[u8], values: &[&[u8]]) -> Result<usize> {
        let backend = self.begin()?;
        backend.limits.check_key(key)?;
        backend.limits.check_values(command, values)?;
        if self.scope.belongs != Belongs::Everybody {
            return Err(fault::backend(
                "an element of a list cannot belong to a node or a session there, because it could not be told from others of the same \
                 value; use a handle of shared rows, or a set or a hash",
            ));
        }
        let mut push = self.command(command, key);
        push.arg(values);
        self.answer(reply::count(backend.typed(&push, &[key], Type::List).await?))
    }

    async fn pop(&self, command: &str, key: &[u8]) -> Result<Option<Bytes>> {
        let backend = self.begin()?;
        backend.limits.check_key(key)?;
        self.answer(reply::text(backend.typed(&self.command(command, key), &[key], Type::List).await?))
    }

    async fn blocking_pop(
        &self,
        command: &'static str,
        side: Side,
        keys: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<Option<(Bytes, Bytes)>> {
        let backend = self.begin()?;
        let slices: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        backend.limits.check_values(command, &slices)?;
        slices.iter().try_for_each(|key| backend.limits.check_key(key))?;
        pops::pop(backend, side, keys, timeout).await
    }

    async fn subscribe_to(&self, kind: Kind, name: &[u8]) -> Result<Subscription> {
        let backend = self.backend();
        backend.check_open()?;
        let session = if let Belongs::Session(session) = self.scope.belongs { session } else { 0 };
        let topics = &backend.topics;
        let (subscription, confirmed) =
            topics.subscribers.subscribe(kind, name, self.scope.family, session, |_| topics.ask(kind, name))?;
        match tokio::time::timeout(backend.timeouts.command, confirmed).await {
            Ok(Ok(Ok(()))) => Ok(subscription),
            Ok(Ok(Err(fault))) => Err(backend.error(fault)),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => {
                let why = "the connection for messages is lost or does not answer".into();
                Err(backend.error(Fault::Unreachable { why, waited: backend.timeouts.command }))
            }
        }
    }
}

/// What a script that writes answers.
fn taken_apart(answer: Value) -> std::result::Result<Written<'static>, Fault> {
    let mut answer = reply::array(answer)?.into_iter();
    let value = answer.next().unwrap_or(Value::Nil);
    let moment = answer.next().map_or(Ok(0), reply::integer)?;
    let deadline = answer.next().map(|at| reply::deadline(at, moment)).transpose()?;
    let is_new = answer.next().map_or(Ok(false), reply::flag)?;
    let share = answer.next().map_or(Ok(None), reply::text)?;
    Ok(Written { value, moment, deadline, is_new, share, origin: String::new(), removal: None })
}

fn now() -> WallMs {
    SystemClock.now()
}

fn owned(values: &[&[u8]]) -> Vec<Bytes> {
    values.iter().map(|value| Bytes::copy_from_slice(value)).collect()
}

fn slices(values: &[Bytes]) -> Vec<&[u8]> {
    values.iter().map(AsRef::as_ref).collect()
}

impl Presence for RedisPresence {
    async fn subscribe(&self, topic: impl Arg) -> Result<Subscription> {
        let topic = Bytes::copy_from_slice(topic.bytes());
        self.subscribe_to(Kind::Topic, &topic).await
    }

    async fn psubscribe(&self, pattern: impl Arg) -> Result<Subscription> {
        let pattern = Bytes::copy_from_slice(pattern.bytes());
        self.subscribe_to(Kind::Pattern, &pattern).await
    }

    async fn unsubscribe(&self, topic: impl Arg) -> Result<usize> {
        self.backend().check_open()?;
        Ok(self.backend().topics.subscribers.unsubscribe(topic.bytes(), self.scope.family))
    }

    async fn publish(&self, topic: impl Arg, message: impl Arg) -> Result<usize> {
        let backend = self.backend();
        backend.check_open()?;
        backend.limits.check_topic(topic.bytes())?;
        backend.limits.check_message(message.bytes())?;
        let mut publish = self.command("PUBLISH", topic.bytes());
        publish.arg(message.bytes());
        self.answer(backend.publishing.as_ref().unwrap_or(&backend.link).ask(&publish).await.and_then(reply::count))
    }

    async fn channels(&self, pattern: Option<&str>) -> Result<Vec<Bytes>> {
        let backend = self.backend();
        backend.check_open()?;
        backend.limits.check_topic(pattern.unwrap_or_default().as_bytes())?;
        let mut command = redis::cmd("PUBSUB");
        command.arg("CHANNELS");
        // In Redis `*` does not match the empty topic.
        if pattern.is_some() || !backend.prefix.is_empty() {
            command.arg([&escape_glob(&backend.prefix)[..], pattern.unwrap_or("*").as_bytes()].concat());
        }
        let found = backend.link.ask(&command).await;
        let mut topics = self.answer(found.and_then(reply::texts))?;
        for topic in &mut topics {
            *topic = topic.slice(backend.prefix.len().min(topic.len())..);
        }
        topics.retain(|topic| !is_beyond(pattern.unwrap_or_default().as_bytes(), topic));
        topics.sort();
        Ok(topics)
    }

    async fn exists(&self, keys: impl Args) -> Result<usize> {
        let keys = keys.with(owned);
        let backend = self.backend();
        backend.check_open()?;
        backend.limits.check_values("exists", &slices(&keys))?;
        let mut exists = redis::cmd("EXISTS");
        exists.arg(keys.iter().map(|key| backend.key(key)).collect::<Vec<_>>());
        self.answer(backend.link.ask(&exists).await.and_then(reply::count))
    }

    async fn set(&self, key: impl Arg, value: impl Arg) -> Result<()> {
        let backend = self.begin()?;
        backend.limits.check_key(key.bytes())?;
        backend.limits.check_value(value.bytes())?;
        let (key, value) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(value.bytes()));
        self.set_to(&key, &value, None, false).await.map(drop)
    }

    async fn setex(&self, key: impl Arg, value: impl Arg, seconds: i64) -> Result<()> {
        let backend = self.begin()?;
        backend.limits.check_key(key.bytes())?;
        backend.limits.check_value(value.bytes())?;
        life("setex", seconds, now())?;
        let (key, value) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(value.bytes()));
        self.set_to(&key, &value, Some(seconds), false).await.map(drop)
    }

    async fn expire(&self, key: impl Arg, seconds: i64) -> Result<bool> {
        let key = Bytes::copy_from_slice(key.bytes());
        let backend = self.begin()?;
        if expiry("expire", seconds, now())?.is_none() {
            return Ok(self.del(key).await? > 0);
        }
        let call = backend.call(&backend.scripts.expire, "", &key).arg("EXPIRE").arg(seconds.to_string());
        self.change_deadline(&key, &call).await
    }

    async fn persist(&self, key: impl Arg) -> Result<bool> {
        let key = Bytes::copy_from_slice(key.bytes());
        let backend = self.begin()?;
        self.change_deadline(&key, &backend.call(&backend.scripts.expire, "", &key).arg("PERSIST")).await
    }

    async fn ttl(&self, key: impl Arg) -> Result<Ttl> {
        let backend = self.backend();
        backend.check_open()?;
        let command = self.command("PTTL", key.bytes());
        Ok(match self.answer(backend.link.ask(&command).await.and_then(reply::integer))? {
            -2 => Ttl::Missing,
            -1 => Ttl::Never,
            ms => Ttl::Remaining(Duration::from_millis(ms.unsigned_abs())),
        })
    }

    async fn get(&self, key: impl Arg) -> Result<Option<Bytes>> {
        let key = Bytes::copy_from_slice(key.bytes());
        self.answer(reply::text(self.read("GET", &key, &[], Type::String).await?))
    }

    async fn del(&self, keys: impl Args) -> Result<usize> {
        let keys = keys.with(owned);
        let backend = self.begin()?;
        backend.limits.check_values("del", &slices(&keys))?;
        let physical: Vec<Bytes> = keys.iter().map(|key| backend.key(key).into()).collect();
        let all = std::iter::once(&backend.meta[..]).chain(physical.iter().map(AsRef::as_ref));
        let call = backend.scripts.del.call(all).arg("");
        let removal = Removal::begin(backend, Target::Keys(physical));
        let outcome = backend.write(&call).await;
        let written = self.written(outcome, Some(removal), &[], Type::String).await?;
        self.answer(reply::count(written.removed()))
    }

    async fn sadd(&self, key: impl Arg, members: impl Args) -> Result<usize> {
        let (key, members) = (Bytes::copy_from_slice(key.bytes()), members.with(owned));
        let (key, members) = (&key[..], slices(&members));
        let backend = self.begin()?;
        backend.limits.check_key(key)?;
        backend.limits.check_values("sadd", &members)?;
        let call = |owner: &str| backend.call(&backend.scripts.sadd, owner, key).args(members.iter().copied());
        let written = self.write(key, Type::Set, None, call).await?;
        let rows = members.iter().map(|member| (self.slot(key, b's', member), Share::Member));
        self.answer(reply::count(self.settle(key, written, rows)))
    }

    async fn smembers(&self, key: impl Arg) -> Result<Values> {
        let key = Bytes::copy_from_slice(key.bytes());
        let members = reply::texts(self.read("SMEMBERS", &key, &[], Type::Set).await?);
        self.answer(members).map(Values::from)
    }

    async fn sismember(&self, key: impl Arg, member: impl Arg) -> Result<bool> {
        let (key, member) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(member.bytes()));
        self.answer(reply::flag(self.read("SISMEMBER", &key, &[&member], Type::Set).await?))
    }

    async fn srem(&self, key: impl Arg, members: impl Args) -> Result<usize> {
        let (key, members) = (Bytes::copy_from_slice(key.bytes()), members.with(owned));
        self.begin()?.limits.check_values("srem", &slices(&members))?;
        self.remove("SREM", b's', &key, &slices(&members), Type::Set).await
    }

    async fn scard(&self, key: impl Arg) -> Result<usize> {
        let key = Bytes::copy_from_slice(key.bytes());
        self.answer(reply::count(self.read("SCARD", &key, &[], Type::Set).await?))
    }

    async fn sinter(&self, keys: impl Args) -> Result<Vec<Bytes>> {
        let keys = keys.with(owned);
        let backend = self.backend();
        backend.check_open()?;
        backend.limits.check_values("sinter", &slices(&keys))?;
        let mut command = redis::cmd("SINTER");
        command.arg(keys.iter().map(|key| backend.key(key)).collect::<Vec<_>>());
        self.answer(reply::texts(backend.typed(&command, &slices(&keys), Type::Set).await?))
    }

    async fn hset(&self, key: impl Arg, field: impl Arg, value: impl Arg) -> Result<bool> {
        let pairs = [(Bytes::copy_from_slice(field.bytes()), Bytes::copy_from_slice(value.bytes()))];
        Ok(self.hset_multiple(key, &pairs).await? > 0)
    }

    async fn hset_multiple(&self, key: impl Arg, pairs: &[(impl Arg + Sync, impl Arg + Sync)]) -> Result<usize> {
        let key = Bytes::copy_from_slice(key.bytes());
        let words: Vec<&[u8]> = pairs.iter().flat_map(|(field, value)| [field.bytes(), value.bytes()]).collect();
        let backend = self.begin()?;
        backend.limits.check_key(&key)?;
        backend.limits.check_values("hset", &words)?;
        let fields: Vec<&[u8]> = words.chunks_exact(2).map(|pair| pair[0]).collect();
        let call = |owner: &str| backend.call(&backend.scripts.hset, owner, &key).args(words.iter().copied());
        let written = self.write(&key, Type::Hash, Some(self.rows(&key, b'h', &fields)), call).await?;
        // Of a field that is given twice the last value stays.
        let values: BTreeMap<&[u8], &[u8]> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let share = |value: &[u8]| Share::Value(Bytes::copy_from_slice(value));
        let rows = values.iter().map(|(field, value)| (self.slot(&key, b'h', field), share(value)));
        self.answer(reply::count(self.settle(&key, written, rows)))
    }

    async fn hincrby(&self, key: impl Arg, field: impl Arg, by: i64) -> Result<i64> {
        let (key, field) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(field.bytes()));
        self.count(&key, Some(&field), by, None).await
    }

    async fn hincrbyex(&self, key: impl Arg, field: impl Arg, by: i64, seconds: i64) -> Result<i64> {
        let (key, field) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(field.bytes()));
        self.count(&key, Some(&field), by, Some(seconds)).await
    }

    async fn hget(&self, key: impl Arg, field: impl Arg) -> Result<Option<Bytes>> {
        let (key, field) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(field.bytes()));
        self.answer(reply::text(self.read("HGET", &key, &[&field], Type::Hash).await?))
    }

    async fn hgetall(&self, key: impl Arg) -> Result<Vec<(Bytes, Bytes)>> {
        let key = Bytes::copy_from_slice(key.bytes());
        self.answer(reply::pairs(self.read("HGETALL", &key, &[], Type::Hash).await?))
    }

    async fn hexists(&self, key: impl Arg, field: impl Arg) -> Result<bool> {
        let (key, field) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(field.bytes()));
        self.answer(reply::flag(self.read("HEXISTS", &key, &[&field], Type::Hash).await?))
    }

    async fn hdel(&self, key: impl Arg, fields: impl Args) -> Result<usize> {
        let (key, fields) = (Bytes::copy_from_slice(key.bytes()), fields.with(owned));
        self.begin()?.limits.check_values("hdel", &slices(&fields))?;
        self.remove("HDEL", b'h', &key, &slices(&fields), Type::Hash).await
    }

    async fn hlen(&self, key: impl Arg) -> Result<usize> {
        let key = Bytes::copy_from_slice(key.bytes());
        self.answer(reply::count(self.read("HLEN", &key, &[], Type::Hash).await?))
    }

    async fn incrby(&self, key: impl Arg, by: i64) -> Result<i64> {
        let key = Bytes::copy_from_slice(key.bytes());
        self.count(&key, None, by, None).await
    }

    async fn rpush(&self, key: impl Arg, values: impl Args) -> Result<usize> {
        let (key, values) = (Bytes::copy_from_slice(key.bytes()), values.with(owned));
        self.push("rpush", &key, &slices(&values)).await
    }

    async fn lpush(&self, key: impl Arg, values: impl Args) -> Result<usize> {
        let (key, values) = (Bytes::copy_from_slice(key.bytes()), values.with(owned));
        self.push("lpush", &key, &slices(&values)).await
    }

    async fn rpop(&self, key: impl Arg) -> Result<Option<Bytes>> {
        let key = Bytes::copy_from_slice(key.bytes());
        self.pop("RPOP", &key).await
    }

    async fn lpop(&self, key: impl Arg) -> Result<Option<Bytes>> {
        let key = Bytes::copy_from_slice(key.bytes());
        self.pop("LPOP", &key).await
    }

    async fn brpop(&self, keys: impl Args, timeout: Duration) -> Result<Option<(Bytes, Bytes)>> {
        let keys = keys.with(owned);
        self.blocking_pop("brpop", Side::Right, keys, timeout).await
    }

    async fn blpop(&self, keys: impl Args, timeout: Duration) -> Result<Option<(Bytes, Bytes)>> {
        let keys = keys.with(owned);
        self.blocking_pop("blpop", Side::Left, keys, timeout).await
    }

    async fn llen(&self, key: impl Arg) -> Result<usize> {
        let key = Bytes::copy_from_slice(key.bytes());
        self.answer(reply::count(self.read("LLEN", &key, &[], Type::List).await?))
    }

    async fn lrange(&self, key: impl Arg, start: i64, stop: i64) -> Result<Vec<Bytes>> {
        let key = Bytes::copy_from_slice(key.bytes());
        let (start, stop) = (start.to_string(), stop.to_string());
        let range = self.read("LRANGE", &key, &[start.as_bytes(), stop.as_bytes()], Type::List).await?;
        self.answer(reply::texts(range))
    }

    async fn set_nx(&self, key: impl Arg, value: impl Arg) -> Result<bool> {
        let (key, value) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(value.bytes()));
        let limits = &self.begin_unowned()?.limits;
        limits.check_key(&key)?;
        limits.check_value(&value)?;
        self.set_to(&key, &value, None, true).await
    }

    async fn set_nx_ex(&self, key: impl Arg, value: impl Arg, seconds: i64) -> Result<bool> {
        let (key, value) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(value.bytes()));
        let limits = &self.begin_unowned()?.limits;
        limits.check_key(&key)?;
        limits.check_value(&value)?;
        life("set", seconds, now())?;
        self.set_to(&key, &value, Some(seconds), true).await
    }

    async fn getset(&self, key: impl Arg, value: impl Arg) -> Result<Option<Bytes>> {
        let (key, value) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(value.bytes()));
        let limits = &self.begin_unowned()?.limits;
        limits.check_key(&key)?;
        limits.check_value(&value)?;
        Ok(self.exchange(&key, "get", None, Some(&value), None).await?.1)
    }

    async fn compare_and_set(&self, key: impl Arg, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<bool> {
        let key = Bytes::copy_from_slice(key.bytes());
        let limits = &self.begin_unowned()?.limits;
        limits.check_key(&key)?;
        new.map_or(Ok(()), |new| limits.check_value(new))?;
        Ok(self.exchange(&key, "cas", expected, new, None).await?.0)
    }

    async fn compare_and_set_ex(
        &self,
        key: impl Arg,
        expected: Option<&[u8]>,
        new: impl Arg,
        seconds: i64,
    ) -> Result<bool> {
        let (key, new) = (Bytes::copy_from_slice(key.bytes()), Bytes::copy_from_slice(new.bytes()));
        let limits = &self.begin_unowned()?.limits;
        limits.check_key(&key)?;
        limits.check_value(&new)?;
        life("set", seconds, now())?;
        Ok(self.exchange(&key, "cas", expected, Some(&new), Some(seconds)).await?.0)
    }

    fn acknowledged(&self, ack: Ack, _timeout: Duration) -> Self {
        Self { ack, ..self.clone() }
    }

    fn homed(&self) -> Self {
        self.clone()
    }

    fn owned(&self) -> Self {
        self.with_scope(Belongs::NODE)
    }

    fn session(&self) -> Self {
        let session = self.backend().sessions.fetch_add(1, Ordering::Relaxed) + 1;
        self.with_scope(Belongs::Session(session))
    }
}
