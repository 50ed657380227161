//! Who is a key's home, and when it may serve.
//!
//! A node's *view* is the set of nodes that it holds for Up and ready; a key's home is a function of the view. A node serves
//! as a home only while the others of its view have agreed to that view within the last second, and each that agrees promises to
//! agree to no other for longer than that, except with those who have moved on from the old one themselves. So
//! two views that have a node in common are never served at once, whatever each node believes. With its consent each says what it
//! knows (its vector), and the home serves only when it knows all that: so it has seen what the home before it did.
//!
//! Time is counted twice, in gossip rounds and by the clock, and a promise must be young by both to be used and old by both to be
//! void: a clock that is set and a process that is stopped each move only one of them.

use std::collections::BTreeMap;

use headcount_cluster::{NodeId, Origin, WallMs, ring};

use super::HomeRequires;
use crate::error::{Error, TryAgain};
use crate::state::State;
use crate::wire::{Frame, WireVector};

/// For how long a consent may be used.
const LEASE: Span = Span { rounds: 5, ms: 1_000 };
/// For how long who consented keeps the promise.
const PROMISE: Span = Span { rounds: 8, ms: 1_600 };
/// Gossip rounds after which a consent is asked for again while it is needed.
const REFRESH_ROUNDS: u64 = 2;
/// Gossip rounds without a command after which it is not needed any more.
const IDLE_ROUNDS: u64 = 10;
/// Gossip rounds after which those that do not agree are gone on without, where [`HomeRequires`] allows it.
const PATIENCE_ROUNDS: u64 = 10;

#[derive(Debug, Clone, Copy)]
struct Span {
    rounds: u64,
    ms: u64,
}

/// A moment, by gossip rounds and by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    round: u64,
    at: WallMs,
}

impl Moment {
    /// Whether it is certainly less than `span` ago.
    fn is_within(self, span: Span, now: Self) -> bool {
        now.round - self.round < span.rounds && now.at >= self.at && now.at.since_ms(self.at) < span.ms
    }

    /// Whether it is certainly more than `span` ago. A clock that was set back leaves it to the rounds.
    fn is_before(self, span: Span, now: Self) -> bool {
        now.round - self.round >= span.rounds && (now.at < self.at || now.at.since_ms(self.at) >= span.ms)
    }
}

/// What was agreed with others.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    /// The view that is being agreed on.
    view: u64,
    /// When the consents that were given were asked for.
    consents: BTreeMap<Origin, Moment>,
    /// What must be known here before serving begins.
    to_know: BTreeMap<Origin, u64>,
    /// Whether all that is known, since serving began and as long as it goes on.
    serving: bool,
    /// The question that is out, and when it was asked.
    asked: Option<(u64, Moment)>,
    last_question: u64,
    /// The gossip round since which consent is sought and not complete.
    sought_since: Option<u64>,
    /// The last gossip round in which a command needed it.
    needed_in: Option<u64>,
    /// To whose view this node has agreed, and when.
    promises: BTreeMap<Origin, (u64, Moment)>,
}

impl State {
    /// The nodes among which keys have their homes: those that are Up and have said on the present link that they are ready,
    /// or while there is none, all that are Up.
    fn view(&self) -> BTreeMap<Origin, &NodeId> {
        let me = self.node.as_ref().map(|node| (self.origin(), node, self.readiness.is_ready()));
        let peers = self.peers.values().filter(|peer| peer.up);
        let peers = peers.map(|peer| (peer.member.origin(), &peer.member.node, peer.ready));
        let all: Vec<_> = me.into_iter().chain(peers).collect();
        let nobody_ready = all.iter().all(|(.., ready)| !ready);
        let in_view = all.into_iter().filter(|(.., ready)| *ready || nobody_ready);
        in_view.map(|(origin, node, _)| (origin, node)).collect()
    }

    fn view_number(&self) -> u64 {
        let names: Vec<u8> = self.view().keys().flat_map(|origin| origin.0.to_le_bytes()).collect();
        xxhash_rust::xxh3::xxh3_64(&names)
    }

    /// The home of a key, by this node's view.
    pub(crate) fn home_of(&self, key: &[u8]) -> Origin {
        let view = self.view();
        let home = ring::home(key, view.values().copied());
        let found = view.iter().find(|(_, node)| Some(**node) == home).map(|(origin, _)| *origin);
        found.unwrap_or_else(|| self.origin())
    }

    pub(crate) fn is_home(&self, key: &[u8]) -> bool {
        self.peers.is_empty() || self.home_of(key) == self.origin()
    }

    fn moment(&self, at: WallMs) -> Moment {
        Moment { round: self.gossip_round, at }
    }

    /// Fails at once where a majority is required and out of reach.
    pub(super) fn check_majority(&self) -> Result<(), Error> {
        let (up, known) = (1 + self.peers.values().filter(|peer| peer.up).count(), self.peers.len() + 1);
        if self.limits.home_requires == HomeRequires::Majority && 2 * up <= known {
            return Err(Error::TryAgain(TryAgain::NoMajority { up, known }));
        }
        Ok(())
    }

