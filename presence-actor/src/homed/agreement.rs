//! Who is a key's home, and when it may serve.
//!
//! A node's *view* is the set of nodes that it holds for Up and that have said to be ready; a key's home is a function of the view. A node serves
//! as a home only while the others of its view have agreed to that view within the last second, and each that agrees promises to
//! agree to no other for longer than that, except with those who have moved on from the old one themselves. So
//! two views that have a node in common are never served at once, whatever each node believes. With its consent each says what it
//! knows (its vector), and the home serves only when it knows all that: so it has seen what the home before it did. What that one did and nobody has
//! heard of has an earlier stamp ([`stamps`](super::stamps)).
//!
//! Time is counted twice, in gossip rounds and by the clock, and a promise must be young by both to be used and old by both to be
//! void: a clock that is set and a process that is stopped each move only one of them.

use std::collections::{BTreeMap, BTreeSet};

use headcount_cluster::{Hlc, NodeId, Origin, WallMs, ring};

use super::HomeRequires;
use super::stamps::Stamps;
use crate::error::{Error, TryAgain};
use crate::limits::SPENT_HOLD;
use crate::state::{State, StateEvent};
use crate::wire::{Frame, WireVector};

/// For how long a consent may be used.
const LEASE: Span = Span { rounds: 5, ms: 1_000 };
/// For how long who consented keeps the promise.
const PROMISE: Span = Span { rounds: 8, ms: 1_600 };
/// Gossip rounds after which a consent is asked for again while it is needed.
const REFRESH_ROUNDS: u64 = 2;
/// Gossip rounds without a command after which it is not needed any more.
const IDLE_ROUNDS: u64 = 10;
/// For how long those that do not answer are waited for, where [`HomeRequires`] allows to go on without them.
const PATIENCE: Span = Span { rounds: 2, ms: 2_000 };
/// Stamps beyond those of earlier views that a home needs at least: those of a millisecond.
const MORE_STAMPS: u64 = 1 << 16;
/// Milliseconds for which one question is enough.
const QUESTION_MS: u64 = 100;

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

/// What others are asked to consent to.
#[derive(Debug, Clone, Copy)]
struct Question {
    asked: Moment,
    /// Up to which stamp this node would write as a home.
    until: Hlc,
}

/// What was agreed with others.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    /// The view that is being agreed on.
    view: u64,
    /// To what others have consented.
    consents: BTreeMap<Origin, Question>,
    /// Those whose last answer was no.
    dissent: BTreeSet<Origin>,
    /// What must be known here before serving begins.
    to_know: BTreeMap<Origin, u64>,
    /// Whether all that is known, since serving began and as long as it goes on.
    serving: bool,
    /// How often serving has ended.
    lapses: u64,
    /// The questions whose answers still count.
    questions: BTreeMap<u64, Question>,
    last_question: u64,
    /// The last that was asked under another view.
    last_of_other_view: u64,
    /// Since when consent is sought and not complete.
    sought_since: Option<Moment>,
    /// The last gossip round in which a command needed it.
    needed_in: Option<u64>,
    /// To whose view this node has agreed, and when.
    promises: BTreeMap<Origin, (u64, Moment)>,
    stamps: Stamps,
}

impl Agreement {
    /// How often serving has ended: what was begun before the last time is not served any more.
    pub(super) fn lapses(&self) -> u64 {
        self.lapses
    }

    #[cfg(test)]
    pub(super) fn is_of(&self, view: u64) -> bool {
        self.view == view
    }

    /// Whether somebody has consented lately, and to stamps later than those of earlier views.
    fn is_consented_by(&self, origin: Origin, now: Moment) -> bool {
        let used = self.stamps.used_before(self.view);
        self.consents.get(&origin).is_some_and(|to| to.asked.is_within(LEASE, now) && to.until > used)
    }
}

