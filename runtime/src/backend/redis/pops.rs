//! Blocking pops: a connection for each, because a Redis that waits for an element on a connection serves nothing else there.
//!
//! Connections are kept for the next pop, some of them, and asked whether they still stand before it. A pop runs in a task of its own: when
//! its caller goes away, the task lets Redis stop waiting, and puts an element that the caller has not seen back where it was taken from.
//! Only when the connection breaks, or this process ends, after Redis has handed an element over and before the caller has it
//! is that element lost, as it is with Redis's own commands.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use headcount_presence::{Error, Type};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisResult, Value};
use tokio::sync::oneshot;

use super::backend::Backend;
use super::fault::Fault;
use super::link::{self, Link, Pause};
use super::{options, reply};

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

/// What a pop took, on its way to the caller.
#[derive(Debug)]
struct Handed {
    popped: Popped,
    /// Says that it has arrived.
    taken: oneshot::Sender<()>,
}

impl Handed {
    fn take(self) -> Popped {
        // The pop waits for this word.
        let _ = self.taken.send(());
        self.popped
    }
}

type Told = Result<Handed, Fault>;

/// A connection for pops.
#[derive(Debug)]
struct Door {
    connection: MultiplexedConnection,
    /// Its number at Redis.
    id: i64,
    /// The number of the link when it was made. When the link is another one since, this leads to where that led before.
    link: u64,
}

impl Door {
    /// Whether Redis answers there.
    async fn stands(&mut self, limit: Duration) -> bool {
        match tokio::time::timeout(limit, redis::cmd("PING").query_async::<Value>(&mut self.connection)).await {
            Ok(Ok(_)) => true,
            // A user who may not ask has an answer too.
            Ok(Err(error)) => matches!(Fault::of(&error), Fault::Refused { .. }),
            Err(_) => false,
        }
    }
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
    let door = door(backend).await?;
    let (tell, told) = oneshot::channel();
    let physical = keys.iter().map(|key| backend.key(key)).collect();
    let grace = backend.timeouts.command;
    let (link, backend_of_pop) = (Arc::clone(&backend.link), Arc::downgrade(backend));
    let pop = Pop { backend: backend_of_pop, link, door, side, timeout, grace, _counted: counted };
    tokio::spawn(pop.run(physical, tell));
    match told.await {
        Ok(Ok(handed)) => {
            let logical = |key: Bytes| key.slice(backend.prefix.len().min(key.len())..);
            Ok(handed.take().map(|(key, element)| (logical(key), element)))
        }
        Ok(Err(fault)) => {
            let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
            Err(backend.typed_error(fault, &keys, Type::List).await)
        }
        Err(_) => Err(Error::Closed),
    }
}

/// A connection for a pop: one that is kept when it still stands, or else a new one.
async fn door(backend: &Backend) -> Result<Door, Error> {
    let link = backend.link.number();
    let kept = {
        let mut idle = backend.pops.idle.lock();
        idle.retain(|door| door.link == link);
        idle.pop()
    };
    if let Some(mut door) = kept {
        if door.stands(backend.timeouts.command).await {
            return Ok(door);
        }
        // What has broken it has broken all.
        backend.pops.idle.lock().clear();
    }
    open_door(backend, link).await
}

async fn open_door(backend: &Backend, link: u64) -> Result<Door, Error> {
    let opened = async {
        let mut connection = link::open(&backend.pops.client, backend.timeouts.connect).await?;
        let id = redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await?;
        Ok(Door { connection, id, link })
    };
    opened.await.map_err(|error| options::not_connected(&backend.address, &error))
}

/// A pop that runs.
struct Pop {
    backend: Weak<Backend>,
    /// Stays until the pop is over, whoever has a handle.
    link: Arc<Link>,
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
    async fn run(self, keys: Vec<Vec<u8>>, mut tell: oneshot::Sender<Told>) {
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
            // Broken, or of a Redis that has become a replica: another connection may do better.
            let is_whole = popped.is_ok();
            let untaken = hand_over(tell, popped).await;
            return self.end(untaken, is_whole).await;
        }
        // Redis is late, or nobody waits any more, who then does not hear this either.
        let _ = tell.send(Err(Fault::Silent { waited: limit }));
        if let Some(answer) = self.call_off(popping).await {
            self.end(reply::popped(answer).ok().flatten(), true).await;
        }
    }

    /// Lets Redis stop waiting. Returns what it then answers, however late; nothing when it cannot be reached any more.
    async fn call_off(&self, mut popping: Pin<&mut impl Future<Output = RedisResult<Value>>>) -> Option<Value> {
        let mut unblock = redis::cmd("CLIENT");
        unblock.arg("UNBLOCK").arg(self.door.id);
        let mut pause = Pause::new();
        loop {
            let asked = tokio::select! {
                biased;
                answer = &mut popping => return answer.ok(),
                asked = self.link.ask(&unblock) => asked,
            };
            match asked {
                // The answer shows whether it worked: the pop may still be on its way there, or the answer on its way back.
                Ok(_) | Err(Fault::Silent { .. } | Fault::Lost(_)) => {}
                Err(Fault::Unreachable { .. } | Fault::Refused { .. } | Fault::Strange(_) | Fault::NameInUse(_)) => {
                    return None;
                }
            }
            if let Ok(answer) = tokio::time::timeout(pause.next(), &mut popping).await {
                return answer.ok();
            }
        }
    }

    /// Puts an element back that nobody took, and keeps the connection when it is good for another pop.
    async fn end(self, untaken: Popped, is_whole: bool) {
        if let Some((key, element)) = untaken {
            self.put_back(&key, &element).await;
        }
        let Some(backend) = self.backend.upgrade() else { return };
        let mut idle = backend.pops.idle.lock();
        if is_whole && idle.len() < IDLE {
            idle.push(self.door);
        }
    }

    async fn put_back(&self, key: &[u8], element: &[u8]) {
        let mut push = redis::cmd(self.side.push());
        push.arg(key).arg(element);
        let mut pause = Pause::new();
        while let Err(fault) = self.link.ask(&push).await {
            if !fault.may_be_repeated() || self.backend.strong_count() == 0 {
                let key = key.escape_ascii();
                return tracing::error!(?fault, %key, "an element that nobody waits for any more could not be put back");
            }
            tokio::time::sleep(pause.next()).await;
        }
    }
}

/// Gives the caller what there is. Returns what it has not taken.
async fn hand_over(tell: oneshot::Sender<Told>, popped: Result<Popped, Fault>) -> Popped {
    let element = popped.as_ref().ok().cloned().flatten();
    let (taken, was_taken) = oneshot::channel();
    let told = tell.send(popped.map(|popped| Handed { popped, taken }));
    if told.is_ok() && was_taken.await.is_ok() { None } else { element }
}
