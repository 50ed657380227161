//! Elements that two homes have popped, the second because it had not heard of the first: one caller is given it, or it goes back once.

use headcount_cluster::GoneReason;

use super::steps::{ROUND_MS, Sent, key_where};
use super::*;
use crate::homed::{Dot, Fate, Take};
use crate::limits::MAX_TAKERS;
use crate::wire::Frame;

const ALL: [usize; 5] = [0, 1, 2, 3, 4];

/// All but the first home.
const OTHERS: [usize; 4] = [1, 2, 3, 4];

/// The homes of a list of one element, 0 and then 4, have popped it, each for a call that nobody waits for any more, and nobody else has heard of either pop.
struct Disputed {
    world: World,
    name: String,
}

impl Disputed {
    fn between(callers: [usize; 2]) -> Self {
        let (mut world, name, first) = popped_unheard(callers[0], &["a"]);
        world.isolate(0);
        assert_eq!(world.give_up(callers[0], first), Error::TryAgain(TryAgain::NoAnswer));
        for node in OTHERS {
            world.believe(node, 0, false);
        }
        world.rounds_of(&OTHERS, 20);
        world.until_serving(4, &OTHERS);
        let second = world.call(callers[1], pop(&name));
        world.tell(callers[1], 4);
        assert!(world.elements(4, &name).is_empty(), "taken again");
        world.isolate(4);
        assert_eq!(world.give_up(callers[1], second), Error::TryAgain(TryAgain::NoAnswer));
        Self { world, name }
    }

    /// All are together again for long enough.
    fn rest(&mut self) {
        bring_together(&mut self.world, &ALL);
        (0..3).for_each(|_| self.world.rest());
        self.world.assert_at_rest();
        self.world.assert_converged();
    }

    fn left(&self) -> Vec<String> {
        self.world.elements(2, &self.name)
    }
}

/// The first home of a list, 0, pops its first element for a call, and nobody else has heard of that.
fn popped_unheard(caller: usize, elements: &[&str]) -> (World, String, Call) {
    let mut world = with_majority(5);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&OTHERS, key) == 4);
    world.push(2, &name, elements);
    world.settle();
    world.until_serving(0, &ALL);
    let call = world.call(caller, pop(&name));
    if caller != 0 {
        world.tell(caller, 0);
    }
    assert_eq!(world.elements(0, &name), elements[1..], "taken");
    (world, name, call)
}

/// All of these that are apart meet.
fn bring_together(world: &mut World, nodes: &[usize]) {
    for (one, other) in world.pairs() {
        let are_apart = one < other && !world.is_linked(one, other);
        if are_apart && nodes.contains(&one) && nodes.contains(&other) {
            world.introduce(one, other);
        }
    }
}

/// The first home is back among the others for long enough.
fn bring_back(world: &mut World) {
    for node in OTHERS {
        world.introduce(0, node);
    }
    (0..3).for_each(|_| world.rest());
}

/// Nodes in the order of their origins.
fn by_origin(world: &World) -> Vec<usize> {
    let mut nodes: Vec<usize> = (0..world.nodes.len()).collect();
    nodes.sort_by_key(|node| world.origin(*node));
    nodes
}

/// A node serves as a home of these.
fn let_serve(world: &mut World, home: usize, nodes: &[usize]) {
    let mut call = world.call(home, count(&key_where(|key| world.home_among(nodes, key) == home)));
    world.talk(nodes);
    assert!(call.outcome().is_some(), "the next home serves");
}

/// Gossip rounds of some nodes that hear each other and nobody else.
fn rounds_among(world: &mut World, nodes: &[usize]) {
    for _ in 0..20 {
        world.now = world.now.plus_ms(ROUND_MS);
        world.gossip_unheard(nodes);
        world.talk(nodes);
    }
}

/// The same, while what one of them asks of another is held back and returned.
fn rounds_among_but_questions(world: &mut World, nodes: &[usize], (from, to): (usize, usize)) -> Vec<Sent> {
    let mut asked = Vec::new();
    for _ in 0..20 {
        world.now = world.now.plus_ms(ROUND_MS);
        world.gossip_unheard(nodes);
        let (questions, rest): (Vec<_>, Vec<_>) = world.take_sent(from, to).into_iter().partition(Sent::is_question);
        for sent in &rest {
            world.hand(sent);
        }
        asked.extend(questions);
        world.talk(nodes);
    }
    asked
}

