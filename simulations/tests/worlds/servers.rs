//! Servers of a user's own: that they run with each process, that what goes wrong in them is told, and that one whose doings do not
//! follow from the seed is found out.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use headcount::Presence;
use headcount_simulations::{Server, ServerResult, Simulation, World};

use crate::reading::{LONG, members, secs, set, value};

const SECOND: Duration = Duration::from_secs(1);

/// Writes what each start of it is, then counts the seconds.
async fn counting(server: Server) -> ServerResult {
    let presence = server.presence();
    presence.sadd("starts", format!("{} {}", server.name(), server.start())).await?;
    presence.owned().sadd("here", server.name()).await?;
    loop {
        tokio::time::sleep(SECOND).await;
        presence.incr(format!("seconds:{}", server.name())).await?;
    }
}

fn seconds(world: &World, of: &str) -> u64 {
    value(world, "n0", &format!("seconds:{of}")).map_or(0, |seconds| seconds.parse().unwrap())
}

/// What a world that must fail says.
fn failure(fails: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(fails)).expect_err("it must fail");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_server_runs_in_each_process_of_its_machine_and_ends_with_it() {
    Simulation::new(1).nodes(3).node(counting).run(|world| {
        world.start_all();
        world.run_for(secs(10));
        world.crash("n2");
        world.run_for(secs(2));
        let counted = seconds(world, "n2");
        assert!((9..=13).contains(&counted), "{counted}");
        world.run_for(secs(10));
        assert_eq!(seconds(world, "n2"), counted, "a dead server counts nothing");
        world.restart("n1");
        world.start("n2");
        world.settle();
        assert_eq!(members(world, "n0", "starts"), set(&["n0 1", "n1 1", "n1 2", "n2 1", "n2 2"]));
        assert_eq!(members(world, "n0", "here"), set(&["n0", "n1", "n2"]));
    });
}

#[test]
fn a_server_is_dropped_when_its_node_is_told_to_leave_and_nothing_of_the_process_stays() {
    Simulation::new(9).nodes(3).node(counting).run_twice(|world| {
        world.start_all();
        world.run_for(secs(5));
        let report = world.leave("n2");
        assert!(report.unconfirmed.is_empty(), "{report}");
        let counted = seconds(world, "n2");
        world.until("what it owned is gone", SECOND, |world| members(world, "n0", "here") == set(&["n0", "n1"]));
        world.run_for(secs(10));
        assert_eq!(seconds(world, "n2"), counted, "a server that has left counts nothing");
        world.start("n2");
        world.settle();
        assert_eq!(members(world, "n0", "starts"), set(&["n0 1", "n1 1", "n2 1", "n2 2"]));
    });
}

#[test]
fn a_server_that_uses_its_node_until_the_end_leaves_without_an_error() {
    let serve = async |server: Server| -> ServerResult {
        server.node().ready().await?;
        loop {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            server.node().presence().incr("turns").await?;
        }
    };
    Simulation::new(10).nodes(2).node(serve).run(|world| {
        world.start_all();
        world.run_for(SECOND);
        world.leave("n1");
        world.run_for(secs(5));
        assert_eq!(world.running(), ["n0"]);
    });
}

#[test]
fn a_stopped_process_does_nothing_is_taken_for_dead_and_goes_on_as_the_same() {
    Simulation::new(2).nodes(3).node(counting).run(|world| {
        world.start_all();
        world.run_for(secs(5));
        let before = world.node("n2").me();
        world.pause("n2");
        world.run_for(SECOND);
        let counted = seconds(world, "n2");
        world.until("its rows are hidden", LONG, |world| members(world, "n0", "here") == set(&["n0", "n1"]));
        world.run_for(secs(20));
        assert_eq!(seconds(world, "n2"), counted);
        world.resume("n2");
        world.until("its rows are shown again", secs(4), |world| members(world, "n0", "here").len() == 3);
        world.until("it counts on", LONG, |world| seconds(world, "n2") > counted);
        assert_eq!(world.node("n2").me(), before);
    });
}

#[test]
fn what_one_direction_carries_waits_for_its_mending_while_the_other_goes_on() {
    Simulation::new(3).nodes(2).run(|world| {
        world.start_all();
        world.settle();
        world.cut("n0", "n1");
        world.on("n0", async |presence| presence.sadd("set", "from n0").await.unwrap());
        world.on("n1", async |presence| presence.sadd("set", "from n1").await.unwrap());
        world.run_for(SECOND);
        assert_eq!(members(world, "n0", "set").len(), 2);
        assert_eq!(members(world, "n1", "set"), set(&["from n1"]));
        world.mend("n0", "n1");
        let took = world.until("n1 has it", LONG, |world| members(world, "n1", "set").len() == 2);
        assert!(took < SECOND, "the connection has outlived the cut: {took:?}");
    });
}

