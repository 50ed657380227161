//! Nobody waits for a whole merge: what peers send is worked off in slices, counted here in rows and not in time.

use std::collections::BTreeSet;
use std::task::{Context, Poll, Waker};

use super::world::{World, member};
use crate::dot::Owner;
use crate::limits::{Limits, SLICE_ROWS};
use crate::pubsub::Event;
use crate::pubsub::interest::Kind;
use crate::pubsub::topics::Family;
use crate::shared::list::End;
use crate::shared::walk::Cursor;

const MANY: usize = 10 * SLICE_ROWS;

/// Nodes that keep no history: whoever comes needs a snapshot.
fn forgetful(count: usize) -> World {
    World::with(count, &Limits { oplog_bytes: 0, ..Limits::default() })
}

/// Moves frames between two nodes until none is under way, without any work in between.
fn exchange(world: &mut World, a: usize, b: usize) {
    for _ in 0..50 {
        world.transmit(a, usize::MAX);
        world.transmit(b, usize::MAX);
        for (from, to) in [(a, b), (b, a)] {
            while world.deliver(from, to, false) || world.deliver(from, to, true) {}
        }
    }
}

/// Works a node to the end, and returns by how many rows it changed in each slice.
fn work_by_slice(world: &mut World, node: usize) -> Vec<usize> {
    let now = world.now;
    let mut changes = Vec::new();
    loop {
        let before = world.nodes[node].stats().rows;
        let more = world.nodes[node].work(now);
        changes.push(world.nodes[node].stats().rows.abs_diff(before));
        if !more {
            return changes;
        }
    }
}

#[test]
fn a_frame_of_many_operations_is_applied_and_confirmed_in_slices() {
    let mut world = World::new(2);
    world.fill(0, "lobby", MANY);
    world.transmit(0, 1);
    assert!(world.deliver(0, 1, false));
    let (now, from) = (world.now, world.origin(0));
    let mut slices = 1;
    loop {
        let node = &world.nodes[1];
        assert!((slices - 1) * SLICE_ROWS < node.stats().rows && node.stats().rows <= slices * SLICE_ROWS);
        assert_eq!(node.peers[&from].confirmation_owed, Some(node.origins.applied(from)), "no more than is applied");
        if !world.nodes[1].has_rest() {
            break;
        }
        world.nodes[1].handle_rest(now).unwrap();
        slices += 1;
    }
    assert!(slices > 3, "{slices} slices of one frame");
}

#[test]
fn a_message_does_not_overtake_the_rest_of_a_frame() {
    let mut world = World::new(2);
    let (_, mailbox, _) = world.nodes[1].subscribe(Kind::Topic, b"done", Family(9), Owner::SHARED).unwrap();
    world.flush();
    world.fill(0, "lobby", 3 * SLICE_ROWS);
    world.nodes[0].publish(b"done", b"all are in").unwrap();
    world.transmit(0, usize::MAX);
    assert!(world.deliver(0, 1, false));
    assert!(world.nodes[1].has_rest());
    let mut context = Context::from_waker(Waker::noop());
    while !matches!(mailbox.poll_next(&mut context), Poll::Ready(Some(Event::Message { .. }))) {
        assert!(world.deliver(0, 1, false), "the message is on its way");
    }
    assert_eq!(world.nodes[1].scard(b"lobby", world.now), Ok(3 * SLICE_ROWS));
}

#[test]
fn a_snapshot_of_one_large_key_is_merged_in_slices() {
    let mut world = forgetful(2);
    world.fill(0, "lobby", MANY);
    world.settle();
    let joiner = world.add(member(2, 1), Limits::default());
    world.cut(1, joiner);
    exchange(&mut world, 0, joiner);
    let changes = work_by_slice(&mut world, joiner);
    assert_eq!(changes.iter().sum::<usize>(), MANY);
    assert!(changes.iter().all(|rows| *rows <= SLICE_ROWS), "{changes:?}");
}

#[test]
fn a_large_key_that_a_snapshot_lacks_is_swept_in_slices() {
    let mut world = forgetful(2);
    world.fill(0, "lobby", MANY);
    world.settle();
    world.cut(0, 1);
    world.del(0, "lobby");
    world.rest();
    world.link(0, 1);
    while world.nodes[1].load.as_ref().is_none_or(|load| !load.is_merging()) {
        exchange(&mut world, 0, 1);
        world.gossip(0);
        world.gossip(1);
    }
    let changes = work_by_slice(&mut world, 1);
    assert_eq!(changes.iter().sum::<usize>(), MANY);
    assert!(changes.iter().all(|rows| *rows <= SLICE_ROWS), "{changes:?}");
}

/// A key of each type, one with several and a deadline, and values that three nodes wrote at once.
#[test]
fn a_walk_one_piece_at_a_time_meets_what_a_walk_at_once_meets() {
    let mut world = World::new(3);
    (0..3).for_each(|node| world.isolate(node));
    for node in 0..3 {
        let (now, state) = (world.now, &mut world.nodes[node]);
        state.set(Owner::SHARED, b"string", node.to_string().as_bytes(), None, now).unwrap();
        state.hset(Owner::SHARED, b"hash", &[b"f", b"1", b"g", b"2"], now).unwrap();
        state.push(Owner::SHARED, End::Right, b"list", &[b"a", b"b"], now).unwrap();
        state.sadd(Owner::SHARED, b"set", &[b"x", b"y"], now).unwrap();
        state.expire(b"set", 100, now).unwrap();
        match node {
            0 => drop(state.sadd(Owner::SHARED, b"mixed", &[b"x"], now)),
            1 => drop(state.hset(Owner::SHARED, b"mixed", &[b"f", b"1"], now)),
            _ => drop(state.push(Owner::SHARED, End::Right, b"mixed", &[b"a"], now)),
        }
    }
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        world.link(a, b);
    }
    world.settle();
    let keyspace = &world.nodes[0].keyspace;
    let mut at_once = Vec::new();
    keyspace.walk(&mut Cursor::default(), |key, piece| {
        at_once.push(format!("{key:?} {piece:?}"));
        std::ops::ControlFlow::Continue(())
    });
    let (mut one_by_one, mut cursor) = (Vec::new(), Cursor::default());
    while !cursor.is_at_end() {
        keyspace.walk(&mut cursor, |key, piece| {
            one_by_one.push(format!("{key:?} {piece:?}"));
            std::ops::ControlFlow::Break(())
        });
    }
    assert_eq!(one_by_one, at_once);
    assert_eq!(at_once.iter().collect::<BTreeSet<_>>().len(), at_once.len(), "none twice");
    let rows: usize = at_once.iter().filter(|piece| piece.contains("String(")).count();
    assert_eq!(rows, 3, "all three values of one string");
}
