//! Plans on the full stage: each kind of fault does what its name says, is counted, and gives the same history twice.

use std::collections::BTreeSet;
use std::time::Duration;

use headcount::{MemberState, Presence};
use headcount_simulations::plan::{Fault, FaultKind, Plan, Settings};
use headcount_simulations::scenarios::by_name;
use headcount_simulations::stage::Stage;
use headcount_simulations::trial::{Trial, Where};
use headcount_simulations::{Simulation, World};

use crate::reading::{LONG, members, value};
use crate::seeds::seeds;

const NODES: usize = 3;

fn plan(seed: u64) -> Plan {
    let settings = Settings { grace_ms: 60_000, ..Settings::default() };
    Plan { scenario: "faults".to_owned(), seed, nodes: NODES, settings, storm_ms: 0, calm_ms: 0, steps: Vec::new() }
}

/// Found by a review: whole nodes began to run only where a plan started one again, or in the calm.
#[test]
fn whoever_is_asked_before_the_calm_runs() {
    let plan = by_name("split-brain").unwrap().plan(0, NODES, Duration::from_mins(1));
    let trial = Trial::of(&plan, Where::Full);
    assert!(trial.is_good(), "{:?}", trial.verdicts);
    let history = trial.history.unwrap();
    let asked = || history.asked.iter().filter(|asked| asked.at < history.calm_at);
    assert!(asked().count() > 0 && asked().all(|asked| asked.process.is_some()));
    assert!(
        history.samples.iter().any(|sample| sample.at < history.calm_at && sample.nodes.iter().all(Option::is_some))
    );
}

/// Lets a story happen on the stage of a plan, once all nodes are ready.
fn on_stage<T: Send>(seed: u64, story: impl FnOnce(&mut World) -> T + Send) -> T {
    Simulation::of_plan(&plan(seed)).run(|world| {
        world.until("all are ready", LONG, |world| {
            (0..NODES).all(|node| world.look(node).is_some_and(|look| look.ready))
        });
        world.settle();
        story(world)
    })
}

fn pass(world: &mut World, ms: u64) {
    let until = world.now_ms() + ms;
    world.advance_to(until);
}

fn occurred(world: &World, kind: FaultKind) -> u64 {
    Stage::occurred(world).get(&kind).copied().unwrap_or_default()
}

/// Every node writes for so long, ten times a second.
fn write(world: &mut World, ms: u64) {
    for round in 0..ms / 100 {
        for node in 0..NODES {
            let Some(look) = world.look(node) else { continue };
            world.run(node, Box::pin(async move { drop(look.presence.sadd("set", format!("{node} {round}")).await) }));
        }
        pass(world, 100);
    }
}

fn both_ways(fault: impl Fn(usize, usize) -> Fault) -> Vec<Fault> {
    vec![fault(0, 1), fault(1, 0), fault(0, 2), fault(2, 0)]
}

/// What brings each kind about.
fn faults() -> Vec<(FaultKind, Vec<Fault>)> {
    vec![
        (FaultKind::Crash, vec![Fault::Crash { node: 2 }]),
        (FaultKind::PowerOff, vec![Fault::PowerOff { node: 2 }]),
        (FaultKind::Leave, vec![Fault::Leave { node: 2 }]),
        (FaultKind::Pause, vec![Fault::Pause { node: 2 }]),
        (FaultKind::Cut, both_ways(|from, to| Fault::Cut { from, to })),
        (FaultKind::Lose, both_ways(|from, to| Fault::Lose { from, to, percent: 30 })),
        (FaultKind::Repeat, both_ways(|from, to| Fault::Repeat { from, to, percent: 30 })),
        (FaultKind::Delay, both_ways(|from, to| Fault::Delay { from, to, min_ms: 50, max_ms: 500 })),
        (FaultKind::Clog, both_ways(|from, to| Fault::Clog { from, to, ms: 2_000 })),
        (FaultKind::Narrow, both_ways(|from, to| Fault::Narrow { from, to, bytes_per_second: 2_000 })),
        (FaultKind::SetClock, vec![Fault::SetClock { node: 1, ahead_ms: 30_000 }]),
    ]
}

#[test]
fn what_is_in_a_narrow_place_is_through_soon_after_it_is_wide_again() {
    for ends in [|world: &mut World| world.inject(&Fault::Widen { from: 0, to: 1 }), Stage::heal] {
        on_stage(1, |world| {
            for from in [0, 2] {
                world.inject(&Fault::Narrow { from, to: 1, bytes_per_second: 200 });
            }
            let look = world.look(0).unwrap();
            let job = async move { drop(look.presence.set("long", &vec![b'x'; 50_000]).await) };
            world.run(0, Box::pin(job));
            pass(world, 2_000);
            assert_eq!(value(world, "n1", "long"), None);
            ends(world);
            world.until("it arrives", Duration::from_millis(200), |world| value(world, "n1", "long").is_some());
        });
    }
}

