//! The way into the cluster: asking the seeds, at the start and for as long as one of them is not among the members.
//!
//! As `cluster/src/net/join.rs`, whose verdicts these are, less what cannot happen here: machines have names of their own and are all
//! of one cluster.

use std::net::SocketAddr;
use std::time::Duration;

use headcount::{Member, MemberState};
use headcount_cluster::backoff::Backoff;
use headcount_cluster::link::handshake::Refusal;
use headcount_cluster::pace::{FOUND_ROUNDS, PROBE_MAX, PROBE_MIN};

use super::calls::Purpose;
use super::event::Timer;
use super::net::Net;
use super::process::{Phase, Process, addr_of};

/// The seeds and what became of each.
#[derive(Debug)]
pub(super) struct Seeds {
    all: Vec<Seed>,
    /// Probes of this round that are under way.
    open: usize,
    backoff: Backoff,
    may_be_alone: bool,
}

#[derive(Debug)]
struct Seed {
    node: u32,
    outcome: Option<Outcome>,
    /// Whether it has ever accepted this node.
    was_reached: bool,
    /// Whether it was asked in this round.
    asked: bool,
}

/// What a call to somebody came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted(Member),
    Refused(Refusal),
    Unreachable(&'static str),
    Yourself,
}

impl Seeds {
    pub(super) fn new(nodes: Vec<u32>, me: u32) -> Self {
        let seed =
            |node| Seed { node, outcome: (node == me).then_some(Outcome::Yourself), was_reached: false, asked: false };
        Self {
            all: nodes.into_iter().map(seed).collect(),
            open: 0,
            backoff: Backoff::new(PROBE_MIN, PROBE_MAX),
            may_be_alone: false,
        }
    }

    /// Where seeds were that have accepted this node.
    pub(super) fn addrs(&self) -> Vec<SocketAddr> {
        self.all.iter().filter(|seed| seed.was_reached).map(|seed| addr_of(seed.node)).collect()
    }

    fn accepted(&self) -> usize {
        self.all.iter().filter(|seed| matches!(seed.outcome, Some(Outcome::Accepted(_)))).count()
    }

    /// How many seeds are not this node itself.
    fn wanted(&self) -> usize {
        self.all.iter().filter(|seed| seed.outcome != Some(Outcome::Yourself)).count()
    }

    /// Each seed that was not reached, and why.
    fn tried(&self) -> Vec<(String, String)> {
        let why = |seed: &Seed| match seed.outcome.as_ref()? {
            Outcome::Accepted(_) => None,
            Outcome::Refused(refusal) => Some(refusal.to_string()),
            Outcome::Unreachable(why) => Some((*why).to_owned()),
            Outcome::Yourself => Some("it is this node itself".to_owned()),
        };
        self.all.iter().filter_map(|seed| Some((addr_of(seed.node).to_string(), why(seed)?))).collect()
    }
}

impl Process {
    /// Asks the seeds that are not members.
    pub(super) fn probe_missing(&mut self, net: &mut Net) {
        let missing: Vec<(usize, u32)> = self
            .seeds
            .all
            .iter()
            .enumerate()
            .filter(|(_, seed)| !self.is_satisfied(seed) && seed.outcome != Some(Outcome::Yourself))
            .map(|(index, seed)| (index, seed.node))
            .collect();
        self.seeds.open = missing.len();
        for (index, seed) in self.seeds.all.iter_mut().enumerate() {
            seed.asked = missing.iter().any(|(asked, _)| *asked == index);
        }
        for (index, node) in &missing {
            self.call(net, *node, Purpose::Probe(*index), None);
        }
        if missing.is_empty() {
            self.round_over(net);
        }
    }

    /// A probe has its outcome.
    pub(super) fn probed(&mut self, net: &mut Net, seed: usize, outcome: Outcome) {
        let seed = &mut self.seeds.all[seed];
        seed.was_reached |= matches!(outcome, Outcome::Accepted(_));
        seed.outcome = Some(outcome);
        self.seeds.open -= 1;
        if self.seeds.open == 0 {
            self.round_over(net);
        }
    }

