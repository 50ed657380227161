//! Nodes that end without a word.

use std::time::Duration;

use headcount::{MemberState, Presence};
use headcount_simulations::{Simulation, World};

use crate::reading::{LONG, members, owned_rows, secs, set, value};
use crate::seeds::seeds;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[test]
fn a_silent_death_hides_what_the_node_owned_and_then_drops_it() {
    for seed in seeds(&[]) {
        Simulation::of(NAMES).seed(seed).configure(|config| config.grace = secs(20)).run(|world| {
            world.start_all();
            world.on("c", async |presence| {
                presence.owned().sadd("online", ["carol", "chris"]).await.unwrap();
                presence.sadd("lobby", "carol").await.unwrap();
                presence.incrby("games", 3).await.unwrap();
            });
            world.settle();
            let dead = world.node("c").me().origin();
            world.power_off("c");
            let survivors = ["a", "b"];
            let took = world.until("c's rows are hidden", LONG, |world| {
                survivors.iter().all(|node| members(world, node, "online").is_empty())
            });
            assert!(took < secs(5), "hidden after {took:?}");
            for node in survivors {
                assert_eq!(world.state_of("c", node), Some(MemberState::Down));
                assert_eq!(owned_rows(world, node, dead), 2, "{node} hides, and destroys nothing yet");
            }
            let took = world.until("c's rows are dropped", LONG, |world| {
                survivors.iter().all(|node| owned_rows(world, node, dead) == 0)
            });
            assert!(took > secs(15), "dropped after {took:?}");
            world.settle();
            for node in survivors {
                assert_eq!(world.state_of("c", node), None);
                assert_eq!(members(world, node, "lobby"), set(&["carol"]), "shared rows outlive their writer");
                assert_eq!(value(world, node, "games").as_deref(), Some("3"));
            }
        });
    }
}

#[test]
fn what_a_dead_node_told_only_one_reaches_the_others_by_that_one() {
    for seed in seeds(&[]) {
        Simulation::of(NAMES).seed(seed).run(|world| {
            world.start_all();
            world.settle();
            world.partition(&["c"], &["b"]);
            world.on("c", async |presence| {
                presence.sadd("lobby", ["carol", "chris"]).await.unwrap();
                presence.incrby("games", 3).await.unwrap();
            });
            world.until("a has it", LONG, |world| members(world, "a", "lobby").len() == 2);
            world.crash("c");
            world.heal();
            world.until("b has it from a", LONG, |world| {
                members(world, "b", "lobby") == set(&["carol", "chris"])
                    && value(world, "b", "games").as_deref() == Some("3")
            });
        });
    }
}

#[test]
fn a_node_that_crashes_again_and_again_comes_back_each_time_and_counts_right() {
    for seed in seeds(&[]) {
        Simulation::of(NAMES).seed(seed).run(|world| {
            world.start_all();
            let mut incarnation = world.node("c").me().incarnation;
            for round in 1..=4 {
                world.on("c", async |presence| {
                    presence.incr("games").await.unwrap();
                    presence.owned().sadd("online", "c").await.unwrap();
                });
                world.on("a", async |presence| presence.incr("games").await.unwrap());
                world.settle();
                world.crash("c");
                world.on("b", async |presence| presence.incr("games").await.unwrap());
                world.start("c");
                world.settle();
                assert!(world.node("c").me().incarnation > incarnation);
                incarnation = world.node("c").me().incarnation;
                for node in NAMES {
                    assert_eq!(value(world, node, "games"), Some((3 * round).to_string()), "round {round} on {node}");
                    assert_eq!(members(world, node, "online"), set(&[]), "round {round} on {node}");
                }
            }
        });
    }
}

#[test]
fn all_nodes_crash_at_once_and_one_that_lived_longest_brings_the_rest_up() {
    for seed in seeds(&[]) {
        Simulation::of(NAMES).seed(seed).run(|world| {
            world.start_all();
            world.on("a", async |presence| presence.sadd("lobby", ["alice", "bob"]).await.unwrap());
            world.settle();
            world.crash("a");
            world.crash("b");
            world.until("c is on its own", LONG, |world| world.state_of("a", "c") != Some(MemberState::Up));
            world.start_all();
            world.settle();
            assert_eq!(members(world, "a", "lobby"), set(&["alice", "bob"]));
            assert_eq!(members(world, "b", "lobby"), set(&["alice", "bob"]));
        });
    }
}

/// Found by a simulation: a seed that went Down while another dead one was being asked was taken for alive on its former word, again and again.
#[test]
fn a_dead_seed_is_not_taken_for_alive_while_another_is_asked() {
    for late_ms in [500, 1_500, 2_500, 3_500, 4_500] {
        Simulation::new(late_ms).nodes(4).run(|world| {
            world.start_all();
            world.until("all see each other", secs(20), World::is_settled);
            world.power_off("n1");
            world.until("n1 is missed", secs(10), |world| world.state_of("n1", "n3") == Some(MemberState::Down));
            world.run_for(Duration::from_millis(late_ms));
            world.power_off("n2");
            world.until("n2 is missed", secs(10), |world| world.state_of("n2", "n3") == Some(MemberState::Down));
            for _ in 0..100 {
                world.run_for(Duration::from_millis(200));
                for dead in ["n1", "n2"] {
                    assert_eq!(
                        world.state_of(dead, "n3"),
                        Some(MemberState::Down),
                        "{dead} {late_ms} {:?}",
                        world.now()
                    );
                }
            }
        });
    }
}
