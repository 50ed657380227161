//! Links on which everything takes longer than a gossip round.

use std::collections::VecDeque;

use bytes::Bytes;

use super::world::{ROUND_MS, World};

pub(super) struct Far {
    pub(super) world: World,
    /// How many rounds everything takes.
    away: usize,
    round: usize,
    /// What arrives in which round, from whom and where.
    under_way: VecDeque<(usize, usize, usize, Bytes)>,
}

impl Far {
    pub(super) fn new(world: World, away: usize) -> Self {
        Self { world, away, round: 0, under_way: VecDeque::new() }
    }

    /// Gossip rounds of all nodes. What passes on a link that is cut meanwhile is lost.
    pub(super) fn rounds(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.round += 1;
            self.world.pass(ROUND_MS);
            while let Some((_, from, to, frame)) = self.under_way.pop_front_if(|(due, ..)| *due <= self.round) {
                if self.world.is_linked(from, to) {
                    let (by, now) = (self.world.origin(from), self.world.now);
                    self.world.nodes[to].handle_frame(by, &frame, now).unwrap();
                    self.world.nodes[to].settle(now);
                }
            }
            for from in 0..self.world.nodes.len() {
                self.world.gossip(from);
                self.send(from);
            }
        }
    }

    fn send(&mut self, from: usize) {
        let now = self.world.now;
        self.world.nodes[from].settle(now);
        for to in (0..self.world.nodes.len()).filter(|to| *to != from) {
            let at = self.world.origin(to);
            let node = &mut self.world.nodes[from];
            let frames = std::iter::from_fn(|| node.poll_stream(at).or_else(|| node.poll_bulk(at)));
            self.under_way.extend(frames.map(|frame| (self.round + self.away, from, to, frame)));
        }
    }
}
