//! Whether a plan can be played: what is read from a file may have been written by hand.
//!
//! A plan that is played although it makes no sense gives a history of something else than it says, or breaks promises that nobody gave. So
//! whoever takes a plan from elsewhere asks here first. What scenarios draw and what shrinking leaves is sound.

use std::fmt;

use headcount::Command;

use super::{Ask, Event, Fault, Plan, Settings, Step};
use crate::model::words;

/// Storm and calm together, in milliseconds: more than the longest storm that the program draws, and its calm.
const LONGEST_MS: u64 = 11_000 * 60_000;

impl Plan {
    /// Nodes of a plan at most.
    pub const MOST_NODES: usize = 2000;

    /// Whether it can be played as it is.
    ///
    /// # Errors
    /// The first thing that makes no sense, and the step that has it.
    pub fn check(&self) -> Result<(), String> {
        check_number_of_nodes(self.nodes)?;
        self.settings.check()?;
        if self.storm_ms.saturating_add(self.calm_ms) > LONGEST_MS {
            return Err(format!("its storm and its calm last longer than {LONGEST_MS} ms"));
        }
        let mut former_ms = 0;
        for (index, step) in self.steps.iter().enumerate() {
            let sound = self.check_time(step, former_ms).and_then(|()| self.check_event(&step.event));
            let place = |reason| format!("step {} of {}, at {} ms: {reason}", index + 1, self.steps.len(), step.at_ms);
            sound.map_err(place)?;
            former_ms = step.at_ms;
        }
        Ok(())
    }

    fn check_time(&self, step: &Step, former_ms: u64) -> Result<(), String> {
        if step.at_ms < former_ms {
            return Err(format!("the step before it is later, at {former_ms} ms"));
        }
        if step.at_ms >= self.storm_ms {
            return Err(format!("it is not before the storm's end, at {} ms", self.storm_ms));
        }
        Ok(())
    }

    fn check_event(&self, event: &Event) -> Result<(), String> {
        match event {
            Event::Fault(fault) => {
                let (from, to) = fault.ends();
                self.check_node(from)?;
                self.check_node(to)?;
                fault.check()
            }
            Event::Ask { node, ask, .. } => {
                self.check_node(*node)?;
                ask.check()
            }
        }
    }

    fn check_node(&self, node: usize) -> Result<(), String> {
        if node < self.nodes {
            return Ok(());
        }
        Err(format!("there is no node {node}; the plan has {} of them, from 0", self.nodes))
    }
}

fn check_number_of_nodes(nodes: usize) -> Result<(), String> {
    match nodes {
        0 => Err("a plan of 0 nodes tests nothing; its `nodes` has to be 1 or more".to_owned()),
        1..=Plan::MOST_NODES => Ok(()),
        _ => Err(format!("its `nodes` is {nodes}, and has to be {} or less", Plan::MOST_NODES)),
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        check_order("its `latency_ms`", self.latency_ms)?;
        if self.gossip_ms == 0 {
            return Err("its `gossip_ms` is 0: no node gossips all the time".to_owned());
        }
        let mut config = self.config();
        config.name = Some("n0".to_owned());
        config.cluster_config().map(drop).map_err(|error| format!("no node takes its settings: {error}"))
    }
}

/// The least and the most of something, the least first.
fn check_order<T: PartialOrd + fmt::Display>(name: &str, (least, most): (T, T)) -> Result<(), String> {
    if least <= most {
        return Ok(());
    }
    Err(format!("{name} is from {least} to {most}, which is upside down"))
}

