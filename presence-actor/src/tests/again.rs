//! Writing again what one has written: what takes the short path, what does not, and that nobody can tell.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::task::noop_waker;
use headcount_cluster::WallMs;
use proptest::prelude::*;

use super::convergence::{self, Step, Write, cases};
use super::world::World;
use crate::dot::Owner;
use crate::origin::OriginState;
use crate::pubsub::Mailbox;
use crate::shared::list::End;
use crate::state::State;
use crate::watch::WatchEvent;
use crate::watch::watches::Selector;

const SHARED: Owner = Owner::SHARED;

/// A key of each type that has a short path, written by node 0 and known to node 1.
fn world() -> World {
    let mut world = World::new(2);
    let (state, now) = (&mut world.nodes[0], world.now);
    state.set(SHARED, b"s", b"v", None, now).unwrap();
    state.hset(SHARED, b"h", &[b"f", b"v"], now).unwrap();
    state.sadd(SHARED, b"m", &[b"a"], now).unwrap();
    world.settle();
    world
}

/// Writes it again, on the short path if it may: returns whether it did.
type Again = fn(&mut State, Owner, WallMs) -> bool;

const AGAIN: [(&str, Again); 3] = [
    ("a string", |state, owner, now| state.set_again(owner, b"s", b"w", now)),
    ("a field", |state, owner, now| state.hset_again(owner, b"h", [b"f", b"w"], now)),
    ("a member", |state, owner, now| state.sadd_again(owner, b"m", b"a", now)),
];

/// Writes all three again. Returns which took the short path; where one did not, nothing may have changed.
fn again(state: &mut State, owner: Owner, now: WallMs) -> [bool; 3] {
    AGAIN.map(|(what, again)| {
        let changes = state.changes();
        let before = (state.digest(), state.stats(), state.clock.peek(now));
        let done = again(state, owner, now);
        state.check_invariants();
        assert_eq!(before == (state.digest(), state.stats(), state.clock.peek(now)), !done, "{what}");
        assert_eq!(state.changes() > changes, done, "{what}");
        done
    })
}

#[test]
fn an_author_writes_again_what_only_he_has_written() {
    let mut world = world();
    let now = world.now;
    let written = world.nodes[0].written();
    assert_eq!(again(&mut world.nodes[0], SHARED, now), [true; 3]);
    assert_eq!(world.nodes[0].written(), written + 3);
    world.flush();
    assert_eq!(world.nodes[1].get(b"s", now).unwrap().unwrap(), "w");
    assert_eq!(world.nodes[1].hget(b"h", b"f", now).unwrap().unwrap(), "w");
    world.assert_converged();
    world.check_invariants();
}

type Do = fn(&mut State, WallMs);

/// What happens at node 0, and which of string, field and member it keeps off the short path.
const OFF: &[(&str, Do, [bool; 3])] = &[
    (
        "a deadline",
        |s, n| [b"s", b"h", b"m"].iter().for_each(|key| assert!(s.expire(*key, 1000, n).unwrap())),
        [true; 3],
    ),
    ("a deadline of its own", |s, n| s.set(SHARED, b"s", b"v", Some(9), n).unwrap(), [true, false, false]),
    (
        "removal",
        |s, n| {
            s.del(&[b"s", b"h", b"m"], n).unwrap();
        },
        [true; 3],
    ),
    (
        "another type",
        |s, n| {
            s.del(&[b"s", b"h", b"m"], n).unwrap();
            for key in [b"s", b"h", b"m"] {
                s.push(SHARED, End::Left, key, &[b"x"], n).unwrap();
            }
        },
        [true; 3],
    ),
    ("a watch of its key", |s, n| drop(s.watch(&Selector::Key(b"h"[..].into()), n).unwrap()), [false, true, false]),
    ("a watch of a prefix", |s, n| drop(s.watch(&Selector::Prefix(b""[..].into()), n).unwrap()), [true; 3]),
    ("a blocked pop of its name", |s, _| assert!(s.keyspace.awaited.insert(b"m"[..].into())), [false, false, true]),
    (
        "a count beside the value",
        |s, n| {
            s.set(SHARED, b"s", b"1", None, n).unwrap();
            s.incrby(SHARED, b"s", 1, n).unwrap();
            s.hset(SHARED, b"h", &[b"f", b"1"], n).unwrap();
            s.hincrby(SHARED, b"h", b"f", 1, n).unwrap();
        },
        [true, true, false],
    ),
];

#[test]
fn what_makes_a_write_more_than_a_new_value_keeps_it_off_the_short_path() {
    for (what, happens, off) in OFF {
        let mut world = world();
        let now = world.now;
        happens(&mut world.nodes[0], now);
        assert_eq!(again(&mut world.nodes[0], SHARED, now), off.map(|off| !off), "{what}");
    }
}

#[test]
fn what_others_have_written_is_not_written_again() {
    let mut world = world();
    let now = world.now;
    assert_eq!(again(&mut world.nodes[1], SHARED, now), [false; 3], "another node's rows");
    assert_eq!(again(&mut world.nodes[0], Owner::NODE, now), [false; 3], "another owner's rows");
    world.nodes[1].sadd(SHARED, b"m", &[b"a"], now).unwrap();
    world.nodes[1].set(SHARED, b"s", b"x", None, now).unwrap();
    world.nodes[1].hset(SHARED, b"h", &[b"f", b"x"], now).unwrap();
    world.settle();
    assert_eq!(
        again(&mut world.nodes[0], SHARED, now),
        [false, false, true],
        "only its own row of a member is its to renew"
    );
    world.settle();
    world.assert_converged();
}

