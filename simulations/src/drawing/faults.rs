//! What goes wrong, and how badly: each seed's own weather.
//!
//! Swarm testing (Groce and others, ISSTA 2012): a history in which everything happens all the time is much like every other one,
//! because faults mask each other (on a cluster that is always cut, no snapshot is ever loaded). So each seed draws which kinds of trouble it
//! has at all, how often and how strong, and a swarm of seeds covers the combinations.

use super::{Dice, Draft};
use crate::plan::Fault;

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Datagrams are lost and pieces of streams late, on all links.
    Loss,
    /// Datagrams come twice, on all links.
    Repetition,
    /// Everything takes between 1 and 500 ms, on some links; datagrams overtake each other.
    Reordering,
    /// What is sent on a link is stuck for up to 5 s.
    Clogs,
    /// The nodes fall into parts: two at random, one and the others, halves.
    Partitions,
    /// Some are not heard, though they hear.
    OneWay,
    /// Processes and machines die, and start again.
    Restarts,
    /// Some die and do not come back.
    Deaths,
    /// Processes leave gracefully, and start again.
    Leaves,
    /// Processes stand still for 1 to 60 s.
    Pauses,
    /// Clocks are wrong by seconds, and jump.
    Clocks,
    /// Links are so narrow that outboxes fill.
    Narrows,
    /// Snapshots break off.
    BrokenSnapshots,
    /// One starts while the others are in two parts.
    JoinsInParts,
    /// All are restarted, one after the other.
    RollingRestarts,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Loss,
        Self::Repetition,
        Self::Reordering,
        Self::Clogs,
        Self::Partitions,
        Self::OneWay,
        Self::Restarts,
        Self::Deaths,
        Self::Leaves,
        Self::Pauses,
        Self::Clocks,
        Self::Narrows,
        Self::BrokenSnapshots,
        Self::JoinsInParts,
        Self::RollingRestarts,
    ];
}

/// Which troubles there are, and how often there is one.
#[derive(Debug, Clone)]
pub struct Weather {
    /// How long it takes on average until the next, in milliseconds.
    pub gap_ms: u64,
    /// Which, with weights.
    pub mix: Vec<(Trouble, u64)>,
}

impl Weather {
    /// A seed's own weather. In a short storm more happens in a minute, so that something does.
    pub fn drawn(dice: &mut Dice, storm_ms: u64) -> Self {
        let mut mix = Vec::new();
        for trouble in Trouble::ALL {
            if dice.percent(45) {
                mix.push((trouble, dice.spread(1, 8)));
            }
        }
        let longest_gap_ms = (storm_ms / 8).clamp(4_000, 40_000);
        Self { gap_ms: dice.spread(3_000, longest_gap_ms), mix }
    }

    /// Writes it into a plan, from when the nodes have met to its end.
    pub fn draw(&self, draft: &mut Draft) {
        let mut dying = Dying { left: (draft.nodes.saturating_sub(1)) / 2, dead: vec![false; draft.nodes] };
        for at in draft.moments(5_000, self.gap_ms / 2, self.gap_ms * 3 / 2) {
            let Some(trouble) = draft.dice.weighted(&self.mix) else { return };
            break_out(draft, &mut dying, at, trouble);
        }
    }
}

/// Who is dead for ever. Less than half of all are.
struct Dying {
    left: usize,
    dead: Vec<bool>,
}

impl Dying {
    /// A node that will be started again when it dies.
    fn mortal(&self, dice: &mut Dice) -> usize {
        let alive: Vec<usize> = (0..self.dead.len()).filter(|node| !self.dead[*node]).collect();
        dice.one(&alive)
    }

    fn lose(&mut self, dice: &mut Dice) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let node = self.mortal(dice);
        self.dead[node] = true;
        Some(node)
    }
}

