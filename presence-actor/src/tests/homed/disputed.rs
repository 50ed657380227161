//! Elements that two homes have popped, the second because it had not heard of the first: one caller is given it, or it goes back once.

use headcount_cluster::GoneReason;

use super::steps::{ROUND_MS, Sent, key_where};
use super::*;
use crate::homed::{Dot, Take};
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
        let mut world = with_majority(5);
        let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&OTHERS, key) == 4);
        world.push(2, &name, &["a"]);
        world.settle();
        world.until_serving(0, &ALL);
        let first = world.call(callers[0], pop(&name));
        world.tell(callers[0], 0);
        assert!(world.elements(0, &name).is_empty(), "taken");
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

    fn bring_together(&mut self, nodes: &[usize]) {
        for (one, other) in self.world.pairs() {
            let are_apart = one < other && !self.world.is_linked(one, other);
            if are_apart && nodes.contains(&one) && nodes.contains(&other) {
                self.world.introduce(one, other);
            }
        }
    }

    /// All are together again for long enough.
    fn rest(&mut self) {
        self.bring_together(&ALL);
        (0..3).for_each(|_| self.world.rest());
        self.world.assert_at_rest();
        self.world.assert_converged();
    }

    fn left(&self) -> Vec<String> {
        self.world.elements(2, &self.name)
    }
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
    let mut world = with_majority(5);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&[1, 2, 3, 4], key) == 4);
    world.push(2, &name, &["a"]);
    world.settle();
    world.until_serving(0, &[0, 1, 2, 3, 4]);
    let call = world.call(1, pop(&name));
    world.tell(1, 0);
    assert!(world.elements(0, &name).is_empty(), "taken, and nobody has heard of it");
    let late = [1, 2].map(|node| world.take_sent(0, node));
    world.give_up(1, call);
    // The first home is silent for a while; the links stand.
    let others = [1, 2, 3, 4];
    for node in others {
        world.believe(node, 0, false);
    }
    for _ in 0..20 {
        world.now = world.now.plus_ms(ROUND_MS);
        world.gossip_unheard(&others);
        world.talk(&others);
    }
    let mut warm = world.call(4, count(&key_where(|key| world.home_among(&others, key) == 4)));
    world.talk(&others);
    assert!(warm.outcome().is_some(), "the next home serves");
    // Half of the others hear of the pop, and nothing of them reaches the next home for a moment.
    late.iter().flatten().for_each(|sent| world.hand(sent));
    for _ in 0..8 {
        world.gossip_unheard(&[1, 2]);
        world.talk(&[1, 2]);
    }
    let mut other = world.call(3, pop(&name));
    world.talk(&[3, 4]);
    world.rounds_of(&others, 3);
    world.introduce(0, 1);
    (2..5).for_each(|node| world.introduce(0, node));
    (0..3).for_each(|_| world.rest());
    assert_eq!(other.outcome(), Some(Ok(value("a"))));
    assert!(world.elements(0, &name).is_empty(), "it was given to 3");
    world.assert_at_rest();
}

/// Found by reading: who may not hear of a pop yet and is held for Down by its caller only was not waited for, though it was the next home of the others.
#[test]
fn an_element_does_not_go_back_while_a_home_that_only_its_caller_holds_for_down_may_give_it() {
    let mut world = with_majority(5);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&OTHERS, key) == 4);
    world.push(2, &name, &["a"]);
    world.settle();
    world.until_serving(0, &ALL);
    let call = world.call(1, pop(&name));
    world.tell(1, 0);
    assert!(world.elements(0, &name).is_empty(), "taken, and nobody has heard of it");
    let late = [1, 2, 3].map(|node| world.take_sent(0, node));
    world.give_up(1, call);
    for node in OTHERS {
        world.believe(node, 0, false);
    }
    for _ in 0..20 {
        world.now = world.now.plus_ms(ROUND_MS);
        world.gossip_unheard(&OTHERS);
        world.talk(&OTHERS);
    }
    let mut warm = world.call(4, count(&key_where(|key| world.home_among(&OTHERS, key) == 4)));
    world.talk(&OTHERS);
    assert!(warm.outcome().is_some(), "the next home serves");
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
    for node in OTHERS {
        world.introduce(0, node);
    }
    (0..3).for_each(|_| world.rest());
    let given = usize::from(other.outcome() == Some(Ok(value("a"))));
    assert_eq!(given + world.elements(0, &name).len(), 1, "{:?}", other.outcome());
    world.assert_at_rest();
}

