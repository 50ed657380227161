//! Who serves when nodes do not see the same: with broken links, stopped processes, slow links, splits and joiners.
//!
//! Two dangers stand against each other. Two homes may serve one key at a time, or one that has not learned what the other did;
//! and none may serve at all though enough nodes could agree. Each test is for one of them.

use std::collections::VecDeque;

use headcount_cluster::{GoneReason, WallMs};

use super::steps::{ROUND_MS, Sent, key_where};
use super::*;
use crate::dot::Owner;
use crate::homed::Refusal;
use crate::limits::SPENT_HOLD;
use crate::state::State;
use crate::wire::Frame;

/// Milliseconds that a frame takes on a slow link: there and back is longer than a gossip round.
const SLOW_MS: u64 = 120;

fn answered(calls: &mut [Call]) -> usize {
    calls.iter_mut().filter_map(Call::outcome).count()
}

/// Found by a review: a node left its view when a link broke, so one that could talk to both sides had promised itself to two homes.
#[test]
fn one_broken_link_does_not_make_two_homes_while_a_third_talks_to_both() {
    let mut world = World::new(3);
    world.push(1, "warm", &["x"]);
    world.settle();
    let name = key_where(|key| world.home_among(&[0, 1], key) == 0 && world.home_among(&[1, 2], key) == 2);
    world.push(1, &name, &["a"]);
    world.settle();
    world.cut(0, 2); // all stay Up for all; 1 is linked to both
    let mut calls = [world.call(0, pop(&name)), world.call(2, pop(&name))];
    for _ in 0..25 {
        // Rounds first, delivery afterwards: frames take a moment.
        world.pass(ROUND_MS);
        world.gossip_unheard(&[0, 1, 2]);
        world.flush();
    }
    let got = calls.each_mut().map(|call| call.outcome() == Some(Ok(value("a"))));
    assert_ne!(got, [true, true], "delivered twice");
}

/// Found by a review: the same link stopped all homes where a majority is required, as no two nodes held the same view.
#[test]
fn one_broken_link_of_three_does_not_stop_the_majority() {
    let mut world = with_majority(3);
    world.settle();
    world.cut(0, 2);
    let asked = (0..3).flat_map(|node| (0..20).map(move |n| (node, format!("c{n}"))));
    let mut calls: Vec<Call> = asked.map(|(node, name)| world.call(node, count(&name))).collect();
    world.rounds_of(&[0, 1, 2], 25);
    assert!(answered(&mut calls) > 0, "none of {} answered in 5 s though 1 talks to both", calls.len());
}

/// Found by a review: a home that went on without a silent node was patient anew after each command.
#[test]
fn a_home_that_goes_on_without_a_stopped_node_serves_all_commands() {
    let mut world = World::new(3);
    let name = world.key_of(0);
    world.settle();
    // 2 is stopped: its link stands, nothing comes from it, it is Up for the others.
    let mut calls: Vec<Call> = Vec::new();
    for _ in 0..25 {
        world.now = world.now.plus_ms(ROUND_MS);
        world.gossip_unheard(&[0, 1]);
        calls.extend([(); 2].map(|()| world.call(1, count(&name))));
        world.talk(&[0, 1]);
    }
    let done = answered(&mut calls);
    assert!(done >= calls.len() - 2, "{done} of {} in 5 s", calls.len());
}

/// All frames take their time from node to node.
#[derive(Default)]
struct SlowLinks(VecDeque<(WallMs, Sent)>);

impl SlowLinks {
    /// What nodes have to say leaves them, and what left them long enough ago arrives.
    fn carry(&mut self, world: &mut World) {
        let due = world.now.plus_ms(SLOW_MS);
        for (from, to) in world.pairs() {
            self.0.extend(world.take_sent(from, to).into_iter().map(|sent| (due, sent)));
        }
        while let Some((_, sent)) = self.0.pop_front_if(|(due, _)| *due <= world.now) {
            world.hand(&sent);
        }
    }
}

/// Found by a review: a consent counted only until the next question, and with slow links it always came after that.
#[test]
fn agreement_is_reached_when_there_and_back_takes_longer_than_a_gossip_round() {
    let mut world = with_majority(3);
    let name = world.key_of(0);
    world.settle();
    let (mut links, mut calls) = (SlowLinks::default(), Vec::new());
    for ms in (20..=6_000).step_by(20) {
        world.pass(20);
        if ms % ROUND_MS == 0 {
            world.gossip_unheard(&[0, 1, 2]);
        }
        (0..3).for_each(|node| world.settle_calls(node));
        links.carry(&mut world);
        if ms % 500 == 0 && ms < 5_000 {
            calls.push(world.call(1, count(&name)));
        }
    }
    let done = answered(&mut calls);
    assert!(done + 1 >= calls.len(), "{done} of {} answered in 6 s", calls.len());
}

