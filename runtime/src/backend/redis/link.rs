//! One connection for all commands, which comes back by itself.
//!
//! Commands of all handles share one pipelined connection: Redis carries them out in the order in which they were sent. A task looks
//! after it: when it breaks, the task connects again, with growing pauses. A command waits for a connection as long as its deadline
//! allows, and then says why there is none. What was under way when the connection broke is not sent again, because nobody knows
//! whether it was carried out.
//!
//! A Redis that refuses writes because it has become a replica is left as soon as a new connection stands, which leads to
//! the primary once the address does. Until then the old one is good for reading.
//!
//! The connection manager of the `redis` crate does the same but gives up for good when the refusal is not one of the network, and a
//! Redis that comes back says `LOADING` for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::fault::{Fault, is_final};
use super::task::Task;

/// The pause before the first attempt to connect again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Silence, in command timeouts, after which a connection is not believed in any more: the other side may have vanished without a word.
const PATIENCE: u32 = 3;

/// Why there is no connection, before it is known why there is no new one.
const LOST: &str = "the connection was lost";

/// How long after a step towards another primary the next one belongs to the same search: its pauses grow, and it is not told again.
const SEARCH: Duration = Duration::from_secs(10);

/// Where a link stands.
#[derive(Debug, Clone)]
enum Standing {
    /// Connected, for the `n`-th time.
    Up { number: u64, connection: Box<MultiplexedConnection> },
    /// Not connected any more, and why.
    Down { number: u64, why: String },
}

/// A connection for commands.
#[derive(Debug)]
pub(super) struct Link {
    standing: watch::Receiver<Standing>,
    troubles: mpsc::UnboundedSender<Trouble>,
    /// The latest connection that turned out to be broken; the task may not have come to it yet.
    latest_broken: AtomicU64,
    command_timeout: Duration,
    last_answer: parking_lot::Mutex<Instant>,
    _task: Task,
}

/// What a connection of some number turned out to be.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Broken(u64),
    /// It leads to a Redis that takes no writes.
    Replica(u64),
}

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) command: Duration,
    /// How long the first connection is tried for; zero is once.
    pub(super) wait: Duration,
}

impl Link {
    /// Connects. When this link turns from a replica, `companion` does so too: what it carries, replicas do not refuse.
    pub(super) async fn connect(
        client: Client,
        timeouts: Timeouts,
        companion: Option<Arc<Self>>,
    ) -> Result<Self, RedisError> {
        let connection = first_connection(&client, timeouts).await?;
        let (stand, standing) = watch::channel(Standing::Up { number: 1, connection: Box::new(connection) });
        let (troubles, reported) = mpsc::unbounded_channel();
        let mender = Mender { client, connect_timeout: timeouts.connect, stand, current: 1, companion, search: None };
        let task = Task::spawn(mender.look_after(reported));
        let last_answer = parking_lot::Mutex::new(Instant::now());
        let latest_broken = AtomicU64::new(0);
        Ok(Self { standing, troubles, latest_broken, command_timeout: timeouts.command, last_answer, _task: task })
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Fault> {
        let deadline = Instant::now() + self.command_timeout;
        let (number, mut connection) = self.connection(deadline).await?;
        match timeout_at(deadline, command.query_async::<Value>(&mut connection)).await {
            Ok(Ok(value)) => {
                *self.last_answer.lock() = Instant::now();
                Ok(value)
            }
            Ok(Err(error)) => {
                let fault = Fault::of(&error);
                match fault {
                    Fault::Lost(_) | Fault::Strange(_) => self.report_broken(number),
                    Fault::Refused { .. } => {
                        *self.last_answer.lock() = Instant::now();
                        if fault.is_of_a_replica() {
                            self.report(Trouble::Replica(number));
                        }
                    }
                    Fault::Unreachable { .. } | Fault::Silent { .. } | Fault::NameInUse(_) => {}
                }
                Err(fault)
            }
            Err(_) => {
                if self.last_answer.lock().elapsed() > self.command_timeout * PATIENCE {
                    self.report_broken(number);
                }
                Err(Fault::Silent { waited: self.command_timeout })
            }
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Up { .. })
    }

    /// The number of the latest connection.
    pub(super) fn number(&self) -> u64 {
        match *self.standing.borrow() {
            Standing::Up { number, .. } | Standing::Down { number, .. } => number,
        }
    }

    /// Asks where the address leads now.
    fn look_anew(&self) {
        self.report(Trouble::Replica(self.number()));
    }

    async fn connection(&self, deadline: Instant) -> Result<(u64, MultiplexedConnection), Fault> {
        let mut standing = self.standing.clone();
        let is_good = |number: u64| number > self.latest_broken.load(Ordering::Acquire);
        let is_up = |standing: &Standing| matches!(standing, Standing::Up { number, .. } if is_good(*number));
        // When the time is over what stands there says why.
        let _ = timeout_at(deadline, standing.wait_for(is_up)).await;
        let standing = standing.borrow();
        let why = match &*standing {
            Standing::Up { number, connection } if is_good(*number) => {
                return Ok((*number, connection.as_ref().clone()));
            }
            Standing::Up { .. } => LOST.to_owned(),
            Standing::Down { why, .. } => why.clone(),
        };
        Err(Fault::Unreachable { why, waited: self.command_timeout })
    }

    fn report_broken(&self, number: u64) {
        self.latest_broken.fetch_max(number, Ordering::AcqRel);
        self.report(Trouble::Broken(number));
    }

    fn report(&self, trouble: Trouble) {
        // The task has ended with its runtime; then nothing is left to mend.
        let _ = self.troubles.send(trouble);
    }
}

/// Connects for the first time.
pub(super) async fn first_connection(client: &Client, timeouts: Timeouts) -> Result<MultiplexedConnection, RedisError> {
    let until = Instant::now() + timeouts.wait;
    let (mut pause, mut is_told) = (Pause::new(), false);
    loop {
        match open(client, timeouts.connect).await {
            Ok(connection) => return Ok(connection),
            Err(error) if is_final(&error) || Instant::now() >= until => return Err(error),
            Err(error) if is_told => tracing::debug!(%error, "the Redis cannot be reached yet"),
            Err(error) => {
                is_told = true;
                tracing::warn!(%error, "the Redis cannot be reached yet; trying again for {:?}", timeouts.wait);
            }
        }
        tokio::time::sleep_until(until.min(Instant::now() + pause.next())).await;
    }
}

pub(super) async fn open(client: &Client, connect_timeout: Duration) -> Result<MultiplexedConnection, RedisError> {
    // Commands have deadlines of their own.
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(connect_timeout)).set_response_timeout(None);
    let opened = timeout(connect_timeout, client.get_multiplexed_async_connection_with_config(&config)).await;
    opened.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}

