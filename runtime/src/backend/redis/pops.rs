//! Blocking pops: a connection for each, because a Redis that waits for an element on a connection serves nothing else there.
//!
//! Connections are kept for the next pop, some of them. A pop runs in a task of its own: when its caller goes away, the task lets Redis stop
//! waiting, and puts an element back that was taken by then. Only when the connection breaks in the very moment in which
//! Redis hands an element over is that element lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use headcount_presence::{Error, Type};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Client, Value};
use tokio::sync::oneshot;

use super::backend::Backend;
use super::fault::Fault;
use super::{link, options, reply};

/// Connections that are kept while nobody waits.
const IDLE: usize = 16;

/// Which end a pop takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    fn blocking_pop(self) -> &'static str {
        match self {
            Self::Left => "BLPOP",
            Self::Right => "BRPOP",
        }
    }

    fn push(self) -> &'static str {
        match self {
            Self::Left => "LPUSH",
            Self::Right => "RPUSH",
        }
    }
}

type Popped = Option<(Bytes, Bytes)>;

/// A connection for pops, and its number at Redis.
#[derive(Debug)]
struct Door {
    connection: MultiplexedConnection,
    id: i64,
}

/// The connections for blocking pops.
#[derive(Debug)]
pub(super) struct Pops {
    client: Client,
    idle: Mutex<Vec<Door>>,
    pub(super) open: Arc<AtomicUsize>,
}

/// One of the pops that are open.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pops {
    pub(super) fn new(client: Client) -> Self {
        Self { client, idle: Mutex::new(Vec::new()), open: Arc::new(AtomicUsize::new(0)) }
    }
}

/// Pops from the first of these keys that has an element, or waits for one.
pub(super) async fn pop(
    backend: &Arc<Backend>,
    side: Side,
    keys: Vec<Bytes>,
    timeout: Duration,
) -> Result<Popped, Error> {
    let open = &backend.pops.open;
    let counted = Counted(Arc::clone(open));
    let before = open.fetch_add(1, Ordering::AcqRel);
    backend.limits.check_blocked_pops(before)?;
    let idle = backend.pops.idle.lock().pop();
    let door = match idle {
        Some(door) => door,
        None => open_door(backend).await?,
    };
    let (tell, told) = oneshot::channel();
    let physical = keys.iter().map(|key| backend.key(key)).collect();
    let grace = backend.timeouts.command;
    let pop = Pop { backend: Arc::downgrade(backend), door, side, timeout, grace, _counted: counted };
    tokio::spawn(pop.run(physical, tell));
    match told.await {
        Ok(Ok(popped)) => Ok(popped.map(|(key, element)| (key.slice(backend.prefix.len().min(key.len())..), element))),
        Ok(Err(fault)) => {
            let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
            Err(backend.typed_error(fault, &keys, Type::List).await)
        }
        Err(_) => Err(Error::Closed),
    }
}

async fn open_door(backend: &Backend) -> Result<Door, Error> {
    let opened = async {
        let mut connection = link::open(&backend.pops.client, backend.timeouts.connect).await?;
        let id = redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await?;
        Ok(Door { connection, id })
    };
    opened.await.map_err(|error| options::not_connected(&backend.address, &error))
}

/// A pop that runs.
struct Pop {
    backend: Weak<Backend>,
    door: Door,
    side: Side,
    /// How long Redis waits; zero is for ever.
    timeout: Duration,
    /// How long its answer may take beyond that.
    grace: Duration,
    _counted: Counted,
}

impl Pop {
    /// Waits for an element, or for the caller to go away.
    async fn run(self, keys: Vec<Vec<u8>>, mut tell: oneshot::Sender<Result<Popped, Fault>>) {
        let limit = if self.timeout.is_zero() { Duration::MAX } else { self.timeout.saturating_add(self.grace) };
        // Less than Redis can tell is not for ever.
        let seconds = if self.timeout.is_zero() { 0.0 } else { self.timeout.as_secs_f64().max(0.001) };
        let mut command = redis::cmd(self.side.blocking_pop());
        command.arg(&keys).arg(seconds);
        let mut connection = self.door.connection.clone();
        let popping = command.query_async::<Value>(&mut connection);
        tokio::pin!(popping);
        let answered = tokio::select! {
            biased;
            answered = tokio::time::timeout(limit, &mut popping) => answered.ok(),
            () = tell.closed() => None,
        };
        if let Some(answered) = answered {
            let popped = answered.map_err(|error| Fault::of(&error)).and_then(reply::popped);
            let is_whole = !matches!(popped, Err(Fault::Lost(_) | Fault::Strange(_)));
            let untaken = tell.send(popped).err();
            return self.end(untaken.and_then(|popped| popped.ok().flatten()), is_whole).await;
        }
        // Redis is late, or nobody waits any more, who then does not hear this either.
        let _ = tell.send(Err(Fault::Silent { waited: limit }));
        let Some(backend) = self.backend.upgrade() else { return };
        // Whether that works shows in the answer.
        let _ = backend.link.ask(redis::cmd("CLIENT").arg("UNBLOCK").arg(self.door.id)).await;
        let Ok(Ok(answer)) = tokio::time::timeout(self.grace, &mut popping).await else { return };
        self.end(reply::popped(answer).ok().flatten(), true).await;
    }

    /// Puts an element back that nobody took, and keeps the connection when it is good for another pop.
    async fn end(self, untaken: Popped, is_whole: bool) {
        let Some(backend) = self.backend.upgrade() else { return };
        if let Some((key, element)) = untaken {
            put_back(&backend, self.side, &key, &element).await;
        }
        let mut idle = backend.pops.idle.lock();
        if is_whole && idle.len() < IDLE {
            idle.push(self.door);
        }
    }
}

async fn put_back(backend: &Backend, side: Side, key: &[u8], element: &[u8]) {
    if let Err(fault) = backend.link.ask(redis::cmd(side.push()).arg(key).arg(element)).await {
        tracing::error!(?fault, key = %key.escape_ascii(), "an element that nobody waits for any more could not be put back");
    }
}
