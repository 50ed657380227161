//! Blocked pops: whoever takes what they were offered, wherever their homes go, they neither miss an element nor lose one.
//!
//! A home offers an element to who has waited longest, and the caller comes for it with a call of its own. Between the two anything
//! can happen: the element is taken, the home changes, the caller goes away. The waiter must keep its place or be gone for good.

use std::time::Duration;

use headcount_cluster::GoneReason;

use super::steps::{key_where, keys_where};
use super::*;
use crate::api::Presence;
use crate::limits::MAX_PARKED_COMMANDS;
use crate::local::LocalPresence;
use crate::wire::Frame;

/// Found by a review: an element that was handed to the future and not yet looked at was lost when the future was dropped.
#[tokio::test]
async fn an_element_that_lies_ready_for_a_dropped_pop_goes_back() {
    let presence = LocalPresence::new();
    {
        let mut blocked = Box::pin(presence.blpop(["q"], Duration::ZERO));
        assert!(futures::poll!(&mut blocked).is_pending());
        presence.rpush("q", ["a"]).await.unwrap();
    }
    assert_eq!(presence.llen("q").await.unwrap(), 1, "the element is lost");
}

/// Found by a review: who came in vain for one list was not offered what another list got in the meantime.
#[test]
fn a_blocked_pop_whose_offer_was_taken_is_offered_the_other_list() {
    let mut world = World::new(2);
    let names = keys_where(2, |key| world.home(0, key) == 0);
    world.until_serving(0, &[0, 1]);
    let mut wait = world.wait(1, &[&names[0], &names[1]]).1;
    world.flush();
    // The home offers the first list's element ...
    world.push(0, &names[0], &["a"]);
    // ... somebody takes it, and the other list gets one, before the claim arrives.
    let mut other = world.call(0, pop(&names[0]));
    assert_eq!(other.outcome(), Some(Ok(value("a"))));
    world.push(0, &names[1], &["b"]);
    world.settle();
    world.rest();
    let got = wait.try_recv().unwrap();
    let left = world.elements(1, &names[1]);
    assert_eq!(got, Some(Ok(Some((key(&names[1]), key("b"))))), "it hangs beside {left:?}");
}

/// Found by a review: an element was kept for who had gone to claim another, and all behind it hung too.
#[test]
fn who_waits_behind_a_blocked_pop_whose_offer_was_taken_does_not_hang() {
    let mut world = World::new(2);
    let names = keys_where(2, |key| world.home(0, key) == 0);
    world.until_serving(0, &[0, 1]);
    let _wait = world.wait(1, &[&names[0], &names[1]]).1;
    world.pass(1);
    let mut behind = world.wait(1, &[&names[1]]).1;
    world.flush();
    world.push(0, &names[0], &["a"]);
    let mut other = world.call(0, pop(&names[0]));
    assert!(other.outcome().is_some());
    world.push(0, &names[1], &["b"]);
    world.rest();
    let left = world.elements(1, &names[1]);
    assert!(behind.try_recv().unwrap().is_some() || left.is_empty(), "both hang beside {left:?}");
}

/// Found by a review: a caller that waited at the new home already, for another key, did not name the one that moved there.
#[test]
fn a_key_that_moves_to_the_home_of_another_key_is_waited_for_there() {
    let mut world = World::new(3);
    let moves = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 1);
    let stays = world.key_of(1);
    let mut wait = world.wait(2, &[&moves, &stays]).1;
    world.flush();
    world.down(0);
    world.rounds_of(&[1, 2], 10);
    world.push(2, &moves, &["a"]);
    world.rounds_of(&[1, 2], 30);
    let left = world.elements(1, &moves);
    assert_eq!(wait.try_recv().unwrap(), Some(Ok(Some((key(&moves), key("a"))))), "it hangs beside {left:?}");
}

/// Found by a review: a word of a former home made the caller believe that it was registered there, and it waited nowhere.
#[test]
fn a_late_word_of_a_former_home_is_not_taken_for_a_registration() {
    let mut world = World::new(3);
    let name = world.key_of(1);
    let mut wait = world.wait(0, &[&name]).1;
    world.tell(0, 1);
    world.believe(0, 1, false); // for a moment
    world.transmit(1, usize::MAX);
    while world.deliver(1, 0, false) {}
    world.believe(0, 1, true);
    world.settle();
    world.push(2, &name, &["a"]);
    world.rest();
    let left = world.elements(1, &name);
    assert_eq!(wait.try_recv().unwrap(), Some(Ok(Some((key(&name), key("a"))))), "it hangs beside {left:?}");
}

/// Found by a review: a home that was its own caller refused its claim as too busy, offered again and refused again, without end.
#[test]
fn settling_ends_where_the_home_has_no_room_for_its_own_claim() {
    let mut world = World::new(2);
    let name = world.key_of(0);
    world.settle();
    let caller = world.origin(1);
    // It does not serve: nothing comes from 1 but questions.
    for number in 1..=MAX_PARKED_COMMANDS as u64 {
        world.nodes[0].park_for_test(caller, number, pop(&name));
    }
    let now = world.now;
    let (_, mut outcome) = world.nodes[0].begin_wait(End::Left, &[name.as_bytes()], now).unwrap();
    world.nodes[0].push(crate::Owner::SHARED, End::Right, name.as_bytes(), &[b"a"], now).unwrap();
    world.settle_calls(0); // returns
    assert_eq!(outcome.try_recv().unwrap(), None, "it waits for room");
    assert_eq!(world.elements(0, &name), ["a"]);
}

/// Found by a review: what a node waited for at itself under its former origin stayed in the lines for ever.
#[test]
fn a_reincarnated_node_leaves_no_waiter_behind() {
    let mut world = World::new(2);
    let name = world.key_of(0);
    let (number, outcome) = world.wait(0, &[&name]);
    world.flush();
    let (old, now) = (world.members[0].clone(), world.now);
    world.reincarnate(0);
    world.nodes[1].handle_member_gone(&old, GoneReason::GraceOver, now);
    world.introduce(0, 1);
    world.settle();
    drop(outcome);
    world.nodes[0].drop_wait(number);
    world.rest();
    world.assert_at_rest();
}

/// Found by a storm: a claim that was asked for twice, answered once in vain and carried out the second time, took the place in the line which the blocked pop had
/// taken anew meanwhile.
#[test]
fn a_claim_of_before_does_not_end_a_wait_that_nothing_was_offered_to() {
    let mut world = World::new(3);
    let name = world.key_of(0);
    world.until_serving(0, &[0, 1, 2]);
    let (_, mut first) = world.wait(2, &[&name]);
    world.rounds(1);
    let (wait, mut second) = world.wait(1, &[&name]);
    world.rounds(1);
    world.push(0, &name, &["a"]); // it is offered to 2
    let command = HomedCommand::Pop { end: End::Left, key: key(&name), wait: Some(wait) };
    world.hear_falsely(1, 0, &Frame::Ask { number: 77, command, after: 0, confirm: false });
    assert!(world.elements(0, &name).is_empty(), "taken for 1, which does not wait for it any more");
    world.settle();
    assert!(matches!(first.try_recv(), Ok(Some(Ok(Some(_))))), "it went back");
    world.push(0, &name, &["b"]);
    world.settle();
    assert!(matches!(second.try_recv(), Ok(Some(Ok(Some(_))))), "it waits beside {:?}", world.elements(0, &name));
}