/// Whoever has died may have been given it first.
#[test]
fn an_element_does_not_go_back_when_the_other_caller_is_gone() {
    for dead in [1, 3] {
        let mut disputed = Disputed::between([1, 3]);
        let (member, now) = (disputed.world.members[dead].clone(), disputed.world.now);
        disputed.world.isolate(dead);
        let others: Vec<usize> = ALL.into_iter().filter(|node| *node != dead).collect();
        for node in &others {
            disputed.world.nodes[*node].handle_member_gone(&member, GoneReason::Left, now);
        }
        disputed.bring_together(&others);
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
    let mut world = with_majority(5);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&OTHERS, key) == 4);
    world.push(2, &name, &["a", "b"]);
    world.settle();
    world.until_serving(0, &ALL);
    let mine = world.call(1, pop(&name));
    world.tell(1, 0);
    assert_eq!(world.elements(0, &name), ["b"]);
    let late = world.take_sent(0, 1);
    (2..5).for_each(|node| drop(world.take_sent(0, node)));
    for node in OTHERS {
        world.believe(node, 0, false);
    }
    // What 1 asks the next home arrives later.
    let mut asked: Vec<Sent> = Vec::new();
    for _ in 0..20 {
        world.now = world.now.plus_ms(ROUND_MS);
        world.gossip_unheard(&OTHERS);
        let (questions, rest): (Vec<_>, Vec<_>) = world.take_sent(1, 4).into_iter().partition(Sent::is_question);
        for sent in &rest {
            world.hand(sent);
        }
        asked.extend(questions);
        world.talk(&OTHERS);
    }
    let mut warm = world.call(4, count(&key_where(|key| world.home_among(&OTHERS, key) == 4)));
    world.talk(&OTHERS);
    assert!(warm.outcome().is_some(), "the next home serves");
    let mut other = world.call(3, pop(&name));
    let (Call::Open { number: one, .. }, Call::Open { number: two, .. }) = (&mine, &other) else { panic!("ended") };
    assert_eq!(one, two);
    world.tell(3, 4);
    assert_eq!(world.elements(4, &name), ["b"], "taken for 3");
    world.hand(&asked[0]);
    assert!(world.elements(4, &name).is_empty(), "taken for 1");
    for sent in &late {
        world.hand(sent);
    }
    world.hand_over(4, 1);
    world.give_up(1, mine);
    world.talk(&OTHERS);
    assert_eq!(other.outcome(), Some(Ok(value("a"))));
    for node in OTHERS {
        world.introduce(0, node);
    }
    (0..3).for_each(|_| world.rest());
    assert_eq!(world.elements(0, &name), ["b"], "a was given to 3");
}

/// The home of a list pops its one element for itself and gives up, cut off; the next home pops it for 3, which is given it.
fn popped_unheard_and_given_to_another() -> (World, String) {
    let mut world = with_majority(5);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&OTHERS, key) == 4);
    world.push(2, &name, &["a"]);
    world.settle();
    world.until_serving(0, &ALL);
    let first = world.call(0, pop(&name));
    assert!(world.elements(0, &name).is_empty(), "taken");
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
        for ix in world.nodes[node].origins.indices() {
            world.nodes[node].origins.get_mut(ix).log.clear();
        }
    }
    for node in OTHERS {
        world.introduce(0, node);
    }
    (0..3).for_each(|_| world.rest());
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
    for node in OTHERS {
        world.introduce(0, node);
    }
    (0..3).for_each(|_| world.rest());
    assert!(world.elements(0, &name).is_empty(), "it was given to 3");
    world.assert_at_rest();
}

/// Found by a review: that a peer has applied the pop overtakes what that peer did before.
#[test]
fn who_has_applied_a_pop_may_have_popped_the_element_before() {
    let mut world = with_majority(5);
    let name = key_where(|key| world.home(0, key) == 0 && world.home_among(&OTHERS, key) == 4);
    world.push(2, &name, &["a"]);
    world.settle();
    world.until_serving(0, &ALL);
    let call = world.call(0, pop(&name));
    assert!(world.elements(0, &name).is_empty(), "taken");
    let late = OTHERS.map(|node| world.take_sent(0, node));
    world.give_up(0, call);
    for node in OTHERS {
        world.believe(node, 0, false);
    }
    for _ in 0..20 {
        world.now = world.now.plus_ms(ROUND_MS);
        world.gossip_unheard(&OTHERS);
        world.talk(&OTHERS);
    }
    let mut warm = world.call(4, count(&key_where(|key| world.home_among(&OTHERS, key) == 4)));
    world.talk(&OTHERS);
    assert!(warm.outcome().is_some(), "the next home serves");
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
    for node in OTHERS {
        world.introduce(0, node);
    }
    (0..3).for_each(|_| world.rest());
    assert_eq!(other.outcome(), Some(Ok(value("a"))));
    assert!(world.elements(0, &name).is_empty(), "it was given to 3");
}

