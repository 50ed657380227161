//! A cluster that is cut in two and heals.

use headcount::{MemberState, Presence};
use headcount_simulations::Simulation;

use crate::reading::{LONG, field, members, owned_rows, secs, set, value};
use crate::seeds::seeds;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[test]
fn both_sides_of_a_partition_write_and_agree_after_it() {
    for seed in seeds(&[]) {
        Simulation::of(NAMES).seed(seed).run(|world| {
            world.start_all();
            world.on("a", async |presence| {
                presence.sadd("lobby", ["alice", "bob"]).await.unwrap();
                presence.incrby("games", 5).await.unwrap();
                presence.hset("rooms", "one", "old").await.unwrap();
            });
            world.settle();

            world.partition(&["a"], &["b", "c"]);
            world.on("a", async |presence| {
                presence.sadd("lobby", "carol").await.unwrap();
                presence.srem("lobby", "alice").await.unwrap();
                presence.incrby("games", 10).await.unwrap();
                presence.hset("rooms", "two", "a's").await.unwrap();
            });
            world.on("b", async |presence| {
                // Added again: a removal on the other side has not seen this one.
                presence.sadd("lobby", ["alice", "dave"]).await.unwrap();
                presence.incrby("games", 100).await.unwrap();
                presence.hset("rooms", "one", "b's").await.unwrap();
            });
            world.on("c", async |presence| presence.incrby("games", 1000).await.unwrap());
            world.run_for(secs(1));
            assert!(!world.agree(), "nothing passes");
            world.heal();
            world.settle();

            for node in NAMES {
                assert_eq!(members(world, node, "lobby"), set(&["bob", "carol", "dave", "alice"]), "on {node}");
                assert_eq!(value(world, node, "games").as_deref(), Some("1115"), "on {node}");
                assert_eq!(field(world, node, "rooms", "one").as_deref(), Some("b's"), "on {node}");
                assert_eq!(field(world, node, "rooms", "two").as_deref(), Some("a's"), "on {node}");
            }
        });
    }
}

#[test]
fn owned_rows_are_hidden_while_their_owner_is_cut_off_and_shown_again_within_two_seconds_of_a_heal() {
    for seed in seeds(&[]) {
        Simulation::of(NAMES).seed(seed).run(|world| {
            world.start_all();
            for name in NAMES {
                world.on(name, async move |presence| presence.owned().sadd("online", name).await.unwrap());
            }
            world.settle();
            world.partition(&["c"], &["a", "b"]);
            let took = world.until("each side sees only itself", LONG, |world| {
                members(world, "c", "online") == set(&["c"])
                    && members(world, "a", "online") == set(&["a", "b"])
                    && members(world, "b", "online") == set(&["a", "b"])
            });
            assert!(took < secs(5), "hidden after {took:?}");
            world.run_for(secs(30));
            world.heal();
            let took = world.until("everybody is seen again", LONG, |world| {
                NAMES.iter().all(|node| members(world, node, "online") == set(&NAMES))
            });
            assert!(took <= secs(2), "seed {seed}: shown again after {took:?}");
            world.settle();
        });
    }
}

#[test]
fn a_node_that_was_given_up_returns_under_a_new_incarnation_and_asserts_what_it_owns() {
    for seed in seeds(&[]) {
        Simulation::of(NAMES).seed(seed).configure(|config| config.grace = secs(3)).run(|world| {
            world.start_all();
            for name in NAMES {
                world.on(name, async move |presence| {
                    presence.owned().sadd("online", name).await.unwrap();
                    presence.owned().hset("servers", name, "up").await.unwrap();
                    presence.owned().set(format!("address:{name}"), name).await.unwrap();
                    presence.owned().incrby("seats", 5).await.unwrap();
                    presence.sadd("lobby", name).await.unwrap();
                });
            }
            world.settle();
            let before = world.node("c").me();
            world.partition(&["c"], &["a", "b"]);
            world.until("c is Gone for a and b, and they for c", LONG, |world| {
                ["a", "b"].iter().all(|node| {
                    world.state_of("c", node).is_none()
                        && world.state_of(node, "c").is_none()
                        && owned_rows(world, node, before.origin()) == 0
                })
            });
            world.on("c", async |presence| presence.owned().sadd("online", "c's late guest").await.unwrap());
            world.on("a", async |presence| presence.srem("lobby", "c").await.unwrap());
            world.heal();
            world.until("c has a new incarnation", LONG, |world| world.node("c").me().incarnation > before.incarnation);
            world.settle();

            let origin = world.node("c").me().origin();
            for node in NAMES {
                assert_eq!(members(world, node, "online"), set(&["a", "b", "c", "c's late guest"]), "on {node}");
                assert_eq!(members(world, node, "lobby"), set(&["a", "b"]), "on {node}");
                for name in NAMES {
                    assert_eq!(field(world, node, "servers", name).as_deref(), Some("up"), "{name}'s on {node}");
                    assert_eq!(value(world, node, &format!("address:{name}")).as_deref(), Some(name), "on {node}");
                }
                assert_eq!(value(world, node, "seats").as_deref(), Some("15"), "on {node}: each owner's part, once");
                assert_eq!(owned_rows(world, node, before.origin()), 0, "on {node}");
                assert_eq!(owned_rows(world, node, origin), 5, "on {node}");
                assert!(world.state_of(node, "a").is_some_and(|state| state == MemberState::Up));
            }
        });
    }
}
