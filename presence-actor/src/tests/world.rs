//! A few cores, the links between them, and the clock: all moved by hand.
//!
//! A link is two queues of frames in each direction, one per class. Cutting it loses what is under way, as a broken TCP connection
//! does. Nothing happens unless a test says so, and [`World::settle`] is the only place that goes on until all is quiet.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headcount_cluster::{GoneReason, Incarnation, Member, NodeId, Origin, WallMs};

use crate::dot::Owner;
use crate::limits::Limits;
use crate::portions::Portions;
use crate::pubsub::interest::Kind;
use crate::pubsub::{Event, Mailbox};
use crate::state::State;

/// Milliseconds between two gossip rounds.
pub(super) const ROUND_MS: u64 = 200;

pub(super) struct World {
    pub(super) nodes: Vec<State>,
    pub(super) members: Vec<Member>,
    pub(super) now: WallMs,
    portions: Portions,
    links: BTreeMap<(usize, usize), Wire>,
}

#[derive(Default)]
struct Wire {
    stream: VecDeque<Bytes>,
    bulk: VecDeque<Bytes>,
}

pub(super) fn member(index: usize, incarnation: u64) -> Member {
    Member {
        node: NodeId::new(format!("n{index}")).unwrap(),
        incarnation: Incarnation(incarnation),
        addr: SocketAddr::from(([10, 0, 0, index as u8], 7946)),
    }
}

impl World {
    /// Nodes that know each other and are linked.
    pub(super) fn new(count: usize) -> Self {
        Self::with(count, &Limits::default())
    }

    pub(super) fn with(count: usize, limits: &Limits) -> Self {
        Self::in_portions(count, limits, Portions::default())
    }

    /// Nodes that do so much at once, those that come later too.
    pub(super) fn in_portions(count: usize, limits: &Limits, portions: Portions) -> Self {
        let now = WallMs(1_000_000);
        let mut world = Self { nodes: vec![], members: vec![], now, portions, links: BTreeMap::new() };
        for index in 0..count {
            world.add(member(index, 1), limits.clone());
        }
        world.settle();
        world
    }

    /// Adds a node that knows all and is linked to all.
    pub(super) fn add(&mut self, member: Member, limits: Limits) -> usize {
        let met: Vec<usize> = (0..self.nodes.len()).collect();
        self.add_knowing(member, limits, &met)
    }

    /// Adds a node that has met only some.
    pub(super) fn add_knowing(&mut self, member: Member, limits: Limits, met: &[usize]) -> usize {
        let index = self.nodes.len();
        let state = self.start(&member, limits, index as u64);
        self.nodes.push(state);
        self.members.push(member);
        for other in met {
            self.introduce(index, *other);
        }
        self.nodes[index].handle_seeds_tried(met.len());
        if index == 0 {
            self.nodes[0].handle_alone(vec![]);
        }
        index
    }

    fn start(&self, member: &Member, limits: Limits, seed: u64) -> State {
        let mut state = State::clustered(member, limits, self.now, seed);
        state.portions = self.portions;
        state
    }

    /// A node's process dies and starts again under its name, with nothing, and meets some of the others.
    pub(super) fn restart_knowing(&mut self, node: usize, met: &[usize]) {
        self.isolate(node);
        let old = self.members[node].clone();
        let new = member(node, old.incarnation.0 + 1);
        for other in met {
            self.nodes[*other].handle_member_gone(&old, GoneReason::Superseded, self.now);
        }
        let limits = self.nodes[node].limits.clone();
        self.nodes[node] = self.start(&new, limits, new.incarnation.0);
        self.members[node] = new;
        for other in met {
            self.introduce(node, *other);
        }
        self.nodes[node].handle_seeds_tried(met.len());
    }

    /// A node's process dies and starts again under its name, with nothing, and meets all others.
    pub(super) fn restart(&mut self, node: usize) {
        let others: Vec<usize> = (0..self.nodes.len()).filter(|other| *other != node).collect();
        self.restart_knowing(node, &others);
    }

    /// A node goes on under a new incarnation, because others hold the old one for Gone.
    pub(super) fn reincarnate(&mut self, node: usize) {
        self.isolate(node);
        self.members[node] = member(node, self.members[node].incarnation.0 + 1);
        let (me, now) = (self.members[node].clone(), self.now);
        self.nodes[node].handle_reincarnated(&me, now);
    }

    pub(super) fn introduce(&mut self, a: usize, b: usize) {
        let (first, second) = (self.members[a].clone(), self.members[b].clone());
        self.nodes[a].handle_member_up(&second, self.now);
        self.nodes[b].handle_member_up(&first, self.now);
        self.link(a, b);
    }

