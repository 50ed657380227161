//! Blocking pops: they wait at the homes of their keys, and elements go to who has waited longest.
//!
//! A home that has an element *offers* it to the first who waits; the caller then comes and takes it by a pop like any other, so all that
//! is said of pops holds here too. With keys of several homes a caller hears from each, takes the offer for the first of its keys that has one, and
//! withdraws elsewhere. When homes change the caller registers with the new ones, and its place in the line goes with it,
//! because the line is ordered by when the waiting began.

use std::collections::{BTreeMap, BTreeSet};

use futures::channel::oneshot;
use headcount_cluster::{Origin, WallMs};

use super::calls::Hears;
use super::{Answer, Carried, HomedCommand};
use crate::api::Result;
use crate::blob::Blob;
use crate::error::Error;
use crate::limits::MAX_WAITERS_OF_CALLER;
use crate::shared::list::End;
use crate::state::State;
use crate::wire::Frame;

/// A key and an element of it; nothing when the time is over.
pub(crate) type Popped = Option<(Blob, Blob)>;

/// What a home has said to a blocking pop.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Nothing,
    Empty,
    Offered(Blob),
}

/// A home where a blocking pop waits.
#[derive(Debug)]
struct At {
    /// For which of its keys.
    keys: Vec<Blob>,
    said: Said,
}

/// A blocking pop of this node.
#[derive(Debug)]
struct Wait {
    end: End,
    keys: Vec<Blob>,
    since: WallMs,
    homes: BTreeMap<Origin, At>,
    /// The key of which an offered element is being taken.
    claim: Option<Blob>,
    /// The time is over; what a claim under way brings still counts.
    over: bool,
    hears: oneshot::Sender<Result<Popped>>,
}

/// This node's blocking pops.
#[derive(Debug, Default)]
pub(super) struct Waits {
    waits: BTreeMap<u64, Wait>,
    last_number: u64,
}

impl Waits {
    pub(super) fn len(&self) -> usize {
        self.waits.len()
    }
}

impl State {
    /// Begins a blocking pop.
    pub(crate) fn begin_wait(
        &mut self,
        end: End,
        keys: &[&[u8]],
        now: WallMs,
    ) -> Result<(u64, oneshot::Receiver<Result<Popped>>)> {
        self.limits.check_values(if end == End::Left { "blpop" } else { "brpop" }, keys)?;
        keys.iter().try_for_each(|key| self.check_key(key))?;
        self.check_majority()?;
        self.limits.check_blocked_pops(self.homed.waits.waits.len())?;
        let (hears, outcome) = oneshot::channel();
        let waits = &mut self.homed.waits;
        waits.last_number += 1;
        let number = waits.last_number;
        let keys = keys.iter().map(|key| Blob::from(*key)).collect();
        waits
            .waits
            .insert(number, Wait { end, keys, since: now, homes: BTreeMap::new(), claim: None, over: false, hears });
        self.register_wait(number);
        Ok((number, outcome))
    }

    #[cfg(test)]
    pub(crate) fn waited_for(&self, number: u64) -> Vec<Blob> {
        self.homed.waits.waits.get(&number).map(|wait| wait.keys.clone()).unwrap_or_default()
    }

    /// The time of a blocking pop is over.
    pub(crate) fn end_wait(&mut self, number: u64) {
        let Some(wait) = self.homed.waits.waits.get_mut(&number) else { return };
        wait.over = true;
        if wait.claim.is_none() {
            self.finish_wait(number, Ok(None));
        }
    }

    /// Nobody waits for a blocking pop any more.
    pub(crate) fn drop_wait(&mut self, number: u64) {
        self.finish_wait(number, Ok(None));
    }

    /// This node leaves, and nobody waits here any more.
    pub(super) fn close_waits(&mut self) {
        let numbers: Vec<u64> = self.homed.waits.waits.keys().copied().collect();
        for number in numbers {
            self.finish_wait(number, Err(Error::Closed));
        }
        self.homed.waiters = Waiters::default();
    }

    /// Ends a blocking pop; returns what nobody heard.
    fn finish_wait(&mut self, number: u64, outcome: Result<Popped>) -> Option<Result<Popped>> {
        let wait = self.homed.waits.waits.remove(&number)?;
        for home in wait.homes.into_keys() {
            self.send_homed(home, Frame::EndWait { number });
        }
        self.unsettle();
        wait.hears.send(outcome).err()
    }

    /// Registers blocking pops with homes that do not know of them, and takes them back from former ones.
    pub(super) fn register_waits(&mut self) {
        let numbers: Vec<u64> = self.homed.waits.waits.keys().copied().collect();
        for number in numbers {
            self.register_wait(number);
        }
    }

