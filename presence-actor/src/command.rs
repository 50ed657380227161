//! Commands as words: what a console line or a protocol request means, and its execution on any backend.
//!
//! Parsing knows Redis's names, arities and integer formats; execution only calls [`Presence`], so that every
//! door and every backend gives the same replies. Subscriptions are not here: they are a door's own business,
//! because each delivers messages in its own way.

use std::time::Duration;

use bytes::Bytes;

use crate::api::{Presence, Result};
use crate::error::Error;
use crate::reply::Reply;

/// A parsed command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)] // Each is the Redis command of its name; `Presence` documents them.
pub enum Command {
    Publish { topic: Bytes, message: Bytes },
    Channels { pattern: Option<String> },
    Exists { keys: Vec<Bytes> },
    Set { key: Bytes, value: Bytes, seconds: Option<i64>, nx: bool },
    Expire { key: Bytes, seconds: i64 },
    Persist { key: Bytes },
    Ttl { key: Bytes },
    Get { key: Bytes },
    Del { keys: Vec<Bytes> },
    Sadd { key: Bytes, members: Vec<Bytes> },
    Smembers { key: Bytes },
    Sismember { key: Bytes, member: Bytes },
    Srem { key: Bytes, members: Vec<Bytes> },
    Scard { key: Bytes },
    Sinter { keys: Vec<Bytes> },
    Hset { key: Bytes, pairs: Vec<(Bytes, Bytes)> },
    Hincrby { key: Bytes, field: Bytes, by: i64 },
    Hincrbyex { key: Bytes, field: Bytes, by: i64, seconds: i64 },
    Hget { key: Bytes, field: Bytes },
    Hgetall { key: Bytes },
    Hexists { key: Bytes, field: Bytes },
    Hdel { key: Bytes, fields: Vec<Bytes> },
    Hlen { key: Bytes },
    Incrby { key: Bytes, by: i64 },
    Rpush { key: Bytes, values: Vec<Bytes> },
    Lpush { key: Bytes, values: Vec<Bytes> },
    Rpop { key: Bytes },
    Lpop { key: Bytes },
    Brpop { keys: Vec<Bytes>, timeout: Duration },
    Blpop { keys: Vec<Bytes>, timeout: Duration },
    Llen { key: Bytes },
    Lrange { key: Bytes, start: i64, stop: i64 },
    Setnx { key: Bytes, value: Bytes },
    Getset { key: Bytes, value: Bytes },
}

