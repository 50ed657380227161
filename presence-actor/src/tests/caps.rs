//! Every cap that is not a command's own argument: at the cap all is well, one past it something named happens.
//!
//! The caps of a command's arguments are in [`super::commands`], the inbox's and that of forgotten origins with them, those of calls in
//! [`super::homed`].

use std::task::{Context, Poll};
use std::time::Duration;

use headcount_cluster::WallMs;

use super::world::{World, member};
use crate::dot::Owner;
use crate::error::{Error, TryAgain};
use crate::homed::{Answer, HomedCommand, Refusal};
use crate::limits::{
    Limits, MAX_PARKED_COMMANDS, MAX_POSITION, MAX_QUEUED_FRAMES, MAX_SEEN_BYTES, MAX_SEEN_COUNTS, MAX_SEQUENCE,
    MAX_SPENT_COUNTS,
};
use crate::pubsub::Event;
use crate::pubsub::interest::Kind;
use crate::shared::list::End;
use crate::state::{State, StateEvent};
use crate::wire::{self, Frame};

const SHARED: Owner = Owner::SHARED;
const NOW: WallMs = WallMs(1_000_000);

#[test]
fn over_its_memory_a_node_refuses_what_adds_and_goes_on_with_all_else() {
    let mut node = State::local(Limits::default(), 0);
    node.set(SHARED, b"k", &[b'x'; 1000], None, NOW).unwrap();
    node.sadd(SHARED, b"s", &[b"a"], NOW).unwrap();
    node.push(SHARED, End::Left, b"l", &[b"a"], NOW).unwrap();
    let used = node.stats().memory_bytes;
    node.limits.max_memory_bytes = used;
    assert!(node.sadd(SHARED, b"s", &[b"b"], NOW).is_ok(), "at the cap");
    let used = node.stats().memory_bytes;
    node.limits.max_memory_bytes = used - 1;
    let refused = Err(Error::OutOfMemory { used, limit: used - 1 });
    assert_eq!(
        node.set(SHARED, b"k", b"", None, NOW),
        refused,
        "one past it, even where less would be stored, as Redis has it"
    );
    assert_eq!(node.sadd(SHARED, b"s", &[b"c"], NOW).map(drop), refused);
    assert_eq!(node.hset(SHARED, b"h", &[b"f", b"v"], NOW).map(drop), refused);
    assert_eq!(node.incrby(SHARED, b"n", 1, NOW).map(drop), refused);
    assert_eq!(node.hincrby(SHARED, b"h", b"n", 1, NOW).map(drop), refused);
    assert_eq!(node.push(SHARED, End::Right, b"l", &[b"b"], NOW).map(drop), refused);
    assert_eq!(node.set_nx(b"new", b"v", None, |_| None, NOW).map(drop), refused);
    assert_eq!(node.stats().memory_bytes, used, "nothing was written");
    assert_eq!(node.scard(b"s", NOW), Ok(2));
    assert_eq!(node.expire(b"s", 100, NOW), Ok(true));
    assert_eq!(node.pop(End::Left, b"l", |_| None, NOW).unwrap().into_value().as_deref(), Some(&b"a"[..]));
    assert_eq!(node.compare_and_set(b"k", Some(&[b'x'; 1000]), None, None, |_| None, NOW), Ok(Answer::Flag(true)));
    assert!(node.set(SHARED, b"k", b"v", None, NOW).is_ok(), "there is room again");
    node.del(&[b"k", b"s"], NOW).unwrap();
    assert_eq!(node.stats().memory_bytes, 0, "what is gone costs nothing");
}

#[test]
fn what_peers_write_is_taken_beyond_the_cap_and_counted() {
    let limits = Limits { max_memory_bytes: 2_000, ..Limits::default() };
    let mut world = World::with(2, &limits);
    while world.nodes[0].sadd(SHARED, b"s", &[&[b'x'; 100]], world.now).is_ok() {
        world.incrby(1, "n", 1);
        let now = world.now;
        let n = world.nodes[0].stats().rows.to_string();
        if world.nodes[0].sadd(SHARED, b"t", &[n.as_bytes()], now).is_err() {
            break;
        }
    }
    world.settle();
    world.assert_converged();
    let [a, b] = [0, 1].map(|node| world.nodes[node].stats().memory_bytes);
    assert_eq!(a, b, "the account is the same wherever the rows came from");
    assert!(a > 2_000);
    let now = world.now;
    assert!(matches!(world.nodes[1].set(SHARED, b"k", b"v", None, now), Err(Error::OutOfMemory { .. })));
}

