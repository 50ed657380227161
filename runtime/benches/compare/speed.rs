//! Common operations, awaited one after the other: Colyseus' `LocalPresence` in Node beside ours, from 1, 2 and 8 threads.
//!
//! Both sides do the same: the same names and values, 4,096 of them in turn, a subscriber that hears each message. Rounds
//! alternate between the sides, so that the machine's moods hit all, and are as long as it takes to be measured; the medians
//! are told. Threads work each on keys of their own, or all on one key.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use futures::StreamExt;
use headcount::{LocalPresence, Presence, Subscription};
use parking_lot::Mutex;

use crate::colyseus::Colyseus;
use crate::measure::{ROUNDS, median, millions, now};

/// Fields, members and keys that are used in turn; a power of two.
const PLAYERS: usize = 4096;
/// Members of a small set; a power of two.
const FEW: usize = 16;
/// Members of the set that is listed.
const LISTED: usize = 1000;
/// How long a round takes at least.
const ROUND: Duration = Duration::from_millis(40);

#[derive(Debug, Clone, Copy)]
enum Operation {
    Hset,
    Hget,
    Incr,
    Set,
    Get,
    Sadd,
    SaddFew,
    Smembers,
    Publish,
}

impl Operation {
    const ALL: [Self; 9] = [
        Self::Hset,
        Self::Hget,
        Self::Incr,
        Self::Set,
        Self::Get,
        Self::Sadd,
        Self::SaddFew,
        Self::Smembers,
        Self::Publish,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Hset => "hset",
            Self::Hget => "hget",
            Self::Incr => "incr",
            Self::Set => "set",
            Self::Get => "get",
            Self::Sadd => "sadd, a set of 4,096",
            Self::SaddFew => "sadd, a set of 16",
            Self::Smembers => "smembers of 1,000",
            Self::Publish => "publish, one subscriber",
        }
    }

    /// As the script in Node knows it.
    fn word(self) -> &'static str {
        match self {
            Self::Hset => "hset",
            Self::Hget => "hget",
            Self::Incr => "incr",
            Self::Set => "set",
            Self::Get => "get",
            Self::Sadd => "sadd",
            Self::SaddFew => "sadd-few",
            Self::Smembers => "smembers",
            Self::Publish => "publish",
        }
    }
}

/// What the threads of a column work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Own,
    One,
}

const COLUMNS: [(usize, Keys); 5] = [(1, Keys::Own), (2, Keys::Own), (8, Keys::Own), (2, Keys::One), (8, Keys::One)];

/// Prints the comparison.
pub(crate) fn compare() {
    let colyseus = Colyseus::start();
    let runs = colyseus.as_ref().map_or("not measured", |colyseus| colyseus.version.as_str());
    println!("speed, million awaited operations a second, median of {ROUNDS} rounds; x: beside LocalPresence");
    println!("LocalPresence: {runs}");
    if let Err(reason) = &colyseus {
        println!("  no LocalPresence to compare speed with: {reason}");
    }
    println!("{:43}headcount, keys of its own for each thread     all threads on one key", "");
    println!("{:27}LocalPresence       1 thread      2 threads      8 threads      2 threads      8 threads", "");
    let colyseus = colyseus.ok().map(RefCell::new);
    for operation in Operation::ALL {
        println!("  {}", line(operation, colyseus.as_ref()));
    }
    println!();
}

fn line(operation: Operation, colyseus: Option<&RefCell<Colyseus>>) -> String {
    let theirs = |colyseus: &'_ RefCell<Colyseus>, count| colyseus.borrow_mut().round(operation.word(), count);
    let mut theirs = colyseus.map(|colyseus| Series::new(1, move |count| theirs(colyseus, count)));
    let mut ours = COLUMNS.map(|(threads, keys)| {
        let players = players(operation, threads, keys);
        Series::new(threads as u64, move |count| round(operation, &players, count))
    });
    for _ in 0..ROUNDS {
        theirs.iter_mut().chain(&mut ours).for_each(Series::measure);
    }
    let theirs = theirs.map(Series::rate);
    let cells = ours.map(|ours| {
        let rate = ours.rate();
        let ratio = theirs.map(|theirs| format!("{:.2}x", rate / theirs)).unwrap_or_default();
        format!("{rate:>8.2} {ratio:>6}")
    });
    let theirs = theirs.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2}"));
    format!("{:<24} {theirs:>13}{}", operation.label(), cells.concat())
}

/// Rounds of one contender.
struct Series<'a> {
    threads: u64,
    /// Runs so many operations on each thread.
    round: Box<dyn FnMut(u64) -> Duration + 'a>,
    count: u64,
    rates: Vec<f64>,
}

impl<'a> Series<'a> {
    /// Warms the contender up with longer and longer rounds, until one is long enough to be measured.
    fn new(threads: u64, mut round: impl FnMut(u64) -> Duration + 'a) -> Self {
        let mut count = 1024;
        while round(count) < ROUND {
            count *= 2;
        }
        Self { threads, round: Box::new(round), count, rates: Vec::new() }
    }

