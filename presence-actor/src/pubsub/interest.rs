//! What peers want to hear.

use std::collections::BTreeMap;

use headcount_cluster::Origin;

use super::glob;
use crate::blob::Blob;
use crate::shared::rows::Rows;

/// Whether interest is in one topic or in all that match a pattern. The number is the wire's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// One topic, by its name.
    Topic,
    /// All topics that match a glob.
    Pattern,
}

/// The interest of all peers.
#[derive(Debug)]
pub(crate) struct Interest {
    topics: Rows<BTreeMap<Origin, u32>>,
    patterns: Rows<BTreeMap<Origin, u32>>,
}

impl Interest {
    /// None, in names that are hashed with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { topics: Rows::new(seed), patterns: Rows::new(seed) }
    }

    fn of(&mut self, kind: Kind) -> &mut Rows<BTreeMap<Origin, u32>> {
        match kind {
            Kind::Topic => &mut self.topics,
            Kind::Pattern => &mut self.patterns,
        }
    }

    /// Takes note of a peer's number of subscribers.
    pub(crate) fn set(&mut self, peer: Origin, kind: Kind, name: &[u8], subscribers: u32) {
        let rows = self.of(kind);
        if subscribers > 0 {
            rows.get_or_insert_with(name, BTreeMap::new).insert(peer, subscribers);
        } else if let Some(peers) = rows.get_mut(name) {
            peers.remove(&peer);
            if peers.is_empty() {
                rows.remove(name);
            }
        }
    }

    /// Forgets a peer.
    pub(crate) fn forget(&mut self, peer: Origin) {
        for rows in [&mut self.topics, &mut self.patterns] {
            rows.retain(|_, peers| {
                peers.remove(&peer);
                !peers.is_empty()
            });
        }
    }

    /// The peers that want messages of a topic, and how many subscriptions each has that match.
    pub(crate) fn wanting(&self, topic: &[u8]) -> BTreeMap<Origin, u32> {
        let mut wanting = self.topics.get(topic).cloned().unwrap_or_default();
        for (pattern, peers) in self.patterns.iter() {
            if glob::matches(pattern, topic) {
                for (peer, subscribers) in peers {
                    *wanting.entry(*peer).or_default() += subscribers;
                }
            }
        }
        wanting
    }

    /// Whether nobody wants anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.patterns.is_empty()
    }

    /// Topics that a peer is subscribed to, by name.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Blob> {
        self.topics.keys()
    }
}