impl Command {
    /// Makes a command of its words, the name first, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownCommand`], [`Error::WrongArity`], [`Error::NotAnInteger`], [`Error::Syntax`].
    pub fn parse(words: &[Bytes]) -> Result<Self> {
        let Some((name, args)) = words.split_first() else {
            return Err(Error::Syntax);
        };
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let one = |i: usize| args[i].clone();
        let rest = |from: usize| args[from..].to_vec();
        let number = |i: usize| integer(&args[i]);
        let command = match (name.as_str(), args.len()) {
            ("publish", 2) => Self::Publish { topic: one(0), message: one(1) },
            ("channels", 0) => Self::Channels { pattern: None },
            ("channels", 1) => Self::Channels { pattern: Some(text(&args[0])?) },
            ("pubsub", 1 | 2) if is(&args[0], "channels") => {
                Self::Channels { pattern: args.get(1).map(text).transpose()? }
            }
            ("exists", 1..) => Self::Exists { keys: rest(0) },
            ("set", 2) => Self::Set { key: one(0), value: one(1), seconds: None, nx: false },
            ("set", 4) if is(&args[2], "ex") => {
                Self::Set { key: one(0), value: one(1), seconds: Some(number(3)?), nx: false }
            }
            ("set", 3) if is(&args[2], "nx") => Self::Set { key: one(0), value: one(1), seconds: None, nx: true },
            ("set", 5) if is(&args[2], "nx") && is(&args[3], "ex") => {
                Self::Set { key: one(0), value: one(1), seconds: Some(number(4)?), nx: true }
            }
            ("set", 5) if is(&args[2], "ex") && is(&args[4], "nx") => {
                Self::Set { key: one(0), value: one(1), seconds: Some(number(3)?), nx: true }
            }
            ("set", 3..) => return Err(Error::Syntax),
            ("setnx", 2) => Self::Setnx { key: one(0), value: one(1) },
            ("getset", 2) => Self::Getset { key: one(0), value: one(1) },
            ("rpush", 2..) => Self::Rpush { key: one(0), values: rest(1) },
            ("lpush", 2..) => Self::Lpush { key: one(0), values: rest(1) },
            ("rpop", 1) => Self::Rpop { key: one(0) },
            ("lpop", 1) => Self::Lpop { key: one(0) },
            ("brpop", 2..) => Self::Brpop { keys: all_but_last(args), timeout: timeout(args)? },
            ("blpop", 2..) => Self::Blpop { keys: all_but_last(args), timeout: timeout(args)? },
            ("llen", 1) => Self::Llen { key: one(0) },
            ("lrange", 3) => Self::Lrange { key: one(0), start: number(1)?, stop: number(2)? },
            // Redis's order on the wire; only the Rust method follows Colyseus.
            ("setex", 3) => Self::Set { key: one(0), value: one(2), seconds: Some(number(1)?), nx: false },
            ("expire", 2) => Self::Expire { key: one(0), seconds: number(1)? },
            ("persist", 1) => Self::Persist { key: one(0) },
            ("ttl", 1) => Self::Ttl { key: one(0) },
            ("get", 1) => Self::Get { key: one(0) },
            ("del", 1..) => Self::Del { keys: rest(0) },
            ("sadd", 2..) => Self::Sadd { key: one(0), members: rest(1) },
            ("smembers", 1) => Self::Smembers { key: one(0) },
            ("sismember", 2) => Self::Sismember { key: one(0), member: one(1) },
            ("srem", 2..) => Self::Srem { key: one(0), members: rest(1) },
            ("scard", 1) => Self::Scard { key: one(0) },
            ("sinter", 1..) => Self::Sinter { keys: rest(0) },
            ("hset", 3..) if args.len() % 2 == 1 => Self::Hset {
                key: one(0),
                pairs: args[1..].chunks_exact(2).map(|p| (p[0].clone(), p[1].clone())).collect(),
            },
            ("hincrby", 3) => Self::Hincrby { key: one(0), field: one(1), by: number(2)? },
            ("hincrbyex", 4) => Self::Hincrbyex { key: one(0), field: one(1), by: number(2)?, seconds: number(3)? },
            ("hget", 2) => Self::Hget { key: one(0), field: one(1) },
            ("hgetall", 1) => Self::Hgetall { key: one(0) },
            ("hexists", 2) => Self::Hexists { key: one(0), field: one(1) },
            ("hdel", 2..) => Self::Hdel { key: one(0), fields: rest(1) },
            ("hlen", 1) => Self::Hlen { key: one(0) },
            ("incr", 1) => Self::Incrby { key: one(0), by: 1 },
            ("decr", 1) => Self::Incrby { key: one(0), by: -1 },
            ("incrby", 2) => Self::Incrby { key: one(0), by: number(1)? },
            ("decrby", 2) => Self::Incrby { key: one(0), by: number(1)?.checked_neg().ok_or(Error::Overflow)? },
            (name, _) if NAMES.contains(&name) => return Err(Error::WrongArity { command: name.to_owned() }),
            (name, _) => return Err(Error::UnknownCommand { command: name.chars().take(64).collect() }),
        };
        Ok(command)
    }

