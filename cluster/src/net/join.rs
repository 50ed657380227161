//! The way into a cluster: asking the seeds, at the start and for as long as one of them is not among the members.
//!
//! A probe is a handshake without a link. It tells a wrong seed from a dead one before any gossip flows, and finds out whether this node's name and
//! incarnation are free. Names are resolved anew at each probe, and only addresses that answered as ours are given to gossip.
//! Because probing never stops while a seed is missing, two halves that were started apart merge as soon as one seed of either is reached.
//! Each trouble is logged once, and once more when it is over. A seed that does not answer is no trouble before `join_timeout`: of nodes that are
//! started together none answers at first.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::dialer::{CallError, call};
use super::hub::{Hub, hello};
use crate::backoff::Backoff;
use crate::cluster::StartError;
use crate::event::{ClusterEvent, Member};
use crate::id::Incarnation;
use crate::limits::MAX_ADDRS_PER_SEED;
use crate::link::handshake::{Intent, Refusal};
use crate::pace::{FOUND_ROUNDS, PROBE_MAX, PROBE_MIN};

/// The configured seeds and what became of each.
#[derive(Debug)]
pub(crate) struct Seeds {
    /// Whether any has accepted this node: then it was not alone because none was reached.
    was_reached: bool,
    seeds: Vec<Seed>,
}

#[derive(Debug)]
struct Seed {
    name: String,
    outcome: Option<Outcome>,
    /// Where it was when it last accepted this node.
    last_at: Vec<SocketAddr>,
    /// Since when nothing has answered there.
    silent_since: Option<Duration>,
    is_reported_missing: bool,
}

/// What a probe of one seed, with all its addresses, came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Accepted(Vec<Member>),
    Refused(Refusal),
    Unreachable(String),
    Yourself,
}

/// What the first rounds mean for the start.
enum Verdict {
    GoOn,
    Renumber(Incarnation),
    NameInUse(StartError),
    Fail(StartError),
}

impl Seeds {
    pub(crate) fn new(names: &[String]) -> Self {
        Self { was_reached: false, seeds: names.iter().map(|name| Seed::new(name)).collect() }
    }

    /// Asks the seeds until it is clear whether and as whom this node may start. Returns after the first round unless the name is
    /// in use or `require_join` is set.
    pub(crate) async fn join(&mut self, hub: &Rc<Hub>) -> Result<(), StartError> {
        let mut backoff = Backoff::new(PROBE_MIN, Duration::from_secs(1));
        loop {
            self.probe_missing(hub).await;
            let is_over = hub.since_start() >= hub.config.join_timeout;
            match self.verdict(hub) {
                Verdict::Fail(error) => return Err(error),
                Verdict::NameInUse(error) if is_over => return Err(error),
                Verdict::Renumber(above) => {
                    hub.take_wanted_above();
                    let (old, new) = hub.take_incarnation_above(above);
                    info!(node = %new.node, "a seed knows incarnation {} of this node; it starts as {} instead of {}", above, new.incarnation, old.incarnation);
                    self.forget_refusals();
                    continue;
                }
                Verdict::GoOn if !hub.config.require_join || self.accepted() > 0 => {
                    return Ok(());
                }
                Verdict::GoOn if is_over => return Err(StartError::NobodyReached { tried: self.tried() }),
                Verdict::NameInUse(_) | Verdict::GoOn => {}
            }
            sleep(hub.next_wait(&mut backoff)).await;
        }
    }

    /// Approaches the seeds that accepted, which makes them members, and then tells the layer above how the first round went.
    pub(crate) fn start_gossip(&mut self, hub: &Rc<Hub>) {
        for seed in &self.seeds {
            seed.greet(hub);
        }
        hub.events.emit(ClusterEvent::SeedsTried { answered: self.accepted() });
        if self.seeds.is_empty() {
            self.tell_alone(hub);
        }
    }

    /// When a node that has reached no seed is alone. One whose list names only itself is found by those that live, if any do.
    fn alone_after(&self, hub: &Hub) -> Duration {
        let config = &hub.config;
        let found = config.gossip_interval * FOUND_ROUNDS as u32;
        if self.wanted() == 0 { config.join_timeout.min(found) } else { config.join_timeout }
    }