fn break_out(draft: &mut Draft, dying: &mut Dying, at: u64, trouble: Trouble) {
    match trouble {
        Trouble::Loss => {
            let percent = draft.dice.between(1, 30) as u8;
            everywhere(
                draft,
                at,
                |from, to| Fault::Lose { from, to, percent },
                |from, to| Fault::Lose { from, to, percent: 0 },
            );
        }
        Trouble::Repetition => {
            let percent = draft.dice.between(1, 30) as u8;
            everywhere(
                draft,
                at,
                |from, to| Fault::Repeat { from, to, percent },
                |from, to| Fault::Repeat { from, to, percent: 0 },
            );
        }
        Trouble::Reordering => reorder(draft, at),
        Trouble::Clogs => {
            if let Some((from, to)) = link(draft) {
                let ms = draft.dice.spread(50, 5_000) as u32;
                draft.fault(at, Fault::Clog { from, to, ms });
                let until = at + draft.dice.between(500, 10_000);
                draft.fault(until, Fault::Clog { from, to, ms: 0 });
            }
        }
        Trouble::Partitions => {
            let (one, other) = part(draft);
            let until = at + draft.dice.spread(200, 90_000);
            draft.partition(at, until, &one, &other);
        }
        Trouble::OneWay => {
            let (one, other) = part(draft);
            let until = at + draft.dice.spread(200, 60_000);
            draft.silence(at, until, &one, &other);
        }
        Trouble::Restarts => {
            let node = dying.mortal(&mut draft.dice);
            let until = at + draft.dice.spread(50, 60_000);
            draft.restart(at, until, node);
        }
        Trouble::Deaths => {
            if let Some(node) = dying.lose(&mut draft.dice) {
                draft.fault(at, Fault::PowerOff { node });
            }
        }
        Trouble::Leaves => {
            let node = dying.mortal(&mut draft.dice);
            let until = at + draft.dice.spread(200, 30_000);
            draft.redeploy(at, until, node);
        }
        Trouble::Pauses => {
            let node = draft.dice.index(draft.nodes);
            let until = at + draft.dice.spread(1_000, 60_000);
            draft.pause(at, until, node);
        }
        Trouble::Clocks => {
            let node = draft.dice.index(draft.nodes);
            let far = draft.dice.spread(100, 600_000) as i64;
            let ahead_ms = if draft.dice.percent(50) { far } else { -far };
            draft.fault(at, Fault::SetClock { node, ahead_ms });
        }
        Trouble::Narrows => {
            if let Some((from, to)) = link(draft) {
                let bytes_per_second = draft.dice.spread(200, 20_000) as u32;
                draft.fault(at, Fault::Narrow { from, to, bytes_per_second });
                let until = at + draft.dice.between(1_000, 30_000);
                draft.fault(until, Fault::Widen { from, to });
            }
        }
        Trouble::BrokenSnapshots => break_a_snapshot(draft, dying, at),
        Trouble::JoinsInParts => {
            let node = dying.mortal(&mut draft.dice);
            let (one, other) = part(draft);
            let length = draft.dice.between(5_000, 40_000);
            draft.restart(at, at + length / 3, node);
            draft.partition(at + length / 6, at + length, &one, &other);
        }
        Trouble::RollingRestarts => {
            // Half of a storm is enough to restart all.
            let longest_gap = (draft.storm_ms / 2 / draft.nodes as u64).clamp(1_000, 15_000);
            let gap = draft.dice.spread(500, longest_gap);
            for (place, node) in draft.dice.shuffled(draft.nodes).into_iter().enumerate() {
                if !dying.dead[node] {
                    let from = at + place as u64 * gap;
                    draft.redeploy(from, from + gap * 2 / 3, node);
                }
            }
        }
    }
}

/// Begins on every link, and ends.
fn everywhere(draft: &mut Draft, at: u64, begin: impl Fn(usize, usize) -> Fault, end: impl Fn(usize, usize) -> Fault) {
    let until = at + draft.dice.between(2_000, 40_000);
    for from in 0..draft.nodes {
        for to in (0..draft.nodes).filter(|to| *to != from) {
            draft.fault(at, begin(from, to));
            draft.fault(until, end(from, to));
        }
    }
}

fn reorder(draft: &mut Draft, at: u64) {
    let until = at + draft.dice.between(2_000, 40_000);
    let (usual_min, usual_max) = draft.settings.latency_ms;
    for _ in 0..draft.dice.between(1, draft.nodes as u64) {
        if let Some((from, to)) = link(draft) {
            let max_ms = draft.dice.spread(20, 500) as u32;
            draft.fault(at, Fault::Delay { from, to, min_ms: 1, max_ms });
            draft.fault(until, Fault::Delay { from, to, min_ms: usual_min, max_ms: usual_max });
        }
    }
}

/// Who starts asks somebody for all there is: whoever that is, it breaks off.
fn break_a_snapshot(draft: &mut Draft, dying: &Dying, at: u64) {
    let to = dying.mortal(&mut draft.dice);
    let start = at + draft.dice.between(500, 20_000);
    draft.restart(at, start, to);
    for from in (0..draft.nodes).filter(|from| *from != to) {
        draft.fault(start - 1, Fault::BreakSnapshot { from, to });
    }
}

/// A direction between two nodes, if there are two.
fn link(draft: &mut Draft) -> Option<(usize, usize)> {
    let order = draft.dice.shuffled(draft.nodes);
    Some((*order.first()?, *order.get(1)?))
}

/// Two parts: at random, one and the others, or halves.
fn part(draft: &mut Draft) -> (Vec<usize>, Vec<usize>) {
    let mut order = draft.dice.shuffled(draft.nodes);
    match draft.dice.below(3) {
        0 => draft.parts(),
        1 => {
            let others = order.split_off(1);
            (order, others)
        }
        _ => {
            let others = order.split_off(draft.nodes / 2);
            (order, others)
        }
    }
}
