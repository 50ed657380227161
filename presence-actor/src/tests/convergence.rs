//! Whatever is written wherever, whatever is lost and in whatever order it arrives: in the end all hold the same.

use proptest::prelude::*;

use super::world::World;
use crate::dot::Owner;
use crate::limits::Limits;
use crate::shared::list::End;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Write(usize, Write),
    /// Put what is due on the wires.
    Transmit(usize, usize),
    Deliver(usize, usize, bool),
    Cut(usize, usize),
    Link(usize, usize),
    Gossip(usize),
    /// And one slice of each node.
    Pass(u64),
    /// One slice of each node.
    Work,
}

#[derive(Debug, Clone)]
pub(super) enum Write {
    Set(u8, u8),
    Setex(u8, u8, i64),
    Incrby(u8, i64),
    Sadd(Owner, u8, u8),
    Srem(u8, u8),
    Hset(Owner, u8, u8, u8),
    Hincrby(u8, u8, i64),
    Hincrbyex(u8, u8, i64, i64),
    Hdel(u8, u8),
    Del(u8),
    Expire(u8, i64),
    Persist(u8),
    EndSession(u32),
    Push(Owner, End, u8, u8),
    /// Two at once.
    PushTwo(End, u8, u8),
    Pop(End, u8),
}

fn owner() -> impl Strategy<Value = Owner> {
    prop_oneof![Just(Owner::SHARED), Just(Owner::NODE), (0_u32..2).prop_map(Owner::session)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Left), Just(End::Right)]
}

fn write() -> impl Strategy<Value = Write> {
    let key = 0_u8..4;
    let item = 0_u8..3;
    prop_oneof![
        1 => (key.clone(), any::<u8>()).prop_map(|(k, v)| Write::Set(k, v)),
        1 => (key.clone(), any::<u8>(), 1_i64..3).prop_map(|(k, v, s)| Write::Setex(k, v, s)),
        3 => (key.clone(), -3_i64..4).prop_map(|(k, by)| Write::Incrby(k, by)),
        3 => (owner(), key.clone(), item.clone()).prop_map(|(o, k, m)| Write::Sadd(o, k, m)),
        2 => (key.clone(), item.clone()).prop_map(|(k, m)| Write::Srem(k, m)),
        3 => (owner(), key.clone(), item.clone(), any::<u8>()).prop_map(|(o, k, f, v)| Write::Hset(o, k, f, v)),
        2 => (key.clone(), item.clone(), -3_i64..4).prop_map(|(k, f, by)| Write::Hincrby(k, f, by)),
        1 => (key.clone(), item.clone(), -3_i64..4, 0_i64..3).prop_map(|(k, f, by, s)| Write::Hincrbyex(k, f, by, s)),
        2 => (key.clone(), item).prop_map(|(k, f)| Write::Hdel(k, f)),
        3 => key.clone().prop_map(Write::Del),
        1 => (key.clone(), -1_i64..3).prop_map(|(k, s)| Write::Expire(k, s)),
        3 => (owner(), end(), key.clone(), any::<u8>()).prop_map(|(o, e, k, v)| Write::Push(o, e, k, v)),
        1 => (end(), key.clone(), any::<u8>()).prop_map(|(e, k, v)| Write::PushTwo(e, k, v)),
        3 => (end(), key.clone()).prop_map(|(e, k)| Write::Pop(e, k)),
        1 => key.prop_map(Write::Persist),
        1 => (0_u32..2).prop_map(Write::EndSession),
    ]
}

pub(super) fn step(nodes: usize) -> impl Strategy<Value = Step> {
    let node = 0..nodes;
    prop_oneof![
        8 => (node.clone(), write()).prop_map(|(n, w)| Step::Write(n, w)),
        4 => (node.clone(), 1_usize..3).prop_map(|(n, most)| Step::Transmit(n, most)),
        8 => (node.clone(), node.clone(), any::<bool>()).prop_map(|(a, b, bulk)| Step::Deliver(a, b, bulk)),
        1 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Cut(a, b)),
        2 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Link(a, b)),
        2 => node.prop_map(Step::Gossip),
        1 => (1_u64..1500).prop_map(Step::Pass),
        6 => Just(Step::Work),
    ]
}