    fn register_wait(&mut self, number: u64) {
        let Some(wait) = self.homed.waits.waits.get(&number) else { return };
        let since = wait.since;
        let mut keys_of: BTreeMap<Origin, Vec<Blob>> = BTreeMap::new();
        for key in &wait.keys {
            keys_of.entry(self.home_of(key)).or_default().push(key.clone());
        }
        let former: Vec<Origin> = wait.homes.keys().filter(|home| !keys_of.contains_key(home)).copied().collect();
        keys_of.retain(|home, keys| wait.homes.get(home).is_none_or(|at| at.keys != *keys));
        for home in former {
            self.send_homed(home, Frame::EndWait { number });
            if let Some(wait) = self.homed.waits.waits.get_mut(&number) {
                wait.homes.remove(&home);
            }
        }
        for (home, keys) in keys_of {
            let sent = self.send_homed(home, Frame::Wait { number, keys: keys.clone(), since });
            if let (true, Some(wait)) = (sent, self.homed.waits.waits.get_mut(&number)) {
                wait.homes.insert(home, At { keys, said: Said::Nothing });
            }
        }
    }

    /// What a peer was told of blocking pops may be lost.
    pub(super) fn forget_wait_home(&mut self, home: Origin) {
        for wait in self.homed.waits.waits.values_mut() {
            wait.homes.remove(&home);
        }
    }

    /// A home offers an element, or says that there is none yet.
    pub(super) fn handle_offer(&mut self, from: Origin, number: u64, key: Option<Blob>) {
        let Some(wait) = self.homed.waits.waits.get_mut(&number) else {
            self.send_homed(from, Frame::EndWait { number });
            return;
        };
        if let Some(at) = wait.homes.get_mut(&from) {
            at.said = key.map_or(Said::Empty, Said::Offered);
            self.claim_offer(number);
        }
    }

    /// Takes the offer for the first key that has one, once the homes of the keys before it have said that they have none.
    fn claim_offer(&mut self, number: u64) {
        let Some(wait) = self.homed.waits.waits.get(&number).filter(|wait| wait.claim.is_none()) else { return };
        let mut claimed = None;
        for key in &wait.keys {
            match wait.homes.get(&self.home_of(key)).map(|at| &at.said) {
                Some(Said::Nothing) => return,
                Some(Said::Offered(offered)) if offered == key => {
                    claimed = Some((wait.end, key.clone()));
                    break;
                }
                Some(Said::Offered(_) | Said::Empty) | None => {}
            }
        }
        let Some((end, key)) = claimed else { return };
        if let Some(wait) = self.homed.waits.waits.get_mut(&number) {
            wait.claim = Some(key.clone());
        }
        self.begin_call(HomedCommand::Pop { end, key, wait: Some(number) }, Hears::Wait(number));
    }

    /// How the claim of a blocking pop went. Returns what nobody heard.
    pub(super) fn wait_claimed(&mut self, number: u64, outcome: Result<Carried>) -> Option<Result<Carried>> {
        let Some(wait) = self.homed.waits.waits.get_mut(&number) else { return Some(outcome) };
        let Some(key) = wait.claim.take() else { return Some(outcome) };
        let (over, home) = (wait.over, self.home_of(&key));
        let wait = self.homed.waits.waits.get_mut(&number)?;
        match outcome {
            Ok(Carried { answer: Answer::Value(value), dot }) => {
                let unheard = self.finish_wait(number, Ok(Some((key, value.clone()))));
                return unheard.map(|_| Ok(Carried { answer: Answer::Value(value), dot }));
            }
            Err(error) if !matches!(error, Error::TryAgain(_)) => drop(self.finish_wait(number, Err(error))),
            Ok(_) | Err(_) if over => drop(self.finish_wait(number, Ok(None))),
            // Somebody took it without waiting, or another home carried the claim out: the place in the line is taken anew.
            Ok(_) => {
                wait.homes.remove(&home);
                self.register_wait(number);
            }
            // Not at once: who was too busy still is. Nor is a place kept there, which may be the home no more when it is tried again.
            Err(_) => {
                wait.homes.remove(&home);
                self.send_homed(home, Frame::EndWait { number });
            }
        }
        None
    }
}

/// When a caller began to wait, and which wait of its it is: the order of a line.
type Turn = (WallMs, Origin, u64);

#[derive(Debug)]
struct Waiter {
    keys: Vec<Blob>,
    since: WallMs,
    /// The key of which an element is offered to it.
    offered: Option<Blob>,
}

/// The blocking pops of all callers that wait at this node, as their keys' home.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    by_call: BTreeMap<(Origin, u64), Waiter>,
    of_caller: BTreeMap<Origin, usize>,
    lines: BTreeMap<Blob, BTreeSet<Turn>>,
}