/// Its home is stopped, and the others hold it for Down: the next home has popped the list's first element.
fn popped_while_home_is_stopped(world: &mut World) -> String {
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 1);
    world.push(0, &name, &["a", "b"]);
    world.settle();
    world.until_serving(0, &[0, 1, 2]);
    world.rounds_of(&[0, 1, 2], 1);
    // The links stand.
    for node in [1, 2] {
        world.believe(node, 0, false);
    }
    let mut taken = world.call(1, pop(&name));
    for _ in 0..20 {
        world.now = world.now.plus_ms(ROUND_MS);
        for node in [1, 2] {
            world.gossip(node);
        }
        world.talk(&[1, 2]);
    }
    assert_eq!(taken.outcome(), Some(Ok(value("a"))));
    name
}

/// Found by a review: a home that had been stopped took fresh consents for the old ones' continuation, and served from before the stop.
#[test]
fn a_home_that_was_stopped_learns_what_was_taken_before_it_serves() {
    for mut world in [with_majority(3), World::new(3)] {
        let name = popped_while_home_is_stopped(&mut world);
        // 0 goes on, and the others hear that it is there.
        for node in [1, 2] {
            world.believe(node, 0, true);
        }
        world.gossip_unheard(&[1, 2]);
        world.talk(&[1, 2]);
        // Its timers fire at once. Questions and consents travel; operations are slower.
        world.gossip_unheard(&[0]);
        let mut held = Vec::new();
        for _ in 0..2 {
            for node in [1, 2] {
                world.hand_over(0, node);
            }
            held.extend([1, 2].map(|node| world.hand_over_but_operations(node, 0)));
        }
        let mut again = world.call(0, pop(&name));
        for sent in held.iter().flatten() {
            world.hand(sent);
        }
        world.rest();
        assert_eq!(again.outcome(), Some(Ok(value("b"))), "{:?}", world.nodes[0].limits.home_requires);
    }
}

/// Found by a review: nodes that were given up after the grace time did not count any more, so each side of a split had a majority.
#[test]
fn a_majority_is_not_had_by_both_sides_of_a_long_split() {
    let mut world = with_majority(5);
    world.push(0, "q", &["a"]);
    world.rest();
    let across: Vec<_> = world.pairs().into_iter().filter(|(a, b)| (*a < 2) != (*b < 2)).collect();
    for (a, b) in &across {
        world.cut(*a, *b);
        world.believe(*a, *b, false);
    }
    let mut early = world.call(0, pop("q"));
    assert!(matches!(early.outcome(), Some(Err(Error::TryAgain(TryAgain::NoMajority { .. })))));
    // The grace time is over.
    for (a, b) in &across {
        world.gone_at(*a, *b);
    }
    // Nor does a clock that is set ahead make a day of a moment.
    world.now = world.now.plus_ms(2 * SPENT_HOLD.as_millis() as u64);
    world.rounds_of(&[0, 1, 2, 3, 4], 20);
    let mut calls = [world.call(0, pop("q")), world.call(2, pop("q"))];
    world.rounds_of(&[0, 1, 2, 3, 4], 20);
    let got = calls.each_mut().map(|call| call.outcome() == Some(Ok(value("a"))));
    assert_ne!(got, [true, true], "delivered on both sides");
}

/// Found by a review: a node that had met nobody yet took itself for the home of everything, and knew nothing.
#[test]
fn a_joiner_does_not_serve_before_it_is_ready() {
    for home_requires in [HomeRequires::Any, HomeRequires::Majority] {
        let limits = Limits { home_requires, ..Limits::default() };
        let mut world = World::with(2, &limits);
        world.set(0, "lock", "held");
        world.settle();
        // Started with seeds; nothing is heard of them yet.
        let mut joiner = State::clustered(&member(2, 1), limits, world.now, 2);
        assert!(joiner.ready().is_none());
        let lock = HomedCommand::SetNx { key: key("lock"), value: key("mine"), seconds: None };
        let started = joiner.call(lock, world.now);
        assert!(
            !matches!(&started, Ok(Started::Carried(Carried { answer: Answer::Flag(true), .. }))),
            "it got a lock that is held: {started:?}"
        );
    }
}

