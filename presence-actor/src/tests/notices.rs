//! What an operator is told without asking: once when it begins, once when it ends.

use headcount_cluster::NodeId;

use crate::dot::Owner;
use crate::homed::HomeRequires;
use crate::limits::Limits;
use crate::notices::Memory;
use crate::peer::readiness::ReadyBy;
use crate::state::{State, StateEvent};
use crate::tests::world::{World, member};

fn told(node: &mut State) -> Vec<StateEvent> {
    std::iter::from_fn(|| node.poll_event()).collect()
}

fn memory_told(world: &mut World) -> Vec<Memory> {
    world.rounds(3);
    let memory = |event| if let StateEvent::Memory { memory, .. } = event { Some(memory) } else { None };
    told(&mut world.nodes[0]).into_iter().filter_map(memory).collect()
}

#[test]
fn memory_is_spoken_of_when_it_gets_short_and_full_and_when_there_is_room_again() {
    let limits = Limits { max_memory_bytes: 100_000, ..Limits::default() };
    let mut world = World::with(1, &limits);
    let fill = |world: &mut World, until: usize| {
        for n in 0.. {
            if world.nodes[0].stats().memory_bytes >= until {
                return;
            }
            let now = world.now;
            let value = [b'x'; 1000];
            world.nodes[0].set(Owner::SHARED, format!("{until}/{n}").as_bytes(), &value, None, now).unwrap();
        }
    };
    fill(&mut world, 50_000);
    assert_eq!(memory_told(&mut world), []);
    fill(&mut world, 82_000);
    assert_eq!(memory_told(&mut world), [Memory::Short]);
    fill(&mut world, 100_001);
    assert_eq!(memory_told(&mut world), [Memory::Full]);
    for n in 0..15 {
        world.del(0, &format!("50000/{n}"));
    }
    assert_eq!(memory_told(&mut world), [Memory::Short]);
    for n in 15..40 {
        world.del(0, &format!("50000/{n}"));
    }
    assert_eq!(memory_told(&mut world), [Memory::Roomy]);
}

#[test]
fn a_majority_is_spoken_of_when_it_is_lost_and_when_it_is_there_again() {
    let limits = Limits { home_requires: HomeRequires::Majority, ..Limits::default() };
    let mut world = World::with(3, &limits);
    told(&mut world.nodes[0]);
    let absent: Vec<NodeId> = (1..3).map(|node| world.members[node].node.clone()).collect();
    for node in [1, 2] {
        world.down(node);
    }
    world.nodes[0].handle_gossip(world.now);
    let lost = StateEvent::Majority { lacks: true, known: 3, absent: absent.clone() };
    assert_eq!(told(&mut world.nodes[0]), [lost]);
    world.introduce(0, 1);
    world.nodes[0].handle_gossip(world.now);
    let back = StateEvent::Majority { lacks: false, known: 3, absent: absent[1..].to_vec() };
    assert_eq!(told(&mut world.nodes[0]), [back]);
}

/// Found by an operator's review: the last to leave, beside a dead node that had it all, was told that its writes may be lost.
#[test]
fn writes_that_a_node_confirmed_before_it_died_are_not_unheard() {
    let mut world = World::new(2);
    world.sadd(0, "lobby", "alice");
    assert_eq!(world.nodes[0].unheard(), 1);
    world.settle();
    world.down(1);
    assert_eq!(world.nodes[0].unheard(), 0);
    world.sadd(0, "lobby", "bob");
    assert_eq!(world.nodes[0].unheard(), 1, "of the two nobody has the second");
    world.gone_at(0, 1);
    assert_eq!(world.nodes[0].unheard(), 1);
}

#[test]
fn a_joiner_says_for_whom_it_waits() {
    let mut world = World::new(2);
    let joiner = world.add_knowing(member(2, 1), Limits::default(), &[0]);
    for _ in 0..10 {
        world.now = world.now.plus_ms(200);
        world.gossip(joiner);
        world.flush();
    }
    let waits_for = vec![world.members[1].node.clone()];
    assert_eq!(told(&mut world.nodes[joiner]), [StateEvent::StillJoining { waits_for }]);
}

/// Found by a review: a node whose only peer is Up by gossip and cannot be linked was not ready, and its own log said nothing of it.
#[test]
fn a_joiner_says_who_has_no_link_to_it() {
    let mut world = World::new(1);
    let mut state = State::clustered(&member(1, 1), Limits::default(), world.now, 1);
    let seed = world.members[0].clone();
    state.handle_seeds_tried(1);
    state.handle_member_up(&seed, world.now);
    for _ in 0..100 {
        world.now = world.now.plus_ms(200);
        state.handle_gossip(world.now);
    }
    assert!(state.ready().is_none());
    assert_eq!(told(&mut state), [StateEvent::Unlinked { peers: vec![seed.node] }]);
}

#[test]
fn a_node_without_seeds_is_first_and_one_whose_seeds_are_dead_is_alone() {
    let ready = |tried: Vec<(String, String)>| {
        let world = World::new(1);
        let mut node = State::clustered(&member(7, 1), Limits::default(), world.now, 7);
        node.handle_seeds_tried(0);
        node.handle_alone(tried);
        node.ready().cloned()
    };
    assert_eq!(ready(vec![]), Some(ReadyBy::First));
    let tried = vec![("10.0.0.9:7946".to_owned(), "refused".to_owned())];
    assert_eq!(ready(tried.clone()), Some(ReadyBy::Alone { tried }));
}