/// The others hold the silent first home for Down, and the next serves. The links stand.
fn let_next_home_serve(world: &mut World) {
    for node in OTHERS {
        world.believe(node, 0, false);
    }
    rounds_among(world, &OTHERS);
    let_serve(world, 4, &OTHERS);
}

/// Found by reading: each caller saw that the other home had taken it too, and left it to the other.
#[test]
fn an_element_that_neither_caller_was_given_goes_back_once() {
    for callers in [[1, 3], [3, 1], [1, 1], [0, 4], [4, 4]] {
        let mut disputed = Disputed::between(callers);
        disputed.rest();
        assert_eq!(disputed.left(), ["a"], "for {callers:?}");
    }
}

/// Found by a review: more than half of the nodes had the pop, and the element went back while the next home, which had not heard of that pop, gave it to
/// somebody.
#[test]
fn an_element_of_a_lapsed_pop_does_not_go_back_while_a_home_may_still_give_it() {
    let (mut world, name, call) = popped_unheard(1, &["a"]);
    let late = [1, 2].map(|node| world.take_sent(0, node));
    world.give_up(1, call);
    let_next_home_serve(&mut world);
    // Half of the others hear of the pop, and nothing of them reaches the next home for a moment.
    late.iter().flatten().for_each(|sent| world.hand(sent));
    for _ in 0..8 {
        world.gossip_unheard(&[1, 2]);
        world.talk(&[1, 2]);
    }
    let mut other = world.call(3, pop(&name));
    world.talk(&[3, 4]);
    world.rounds_of(&OTHERS, 3);
    bring_back(&mut world);
    assert_eq!(other.outcome(), Some(Ok(value("a"))));
    assert!(world.elements(0, &name).is_empty(), "it was given to 3");
    world.assert_at_rest();
}

/// Found by reading: who may not hear of a pop yet and is held for Down by its caller only was not waited for, though it was the next home of the others.
#[test]
fn an_element_does_not_go_back_while_a_home_that_only_its_caller_holds_for_down_may_give_it() {
    let (mut world, name, call) = popped_unheard(1, &["a"]);
    let late = [1, 2, 3].map(|node| world.take_sent(0, node));
    world.give_up(1, call);
    let_next_home_serve(&mut world);
    // All hear of the pop but the next home, which the caller's node takes for Down.
    world.believe(1, 4, false);
    late.iter().flatten().for_each(|sent| world.hand(sent));
    for _ in 0..8 {
        world.gossip_unheard(&[1, 2, 3]);
        world.talk(&[1, 2, 3]);
    }
    let mut other = world.call(4, pop(&name));
    world.rounds_of(&OTHERS, 3);
    world.believe(1, 4, true);
    bring_back(&mut world);
    let given = usize::from(other.outcome() == Some(Ok(value("a"))));
    assert_eq!(given + world.elements(0, &name).len(), 1, "{:?}", other.outcome());
    world.assert_at_rest();
}

/// Whoever has died may have been given it first.
#[test]
fn an_element_does_not_go_back_when_the_other_caller_is_gone() {
    for dead in [1, 3] {
        let mut disputed = Disputed::between([1, 3]);
        let others: Vec<usize> = ALL.into_iter().filter(|node| *node != dead).collect();
        disputed.world.lose(dead, GoneReason::Left, &others);
        bring_together(&mut disputed.world, &others);
        disputed.world.rounds_of(&others, 100);
        assert!(disputed.left().is_empty());
        for node in others {
            assert_eq!(disputed.world.nodes[node].open_calls(), 0, "node {node}");
        }
    }
}