/// Found by a review: a home stopped asking for consent when a command had waited for long, and nobody asked any more.
#[test]
fn a_command_that_waited_long_is_carried_out_once_all_agree() {
    let mut world = with_majority(3);
    let name = world.key_of(0);
    world.settle();
    let mut call = world.call(0, count(&name));
    // The others are stopped for three seconds; they stay Up.
    for _ in 0..15 {
        world.now = world.now.plus_ms(ROUND_MS);
        world.gossip_unheard(&[0]);
    }
    world.rounds_of(&[0, 1, 2], 30);
    assert_eq!(call.outcome(), Some(Ok(Answer::Number(1))), "six seconds after all is well again");
}

/// Found by a review: a joiner counted only those whom it met, and made a majority of a minority.
#[test]
fn a_joiner_counts_those_that_are_down() {
    let mut world = with_majority(3);
    let limits = world.nodes[0].limits.clone();
    for down in [0, 1] {
        world.isolate(down);
        world.believe(2, down, false);
    }
    let joiner = world.add_knowing(member(3, 1), limits, &[2]);
    world.rounds_of(&[2, joiner], 30);
    assert!(world.nodes[joiner].ready().is_some());
    for node in [2, joiner] {
        let refused = world.call(node, pop("q")).outcome();
        let expected = Err(Error::TryAgain(TryAgain::NoMajority { up: 2, known: 4 }));
        assert_eq!(refused, Some(expected), "node {node}");
    }
}

/// Found by a review: nor did it count who died just before it could meet them.
#[test]
fn a_joiner_counts_those_that_it_never_met() {
    let mut world = with_majority(3);
    let limits = world.nodes[0].limits.clone();
    // The two are stopped, and 2 has not noticed when the joiner comes.
    let joiner = world.add_knowing(member(3, 1), limits, &[2]);
    world.rounds_of(&[2, joiner], 40);
    for stopped in [0, 1] {
        world.believe(2, stopped, false);
    }
    assert!(world.nodes[joiner].ready().is_some());
    assert_eq!(
        world.call(joiner, pop("q")).outcome(),
        Some(Err(Error::TryAgain(TryAgain::NoMajority { up: 2, known: 4 })))
    );
}

/// Who left before the joiner could meet it is not counted.
#[test]
fn a_joiner_does_not_count_those_that_left() {
    let mut world = with_majority(3);
    let limits = world.nodes[0].limits.clone();
    let joiner = world.add_knowing(member(3, 1), limits, &[2]);
    world.rounds_of(&[2, joiner], 1);
    let (now, members) = (world.now, world.members.clone());
    for leaver in [0, 1] {
        world.nodes[2].handle_member_gone(&members[leaver], GoneReason::Left, now);
    }
    world.rounds_of(&[2, joiner], 40);
    assert_ne!(
        world.call(joiner, count("q")).outcome().and_then(Result::err),
        Some(Error::TryAgain(TryAgain::NoMajority { up: 2, known: 4 }))
    );
    world.rounds_of(&[2, joiner], 5);
    assert_eq!(world.nodes[joiner].homed.missing.len(), 0);
}

/// Found by a review: a call that no other node had heard of ended after ten seconds as one that may have been carried out.
#[test]
fn a_call_that_was_carried_out_nowhere_fails_when_the_majority_is_lost() {
    let mut world = with_majority(3);
    for home in [0, 1] {
        let name = world.key_of(home);
        // Both others are dead, and nobody has noticed.
        world.isolate(0);
        let mut call = world.call(0, count(&name));
        world.rounds_of(&[0], 3);
        assert_eq!(call.outcome(), None);
        for dead in [1, 2] {
            world.believe(0, dead, false);
        }
        let expected = Err(Error::TryAgain(TryAgain::NoMajority { up: 1, known: 3 }));
        assert_eq!(call.outcome(), Some(expected), "home {home}");
        for back in [1, 2] {
            world.believe(0, back, true);
            world.link(0, back);
        }
        world.rest();
        assert_eq!(world.get(0, &name), None, "home {home}");
    }
}

/// Found by a review: a home's own call that it had not begun to carry out was given up as one that it may have.
#[test]
fn a_home_knows_that_it_has_not_carried_out_its_own_call() {
    let mut world = World::new(3);
    let name = world.key_of(0);
    world.settle();
    world.isolate(0);
    let call = world.call(0, count(&name));
    assert_eq!(world.give_up(0, call), Error::TryAgain(TryAgain::NoAnswer));
    world.rest();
    assert_eq!(world.get(0, &name), None);
    (1..3).for_each(|node| world.link(0, node));
}