fn apply(world: &mut World, node: usize, write: &Write) {
    let now = world.now;
    let state = &mut world.nodes[node];
    let key = |k: &u8| [b'k', *k];
    let shared = Owner::SHARED;
    // Errors (a wrong type, mostly) are fine: they must change nothing, which the invariants and digests see.
    let _ = match write {
        Write::Set(k, v) => state.set(shared, &key(k), v.to_string().as_bytes(), None, now).err(),
        Write::Setex(k, v, s) => state.set(shared, &key(k), v.to_string().as_bytes(), Some(*s), now).err(),
        Write::Incrby(k, by) => state.incrby(shared, &key(k), *by, now).err(),
        Write::Sadd(o, k, m) => state.sadd(*o, &key(k), &[&[*m]], now).err(),
        Write::Srem(k, m) => state.srem(&key(k), &[&[*m]], now).err(),
        Write::Hset(o, k, f, v) => state.hset(*o, &key(k), &[&[*f], v.to_string().as_bytes()], now).err(),
        Write::Hincrby(k, f, by) => state.hincrby(shared, &key(k), &[*f], *by, now).err(),
        Write::Hincrbyex(k, f, by, s) => state.hincrbyex(shared, &key(k), &[*f], *by, *s, now).err(),
        Write::Hdel(k, f) => state.hdel(&key(k), &[&[*f]], now).err(),
        Write::Del(k) => state.del(&[&key(k)], now).err(),
        Write::Expire(k, s) => state.expire(&key(k), *s, now).err(),
        Write::Persist(k) => state.persist(&key(k), now).err(),
        Write::Push(o, end, k, v) => state.push(*o, *end, &key(k), &[&[*v]], now).err(),
        Write::PushTwo(end, k, v) => state.push(shared, *end, &key(k), &[&[*v], &[v ^ 1]], now).err(),
        Write::Pop(end, k) => state.pop(*end, &key(k), |_| None, now).err(),
        Write::EndSession(s) => {
            state.end_session(Owner::session(*s), now);
            None
        }
    };
}

pub(super) fn perform(world: &mut World, step: &Step) {
    match step {
        Step::Write(node, write) => apply(world, *node, write),
        Step::Transmit(node, most) => world.transmit(*node, *most),
        Step::Deliver(from, to, bulk) => drop(world.deliver(*from, *to, *bulk)),
        Step::Cut(a, b) if a != b => world.cut(*a, *b),
        Step::Link(a, b) if a != b => world.link(*a, *b),
        Step::Cut(..) | Step::Link(..) => {}
        Step::Gossip(node) => world.gossip(*node),
        Step::Pass(ms) => {
            world.now = world.now.plus_ms(*ms);
            world.work_a_slice();
        }
        Step::Work => world.work_a_slice(),
    }
}

fn run(nodes: usize, limits: &Limits, steps: &[Step]) -> World {
    let mut world = World::with(nodes, limits);
    for step in steps {
        let before = rows(&world);
        perform(&mut world, step);
        world.check_invariants();
        for ((former, uncounted), (digest, changes)) in before.into_iter().zip(rows(&world)) {
            assert!(digest == former || changes > uncounted, "a change of rows is counted: {step:?}");
        }
    }
    for a in 0..nodes {
        (0..a).for_each(|b| world.link(a, b));
    }
    world.settle();
    world.check_invariants();
    world
}

/// Each node's digest, and how often its rows may have changed.
fn rows(world: &World) -> Vec<(u64, u64)> {
    world.nodes.iter().map(|state| (state.digest(), state.changes())).collect()
}

pub(super) fn assert_same_view(world: &World) {
    let now = world.now;
    let view = |node: usize| {
        let state = &world.nodes[node];
        (0_u8..4).map(move |k| {
            let key = [b'k', k];
            let mut members = state.smembers(&key, now).unwrap_or_default().to_vec();
            let mut fields = state.hgetall(&key, now).unwrap_or_default();
            members.sort();
            fields.sort();
            let list = (state.lrange(&key, 0, -1, now), state.llen(&key, now));
            (state.get(&key, now), members, fields, state.scard(&key, now), state.hlen(&key, now), list)
        })
    };
    for node in 1..world.nodes.len() {
        assert!(view(0).eq(view(node)), "{:?}\n{:?}", view(0).collect::<Vec<_>>(), view(node).collect::<Vec<_>>());
    }
    for state in &world.nodes {
        for k in 0_u8..4 {
            let key = [b'k', k];
            let (scard, members) = (state.scard(&key, now), state.smembers(&key, now));
            assert_eq!(scard.ok(), members.ok().map(|members| members.len()));
        }
    }
}

/// A few hundred by default; `./test --long` raises `PROPTEST_CASES`.
pub(super) fn cases() -> ProptestConfig {
    ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn three_nodes_hold_the_same_rows_in_the_end(steps in prop::collection::vec(step(3), 1..120)) {
        let world = run(3, &Limits::default(), &steps);
        world.assert_converged();
        assert_same_view(&world);
    }

    #[test]
    fn five_nodes_hold_the_same_rows_in_the_end(steps in prop::collection::vec(step(5), 1..200)) {
        let world = run(5, &Limits::default(), &steps);
        world.assert_converged();
        assert_same_view(&world);
    }

    /// Without a log every repair is a snapshot.
    #[test]
    fn nodes_that_repair_by_snapshots_alone_hold_the_same_rows_in_the_end(steps in prop::collection::vec(step(3), 1..120)) {
        let limits = Limits { oplog_bytes: 0, ..Limits::default() };
        let world = run(3, &limits, &steps);
        world.assert_converged();
        assert_same_view(&world);
    }
}