    /// Goes on asking, for ever, the seeds that are not members.
    pub(crate) async fn keep_probing(mut self, hub: Rc<Hub>) {
        let mut backoff = Backoff::new(PROBE_MIN, PROBE_MAX);
        let mut may_be_alone = self.accepted() == 0;
        while !self.seeds.is_empty() {
            sleep(self.next_wait(&hub, &mut backoff, may_be_alone)).await;
            hub.events.drained().await;
            // What the others answered once says nothing about now: one may have gone Down while these were asked.
            let asked = self.probe_missing(&hub).await;
            for seed in asked.into_iter().map(|index| &self.seeds[index]) {
                if !seed.is_satisfied(&hub) {
                    seed.greet(&hub);
                }
            }
            let is_over = hub.since_start() >= self.alone_after(&hub);
            if may_be_alone && is_over && self.accepted() == 0 {
                may_be_alone = false;
                self.tell_alone(&hub);
            }
            self.tell_missing(&hub);
        }
    }

    fn next_wait(&self, hub: &Hub, backoff: &mut Backoff, may_be_alone: bool) -> Duration {
        if self.accepted() > 0 {
            return hub.next_wait(&mut Backoff::new(PROBE_MAX, PROBE_MAX));
        }
        let wait = hub.next_wait(backoff);
        let left = self.alone_after(hub).saturating_sub(hub.since_start());
        if may_be_alone && !left.is_zero() { wait.min(left) } else { wait }
    }

    /// Says that this node goes on alone. When others have found it, or a seed was reached and has gone, there is nothing to warn of.
    fn tell_alone(&mut self, hub: &Hub) {
        let tried = self.tried();
        if hub.members().is_empty() && !self.was_reached {
            self.log_alone(hub, &tried);
        }
        hub.events.emit(ClusterEvent::Alone { tried });
    }

    fn log_alone(&mut self, hub: &Hub, tried: &[(String, String)]) {
        let node = &hub.config.node;
        if self.seeds.is_empty() {
            info!(
                %node,
                "no seeds are set: this node is alone until another names it as a seed, and will be again after a restart, whoever lives then; \
                 give every node the same `seeds`, the first one too"
            );
        } else if self.wanted() == 0 {
            let list: Vec<&str> = self.seeds.iter().map(|seed| seed.name.as_str()).collect();
            warn!(
                %node,
                "the seed list has only this node itself ({}): it serves alone until another is found there or names it as a seed; add other nodes to `seeds`",
                list.join(", ")
            );
        } else {
            let list: Vec<String> = tried.iter().map(|(seed, why)| format!("{seed}: {why}")).collect();
            warn!(
                %node,
                "no seed was reached within {:?}; this node goes on alone, keeps trying and merges when one appears. Check that the seeds \
                 run, that `seeds` has their addresses, and that a firewall lets UDP and TCP through to their ports. Tried {}",
                hub.config.join_timeout, list.join("; ")
            );
            for seed in &mut self.seeds {
                seed.is_reported_missing = seed.silent_since.is_some();
            }
        }
    }

    /// Warns of each seed that has not answered for so long that it is not just starting.
    fn tell_missing(&mut self, hub: &Hub) {
        for seed in &mut self.seeds {
            seed.tell_missing(hub);
        }
    }

    /// Asks the seeds that are not members. Returns which those were.
    async fn probe_missing(&mut self, hub: &Rc<Hub>) -> Vec<usize> {
        let missing = self.seeds.iter().enumerate().filter(|(_, seed)| !seed.is_satisfied(hub));
        let missing: Vec<usize> = missing.map(|(index, _)| index).collect();
        let outcomes = join_all(missing.iter().map(|index| probe(hub, &self.seeds[*index].name))).await;
        for (index, outcome) in missing.iter().zip(outcomes) {
            self.seeds[*index].note(hub, outcome);
        }
        self.was_reached |= self.accepted() > 0;
        hub.set_seed_addrs(self.seeds.iter().flat_map(|seed| seed.last_at.iter().copied()).collect());
        missing
    }

