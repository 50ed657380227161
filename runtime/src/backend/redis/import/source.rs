//! What the keys of a Redis hold.
//!
//! A key is asked for its type, then for its deadline and content together. Its size is asked for before, so that what could not be
//! taken anyway is not read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use headcount_presence::{Error, Limits, Type};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};
use tokio::time::timeout;

use super::super::fault::Fault;
use super::super::options::{RedisBuilder, not_connected};
use super::super::topics::escape_glob;
use super::super::{link, reply};
use super::report::Refusal;

/// Keys that a page is to have, about.
const PAGE_KEYS: &str = "500";

/// What a `RedisPresence` calls its records of owners, behind its prefix and `headcount:`.
const RECORDS: [&str; 7] = ["leases", "names", "nodes", "dead", "deadlines", "run", "seq"];
const RECORDS_OF_EACH: [&str; 4] = ["owners:", "owned:", "rows:", "lost:"];

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    String(Bytes),
    Set(BTreeSet<Bytes>),
    Hash(BTreeMap<Bytes, Bytes>),
    List(Vec<Bytes>),
}

impl Content {
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::String(_) => Type::String,
            Self::Set(_) => Type::Set,
            Self::Hash(_) => Type::Hash,
            Self::List(_) => Type::List,
        }
    }

    /// Whether it is what a key without anything answers.
    fn is_empty(&self) -> bool {
        match self {
            Self::String(_) => false,
            Self::Set(members) => members.is_empty(),
            Self::Hash(fields) => fields.is_empty(),
            Self::List(elements) => elements.is_empty(),
        }
    }

    /// Checks values against their cap.
    fn check(&self, limits: &Limits) -> Result<(), Error> {
        let mut values: Box<dyn Iterator<Item = &Bytes>> = match self {
            Self::String(value) => Box::new(std::iter::once(value)),
            Self::Set(members) => Box::new(members.iter()),
            Self::Hash(fields) => Box::new(fields.iter().flat_map(<[&Bytes; 2]>::from)),
            Self::List(elements) => Box::new(elements.iter()),
        };
        values.try_for_each(|value| limits.check_values("import", &[value]))?;
        match self {
            Self::Hash(fields) => {
                fields.iter().try_for_each(|(field, value)| limits.check_values("import", &[field, value]))
            }
            Self::String(_) | Self::Set(_) | Self::List(_) => Ok(()),
        }
    }
}

/// What a key holds, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) content: Content,
    pub(super) life: Option<Duration>,
}

/// What there is under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Entry(Entry),
    Gone,
    Refused(Refusal),
}

/// A Redis that is read.
#[derive(Debug)]
pub(super) struct Source<'a> {
    connection: MultiplexedConnection,
    /// How errors call it.
    address: String,
    command_timeout: Duration,
    prefix: &'a [u8],
    /// As Redis is asked for it; nothing is all keys.
    pattern: Option<Vec<u8>>,
    limits: &'a Limits,
}

impl<'a> Source<'a> {
    pub(super) async fn connect(
        options: &'a RedisBuilder,
        pattern: Option<&[u8]>,
        limits: &'a Limits,
    ) -> Result<Self, Error> {
        let client = options.clients_or_own()?.data;
        let address = format!("the Redis at {}", client.get_connection_info().addr());
        let opened = link::first_connection(&client, options.timeouts).await;
        let connection = opened.map_err(|error| not_connected(&address, &error))?;
        let prefix = &options.key_prefix[..];
        let all = if prefix.is_empty() { None } else { Some(&b"*"[..]) };
        let pattern = pattern.or(all).map(|pattern| [&escape_glob(prefix), pattern].concat());
        let command_timeout = options.timeouts.command;
        let source = Self { connection, address, command_timeout, prefix, pattern, limits };
        source.refuse_cluster().await?;
        Ok(source)
    }

    /// A node of a Redis Cluster would tell its share of the keys as if they were all.
    async fn refuse_cluster(&self) -> Result<(), Error> {
        // Who must not ask is not a reason to copy nothing.
        let told = self.ask(redis::cmd("INFO").arg("cluster")).await.and_then(reply::text);
        let is_of_cluster =
            matches!(&told, Ok(Some(told)) if String::from_utf8_lossy(told).contains("cluster_enabled:1"));
        if !is_of_cluster {
            return Ok(());
        }
        let detail = "it has only a share of the keys".into();
        Err(self.error(Fault::Refused { code: "MOVED".into(), detail }))
    }

    /// How many keys there are; unknown of a pattern.
    pub(super) async fn total(&self) -> Result<Option<u64>, Error> {
        if self.pattern.is_some() {
            return Ok(None);
        }
        let count = self.ask(&redis::cmd("DBSIZE")).await.and_then(reply::count);
        Ok(Some(count.map_err(|fault| self.error(fault))? as u64))
    }

