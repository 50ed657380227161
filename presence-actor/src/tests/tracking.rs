//! Who is present, as lists and diffs say it: on cores with manual time, and through handles.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use headcount_cluster::{SystemClock, WallMs};

use super::world::{World, member};
use crate::ack::Ack;
use crate::api::Presence;
use crate::dot::Owner;
use crate::error::Error;
use crate::handle::{ClusterPresence, HasHandle, Shared};
use crate::limits::Limits;
use crate::local::LocalPresence;
use crate::state::State;
use crate::track::roster::{Changed, Roster};
use crate::track::{Diff, PresenceDiffs, PresenceRef, Presences, Tracking, rows};

fn track(world: &mut World, node: usize, owner: Owner, key: &str, meta: &str) -> PresenceRef {
    let (row_key, now) = (rows::key_of(b"room"), world.now);
    let (reference, _) = world.nodes[node].track(owner, &row_key, key.as_bytes(), meta.as_bytes(), now).unwrap();
    reference
}

/// `alice: phone@n0, web@n1; bob: ..`
fn in_words(presences: &Presences) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let keys = presences.iter().map(|(key, sessions)| {
        let sessions = sessions.iter().map(|session| match &session.node {
            Some(node) => format!("{}@{node}", text(&session.meta)),
            None => text(&session.meta),
        });
        // The order is that of references, which are random between nodes.
        let sessions: BTreeSet<String> = sessions.collect();
        format!("{}: {}", text(key), sessions.into_iter().collect::<Vec<_>>().join(", "))
    });
    keys.collect::<Vec<_>>().join("; ")
}

fn present(world: &World, node: usize) -> String {
    in_words(&world.nodes[node].presences(&rows::key_of(b"room"), world.now).unwrap())
}

/// What a follower on a node is told now: joins, then leaves.
fn told(world: &World, node: usize, roster: &mut Roster) -> (String, String) {
    let diff = roster.difference(&world.nodes[node], &rows::key_of(b"room"), Changed::All, world.now);
    (in_words(&diff.joins), in_words(&diff.leaves))
}

fn words(joins: &str, leaves: &str) -> (String, String) {
    (joins.into(), leaves.into())
}

#[test]
fn several_sessions_under_one_key_come_and_go_one_by_one() {
    let mut world = World::new(2);
    let session = world.nodes[1].open_session();
    let phone = track(&mut world, 0, Owner::NODE, "alice", "phone");
    let web = track(&mut world, 1, session, "alice", "web");
    assert_ne!(phone, web);
    world.flush();
    let mut roster = Roster::default();
    assert_eq!(present(&world, 0), "alice: phone@n0, web@n1");
    assert_eq!(told(&world, 0, &mut roster), words("alice: phone@n0, web@n1", ""));
    let now = world.now;
    world.nodes[1].end_session(session, now);
    world.flush();
    assert_eq!(told(&world, 0, &mut roster), words("", "alice: web@n1"));
    assert_eq!(present(&world, 0), "alice: phone@n0");
}

#[test]
fn the_sessions_of_a_node_leave_with_it_and_join_again_when_it_returns() {
    let mut world = World::new(2);
    let reference = track(&mut world, 1, Owner::NODE, "bob", "web");
    world.settle();
    let mut roster = Roster::default();
    assert_eq!(told(&world, 0, &mut roster), words("bob: web@n1", ""));
    world.down(1);
    assert_eq!(told(&world, 0, &mut roster), words("", "bob: web@n1"));
    world.introduce(0, 1);
    assert_eq!(told(&world, 0, &mut roster), words("bob: web@n1", ""));
    world.down(1);
    world.gone_at(0, 1);
    world.work();
    assert_eq!(told(&world, 0, &mut roster), words("", "bob: web@n1"));
    // It was alive, and comes back under a new incarnation.
    let me = member(1, 2);
    world.members[1] = me.clone();
    let now = world.now;
    world.nodes[1].handle_reincarnated(&me, now);
    world.introduce(0, 1);
    world.settle();
    assert_eq!(told(&world, 0, &mut roster), words("bob: web@n1", ""));
    let presences = world.nodes[0].presences(&rows::key_of(b"room"), world.now).unwrap();
    assert_eq!(presences[b"bob".as_slice()][0].reference, reference, "the session is the same");
    world.assert_converged();
}

/// A stream's next diff, when there is one now.
fn next(diffs: &mut PresenceDiffs) -> Option<(String, String)> {
    let diff: Option<Option<Diff>> = diffs.recv().now_or_never();
    diff.map(|diff| diff.expect("the node runs")).map(|diff| (in_words(&diff.joins), in_words(&diff.leaves)))
}

