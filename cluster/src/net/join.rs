//! The way into a cluster: asking the seeds, at the start and for as long as one of them is not among the members.
//!
//! A probe is a handshake without a link. It tells a wrong seed from a dead one before any gossip flows, and finds out whether this node's name and
//! incarnation are free. Names are resolved anew at each probe, and only addresses that answered as ours are given to gossip.
//! Because probing never stops while a seed is missing, two halves that were started apart merge as soon as one seed of either is reached.
//! Each trouble is logged once, and once more when it is over.

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
use crate::pace::{PROBE_MAX, PROBE_MIN};

/// The configured seeds and what became of each.
#[derive(Debug)]
pub(crate) struct Seeds {
    seeds: Vec<Seed>,
}

#[derive(Debug)]
struct Seed {
    name: String,
    outcome: Option<Outcome>,
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
        let seed = |name: &String| Seed { name: name.clone(), outcome: None, is_reported_missing: false };
        Self { seeds: names.iter().map(seed).collect() }
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
    pub(crate) fn start_gossip(&self, hub: &Rc<Hub>) {
        for seed in &self.seeds {
            seed.greet(hub);
        }
        hub.events.emit(ClusterEvent::SeedsTried { answered: self.accepted() });
        if self.wanted() == 0 {
            self.tell_alone(hub);
        }
    }

    /// Goes on asking, for ever, the seeds that are not members.
    pub(crate) async fn keep_probing(mut self, hub: Rc<Hub>) {
        let mut backoff = Backoff::new(PROBE_MIN, PROBE_MAX);
        let mut may_be_alone = self.wanted() > 0 && self.accepted() == 0;
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
            let is_over = self.wanted() == 0 || hub.since_start() >= hub.config.join_timeout;
            if may_be_alone && is_over && self.accepted() == 0 {
                may_be_alone = false;
                self.tell_alone(&hub);
            }
        }
    }

    fn next_wait(&self, hub: &Hub, backoff: &mut Backoff, may_be_alone: bool) -> Duration {
        if self.accepted() > 0 {
            return hub.next_wait(&mut Backoff::new(PROBE_MAX, PROBE_MAX));
        }
        let wait = hub.next_wait(backoff);
        let left = hub.config.join_timeout.saturating_sub(hub.since_start());
        if may_be_alone && !left.is_zero() { wait.min(left) } else { wait }
    }

    /// When no seed is named but this node itself, or others have found this node, there is nothing to warn of.
    fn tell_alone(&self, hub: &Hub) {
        let tried = self.tried();
        if self.wanted() > 0 && hub.members().is_empty() {
            let list: Vec<String> = tried.iter().map(|(seed, why)| format!("{seed}: {why}")).collect();
            warn!(
                node = %hub.config.node,
                "no seed was reached within {:?}; this node goes on alone, keeps trying and merges when one appears. Tried {}",
                hub.config.join_timeout, list.join("; ")
            );
        }
        hub.events.emit(ClusterEvent::Alone { tried });
    }

    /// Asks the seeds that are not members. Returns which those were.
    async fn probe_missing(&mut self, hub: &Rc<Hub>) -> Vec<usize> {
        let missing = self.seeds.iter().enumerate().filter(|(_, seed)| !seed.is_satisfied(hub));
        let missing: Vec<usize> = missing.map(|(index, _)| index).collect();
        let outcomes = join_all(missing.iter().map(|index| probe(hub, &self.seeds[*index].name))).await;
        for (index, outcome) in missing.iter().zip(outcomes) {
            self.seeds[*index].note(hub, outcome);
        }
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
            Outcome::Accepted(_) => {
                if std::mem::take(&mut self.is_reported_missing) {
                    info!(%node, addr = %seed, "seed {seed} is reached now");
                }
            }
            Outcome::Unreachable(why) => {
                if !std::mem::replace(&mut self.is_reported_missing, true) {
                    warn!(%node, addr = %seed, "seed {seed} is not reached: {why}; this is said once, and retried quietly");
                }
            }
            Outcome::Refused(_) | Outcome::Yourself => {}
        }
        self.outcome = Some(outcome);
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