    /// Some keys, and the cursor of the next page, which is `0` after the last.
    pub(super) async fn page(&self, cursor: &[u8]) -> Result<(Bytes, Vec<Bytes>), Error> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(PAGE_KEYS);
        if let Some(pattern) = &self.pattern {
            scan.arg("MATCH").arg(pattern);
        }
        let page = self.ask(&scan).await.and_then(reply::array).and_then(|page| match <[Value; 2]>::try_from(page) {
            Ok([cursor, keys]) => Ok((reply::text(cursor)?.unwrap_or_default(), reply::texts(keys)?)),
            Err(_) => Err(Fault::Strange("to SCAN".into())),
        });
        let (cursor, keys) = page.map_err(|fault| self.error(fault))?;
        let logical = |key: Bytes| key.slice(self.prefix.len().min(key.len())..);
        Ok((cursor, keys.into_iter().map(logical).collect()))
    }

    /// What there is under a key; nothing when it is a record that only a `RedisPresence` has a use for.
    pub(super) async fn read(&self, key: &[u8]) -> Result<Option<Found>, Error> {
        if is_record(key) {
            return Ok(None);
        }
        if let Err(error) = self.limits.check_key(key) {
            return refusal(error).map(|refusal| Some(Found::Refused(refusal)));
        }
        loop {
            match self.read_once(key).await {
                Ok(found) => return Ok(Some(found)),
                // It has another type than a moment ago.
                Err(Fault::Refused { code, .. }) if code == "WRONGTYPE" => {}
                Err(fault) => return Err(self.error(fault)),
            }
        }
    }

    async fn read_once(&self, key: &[u8]) -> Result<Found, Fault> {
        let kind = reply::text(self.about("TYPE", key, &[]).await?)?.unwrap_or_default();
        let content = async {
            Ok(match &kind[..] {
                b"string" => {
                    let bytes = reply::count(self.about("STRLEN", key, &[]).await?)?;
                    if bytes > self.limits.max_value_bytes {
                        return Ok(Err(Found::Refused(Refusal::Limit("max_value_bytes"))));
                    }
                    match reply::text(self.about("GET", key, &[]).await?)? {
                        Some(value) => Ok(Content::String(value)),
                        None => Err(Found::Gone),
                    }
                }
                b"set" => {
                    Ok(Content::Set(reply::texts(self.about("SMEMBERS", key, &[]).await?)?.into_iter().collect()))
                }
                b"hash" => {
                    Ok(Content::Hash(reply::pairs(self.about("HGETALL", key, &[]).await?)?.into_iter().collect()))
                }
                b"list" => Ok(Content::List(reply::texts(self.about("LRANGE", key, &["0", "-1"]).await?)?)),
                b"none" => Err(Found::Gone),
                other => Err(Found::Refused(Refusal::ForeignType(String::from_utf8_lossy(other).into_owned()))),
            })
        };
        let (life, content) = tokio::join!(self.about("PTTL", key, &[]), content);
        let content = match content? {
            Ok(content) if content.is_empty() => return Ok(Found::Gone),
            Ok(content) => content,
            Err(found) => return Ok(found),
        };
        let life = match reply::integer(life?)? {
            -1 => None,
            // It has expired since.
            i64::MIN..=0 => return Ok(Found::Gone),
            life_ms => Some(Duration::from_millis(life_ms.unsigned_abs())),
        };
        match content.check(self.limits).map_err(refusal) {
            Ok(()) => Ok(Found::Entry(Entry { content, life })),
            Err(Ok(refusal)) => Ok(Found::Refused(refusal)),
            Err(Err(error)) => Err(Fault::Strange(error.to_string())),
        }
    }

    async fn about(&self, name: &str, key: &[u8], args: &[&str]) -> Result<Value, Fault> {
        let mut command = redis::cmd(name);
        command.arg([self.prefix, key].concat()).arg(args);
        self.ask(&command).await
    }

    async fn ask(&self, command: &Cmd) -> Result<Value, Fault> {
        let mut connection = self.connection.clone();
        match timeout(self.command_timeout, command.query_async(&mut connection)).await {
            Ok(answer) => answer.map_err(|error| Fault::of(&error)),
            Err(_) => Err(Fault::Silent { waited: self.command_timeout }),
        }
    }

    fn error(&self, fault: Fault) -> Error {
        fault.into_error(&self.address)
    }
}

/// What an error says of one key, when it is not about everything.
pub(super) fn refusal(error: Error) -> Result<Refusal, Error> {
    match error {
        Error::TooLarge { name, .. } | Error::TooMany { name, .. } => Ok(Refusal::Limit(name)),
        Error::WrongType { .. } | Error::ForeignType { .. } => Ok(Refusal::Occupied),
        other => Err(other),
    }
}

/// Whether a key is one of those that a `RedisPresence` keeps beside the data.
fn is_record(key: &[u8]) -> bool {
    let Some(record) = key.strip_prefix(b"headcount:") else { return false };
    RECORDS.iter().any(|name| record == name.as_bytes())
        || RECORDS_OF_EACH.iter().any(|name| record.starts_with(name.as_bytes()))
}