    pub(super) fn link(&mut self, a: usize, b: usize) {
        if self.is_linked(a, b) {
            return;
        }
        self.links.insert((a, b), Wire::default());
        self.links.insert((b, a), Wire::default());
        let (first, second) = (self.members[a].clone(), self.members[b].clone());
        self.nodes[a].handle_link_up(&second);
        self.nodes[b].handle_link_up(&first);
    }

    pub(super) fn cut(&mut self, a: usize, b: usize) {
        if self.links.remove(&(a, b)).is_some() {
            self.links.remove(&(b, a));
            let (first, second) = (self.origin(a), self.origin(b));
            self.nodes[a].handle_link_down(second, self.now);
            self.nodes[b].handle_link_down(first, self.now);
        }
    }

    pub(super) fn is_linked(&self, a: usize, b: usize) -> bool {
        self.links.contains_key(&(a, b))
    }

    /// Cuts a node off from all, without a word.
    pub(super) fn isolate(&mut self, node: usize) {
        (0..self.nodes.len()).filter(|other| *other != node).for_each(|other| self.cut(node, other));
    }

    /// The membership of every other node says that this one is Down.
    pub(super) fn down(&mut self, node: usize) {
        self.isolate(node);
        let member = self.members[node].clone();
        for (index, state) in self.nodes.iter_mut().enumerate() {
            if index != node {
                state.handle_member_down(&member, self.now);
            }
        }
    }

    /// One node's membership says that a member is Gone.
    pub(super) fn gone_at(&mut self, at: usize, node: usize) {
        let member = self.members[node].clone();
        self.nodes[at].handle_member_gone(&member, GoneReason::GraceOver, self.now);
    }

    pub(super) fn origin(&self, node: usize) -> Origin {
        self.members[node].origin()
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.work();
    }

    /// Lets a node put what is due on its links, at most `most` frames a link and class.
    pub(super) fn transmit(&mut self, from: usize, most: usize) {
        for ((_, to), wire) in self.links.iter_mut().filter(|((source, _), _)| *source == from) {
            let to = self.members[*to].origin();
            wire.stream.extend((0..most).map_while(|_| self.nodes[from].poll_stream(to)));
            wire.bulk.extend((0..most).map_while(|_| self.nodes[from].poll_bulk(to)));
        }
    }

    /// Delivers the oldest frame of a class on a link. Returns whether there was one.
    pub(super) fn deliver(&mut self, from: usize, to: usize, bulk: bool) -> bool {
        let Some(wire) = self.links.get_mut(&(from, to)) else { return false };
        let Some(frame) = (if bulk { wire.bulk.pop_front() } else { wire.stream.pop_front() }) else { return false };
        let origin = self.members[from].origin();
        self.nodes[to].handle_frame(origin, &frame, self.now).expect("cores understand each other");
        true
    }

    pub(super) fn work(&mut self) {
        let now = self.now;
        self.nodes.iter_mut().for_each(|node| while node.work(now) {});
    }

    /// One slice of every node's work.
    pub(super) fn work_a_slice(&mut self) {
        let now = self.now;
        for node in &mut self.nodes {
            node.work(now);
        }
    }

    pub(super) fn gossip(&mut self, node: usize) {
        self.nodes[node].handle_gossip(self.now);
    }

    /// Delivers until nothing is under way. No time passes.
    pub(super) fn flush(&mut self) {
        loop {
            for node in 0..self.nodes.len() {
                self.transmit(node, usize::MAX);
            }
            let mut moved = false;
            for (from, to) in self.links.keys().copied().collect::<Vec<_>>() {
                while self.deliver(from, to, false) || self.deliver(from, to, true) {
                    moved = true;
                }
            }
            self.work();
            if !moved {
                return;
            }
        }
    }

    /// Lets time pass in gossip rounds until nothing changes any more.
    pub(super) fn settle(&mut self) {
        let mut quiet = 0;
        let mut before = Vec::new();
        for _ in 0..200 {
            self.pass(ROUND_MS);
            (0..self.nodes.len()).for_each(|node| self.gossip(node));
            self.flush();
            let after: Vec<u64> = self.nodes.iter().map(State::digest).collect();
            quiet = if after == before { quiet + 1 } else { 0 };
            before = after;
            if quiet > 4 * self.nodes.len() {
                return;
            }
        }
        panic!("the world does not come to rest: {before:?}");
    }

