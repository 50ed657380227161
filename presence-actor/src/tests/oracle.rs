//! Our rows beside the textbook's: `crdts::Orswot`, `Map` of `MVReg`, and `PNCounter`, under the same deliveries.
//!
//! Each node has both. An operation goes to a node's oracle at the moment at which our core applies it there, and
//! after each step both must show the same. Where ours means something else on purpose the model says so: a field shows
//! one of the concurrent values that the `MVReg` keeps, and counters are compared without removals, which a `PNCounter` does not have.

use std::collections::{BTreeMap, BTreeSet};

use crdts::{CmRDT, MVReg, Map, Orswot, PNCounter};
use proptest::prelude::*;

use super::world::World;
use crate::dot::Owner;
use crate::limits::Limits;

const NODES: usize = 3;
const SET: &[u8] = b"set";
const HASH: &[u8] = b"hash";
const COUNTER: &[u8] = b"counter";
const SHARED: Owner = Owner::SHARED;

type Set = Orswot<u8, usize>;
type Hash = Map<u8, MVReg<u8, usize>, usize>;
type Counter = PNCounter<usize>;

#[derive(Debug, Clone)]
enum Step {
    Sadd(usize, u8),
    Srem(usize, u8),
    Hset(usize, u8, u8),
    Hdel(usize, u8),
    Incrby(usize, i64),
    Transmit(usize, usize),
    Deliver(usize, usize),
    Cut(usize, usize),
    Link(usize, usize),
    Gossip(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    prop_oneof![
        3 => (node.clone(), 0_u8..4).prop_map(|(n, m)| Step::Sadd(n, m)),
        2 => (node.clone(), 0_u8..4).prop_map(|(n, m)| Step::Srem(n, m)),
        3 => (node.clone(), 0_u8..4, any::<u8>()).prop_map(|(n, f, v)| Step::Hset(n, f, v)),
        2 => (node.clone(), 0_u8..4).prop_map(|(n, f)| Step::Hdel(n, f)),
        2 => (node.clone(), -5_i64..6).prop_map(|(n, by)| Step::Incrby(n, by)),
        5 => (node.clone(), 1_usize..3).prop_map(|(n, most)| Step::Transmit(n, most)),
        9 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Deliver(a, b)),
        1 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Cut(a, b)),
        1 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Link(a, b)),
        1 => node.prop_map(Step::Gossip),
    ]
}

#[derive(Debug, Clone)]
enum Op {
    Set(crdts::orswot::Op<u8, usize>),
    Hash(crdts::map::Op<u8, MVReg<u8, usize>, usize>),
    Counter(crdts::pncounter::Op<usize>),
}

#[derive(Debug, Default)]
struct Oracle {
    set: Set,
    hash: Hash,
    counter: Counter,
    /// Per author, how many of its operations were applied.
    applied: [u64; NODES],
}

impl Oracle {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Set(op) => self.set.apply(op),
            Op::Hash(op) => self.hash.apply(op),
            Op::Counter(op) => self.counter.apply(op),
        }
    }
}

struct Pair {
    world: World,
    oracles: Vec<Oracle>,
    /// Per author, its operations in order: operation `n` of the core's stream is at `n - 1`.
    written: [Vec<Op>; NODES],
}

impl Pair {
    fn new() -> Self {
        Self {
            world: World::with(NODES, &Limits::default()),
            oracles: (0..NODES).map(|_| Oracle::default()).collect(),
            written: Default::default(),
        }
    }

    fn write(&mut self, node: usize, op: Op) {
        self.written[node].push(op);
    }

