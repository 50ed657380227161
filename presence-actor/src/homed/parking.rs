//! Commands that wait until this node may serve, in the order in which they came.

use std::collections::BTreeMap;

use headcount_cluster::Origin;

use super::home::Asked;
use crate::limits::{MAX_PARKED_BYTES, MAX_PARKED_COMMANDS};

/// A command that waits.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) caller: Origin,
    pub(super) asked: Asked,
}

#[derive(Debug, Default)]
pub(super) struct Parking {
    by_arrival: BTreeMap<u64, Parked>,
    by_call: BTreeMap<(Origin, u64), u64>,
    bytes: usize,
    arrivals: u64,
}

impl Parking {
    pub(super) fn len(&self) -> usize {
        self.by_arrival.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_arrival.is_empty()
    }

    pub(super) fn contains(&self, caller: Origin, number: u64) -> bool {
        self.by_call.contains_key(&(caller, number))
    }

    /// Whether there is room for another.
    pub(super) fn has_room(&self, asked: &Asked) -> bool {
        self.len() < MAX_PARKED_COMMANDS && (self.is_empty() || self.bytes + asked.command.bytes() <= MAX_PARKED_BYTES)
    }

    pub(super) fn add(&mut self, caller: Origin, asked: Asked) {
        self.bytes += asked.command.bytes();
        self.arrivals += 1;
        self.by_call.insert((caller, asked.number), self.arrivals);
        self.by_arrival.insert(self.arrivals, Parked { caller, asked });
    }

    /// The oldest that `can_go`.
    pub(super) fn first(&self, can_go: impl Fn(&Parked) -> bool) -> Option<(Origin, u64)> {
        let first = self.by_arrival.values().find(|parked| can_go(parked));
        first.map(|parked| (parked.caller, parked.asked.number))
    }

    pub(super) fn take(&mut self, caller: Origin, number: u64) -> Option<Parked> {
        let arrival = self.by_call.remove(&(caller, number))?;
        let parked = self.by_arrival.remove(&arrival)?;
        self.bytes -= parked.asked.command.bytes();
        Some(parked)
    }

    pub(super) fn drop_caller(&mut self, caller: Origin) {
        let calls = self.by_call.range((caller, 0)..=(caller, u64::MAX)).map(|((_, number), _)| *number);
        for number in calls.collect::<Vec<u64>>() {
            self.take(caller, number);
        }
    }
}
