//! Nodes that say goodbye.

use futures::{FutureExt, StreamExt};
use headcount::{GoneReason, MemberState, Presence};
use headcount_simulations::Simulation;

use crate::reading::{members, owned_rows, secs, set};
use crate::seeds::seeds;

#[test]
fn a_node_that_leaves_is_gone_at_once_and_its_last_write_is_kept() {
    for seed in seeds(&[120]) {
        Simulation::of(["a", "b", "c"]).seed(seed).run(|world| {
            world.start_all();
            world.on("c", async |presence| presence.owned().sadd("online", "carol").await.unwrap());
            world.settle();
            let leaver = world.node("c").me();
            let mut told = world.node("a").members();
            world.on("c", async |presence| presence.sadd("lobby", "last words").await.unwrap());
            let report = world.leave("c");
            assert_eq!(report.confirmed.len(), 2, "{report}");
            assert!(report.unconfirmed.is_empty(), "{report}");

            let took = world.until("a and b have dropped it", secs(2), |world| {
                ["a", "b"]
                    .iter()
                    .all(|node| world.state_of("c", node).is_none() && owned_rows(world, node, leaver.origin()) == 0)
            });
            assert!(took < secs(1), "dropped {took:?} after it had left");
            let event = told.next().now_or_never().unwrap().unwrap();
            assert_eq!(
                (&event.member, event.state, event.reason),
                (&leaver, MemberState::Gone, Some(GoneReason::Left))
            );
            for node in ["a", "b"] {
                assert_eq!(members(world, node, "online"), set(&[]), "on {node}");
                assert_eq!(members(world, node, "lobby"), set(&["last words"]), "on {node}");
            }

            world.start("c");
            world.settle();
            assert!(world.node("c").me().incarnation > leaver.incarnation);
            assert_eq!(members(world, "c", "lobby"), set(&["last words"]));
        });
    }
}
