//! For how long a reader is held up while its node takes a million rows from a peer.
//!
//! Two real nodes on loopback. A thread reads a hash field through one's handle, again and again, and notes how long each read
//! took: while the node loads the rows as a snapshot, because the peer had nobody to keep history for, and while the peer
//! writes them and they come as operations. An idle node shows what the machine itself does to such a loop. Where threads
//! are more than cores the longest wait is often for a core; the system says for how long, and that is told apart. What the
//! node does while the reader has no core is missed: on a machine that is busy otherwise that column may tell too little.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headcount::{ClusterPresence, Node, Presence};

use crate::measure::{MILLION, now, start};
use crate::rows::Rows;

/// How long an idle node is read.
const IDLE: Duration = Duration::from_secs(2);
/// A wait from which on the system is asked whether it was for a core.
const LONG: Duration = Duration::from_micros(50);
/// It is asked after this time anyway, so that what it tells later is of the wait in question.
const ASKED_AFTER: Duration = Duration::from_micros(200);
/// Nanoseconds that are counted together.
const BUCKET_NS: usize = 100;
/// Waits of ten milliseconds and more are counted together.
const BUCKETS: usize = 100_000;
/// Runs of which the longest wait is told.
const RUNS: usize = 3;
/// Rows that a peer writes before it waits until they are confirmed.
const BURST: u64 = 20_000;
/// How often a peer is asked whether everything it wrote is confirmed.
const ASKED_EVERY: Duration = Duration::from_millis(1);

/// Prints the waits.
pub(crate) fn measure() {
    println!("merging a million rows while a thread reads, waits in microseconds over {RUNS} runs");
    println!("{:50}million reads  99.9th percentile     longest  longest with a core for both", "");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        idle().await.print("an idle node");
        for rows in Rows::ALL {
            longest_of(async || snapshot(rows).await).await.print(&format!("snapshot of {}", rows.label()));
        }
        for rows in Rows::ALL {
            longest_of(async || operations(rows).await).await.print(&format!("operations for {}", rows.label()));
        }
    });
}

/// What several runs together have met.
async fn longest_of(run: impl AsyncFn() -> Waits) -> Waits {
    let mut all = run().await;
    for _ in 1..RUNS {
        all.join(&run().await);
    }
    all
}

async fn idle() -> Waits {
    let [a, b] = pair().await;
    let reader = Reader::start(&b);
    tokio::time::sleep(IDLE).await;
    let waits = reader.stop();
    leave([a, b]).await;
    waits
}

/// A joiner loads what a peer has.
async fn snapshot(rows: Rows) -> Waits {
    let a = start("a", None).await;
    a.ready().await.expect("a ready node");
    rows.write(&a.presence(), 0..MILLION);
    let b = start("b", Some(&a)).await;
    let reader = Reader::start(&b);
    b.ready().await.expect("a ready node");
    let waits = reader.stop();
    assert_eq!((a.digest(), b.stats().presence.snapshots_loaded), (b.digest(), 1));
    leave([a, b]).await;
    waits
}

/// A node hears what a peer writes: in bursts, so that the writer takes no core while they are merged.
async fn operations(rows: Rows) -> Waits {
    let [a, b] = pair().await;
    let reader = Reader::start(&b);
    for first in (0..MILLION).step_by(BURST as usize) {
        rows.write(&a.presence(), first..first + BURST);
        while a.stats().presence.unconfirmed_ops > 0 {
            tokio::time::sleep(ASKED_EVERY).await;
        }
    }
    let waits = reader.stop();
    assert_eq!((a.digest(), b.stats().presence.snapshots_loaded), (b.digest(), 0));
    leave([a, b]).await;
    waits
}

async fn pair() -> [Node; 2] {
    let a = start("a", None).await;
    let b = start("b", Some(&a)).await;
    b.ready().await.expect("a ready node");
    [a, b]
}

async fn leave(nodes: [Node; 2]) {
    for node in nodes {
        node.leave().await;
    }
}

/// A thread that reads until it is stopped.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Waits>,
}

impl Reader {
    fn start(node: &Node) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (presence, stopped, writer) = (node.presence(), Arc::clone(&stop), thread_of(node));
        Self { stop, thread: std::thread::spawn(move || read(&presence, writer.as_deref(), &stopped)) }
    }

    fn stop(self) -> Waits {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a reader")
    }
}