/// Found by a review: a life that nobody can have was refused by the home, in words that were not the caller's.
#[test]
fn a_wrong_life_is_refused_where_the_call_is_made() {
    let mut world = World::new(2);
    for home in [0, 1] {
        let name = key(&world.key_of(home));
        for seconds in [0, -1, i64::MAX] {
            let command = HomedCommand::SetNx { key: name.clone(), value: key("v"), seconds: Some(seconds) };
            let refused = world.call(0, command).outcome();
            assert_eq!(refused, Some(Err(Error::InvalidExpiry { command: "set" })), "{seconds} at {home}");
        }
    }
}

/// The first node is cut off after it has carried out a call of its own that nobody else has heard of; the others, once they may,
/// carry out the same for the second node; then all is well again. Returns what both callers were told.
fn carried_out_on_both_sides(
    world: &mut World,
    name: &str,
    command: impl Fn(&str) -> HomedCommand,
) -> [Option<Result<Answer>>; 2] {
    world.until_serving(0, &[0, 1, 2]);
    cut_off_and_carried_out_again(world, command(name), command(name))
}

/// The same, of a home that serves, and with a call of its own for each side.
fn cut_off_and_carried_out_again(
    world: &mut World,
    cut_off: HomedCommand,
    of_others: HomedCommand,
) -> [Option<Result<Answer>>; 2] {
    world.isolate(0);
    let before = world.nodes[0].written();
    let mut first = world.call(0, cut_off);
    assert!(world.nodes[0].written() > before && first.outcome().is_none(), "carried out, unconfirmed");
    for node in [1, 2] {
        world.believe(node, 0, false);
    }
    let mut second = world.call(1, of_others);
    world.rounds_of(&[1, 2], 20);
    assert!(matches!(second.outcome(), Some(Ok(_))), "by those that are left");
    for node in [1, 2] {
        world.believe(node, 0, true);
        world.link(0, node);
    }
    (0..3).for_each(|_| world.rest());
    [first.outcome(), second.outcome()]
}

/// Found by a simulation: what a home carried out just before it was cut off was confirmed when it came back, though the others had given
/// the same answer meanwhile.
#[test]
fn what_was_carried_out_before_a_lapse_is_not_confirmed_after_it() {
    let mut world = with_majority(3);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 1);
    let lock = |name: &str| HomedCommand::SetNx { key: key(name), value: key("mine"), seconds: None };
    let told = carried_out_on_both_sides(&mut world, &name, lock);
    assert_eq!(told, [Some(Err(Error::OutcomeUnknown)), Some(Ok(Answer::Flag(true)))]);
}

/// The same, with an element that both sides had popped: it must not go back for the one and be given a third time.
#[test]
fn an_element_that_was_popped_on_both_sides_is_given_once() {
    let mut world = with_majority(3);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 1);
    world.push(0, &name, &["a"]);
    world.settle();
    let told = carried_out_on_both_sides(&mut world, &name, pop);
    assert_eq!(told, [Some(Err(Error::TryAgain(TryAgain::NoAnswer))), Some(Ok(value("a")))]);
    assert_eq!(world.elements(0, &name).len(), 0, "it was given to 1");
}

/// A home whose clock is ahead sets a lock that nobody else hears of; the others, whose clocks are right, give it to the second node.
/// Returns what both callers were told.
fn given_away_while_a_home_ahead_was_cut_off(world: &mut World, name: &str) -> [Option<Result<Answer>>; 2] {
    let lock = |who: &str| HomedCommand::SetNx { key: key(name), value: key(who), seconds: Some(300) };
    cut_off_and_carried_out_again(world, lock("lapsed"), lock("granted"))
}

/// Found by a review: what a home with a clock ahead wrote just before it was cut off won by its stamp over what the others had granted, so that who was
/// told that it has the lock did not have it.
#[test]
fn a_lock_that_was_granted_is_not_taken_by_what_a_home_ahead_wrote_before_it_lapsed() {
    for ahead_ms in [0, 3_000, 50_000, 3_600_000] {
        let mut world = with_majority(3);
        let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 1);
        world.set_ahead(0, ahead_ms);
        world.until_serving(0, &[0, 1, 2]);
        let told = given_away_while_a_home_ahead_was_cut_off(&mut world, &name);
        assert_eq!(told, [Some(Err(Error::OutcomeUnknown)), Some(Ok(Answer::Flag(true)))], "{ahead_ms} ms");
        assert_eq!(world.everywhere(&name).as_deref(), Some("granted"), "{ahead_ms} ms");
        world.assert_converged();
    }
}