/// Two worlds with one history: in the second nothing takes the short path.
struct Twins {
    short: World,
    general: World,
    watchers: Option<[Arc<Mailbox<WatchEvent>>; 2]>,
}

impl Twins {
    fn new(nodes: usize, watched: bool) -> Self {
        let (mut short, mut general) = (World::new(nodes), World::new(nodes));
        let watchers = watched.then(|| {
            [&mut short, &mut general].map(|world| {
                let now = world.now;
                world.nodes[0].watch(&Selector::Key(b"k\0"[..].into()), now).unwrap().1
            })
        });
        Self { short, general, watchers }
    }

    fn perform(&mut self, step: &Step) {
        let now = self.short.now;
        match step {
            Step::Write(node, Write::Set(k, v)) => {
                let (key, value) = ([b'k', *k], value(*v));
                self.short.nodes[*node].set(SHARED, &key, &value, None, now).unwrap();
                self.general.nodes[*node].write_value(SHARED, &key, &value, None, None, now);
            }
            Step::Write(node, Write::Hset(owner, k, f, v)) => {
                let (key, value) = ([b'k', *k], value(*v));
                let pair: [&[u8]; 2] = [&[*f], &value];
                let short = self.short.nodes[*node].hset(*owner, &key, &pair, now);
                assert_eq!(short, self.general.nodes[*node].write_fields(*owner, &key, &pair, now));
            }
            Step::Write(node, Write::Sadd(owner, k, m)) => {
                let key = [b'k', *k];
                let short = self.short.nodes[*node].sadd(*owner, &key, &[&[*m]], now);
                assert_eq!(short, self.general.nodes[*node].write_members(*owner, &key, &[&[*m]], now));
            }
            other => {
                convergence::perform(&mut self.short, other);
                convergence::perform(&mut self.general, other);
            }
        }
    }

    fn assert_alike(&self) {
        self.short.check_invariants();
        let now = self.short.now;
        for (short, general) in self.short.nodes.iter().zip(&self.general.nodes) {
            assert_eq!((short.digest(), short.vector()), (general.digest(), general.vector()));
            assert_eq!((short.stats(), short.clock.peek(now)), (general.stats(), general.clock.peek(now)));
            let logs =
                |state: &'_ State| -> Vec<_> { state.origins.iter().map(|(_, origin)| logged(origin)).collect() };
            assert_eq!(logs(short), logs(general));
        }
        if let Some(watchers) = &self.watchers {
            let [short, general] = watchers.each_ref().map(|mailbox| heard(mailbox));
            assert_eq!(short, general);
        }
    }
}

/// A value with room in its row, or one that needs more.
fn value(seed: u8) -> Vec<u8> {
    vec![seed; usize::from(seed % 24)]
}

/// The operations that are kept of an origin, as bytes.
fn logged(origin: &OriginState) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut next = origin.log.first().unwrap_or(1);
    while let Some(run) = origin.log.run(next, origin.applied, usize::MAX) {
        bytes.extend(run.bytes);
        next += run.count;
    }
    bytes
}

fn heard(mailbox: &Mailbox<WatchEvent>) -> Vec<WatchEvent> {
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    let next = || match mailbox.poll_next(&mut context) {
        Poll::Ready(event) => event,
        Poll::Pending => None,
    };
    std::iter::from_fn(next).collect()
}

/// Steps among which writing again is common.
fn steps(nodes: usize) -> impl Strategy<Value = Vec<Step>> {
    let owner = prop_oneof![3 => Just(SHARED), 1 => Just(Owner::NODE), 1 => Just(Owner::session(0))];
    let (key, item) = (0_u8..3, 0_u8..2);
    // A type to each key, mostly, so that few are refused.
    let write = prop_oneof![
        (0_u8..1, any::<u8>()).prop_map(|(k, v)| Write::Set(k, v)),
        (owner.clone(), 1_u8..2, item.clone(), any::<u8>()).prop_map(|(o, k, f, v)| Write::Hset(o, k, f, v)),
        (owner.clone(), 2_u8..3, item.clone()).prop_map(|(o, k, m)| Write::Sadd(o, k, m)),
        (owner, key, item).prop_map(|(o, k, m)| Write::Sadd(o, k, m)),
    ];
    let again = (0..nodes, write).prop_map(|(node, write)| Step::Write(node, write));
    prop::collection::vec(prop_oneof![again, convergence::step(nodes)], 1..120)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nobody_can_tell_which_path_a_write_took(
        (nodes, steps) in (1_usize..4).prop_flat_map(|nodes| (Just(nodes), steps(nodes))),
        watched in any::<bool>(),
    ) {
        let mut twins = Twins::new(nodes, watched);
        for step in &steps {
            twins.perform(step);
            twins.assert_alike();
        }
        [&mut twins.short, &mut twins.general].into_iter().for_each(World::settle);
        twins.assert_alike();
    }
}