/// Found by a review: calls are counted per caller, and the word about another's call of the same number was taken for the own.
#[test]
fn the_word_about_another_callers_call_of_the_same_number_ends_no_doubt() {
    let (mut world, name, mine) = popped_unheard(3, &["a", "b"]);
    assert_eq!(by_origin(&world)[0], 3, "any call but the least leaves the element before the word comes");
    let late = world.take_sent(0, 3);
    for node in [1, 2, 4] {
        drop(world.take_sent(0, node));
    }
    for node in OTHERS {
        world.believe(node, 0, false);
    }
    // What 3 asks the next home arrives later.
    let asked = rounds_among_but_questions(&mut world, &OTHERS, (3, 4));
    let_serve(&mut world, 4, &OTHERS);
    let mut other = world.call(1, pop(&name));
    let (Call::Open { number: one, .. }, Call::Open { number: two, .. }) = (&mine, &other) else { panic!("ended") };
    assert_eq!(one, two);
    world.tell(1, 4);
    assert_eq!(world.elements(4, &name), ["b"], "taken for 1");
    world.hand(&asked[0]);
    assert!(world.elements(4, &name).is_empty(), "taken for 3");
    for sent in &late {
        world.hand(sent);
    }
    world.hand_over(4, 3);
    world.give_up(3, mine);
    world.talk(&OTHERS);
    assert_eq!(other.outcome(), Some(Ok(value("a"))));
    bring_back(&mut world);
    assert_eq!(world.elements(0, &name), ["b"], "a was given to 1");
}

/// The home of a list pops its one element for itself and gives up, cut off; the next home pops it for 3, which is given it.
fn popped_unheard_and_given_to_another() -> (World, String) {
    let (mut world, name, first) = popped_unheard(0, &["a"]);
    world.isolate(0);
    world.give_up(0, first);
    for node in OTHERS {
        world.believe(node, 0, false);
    }
    world.rounds_of(&OTHERS, 20);
    world.until_serving(4, &OTHERS);
    let mut second = world.call(3, pop(&name));
    world.rounds_of(&OTHERS, 60);
    assert_eq!(second.outcome(), Some(Ok(value("a"))));
    (world, name)
}

/// Found by a review: its record goes when its caller has applied a pop, so a snapshot does not tell of it.
#[test]
fn an_element_does_not_go_back_when_a_snapshot_does_not_tell_who_was_given_it() {
    let (mut world, name) = popped_unheard_and_given_to_another();
    for node in OTHERS {
        world.forget_history(node);
    }
    bring_back(&mut world);
    assert!(world.nodes[0].stats.snapshots_loaded > 0);
    assert!(world.elements(0, &name).is_empty(), "it was given to 3");
    world.assert_at_rest();
}

/// The same of a node that was given up meanwhile.
#[test]
fn an_element_does_not_go_back_when_who_comes_back_was_given_up_meanwhile() {
    let (mut world, name) = popped_unheard_and_given_to_another();
    for node in OTHERS {
        world.gone_at(node, 0);
    }
    world.rounds_of(&OTHERS, 80);
    world.reincarnate(0);
    bring_back(&mut world);
    assert!(world.elements(0, &name).is_empty(), "it was given to 3");
    world.assert_at_rest();
}

/// Found by a review: that a peer has applied the pop overtakes what that peer did before.
#[test]
fn who_has_applied_a_pop_may_have_popped_the_element_before() {
    let (mut world, name, call) = popped_unheard(0, &["a"]);
    let late = OTHERS.map(|node| world.take_sent(0, node));
    world.give_up(0, call);
    let_next_home_serve(&mut world);
    for node in OTHERS {
        world.hand_over(node, 0);
    }
    let mut other = world.call(3, pop(&name));
    world.tell(3, 4);
    assert!(world.elements(4, &name).is_empty(), "taken again, and not sent yet");
    late.iter().flatten().for_each(|sent| world.hand(sent));
    for node in OTHERS {
        world.hand_one(node, 0);
    }
    world.gossip_unheard(&[0]);
    world.talk(&OTHERS);
    bring_back(&mut world);
    assert_eq!(other.outcome(), Some(Ok(value("a"))));
    assert!(world.elements(0, &name).is_empty(), "it was given to 3");
}

