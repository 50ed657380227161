//! Frames that no honest peer sends: nothing panics, the books stay in order, and the node goes on.

use bytes::Bytes;
use proptest::prelude::*;

use super::world::{World, member};
use crate::dot::Owner;
use crate::limits::Limits;
use crate::pubsub::interest::Kind;
use crate::shared::list::End;
use crate::state::State;

/// Frames of every kind, as honest nodes send them: from a joiner's and a server's side.
fn honest_frames() -> Vec<Bytes> {
    let mut world = World::new(2);
    let now = world.now;
    let family = world.nodes[0].open_family();
    for node in &mut world.nodes {
        node.sadd(Owner::NODE, b"s", &[b"a", b"b"], now).unwrap();
        node.hset(Owner::SHARED, b"h", &[b"f", b"1"], now).unwrap();
        node.hincrby(Owner::SHARED, b"h", b"n", 5, now).unwrap();
        node.incrby(Owner::SHARED, b"c", 7, now).unwrap();
        node.set(Owner::SHARED, b"t", b"v", Some(100), now).unwrap();
        node.expire(b"h", 50, now).unwrap();
        node.push(Owner::SHARED, End::Left, b"l", &[b"a", b"b"], now).unwrap();
    }
    world.settle();
    world.nodes[0].subscribe(Kind::Topic, b"chat", family, Owner::SHARED).unwrap();
    world.nodes[0].del(&[b"c"], now).unwrap();
    world.nodes[1].srem(b"s", &[b"a"], now).unwrap();
    world.nodes[1].pop(End::Right, b"l", |_| None, now).unwrap();
    world.nodes[1].publish(b"chat", b"hello").unwrap();
    world.add(member(2, 1), Limits::default());
    let mut frames = Vec::new();
    for _ in 0..6 {
        for from in 0..3 {
            for to in (0..3).filter(|to| *to != from) {
                let (origin, to_origin) = (world.origin(from), world.origin(to));
                while let Some(frame) =
                    world.nodes[from].poll_stream(to_origin).or_else(|| world.nodes[from].poll_bulk(to_origin))
                {
                    world.nodes[to].handle_frame(origin, &frame, now).unwrap();
                    frames.push(frame);
                }
            }
            world.gossip(from);
        }
        world.work();
    }
    frames
}

/// A node with some data and a link to the peer that sends.
fn victim() -> State {
    let mut world = World::new(2);
    world.sadd(0, "s", "a");
    world.incrby(1, "c", 3);
    world.settle();
    world.nodes.swap_remove(0)
}

/// Numbers that break careless arithmetic.
fn evil_number() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        Just(vec![253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        Just(vec![252, 0xff, 0xff, 0xff, 0xff]),
        Just(vec![0]),
        proptest::collection::vec(any::<u8>(), 1..4),
    ]
}

proptest! {
    #[test]
    fn frames_with_bytes_changed_do_no_harm(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..4, evil_number()), 1..12),
    ) {
        let frames = honest_frames();
        let mut node = victim();
        let (from, now) = (member(1, 1).origin(), headcount_cluster::WallMs(2_000_000));
        for (which, place, removed, inserted) in edits {
            let mut bytes = which.get(&frames).to_vec();
            let at = place.index(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted);
            let _ = node.handle_frame(from, &bytes.into(), now);
            while node.work(now) {}
            node.handle_gossip(now);
            while node.poll_stream(from).is_some() || node.poll_bulk(from).is_some() {}
            node.handle_time(now);
            let _ = (node.digest(), node.stats());
            while node.poll_event().is_some() {}
            node.incrby(Owner::SHARED, b"mine", 1, now).unwrap();
        }
        node.check_invariants();
    }

    #[test]
    fn noise_does_no_harm(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 1..40)) {
        let mut node = victim();
        let (from, now) = (member(1, 1).origin(), headcount_cluster::WallMs(2_000_000));
        for mut frame in frames {
            if let Some(first) = frame.first_mut() {
                *first = 1; // the codec's version, so that the rest is looked at
            }
            let _ = node.handle_frame(from, &frame.into(), now);
            while node.work(now) {}
        }
        node.check_invariants();
    }
}

#[test]
fn the_stamps_of_a_peer_whose_clock_is_minutes_ahead_are_kept_and_not_followed() {
    let mut world = World::new(2);
    let ahead = world.now.plus_ms(300_000);
    world.nodes[1].set(Owner::SHARED, b"k", b"from the future", None, ahead).unwrap();
    world.flush();
    let told = std::iter::from_fn(|| world.nodes[0].poll_event()).collect::<Vec<_>>();
    let peer = world.origin(1);
    assert!(
        told.iter()
            .any(|event| matches!(event, crate::state::StateEvent::ClockAhead { peer: told, .. } if *told == peer)),
        "{told:?}"
    );
    assert_eq!(world.everywhere("k").as_deref(), Some("from the future"));
    world.set(0, "k", "seen and replaced");
    world.flush();
    assert_eq!(
        world.everywhere("k").as_deref(),
        Some("seen and replaced"),
        "what was seen is replaced, whatever its stamp"
    );
    for write in 0..10 {
        world.nodes[1].incrby(Owner::SHARED, b"n", write, ahead).unwrap();
        world.flush();
    }
    let told_again = std::iter::from_fn(|| world.nodes[0].poll_event())
        .any(|event| matches!(event, crate::state::StateEvent::ClockAhead { .. }));
    assert!(!told_again, "once is enough");
}

/// Found by a review: one fast clock made every node expire every key early, because deadlines were judged by stamps.
#[test]
fn a_fast_clock_elsewhere_does_not_let_keys_die_early() {
    for skew_ms in [40_000, 300_000] {
        let mut world = World::new(3);
        let now = world.now;
        world.nodes[0].set(Owner::SHARED, b"w", b"v", Some(30), now).unwrap();
        world.flush();
        world.nodes[2].set(Owner::SHARED, b"k", b"v", None, now.plus_ms(skew_ms)).unwrap();
        world.nodes[2].handle_time(now);
        world.flush();
        for node in 0..2 {
            assert_eq!(world.nodes[node].ttl(b"w", now).unwrap().as_seconds(), 30);
            world.nodes[node].set(Owner::SHARED, b"m", b"v", Some(5), now).unwrap();
            assert_eq!(world.nodes[node].ttl(b"m", now).unwrap().as_seconds(), 5);
        }
        world.pass(29_000);
        world.flush();
        assert_eq!(world.get(0, "w").as_deref(), Some("v"));
        assert_eq!(world.get(1, "w").as_deref(), Some("v"));
        world.pass(2_000);
        assert_eq!(world.get(1, "w"), None);
    }
}