/// The same when the home hears of a time ahead only after the others have agreed that it serves.
#[test]
fn a_home_writes_under_no_later_stamp_than_the_others_have_agreed_to() {
    let mut world = with_majority(3);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 1);
    world.until_serving(0, &[0, 1, 2]);
    world.set_ahead(0, 50_000);
    let told = given_away_while_a_home_ahead_was_cut_off(&mut world, &name);
    assert_eq!(told, [Some(Err(Error::OutcomeUnknown)), Some(Ok(Answer::Flag(true)))]);
    assert_eq!(world.everywhere(&name).as_deref(), Some("granted"));
}

/// What homes write keeps its order, and no clock runs away, however often the view changes.
#[test]
fn stamps_of_homes_do_not_run_ahead_while_views_change() {
    let mut world = with_majority(3);
    let name = world.key_of(1);
    for _ in 0..40 {
        world.until_serving(1, &[0, 1, 2]);
        for up in [false, true] {
            for node in [0, 1] {
                world.believe(node, 2, up);
            }
            world.rounds_of(&[0, 1, 2], 3);
        }
    }
    let mut call = world.call(1, count(&name));
    world.rest();
    assert!(call.outcome().is_some());
    let ahead = world.nodes[1].clock.peek(world.now).wall().since_ms(world.now);
    assert!(ahead <= 3_000, "{ahead} ms");
}

/// Found by a simulation: consents are not kept fresh when nobody has called for a while, and what a call then wrote under the last of them was not confirmed
/// any more where messages took longer than they lasted. Nobody was cut off.
#[test]
fn a_call_after_a_while_without_one_is_confirmed_though_consents_were_about_to_run_out() {
    for idle_rounds in 0..20 {
        let mut world = with_majority(3);
        world.until_serving(0, &[0, 1, 2]);
        let name = world.key_of(0);
        world.rounds_of(&[0, 1, 2], idle_rounds);
        let mut call = world.call(0, count(&name));
        // For two rounds nothing arrives.
        for _ in 0..2 {
            world.pass(200);
            world.gossip_unheard(&[0, 1, 2]);
        }
        world.rounds_of(&[0, 1, 2], 3);
        assert_eq!(call.outcome(), Some(Ok(Answer::Number(1))), "after {idle_rounds} rounds without a call");
    }
}

/// A home, node 0, carries out a call of node 2 and is not heard; then node 1 is the key's home and carries it out too, after `before`. Node 2 has
/// heard of both operations, of the first home's last, and not yet what comes of them. Returns the call, and that word of node 1.
fn carried_out_by_two(world: &mut World, command: HomedCommand, before: impl FnOnce(&mut World)) -> (Call, Vec<Sent>) {
    world.until_serving(0, &[0, 1, 2]);
    let (call, written) = (world.call(2, command), world.nodes[0].written());
    world.hand_over(2, 0);
    assert!(world.nodes[0].written() > written, "it is carried out");
    let unheard = world.take_sent(0, 2);
    world.cut(0, 1);
    for node in [1, 2] {
        world.believe(node, 0, false);
    }
    before(world);
    let mut words = Vec::new();
    for _ in 0..40 {
        world.pass(ROUND_MS);
        world.gossip_unheard(&[1, 2]);
        for _ in 0..4 {
            world.hand_over(2, 1);
            let (held_back, heard): (Vec<_>, Vec<_>) =
                world.take_sent(1, 2).into_iter().partition(Sent::is_confirmation);
            for sent in &heard {
                world.hand(sent);
            }
            words.extend(held_back);
        }
    }
    assert!(!words.is_empty(), "it is carried out again");
    for sent in &unheard {
        world.hand(sent);
    }
    (call, words)
}

/// All hear each other again.
fn heal_all(world: &mut World) {
    world.link(0, 1);
    for node in [1, 2] {
        world.believe(node, 0, true);
    }
    (0..3).for_each(|_| world.rest());
}

