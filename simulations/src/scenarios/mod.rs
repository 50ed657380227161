//! Stories by name: each is about one trouble, and tells it differently for each seed.
//!
//! A scenario makes a plan from a seed, a number of nodes and a length; the plan is all that the worlds get. `storm` is the one that knows
//! no topic: each seed draws its own mix of everything. What a story says about itself is shown by `headcount-simulations list`.

mod big_room;
mod clock_jump;
mod cold_restart;
mod cut_off;
mod dead_seed;
mod deadline_race;
mod first_read;
mod flapping_link;
mod flood;
mod heard_late;
mod hearsay;
mod lock_race;
mod long_partition_past_grace;
mod one_way_partition;
mod parting;
mod popped_twice;
mod races;
mod reply_channel;
mod rolling_deploy;
mod slow_subscriber;
mod snapshot_under_fire;
mod split_brain;
mod storm;
mod thundering_join;

use std::time::Duration;

use crate::drawing::Draft;
use crate::plan::Plan;

/// A story.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called by.
    pub name: &'static str,
    /// What it is about, in a line.
    pub about: &'static str,
    /// How many nodes it has when nobody says.
    pub nodes: usize,
    /// Writes the story into a draft.
    tell: fn(&mut Draft),
}

impl Scenario {
    /// The plan of a seed: so many nodes (2 or more), so long.
    pub fn plan(&self, seed: u64, nodes: usize, storm: Duration) -> Plan {
        let mut draft = Draft::new(self.name, seed, nodes.max(2), storm);
        (self.tell)(&mut draft);
        draft.finish()
    }
}

/// All of them, `storm` first.
pub const ALL: [Scenario; 23] = [
    storm::SCENARIO,
    split_brain::SCENARIO,
    flapping_link::SCENARIO,
    one_way_partition::SCENARIO,
    long_partition_past_grace::SCENARIO,
    rolling_deploy::SCENARIO,
    thundering_join::SCENARIO,
    dead_seed::SCENARIO,
    cold_restart::SCENARIO,
    snapshot_under_fire::SCENARIO,
    big_room::SCENARIO,
    clock_jump::SCENARIO,
    lock_race::SCENARIO,
    deadline_race::SCENARIO,
    reply_channel::SCENARIO,
    slow_subscriber::SCENARIO,
    hearsay::SCENARIO,
    cut_off::SCENARIO,
    heard_late::SCENARIO,
    flood::SCENARIO,
    first_read::SCENARIO,
    parting::SCENARIO,
    popped_twice::SCENARIO,
];

/// The one of this name.
pub fn by_name(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

/// The one that a seed of a swarm plays when nobody says which: every other is a storm, the rest take turns.
pub fn of_seed(seed: u64) -> &'static Scenario {
    if seed.is_multiple_of(2) { &ALL[0] } else { &ALL[1 + (seed / 2) as usize % (ALL.len() - 1)] }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::{Event, FaultKind};

    const MINUTES: Duration = Duration::from_mins(5);

    #[test]
    fn every_story_can_be_played() {
        for scenario in &ALL {
            for (seeds, storm) in [(20, MINUTES), (100, Duration::from_secs(1)), (20, Duration::from_mins(1))] {
                for seed in 0..seeds {
                    for nodes in [scenario.nodes, 2, 3] {
                        let sound = scenario.plan(seed, nodes, storm).check();
                        assert_eq!(sound, Ok(()), "{} seed {seed} of {nodes} nodes and {storm:?}", scenario.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_seed_tells_a_story_always_in_the_same_way_and_another_seed_in_another() {
        for scenario in &ALL {
            let plan = |seed| scenario.plan(seed, scenario.nodes, MINUTES);
            assert_eq!(plan(1), plan(1), "{}", scenario.name);
            assert_ne!(plan(1).steps, plan(2).steps, "{}", scenario.name);
        }
    }

    #[test]
    fn a_client_stays_with_its_node() {
        for scenario in &ALL {
            let mut homes = std::collections::BTreeMap::new();
            for step in scenario.plan(3, scenario.nodes, MINUTES).steps {
                if let Event::Ask { client, node, .. } = step.event {
                    assert_eq!(*homes.entry(client).or_insert(node), node, "{}", scenario.name);
                }
            }
        }
    }

    #[test]
    fn every_story_has_its_turns_in_a_swarm() {
        let told: BTreeSet<&str> = (0..2 * ALL.len() as u64).map(|seed| of_seed(seed).name).collect();
        assert_eq!(told, ALL.iter().map(|scenario| scenario.name).collect());
    }

    #[test]
    fn a_swarm_of_storms_has_every_kind_of_fault() {
        let storm = by_name("storm").unwrap();
        let kinds: BTreeSet<FaultKind> = (0..40)
            .flat_map(|seed| storm.plan(seed, 5, MINUTES).faults().map(|(_, f)| f.kind()).collect::<Vec<_>>())
            .collect();
        assert_eq!(kinds.len(), 16, "{kinds:?}");
    }

    #[test]
    fn a_plan_survives_being_written_to_a_file() {
        for scenario in &ALL {
            let plan = scenario.plan(5, scenario.nodes, MINUTES);
            let text = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan, "{}", scenario.name);
        }
    }
}