#[test]
fn a_subscriber_queue_holds_its_messages_and_counts_those_past_it() {
    let mut node = State::local(Limits { subscriber_queue: 3, ..Limits::default() }, 0);
    let family = node.open_family();
    let (_, mailbox, _) = node.subscribe(Kind::Topic, b"t", family, SHARED).unwrap();
    let waker = futures::task::noop_waker();
    for (published, gap) in [(3_u8, None), (4, Some(1))] {
        for n in 0..published {
            node.publish(b"t", &[n]).unwrap();
        }
        let mut heard = Vec::new();
        while let Poll::Ready(Some(event)) = mailbox.poll_next(&mut Context::from_waker(&waker)) {
            heard.push(event);
        }
        let missed = heard.iter().find_map(|event| if let Event::Gap { missed } = event { *missed } else { None });
        assert_eq!((missed, heard.len()), (gap, 3 + usize::from(gap.is_some())));
    }
}

#[test]
fn a_peer_queue_takes_messages_up_to_its_bytes_and_drops_and_counts_those_past_it() {
    let mut world = World::new(2);
    let (family, now) = (world.nodes[1].open_family(), world.now);
    world.nodes[1].subscribe(Kind::Topic, b"t", family, SHARED).unwrap();
    world.flush();
    assert_eq!(world.nodes[0].publish(b"t", &[0; 100]), Ok(1));
    let one = world.nodes[0].peers.values().next().unwrap().queued_bytes;
    world.nodes[0].limits.peer_queue_bytes = 2 * one;
    assert_eq!(world.nodes[0].publish(b"t", &[0; 100]), Ok(1), "at the cap");
    assert_eq!(world.nodes[0].publish(b"t", &[0; 100]), Ok(0), "past it");
    assert_eq!(world.nodes[0].stats().messages_dropped, 1);
    world.nodes[0].incrby(SHARED, b"n", 1, now).unwrap();
    world.flush();
    assert_eq!(world.get(1, "n").as_deref(), Some("1"), "operations are never dropped");
}

#[test]
fn logs_together_stay_within_their_bytes() {
    let mut world = World::with(2, &Limits { oplog_bytes: 200_000, ..Limits::default() });
    world.cut(0, 1);
    for n in 0..3_000 {
        world.sadd(0, "s", &format!("{n:0100}"));
        if n % 100 == 0 {
            world.gossip(0);
        }
    }
    world.gossip(0);
    let held = world.nodes[0].stats().oplog_bytes;
    assert!(held > 0 && held <= 200_000, "{held}");
    world.link(0, 1);
    world.settle();
    assert_eq!(world.nodes[1].scard(b"s", world.now), Ok(3_000), "a snapshot brings what the log does not reach");
}

#[test]
fn a_snapshot_larger_than_may_be_held_is_given_up() {
    let run = |snapshot_bytes: usize| {
        let mut world = World::with(1, &Limits { oplog_bytes: 0, ..Limits::default() });
        world.fill(0, "s", 2_000);
        world.gossip(0);
        world.add(member(1, 1), Limits { snapshot_bytes, ..Limits::default() });
        for _ in 0..20 {
            world.pass(200);
            (0..2).for_each(|node| world.gossip(node));
            world.flush();
        }
        world.nodes[1].stats().snapshots_loaded
    };
    let needed = (0..20).map(|n| 1_usize << n).find(|bytes| run(*bytes) > 0).expect("some size is enough");
    assert_eq!(run(needed / 2), 0);
}

#[test]
fn a_clock_ahead_by_the_cap_is_followed_and_one_past_it_is_reported() {
    let reported = |ahead_ms: u64| {
        let mut world = World::with(2, &Limits { max_clock_skew: Duration::from_mins(1), ..Limits::default() });
        let then = world.now.plus_ms(ahead_ms);
        world.nodes[1].incrby(SHARED, b"n", 1, then).unwrap();
        world.flush();
        std::iter::from_fn(|| world.nodes[0].poll_event()).any(|event| matches!(event, StateEvent::ClockAhead { .. }))
    };
    assert!(!reported(60_000));
    assert!(reported(60_001));
}