impl State {
    /// The nodes among which keys have their homes: those that are Up and ready.
    fn view(&self) -> BTreeMap<Origin, &NodeId> {
        let me = self.node.iter().filter(|_| self.readiness.is_ready()).map(|node| (self.origin(), node));
        let peers = self.peers.iter().filter(|(_, peer)| peer.up && peer.ready);
        me.chain(peers.map(|(origin, peer)| (*origin, &peer.member.node))).collect()
    }

    pub(super) fn view_number(&self) -> u64 {
        let names: Vec<u8> = self.view_origins().iter().flat_map(|origin| origin.0.to_le_bytes()).collect();
        xxhash_rust::xxh3::xxh3_64(&names)
    }

    /// The origins of the view, sorted. It is asked for after each frame, and a map of a large cluster takes long to make.
    fn view_origins(&self) -> Vec<Origin> {
        let peers = self.peers.iter().filter(|(_, peer)| peer.up && peer.ready);
        let mut origins: Vec<Origin> = peers.map(|(origin, _)| *origin).collect();
        if self.node.is_some() && self.readiness.is_ready() {
            let me = self.origin();
            let place = origins.partition_point(|origin| *origin < me);
            origins.insert(place, me);
        }
        origins
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

    /// How many nodes a majority is more than half of: those that are Up or Down, and those that were given up for their silence
    /// not long ago and may go on without us.
    pub(crate) fn known_nodes(&self) -> usize {
        self.peers.len() + 1 + self.homed.missing.len()
    }

    /// The nodes of a majority's whole that are not Up.
    pub(crate) fn absent_nodes(&self) -> Vec<NodeId> {
        let down = self.peers.values().filter(|peer| !peer.up).map(|peer| &peer.member.node);
        let absent: BTreeSet<&NodeId> = down.chain(self.homed.missing.keys()).collect();
        absent.into_iter().cloned().collect()
    }

    /// A node that joins counts those whom it has never met, as the others do: a majority without them would be none.
    pub(crate) fn count_absent(&mut self, absent: Vec<NodeId>) {
        if self.readiness.is_ready() || absent.is_empty() {
            return;
        }
        let known: BTreeSet<&NodeId> =
            self.node.iter().chain(self.peers.values().map(|peer| &peer.member.node)).collect();
        let age = self.life.age();
        for node in absent {
            if !known.contains(&node) {
                self.homed.missing.entry(node).or_insert(age);
            }
        }
    }

    /// Fails at once where a majority is required and out of reach.
    pub(crate) fn check_majority(&self) -> Result<(), Error> {
        let (up, known) = (1 + self.peers.values().filter(|peer| peer.up).count(), self.known_nodes());
        let can_judge = self.readiness.is_ready();
        if can_judge && self.limits.home_requires == HomeRequires::Majority && 2 * up <= known {
            return Err(Error::TryAgain(TryAgain::NoMajority { up, known }));
        }
        Ok(())
    }

    /// Whether this node may serve as a home now. Noticed when it lapses: what the others know must then be known anew.
    pub(crate) fn may_serve(&mut self, now: WallMs) -> bool {
        if self.node.is_none() {
            return true;
        }
        if self.misses_consents(now) == Some(0) {
            self.homed.agreement.sought_since = None;
        }
        let (served, agreed) = (self.homed.agreement.serving, self.is_agreed(now));
        let serving = agreed && (served || self.knows_what_was_told());
        self.homed.agreement.serving = serving;
        if served && !serving {
            self.homed.agreement.lapses += 1;
            self.homed.heard_of_progress = true;
        }
        if serving {
            self.homed.agreement.to_know.clear();
        }
        if serving && !served {
            self.tell_silent(now);
        }
        serving
    }

    /// Who has to be gone on without is told.
    fn tell_silent(&mut self, now: WallMs) {
        let (moment, agreement) = (self.moment(now), &self.homed.agreement);
        let agrees = |origin: &Origin| agreement.is_consented_by(*origin, moment);
        let silent = self.view().into_iter().filter(|(origin, _)| *origin != self.origin() && !agrees(origin));
        let silent: Vec<NodeId> = silent.map(|(_, node)| node.clone()).collect();
        if !silent.is_empty() {
            self.events.push_back(StateEvent::ServesWithout { silent });
        }
    }

    /// How many of its view have not consented lately; `None` when this node is not in its view itself.
    fn misses_consents(&self, now: WallMs) -> Option<usize> {
        let is_in_view = self.node.is_some() && self.readiness.is_ready();
        let (moment, agreement) = (self.moment(now), &self.homed.agreement);
        let agrees = |origin: &Origin| agreement.is_consented_by(*origin, moment);
        let others = self.peers.iter().filter(|(_, peer)| peer.up && peer.ready);
        is_in_view.then(|| others.filter(|(origin, _)| !agrees(origin)).count())
    }

    fn knows_what_was_told(&self) -> bool {
        self.homed.agreement.to_know.iter().all(|(origin, seq)| self.origins.applied(*origin) >= *seq)
    }

    fn is_agreed(&self, now: WallMs) -> bool {
        let Some(missing) = self.misses_consents(now) else { return false };
        let agreement = &self.homed.agreement;
        let moment = self.moment(now);
        let patience_is_over = agreement.sought_since.is_some_and(|since| since.is_before(PATIENCE, moment));
        let enough = match self.limits.home_requires {
            // Who says no holds another view, and may serve under it or let somebody serve.
            HomeRequires::Any => missing == 0 || patience_is_over && agreement.dissent.is_empty(),
            HomeRequires::Majority => {
                let agreeing = self.view().len() - missing;
                (missing == 0 || patience_is_over) && 2 * agreeing > self.known_nodes()
            }
        };
        enough && !self.is_promised_elsewhere(self.origin(), self.view_number(), now)
    }

    /// Whether somebody else may still be serving under another view to which this node has agreed.
    fn is_promised_elsewhere(&self, to: Origin, view: u64, now: WallMs) -> bool {
        let moment = self.moment(now);
        let promises = &self.homed.agreement.promises;
        promises
            .iter()
            .any(|(other, (promised, at))| *other != to && *promised != view && !at.is_before(PROMISE, moment))
    }

    /// A command needs this node to serve: asks the others of the view, unless it just has.
    pub(super) fn seek_agreement(&mut self, now: WallMs) {
        if self.needs_confirmation() && !self.is_kept_fresh() {
            // They could run out before what is carried out under them is confirmed.
            self.homed.agreement.consents.clear();
        }
        self.homed.agreement.needed_in = Some(self.gossip_round);
        let round = self.gossip_round;
        let just_asked = self.homed.agreement.questions.values().next_back().is_some_and(|last| {
            last.asked.round == round && now >= last.asked.at && now.since_ms(last.asked.at) < QUESTION_MS
        });
        if !just_asked {
            self.ask_to_agree(now);
        }
    }

    fn ask_to_agree(&mut self, now: WallMs) {
        // A lapse has to be noticed before new consents hide it.
        self.may_serve(now);
        let is_complete = self.misses_consents(now) == Some(0);
        let (moment, view) = (self.moment(now), self.view_number());
        let others: Vec<Origin> = self.view().into_keys().filter(|origin| *origin != self.origin()).collect();
        let until = self.latest_stamp(view, now);
        let agreement = &mut self.homed.agreement;
        agreement.questions.retain(|_, question| question.asked.is_within(LEASE, moment));
        if agreement.questions.is_empty() {
            agreement.sought_since = None; // nobody is silent who was not asked
        }
        if !is_complete {
            agreement.sought_since.get_or_insert(moment);
        }
        agreement.last_question += 1;
        let number = agreement.last_question;
        agreement.questions.insert(number, Question { asked: moment, until });
        for other in others {
            self.send_homed(other, Frame::Agree { number, view, until });
        }
    }

    /// Up to which stamp this node would write as a home while a consent may be used: by its own clock, and past those of earlier views.
    fn latest_stamp(&self, view: u64, now: WallMs) -> Hlc {
        let by_clock = self.clock.peek(now).wall().plus_ms(LEASE.ms);
        let used = self.homed.agreement.stamps.used_before(view);
        Hlc::from_wall(by_clock).max(Hlc(used.0.saturating_add(MORE_STAMPS)))
    }

    /// The stamp of something that this node writes as a home: later than all of earlier views, and not later than others have consented to.
    pub(crate) fn stamp_as_home(&mut self, now: WallMs) -> Hlc {
        let moment = self.moment(now);
        let agreement = &self.homed.agreement;
        let consents = agreement.consents.values().filter(|to| to.asked.is_within(LEASE, moment));
        let (used, until) = (agreement.stamps.used_before(agreement.view), consents.map(|to| to.until).min());
        let stamp = self.clock.tick(now).max(Hlc(used.0.saturating_add(1)));
        let stamp = until.map_or(stamp, |until| stamp.min(until));
        // As with a peer's: one that is too far ahead is not followed.
        let _ = self.clock.observe(stamp, now);
        stamp
    }

    /// Keeps consents fresh as long as commands come.
    pub(super) fn refresh_agreement(&mut self, now: WallMs) {
        let round = self.gossip_round;
        let last = self.homed.agreement.questions.values().next_back().copied();
        let due = last.is_none_or(|last| round >= last.asked.round + REFRESH_ROUNDS);
        if self.is_kept_fresh() && (!self.may_serve(now) || due) {
            self.ask_to_agree(now);
        }
        let moment = self.moment(now);
        self.homed.agreement.promises.retain(|_, (_, at)| !at.is_before(PROMISE, moment));
        let age = self.life.age();
        self.homed.missing.retain(|_, since| age.since(*since) < SPENT_HOLD);
    }

    /// Whether consents are asked for again before they run out.
    fn is_kept_fresh(&self) -> bool {
        let needed_in = self.homed.agreement.needed_in;
        needed_in.is_some_and(|needed| self.gossip_round < needed + IDLE_ROUNDS)
            || self.homed.confirming.values().any(|confirming| !confirming.done)
            || !self.homed.parked.is_empty()
    }

    /// A node asks whether this one holds its view, to write up to a stamp under it.
    pub(super) fn handle_agree(&mut self, from: Origin, number: u64, view: u64, until: Hlc, now: WallMs) {
        let moment = self.moment(now);
        // Who asks for another view than before has moved on from that one.
        self.homed.agreement.promises.retain(|asker, (promised, _)| *asker != from || *promised == view);
        let agrees = view == self.view_number() && !self.is_promised_elsewhere(from, view, now);
        if agrees {
            self.homed.agreement.promises.insert(from, (view, moment));
            self.homed.agreement.stamps.grant(view, until);
        }
        let vector = agrees.then(|| self.wire_vector());
        let used = self.homed.agreement.stamps.used_before(view);
        self.send_homed(from, Frame::Agreed { number, vector, used });
    }

    /// The answer to such a question.
    pub(super) fn handle_agreed(
        &mut self,
        from: Origin,
        number: u64,
        vector: Option<WireVector>,
        used: Hlc,
        now: WallMs,
    ) {
        self.may_serve(now); // notices a lapse
        let agreement = &mut self.homed.agreement;
        agreement.stamps.learn(used);
        if number <= agreement.last_of_other_view {
            return;
        }
        // However late: who is so far away that no consent of his may be used is not silent.
        let Some(vector) = vector else {
            agreement.dissent.insert(from);
            return;
        };
        agreement.dissent.remove(&from);
        let Some(question) = agreement.questions.get(&number).copied() else { return };
        let known = agreement.consents.entry(from).or_insert(question);
        if question.asked.round >= known.asked.round {
            *known = question;
        }
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
            lapses: agreement.lapses + 1,
            last_question: agreement.last_question,
            last_of_other_view: agreement.last_question,
            needed_in: agreement.needed_in,
            promises: std::mem::take(&mut agreement.promises),
            stamps: std::mem::take(&mut agreement.stamps),
            ..Agreement::default()
        };
        self.route_all();
        if was_needed {
            self.seek_agreement(now);
        }
    }
}