    /// Whether this node may serve as a home now. Noticed when it lapses: what the others know must then be known anew.
    pub(crate) fn may_serve(&mut self, now: WallMs) -> bool {
        if self.peers.is_empty() {
            return true;
        }
        let is_agreed = self.is_agreed(now);
        let knows = |state: &Self| {
            state.homed.agreement.to_know.iter().all(|(origin, seq)| state.origins.applied(*origin) >= *seq)
        };
        let serving = is_agreed && (self.homed.agreement.serving || knows(self));
        self.homed.agreement.serving = serving;
        if serving {
            self.homed.agreement.to_know.clear();
            self.homed.agreement.sought_since = None;
        }
        serving
    }

    fn is_agreed(&self, now: WallMs) -> bool {
        let view = self.view();
        if !view.contains_key(&self.origin()) || self.is_promised_elsewhere(self.origin(), self.view_number(), now) {
            return false;
        }
        let agreement = &self.homed.agreement;
        let moment = self.moment(now);
        let agrees = |origin: &Origin| agreement.consents.get(origin).is_some_and(|at| at.is_within(LEASE, moment));
        let agreeing = 1 + view.keys().filter(|origin| agrees(origin)).count();
        let patient = agreement.sought_since.is_none_or(|since| self.gossip_round < since + PATIENCE_ROUNDS);
        let enough = agreeing == view.len() || !patient;
        enough && (self.limits.home_requires == HomeRequires::Any || 2 * agreeing > self.peers.len() + 1)
    }

    /// Whether somebody else may still be serving under another view to which this node has agreed.
    fn is_promised_elsewhere(&self, to: Origin, view: u64, now: WallMs) -> bool {
        let moment = self.moment(now);
        let promises = &self.homed.agreement.promises;
        promises
            .iter()
            .any(|(other, (promised, at))| *other != to && *promised != view && !at.is_before(PROMISE, moment))
    }

    /// A command needs this node to serve: asks the others of the view, once a round.
    pub(super) fn seek_agreement(&mut self, now: WallMs) {
        let moment = self.moment(now);
        self.homed.agreement.needed_in = Some(self.gossip_round);
        if self.homed.agreement.asked.is_none_or(|(_, asked)| asked.round != moment.round) {
            self.ask_to_agree(now);
        }
    }

    fn ask_to_agree(&mut self, now: WallMs) {
        let (moment, view) = (self.moment(now), self.view_number());
        let others: Vec<Origin> = self.view().into_keys().filter(|origin| *origin != self.origin()).collect();
        let agreement = &mut self.homed.agreement;
        agreement.last_question += 1;
        let number = agreement.last_question;
        agreement.asked = Some((number, moment));
        if !agreement.serving {
            agreement.sought_since.get_or_insert(moment.round);
        }
        for other in others {
            self.send_homed(other, Frame::Agree { number, view });
        }
    }

    /// Keeps consents fresh as long as commands come.
    pub(super) fn refresh_agreement(&mut self, now: WallMs) {
        let (round, agreement) = (self.gossip_round, &self.homed.agreement);
        let needed = agreement.needed_in.is_some_and(|needed| round < needed + IDLE_ROUNDS);
        let due = agreement.asked.is_none_or(|(_, asked)| round >= asked.round + REFRESH_ROUNDS);
        if needed && (due || !self.may_serve(now)) {
            self.ask_to_agree(now);
        }
        let moment = self.moment(now);
        self.homed.agreement.promises.retain(|_, (_, at)| !at.is_before(PROMISE, moment));
    }

    /// A node asks whether this one holds its view.
    pub(super) fn handle_agree(&mut self, from: Origin, number: u64, view: u64, now: WallMs) {
        let moment = self.moment(now);
        // Who asks for another view than before has moved on from that one.
        self.homed.agreement.promises.retain(|asker, (promised, _)| *asker != from || *promised == view);
        let agrees = view == self.view_number() && !self.is_promised_elsewhere(from, view, now);
        if agrees {
            self.homed.agreement.promises.insert(from, (view, moment));
        }
        let vector = agrees.then(|| self.wire_vector());
        self.send_homed(from, Frame::Agreed { number, vector });
    }

    /// The answer to such a question.
    pub(super) fn handle_agreed(&mut self, from: Origin, number: u64, vector: Option<WireVector>) {
        let agreement = &mut self.homed.agreement;
        let (Some(vector), Some((_, asked))) = (vector, agreement.asked.filter(|(asked, _)| *asked == number)) else {
            return;
        };
        agreement.consents.insert(from, asked);
        if !agreement.serving {
            for (origin, seq) in vector {
                let known = agreement.to_know.entry(origin).or_default();
                *known = seq.max(*known);
            }
        }
    }

    /// Another view: what was agreed is void, and calls go to their new homes.
    pub(super) fn notice_view_change(&mut self, now: WallMs) {
        let view = self.view_number();
        if view == self.homed.agreement.view {
            return;
        }
        let agreement = &mut self.homed.agreement;
        let was_needed = agreement.needed_in.is_some_and(|needed| self.gossip_round < needed + IDLE_ROUNDS);
        *agreement = Agreement {
            view,
            last_question: agreement.last_question,
            needed_in: agreement.needed_in,
            promises: std::mem::take(&mut agreement.promises),
            ..Agreement::default()
        };
        self.route_all();
        if was_needed {
            self.seek_agreement(now);
        }
    }
}
