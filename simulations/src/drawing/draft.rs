//! A plan in the making.
//!
//! Steps are written in any order, in pairs that belong together (a cut and its mending) or alone; finishing orders them and leaves out what
//! would come after the storm, but for starts, which come at its end. What else a fault leaves behind is taken back by whoever plays the plan.

use std::time::Duration;

use super::Dice;
use crate::plan::{Ask, Event, Fault, Plan, Settings, Step, Via};

/// A plan that is being drawn.
#[derive(Debug)]
pub struct Draft {
    /// The dice of whoever draws.
    pub dice: Dice,
    /// How many nodes there are.
    pub nodes: usize,
    /// When clients and faults end, in milliseconds.
    pub storm_ms: u64,
    /// What the nodes are configured with. A scenario's nodes give up the silent sooner than production's, so that the end of a
    /// grace is inside most stories.
    pub settings: Settings,
    scenario: &'static str,
    seed: u64,
    steps: Vec<Step>,
}

/// How long nodes have to come to rest beyond the grace: a death is noticed, history pruned, the forgetting of origins agreed upon.
const CALM_MS: u64 = 60_000;

impl Draft {
    /// An empty draft.
    pub fn new(scenario: &'static str, seed: u64, nodes: usize, storm: Duration) -> Self {
        let settings = Settings { grace_ms: 20_000, ..Settings::default() };
        let storm_ms = storm.as_millis() as u64;
        Self { dice: Dice::new(seed), nodes, storm_ms, settings, scenario, seed, steps: Vec::new() }
    }

    /// Something goes wrong, or ends going wrong.
    pub fn fault(&mut self, at_ms: u64, fault: Fault) {
        self.steps.push(Step { at_ms, event: Event::Fault(fault) });
    }

    /// A client asks.
    pub fn ask(&mut self, at_ms: u64, client: u32, node: usize, ask: Ask) {
        self.steps.push(Step { at_ms, event: Event::Ask { client, node, ask } });
    }

    /// A client asks its node for a command.
    pub fn command(&mut self, at_ms: u64, client: u32, node: usize, via: Via, words: impl Into<String>) {
        self.ask(at_ms, client, node, Ask::Command { via, words: words.into() });
    }

    /// The same in both directions between two nodes.
    pub fn between(&mut self, at_ms: u64, a: usize, b: usize, fault: impl Fn(usize, usize) -> Fault) {
        self.fault(at_ms, fault(a, b));
        self.fault(at_ms, fault(b, a));
    }

    /// What `from` say the others do not hear, until then.
    pub fn silence(&mut self, at_ms: u64, until_ms: u64, from: &[usize], to: &[usize]) {
        for &from in from {
            for &to in to.iter().filter(|to| **to != from) {
                self.fault(at_ms, Fault::Cut { from, to });
                self.fault(until_ms, Fault::Mend { from, to });
            }
        }
    }

    /// Two parts of the nodes that do not hear each other, until then.
    pub fn partition(&mut self, at_ms: u64, until_ms: u64, one: &[usize], other: &[usize]) {
        self.silence(at_ms, until_ms, one, other);
        self.silence(at_ms, until_ms, other, one);
    }

    /// A process dies, with or without its machine, and another starts there later.
    pub fn restart(&mut self, at_ms: u64, until_ms: u64, node: usize) {
        let fault = if self.dice.percent(50) { Fault::Crash { node } } else { Fault::PowerOff { node } };
        self.fault(at_ms, fault);
        self.fault(until_ms, Fault::Start { node });
    }

    /// A process leaves and another starts there later.
    pub fn redeploy(&mut self, at_ms: u64, until_ms: u64, node: usize) {
        self.fault(at_ms, Fault::Leave { node });
        self.fault(until_ms, Fault::Start { node });
    }

    /// A process stands still.
    pub fn pause(&mut self, at_ms: u64, until_ms: u64, node: usize) {
        self.fault(at_ms, Fault::Pause { node });
        self.fault(until_ms, Fault::Resume { node });
    }

    /// All clocks are wrong from the beginning on, by less than so much.
    pub fn set_all_clocks(&mut self, most_ms: i64) {
        for node in 0..self.nodes {
            let ahead_ms = self.off_by(most_ms);
            self.fault(500, Fault::SetClock { node, ahead_ms });
        }
    }

    /// By how much a clock is wrong, ahead or behind.
    pub fn off_by(&mut self, most_ms: i64) -> i64 {
        self.dice.below(2 * most_ms as u64) as i64 - most_ms
    }

    /// The nodes in two parts, neither empty.
    pub fn parts(&mut self) -> (Vec<usize>, Vec<usize>) {
        let order = self.dice.shuffled(self.nodes);
        let first = self.dice.between(1, self.nodes.max(2) as u64 - 1) as usize;
        let (one, other) = order.split_at(first.min(order.len()));
        (one.to_vec(), other.to_vec())
    }

    /// Moments from `from_ms` to the storm's end, between so many milliseconds apart.
    pub fn moments(&mut self, from_ms: u64, min_gap_ms: u64, max_gap_ms: u64) -> Vec<u64> {
        let mut moments = Vec::new();
        let mut at = from_ms;
        while at < self.storm_ms {
            moments.push(at);
            at += self.dice.between(min_gap_ms, max_gap_ms).max(1);
        }
        moments
    }

    /// The plan.
    pub fn finish(mut self) -> Plan {
        let last = self.storm_ms.saturating_sub(1);
        for step in &mut self.steps {
            // Who is to start again does, so that there is somebody to be judged.
            if matches!(step.event, Event::Fault(Fault::Start { .. })) {
                step.at_ms = step.at_ms.min(last);
            }
        }
        self.steps.retain(|step| step.at_ms < self.storm_ms);
        // What was written first happens first among things of one moment.
        self.steps.sort_by_key(|step| step.at_ms);
        Plan {
            scenario: self.scenario.to_owned(),
            seed: self.seed,
            nodes: self.nodes,
            calm_ms: CALM_MS + self.settings.grace_ms,
            settings: self.settings,
            storm_ms: self.storm_ms,
            steps: self.steps,
        }
    }
}
