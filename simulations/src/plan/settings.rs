//! What a plan's nodes are configured with: the settings that a history depends on, and that are worth drawing.

use std::time::Duration;

use headcount::Config;
use serde::{Deserialize, Serialize};

/// The configuration of a plan's nodes. What is not here has its production default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How long a silent node may come back.
    pub grace_ms: u64,
    /// How often nodes gossip.
    pub gossip_ms: u64,
    /// Who must agree before a key's home serves.
    pub home_requires: HomeRequires,
    /// What logs are kept at most; little makes snapshots frequent.
    pub oplog_bytes: usize,
    /// What waits for a subscriber at most, and for a watcher.
    pub subscriber_queue: usize,
    /// What waits for a peer's link at most, messages only.
    pub peer_queue_bytes: usize,
    /// What keys and rows may take.
    pub max_memory_bytes: usize,
    /// Subscriptions on one node at most.
    pub max_subscriptions: usize,
    /// Calls to keys' homes that one node has open at most.
    pub max_homed_calls: usize,
    /// Blocked pops of one node at most.
    pub max_blocked_pops: usize,
    /// The time a message usually takes between two machines, in milliseconds.
    pub latency_ms: (u32, u32),
}

/// As [`headcount::HomeRequires`], for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum HomeRequires {
    Any,
    Majority,
}

impl Default for Settings {
    fn default() -> Self {
        let config = Config::default();
        Self {
            grace_ms: config.grace.as_millis() as u64,
            gossip_ms: config.gossip_interval.as_millis() as u64,
            home_requires: HomeRequires::Any,
            oplog_bytes: config.limits.oplog_bytes,
            subscriber_queue: config.limits.subscriber_queue,
            peer_queue_bytes: config.limits.peer_queue_bytes,
            max_memory_bytes: config.limits.max_memory_bytes,
            max_subscriptions: config.limits.max_subscriptions,
            max_homed_calls: config.limits.max_homed_calls,
            max_blocked_pops: config.limits.max_blocked_pops,
            latency_ms: (1, 10),
        }
    }
}

impl Settings {
    /// A node's configuration.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        config.grace = Duration::from_millis(self.grace_ms);
        config.gossip_interval = Duration::from_millis(self.gossip_ms);
        config.home_requires = match self.home_requires {
            HomeRequires::Any => headcount::HomeRequires::Any,
            HomeRequires::Majority => headcount::HomeRequires::Majority,
        };
        config.limits.oplog_bytes = self.oplog_bytes;
        config.limits.subscriber_queue = self.subscriber_queue;
        config.limits.watcher_queue = self.subscriber_queue;
        config.limits.peer_queue_bytes = self.peer_queue_bytes;
        config.limits.max_memory_bytes = self.max_memory_bytes;
        config.limits.max_subscriptions = self.max_subscriptions;
        config.limits.max_homed_calls = self.max_homed_calls;
        config.limits.max_blocked_pops = self.max_blocked_pops;
        config
    }
}