    /// Runs the command on a backend.
    ///
    /// # Errors
    /// Those of the [`Presence`] method.
    pub async fn execute(self, presence: &impl Presence) -> Result<Reply> {
        Ok(match self {
            Self::Publish { topic, message } => count(presence.publish(topic, message).await?),
            Self::Channels { pattern } => Reply::Array(presence.channels(pattern.as_deref()).await?.into()),
            Self::Exists { keys } => count(presence.exists(keys).await?),
            Self::Set { key, value, seconds: None, nx: false } => done(presence.set(key, value).await?),
            Self::Set { key, value, seconds: Some(seconds), nx: false } => {
                done(presence.setex(key, value, seconds).await?)
            }
            Self::Set { key, value, seconds: None, nx: true } => ok_or_nil(presence.set_nx(key, value).await?),
            Self::Set { key, value, seconds: Some(seconds), nx: true } => {
                ok_or_nil(presence.set_nx_ex(key, value, seconds).await?)
            }
            Self::Expire { key, seconds } => yes_no(presence.expire(key, seconds).await?),
            Self::Persist { key } => yes_no(presence.persist(key).await?),
            Self::Ttl { key } => Reply::Integer(presence.ttl(key).await?.as_seconds()),
            Self::Get { key } => maybe(presence.get(key).await?),
            Self::Del { keys } => count(presence.del(keys).await?),
            Self::Sadd { key, members } => count(presence.sadd(key, members).await?),
            Self::Smembers { key } => Reply::Array(presence.smembers(key).await?),
            Self::Sismember { key, member } => yes_no(presence.sismember(key, member).await?),
            Self::Srem { key, members } => count(presence.srem(key, members).await?),
            Self::Scard { key } => count(presence.scard(key).await?),
            Self::Sinter { keys } => Reply::Array(presence.sinter(keys).await?.into()),
            Self::Hset { key, pairs } => count(presence.hset_multiple(key, &pairs).await?),
            Self::Hincrby { key, field, by } => Reply::Integer(presence.hincrby(key, field, by).await?),
            Self::Hincrbyex { key, field, by, seconds } => {
                Reply::Integer(presence.hincrbyex(key, field, by, seconds).await?)
            }
            Self::Hget { key, field } => maybe(presence.hget(key, field).await?),
            Self::Hgetall { key } => Reply::Map(presence.hgetall(key).await?),
            Self::Hexists { key, field } => yes_no(presence.hexists(key, field).await?),
            Self::Hdel { key, fields } => count(presence.hdel(key, fields).await?),
            Self::Hlen { key } => count(presence.hlen(key).await?),
            Self::Incrby { key, by } => Reply::Integer(presence.incrby(key, by).await?),
            Self::Rpush { key, values } => count(presence.rpush(key, values).await?),
            Self::Lpush { key, values } => count(presence.lpush(key, values).await?),
            Self::Rpop { key } => maybe(presence.rpop(key).await?),
            Self::Lpop { key } => maybe(presence.lpop(key).await?),
            Self::Brpop { keys, timeout } => popped(presence.brpop(keys, timeout).await?),
            Self::Blpop { keys, timeout } => popped(presence.blpop(keys, timeout).await?),
            Self::Llen { key } => count(presence.llen(key).await?),
            Self::Lrange { key, start, stop } => Reply::Array(presence.lrange(key, start, stop).await?.into()),
            Self::Setnx { key, value } => yes_no(presence.set_nx(key, value).await?),
            Self::Getset { key, value } => maybe(presence.getset(key, value).await?),
        })
    }
}

/// Every name that [`Command::parse`] knows, for telling a wrong arity from an unknown name.
const NAMES: &[&str] = &[
    "publish",
    "channels",
    "pubsub",
    "exists",
    "set",
    "setex",
    "expire",
    "persist",
    "ttl",
    "get",
    "del",
    "sadd",
    "smembers",
    "sismember",
    "srem",
    "scard",
    "sinter",
    "hset",
    "hincrby",
    "hincrbyex",
    "hget",
    "hgetall",
    "hexists",
    "hdel",
    "hlen",
    "incr",
    "decr",
    "incrby",
    "decrby",
    "rpush",
    "lpush",
    "rpop",
    "lpop",
    "brpop",
    "blpop",
    "llen",
    "lrange",
    "setnx",
    "getset",
];

/// A 64-bit integer in the one format that Redis takes: no sign `+`, no leading zeros, no blanks.
pub fn integer(bytes: &[u8]) -> Result<i64> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::NotAnInteger)?;
    let number: i64 = text.parse().map_err(|_| Error::NotAnInteger)?;
    if text.starts_with('+') || number.to_string() != text {
        return Err(Error::NotAnInteger);
    }
    Ok(number)
}