    fn round_over(&mut self, net: &mut Net) {
        match self.phase {
            Phase::Starting => self.start_over_or_run(net),
            Phase::Running | Phase::Leaving => self.keep_probing(net),
        }
    }

    /// A node whose incarnation is too low takes another before anybody but its seeds has heard of it.
    fn start_over_or_run(&mut self, net: &mut Net) {
        let known = self.seeds.all.iter().filter_map(|seed| match &seed.outcome {
            Some(Outcome::Refused(Refusal::StaleIncarnation { known })) => Some(*known),
            Some(Outcome::Refused(Refusal::Gone)) => Some(self.me.incarnation),
            Some(Outcome::Refused(_) | Outcome::Accepted(_) | Outcome::Unreachable(_) | Outcome::Yourself) | None => {
                None
            }
        });
        let Some(above) = known.max() else {
            self.run(net);
            return;
        };
        self.wanted_above = None;
        self.take_incarnation_above(net, above);
        for seed in self.seeds.all.iter_mut().filter(|seed| seed.outcome != Some(Outcome::Yourself)) {
            seed.outcome = None;
        }
        self.probe_missing(net);
    }

    /// Approaches the seeds that accepted, which makes them members, and tells the state how the first round went.
    pub(super) fn greet_seeds(&mut self, net: &mut Net) {
        let answered = self.seeds.accepted();
        for seed in self.accepting(|_| true) {
            self.seed_accepted(net, &seed);
        }
        self.tell(|state, _| state.handle_seeds_tried(answered));
        self.seeds.may_be_alone = answered == 0;
        if !self.seeds.all.is_empty() {
            self.probe_again_later(net);
        }
    }

    /// When a node that has reached no seed is alone.
    fn alone_after(&self) -> Duration {
        let found = self.config.gossip_interval * FOUND_ROUNDS as u32;
        if self.seeds.wanted() == 0 { self.config.join_timeout.min(found) } else { self.config.join_timeout }
    }

    fn keep_probing(&mut self, net: &mut Net) {
        let missing: Vec<Member> = self.accepting(|seed| seed.asked && !self.is_satisfied(seed));
        for seed in missing {
            self.seed_accepted(net, &seed);
        }
        let is_over = self.since_start(net) >= self.alone_after();
        if self.seeds.may_be_alone && is_over && self.seeds.accepted() == 0 {
            self.seeds.may_be_alone = false;
            self.tell_alone();
        }
        self.probe_again_later(net);
    }

    fn probe_again_later(&mut self, net: &mut Net) {
        let wait = if self.seeds.accepted() > 0 {
            Backoff::new(PROBE_MAX, PROBE_MAX).next_wait(&mut self.rng)
        } else {
            let wait = self.seeds.backoff.next_wait(&mut self.rng);
            let left = self.alone_after().saturating_sub(self.since_start(net));
            if self.seeds.may_be_alone && left > Duration::ZERO { wait.min(left) } else { wait }
        };
        self.call_after(net, wait, Timer::Probe);
    }

    fn tell_alone(&mut self) {
        let tried = self.seeds.tried();
        self.tell(|state, _| state.handle_alone(tried));
    }

    fn accepting(&self, wanted: impl Fn(&Seed) -> bool) -> Vec<Member> {
        let accepted = |seed: &Seed| match &seed.outcome {
            Some(Outcome::Accepted(member)) if wanted(seed) => Some(member.clone()),
            Some(Outcome::Accepted(_) | Outcome::Refused(_) | Outcome::Unreachable(_) | Outcome::Yourself) | None => {
                None
            }
        };
        self.seeds.all.iter().filter_map(accepted).collect()
    }

    /// Whether the node behind a seed is a member, so that it need not be asked.
    fn is_satisfied(&self, seed: &Seed) -> bool {
        match &seed.outcome {
            Some(Outcome::Accepted(member)) => {
                matches!(self.membership.member(&member.node), Some((_, MemberState::Up)))
            }
            Some(Outcome::Refused(_) | Outcome::Unreachable(_) | Outcome::Yourself) | None => false,
        }
    }
}