#[test]
fn who_is_not_heard_by_a_group_hears_all_of_it_until_the_network_heals() {
    Simulation::new(11).nodes(3).run(|world| {
        world.start_all();
        world.settle();
        world.partition_one_way(&["n0"], &["n1", "n2"]);
        for node in ["n0", "n1", "n2"] {
            world.on(node, async move |presence| presence.sadd("set", node).await.unwrap());
        }
        world.run_for(SECOND);
        assert_eq!(members(world, "n0", "set"), set(&["n0", "n1", "n2"]));
        for node in ["n1", "n2"] {
            assert_eq!(members(world, node, "set"), set(&["n1", "n2"]));
        }
        world.heal();
        world.settle();
        assert_eq!(members(world, "n2", "set").len(), 3);
    });
}

#[test]
fn slow_lossy_and_repeating_links_delay_and_lose_nothing() {
    Simulation::new(4).nodes(3).run(|world| {
        world.start_all();
        for (from, to) in [("n0", "n1"), ("n1", "n0"), ("n1", "n2")] {
            world.lose(from, to, 20);
            world.repeat(from, to, 20);
            world.slow_link(from, to, Duration::from_millis(50)..Duration::from_millis(300));
        }
        for round in 0..50 {
            world.on("n0", async move |presence| presence.sadd("set", round.to_string()).await.unwrap());
        }
        world.settle();
        assert_eq!(members(world, "n1", "set").len(), 50);
        assert!(world.running().len() == 3 && world.trace().events().len() > 100);
    });
}

#[test]
fn the_error_of_a_server_fails_the_simulation_in_words() {
    let said = failure(|| {
        Simulation::new(5)
            .nodes(2)
            .node(|server| async move {
                tokio::time::sleep(secs(3)).await;
                if server.name() == "n1" { Err("the map is missing".into()) } else { Ok(()) }
            })
            .run(|world| {
                world.start_all();
                world.run_for(secs(60));
            });
    });
    assert!(said.contains("the server of n1 failed: the map is missing") && said.contains("seed 5 at 3."), "{said}");
}

#[test]
fn the_panic_of_a_server_fails_the_simulation_in_its_words() {
    let said = failure(|| {
        let server = async |server: Server| -> ServerResult {
            assert!(server.start() == 1, "started {} times", server.start());
            Ok(())
        };
        Simulation::new(6).nodes(2).node(server).run(|world| {
            world.start_all();
            world.restart("n1");
        });
    });
    assert!(said.contains("the server of n1 failed: it panicked: started 2 times"), "{said}");
    assert!(said.contains("n1 crashes"), "what the story did is told: {said}");
}

#[test]
fn a_server_that_keeps_to_its_seed_does_the_same_twice() {
    let story = |world: &mut World| {
        world.start_all();
        world.pause("n1");
        world.run_for(secs(6));
        world.resume("n1");
        world.power_off("n2");
        world.start("n2");
        world.settle();
        members(world, "n0", "starts")
    };
    let starts: BTreeSet<String> = Simulation::new(7).nodes(3).node(counting).run_twice(story);
    assert!(starts.contains("n2 2"));
}

/// Runs a server twice that writes what `draw` gives.
fn writes(draw: impl Fn() -> String + Clone + Send + Sync + 'static) -> String {
    failure(|| {
        let server = move |server: Server| {
            let drawn = draw();
            async move {
                server.presence().set("drawn", drawn).await?;
                Ok(())
            }
        };
        Simulation::new(8).nodes(2).node(server).run_twice(|world| {
            world.start_all();
            world.settle();
        });
    })
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_server_that_reads_the_real_clock_is_found_out() {
    let said = writes(|| format!("{:?}", std::time::SystemTime::now()));
    assert!(said.contains("two runs of seed 8 differ") && said.contains("the second run has"), "{said}");
    assert!(said.contains("std::time::Instant"), "{said}");
}

#[test]
fn a_server_that_takes_something_from_a_thread_is_found_out() {
    let said = writes(|| std::thread::spawn(|| RandomState::new().hash_one(1).to_string()).join().unwrap());
    assert!(said.contains("two runs of seed 8 differ") && said.contains("threads"), "{said}");
}