#[test]
fn a_removal_that_saw_more_contributions_than_one_operation_lists_is_split() {
    let ops_of_a_delete = |fields: usize, name: usize| {
        let mut world = World::new(2);
        let now = world.now;
        for n in 0..fields {
            world.nodes[0].hincrby(SHARED, b"h", format!("{n:0name$}").as_bytes(), 1, now).unwrap();
        }
        world.flush();
        let before = world.nodes[1].stats().local_ops;
        world.del(1, "h");
        world.flush();
        assert_eq!(world.nodes[0].exists(&[b"h"], now), Ok(0));
        world.nodes[1].stats().local_ops - before
    };
    assert_eq!(ops_of_a_delete(MAX_SEEN_COUNTS - 1, 5), 1);
    assert!(ops_of_a_delete(MAX_SEEN_COUNTS, 5) > 1);
    let long = 4096;
    assert_eq!(ops_of_a_delete(MAX_SEEN_BYTES / long - 1, long), 1);
    assert!(ops_of_a_delete(MAX_SEEN_BYTES / long, long) > 1);
}

#[test]
fn spent_contributions_beyond_the_cap_are_forgotten() {
    let mut world = World::new(2);
    world.cut(0, 1);
    let now = world.now;
    for n in 0..=MAX_SPENT_COUNTS {
        let key = n.to_string();
        world.nodes[0].incrby(SHARED, key.as_bytes(), 1, now).unwrap();
        world.nodes[0].del(&[key.as_bytes()], now).unwrap();
    }
    assert_eq!(world.nodes[0].keyspace.spent.len(), MAX_SPENT_COUNTS + 1);
    world.gossip(0);
    assert_eq!(world.nodes[0].keyspace.spent.len(), MAX_SPENT_COUNTS);
}

#[test]
fn a_peer_that_reads_nothing_is_overwhelmed_past_the_cap() {
    let mut world = World::new(2);
    let peer = world.origin(1);
    let waiting = world.nodes[0].peers[&peer].queue.len();
    for _ in waiting..MAX_QUEUED_FRAMES {
        world.nodes[0].broadcast(&Frame::BeyondLog { number: 0 });
    }
    assert!(!world.nodes[0].is_overwhelmed(peer));
    world.nodes[0].broadcast(&Frame::BeyondLog { number: 0 });
    assert!(world.nodes[0].is_overwhelmed(peer));
}

#[test]
fn a_home_parks_commands_up_to_the_cap_and_says_when_it_has_too_many() {
    let mut world = World::new(2);
    let (caller, now) = (world.origin(1), world.now);
    let home = &mut world.nodes[0];
    let key = (0..100).map(|n| format!("k{n}")).find(|key| home.is_home(key.as_bytes())).unwrap();
    let ask = |number| {
        let command = HomedCommand::Pop { end: End::Left, key: key.as_bytes().into(), wait: None };
        wire::encode(&Frame::Ask { number, command, after: 0, confirm: false })
    };
    // One frame after the other, without the time in between in which the home could agree with its peer.
    for number in 1..=MAX_PARKED_COMMANDS as u64 + 1 {
        home.handle_frame(caller, &ask(number).into(), now).unwrap();
    }
    let mut answers = Vec::new();
    while let Some(frame) = home.poll_stream(caller) {
        if let Ok(Frame::Answer { number, outcome }) = wire::decode(&mut &frame[..]) {
            answers.push((number, outcome));
        }
    }
    let refused = Err(Refusal::TryAgain(TryAgain::Overloaded));
    assert_eq!(answers, [(MAX_PARKED_COMMANDS as u64 + 1, refused)]);
}

#[test]
fn numbers_are_believed_up_to_their_caps() {
    for (seq, believed) in [(MAX_SEQUENCE, true), (MAX_SEQUENCE + 1, false)] {
        let frame = wire::encode(&Frame::Applied { seq });
        assert_eq!(wire::decode(&mut &frame[..]).is_ok(), believed);
    }
    for (position, believed) in [(MAX_POSITION, true), (MAX_POSITION + 1, false), (-MAX_POSITION - 1, false)] {
        let op = crate::op::Op {
            stamp: headcount_cluster::Hlc::default(),
            answers: None,
            action: crate::op::Action::Push {
                key: crate::op::Raw(b"l"),
                position,
                values: crate::op::Several([crate::op::Raw(b"v")].into_iter().collect()),
                owner: SHARED,
            },
        };
        let bytes = headcount_cluster::codec::encode(&op);
        assert_eq!(wire::decode_op(&mut &bytes[1..]).is_ok(), believed, "{position}");
    }
}
