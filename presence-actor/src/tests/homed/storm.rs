//! Everything at once, at random: whatever comes together, no element is delivered twice, none is lost, and nothing hangs.
//!
//! Three nodes share three lists, each at home on another node, while frames arrive one by one or not, links break, nodes stop, are
//! thought Down and come back, clocks are set, callers give up and histories are cut. Then all is well again for a while, and what
//! was pushed is counted. What may happen is a storm's [`Weather`], because what is promised depends on it.

use std::collections::BTreeSet;

use headcount_cluster::WallMs;

use super::steps::ROUND_MS;
use super::*;
use crate::homed::Homed;

const NODES: usize = 3;
/// Gossip rounds after which all must have come right.
const CALM_ROUNDS: usize = 90;

/// What may happen, besides commands and frames that take their time.
#[derive(Debug, Clone, Copy)]
struct Weather {
    home_requires: HomeRequires,
    /// Links break, nodes stop, are thought Down and come back.
    nodes_fail: bool,
    clocks_are_set: bool,
}

const MAJORITY: Weather = Weather { home_requires: HomeRequires::Majority, nodes_fail: true, clocks_are_set: false };
const MAJORITY_AND_CLOCKS: Weather = Weather { clocks_are_set: true, ..MAJORITY };
const ANY: Weather = Weather { home_requires: HomeRequires::Any, nodes_fail: true, clocks_are_set: false };
const ANY_AND_STABLE: Weather = Weather { nodes_fail: false, ..ANY };