#[test]
fn after_each_kind_of_fault_all_that_run_agree_and_the_fault_was_counted() {
    for (kind, faults) in faults() {
        let again = |_: usize| {
            on_stage(1, |world| {
                for fault in &faults {
                    world.inject(fault);
                }
                write(world, 6_000);
                assert!(occurred(world, kind) > 0, "{kind:?}: {:?}", Stage::occurred(world));
                Stage::heal(world);
                for node in 0..NODES {
                    world.inject(&Fault::Start { node });
                }
                world.until("all are ready", LONG, |world| {
                    (0..NODES).all(|n| world.look(n).is_some_and(|look| look.ready))
                });
                world.settle();
                let stopped =
                    matches!(kind, FaultKind::Crash | FaultKind::PowerOff | FaultKind::Leave | FaultKind::Pause);
                let least = if stopped { 120 } else { 180 };
                assert!(members(world, "n0", "set").len() >= least, "{kind:?}: {}", members(world, "n0", "set").len());
                assert!(world.carried().frames > 100 && world.carried().datagrams > 100, "{:?}", world.carried());
                world.trace_hash()
            })
        };
        assert_eq!(again(0), again(1), "{kind:?}");
    }
}

#[test]
fn a_snapshot_that_breaks_is_loaded_all_the_same() {
    for seed in seeds(&[]) {
        let mut plan = plan(seed);
        plan.settings.oplog_bytes = 20_000;
        Simulation::of_plan(&plan).run(|world| {
            world.inject(&Fault::Crash { node: 2 });
            world.until("two are ready", LONG, |world| {
                (0..2).all(|node| world.look(node).is_some_and(|look| look.ready))
            });
            world.on("n0", async |presence| {
                for row in 0..2_000 {
                    presence.hset("rows", row.to_string(), "x".repeat(50)).await.unwrap();
                }
            });
            world.settle();
            for from in [0, 1] {
                world.inject(&Fault::BreakSnapshot { from, to: 2 });
            }
            world.inject(&Fault::Start { node: 2 });
            world.until("the third is ready", LONG, |world| world.look(2).is_some_and(|look| look.ready));
            world.settle();
            assert!(occurred(world, FaultKind::BreakSnapshot) > 0, "{:?}", Stage::occurred(world));
            assert_eq!(world.read("n2", async |presence| presence.hlen("rows").await.unwrap()), 2_000);
        });
    }
}

#[test]
fn a_cut_of_one_direction_is_seen_by_both_and_mends() {
    for seed in seeds(&[]) {
        on_stage(seed, |world| {
            world.inject(&Fault::Cut { from: 0, to: 1 });
            world.until("n1 holds n0 for Down or has no link", LONG, |world| {
                let look = world.look(1).unwrap();
                look.linked.len() < 2 || look.members.iter().any(|(_, state)| *state == MemberState::Down)
            });
            world.on("n0", async |presence| presence.set("key", "by way of n2").await.unwrap());
            world.until("n1 hears it from n2", LONG, |world| value(world, "n1", "key").is_some());
            world.inject(&Fault::Mend { from: 0, to: 1 });
            world.settle();
            assert_eq!(occurred(world, FaultKind::Mend), 1);
            assert!(occurred(world, FaultKind::Cut) > 0);
        });
    }
}

#[test]
fn a_fault_for_which_a_node_is_in_no_state_does_nothing() {
    on_stage(1, |world| {
        world.inject(&Fault::Start { node: 0 });
        world.inject(&Fault::Resume { node: 0 });
        world.inject(&Fault::Mend { from: 0, to: 1 });
        world.inject(&Fault::Crash { node: 2 });
        world.inject(&Fault::Crash { node: 2 });
        world.inject(&Fault::Pause { node: 2 });
        world.inject(&Fault::Leave { node: 2 });
        let job = Box::pin(async { panic!("nobody is there to do it") });
        assert!(!world.run(2, job) && world.look(2).is_none());
        let once: BTreeSet<_> = Stage::occurred(world).into_iter().collect();
        assert_eq!(once, BTreeSet::from([(FaultKind::Crash, 1)]));
    });
}

#[test]
fn a_stopped_process_is_seen_as_stopped_and_its_jobs_wait() {
    on_stage(1, |world| {
        world.inject(&Fault::Pause { node: 1 });
        assert!(world.look(1).unwrap().paused);
        let presence = world.look(1).unwrap().presence;
        assert!(world.run(1, Box::pin(async move { drop(presence.set("key", "late").await) })));
        pass(world, 1_000);
        assert_eq!(value(world, "n1", "key"), None);
        world.inject(&Fault::Resume { node: 1 });
        pass(world, 100);
        assert_eq!(value(world, "n1", "key").as_deref(), Some("late"));
    });
}