    fn run(&mut self, step: &Step) {
        let now = self.world.now;
        match step {
            Step::Sadd(node, member) => {
                self.world.nodes[*node].sadd(SHARED, SET, &[&[*member]], now).unwrap();
                let set = &self.oracles[*node].set;
                let op = set.add(*member, set.read_ctx().derive_add_ctx(*node));
                self.write(*node, Op::Set(op));
            }
            Step::Srem(node, member) => {
                let removed = self.world.nodes[*node].srem(SET, &[&[*member]], now).unwrap();
                let there = self.oracles[*node].set.contains(member);
                assert_eq!(removed == 1, there.val);
                if there.val {
                    let op = self.oracles[*node].set.rm(*member, there.derive_rm_ctx());
                    self.write(*node, Op::Set(op));
                }
            }
            Step::Hset(node, field, value) => {
                self.world.nodes[*node].hset(SHARED, HASH, &[&[*field], &[*value]], now).unwrap();
                let hash = &self.oracles[*node].hash;
                let context = hash.read_ctx().derive_add_ctx(*node);
                let op = hash.update(*field, context, |register, context| register.write(*value, context));
                self.write(*node, Op::Hash(op));
            }
            Step::Hdel(node, field) => {
                let removed = self.world.nodes[*node].hdel(HASH, &[&[*field]], now).unwrap();
                let there = self.oracles[*node].hash.get(field);
                assert_eq!(removed == 1, there.val.is_some());
                if there.val.is_some() {
                    // All of the field that the node has seen goes, what it has overwritten too: a `Map` keeps that otherwise.
                    let hash = &self.oracles[*node].hash;
                    let op = hash.rm(*field, hash.read_ctx().derive_rm_ctx());
                    self.write(*node, Op::Hash(op));
                }
            }
            Step::Incrby(node, by) => {
                self.world.nodes[*node].incrby(SHARED, COUNTER, *by, now).unwrap();
                let counter = &self.oracles[*node].counter;
                let steps = by.unsigned_abs();
                let op = if *by < 0 { counter.dec_many(*node, steps) } else { counter.inc_many(*node, steps) };
                self.write(*node, Op::Counter(op));
            }
            Step::Transmit(node, most) => self.world.transmit(*node, *most),
            Step::Deliver(from, to) => drop(self.world.deliver(*from, *to, false)),
            Step::Cut(a, b) if a != b => self.world.cut(*a, *b),
            Step::Link(a, b) if a != b => self.world.link(*a, *b),
            Step::Cut(..) | Step::Link(..) => {}
            Step::Gossip(node) => self.world.gossip(*node),
        }
        self.follow();
        self.compare();
    }

    /// Gives each oracle what its node has applied since.
    fn follow(&mut self) {
        for node in 0..NODES {
            for author in 0..NODES {
                let applied = self.world.nodes[node].vector().get(&self.world.origin(author));
                let oracle = &mut self.oracles[node];
                while oracle.applied[author] < applied {
                    oracle.apply(self.written[author][oracle.applied[author] as usize].clone());
                    oracle.applied[author] += 1;
                }
            }
        }
    }

    fn compare(&self) {
        let now = self.world.now;
        for (node, oracle) in self.world.nodes.iter().zip(&self.oracles) {
            let ours: BTreeSet<u8> = node.smembers(SET, now).unwrap().iter().map(|member| member[0]).collect();
            assert_eq!(ours, oracle.set.read().val.into_iter().collect(), "the set");
            let ours: BTreeMap<u8, u8> = node.hgetall(HASH, now).unwrap().iter().map(|(f, v)| (f[0], v[0])).collect();
            let theirs: BTreeMap<u8, Vec<u8>> =
                oracle.hash.iter().map(|field| (*field.val.0, field.val.1.read().val)).collect();
            assert!(ours.keys().eq(theirs.keys()), "the fields: {ours:?} {theirs:?}");
            for (field, value) in ours {
                assert!(theirs[&field].contains(&value), "field {field}: {value} of {:?}", theirs[&field]);
            }
            let ours =
                node.get(COUNTER, now).unwrap().map_or("0".to_owned(), |sum| String::from_utf8_lossy(&sum).into());
            assert_eq!(ours, oracle.counter.read().to_string(), "the counter");
        }
    }
}

proptest! {
    #[test]
    fn sets_hashes_and_counters_show_what_the_textbook_shows(steps in prop::collection::vec(step(), 1..150)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.run(step);
        }
        for a in 0..NODES {
            (0..a).for_each(|b| pair.world.link(a, b));
        }
        pair.world.settle();
        pair.follow();
        pair.compare();
        pair.world.assert_converged();
        assert!(pair.oracles.windows(2).all(|pair| pair[0].applied == pair[1].applied));
    }
}