    fn measure(&mut self) {
        let elapsed = (self.round)(self.count);
        self.rates.push(millions(self.threads * self.count, elapsed));
    }

    fn rate(self) -> f64 {
        median(self.rates)
    }
}

/// What one thread does.
struct Player {
    presence: LocalPresence,
    /// Of the hash, the set and the topic.
    room: String,
    /// Of strings and counters.
    keys: Vec<String>,
    /// Fields and members.
    names: Vec<String>,
    /// Threads on one topic share its one subscriber. The lock is held while it is polled, not while it waits.
    subscription: Arc<Mutex<Subscription>>,
}

/// A presence, and what its threads do with it.
fn players(operation: Operation, threads: usize, keys: Keys) -> Vec<Player> {
    let presence = LocalPresence::new();
    let subscribe = |room: &str| Arc::new(Mutex::new(now(presence.subscribe(room)).expect("a subscription")));
    let shared = (keys == Keys::One).then(|| subscribe("room-0"));
    let make = |thread: usize| {
        let names: Vec<String> = (0..PLAYERS).map(|n| format!("player-{}", thread * PLAYERS + n)).collect();
        let (room, keys) = match keys {
            Keys::Own => (format!("room-{thread}"), names.clone()),
            Keys::One => ("room-0".to_owned(), vec!["player-0".to_owned()]),
        };
        let subscription = shared.clone().unwrap_or_else(|| subscribe(&room));
        Player { presence: presence.clone(), room, keys, names, subscription }
    };
    let players: Vec<Player> = (0..threads).map(make).collect();
    for player in &players {
        player.prepare(operation);
    }
    players
}

/// Runs `count` operations on each thread; returns the time from the first's start to the last's end.
fn round(operation: Operation, players: &[Player], count: u64) -> Duration {
    let barrier = Barrier::new(players.len());
    let work = |player: &Player| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        barrier.wait();
        let start = Instant::now();
        runtime.block_on(player.play(operation, count));
        (start, Instant::now())
    };
    let times: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let threads: Vec<_> = players.iter().map(|player| scope.spawn(|| work(player))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a round")).collect()
    });
    let start = times.iter().map(|(start, _)| *start).min();
    let end = times.iter().map(|(_, end)| *end).max();
    end.zip(start).map_or(Duration::ZERO, |(end, start)| end - start)
}

impl Player {
    fn prepare(&self, operation: Operation) {
        match operation {
            Operation::Hget => {
                for name in &self.names {
                    now(self.presence.hset(&self.room, name, "lobby")).expect("a write");
                }
            }
            Operation::Get => {
                for key in &self.keys {
                    now(self.presence.set(key, "lobby")).expect("a write");
                }
            }
            Operation::Smembers => {
                // On one key the threads list the same thousand.
                let members: Vec<String> = (0..LISTED).map(|n| format!("player-{n}")).collect();
                now(self.presence.sadd(&self.room, members)).expect("a write");
            }
            Operation::Hset
            | Operation::Incr
            | Operation::Set
            | Operation::Sadd
            | Operation::SaddFew
            | Operation::Publish => {}
        }
    }

    async fn play(&self, operation: Operation, count: u64) {
        let Self { presence, room, .. } = self;
        let key = |n: usize| self.keys[n & (self.keys.len() - 1)].as_str();
        let name = |n: usize| self.names[n & (PLAYERS - 1)].as_str();
        let few = |n: usize| self.names[n & (FEW - 1)].as_str();
        let count = count as usize;
        match operation {
            Operation::Hset => each(count, async |n| presence.hset(room, name(n), "lobby").await).await,
            Operation::Hget => each(count, async |n| presence.hget(room, name(n)).await).await,
            Operation::Incr => each(count, async |n| presence.incr(key(n)).await).await,
            Operation::Set => each(count, async |n| presence.set(key(n), "lobby").await).await,
            Operation::Get => each(count, async |n| presence.get(key(n)).await).await,
            Operation::Sadd => each(count, async |n| presence.sadd(room, name(n)).await).await,
            Operation::SaddFew => each(count, async |n| presence.sadd(room, few(n)).await).await,
            Operation::Smembers => {
                each(count, async |_| presence.smembers(room).await.map(|members| assert_eq!(members.len(), LISTED)))
                    .await;
            }
            Operation::Publish => {
                each(count, async |_| {
                    presence.publish(room, "hello all").await?;
                    let next = std::future::poll_fn(|context| self.subscription.lock().poll_next_unpin(context));
                    Ok(next.await)
                })
                .await;
            }
        }
    }
}

/// Awaits `count` calls, one after the other.
async fn each<T>(count: usize, call: impl AsyncFn(usize) -> Result<T, headcount::Error>) {
    for n in 0..count {
        black_box(call(n).await.expect("an answer"));
    }
}