/// Found by a review: it was asked for what it makes of the element when it had left already.
#[test]
fn who_leaves_says_first_that_it_leaves_an_element_to_others() {
    for (leaver, other) in [(1, 3), (3, 1)] {
        for callers in [[1, 3], [3, 1]] {
            let mut disputed = Disputed::between(callers);
            bring_together(&mut disputed.world, &ALL);
            let world = &mut disputed.world;
            world.nodes[leaver].close();
            let stay: Vec<usize> = ALL.into_iter().filter(|node| *node != leaver).collect();
            let mut is_there = true;
            for _ in 0..40 {
                world.pass(ROUND_MS);
                for node in ALL.into_iter().filter(|node| *node != other && (is_there || *node != leaver)) {
                    world.gossip(node);
                    world.flush();
                }
                if is_there && world.nodes[leaver].are_calls_over() {
                    is_there = false;
                    world.lose(leaver, GoneReason::Left, &stay);
                }
                // Who stays asks last.
                world.gossip(other);
                world.flush();
            }
            assert!(!is_there, "it does not get away");
            assert_eq!(disputed.left(), ["a"], "{callers:?}, and {leaver} has left");
        }
    }
}

/// Found by a review: the caller whose call was the least took the other, whom it had not met yet, for Gone, and left it the element, as that one did.
#[test]
fn a_caller_that_was_never_met_is_not_taken_for_gone() {
    let mut world = with_majority(5);
    let order = by_origin(&world);
    let (x, h2) = (order[0], order[1]);
    let others: Vec<usize> = (0..5).filter(|n| *n != x).collect();
    let with_new: Vec<usize> = others.iter().copied().chain([5]).collect();
    // Its call is not the least.
    let mut lives = (1..).map(|incarnation| member(5, incarnation));
    let new_member = lives.find(|new| new.origin() > world.origin(x)).unwrap();
    let names: Vec<_> = with_new
        .iter()
        .map(|n| if *n == 5 { new_member.node.clone() } else { world.members[*n].node.clone() })
        .collect();
    let name = key_where(|key| {
        world.home(0, key) == x
            && headcount_cluster::ring::home(key.as_bytes(), names.iter()) == Some(&world.members[h2].node)
    });
    world.push(others[1], &name, &["a"]);
    world.settle();
    world.until_serving(x, &[0, 1, 2, 3, 4]);
    let first = world.call(x, pop(&name));
    assert!(world.elements(x, &name).is_empty(), "taken");
    world.isolate(x);
    world.give_up(x, first);
    for node in &others {
        world.believe(*node, x, false);
    }
    world.rounds_of(&others, 20);
    let limits = world.nodes[0].limits.clone();
    let new = world.add_knowing(new_member, limits, &others);
    world.rounds_of(&with_new, 20);
    assert_eq!(world.elements(new, &name), ["a"]);
    world.until_serving(h2, &with_new);
    let second = world.call(new, pop(&name));
    world.tell(new, h2);
    assert!(world.elements(h2, &name).is_empty(), "taken again");
    world.isolate(h2);
    world.give_up(new, second);
    // The first meets the second home before the others.
    world.introduce(x, h2);
    world.flush();
    world.rounds_of(&[x, h2], 3);
    bring_together(&mut world, &[0, 1, 2, 3, 4, 5]);
    (0..3).for_each(|_| world.rest());
    world.assert_at_rest();
    assert_eq!(world.elements(0, &name), ["a"], "neither was given it");
}

