//! Frames that no honest peer sends: nothing panics, the books stay in order, and the node goes on.

use std::collections::BTreeSet;

use bytes::Bytes;
use headcount_cluster::{GoneReason, Hlc, Origin, WallMs};
use proptest::prelude::*;

use super::world::{World, member};
use crate::blob::Blob;
use crate::dot::Owner;
use crate::homed::{Answer, Dot, HomedCommand, Take};
use crate::limits::Limits;
use crate::pubsub::interest::Kind;
use crate::shared::list::{ElementKey, End};
use crate::state::State;
use crate::wire::{self, Frame, Known};

/// Frames as honest nodes send them: of joiners, of who serves them a snapshot, and of calls at homes.
fn honest_frames() -> Vec<Bytes> {
    let mut frames = seen_frames();
    frames.extend(seldom_frames().iter().map(|frame| wire::encode(frame).into()));
    frames
}

/// Those that few events bring about, as they look then.
fn seldom_frames() -> Vec<Frame> {
    let (key, since) = (Blob::from(&b"l"[..]), WallMs(1_000_000));
    let command = HomedCommand::Count { key: key.clone(), field: None, by: 3, seconds: None };
    let vector = vec![(member(0, 1).origin(), 3), (member(1, 1).origin(), 5)];
    let by = Dot { origin: member(0, 1).origin(), seq: 3 };
    let element = ElementKey { position: 0, stamp: Hlc(1), origin: by.origin, seq: 2, index: 0 };
    vec![
        Frame::Pull { number: 1, vector: vector.clone() },
        Frame::BeyondLog { number: 1 },
        Frame::SnapshotRefused { id: 1 },
        Frame::Gone { gone: vec![(member(7, 1).origin(), 0)], reason: GoneReason::Left },
        Frame::Ask { number: 1, command, after: 2, confirm: true },
        Frame::Answer { number: 1, outcome: Ok(Answer::Number(3)) },
        Frame::Confirmed { number: 1 },
        Frame::Lapsed { number: 1 },
        Frame::AskTaken { element, by },
        Frame::Taken { element, takes: vec![Take { dot: by, call: (by.origin, 1), fate: None }] },
        Frame::Withdraw { number: 1 },
        Frame::Wait { number: 2, keys: vec![key.clone()], since },
        Frame::Offer { number: 2, key: Some(key) },
        Frame::EndWait { number: 2 },
        Frame::Agree { number: 1, view: 7, until: Hlc(1) },
        Frame::Agreed { number: 1, vector: Some(vector), used: Hlc(1) },
    ]
}

/// The number of a frame's kind on the wire.
fn kind(frame: &Frame) -> usize {
    match frame {
        Frame::Hello { .. } => 0,
        Frame::Vector { .. } => 1,
        Frame::Pull { .. } => 2,
        Frame::BeyondLog { .. } => 3,
        Frame::Ops { .. } => 4,
        Frame::Applied { .. } => 5,
        Frame::Interest { .. } => 6,
        Frame::InterestNoted { .. } => 7,
        Frame::Messages { .. } => 8,
        Frame::Gone { .. } => 9,
        Frame::SnapshotRequest { .. } => 10,
        Frame::SnapshotRefused { .. } => 11,
        Frame::Snapshot { .. } => 12,
        Frame::Ask { .. } => 13,
        Frame::Answer { .. } => 14,
        Frame::Confirmed { .. } => 15,
        Frame::Withdraw { .. } => 16,
        Frame::Wait { .. } => 17,
        Frame::Offer { .. } => 18,
        Frame::EndWait { .. } => 19,
        Frame::Agree { .. } => 20,
        Frame::Agreed { .. } => 21,
        Frame::Lapsed { .. } => 22,
        Frame::AskTaken { .. } => 23,
        Frame::Taken { .. } => 24,
    }
}

/// Found by a review: no snapshot was among them, so none was ever garbled.
#[test]
fn frames_of_every_kind_are_there_to_be_garbled() {
    let frames = honest_frames();
    let kinds: BTreeSet<usize> = frames.iter().map(|frame| kind(&wire::decode(&mut &frame[..]).unwrap())).collect();
    assert_eq!(kinds, (0..=24).collect());
}

/// All that goes from node to node while two write, one joins, and nobody keeps history.
fn seen_frames() -> Vec<Bytes> {
    let mut world = World::with(2, &Limits { oplog_bytes: 0, ..Limits::default() });
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
    // The interest has to be known before the message is published, or nobody is sent it.
    world.nodes[0].subscribe(Kind::Topic, b"chat", family, Owner::SHARED).unwrap();
    world.settle();
    world.nodes[0].del(&[b"c"], now).unwrap();
    world.nodes[1].srem(b"s", &[b"a"], now).unwrap();
    world.nodes[1].pop(End::Right, b"l", |_| None, now).unwrap();
    world.nodes[1].publish(b"chat", b"hello").unwrap();
    let (joiner, server) = (world.add(member(2, 1), Limits::default()), world.origin(0));
    world.nodes[joiner].request_snapshot(server);
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

/// The chunks of a snapshot with rows of all kinds.
fn snapshot_frames() -> Vec<Bytes> {
    let is_snapshot = |frame: &Bytes| matches!(wire::decode(&mut &frame[..]), Ok(Frame::Snapshot { .. }));
    seen_frames().into_iter().filter(is_snapshot).collect()
}

/// A node with some data and a link to the peer that sends.
fn victim() -> State {
    let mut world = World::new(2);
    world.sadd(0, "s", "a");
    world.incrby(1, "c", 3);
    world.settle();
    world.nodes.swap_remove(0)
}

/// Lets a node wait for the snapshot that a frame is a chunk of.
fn ask_for_snapshot(node: &mut State, from: Origin, frame: &[u8]) {
    node.load = None;
    let id = if let Ok(Frame::Snapshot { id, .. }) = wire::decode(&mut &frame[..]) { id } else { 1 };
    node.last_load_id = id.saturating_sub(1);
    node.request_snapshot(from);
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
        let (from, now) = (member(1, 1).origin(), WallMs(2_000_000));
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
    fn snapshots_with_bytes_changed_do_no_harm(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..4, evil_number()), 1..10),
    ) {
        let frames = snapshot_frames();
        let mut node = victim();
        let (from, now) = (member(1, 1).origin(), WallMs(2_000_000));
        for (which, place, removed, inserted) in edits {
            let mut bytes = which.get(&frames).to_vec();
            let at = place.index(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted);
            ask_for_snapshot(&mut node, from, &bytes);
            let _ = node.handle_frame(from, &bytes.into(), now);
            // What was understood of it is merged whether or not it was the last chunk.
            let last = Some(Known { vector: vec![(from, 3)], ..Known::default() });
            let id = node.last_load_id;
            let _ = node.handle_frame(from, &wire::encode(&Frame::Snapshot { id, parts: 0, last }).into(), now);
            while node.work(now) {}
            node.check_invariants();
        }
        for key in [&b"s"[..], b"h", b"c", b"t", b"l"] {
            let _ = node.del(&[key], now);
            node.check_invariants();
        }
    }

    #[test]
    fn noise_does_no_harm(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 1..40)) {
        let mut node = victim();
        let (from, now) = (member(1, 1).origin(), WallMs(2_000_000));
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
