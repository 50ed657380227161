//! What clients run in processes: futures on handles, polled when something wakes them, in an order that is always the same.
//!
//! Handles use tokio's timers, so the jobs live in a runtime of their own whose clock stands still until the world moves it. It is moved
//! only while there are jobs, in whole milliseconds, and stops where a timer wakes somebody. Invariants: a job is polled in its process's turns only;
//! jobs that were woken are polled in the order in which they were.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::task::{ArcWake, AtomicWaker, waker};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep_until};

/// All jobs of a world.
pub(crate) struct Jobs {
    runtime: Runtime,
    began: Instant,
    running: BTreeMap<u64, Job>,
    started: u64,
    woken: Arc<Woken>,
}

struct Job {
    node: u32,
    future: LocalBoxFuture<'static, ()>,
    waker: Waker,
    wake: Arc<Wake>,
}

/// The jobs that were woken and not polled since, in order.
#[derive(Default)]
struct Woken {
    any: AtomicBool,
    numbers: Mutex<Vec<u64>>,
    /// Whoever lets time pass.
    clock: AtomicWaker,
}

struct Wake {
    number: u64,
    is_woken: AtomicBool,
    woken: Arc<Woken>,
}

impl ArcWake for Wake {
    fn wake_by_ref(wake: &Arc<Self>) {
        if !wake.is_woken.swap(true, Ordering::Relaxed) {
            wake.woken.numbers.lock().push(wake.number);
            wake.woken.any.store(true, Ordering::Relaxed);
            wake.woken.clock.wake();
        }
    }
}

impl Jobs {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without IO takes nothing from the system");
        let began = runtime.block_on(async { Instant::now() });
        Self { runtime, began, running: BTreeMap::new(), started: 0, woken: Arc::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Takes a job; it is polled for the first time when the woken are.
    pub(crate) fn start(&mut self, node: u32, future: LocalBoxFuture<'static, ()>) {
        self.started += 1;
        let wake = Arc::new(Wake { number: self.started, is_woken: AtomicBool::new(false), woken: self.woken.clone() });
        Wake::wake_by_ref(&wake);
        self.running.insert(self.started, Job { node, future, waker: waker(Arc::clone(&wake)), wake });
    }

    /// Drops the jobs of a process that has ended.
    pub(crate) fn drop_all_of(&mut self, node: u32) {
        let _inside = self.runtime.enter();
        self.running.retain(|_, job| job.node != node);
    }

    /// Whether jobs were woken.
    pub(crate) fn has_woken(&self) -> bool {
        self.woken.any.load(Ordering::Relaxed)
    }

    /// The jobs that were woken since the last time, in order.
    pub(crate) fn take_woken(&mut self) -> Vec<u64> {
        self.woken.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.woken.numbers.lock())
    }

    /// Hands jobs back that were taken and not polled.
    pub(crate) fn put_back(&mut self, numbers: &[u64]) {
        if !numbers.is_empty() {
            self.woken.numbers.lock().extend(numbers);
            self.woken.any.store(true, Ordering::Relaxed);
        }
    }

    /// The node on which a job runs; `None` when it has ended.
    pub(crate) fn node_of(&self, number: u64) -> Option<u32> {
        self.running.get(&number).map(|job| job.node)
    }

    /// Polls a job.
    pub(crate) fn poll(&mut self, number: u64) {
        let Some(job) = self.running.get_mut(&number) else { return };
        let _inside = self.runtime.enter();
        job.wake.is_woken.store(false, Ordering::Relaxed);
        if let Poll::Ready(()) = job.future.as_mut().poll(&mut Context::from_waker(&job.waker)) {
            self.running.remove(&number);
        }
    }

    /// Lets the timers' clock run to `until_ms` since the world began, or to where it wakes somebody. Returns where it stands.
    pub(crate) fn run_clock(&mut self, until_ms: u64) -> u64 {
        let Self { runtime, began, woken, .. } = self;
        let target = *began + Duration::from_millis(until_ms);
        runtime.block_on(async {
            let mut arrived = std::pin::pin!(sleep_until(target));
            std::future::poll_fn(|context| {
                woken.clock.register(context.waker());
                if woken.any.load(Ordering::Relaxed) { Poll::Ready(()) } else { arrived.as_mut().poll(context) }
            })
            .await;
            (Instant::now() - *began).as_millis() as u64
        })
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("count", &self.running.len()).finish_non_exhaustive()
    }
}