impl Fault {
    fn check(&self) -> Result<(), String> {
        match *self {
            Self::Start { .. }
            | Self::Crash { .. }
            | Self::PowerOff { .. }
            | Self::Leave { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::SetClock { .. } => Ok(()),
            Self::Narrow { bytes_per_second: 0, .. } => {
                Err("nothing passes at 0 bytes a second; that is a cut".to_owned())
            }
            Self::Cut { from, to }
            | Self::Mend { from, to }
            | Self::Clog { from, to, .. }
            | Self::Narrow { from, to, .. }
            | Self::Widen { from, to }
            | Self::BreakSnapshot { from, to } => check_ends(from, to),
            Self::Lose { from, to, percent } | Self::Repeat { from, to, percent } => {
                check_ends(from, to).and_then(|()| check_percent(percent))
            }
            Self::Delay { from, to, min_ms, max_ms } => {
                check_ends(from, to).and_then(|()| check_order("its delay in milliseconds", (min_ms, max_ms)))
            }
        }
    }
}

fn check_ends(from: usize, to: usize) -> Result<(), String> {
    if from == to { Err(format!("nothing lies between node {from} and itself")) } else { Ok(()) }
}

fn check_percent(percent: u8) -> Result<(), String> {
    if percent > 100 { Err(format!("{percent} of a hundred are too many")) } else { Ok(()) }
}

impl Ask {
    fn check(&self) -> Result<(), String> {
        let Self::Command { words, .. } = self else { return Ok(()) };
        let parsed = Command::parse(&words::split(words));
        parsed.map(drop).map_err(|error| format!("{words:?} is no command: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::Via;
    use crate::scenarios;
    use crate::shrinking::shrink;

    fn plan() -> Plan {
        scenarios::by_name("storm").unwrap().plan(1, 5, Duration::from_mins(1))
    }

    /// The reason against a plan of one step at 1000 ms.
    fn reason_against(event: Event) -> String {
        Plan { steps: vec![Step { at_ms: 1_000, event }], ..plan() }.check().unwrap_err()
    }

    /// Found by a review: all of these were played as if they made sense.
    #[test]
    fn a_step_that_makes_no_sense_is_named_with_the_reason() {
        let command = |node, words: &str| Event::Ask {
            client: 1,
            node,
            ask: Ask::Command { via: Via::Shared, words: words.to_owned() },
        };
        let (from, to) = (0, 1);
        for (event, reason) in [
            (Event::Fault(Fault::Crash { node: 99 }), "there is no node 99; the plan has 5 of them, from 0"),
            (Event::Fault(Fault::Cut { from: 0, to: 5 }), "there is no node 5"),
            (command(5, "GET key"), "there is no node 5"),
            (command(0, "FOO BAR"), "\"FOO BAR\" is no command: "),
            (command(0, "GET"), "\"GET\" is no command: "),
            (command(0, ""), "\"\" is no command: "),
            (Event::Fault(Fault::Cut { from: 2, to: 2 }), "nothing lies between node 2 and itself"),
            (Event::Fault(Fault::Lose { from, to, percent: 101 }), "101 of a hundred are too many"),
            (Event::Fault(Fault::Repeat { from, to, percent: 200 }), "200 of a hundred are too many"),
            (Event::Fault(Fault::Delay { from, to, min_ms: 9, max_ms: 1 }), "from 9 to 1, which is upside down"),
            (Event::Fault(Fault::Narrow { from, to, bytes_per_second: 0 }), "nothing passes at 0 bytes a second"),
        ] {
            let told = reason_against(event);
            assert!(told.starts_with("step 1 of 1, at 1000 ms: ") && told.contains(reason), "{told}");
        }
    }

    #[test]
    fn steps_are_in_order_and_before_the_storms_end() {
        let step = |at_ms| Step { at_ms, event: Event::Fault(Fault::Crash { node: 0 }) };
        let reversed = Plan { steps: vec![step(2_000), step(1_000)], ..plan() };
        assert_eq!(reversed.check().unwrap_err(), "step 2 of 2, at 1000 ms: the step before it is later, at 2000 ms");
        let late = Plan { steps: vec![step(60_000)], ..plan() };
        assert_eq!(
            late.check().unwrap_err(),
            "step 1 of 1, at 60000 ms: it is not before the storm's end, at 60000 ms"
        );
    }

    #[test]
    fn numbers_and_settings_that_cannot_be_are_refused() {
        let settings = |change: fn(&mut Settings)| {
            let mut plan = plan();
            change(&mut plan.settings);
            plan
        };
        for (plan, reason) in [
            (Plan { nodes: 0, ..plan() }, "a plan of 0 nodes tests nothing; its `nodes` has to be 1 or more"),
            (Plan { nodes: 2001, ..plan() }, "has to be 2000 or less"),
            (Plan { storm_ms: u64::MAX, ..plan() }, "last longer than"),
            (settings(|settings| settings.latency_ms = (10, 1)), "`latency_ms` is from 10 to 1, which is upside down"),
            (settings(|settings| settings.gossip_ms = 0), "its `gossip_ms` is 0"),
            (settings(|settings| settings.max_memory_bytes = 0), "no node takes its settings: "),
        ] {
            let told = plan.check().unwrap_err();
            assert!(told.contains(reason), "{told}");
        }
    }

    #[test]
    fn what_shrinking_leaves_is_sound_down_to_one_node_without_steps() {
        for seed in 0..5 {
            let plan = scenarios::by_name("storm").unwrap().plan(seed, 5, Duration::from_mins(1));
            let mut tried = 0;
            let small = shrink(&plan, 400, &mut |candidate| {
                assert_eq!(candidate.check(), Ok(()));
                tried += 1;
                tried % 3 != 0
            });
            assert_eq!((small.nodes, small.steps.len()), (1, 0));
        }
    }
}