    /// Gossip rounds of all nodes, with all that follows.
    pub(super) fn rounds(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.now = self.now.plus_ms(ROUND_MS);
            (0..self.nodes.len()).for_each(|node| self.gossip(node));
            self.flush();
        }
    }

    /// Lives for hours or days, in rounds of a minute.
    pub(super) fn live(&mut self, span: Duration) {
        for _ in 0..=span.as_secs() / 60 {
            self.now = self.now.plus_ms(60_000);
            for node in 0..self.nodes.len() {
                self.nodes[node].life.pass(Duration::from_mins(1));
                self.gossip(node);
            }
            self.flush();
        }
    }

    /// Settles, and goes on until history that all have is forgotten.
    pub(super) fn rest(&mut self) {
        self.settle();
        for _ in 0..30 {
            (0..self.nodes.len()).for_each(|node| self.gossip(node));
            self.flush();
        }
    }

    pub(super) fn check_invariants(&self) {
        self.nodes.iter().for_each(State::check_invariants);
    }

    pub(super) fn sadd(&mut self, node: usize, key: &str, member: &str) -> usize {
        self.sadd_as(Owner::SHARED, node, key, member)
    }

    pub(super) fn sadd_as(&mut self, owner: Owner, node: usize, key: &str, member: &str) -> usize {
        self.nodes[node].sadd(owner, key.as_bytes(), &[member.as_bytes()], self.now).unwrap()
    }

    /// Adds that many members, named by their numbers.
    pub(super) fn fill(&mut self, node: usize, key: &str, members: usize) {
        for n in 0..members {
            self.sadd(node, key, &n.to_string());
        }
    }

    pub(super) fn srem(&mut self, node: usize, key: &str, member: &str) -> usize {
        self.nodes[node].srem(key.as_bytes(), &[member.as_bytes()], self.now).unwrap()
    }

    /// Subscribes a node to a topic.
    pub(super) fn hear(&mut self, node: usize, topic: &str) -> Arc<Mailbox<Event>> {
        let family = self.nodes[node].open_family();
        let (_, mailbox, _) = self.nodes[node].subscribe(Kind::Topic, topic.as_bytes(), family, Owner::SHARED).unwrap();
        mailbox
    }

    pub(super) fn set(&mut self, node: usize, key: &str, value: &str) {
        self.nodes[node].set(Owner::SHARED, key.as_bytes(), value.as_bytes(), None, self.now).unwrap();
    }

    pub(super) fn incrby(&mut self, node: usize, key: &str, by: i64) -> i64 {
        self.nodes[node].incrby(Owner::SHARED, key.as_bytes(), by, self.now).unwrap()
    }

    pub(super) fn del(&mut self, node: usize, key: &str) -> usize {
        self.nodes[node].del(&[key.as_bytes()], self.now).unwrap()
    }

    pub(super) fn get(&self, node: usize, key: &str) -> Option<String> {
        let value = self.nodes[node].get(key.as_bytes(), self.now).unwrap();
        value.map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    pub(super) fn smembers(&self, node: usize, key: &str) -> Vec<String> {
        let members = self.nodes[node].smembers(key.as_bytes(), self.now).unwrap();
        let mut members: Vec<String> = members.into_iter().map(|m| String::from_utf8(m.to_vec()).unwrap()).collect();
        members.sort();
        members
    }

    /// What all nodes show for a string; panics when they differ.
    pub(super) fn everywhere(&self, key: &str) -> Option<String> {
        let shown: Vec<_> = (0..self.nodes.len()).map(|node| self.get(node, key)).collect();
        assert!(shown.windows(2).all(|pair| pair[0] == pair[1]), "{key}: {shown:?}");
        shown[0].clone()
    }

    /// What all nodes show for a set; panics when they differ.
    pub(super) fn members_everywhere(&self, key: &str) -> Vec<String> {
        let shown: Vec<_> = (0..self.nodes.len()).map(|node| self.smembers(node, key)).collect();
        assert!(shown.windows(2).all(|pair| pair[0] == pair[1]), "{key}: {shown:?}");
        shown[0].clone()
    }

    /// Panics when two nodes hold different rows.
    pub(super) fn assert_converged(&self) {
        let digests: Vec<u64> = self.nodes.iter().map(State::digest).collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}\n{:#?}", self.dump());
        let vectors: Vec<_> = self.nodes.iter().map(State::vector).collect();
        assert!(vectors.windows(2).all(|pair| pair[0] == pair[1]), "{vectors:?}");
    }

    fn dump(&self) -> Vec<Vec<String>> {
        let rows = |node: &State| {
            let entries = node.keyspace.keys.iter().map(|(key, entry)| {
                let tags: Vec<String> = entry
                    .tags()
                    .map(|tag| format!("{}/{:?}/{}", node.origins.get(tag.origin).origin, tag.owner, tag.seq))
                    .collect();
                format!("{key:?} {tags:?} {entry:?}")
            });
            let mut entries: Vec<String> = entries.collect();
            entries.sort();
            entries
        };
        self.nodes.iter().map(rows).collect()
    }
}