    fn verdict(&self, hub: &Hub) -> Verdict {
        let refusals = || {
            self.seeds.iter().filter_map(|seed| match &seed.outcome {
                Some(Outcome::Refused(refusal)) => Some((seed.name.clone(), refusal.clone())),
                Some(Outcome::Accepted(_) | Outcome::Unreachable(_) | Outcome::Yourself) | None => None,
            })
        };
        for (seed, refusal) in refusals() {
            if let Refusal::NameInUse { addr, incarnation } = refusal {
                return Verdict::NameInUse(StartError::NameInUse {
                    node: hub.config.node.to_string(),
                    seed,
                    addr,
                    incarnation,
                });
            }
        }
        let known = refusals().filter_map(|(_, refusal)| match refusal {
            Refusal::StaleIncarnation { known } => Some(known),
            Refusal::Gone => Some(hub.me().incarnation),
            Refusal::OtherCluster { .. }
            | Refusal::OtherSetting { .. }
            | Refusal::IncompatibleVersion { .. }
            | Refusal::NameInUse { .. }
            | Refusal::ClusterFull
            | Refusal::NotYou { .. }
            | Refusal::Yourself
            | Refusal::Unready => None,
        });
        if let Some(above) = known.max() {
            return Verdict::Renumber(above);
        }
        let refused: Vec<(String, Refusal)> = refusals().collect();
        let is_final = refused.iter().any(|(_, refusal)| {
            matches!(
                refusal,
                Refusal::OtherCluster { .. }
                    | Refusal::OtherSetting { .. }
                    | Refusal::IncompatibleVersion { .. }
                    | Refusal::ClusterFull
            )
        });
        if is_final && self.accepted() == 0 {
            return Verdict::Fail(StartError::Refused { refusals: refused });
        }
        Verdict::GoOn
    }

    /// A refusal under an old incarnation says nothing about the new one.
    fn forget_refusals(&mut self) {
        for seed in &mut self.seeds {
            seed.outcome = None;
        }
    }

    fn accepted(&self) -> usize {
        let accepted = |seed: &&Seed| matches!(seed.outcome, Some(Outcome::Accepted(_)));
        self.seeds.iter().filter(accepted).count()
    }

    /// How many seeds are not this node itself.
    fn wanted(&self) -> usize {
        let is_other = |seed: &&Seed| seed.outcome != Some(Outcome::Yourself);
        self.seeds.iter().filter(is_other).count()
    }

    fn tried(&self) -> Vec<(String, String)> {
        self.seeds
            .iter()
            .filter_map(|seed| {
                let why = match seed.outcome.as_ref()? {
                    Outcome::Unreachable(why) => why.clone(),
                    Outcome::Refused(refusal) => refusal.to_string(),
                    Outcome::Yourself => "it is this node itself".to_owned(),
                    Outcome::Accepted(_) => return None,
                };
                Some((seed.name.clone(), why))
            })
            .collect()
    }
}

impl Seed {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            outcome: None,
            last_at: Vec::new(),
            silent_since: None,
            is_reported_missing: false,
        }
    }

    /// Whether the nodes behind this seed are members, so that it need not be asked.
    fn is_satisfied(&self, hub: &Hub) -> bool {
        match &self.outcome {
            Some(Outcome::Accepted(members)) => members.iter().all(|member| hub.is_up(&member.node)),
            Some(Outcome::Refused(_) | Outcome::Unreachable(_) | Outcome::Yourself) | None => false,
        }
    }

    fn greet(&self, hub: &Rc<Hub>) {
        match &self.outcome {
            Some(Outcome::Accepted(members)) => {
                for member in members {
                    hub.seed_accepted(member);
                }
            }
            // One that nobody knows yet came too late, however young the other process is. Of two that have found peers
            // both must hear of each other, so that the older gives way.
            Some(Outcome::Refused(Refusal::NameInUse { addr, incarnation })) => {
                if hub.members().is_empty() {
                    hub.superseded(Member { node: hub.config.node.clone(), incarnation: *incarnation, addr: *addr });
                } else {
                    hub.greet(*addr);
                }
            }
            Some(Outcome::Refused(_) | Outcome::Unreachable(_) | Outcome::Yourself) | None => {}
        }
    }

    fn note(&mut self, hub: &Hub, outcome: Outcome) {
        let node = &hub.config.node;
        let seed = &self.name;
        match &outcome {
            Outcome::Accepted(members) => {
                self.last_at = members.iter().map(|member| member.addr).collect();
                self.is_reported_missing = false;
                if self.silent_since.take().is_some() {
                    info!(%node, addr = %seed, "seed {seed} is reached now");
                }
            }
            Outcome::Unreachable(why) => {
                if self.silent_since.is_none() {
                    self.silent_since = Some(hub.since_start());
                    info!(%node, addr = %seed, "seed {seed} does not answer: {why}; it is asked again and again");
                }
            }
            Outcome::Refused(_) | Outcome::Yourself => {
                self.is_reported_missing = false;
                self.silent_since = None;
            }
        }
        self.outcome = Some(outcome);
    }

    fn tell_missing(&mut self, hub: &Hub) {
        let bound = hub.config.join_timeout;
        let (Some(Outcome::Unreachable(why)), Some(since)) = (&self.outcome, self.silent_since) else { return };
        if hub.since_start() >= since + bound && !std::mem::replace(&mut self.is_reported_missing, true) {
            let seed = &self.name;
            warn!(
                node = %hub.config.node, addr = %seed,
                "seed {seed} has not been reached for {bound:?}: {why}; this node does without and asks on, quietly. Start it, mend `seeds`, or \
                 open its port for UDP and TCP"
            );
        }
    }
}

