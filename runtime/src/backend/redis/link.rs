//! One connection for all commands, which comes back by itself.
//!
//! Commands of all handles share one pipelined connection: Redis carries them out in the order in which they were sent. A task looks
//! after it: when it breaks, the task connects again, with growing pauses. A command waits for a connection as long as its deadline
//! allows, and then says why there is none. What was under way when the connection broke is not sent again, because nobody knows
//! whether it was carried out.
//!
//! The connection manager of the `redis` crate does the same but gives up for good when the refusal is not one of the network, and a
//! Redis that comes back says `LOADING` for a while.

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

/// Where a link stands.
#[derive(Debug, Clone)]
enum Standing {
    /// Connected, for the `n`-th time.
    Up { number: u64, connection: Box<MultiplexedConnection> },
    /// Not connected, and why.
    Down { why: String },
}

impl Standing {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Up { number, .. } => Some(*number),
            Self::Down { .. } => None,
        }
    }
}

/// One of a link's connections, until a deadline.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub(super) number: u64,
    connection: MultiplexedConnection,
    deadline: Instant,
}

/// A connection for commands.
#[derive(Debug)]
pub(super) struct Link {
    standing: watch::Receiver<Standing>,
    broken: mpsc::UnboundedSender<u64>,
    command_timeout: Duration,
    last_answer: parking_lot::Mutex<Instant>,
    _task: Task,
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
    /// Connects.
    pub(super) async fn connect(client: Client, timeouts: Timeouts) -> Result<Self, RedisError> {
        let connection = first_connection(&client, timeouts).await?;
        let (stand, standing) = watch::channel(Standing::Up { number: 1, connection: Box::new(connection) });
        let (broken, breaks) = mpsc::unbounded_channel();
        let task = Task::spawn(look_after(client, timeouts.connect, stand, breaks));
        let last_answer = parking_lot::Mutex::new(Instant::now());
        Ok(Self { standing, broken, command_timeout: timeouts.command, last_answer, _task: task })
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Fault> {
        let connection = self.connection(Instant::now() + self.command_timeout).await?;
        self.ask_over(connection, command).await
    }

    /// Sends a command over this connection and no other.
    pub(super) async fn ask_over(&self, connection: Numbered, command: &Cmd) -> Result<Value, Fault> {
        let Numbered { number, mut connection, deadline } = connection;
        match timeout_at(deadline, command.query_async::<Value>(&mut connection)).await {
            Ok(Ok(value)) => {
                *self.last_answer.lock() = Instant::now();
                Ok(value)
            }
            Ok(Err(error)) => {
                let fault = Fault::of(&error);
                match fault {
                    Fault::Lost(_) | Fault::Strange(_) => self.report_broken(number),
                    Fault::Refused { .. } => *self.last_answer.lock() = Instant::now(),
                    Fault::Unreachable { .. } | Fault::Silent { .. } => {}
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

    /// Returns when there is a connection with a higher number.
    pub(super) fn wait_for_later(&self, number: u64) -> impl Future<Output = ()> + use<> {
        let mut standing = self.standing.clone();
        async move {
            let is_later = |standing: &Standing| standing.number().is_some_and(|later| later > number);
            if standing.wait_for(is_later).await.is_err() {
                // The link has ended: none will come.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The connection that there is, or will be before the deadline, until which it may be used.
    pub(super) async fn connection(&self, deadline: Instant) -> Result<Numbered, Fault> {
        let mut standing = self.standing.clone();
        let is_up = |standing: &Standing| matches!(standing, Standing::Up { .. });
        // When the time is over what stands there says why.
        let _ = timeout_at(deadline, standing.wait_for(is_up)).await;
        let standing = standing.borrow();
        match &*standing {
            Standing::Up { number, connection } => {
                Ok(Numbered { number: *number, connection: connection.as_ref().clone(), deadline })
            }
            Standing::Down { why } => Err(Fault::Unreachable { why: why.clone(), waited: self.command_timeout }),
        }
    }

    fn report_broken(&self, number: u64) {
        // The task has ended with its runtime; then nothing is left to mend.
        let _ = self.broken.send(number);
    }
}

/// Connects for the first time.
pub(super) async fn first_connection(client: &Client, timeouts: Timeouts) -> Result<MultiplexedConnection, RedisError> {
    let until = Instant::now() + timeouts.wait;
    let mut pause = Pause::new();
    loop {
        match open(client, timeouts.connect).await {
            Ok(connection) => return Ok(connection),
            Err(error) if is_final(&error) || Instant::now() >= until => return Err(error),
            Err(error) => tracing::info!(%error, "the Redis cannot be reached yet; trying again"),
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

/// Keeps the link connected as long as somebody has it.
async fn look_after(
    client: Client,
    connect_timeout: Duration,
    stand: watch::Sender<Standing>,
    mut breaks: mpsc::UnboundedReceiver<u64>,
) {
    let mut current = 1;
    while let Some(number) = breaks.recv().await {
        if number != current {
            continue;
        }
        tracing::warn!("the connection to the Redis is lost; connecting again");
        stand.send_replace(Standing::Down { why: "the connection was lost".into() });
        let mut pause = Pause::new();
        loop {
            match open(&client, connect_timeout).await {
                Ok(connection) => {
                    current += 1;
                    tracing::info!("connected to the Redis again");
                    stand.send_replace(Standing::Up { number: current, connection: Box::new(connection) });
                    break;
                }
                Err(error) => {
                    stand.send_replace(Standing::Down { why: error.to_string() });
                }
            }
            tokio::time::sleep(pause.next()).await;
        }
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
