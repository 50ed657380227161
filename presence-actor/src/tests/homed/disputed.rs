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
