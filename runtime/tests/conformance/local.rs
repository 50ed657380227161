//! `LocalPresence`: one node without a cluster.

use std::sync::Arc;

use headcount::{Limits, LocalPresence};
use headcount_cluster::SystemClock;

use crate::backend::Backend;
use crate::differs::{
    Acknowledges, Addresses, Counts, Differs, Exchanges, Homed, Owned, OwnedElements, Waits, Watches, Writes,
};

pub(crate) struct Local(LocalPresence);

impl Backend for Local {
    type Presence = LocalPresence;

    #[cfg(feature = "redis")]
    const NAME: &'static str = "Local";
    const DIFFERS: Differs = Differs {
        writes: Writes::InTurn,
        counts: Counts::Unique,
        exchanges: Exchanges::Unique,
        waits: Waits::InPlace,
        homed: Homed::Nothing,
        acknowledges: Acknowledges::Nobody,
        addresses: Addresses::Subscriptions,
        owned: Owned::Alone,
        owned_elements: OwnedElements::Yes,
        watches: Watches::Yes,
        caps_memory: true,
    };

    async fn start(limits: Limits) -> Self {
        Self(LocalPresence::with(limits, Arc::new(SystemClock)))
    }

    fn nodes(&self) -> Vec<LocalPresence> {
        vec![self.0.clone()]
    }

    async fn leave(&mut self) -> LocalPresence {
        panic!("it is as long as its process: Owned::Alone")
    }

    async fn crash(&mut self) {
        panic!("it is as long as its process: Owned::Alone")
    }
}
