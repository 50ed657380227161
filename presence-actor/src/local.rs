//! Presence without a cluster: the same core with zero peers.
//!
//! For tests, for a single server, and for code that should not know the difference. It needs no runtime and no task: deadlines are
//! kept by hiding expired keys from readers and by removing them when something is written.

use std::sync::Arc;

use headcount_cluster::{SystemClock, WallClock};

use crate::handle::{ClusterPresence, HasHandle, Shared};
use crate::limits::Limits;
use crate::state::State;

/// A presence of this process alone.
///
/// ```
/// use headcount_presence::{LocalPresence, Presence};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let presence = LocalPresence::new();
/// presence.sadd("lobby", ["alice", "bob"]).await?;
/// assert_eq!(presence.scard("lobby").await?, 2);
/// # Ok::<(), headcount_presence::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct LocalPresence {
    handle: ClusterPresence,
}

impl LocalPresence {
    /// With the default caps and the system's clock.
    pub fn new() -> Self {
        Self::with(Limits::default(), Arc::new(SystemClock))
    }

    /// With caps and a clock of the caller's.
    pub fn with(limits: Limits, clock: Arc<dyn WallClock>) -> Self {
        Self { handle: ClusterPresence::new(&Shared::unattended(State::local(limits, random_seed()), clock)) }
    }
}

impl Default for LocalPresence {
    fn default() -> Self {
        Self::new()
    }
}

impl HasHandle for LocalPresence {
    fn handle(&self) -> &ClusterPresence {
        &self.handle
    }

    fn with_handle(&self, handle: ClusterPresence) -> Self {
        Self { handle }
    }
}

/// A process alone is its own shell: nothing else could give it randomness.
#[allow(clippy::disallowed_methods)]
fn random_seed() -> u64 {
    rand::random()
}
