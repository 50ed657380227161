//! Again and again nobody hears the home of a queue while all pop, so that the next home pops the same elements for others; most callers do not wait for
//! long. Then all hear it again, but the next home later than the others.

use headcount_cluster::{NodeId, ring};

use super::Scenario;
use super::races::race;
use crate::drawing::{Activity, Draft, Workload};
use crate::plan::{Ask, Fault, HomeRequires, Via};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "popped-twice",
    about: "a queue's home is not heard while all pop, and then by its next home later than by the others",
    nodes: 5,
    tell,
};

/// The first of those that pop, so many on each node, so that some still wait when others ask.
const POPPERS: usize = 2_000;
const POPPERS_OF_NODE: usize = 60;

fn tell(draft: &mut Draft) {
    // What a majority promises holds at all times.
    draft.settings.home_requires = HomeRequires::Majority;
    draft.settings.latency_ms = draft.dice.one(&[(1, 10), (20, 60)]);
    Workload::of(2_000, &[(Activity::Rows, 1)]).draw(draft);
    let is_deadly = draft.dice.percent(30);
    let mut poppers = vec![0; draft.nodes];
    for (turn, at) in draft.moments(6_000, 12_000, 18_000).into_iter().enumerate() {
        let order = draft.dice.shuffled(draft.nodes);
        let (home, next, others) = (order[0], order[1], &order[2..]);
        let queue = queue_of(home, next, draft.nodes);
        let client = (POPPERS + POPPERS_OF_NODE * next) as u32;
        draft.command(at - 1_500, client, next, Via::Shared, format!("RPUSH {queue} {turn}.a {turn}.b {turn}.c"));

        // Either callers wait, and hear two homes when the next one has just begun to serve, or they have given up by then.
        let are_patient = draft.dice.percent(50);
        let until = at + if are_patient { draft.dice.between(3_100, 4_300) } else { draft.dice.between(4_000, 6_500) };
        let later = until + draft.dice.between(800, 2_000);
        draft.silence(at, until, &[home], others);
        draft.silence(at, later, &[home], &[next]);
        // What the next one pops for the patient is confirmed late. Of the impatient what the first one popped arrives while it is still held for Down, and
        // the next one hears of it late.
        let (slow, slow_back) = if are_patient { (500, 300) } else { (30, 350) };
        let (slow, slow_back) = (draft.dice.between(10, slow) as u32, draft.dice.between(10, slow_back) as u32);
        let (min_ms, max_ms) = draft.settings.latency_ms;
        for &other in others {
            if !are_patient {
                draft.fault(at, Fault::Lose { from: home, to: other, percent: 100 });
                draft.fault(later, Fault::Lose { from: home, to: other, percent: 0 });
            }
            draft.fault(at, Fault::Delay { from: next, to: other, min_ms: slow / 2, max_ms: slow });
            draft.fault(at, Fault::Delay { from: other, to: next, min_ms: slow_back / 2, max_ms: slow_back });
            draft.between(later + 500, next, other, |from, to| Fault::Delay { from, to, min_ms, max_ms });
        }
        if is_deadly && draft.dice.percent(50) {
            let dies = until + draft.dice.between(50, 1_200);
            let starts = dies + draft.dice.between(20, 200);
            draft.restart(dies, starts, next);
        }

        // At the one that nobody hears,
        let patience_ms = if are_patient { 60_000 } else { 3_000 };
        pop(draft, &mut poppers, &queue, (at - 400, at + 600), patience_ms);
        // at the next,
        if draft.dice.percent(30) {
            pop(draft, &mut poppers, &queue, (at + 3_000, until), 4_000);
        }
        // and when that one is to give way.
        pop(draft, &mut poppers, &queue, (until, until + 700), 4_000);
    }
    // So that homes serve already when an element is wanted.
    race(draft);
}

/// On some nodes somebody wants an element, and does not wait for longer than that.
fn pop(draft: &mut Draft, poppers: &mut [usize], queue: &str, (from, to): (u64, u64), patience_ms: u64) {
    for (node, last) in poppers.iter_mut().enumerate() {
        if draft.dice.percent(40) {
            continue;
        }
        let popper = 1 + *last % (POPPERS_OF_NODE - 1);
        *last += 1;
        let client = (POPPERS + POPPERS_OF_NODE * node + popper) as u32;
        let (at, patience_ms) = (draft.dice.between(from, to), draft.dice.between(patience_ms / 4, patience_ms));
        draft.command(at, client, node, Via::Shared, format!("LPOP {queue}"));
        draft.ask(at + patience_ms, client, node, Ask::GiveUp);
    }
}

/// A queue whose home is this node, and the next one without it that one.
fn queue_of(home: usize, next: usize, nodes: usize) -> String {
    let names: Vec<NodeId> = (0..nodes).filter_map(|node| NodeId::new(format!("n{node}")).ok()).collect();
    let is_home = |queue: &str, node: usize, without: Option<usize>| {
        let there = names.iter().enumerate().filter(|(other, _)| Some(*other) != without);
        ring::home(queue.as_bytes(), there.map(|(_, name)| name)) == Some(&names[node])
    };
    let queues = (0_u32..).map(|number| format!("queue:{number}"));
    let mut of_both = queues.filter(|queue| is_home(queue, home, None) && is_home(queue, next, Some(home)));
    of_both.next().expect("a ring gives every node some keys")
}