/// Found by reading only: by the order of their first pops, each of two calls could leave the element to the other. This passes by that order too.
#[test]
fn of_three_pops_for_two_calls_the_element_goes_back() {
    let mut world = with_majority(5);
    let order = by_origin(&world);
    let (h1, h3, h5, c1, c2) = (order[0], order[1], order[2], order[3], order[4]);
    let second: Vec<usize> = ALL.into_iter().filter(|n| *n != h1).collect();
    let third = [h5, c1, c2];
    let name = key_where(|key| {
        world.home(0, key) == h1 && world.home_among(&second, key) == h3 && world.home_among(&third, key) == h5
    });
    world.push(c2, &name, &["a"]);
    world.settle();
    world.until_serving(h1, &ALL);
    let call1 = world.call(c1, pop(&name));
    world.tell(c1, h1);
    assert!(world.elements(h1, &name).is_empty(), "taken");
    world.isolate(h1);
    world.cut(c1, h3);
    for node in &second {
        world.believe(*node, h1, false);
    }
    world.rounds_of(&second, 20);
    world.until_serving(h3, &second);
    let call2 = world.call(c2, pop(&name));
    // Nobody hears what it writes.
    for _ in 0..200 {
        if world.elements(h3, &name).is_empty() {
            break;
        }
        world.now = world.now.plus_ms(ROUND_MS / 10);
        for (from, to) in world.pairs() {
            if world.is_linked(from, to) && from == h3 {
                drop(world.hand_over_but_operations(from, to));
            } else if world.is_linked(from, to) && second.contains(&from) && second.contains(&to) {
                world.hand_over(from, to);
            }
        }
    }
    assert!(world.elements(h3, &name).is_empty(), "taken again");
    world.isolate(h3);
    world.give_up(c2, call2);
    for node in third {
        world.believe(node, h3, false);
    }
    let asked = rounds_among_but_questions(&mut world, &third, (c1, h5));
    let_serve(&mut world, h5, &third);
    assert_eq!(world.elements(h5, &name), ["a"]);
    world.hand(&asked[0]);
    assert!(world.elements(h5, &name).is_empty(), "taken a third time");
    world.believe(h5, c2, false); // its agreement ends before it confirms
    world.hand_over(h5, c1);
    world.give_up(c1, call1);
    world.believe(h5, c2, true);
    world.rounds_of(&third, 10);
    assert!(world.elements(c2, &name).is_empty());
    // The first home is back and is heard by one caller; then the second, by both.
    world.introduce(h1, c2);
    world.flush();
    world.introduce(h3, c1);
    world.introduce(h3, c2);
    world.flush();
    bring_together(&mut world, &ALL);
    (0..3).for_each(|_| world.rest());
    world.assert_at_rest();
    assert_eq!(world.elements(0, &name), ["a"], "neither was given it");
}

/// Found by a review: those that had said who popped an element heard afterwards of another pop, of a home that died before it said anything itself.
#[test]
fn what_a_node_has_said_is_old_when_somebody_dies() {
    let mut world = with_majority(5);
    let others = [0, 2, 3, 4];
    let name = key_where(|key| world.home(0, key) == 1 && world.home_among(&others, key) == 2);
    world.push(0, &name, &["a"]);
    world.settle();
    world.until_serving(1, &ALL);
    let call = world.call(0, pop(&name));
    world.tell(0, 1);
    assert!(world.elements(1, &name).is_empty(), "taken");
    let late = [0, 3, 4].map(|node| world.take_sent(1, node));
    drop(world.take_sent(1, 2));
    for node in others {
        world.believe(node, 1, false);
    }
    world.give_up(0, call);
    rounds_among(&mut world, &others);
    let_serve(&mut world, 2, &others);
    late.iter().flatten().for_each(|sent| world.hand(sent));
    assert_eq!(world.nodes[0].elements_in_doubt().len(), 1);
    world.gossip_unheard(&[0]);
    for node in [3, 4] {
        world.hand_over(0, node);
        world.hand_over(node, 0);
    }
    let mut other = world.call(2, pop(&name));
    assert!(world.elements(2, &name).is_empty(), "taken again");
    for node in [3, 4] {
        world.hand_over(2, node);
        world.hand_one(node, 2);
    }
    assert_eq!(other.outcome(), Some(Ok(value("a"))), "3 of 5 have it");
    assert_eq!(world.nodes[0].elements_in_doubt().len(), 1);
    let living = [0, 3, 4];
    world.lose(2, GoneReason::Superseded, &living);
    for node in living {
        world.settle_calls(node);
    }
    world.rounds_of(&living, 60);
    assert!(world.elements(0, &name).is_empty(), "it was given to 2");
}

/// Found by a review: the only other node was not asked, because it had popped the element itself; it had heard of a later pop since.
#[test]
fn who_popped_it_himself_may_know_of_a_later_pop() {
    let mut world = with_majority(3);
    let name = key_where(|key| world.home(0, key) == 1 && world.home_among(&[0, 2], key) == 2);
    world.push(0, &name, &["a"]);
    world.settle();
    world.until_serving(1, &[0, 1, 2]);
    let call = world.call(0, pop(&name));
    world.tell(0, 1);
    assert!(world.elements(1, &name).is_empty(), "taken");
    let late = world.take_sent(1, 0);
    drop(world.take_sent(1, 2));
    world.believe(0, 1, false);
    world.believe(2, 1, false);
    world.give_up(0, call);
    rounds_among(&mut world, &[0, 2]);
    let_serve(&mut world, 2, &[0, 2]);
    let mut other = world.call(2, pop(&name));
    assert!(world.elements(2, &name).is_empty(), "taken again");
    world.hand_over(2, 1);
    world.hand_one(1, 2);
    assert_eq!(other.outcome(), Some(Ok(value("a"))), "1 has it, which is enough");
    for sent in &late {
        world.hand(sent);
    }
    assert_eq!(world.nodes[0].elements_in_doubt().len(), 1);
    // 2 dies before 0 has heard of its pop.
    world.lose(2, GoneReason::GraceOver, &[0, 1]);
    (0..2).for_each(|node| world.settle_calls(node));
    world.believe(0, 1, true);
    world.rounds_of(&[0, 1], 60);
    assert!(world.elements(0, &name).is_empty(), "it was given to 2");
}

