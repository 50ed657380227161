//! Snapshots forced at any moment, in frames and slices of a few rows, with anything happening between two of them.
//!
//! With the portions that nodes run with, a world of a few rows applies every frame and merges every snapshot at once, and
//! nothing can come in between.

use headcount_cluster::GoneReason;
use proptest::prelude::*;

use super::convergence::{Step, assert_same_view, cases, perform, step};
use super::world::World;
use crate::limits::Limits;
use crate::peer::Peer;
use crate::portions::Portions;
use crate::state::State;

/// So little that hardly two rows go together.
pub(super) const SMALL: Portions = Portions { frame_bytes: 40, chunk_rows: 2, slice_rows: 3, swept_again_bytes: 200 };

#[derive(Debug, Clone)]
enum Turn {
    Step(Step),
    /// A slice of one node's work.
    Slice(usize),
    /// A slice of what is left of the last frame that a node took.
    Rest(usize),
    /// The first loads a snapshot of the second, as when a pull finds nothing in the log.
    Load(usize, usize),
    Down(usize),
    Up(usize),
    Death(usize, Death),
    Rounds(usize),
}

/// How an origin ends.
#[derive(Debug, Clone, Copy)]
enum Death {
    Restart,
    /// The others give it up; it goes on under another.
    Reincarnation,
}

fn turn(nodes: usize) -> impl Strategy<Value = Turn> {
    let node = 0..nodes;
    prop_oneof![
        40 => step(nodes).prop_map(Turn::Step),
        8 => node.clone().prop_map(Turn::Slice),
        3 => node.clone().prop_map(Turn::Rest),
        3 => (node.clone(), node.clone()).prop_map(|(a, b)| Turn::Load(a, b)),
        1 => node.clone().prop_map(Turn::Down),
        2 => node.prop_map(Turn::Up),
    ]
}

fn turn_with_deaths(nodes: usize) -> impl Strategy<Value = Turn> {
    let death = prop_oneof![Just(Death::Restart), Just(Death::Reincarnation)];
    prop_oneof![
        58 => turn(nodes),
        2 => (0..nodes, death).prop_map(|(node, death)| Turn::Death(node, death)),
        1 => (1_usize..50).prop_map(Turn::Rounds),
    ]
}

fn others(world: &World, node: usize) -> Vec<usize> {
    (0..world.nodes.len()).filter(|other| *other != node).collect()
}

fn introduce_others(world: &mut World, node: usize) {
    for other in others(world, node) {
        world.introduce(node, other);
    }
}

fn introduce_all(world: &mut World) {
    for a in 0..world.nodes.len() {
        (0..a).for_each(|b| world.introduce(a, b));
    }
}

/// Moves a snapshot from one node to another, and what is on its way with it, without any work.
fn load(world: &mut World, to: usize, from: usize) {
    let origin = world.origin(from);
    if world.is_linked(to, from) && world.nodes[to].peers.get(&origin).is_some_and(Peer::is_greeted) {
        world.nodes[to].request_snapshot(origin);
    }
    for _ in 0..2 {
        world.transmit(to, 50);
        while world.deliver(to, from, false) {}
        world.transmit(from, 50);
    }
    while world.deliver(from, to, true) {}
}

fn die(world: &mut World, node: usize, death: Death) {
    match death {
        Death::Restart => {
            // What it wrote is to be known by others, or it is lost with it.
            introduce_all(world);
            world.settle();
            world.restart(node);
        }
        Death::Reincarnation => {
            let (old, now) = (world.members[node].clone(), world.now);
            for other in others(world, node) {
                world.nodes[other].handle_member_gone(&old, GoneReason::GraceOver, now);
            }
            world.reincarnate(node);
            introduce_others(world, node);
        }
    }
}

fn take(world: &mut World, turn: &Turn) {
    let now = world.now;
    match turn {
        Turn::Step(step) => perform(world, step),
        Turn::Slice(node) => drop(world.nodes[*node].work(now)),
        Turn::Rest(node) => drop(world.nodes[*node].handle_rest(now)),
        Turn::Load(to, from) if to != from => load(world, *to, *from),
        Turn::Load(..) => {}
        Turn::Down(node) => world.down(*node),
        Turn::Up(node) => introduce_others(world, *node),
        Turn::Death(node, death) => die(world, *node, *death),
        Turn::Rounds(rounds) => {
            introduce_all(world);
            world.rounds(*rounds);
        }
    }
}

/// Takes the turns, and checks that all nodes hold the same rows in the end. Vectors may differ: one may have forgotten an
/// origin that another has not yet.
fn check(nodes: usize, limits: &Limits, turns: &[Turn]) {
    let mut world = World::in_portions(nodes, limits, SMALL);
    for turn in turns {
        take(&mut world, turn);
        world.check_invariants();
    }
    introduce_all(&mut world);
    world.settle();
    world.check_invariants();
    let digests: Vec<u64> = world.nodes.iter().map(State::digest).collect();
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
    assert_same_view(&world);
}

fn logs_of(oplog_bytes: usize) -> Limits {
    Limits { oplog_bytes, ..Limits::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nodes_that_keep_logs_hold_the_same_rows_in_the_end(turns in prop::collection::vec(turn(3), 1..150)) {
        check(3, &Limits::default(), &turns);
    }

    #[test]
    fn nodes_that_keep_no_logs_hold_the_same_rows_in_the_end(turns in prop::collection::vec(turn(3), 1..150)) {
        check(3, &logs_of(0), &turns);
    }

    #[test]
    fn four_nodes_that_keep_short_logs_hold_the_same_rows_in_the_end(turns in prop::collection::vec(turn(4), 1..200)) {
        check(4, &logs_of(60), &turns);
    }

    #[test]
    fn nodes_that_die_and_keep_logs_hold_the_same_rows_in_the_end(
        turns in prop::collection::vec(turn_with_deaths(3), 1..150),
    ) {
        check(3, &Limits::default(), &turns);
    }

    #[test]
    fn nodes_that_die_and_keep_no_logs_hold_the_same_rows_in_the_end(
        turns in prop::collection::vec(turn_with_deaths(3), 1..150),
    ) {
        check(3, &logs_of(0), &turns);
    }
}