/// Asks all addresses of a seed and takes the best outcome.
async fn probe(hub: &Rc<Hub>, name: &str) -> Outcome {
    let bound = hub.config.connect_timeout;
    let mut addrs = match timeout(bound, hub.world.network.resolve(name)).await {
        Ok(Ok(addrs)) => addrs,
        Ok(Err(error)) => return Outcome::Unreachable(format!("the name was not resolved: {error}")),
        Err(_) => return Outcome::Unreachable(format!("the name was not resolved within {bound:?}")),
    };
    let listen = hub.config.listen;
    if listen.is_ipv4() && !addrs.is_empty() && !addrs.iter().any(SocketAddr::is_ipv4) {
        return Outcome::Unreachable(format!("it has only IPv6 addresses, and this node listens on IPv4, on {listen}"));
    }
    // No datagram gets from an IPv4 socket to the others, which are of this node too when the name is its own.
    addrs.retain(|addr| addr.is_ipv4() || !listen.is_ipv4());
    addrs.truncate(MAX_ADDRS_PER_SEED);
    if addrs.is_empty() {
        return Outcome::Unreachable("the name has no address".to_owned());
    }
    let outcomes = join_all(addrs.iter().map(|addr| ask(hub, name, *addr))).await;
    best(addrs.into_iter().zip(outcomes))
}

async fn ask(hub: &Rc<Hub>, name: &str, addr: SocketAddr) -> Outcome {
    let hello = hello(hub, Intent::Join, None, None);
    let used = hello.member.clone();
    if addr == used.addr {
        return Outcome::Yourself;
    }
    match call(hub, addr, hello).await {
        Ok(call) => Outcome::Accepted(vec![call.peer]),
        Err(CallError::Refused(Refusal::Yourself)) => Outcome::Yourself,
        Err(CallError::Refused(refusal)) => {
            hub.refused(&format_args!("seed {name}"), &used, &refusal);
            Outcome::Refused(refusal)
        }
        Err(error) => Outcome::Unreachable(error.to_string()),
    }
}

/// Accepted by any before refused by any before unreachable before ourselves: a name may be that of several nodes, of which this is the first. What is not
/// listened to of the loopback interface is nobody else's.
fn best(outcomes: impl Iterator<Item = (SocketAddr, Outcome)>) -> Outcome {
    let mut accepted = Vec::new();
    let mut rest = Vec::new();
    for (addr, outcome) in outcomes {
        match outcome {
            Outcome::Accepted(members) => accepted.extend(members),
            other => rest.push((addr, other)),
        }
    }
    if !accepted.is_empty() {
        return Outcome::Accepted(accepted);
    }
    let rank = |(addr, outcome): &(SocketAddr, Outcome)| match outcome {
        Outcome::Accepted(_) => 0,
        Outcome::Refused(_) => 1,
        Outcome::Unreachable(_) if !addr.ip().is_loopback() => 2,
        Outcome::Yourself => 3,
        Outcome::Unreachable(_) => 4,
    };
    let best = rest.into_iter().min_by_key(rank).map(|(_, outcome)| outcome);
    best.unwrap_or_else(|| Outcome::Unreachable("the name has no address".to_owned()))
}
