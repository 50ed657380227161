//! A backend on which a case plays, and the chance that chooses its nodes.
//!
//! The choices follow from a seed, which a failing test prints: `HEADCOUNT_CONFORMANCE_SEED` plays them again.

use std::time::Duration;

use bytes::Bytes;
use headcount::{Event, Limits, Subscription};
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::backend::Backend;

/// What nothing should take. Reaching it is a failure, so no test waits for it.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) struct Stage<B> {
    pub(crate) backend: B,
    chance: Mutex<SmallRng>,
}

impl<B: Backend> Stage<B> {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let seed = seed();
        println!("nodes are chosen by HEADCOUNT_CONFORMANCE_SEED={seed}");
        Self { backend: B::start(limits).await, chance: Mutex::new(SmallRng::seed_from_u64(seed)) }
    }

    /// A handle to a random node. What is written through it is on all nodes when the call returns.
    pub(crate) fn any(&self) -> B::Presence {
        let nodes = self.backend.nodes();
        nodes.choose(&mut *self.chance.lock()).expect("a node lives").clone()
    }

    /// Waits until something holds on every node.
    pub(crate) async fn everywhere(&self, what: &str, holds: impl AsyncFn(&B::Presence) -> bool) {
        for node in self.backend.nodes() {
            until(what, async || holds(&node).await).await;
        }
    }
}

#[allow(clippy::disallowed_methods)] // this is where the seed comes from
fn seed() -> u64 {
    match std::env::var("HEADCOUNT_CONFORMANCE_SEED") {
        Ok(seed) => seed.parse().expect("HEADCOUNT_CONFORMANCE_SEED is a number"),
        Err(_) => rand::random(),
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let reached = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("not reached: {what}"));
}

/// What a subscriber hears next.
pub(crate) async fn next(subscription: &mut Subscription) -> Option<Event> {
    tokio::time::timeout(DEADLINE, subscription.recv()).await.expect("something is heard")
}

/// Values of which no order is promised.
pub(crate) fn sorted<T: Ord>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort();
    values
}

/// A value, as replies have it.
#[allow(clippy::unnecessary_wraps)] // so that it can be compared with a reply
pub(crate) fn some(value: &'static (impl AsRef<[u8]> + ?Sized)) -> Option<Bytes> {
    Some(Bytes::from_static(value.as_ref()))
}