/// Found by simulations (heard-late, seed 25): the word of the next home, that enough nodes have what it wrote, was taken for one about what the
/// silent home had written, so that one number was given twice.
#[test]
fn the_word_of_a_home_counts_for_what_it_wrote_itself() {
    let mut world = with_majority(3);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 1);
    let mut first = None;
    let (mut call, words) = carried_out_by_two(&mut world, count(&name), |world| {
        first = Some(world.call(1, count(&name)));
        world.gossip_unheard(&[1]);
    });
    for word in &words {
        world.hand(word);
    }
    let told = [first.unwrap().outcome(), call.outcome()];
    assert_eq!(told, [Some(Ok(Answer::Number(1))), Some(Ok(Answer::Number(2)))]);
    heal_all(&mut world);
    world.assert_at_rest();
}

/// The same, of elements: the one that was not given goes back.
#[test]
fn of_two_elements_that_two_homes_took_for_one_call_one_goes_back() {
    let mut world = with_majority(3);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 1);
    world.push(0, &name, &["a"]);
    world.settle();
    let (mut call, words) = carried_out_by_two(&mut world, pop(&name), |world| {
        let now = world.now;
        world.nodes[1].push(Owner::SHARED, End::Left, name.as_bytes(), &[b"b"], now).unwrap();
    });
    for word in &words {
        world.hand(word);
    }
    assert_eq!(call.outcome(), Some(Ok(value("b"))));
    heal_all(&mut world);
    assert_eq!(world.elements(0, &name), ["a"]);
    world.assert_at_rest();
}

/// The same, of one element that both took: it is given once, or goes back once.
#[test]
fn one_element_that_two_homes_took_for_one_call_is_not_lost() {
    for confirmed in [true, false] {
        let mut world = with_majority(3);
        let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 1);
        world.push(0, &name, &["a"]);
        world.settle();
        let (mut call, words) = carried_out_by_two(&mut world, pop(&name), |_| {});
        if confirmed {
            for word in &words {
                world.hand(word);
            }
            assert_eq!(call.outcome(), Some(Ok(value("a"))));
        } else {
            let Call::Open { number, .. } = call else { panic!("it has ended: {call:?}") };
            world.hear_falsely(1, 2, &Frame::Lapsed { number });
            assert_eq!(call.outcome(), Some(Err(Error::TryAgain(TryAgain::NoAnswer))));
        }
        heal_all(&mut world);
        let left: &[&str] = if confirmed { &[] } else { &["a"] };
        assert_eq!(world.elements(0, &name), left, "confirmed: {confirmed}");
        world.assert_at_rest();
    }
}

/// A home, node 0, pops an element for a call of node 2, which hears of it; that home dies before it has said whether enough nodes have it.
fn popped_by_a_home_that_dies(world: &mut World, name: &str) -> Call {
    world.push(0, name, &["a"]);
    world.settle();
    world.until_serving(0, &[0, 1, 2]);
    let (call, written) = (world.call(2, pop(name)), world.nodes[0].written());
    world.hand_over(2, 0);
    assert!(world.nodes[0].written() > written, "it is carried out");
    let said = world.take_sent(0, 2);
    for sent in &said {
        world.hand(sent);
    }
    world.isolate(0);
    for node in [1, 2] {
        world.believe(node, 0, false);
    }
    call
}

/// Found by a review: a home that was the caller's own node said nothing of what another home had written.
#[test]
fn a_call_whose_caller_becomes_its_home_ends() {
    let mut world = with_majority(3);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 2);
    let mut call = popped_by_a_home_that_dies(&mut world, &name);
    world.rounds_of(&[1, 2], 20);
    assert_eq!(call.outcome(), Some(Err(Error::TryAgain(TryAgain::NoAnswer))));
    world.rounds_of(&[1, 2], 20);
    assert_eq!(world.elements(1, &name), ["a"], "it is back");
}

/// Found by a review: a home that refused a call after another had carried it out was not asked again, and its word never came.
#[test]
fn a_call_that_its_next_home_refuses_is_asked_again() {
    let mut world = with_majority(3);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2], key) == 1);
    let mut call = popped_by_a_home_that_dies(&mut world, &name);
    drop(world.take_sent(2, 1));
    let Call::Open { number, .. } = call else { panic!("it has ended: {call:?}") };
    world.hear_falsely(1, 2, &Frame::Answer { number, outcome: Err(Refusal::NotHome) });
    world.rounds_of(&[1, 2], 20);
    assert_eq!(call.outcome(), Some(Err(Error::TryAgain(TryAgain::NoAnswer))));
    world.rounds_of(&[1, 2], 20);
    assert_eq!(world.elements(1, &name), ["a"], "it is back");
}
