//! Nodes that come later, and nodes that come together.

use futures::FutureExt;
use headcount::{Presence, ReadyBy};
use headcount_simulations::Simulation;

use crate::reading::{LONG, members, set, value};
use crate::seeds::seeds;

const ROWS: usize = 6_000;

#[test]
fn a_late_joiner_gets_a_snapshot_of_what_nobody_has_in_a_log_any_more() {
    for seed in seeds(&[]) {
        Simulation::of(["a", "b", "late"]).seed(seed).run(|world| {
            world.boot("a");
            world.boot("b");
            world.until("a and b are ready", LONG, |world| world.is_ready("a") && world.is_ready("b"));
            world.on("a", async |presence| {
                for n in 0..ROWS {
                    presence.sadd("players", format!("player {n}")).await.unwrap();
                    presence.hset("names", n.to_string(), format!("name {n}")).await.unwrap();
                }
                presence.srem("players", "player 0").await.unwrap();
                presence.del("unknown").await.unwrap();
                presence.owned().sadd("online", "a").await.unwrap();
                presence.incrby("games", 42).await.unwrap();
            });
            world.settle();
            world.until("the logs are pruned", LONG, |world| {
                ["a", "b"].iter().all(|node| world.node(node).stats().presence.oplog_bytes == 0)
            });

            world.boot("late");
            let mut written = 0;
            world.until("late is ready", LONG, |world| {
                // The others go on writing while it loads.
                written += 1;
                world.read("b", async |presence| presence.incr("during").await.unwrap());
                world.is_ready("late")
            });
            assert_eq!(members(world, "late", "players").len(), ROWS - 1, "all of it is there when it is ready");
            world.settle();
            let late = world.node("late").stats().presence;
            assert_eq!(late.snapshots_loaded, 1);
            assert!(!members(world, "late", "players").contains("player 0"));
            assert_eq!(members(world, "late", "online"), set(&["a"]));
            assert_eq!(value(world, "late", "games").as_deref(), Some("42"));
            assert_eq!(value(world, "late", "during"), Some(written.to_string()));
        });
    }
}

#[test]
fn nodes_that_start_together_become_ready_in_any_case_and_agree() {
    for seed in seeds(&[]) {
        Simulation::of(["a", "b", "c", "d", "e"]).seed(seed).run(|world| {
            world.start_all();
            for name in ["a", "b", "c", "d", "e"] {
                world.on(name, async move |presence| presence.sadd("lobby", name).await.unwrap());
            }
            world.settle();
            assert_eq!(members(world, "e", "lobby").len(), 5);
        });
    }
}

/// The only seed's own list names nobody else: it was ready with nothing, and a home of everything, until the others had found it.
#[test]
fn the_only_seed_is_found_by_those_that_live_before_it_goes_on() {
    for seed in seeds(&[]) {
        Simulation::of(["a", "b", "c"]).seed(seed).configure(|config| config.seeds.truncate(1)).run(|world| {
            world.start_all();
            world.on("b", async |presence| assert!(presence.set_nx("lock", "b").await.unwrap()));
            world.settle();
            world.crash("a");
            world.boot("a");
            world.until("a is ready", LONG, |world| world.is_ready("a"));
            let how = world.node("a").ready().now_or_never().unwrap().unwrap().how;
            assert!(matches!(how, ReadyBy::Synchronised { .. }), "{how:?}");
            world.on("a", async |presence| assert!(!presence.set_nx("lock", "a").await.unwrap()));
        });
    }
}

#[test]
fn a_node_that_reaches_no_seed_goes_on_alone_and_merges_when_one_appears() {
    for seed in seeds(&[]) {
        Simulation::of(["a", "b"]).seed(seed).run(|world| {
            world.partition(&["a"], &["b"]);
            world.start_all();
            for name in ["a", "b"] {
                let how = world.node(name).ready().now_or_never().unwrap().unwrap().how;
                assert!(matches!(how, ReadyBy::Alone { .. }), "{name}: {how:?}");
                world.on(name, async move |presence| {
                    presence.sadd("lobby", name).await.unwrap();
                    presence.incrby("games", 4).await.unwrap();
                });
            }
            world.heal();
            world.settle();
            for name in ["a", "b"] {
                assert_eq!(members(world, name, "lobby"), set(&["a", "b"]));
                assert_eq!(value(world, name, "games").as_deref(), Some("8"));
            }
        });
    }
}

#[test]
fn clocks_that_differ_by_seconds_do_not_keep_nodes_apart() {
    for seed in seeds(&[]) {
        Simulation::of(["a", "b", "c"]).seed(seed).run(|world| {
            world.set_clock("a", 20_000);
            world.set_clock("b", -20_000);
            world.start_all();
            world.on("a", async |presence| presence.set("title", "a's").await.unwrap());
            world.settle();
            // b has seen a's write, so its own is later, whatever its wall clock says.
            world.on("b", async |presence| presence.set("title", "b's").await.unwrap());
            world.settle();
            for node in ["a", "b", "c"] {
                assert_eq!(value(world, node, "title").as_deref(), Some("b's"), "on {node}");
            }
        });
    }
}
