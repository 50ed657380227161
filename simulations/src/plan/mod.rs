//! What happens in a world, as data: which nodes there are, what goes wrong and what clients ask, each at its time.
//!
//! A plan is complete: played twice it gives the same history, so it can be written to a file, handed on, replayed and made smaller.
//! Nothing is drawn while it plays. Plans come from a scenario and a seed; what a seed draws is decided there and not here. Invariants:
//! steps are in the order of their times, all of them before `storm_ms`; and a plan that ends with faults is healed by whoever plays
//! it, so that every history ends with a calm in which all must come to rest. [`Plan::check`] says whether a plan from elsewhere keeps them.

mod ask;
mod fault;
mod settings;
mod soundness;

use serde::{Deserialize, Serialize};

pub use ask::{Ask, Via};
pub use fault::{Fault, FaultKind};
pub use settings::{HomeRequires, Settings};

/// A world's nodes and all that happens to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The scenario that it was made by.
    pub scenario: String,
    /// What decides everything that is left to chance while it plays: delays, losses, jitter.
    pub seed: u64,
    /// How many nodes there are, 1 or more. They are numbered from 0; the first three are everybody's seeds.
    pub nodes: usize,
    /// What all nodes are configured with.
    pub settings: Settings,
    /// When clients and faults end, in milliseconds of virtual time since the beginning.
    pub storm_ms: u64,
    /// How long nodes then have to come to rest.
    pub calm_ms: u64,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// When, in the calm, what clients still wait for is given up, and every node is asked a fixed set.
    pub(crate) fn calm_asks_at(&self) -> u64 {
        self.storm_ms + self.calm_ms / 2
    }
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When, in milliseconds since the beginning.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Something goes wrong, or ends going wrong.
    Fault(Fault),
    /// A client asks something of a node.
    Ask {
        /// The client. A client asks one thing after the other, on one node at a time.
        client: u32,
        /// The node.
        node: usize,
        /// What.
        ask: Ask,
    },
}

impl Plan {
    /// The faults, in order.
    pub fn faults(&self) -> impl Iterator<Item = (u64, &Fault)> {
        self.steps.iter().filter_map(|step| match &step.event {
            Event::Fault(fault) => Some((step.at_ms, fault)),
            Event::Ask { .. } => None,
        })
    }
}