/// Found by reading: while it left the element for one call, its other was no longer in doubt, so the node said that it had been given it by that; the caller who was
/// to put it back left it.
#[test]
fn who_leaves_an_element_for_two_calls_was_given_it_by_neither() {
    let order: Vec<usize> = by_origin(&with_majority(5)).into_iter().filter(|node| [1, 2, 3].contains(node)).collect();
    let (least, caller) = (order[0], order[2]);
    let (mut world, name, first) = popped_unheard(caller, &["a"]);
    let mut late = world.take_sent(0, caller);
    world.give_up(caller, first);
    let_next_home_serve(&mut world);
    let second = world.call(caller, pop(&name));
    world.tell(caller, 4);
    late.extend(world.take_sent(4, caller));
    world.give_up(caller, second);
    for sent in &late {
        world.hand_unsettled(sent);
    }
    let [element, same] = world.nodes[caller].elements_in_doubt()[..] else { panic!("not both are in doubt") };
    assert_eq!(element, same);
    let by = world.origin(least);
    let takes = vec![Take { dot: Dot { origin: by, seq: 1_000 }, call: (by, 1), fate: None }];
    world.hear_falsely(least, caller, &Frame::Taken { element, takes });
    assert!(world.nodes[caller].elements_in_doubt().is_empty(), "left to the least");
    let told: Vec<Take> = world.take_sent(caller, least).iter().filter_map(Sent::takes).flatten().collect();
    let own: Vec<Take> = told.into_iter().filter(|take| take.call.0 != by).collect();
    assert!(own.len() >= 2 && own.iter().all(|take| take.fate == Some(Fate::Left)), "{own:?}");
}

/// It may still pop the element itself.
#[test]
fn who_has_not_heard_of_a_pop_does_not_say_who_took_the_element() {
    let (mut world, _, call) = popped_unheard(1, &["a"]);
    let [to_caller, late] = [1, 2].map(|node| world.take_sent(0, node));
    for sent in &to_caller {
        world.hand(sent);
    }
    world.give_up(1, call);
    assert_eq!(world.nodes[1].elements_in_doubt().len(), 1);
    let is_told = |world: &mut World| {
        world.now = world.now.plus_ms(ROUND_MS);
        world.gossip_unheard(&[1]);
        world.hand_over(1, 2);
        world.take_sent(2, 1).iter().any(|sent| sent.takes().is_some())
    };
    assert!(!is_told(&mut world));
    for sent in &late {
        world.hand(sent);
    }
    assert!(is_told(&mut world));
}

/// A hostile peer names more homes than there are.
#[test]
fn takers_that_nobody_could_remember_are_not_remembered() {
    let mut disputed = Disputed::between([0, 4]);
    bring_together(&mut disputed.world, &[0, 2]);
    let [element] = disputed.world.nodes[0].elements_in_doubt()[..] else { panic!("none is in doubt") };
    let take = |n| Take { dot: Dot { origin: Origin(n), seq: 1 }, call: (Origin(n), 1), fate: None };
    let takes = (1..1_000).map(|n| take(u64::MAX - n)).collect(); // to the least of them it would be left
    let origins = disputed.world.nodes[0].stats().origins;
    disputed.world.hear_falsely(2, 0, &Frame::Taken { element, takes });
    assert!(disputed.world.nodes[0].takers_of(element) <= MAX_TAKERS);
    assert!(disputed.world.nodes[0].stats().origins <= origins + MAX_TAKERS, "nor are those whom they name");
    assert!(disputed.world.nodes[0].elements_in_doubt().is_empty(), "it is nobody's to put back");
}
