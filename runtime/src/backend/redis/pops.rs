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
    open: Arc<AtomicUsize>,
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
    tokio::spawn(wait(Arc::downgrade(backend), door, side, physical(backend, &keys), timeout, tell, counted));
    match told.await {
        Ok(Ok(popped)) => Ok(popped.map(|(key, element)| (key.slice(backend.prefix.len().min(key.len())..), element))),
        Ok(Err(fault)) => {
            let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
            Err(backend.typed_error(fault, &keys, Type::List).await)
        }
        Err(_) => Err(Error::Closed),
    }
}

fn physical(backend: &Backend, keys: &[Bytes]) -> Vec<Vec<u8>> {
    keys.iter().map(|key| backend.key(key)).collect()
}

async fn open_door(backend: &Backend) -> Result<Door, Error> {
    let opened = async {
        let mut connection = link::open(&backend.pops.client, backend.timeouts.connect).await?;
        let id = redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await?;
        Ok(Door { connection, id })
    };
    opened.await.map_err(|error| options::not_connected(&backend.address, &error))
}

/// Waits for an element, or for the caller to go away.
async fn wait(
    backend: Weak<Backend>,
    door: Door,
    side: Side,
    keys: Vec<Vec<u8>>,
    timeout: Duration,
    mut tell: oneshot::Sender<Result<Popped, Fault>>,
    counted: Counted,
) {
    let mut command = redis::cmd(side.blocking_pop());
    // Less than Redis can tell is not for ever.
    let seconds = if timeout.is_zero() { 0.0 } else { timeout.as_secs_f64().max(0.001) };
    command.arg(&keys).arg(seconds);
    let Some(grace) = backend.upgrade().map(|backend| backend.timeouts.command) else { return };
    let limit = if timeout.is_zero() { Duration::MAX } else { timeout.saturating_add(grace) };
    let mut connection = door.connection.clone();
    let popping = command.query_async::<Value>(&mut connection);
    tokio::pin!(popping);
    let outcome = tokio::select! {
        biased;
        outcome = tokio::time::timeout(limit, &mut popping) => outcome.ok(),
        () = tell.closed() => None,
    };
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => {
            // Nobody waits any more, or Redis is late: it is told to stop, and what it took by then is put back.
            if !tell.is_closed() {
                let _ = std::mem::replace(&mut tell, oneshot::channel().0).send(Err(Fault::Silent { waited: limit }));
            }
            let Some(backend) = backend.upgrade() else { return };
            // Whether that works shows in the answer.
            let _ = backend.link.ask(redis::cmd("CLIENT").arg("UNBLOCK").arg(door.id)).await;
            match tokio::time::timeout(grace, &mut popping).await {
                Ok(outcome) => outcome,
                Err(_) => return,
            }
        }
    };
    let popped = outcome.map_err(|error| Fault::of(&error)).and_then(reply::popped);
    drop(counted);
    let Some(backend) = backend.upgrade() else { return };
    if !matches!(popped, Err(Fault::Lost(_) | Fault::Strange(_))) {
        let mut idle = backend.pops.idle.lock();
        if idle.len() < IDLE {
            idle.push(door);
        }
    }
    if let Err(Ok(Some((key, element)))) = tell.send(popped) {
        put_back(&backend, side, &key, &element).await;
    }
}

async fn put_back(backend: &Backend, side: Side, key: &[u8], element: &[u8]) {
    if let Err(fault) = backend.link.ask(redis::cmd(side.push()).arg(key).arg(element)).await {
        tracing::error!(?fault, key = %key.escape_ascii(), "an element that nobody waits for any more could not be put back");
    }
}