/// The task's side of a link: keeps it connected as long as somebody has it.
struct Mender {
    client: Client,
    connect_timeout: Duration,
    stand: watch::Sender<Standing>,
    /// The number of the latest connection.
    current: u64,
    companion: Option<Arc<Link>>,
    /// The latest step towards another primary, and the next pause.
    search: Option<(Instant, Pause)>,
}

impl Mender {
    async fn look_after(mut self, mut reported: mpsc::UnboundedReceiver<Trouble>) {
        while let Some(trouble) = reported.recv().await {
            match trouble {
                Trouble::Broken(number) if number == self.current => self.connect_again().await,
                Trouble::Replica(number) if number == self.current => self.turn_from_replica().await,
                // Of a connection that is not used any more.
                Trouble::Broken(_) | Trouble::Replica(_) => {}
            }
        }
    }

    async fn connect_again(&mut self) {
        tracing::warn!("the connection to the Redis is lost; connecting again");
        let mut why = LOST.to_owned();
        let mut pause = Pause::new();
        loop {
            self.stand.send_replace(Standing::Down { number: self.current, why });
            match open(&self.client, self.connect_timeout).await {
                Ok(connection) => {
                    tracing::info!("connected to the Redis again");
                    return self.use_from_now_on(connection);
                }
                Err(error) => why = error.to_string(),
            }
            tokio::time::sleep(pause.next()).await;
        }
    }

    async fn turn_from_replica(&mut self) {
        let search = self.search.take().filter(|(latest, _)| latest.elapsed() < SEARCH);
        let mut pause = search.map_or_else(
            || {
                tracing::warn!(
                    "the Redis refuses writes: it is a replica, perhaps since a failover; connecting to its address again and again, until \
                     that leads to a primary"
                );
                Pause::new()
            },
            |(_, pause)| pause,
        );
        tokio::time::sleep(pause.next()).await;
        match open(&self.client, self.connect_timeout).await {
            Ok(connection) => self.use_from_now_on(connection),
            // The next refused write asks again.
            Err(error) => tracing::debug!(%error, "where the address leads now cannot be reached"),
        }
        self.search = Some((Instant::now(), pause));
        if let Some(companion) = &self.companion {
            companion.look_anew();
        }
    }

    fn use_from_now_on(&mut self, connection: MultiplexedConnection) {
        self.current += 1;
        self.stand.send_replace(Standing::Up { number: self.current, connection: Box::new(connection) });
    }
}

/// Pauses that grow, each shortened by chance so that not all come back at once.
#[derive(Debug)]
pub(super) struct Pause(Duration);

impl Pause {
    pub(super) fn new() -> Self {
        Self(PAUSES.0)
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSES.1);
        pause.mul_f64(0.5 + super::random::<f64>() / 2.0)
    }
}
