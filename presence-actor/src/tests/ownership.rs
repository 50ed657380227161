//! Whose row it is when two write it: who wrote last, having seen the other, owns it alone.

use headcount_cluster::GoneReason;

use super::world::World;
use crate::dot::Owner;

const SHARED: Owner = Owner::SHARED;

fn set(world: &mut World, node: usize, owner: Owner, value: &str) {
    let now = world.now;
    world.nodes[node].set(owner, b"k", value.as_bytes(), None, now).unwrap();
    world.nodes[node].hset(owner, b"h", &[b"f", value.as_bytes()], now).unwrap();
}

/// The string and the field as a node shows them.
fn shown(world: &World, node: usize) -> (Option<String>, Option<String>) {
    let field = world.nodes[node].hget(b"h", b"f", world.now).unwrap();
    (world.get(node, "k"), field.map(|value| String::from_utf8(value.to_vec()).unwrap()))
}

fn both(value: &str) -> (Option<String>, Option<String>) {
    (Some(value.into()), Some(value.into()))
}

#[test]
fn a_shared_value_over_an_owned_one_stays_when_the_former_owner_dies() {
    let mut world = World::new(2);
    set(&mut world, 0, Owner::NODE, "owned");
    world.flush();
    set(&mut world, 1, SHARED, "shared");
    world.flush();
    world.down(0);
    assert_eq!(shown(&world, 1), both("shared"));
    world.gone_at(1, 0);
    world.work();
    assert_eq!(shown(&world, 1), both("shared"));
    assert_eq!(world.nodes[1].stats().rows, 2);
    world.check_invariants();
}

#[test]
fn a_value_of_another_owner_leaves_with_that_owner_and_not_with_the_former() {
    let mut world = World::new(3);
    set(&mut world, 0, Owner::NODE, "first");
    world.flush();
    set(&mut world, 1, Owner::NODE, "second");
    world.flush();
    world.down(0);
    world.gone_at(2, 0);
    world.work();
    assert_eq!(shown(&world, 2), both("second"));
    world.down(1);
    assert_eq!(shown(&world, 2), (None, None));
}

/// On one Redis the earlier value is overwritten; that its successor had an owner does not bring it back.
#[test]
fn an_owned_value_over_a_shared_one_leaves_nothing_when_its_owner_dies() {
    let mut world = World::new(2);
    set(&mut world, 1, SHARED, "shared");
    world.flush();
    set(&mut world, 0, Owner::NODE, "owned");
    world.flush();
    assert_eq!(shown(&world, 1), both("owned"));
    world.down(0);
    assert_eq!(shown(&world, 1), (None, None));
    world.gone_at(1, 0);
    world.work();
    assert_eq!(world.nodes[1].stats().rows, 0);
}

#[test]
fn a_shared_value_that_an_owned_one_had_not_seen_shows_again_when_the_owner_dies() {
    let mut world = World::new(2);
    set(&mut world, 1, SHARED, "shared");
    world.pass(1);
    set(&mut world, 0, Owner::NODE, "owned"); // and had not seen the other
    world.flush();
    assert_eq!(shown(&world, 1), both("owned"), "the later");
    world.down(0);
    assert_eq!(shown(&world, 1), both("shared"));
}

#[test]
fn a_session_that_ends_leaves_what_others_have_overwritten() {
    let mut world = World::new(2);
    let session = world.nodes[0].open_session();
    set(&mut world, 0, session, "mine");
    world.flush();
    set(&mut world, 1, Owner::NODE, "yours");
    world.flush();
    let now = world.now;
    world.nodes[0].end_session(session, now);
    world.flush();
    for node in 0..2 {
        assert_eq!(shown(&world, node), both("yours"));
    }
    world.check_invariants();
}

#[test]
fn whoever_goes_down_is_counted_though_it_is_soon_up_again() {
    let mut world = World::new(2);
    let (member, now) = (world.members[1].clone(), world.now);
    let node = &mut world.nodes[0];
    for times in 1..=2 {
        node.handle_member_down(&member, now);
        node.handle_member_up(&member, now);
        assert_eq!(node.suspicions(), times);
    }
    node.handle_member_gone(&member, GoneReason::Left, now);
    assert_eq!(node.suspicions(), 2, "who leaves was never Down");
}