/// A timeout of a blocking command: seconds, of which a fraction may be given; zero is for ever.
fn timeout(args: &[Bytes]) -> Result<Duration> {
    let text = args.last().and_then(|last| std::str::from_utf8(last).ok());
    let seconds: f64 =
        text.and_then(|text| text.parse().ok()).filter(|s: &f64| s.is_finite()).ok_or(Error::BadTimeout)?;
    // A wait of less than the clock can tell is not one for ever.
    let wait = Duration::try_from_secs_f64(seconds).map_err(|_| Error::BadTimeout)?;
    Ok(if seconds > 0.0 { wait.max(Duration::from_millis(1)) } else { wait })
}

fn all_but_last(args: &[Bytes]) -> Vec<Bytes> {
    args.split_last().map(|(_, keys)| keys.to_vec()).unwrap_or_default()
}

fn is(word: &Bytes, name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

fn text(bytes: &Bytes) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::Syntax)
}

fn done((): ()) -> Reply {
    Reply::Ok
}

fn ok_or_nil(done: bool) -> Reply {
    if done { Reply::Ok } else { Reply::Nil }
}

fn count(n: usize) -> Reply {
    Reply::Integer(n as i64)
}

fn yes_no(yes: bool) -> Reply {
    Reply::Integer(i64::from(yes))
}

fn popped(popped: Option<(Bytes, Bytes)>) -> Reply {
    popped.map_or(Reply::Nil, |(key, value)| Reply::Array(vec![key, value].into()))
}

fn maybe(value: Option<Bytes>) -> Reply {
    value.map_or(Reply::Nil, Reply::Bulk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Bytes> {
        line.split(' ').map(|w| Bytes::copy_from_slice(w.as_bytes())).collect()
    }

    #[test]
    fn a_known_name_with_the_wrong_arity_is_told_from_an_unknown_name() {
        assert_eq!(Command::parse(&words("SADD lobby")), Err(Error::WrongArity { command: "sadd".into() }));
        assert_eq!(Command::parse(&words("SADDLE lobby")), Err(Error::UnknownCommand { command: "saddle".into() }));
    }

    #[test]
    fn every_listed_name_parses_with_some_arity_and_refuses_none() {
        for name in NAMES {
            let parsed = Command::parse(&words(name));
            assert!(matches!(parsed, Ok(_) | Err(Error::WrongArity { .. })), "{name}: {parsed:?}");
        }
    }

    #[test]
    fn a_timeout_is_in_seconds_and_may_have_a_fraction() {
        for (text, ms) in [("0", 0), ("1", 1000), ("0.25", 250), ("0.0000001", 1), ("-0", 0)] {
            let parsed = Command::parse(&words(&format!("BRPOP q r {text}")));
            let keys = vec!["q".into(), "r".into()];
            assert_eq!(parsed, Ok(Command::Brpop { keys, timeout: Duration::from_millis(ms) }), "{text}");
        }
        for text in ["-1", "x", "nan", "inf", "1e300", ""] {
            assert_eq!(Command::parse(&words(&format!("BLPOP q {text}"))), Err(Error::BadTimeout), "{text}");
        }
    }

    #[test]
    fn set_takes_redis_s_options_in_either_order() {
        let locked = |seconds| Ok(Command::Set { key: "k".into(), value: "v".into(), seconds, nx: true });
        assert_eq!(Command::parse(&words("SET k v NX")), locked(None));
        assert_eq!(Command::parse(&words("set k v nx ex 5")), locked(Some(5)));
        assert_eq!(Command::parse(&words("SET k v EX 5 NX")), locked(Some(5)));
        assert_eq!(Command::parse(&words("SET k v XX")), Err(Error::Syntax));
    }

    #[test]
    fn integers_have_one_format() {
        assert_eq!(integer(b"-42"), Ok(-42));
        for bad in [&b"+1"[..], b"01", b" 1", b"", b"1.0", b"9223372036854775808", b"\xff"] {
            assert_eq!(integer(bad), Err(Error::NotAnInteger), "{bad:?}");
        }
    }
}
