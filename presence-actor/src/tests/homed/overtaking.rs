//! What a node wrote, asked and is told, when one overtakes the other.
//!
//! Operations, questions to a home and the home's words travel side by side: their order on arrival is not that in which they were
//! sent. A caller must not notice.

use super::steps::key_where;
use super::*;

/// Found by a review: the question went ahead of the caller's own push, and the home answered it from before.
#[test]
fn who_pushes_and_then_pops_on_one_node_gets_the_element() {
    let mut world = World::new(2);
    let name = world.key_of(0);
    world.until_serving(0, &[0, 1]);
    world.push(1, &name, &["a"]);
    let mut popped = world.call(1, pop(&name));
    world.flush_frame_by_frame();
    assert_eq!(popped.outcome(), Some(Ok(value("a"))), "pushed on this node before it popped");
}

/// Found by a review: the question went ahead of the caller's own write, so the home took the key for missing.
#[test]
fn who_sets_and_then_set_nxs_on_one_node_is_refused() {
    let mut world = World::new(2);
    let name = world.key_of(0);
    world.until_serving(0, &[0, 1]);
    world.set(1, &name, "mine");
    let mut nx = world.call(1, HomedCommand::SetNx { key: key(&name), value: key("other"), seconds: None });
    world.flush_frame_by_frame();
    assert_eq!(nx.outcome(), Some(Ok(Answer::Flag(false))), "and the value is {:?}", world.everywhere(&name));
}

/// Found by a review: the word that enough nodes have a write was ignored when it came before the write, and not said again.
#[test]
fn a_confirmation_that_overtakes_the_answer_counts() {
    let mut world = with_majority(3);
    world.until_serving(0, &[0, 1, 2]);
    let name = key_where(|key| world.home(0, key) == 0);
    let mut call = world.call(1, count(&name));
    world.tell(1, 0);
    assert_eq!(world.get(0, &name).as_deref(), Some("1"));
    // The link to 2 has room, the one to the caller has not for a moment.
    world.hand_over(0, 2);
    world.hand_over(2, 0);
    world.flush_frame_by_frame();
    world.rest();
    assert_eq!(world.get(1, &name).as_deref(), Some("1"));
    assert_eq!(call.outcome(), Some(Ok(Answer::Number(1))), "the caller has it, all have it, and it hangs");
}