#[tokio::test]
async fn a_stream_begins_with_everybody_and_goes_on_with_what_changes() {
    let presence = LocalPresence::new();
    let mut nobody = presence.watch_presences("elsewhere").await.unwrap();
    assert_eq!(next(&mut nobody), Some(words("", "")), "the first comes though there is nobody");
    assert_eq!(next(&mut nobody), None);
    let alice = presence.track("room", "alice", "here").await.unwrap();
    let mut room = presence.watch_presences("room").await.unwrap();
    let bob = presence.track("room", "bob", "here").await.unwrap(); // between the stream and its first diff
    assert_eq!(next(&mut room), Some(words("alice: here; bob: here", "")));
    alice.update("away").await.unwrap();
    assert_eq!(next(&mut room), Some(words("alice: away", "alice: here")));
    alice.update("away").await.unwrap();
    assert_eq!(next(&mut room), None, "nothing new was said");
    drop(presence.track("room", "carol", "here").await.unwrap());
    assert_eq!(next(&mut room), None, "who comes and goes in between is not spoken of");
    drop((alice, bob));
    assert_eq!(next(&mut room), Some(words("", "alice: away; bob: here")));
    assert!(presence.presences("room").await.unwrap().is_empty());
    assert_eq!(presence.exists("headcount:presence:room").await, Ok(0));
    assert_eq!(next(&mut nobody), None, "topics do not hear of each other");
}

#[tokio::test]
async fn a_slow_reader_gets_one_diff_of_everything() {
    let limits = Limits { watcher_queue: 2, ..Limits::default() };
    let presence = LocalPresence::with(limits, Arc::new(SystemClock));
    let mut room = presence.watch_presences("room").await.unwrap();
    assert_eq!(next(&mut room), Some(words("", "")));
    let mut tracked = Vec::new();
    for n in 0..5 {
        tracked.push(presence.track("room", n.to_string(), "").await.unwrap());
    }
    drop(tracked.remove(0));
    assert_eq!(next(&mut room), Some(words("1: ; 2: ; 3: ; 4: ", "")));
    let missed = presence.handle().shared().read(|state, _| state.stats().changes_missed);
    assert!(missed > 0, "its watch had overflowed");
    assert_eq!(next(&mut room), None);
}

#[tokio::test]
async fn a_guard_keeps_its_session_and_takes_only_its_own_row_with_it() {
    let presence = LocalPresence::new();
    let session = presence.session();
    let first = session.track("room", "alice", "1").await.unwrap();
    let second = session.track("room", "alice", "2").await.unwrap();
    assert_ne!(first.reference(), second.reference());
    session.sadd("of-the-session", "x").await.unwrap();
    drop(session);
    assert_eq!(in_words(&presence.presences("room").await.unwrap()), "alice: 1, 2");
    drop(first);
    assert_eq!(in_words(&presence.presences("room").await.unwrap()), "alice: 2");
    assert_eq!(presence.exists("of-the-session").await, Ok(1));
    drop(second);
    assert_eq!(presence.exists(["headcount:presence:room", "of-the-session"]).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn who_is_not_confirmed_in_time_is_not_tracked() {
    let mut state = State::clustered(&member(0, 1), Limits::default(), WallMs(0), 0);
    state.handle_member_up(&member(1, 1), WallMs(0));
    let presence = ClusterPresence::new(&Shared::attended(state, Arc::new(SystemClock)));
    let acknowledged = presence.acknowledged(Ack::All, Duration::from_secs(1));
    let refused = acknowledged.track("room", "alice", "").await;
    assert_eq!(refused.err(), Some(Error::NotConfirmed { confirmed: 0, wanted: 1 }));
    assert!(presence.presences("room").await.unwrap().is_empty());
    let tracked = presence.track("room", "alice", "").await.unwrap();
    assert_eq!(in_words(&presence.presences("room").await.unwrap()), "alice: @n0");
    presence.shared().write(|state, _| state.close());
    assert_eq!(tracked.update("x").await, Err(Error::Closed));
}

#[tokio::test]
async fn streams_end_with_the_node() {
    let presence = LocalPresence::new();
    let mut room = presence.watch_presences("room").await.unwrap();
    assert!(room.recv().await.is_some());
    presence.handle().shared().write(|state, _| state.close());
    assert_eq!(room.recv().await, None);
}

#[test]
fn a_topic_that_is_too_long_is_refused_by_its_own_length() {
    let mut node = State::local(Limits::default(), 1);
    let (longest, now) = (4096 - rows::KEY_PREFIX.len(), WallMs(0));
    let mut track =
        |bytes: usize| node.track(Owner::NODE, &rows::key_of(&vec![b't'; bytes]), b"k", b"m", now).map(drop);
    assert_eq!(track(longest), Ok(()));
    let (what, bytes, name) = ("topic", longest + 1, "max_key_bytes");
    assert_eq!(track(longest + 1), Err(Error::TooLarge { what, bytes, limit: longest, name }));
}
