//! Commands that wait until this node may serve, in the order in which they came.

use std::collections::BTreeMap;

use headcount_cluster::Origin;

use super::home::Asked;

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

    pub(super) fn add(&mut self, caller: Origin, asked: Asked) {
        self.arrivals += 1;
        self.by_call.insert((caller, asked.number), self.arrivals);
        self.by_arrival.insert(self.arrivals, Parked { caller, asked });
    }

    /// The oldest whose caller `is_there`.
    pub(super) fn first(&self, is_there: impl Fn(Origin) -> bool) -> Option<(Origin, u64)> {
        let first = self.by_arrival.values().find(|parked| is_there(parked.caller));
        first.map(|parked| (parked.caller, parked.asked.number))
    }

    pub(super) fn take(&mut self, caller: Origin, number: u64) -> Option<Parked> {
        let arrival = self.by_call.remove(&(caller, number))?;
        self.by_arrival.remove(&arrival)
    }

    pub(super) fn drop_caller(&mut self, caller: Origin) {
        let calls = self.by_call.range((caller, 0)..=(caller, u64::MAX)).map(|((_, number), _)| *number);
        for number in calls.collect::<Vec<u64>>() {
            self.take(caller, number);
        }
    }
}
