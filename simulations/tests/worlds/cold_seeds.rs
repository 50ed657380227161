//! The seeds of a cluster are all started again at once, long after they died, while another node lived on and has given a lock.

use std::time::Duration;

use headcount::Presence;
use headcount_simulations::Simulation;

const SEEDS: [&str; 3] = ["n0", "n1", "n2"];

/// So many worlds.
const WORLDS: u64 = 12;

/// Which worlds give the lock twice.
fn given_twice(gossip: Duration, grace: Duration, dead_for: Duration) -> Vec<String> {
    let mut twice = Vec::new();
    for seed in 0..WORLDS {
        let simulation = Simulation::new(seed).nodes(4).configure(|config| {
            (config.grace, config.gossip_interval) = (grace, gossip);
            config.detection_time = gossip * 15;
        });
        simulation.run(|world| {
            world.start_all();
            world.settle();
            assert!(world.on("n3", async |presence| presence.set_nx("lock", "n3").await.unwrap()));
            world.settle();
            for name in SEEDS {
                world.crash(name);
            }
            // Not always at the same moment of n3's rounds.
            world.run_for(dead_for + Duration::from_millis(seed * 377));
            for name in SEEDS {
                world.boot(name);
            }
            let is_ready = |world: &headcount_simulations::World| SEEDS.iter().all(|seed| world.is_ready(seed));
            let took = world.until("the seeds are ready", Duration::from_mins(2), is_ready);
            if world.on("n0", async |presence| presence.set_nx("lock", "n0").await.unwrap()) {
                twice.push(format!("seed {seed}: the seeds were ready after {took:?}"));
            }
        });
    }
    twice
}

/// Found by a review, as those below: gossip had forgotten the dead, and they were greeted by chance.
#[test]
fn seeds_that_were_dead_for_a_minute_are_found_before_one_is_first() {
    let secs = Duration::from_secs;
    let twice = given_twice(Duration::from_millis(200), secs(600), secs(60));
    assert!(twice.is_empty(), "{twice:#?}");
}

#[test]
fn seeds_that_were_given_up_are_found_before_one_is_first() {
    let secs = Duration::from_secs;
    let twice = given_twice(Duration::from_millis(200), secs(30), secs(60));
    assert!(twice.is_empty(), "{twice:#?}");
}

#[test]
fn seeds_are_found_before_one_is_first_when_gossip_is_quick() {
    let secs = Duration::from_secs;
    let twice = given_twice(Duration::from_millis(50), secs(600), secs(10));
    assert!(twice.is_empty(), "{twice:#?}");
}