fn read(presence: &ClusterPresence, writer: Option<&str>, stopped: &AtomicBool) -> Waits {
    let mut waits = Waits { counts: vec![0; BUCKETS], longest: Duration::ZERO, longest_with_cores: None };
    let mut without_core = WithoutCore::of(["thread-self"].into_iter().chain(writer));
    let mut since = Instant::now();
    let mut asked = since;
    while !stopped.load(Ordering::Relaxed) {
        now(presence.hget("probe", "field")).expect("a read");
        // From the end of one read to the end of the next, so that nothing falls in between.
        let end = Instant::now();
        let wait = end - since;
        waits.note(wait);
        since = end;
        if wait >= LONG || end - asked >= ASKED_AFTER {
            waits.note_with_cores(wait, without_core.since_last());
            since = Instant::now();
            asked = since;
        }
    }
    waits
}

/// How long the reads took.
struct Waits {
    /// By length, `BUCKET_NS` a bucket.
    counts: Vec<u64>,
    longest: Duration,
    /// The longest without the time for which the reader and the node waited for a core; where the system tells.
    longest_with_cores: Option<Duration>,
}

impl Waits {
    fn note(&mut self, wait: Duration) {
        let bucket = wait.as_nanos() as usize / BUCKET_NS;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.longest = self.longest.max(wait);
    }

    fn note_with_cores(&mut self, wait: Duration, without_core: Option<Duration>) {
        let with_cores = without_core.map(|without| wait.saturating_sub(without));
        self.longest_with_cores = self.longest_with_cores.max(with_cores);
    }

    fn join(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.longest = self.longest.max(other.longest);
        self.longest_with_cores = self.longest_with_cores.max(other.longest_with_cores);
    }

    /// The shortest time that `share` of the reads did not exceed.
    fn percentile(&self, share: f64) -> Duration {
        let reads: u64 = self.counts.iter().sum();
        let mut left = (reads as f64 * share) as u64;
        let within = |count: &u64| {
            let within = *count > left;
            left = left.saturating_sub(*count);
            within
        };
        let bucket = self.counts.iter().position(within).unwrap_or(BUCKETS);
        Duration::from_nanos(((bucket + 1) * BUCKET_NS) as u64)
    }

    fn print(&self, label: &str) {
        let micros = |wait: Duration| wait.as_secs_f64() * 1e6;
        let reads = self.counts.iter().sum::<u64>() as f64 / 1e6;
        let with_cores = self.longest_with_cores.map(|wait| format!("{:.0}", micros(wait)));
        println!(
            "  {label:<54}  {reads:>5.1}  {:>17.1}  {:>10.0}  {:>28}",
            micros(self.percentile(0.999)),
            micros(self.longest),
            with_cores.as_deref().unwrap_or("not told"),
        );
    }
}

/// For how long threads were ready to run and had no core, as Linux counts it.
struct WithoutCore {
    counts: Option<Vec<File>>,
    before: Option<Duration>,
}

impl WithoutCore {
    /// Of threads that are named as in `/proc`.
    fn of<'a>(threads: impl Iterator<Item = &'a str>) -> Self {
        let counts = threads.map(|thread| File::open(format!("/proc/{thread}/schedstat")).ok()).collect();
        let mut this = Self { counts, before: None };
        this.before = this.total();
        this
    }

    fn since_last(&mut self) -> Option<Duration> {
        let total = self.total();
        let before = std::mem::replace(&mut self.before, total);
        total.zip(before).map(|(total, before)| total.saturating_sub(before))
    }

    fn total(&self) -> Option<Duration> {
        self.counts.as_ref()?.iter().map(waited_for_core).sum()
    }
}

/// The second of a `schedstat`'s numbers.
fn waited_for_core(count: &File) -> Option<Duration> {
    let mut text = [0; 80];
    let length = count.read_at(&mut text, 0).ok()?;
    let waited = std::str::from_utf8(&text[..length]).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(waited))
}

/// The node's thread, as `/proc` names it.
fn thread_of(node: &Node) -> Option<String> {
    let name = format!("headcount-{}", node.me().node);
    let mut tasks = std::fs::read_dir("/proc/self/task").ok()?.flatten();
    let is_it = |comm: String| comm.trim_end() == name;
    let task = tasks.find(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(is_it))?;
    Some(format!("self/task/{}", task.file_name().to_string_lossy()))
}
