//! Dead incarnations are forgotten, and nothing that they wrote or removed comes back for it.

use std::collections::{BTreeMap, BTreeSet};

use headcount_cluster::{GoneReason, Origin};
use proptest::prelude::*;

use super::convergence::{Step, assert_same_view, perform, step};
use super::world::{World, member};
use crate::dot::Owner;
use crate::limits::{Limits, MAX_FORGOTTEN_ORIGINS, SPENT_HOLD};
use crate::origin::Standing;
use crate::state::State;
use crate::wire::{self, Frame};

/// Rounds after which all that can be forgotten is: history is pruned, a batch begins, and its history is pruned.
const ENOUGH_ROUNDS: usize = 90;

fn origins(world: &World) -> Vec<usize> {
    world.nodes.iter().map(|node| node.stats().origins).collect()
}

/// What it has cost so far to bring nodes up to date.
fn repaired(world: &World) -> (u64, u64) {
    let stats = world.nodes.iter().map(State::stats);
    stats.fold((0, 0), |(bytes, snapshots), stats| (bytes + stats.repaired_bytes, snapshots + stats.snapshots_served))
}

fn assert_same_digest(world: &World) {
    let digests: Vec<u64> = world.nodes.iter().map(State::digest).collect();
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
}

/// The most entries that one frame with a vector has had, told by node 0.
fn longest_vector(world: &World) -> usize {
    let told = |peer: &Origin| world.nodes[0].known_to(*peer).iter().count();
    world.nodes[0].linked_peers().iter().map(told).max().unwrap_or(0)
}

/// What one Redis would hold.
#[derive(Default)]
struct Model {
    strings: BTreeMap<String, String>,
    roster: BTreeSet<String>,
    count: i64,
}

impl Model {
    /// One life of node 2: it overwrites what its predecessors wrote, counts, adds and removes.
    fn live(&mut self, world: &mut World, life: usize) {
        let (slot, value) = (format!("slot{}", life % 5), life.to_string());
        world.set(2, &slot, &value);
        self.strings.insert(slot, value);
        let (comes, goes) = (format!("player{}", life % 8), format!("player{}", (life + 4) % 8));
        world.sadd(2, "roster", &comes);
        world.srem(2, "roster", &goes);
        self.roster.insert(comes);
        self.roster.remove(&goes);
        world.sadd_as(Owner::NODE, 2, "online", &format!("life{life}"));
        world.incrby(2, "count", 2);
        self.count += 2;
        if life.is_multiple_of(10) {
            world.flush();
            world.del(life / 10 % 3, "count");
            self.count = 0;
        }
    }

    fn check(&self, world: &World, life: usize) {
        for (key, value) in &self.strings {
            assert_eq!(world.everywhere(key).as_ref(), Some(value));
        }
        assert!(world.members_everywhere("roster").iter().eq(&self.roster));
        assert_eq!(world.members_everywhere("online"), [format!("life{life}")]);
        let count = (self.count != 0).then(|| self.count.to_string());
        assert_eq!(world.everywhere("count"), count);
    }
}

#[test]
fn ten_thousand_restarts_leave_a_bounded_vector_and_bring_nothing_back() {
    let mut world = World::new(3);
    let mut model = Model::default();
    let (mut most_origins, mut longest) = (0, 0);
    for life in 0..10_000 {
        world.restart(2);
        world.flush();
        model.live(&mut world, life);
        world.rounds(1);
        most_origins = most_origins.max(world.nodes[0].stats().origins);
        longest = longest.max(longest_vector(&world));
        if life % 100 == 0 {
            world.check_invariants();
            model.check(&world, life);
            assert_same_digest(&world);
        }
    }
    eprintln!("{most_origins} {longest}");
    world.rounds(ENOUGH_ROUNDS);
    eprintln!("{:?}", origins(&world));
}