impl Weather {
    /// Whether elements are delivered at most once.
    fn delivers_once(self) -> bool {
        self.home_requires == HomeRequires::Majority || !self.nodes_fail
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Push {
        node: usize,
        list: usize,
    },
    Pop {
        node: usize,
        list: usize,
    },
    Wait {
        node: usize,
        first: usize,
        second: usize,
    },
    /// One of the calls is given up.
    GiveUp {
        call: usize,
    },
    /// The future of one of the blocked pops is dropped.
    DropWait {
        wait: usize,
    },
    /// The time of one of the blocked pops is over.
    EndWait {
        wait: usize,
    },
    Carry {
        from: usize,
        to: usize,
        frames: usize,
    },
    /// A few frames go everywhere.
    CarryAll,
    Believe {
        node: usize,
        other: usize,
        up: bool,
    },
    Cut {
        a: usize,
        b: usize,
    },
    Link {
        a: usize,
        b: usize,
    },
    Round {
        node: usize,
    },
    Pass {
        ms: u64,
    },
    SetClock {
        node: usize,
        ahead_ms: i64,
    },
    Stop {
        node: usize,
    },
    GoOn {
        node: usize,
    },
    /// Whoever needs the others' history from this node needs a snapshot.
    CutHistory {
        node: usize,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let (node, list) = (0..NODES, 0..NODES);
    let pair = (node.clone(), node.clone());
    let on_list = (node.clone(), list.clone());
    let ahead_ms = prop_oneof![Just(-100_000_i64), Just(100_000), Just(0)];
    prop_oneof![
        4 => on_list.clone().prop_map(|(node, list)| Event::Push { node, list }),
        5 => on_list.prop_map(|(node, list)| Event::Pop { node, list }),
        4 => (node.clone(), list.clone(), list).prop_map(|(node, first, second)| Event::Wait { node, first, second }),
        2 => (0..64_usize).prop_map(|call| Event::GiveUp { call }),
        1 => (0..64_usize).prop_map(|wait| Event::DropWait { wait }),
        1 => (0..64_usize).prop_map(|wait| Event::EndWait { wait }),
        24 => (pair.clone(), 1..4_usize).prop_map(|((from, to), frames)| Event::Carry { from, to, frames }),
        6 => Just(Event::CarryAll),
        4 => (pair.clone(), any::<bool>()).prop_map(|((node, other), up)| Event::Believe { node, other, up }),
        1 => pair.clone().prop_map(|(a, b)| Event::Cut { a, b }),
        3 => pair.prop_map(|(a, b)| Event::Link { a, b }),
        8 => node.clone().prop_map(|node| Event::Round { node }),
        4 => (1..400_u64).prop_map(|ms| Event::Pass { ms }),
        1 => (node.clone(), ahead_ms).prop_map(|(node, ahead_ms)| Event::SetClock { node, ahead_ms }),
        1 => node.clone().prop_map(|node| Event::Stop { node }),
        1 => node.clone().prop_map(|node| Event::GoOn { node }),
        1 => node.prop_map(|node| Event::CutHistory { node }),
    ]
}

/// A blocked pop, until its future is dropped.
struct Blocked {
    node: usize,
    number: u64,
    outcome: Option<oneshot::Receiver<Result<Popped>>>,
}

struct Storm {
    weather: Weather,
    world: World,
    /// A list at home on each node.
    lists: Vec<String>,
    /// How far each node's clock is ahead of the world's.
    ahead_ms: [i64; NODES],
    stopped: [bool; NODES],
    calls: Vec<(usize, Call)>,
    blocked: Vec<Blocked>,
    /// Elements are numbered from one.
    pushed: usize,
    delivered: Vec<Blob>,
}

impl Storm {
    fn new(weather: Weather) -> Self {
        let limits = Limits { home_requires: weather.home_requires, ..Limits::default() };
        let world = World::with(NODES, &limits);
        Self {
            weather,
            lists: (0..NODES).map(|home| world.key_of(home)).collect(),
            world,
            ahead_ms: [0; NODES],
            stopped: [false; NODES],
            calls: Vec::new(),
            blocked: Vec::new(),
            pushed: 0,
            delivered: Vec::new(),
        }
    }

    /// Something happens by the clock of a node.
    fn by_clock_of<T>(&mut self, node: usize, act: impl FnOnce(&mut World) -> T) -> T {
        let now = self.world.now;
        self.world.now = WallMs(now.0.saturating_add_signed(self.ahead_ms[node]));
        let done = act(&mut self.world);
        self.world.now = now;
        done
    }

    /// Whether an event makes sense here, and this weather allows it.
    fn can_happen(&self, event: Event) -> bool {
        let Weather { nodes_fail, clocks_are_set, .. } = self.weather;
        match event {
            Event::Push { node, .. }
            | Event::Pop { node, .. }
            | Event::Wait { node, .. }
            | Event::CutHistory { node } => !self.stopped[node],
            Event::SetClock { node, .. } => clocks_are_set && !self.stopped[node],
            Event::GiveUp { .. } => !self.calls.is_empty(),
            Event::DropWait { .. } | Event::EndWait { .. } => !self.blocked.is_empty(),
            Event::Carry { from, to, .. } => from != to,
            Event::Believe { node: a, other: b, .. } | Event::Cut { a, b } | Event::Link { a, b } => {
                nodes_fail && a != b
            }
            Event::Pass { .. } | Event::Stop { .. } | Event::GoOn { .. } => nodes_fail,
            Event::CarryAll | Event::Round { .. } => true,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Push { node, list } => self.push(node, list),
            Event::Pop { node, list } => self.pop(node, list),
            Event::Wait { node, first, second } => self.wait(node, first, second),
            Event::GiveUp { call } => self.give_up(call % self.calls.len()),
            Event::DropWait { wait } => self.drop_wait(wait % self.blocked.len()),
            Event::EndWait { wait } => self.end_wait(wait % self.blocked.len()),
            Event::Carry { from, to, frames } => self.carry(&[(from, to)], frames),
            Event::CarryAll => self.carry_all(3),
            Event::Believe { node, other, up } => self.by_clock_of(node, |world| world.believe(node, other, up)),
            Event::Cut { a, b } => {
                self.world.cut(a, b);
                self.settle(&[a, b]);
            }
            Event::Link { a, b } => {
                self.world.link(a, b);
                self.settle(&[a, b]);
            }
            Event::Round { node } => self.round(node),
            Event::Pass { ms } => self.world.now = self.world.now.plus_ms(ms),
            Event::SetClock { node, ahead_ms } => self.ahead_ms[node] = ahead_ms,
            Event::Stop { node } => self.stopped[node] = true,
            Event::GoOn { node } => self.stopped[node] = false,
            Event::CutHistory { node } => self.cut_history(node),
        }
    }

    fn push(&mut self, node: usize, list: usize) {
        self.pushed += 1;
        let (name, element) = (self.lists[list].clone(), self.pushed.to_string());
        self.by_clock_of(node, |world| world.push(node, &name, &[&element]));
    }

    fn pop(&mut self, node: usize, list: usize) {
        let command = pop(&self.lists[list]);
        let call = self.by_clock_of(node, |world| world.call(node, command));
        self.calls.push((node, call));
    }

    fn wait(&mut self, node: usize, first: usize, second: usize) {
        let names = [self.lists[first].clone(), self.lists[second].clone()];
        let begun = self.by_clock_of(node, |world| world.try_wait(node, &[&names[0], &names[1]]));
        self.blocked.extend(begun.map(|(number, outcome)| Blocked { node, number, outcome: Some(outcome) }));
    }

    fn give_up(&mut self, index: usize) {
        let (node, call) = &mut self.calls[index];
        let node = *node;
        if self.stopped[node] || call.outcome().is_some() {
            return;
        }
        let call = std::mem::replace(call, Call::Ended(Err(Error::Closed)));
        let told = self.by_clock_of(node, |world| world.give_up(node, call));
        self.calls[index].1 = Call::Ended(Err(told));
    }

    fn drop_wait(&mut self, index: usize) {
        let Blocked { node, number, outcome } = &mut self.blocked[index];
        let (node, number) = (*node, *number);
        if self.stopped[node] {
            return;
        }
        let Some(mut outcome) = outcome.take() else { return };
        if let Ok(Some(got)) = outcome.try_recv() {
            self.delivered.extend(got.ok().flatten().map(|(_, element)| element));
            return;
        }
        drop(outcome);
        self.by_clock_of(node, |world| world.nodes[node].drop_wait(number));
        self.settle(&[node]);
    }

    fn end_wait(&mut self, index: usize) {
        let Blocked { node, number, .. } = self.blocked[index];
        if !self.stopped[node] {
            self.world.nodes[node].end_wait(number);
            self.settle(&[node]);
        }
    }

    /// Carries one frame of each class between these pairs, unless one of the two is stopped, and again, up to so many times.
    fn carry(&mut self, pairs: &[(usize, usize)], times: usize) {
        for _ in 0..times {
            let mut moved = false;
            for (from, to) in pairs {
                if self.stopped[*from] || self.stopped[*to] {
                    continue;
                }
                moved |= self.by_clock_of(*to, |world| world.hand_one(*from, *to));
            }
            if !moved {
                return;
            }
        }
    }

    fn carry_all(&mut self, times: usize) {
        self.carry(&self.world.pairs(), times);
    }

    /// A gossip round takes its time also where nobody gossips. Without faults, frames are never late by more than rounds allow.
    fn round(&mut self, node: usize) {
        self.world.now = self.world.now.plus_ms(if self.weather.nodes_fail { 100 } else { 70 });
        if !self.stopped[node] {
            self.by_clock_of(node, |world| world.gossip_unheard(&[node]));
        }
    }

    fn cut_history(&mut self, node: usize) {
        let node = &mut self.world.nodes[node];
        for ix in node.origins.indices() {
            if ix != node.me {
                node.origins.get_mut(ix).log.clear();
            }
        }
    }

    fn settle(&mut self, nodes: &[usize]) {
        for node in nodes {
            self.by_clock_of(*node, |world| world.settle_calls(*node));
        }
    }

    /// All nodes go on, are linked and think each other Up for long enough. Clocks stay as they are.
    fn calm(&mut self) {
        self.stopped = [false; NODES];
        for (a, b) in self.world.pairs() {
            self.by_clock_of(a, |world| world.believe(a, b, true));
        }
        for (a, b) in self.world.pairs() {
            self.world.link(a, b);
        }
        for _ in 0..CALM_ROUNDS {
            self.world.now = self.world.now.plus_ms(ROUND_MS);
            for node in 0..NODES {
                self.by_clock_of(node, |world| {
                    world.gossip_unheard(&[node]);
                    let now = world.now;
                    while world.nodes[node].work(now) {}
                });
            }
            self.carry_all(200);
        }
    }

    /// What callers and blocked pops got. Returns the blocked pops that are still blocked, as their node and number.
    fn collect(&mut self) -> Vec<(usize, u64)> {
        for (_, call) in &mut self.calls {
            let Some(outcome) = call.outcome() else { panic!("a call hangs: {:#?}", homed(&self.world)) };
            if let Ok(Answer::Value(element)) = outcome {
                self.delivered.push(element);
            }
        }
        let mut still_blocked = Vec::new();
        for Blocked { node, number, outcome } in &mut self.blocked {
            match outcome.as_mut().map(oneshot::Receiver::try_recv) {
                Some(Ok(Some(Ok(Some((_, element)))))) => self.delivered.push(element),
                Some(Ok(None)) => still_blocked.push((*node, *number)),
                Some(Ok(Some(Ok(None) | Err(_))) | Err(_)) | None => {}
            }
        }
        still_blocked
    }

    fn elements(&self) -> Vec<Blob> {
        self.lists.iter().flat_map(|list| self.world.elements(0, list)).map(|element| key(&element)).collect()
    }

    fn assert_each_element_is_somewhere(&self) {
        let somewhere: BTreeSet<Blob> = self.delivered.iter().cloned().chain(self.elements()).collect();
        for element in 1..=self.pushed {
            assert!(somewhere.contains(&key(&element.to_string())), "{element} is lost: {somewhere:?}");
        }
    }

    fn assert_each_element_is_in_one_place(&self) {
        let delivered: BTreeSet<&Blob> = self.delivered.iter().collect();
        assert_eq!(delivered.len(), self.delivered.len(), "delivered twice: {:?}", self.delivered);
        let left = self.elements();
        for element in &left {
            assert!(!delivered.contains(element), "{element:?} was delivered and is still there");
        }
        assert_eq!(delivered.len() + left.len(), self.pushed, "lost: delivered {delivered:?}, left {left:?}");
    }

    fn assert_nothing_hangs(&self, still_blocked: &[(usize, u64)]) {
        for (node, number) in still_blocked {
            for list in self.world.nodes[*node].waited_for(*number) {
                let elements = self.world.elements(0, std::str::from_utf8(&list).unwrap());
                let homed = homed(&self.world);
                assert!(
                    elements.is_empty(),
                    "a blocked pop of {node} hangs beside {elements:?} of {list:?}: {homed:#?}"
                );
            }
        }
    }
}

fn homed(world: &World) -> Vec<&Homed> {
    world.nodes.iter().map(|node| &node.homed).collect()
}

/// Lets it all happen, then calms down and counts.
fn rage(weather: Weather, events: &[Event]) {
    let mut storm = Storm::new(weather);
    for event in events {
        if storm.can_happen(*event) {
            storm.happen(*event);
        }
    }
    storm.calm();
    let still_blocked = storm.collect();
    storm.assert_each_element_is_somewhere();
    if weather.delivers_once() {
        storm.assert_each_element_is_in_one_place();
    }
    storm.assert_nothing_hangs(&still_blocked);
    storm.world.check_invariants();
    storm.world.assert_converged();
}

proptest! {
    #[test]
    fn with_a_majority_required_elements_survive_any_storm_and_are_delivered_once(
        events in prop::collection::vec(event(), 1..300),
    ) {
        rage(MAJORITY, &events);
    }

    #[test]
    fn with_a_majority_required_clocks_that_are_set_change_nothing(events in prop::collection::vec(event(), 1..300)) {
        rage(MAJORITY_AND_CLOCKS, &events);
    }

    #[test]
    fn without_a_majority_elements_survive_any_storm(events in prop::collection::vec(event(), 1..300)) {
        rage(ANY, &events);
    }

    #[test]
    fn while_nodes_neither_fail_nor_stop_elements_are_delivered_once(events in prop::collection::vec(event(), 1..300)) {
        rage(ANY_AND_STABLE, &events);
    }
}

/// Found by a storm: the home was told of the end only once, and a link that broke just then left the call open for ever.
#[test]
fn a_call_that_is_given_up_between_answer_and_confirmation_ends() {
    rage(
        MAJORITY_AND_CLOCKS,
        &[
            Event::Pop { node: 2, list: 1 },
            Event::Pop { node: 2, list: 1 },
            Event::Carry { from: 2, to: 1, frames: 2 },
            Event::Wait { node: 0, first: 0, second: 1 },
            Event::Push { node: 1, list: 1 },
            Event::CarryAll,
            Event::Cut { a: 1, b: 2 },
            Event::Pop { node: 0, list: 0 },
            Event::CarryAll,
            Event::GiveUp { call: 21 },
        ],
    );
}

/// Found by a storm: a snapshot named what was taken for a call, and nobody looked whether its caller had dropped it.
#[test]
fn an_element_taken_for_a_dropped_blocked_pop_goes_back_also_when_a_snapshot_says_so() {
    rage(
        ANY,
        &[
            Event::Cut { a: 0, b: 1 },
            Event::Push { node: 2, list: 0 },
            Event::Round { node: 2 },
            Event::Wait { node: 0, first: 0, second: 0 },
            Event::Carry { from: 2, to: 0, frames: 2 },
            Event::Believe { node: 0, other: 2, up: false },
            Event::Round { node: 2 },
            Event::Pop { node: 1, list: 2 },
            Event::Round { node: 2 },
            Event::Round { node: 2 },
            Event::CarryAll,
            Event::Round { node: 2 },
            Event::DropWait { wait: 0 },
            Event::CarryAll,
            Event::Stop { node: 1 },
            Event::Push { node: 0, list: 0 },
            Event::Push { node: 2, list: 2 },
            Event::Push { node: 0, list: 0 },
            Event::Push { node: 0, list: 0 },
            Event::GiveUp { call: 0 },
            Event::Believe { node: 1, other: 2, up: false },
            Event::CutHistory { node: 2 },
            Event::CarryAll,
            Event::Round { node: 2 },
        ],
    );
}

/// Found by a review: a claim that two homes carried out cost the blocked pop its place in the line.
#[test]
fn a_blocked_pop_whose_claim_two_homes_carried_out_keeps_its_place() {
    rage(
        MAJORITY_AND_CLOCKS,
        &[
            Event::Push { node: 1, list: 2 },
            Event::Pop { node: 1, list: 2 },
            Event::Pop { node: 0, list: 2 },
            Event::Stop { node: 0 },
            Event::Pop { node: 0, list: 0 },
            Event::Pop { node: 0, list: 0 },
            Event::Link { a: 0, b: 0 },
            Event::CarryAll,
            Event::Round { node: 2 },
            Event::Link { a: 0, b: 0 },
            Event::Wait { node: 2, first: 0, second: 0 },
            Event::GiveUp { call: 0 },
            Event::DropWait { wait: 0 },
            Event::Stop { node: 1 },
            Event::Cut { a: 1, b: 0 },
            Event::Wait { node: 2, first: 1, second: 0 },
            Event::EndWait { wait: 2 },
            Event::Wait { node: 2, first: 0, second: 0 },
            Event::GoOn { node: 0 },
            Event::CarryAll,
            Event::Round { node: 2 },
            Event::Carry { from: 2, to: 0, frames: 2 },
            Event::Carry { from: 2, to: 0, frames: 1 },
            Event::Push { node: 0, list: 1 },
            Event::Believe { node: 2, other: 1, up: false },
            Event::CarryAll,
            Event::Round { node: 2 },
            Event::Round { node: 0 },
            Event::Pop { node: 0, list: 0 },
            Event::CarryAll,
            Event::Round { node: 0 },
            Event::GiveUp { call: 1 },
            Event::Push { node: 0, list: 0 },
            Event::Pop { node: 2, list: 1 },
            Event::CarryAll,
            Event::CarryAll,
            Event::Push { node: 0, list: 1 },
            Event::Link { a: 0, b: 0 },
        ],
    );
}

/// Found by a storm: a caller without a majority had told that it needs no answer any more, and learnt what was popped for it from a snapshot only.
#[test]
fn an_element_popped_for_a_refused_call_is_not_lost_when_only_a_snapshot_tells_of_it() {
    rage(
        MAJORITY,
        &[
            Event::Pop { node: 0, list: 2 },
            Event::Wait { node: 2, first: 2, second: 1 },
            Event::Pop { node: 0, list: 1 },
            Event::CarryAll,
            Event::Push { node: 2, list: 2 },
            Event::Push { node: 0, list: 0 },
            Event::Pop { node: 2, list: 1 },
            Event::Push { node: 0, list: 1 },
            Event::Carry { from: 0, to: 1, frames: 1 },
            Event::Cut { a: 0, b: 2 },
            Event::CutHistory { node: 1 },
            Event::CarryAll,
            Event::Stop { node: 2 },
            Event::Push { node: 0, list: 0 },
            Event::GoOn { node: 2 },
            Event::Push { node: 0, list: 0 },
            Event::Believe { node: 2, other: 1, up: false },
            Event::Round { node: 1 },
            Event::Round { node: 1 },
            Event::CarryAll,
            Event::Believe { node: 2, other: 0, up: false },
            Event::Round { node: 2 },
            Event::Carry { from: 2, to: 1, frames: 1 },
            Event::Carry { from: 2, to: 1, frames: 2 },
        ],
    );
}