/// Found by a review: it was asked for what it makes of the element when it had left already.
#[test]
fn who_leaves_says_first_that_it_leaves_an_element_to_others() {
    for (leaver, other) in [(1, 3), (3, 1)] {
        for callers in [[1, 3], [3, 1]] {
            let mut disputed = Disputed::between(callers);
            disputed.bring_together(&ALL);
            let world = &mut disputed.world;
            world.nodes[leaver].close();
            let (member, now) = (world.members[leaver].clone(), world.now);
            let mut is_there = true;
            for _ in 0..40 {
                world.pass(ROUND_MS);
                for node in ALL.into_iter().filter(|node| *node != other && (is_there || *node != leaver)) {
                    world.gossip(node);
                    world.flush();
                }
                if is_there && world.nodes[leaver].are_calls_over() {
                    is_there = false;
                    world.isolate(leaver);
                    for node in ALL.into_iter().filter(|node| *node != leaver) {
                        world.nodes[node].handle_member_gone(&member, GoneReason::Left, now);
                    }
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
    let new_member = member(5, 1);
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
    for (a, b) in world.pairs() {
        if a < b && !world.is_linked(a, b) {
            world.introduce(a, b);
        }
    }
    (0..3).for_each(|_| world.rest());
    world.assert_at_rest();
    assert_eq!(world.elements(0, &name), ["a"], "neither was given it");
}

/// Found by a review: which pop was a call's first changed as pops became known, so that each of two left the element to the other.
#[test]
fn of_three_pops_for_two_calls_the_element_goes_back() {
    let mut world = with_majority(5);
    let order = by_origin(&world);
    let (h1, h3, h5, c1, c2) = (order[0], order[1], order[2], order[3], order[4]);
    let all = [0, 1, 2, 3, 4];
    let second: Vec<usize> = all.into_iter().filter(|n| *n != h1).collect();
    let third = [h5, c1, c2];
    let name = key_where(|key| {
        world.home(0, key) == h1 && world.home_among(&second, key) == h3 && world.home_among(&third, key) == h5
    });
    world.push(c2, &name, &["a"]);
    world.settle();
    world.until_serving(h1, &all);
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
    let mut asked: Vec<Sent> = Vec::new();
    for _ in 0..20 {
        world.now = world.now.plus_ms(ROUND_MS);
        world.gossip_unheard(&third);
        let (questions, rest): (Vec<_>, Vec<_>) = world.take_sent(c1, h5).into_iter().partition(Sent::is_question);
        for sent in &rest {
            world.hand(sent);
        }
        asked.extend(questions);
        world.talk(&third);
    }
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
    for (one, other) in world.pairs() {
        if one < other {
            world.introduce(one, other);
        }
    }
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
    world.until_serving(1, &[0, 1, 2, 3, 4]);
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
    world.isolate(2);
    let (dead, now) = (world.members[2].clone(), world.now);
    for node in [0, 3, 4] {
        world.nodes[node].handle_member_gone(&dead, GoneReason::Superseded, now);
        world.settle_calls(node);
    }
    world.rounds_of(&[0, 3, 4], 60);
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
    world.isolate(2);
    let (dead, now) = (world.members[2].clone(), world.now);
    for node in [0, 1] {
        world.nodes[node].handle_member_gone(&dead, GoneReason::GraceOver, now);
        world.settle_calls(node);
    }
    world.believe(0, 1, true);
    world.rounds_of(&[0, 1], 60);
    assert!(world.elements(0, &name).is_empty(), "it was given to 2");
}

/// A hostile peer names more homes than there are.
#[test]
fn takers_that_nobody_could_remember_are_not_remembered() {
    let mut disputed = Disputed::between([0, 4]);
    disputed.bring_together(&[0, 2]);
    let [element] = disputed.world.nodes[0].elements_in_doubt()[..] else { panic!("none is in doubt") };
    let take = |n| Take { dot: Dot { origin: Origin(n), seq: 1 }, call: (Origin(n), 1), fate: None };
    let takes = (1..1_000).map(take).collect();
    disputed.world.hear_falsely(2, 0, &Frame::Taken { element, takes });
    assert!(disputed.world.nodes[0].takers_of(element) <= MAX_TAKERS);
    assert!(disputed.world.nodes[0].elements_in_doubt().is_empty(), "it is nobody's to put back");
}