impl Waiters {
    fn add(&mut self, caller: Origin, number: u64, keys: &[Blob], since: WallMs) {
        for key in keys {
            self.lines.entry(key.clone()).or_default().insert((since, caller, number));
        }
        *self.of_caller.entry(caller).or_default() += 1;
        self.by_call.insert((caller, number), Waiter { keys: keys.to_vec(), since, offered: None });
    }

    /// Takes a waiter out of its lines; returns their keys.
    fn remove(&mut self, caller: Origin, number: u64) -> Vec<Blob> {
        let Some(waiter) = self.by_call.remove(&(caller, number)) else { return Vec::new() };
        if let Some(count) = self.of_caller.get_mut(&caller) {
            *count -= 1;
            if *count == 0 {
                self.of_caller.remove(&caller);
            }
        }
        for key in &waiter.keys {
            if let Some(line) = self.lines.get_mut(key) {
                line.remove(&(waiter.since, caller, number));
                if line.is_empty() {
                    self.lines.remove(key);
                }
            }
        }
        waiter.keys
    }

    fn has_room_for(&self, caller: Origin) -> bool {
        self.of_caller.get(&caller).is_none_or(|count| *count < MAX_WAITERS_OF_CALLER)
    }

    fn of_caller(&self, caller: Origin) -> Vec<u64> {
        self.by_call.range((caller, 0)..=(caller, u64::MAX)).map(|((_, number), _)| *number).collect()
    }

    fn is_awaited(&self, key: &Blob) -> bool {
        self.lines.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.by_call.len()
    }
}

impl State {
    /// A caller wants to wait here.
    pub(super) fn handle_wait(&mut self, caller: Origin, number: u64, keys: &[Blob], since: WallMs, now: WallMs) {
        self.remove_waiter(caller, number, now);
        if !self.homed.waiters.has_room_for(caller) {
            return;
        }
        self.keyspace.awaited.extend(keys.iter().cloned());
        self.homed.waiters.add(caller, number, keys, since);
        for key in keys {
            if self.list(key, now).is_err() {
                // It comes for it, and hears what is wrong.
                self.offer_to(caller, number, key);
                return;
            }
            self.offer(key, now);
        }
        if self.homed.waiters.by_call.get(&(caller, number)).is_some_and(|waiter| waiter.offered.is_none()) {
            self.send_homed(caller, Frame::Offer { number, key: None });
        }
    }

    /// A caller does not wait here any more.
    pub(super) fn remove_waiter(&mut self, caller: Origin, number: u64, now: WallMs) {
        for key in self.homed.waiters.remove(caller, number) {
            if !self.homed.waiters.is_awaited(&key) {
                self.keyspace.awaited.remove(&key);
            }
            self.offer(&key, now);
        }
    }

    pub(super) fn remove_waiters_of(&mut self, caller: Origin, now: WallMs) {
        for number in self.homed.waiters.of_caller(caller) {
            self.remove_waiter(caller, number, now);
        }
    }

    /// Offers a key's elements to those who have waited longest.
    pub(super) fn offer(&mut self, key: &Blob, now: WallMs) {
        let Some(line) = self.homed.waiters.lines.get(key) else { return };
        let list = self.list(key, now).ok().flatten();
        let mut free = list.map_or(0, |list| list.len(&self.origins));
        let mut chosen = Vec::new();
        for (_, caller, number) in line {
            if free == 0 {
                break;
            }
            if !self.is_there(*caller) {
                continue;
            }
            let offered =
                self.homed.waiters.by_call.get(&(*caller, *number)).and_then(|waiter| waiter.offered.as_ref());
            match offered {
                None => chosen.push((*caller, *number)),
                Some(offered) if offered == key => {}
                Some(_) => continue,
            }
            free -= 1;
        }
        for (caller, number) in chosen {
            self.offer_to(caller, number, key);
        }
    }

    fn offer_to(&mut self, caller: Origin, number: u64, key: &Blob) {
        if let Some(waiter) = self.homed.waiters.by_call.get_mut(&(caller, number)) {
            waiter.offered = Some(key.clone());
            self.send_homed(caller, Frame::Offer { number, key: Some(key.clone()) });
        }
    }

    /// A waiter came for what it was offered. Returns to its place in the line when there was nothing any more. A claim of before, which the caller has
    /// forgotten, does not cost a place that was taken anew and that nothing is offered to.
    pub(super) fn waiter_came(&mut self, caller: Origin, number: u64, taken: bool, now: WallMs) {
        if taken {
            let waiter = self.homed.waiters.by_call.get(&(caller, number));
            if waiter.is_some_and(|waiter| waiter.offered.is_some()) {
                self.remove_waiter(caller, number, now);
            }
        } else if let Some(waiter) = self.homed.waiters.by_call.get_mut(&(caller, number)) {
            waiter.offered = None;
            for key in waiter.keys.clone() {
                self.offer(&key, now);
            }
        }
    }
}
