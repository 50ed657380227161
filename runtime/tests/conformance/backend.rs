//! What the suite has to know of a backend.

use headcount::{Limits, Presence};

use crate::differs::Differs;

/// A backend with one node or several, started for one case and stopped with it.
pub(crate) trait Backend: Sized + Send + Sync + 'static {
    type Presence: Presence;

    /// The head of its column in the README.
    #[cfg(feature = "redis")]
    const NAME: &'static str;
    const DIFFERS: Differs;

    /// Starts its nodes; they have met and are ready.
    async fn start(limits: Limits) -> Self;

    /// A handle for each node that lives. What is written through it is on all nodes when the call returns.
    fn nodes(&self) -> Vec<Self::Presence>;

    /// A handle for each node, whose writes wait for nobody.
    fn hasty(&self) -> Vec<Self::Presence> {
        self.nodes()
    }

    /// Lets the last node leave in an orderly way. Returns a handle to it.
    async fn leave(&mut self) -> Self::Presence;

    /// Lets the last node die.
    async fn crash(&mut self);
}
