//! The lease of this node: taking it, renewing it, sweeping what others left behind, and coming back after it was lost.
//!
//! A lease ends when it was not renewed in time by Redis's own clock. Whoever sees that first ends its origin, in one step: from then
//! on nothing can be written for it, and its rows go in slices, each of them once, whoever sweeps. A node sweeps only while it has
//! itself been heard without interruption for a whole lease, and only what was over when it was last renewed itself: so that after an outage all
//! live nodes have renewed theirs before anybody looks for the dead. A node whose lease was ended, or whose Redis may have older data than it had,
//! takes another lease under a new origin, and writes again what it has in its ledger: what others took away meanwhile it is told, and
//! what others wrote meanwhile stays theirs. Whatever takes many scripts stops at the next heartbeat and goes on after it.

use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use headcount_presence::Error;
use redis::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backend::{Backend, Met};
use super::fault::{Fault, backend};
use super::ledger::{Ledger, suffix};
use super::reply;

/// Rows that one script lets go, writes again or looks at: some milliseconds of Redis's time.
const SLICE_ROWS: usize = 500;

/// How many command timeouts leaving may take.
const LEAVE_TIMEOUTS: u32 = 5;

/// The pause before what failed is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// What an audit answers of a row that is lost, instead of its key's deadline.
const LOST: i64 = -2;

/// Whether this node has its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holding {
    Held { origin: String },
    Lost { why: String },
}

impl Holding {
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }
}

/// Looks after a backend's lease.
#[derive(Debug)]
pub(super) struct Keeper {
    lease: Duration,
    origin: String,
    /// Under which another lease has been asked for. It is asked for again under the same: it may have been given without a word of it
    /// getting here, and the name is then this one's.
    drawn: Option<String>,
    /// The epoch of Redis's data that this node knows, and the moment of the latest heartbeat.
    epoch: String,
    heard: i64,
    /// The number of the latest connection over which the lease was looked at, with whatever answer.
    tried: u64,
    /// When the lease was last renewed, here and by Redis's clock in milliseconds.
    renewed: Option<(Instant, i64)>,
    /// Since when every heartbeat was answered in time.
    healthy_since: Option<Instant>,
    /// Whether it has been told that the lease is not renewed.
    is_told: bool,
    /// Sessions that have ended and whose rows may still be there.
    ended: BTreeSet<u32>,
}

/// What Redis answers to a heartbeat.
struct Renewal {
    is_alive: bool,
    moment: i64,
    now_ms: i64,
    epoch: String,
    lost: Vec<(Bytes, Bytes)>,
    deadlines: Vec<(Bytes, Bytes)>,
}

impl Keeper {
    fn new(lease: Duration) -> Self {
        Self {
            lease,
            origin: new_origin(),
            drawn: None,
            epoch: String::new(),
            heard: 0,
            tried: 0,
            renewed: None,
            healthy_since: None,
            is_told: false,
            ended: BTreeSet::new(),
        }
    }

    /// Takes the lease for the first time.
    pub(super) async fn take(backend: &Backend, lease: Duration) -> Result<Self, Error> {
        let patient_until = Instant::now() + backend.timeouts.wait;
        let mut keeper = Self::new(lease);
        let (mut first, mut was_lost) = (None, false);
        loop {
            let till = match keeper.acquire(backend, &keeper.origin).await {
                Ok(None) => break,
                Ok(Some(till)) => till,
                // It may have been given, and then nobody else can have it.
                Err(Fault::Lost(_)) if !was_lost => {
                    was_lost = true;
                    continue;
                }
                // It is being loaded, say.
                Err(fault) if fault.may_be_repeated() && Instant::now() < patient_until => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                Err(fault) => return Err(backend.error(fault)),
            };
            // A lease that moves is renewed by somebody alive; one that does not is that of a dead predecessor, and ends.
            if *first.get_or_insert_with(|| till.clone()) != till {
                return Err(backend.error(Fault::NameInUse(name_in_use(backend))));
            }
            tokio::time::sleep(lease / 10).await;
        }
        backend.ledger.lock().begin_origin(&keeper.origin);
        // Nothing may be written before it is known which Redis this is.
        let next = Instant::now() + keeper.beat();
        keeper.renew(backend, next).await.map_err(|fault| backend.error(fault))?;
        Ok(keeper)
    }

    /// Asks for the lease; answers until when somebody else has it.
    async fn acquire(&self, backend: &Backend, origin: &str) -> Result<Option<String>, Fault> {
        let call = backend.upkeep(&backend.scripts.acquire).arg(&backend.name).arg(origin).arg(self.lease_ms());
        let call = call.arg(backend.ledger.lock().origins().join(" "));
        let answer = reply::array(backend.run(&call).await?)?;
        match answer.as_slice() {
            [Value::Int(1), _] => Ok(None),
            [_, till] => Ok(Some(format!("{till:?}"))),
            _ => Err(Fault::Strange("to a lease".into())),
        }
    }

    /// Looks after the lease as long as somebody has the backend.
    pub(super) async fn keep(mut self, backend: Weak<Backend>, mut ended: mpsc::UnboundedReceiver<u32>) {
        loop {
            let begun = Instant::now();
            let (pause, reconnected) = {
                let Some(backend) = backend.upgrade() else { return };
                let pause = if self.look(&backend, begun).await { self.beat() } else { self.beat().min(RETRY) };
                (pause, backend.link.wait_for_later(self.tried))
            };
            if !self.rest(&backend, begun + pause, reconnected, &mut ended).await {
                return;
            }
        }
    }

    /// Waits for the next heartbeat, or a word that one is needed at once, and lets rows of sessions go that end meanwhile. Returns whether
    /// anybody still has the backend.
    async fn rest(
        &mut self,
        backend: &Weak<Backend>,
        until: Instant,
        reconnected: impl Future<Output = ()>,
        ended: &mut mpsc::UnboundedReceiver<u32>,
    ) -> bool {
        tokio::pin!(reconnected);
        // Sessions that end without a pause must not put the heartbeat off.
        while Instant::now() < until {
            tokio::select! {
                biased;
                // Behind another connection there may be another Redis.
                () = &mut reconnected => return true,
                () = tokio::time::sleep_until(until) => return true,
                session = ended.recv() => match session {
                    None => return false,
                    Some(0) => return true,
                    Some(session) => {
                        self.ended.insert(session);
                        let Some(backend) = backend.upgrade() else { return false };
                        if let Err(fault) = self.release(&backend, until).await {
                            tracing::debug!(?fault, "rows of ended sessions wait for the next heartbeat");
                        }
                    }
                }
            }
        }
        true
    }

    fn beat(&self) -> Duration {
        self.lease / 3
    }

    /// A heartbeat, and what there is to do until the next. Returns whether the lease is held.
    async fn look(&mut self, backend: &Backend, begun: Instant) -> bool {
        let next = begun + self.beat();
        let renewed = self.renew(backend, next).await;
        self.tell(backend, renewed.as_ref().err());
        match renewed {
            Ok(true) => {}
            Ok(false) => return false,
            Err(_) => {
                self.healthy_since = None;
                return false;
            }
        }
        let done = async {
            self.audit(backend).await?;
            self.release(backend, next).await?;
            self.sweep(backend, next).await
        };
        if let Err(fault) = done.await {
            tracing::debug!(?fault, "rows without an owner wait for the next heartbeat");
        }
        true
    }

    /// Says why the lease was not renewed, the first time.
    fn tell(&mut self, backend: &Backend, fault: Option<&Fault>) {
        let was_told = std::mem::replace(&mut self.is_told, fault.is_some());
        match fault.cloned().map(|fault| backend.error(fault)) {
            None if was_told => tracing::info!(name = backend.name, "the lease of this node is renewed again"),
            None => {}
            Some(error) if was_told => tracing::debug!(%error, "the lease could not be renewed"),
            Some(error) => tracing::warn!(
                name = backend.name,
                "the lease of this node could not be renewed, which is tried again: {error}"
            ),
        }
    }

    /// Renews the lease, or takes another one. Returns whether all that is owned is there under it, which may take longer than until the next
    /// heartbeat.
    async fn renew(&mut self, backend: &Backend, next: Instant) -> Result<bool, Fault> {
        let begun = Instant::now();
        let connection = backend.link.connection(begun + backend.timeouts.command).await?;
        let number = connection.number;
        self.tried = number;
        let call = backend.upkeep(&backend.scripts.renew).arg(&self.origin).arg(self.lease_ms());
        let told = backend.ledger.lock().heard().max(self.heard);
        let call =
            call.arg(self.heard.to_string()).arg(told.to_string()).arg(format!("{} {}", self.epoch, new_origin()));
        let renewal = match backend.run_over(connection, &call).await.and_then(Renewal::of) {
            Ok(renewal) => renewal,
            Err(fault) => {
                backend.met.send_modify(|met| met.refusal = Some((number, fault.clone())));
                return Err(fault);
            }
        };
        self.note_health(begun, &renewal);
        *backend.good_until.lock() = Some(begun + self.lease);
        self.heard = renewal.moment;
        let is_other_data = !self.epoch.is_empty() && self.epoch != renewal.epoch;
        self.epoch.clone_from(&renewal.epoch);
        if renewal.is_alive {
            renewal.note(&mut backend.ledger.lock())?;
        } else {
            lose(backend, "it had expired, and is being taken again".into());
        }
        backend.met.send_replace(Met { number, refusal: None });
        if !renewal.is_alive {
            self.regain(backend, is_other_data).await?;
        }
        if !self.reassert(backend, next).await? {
            return Ok(false);
        }
        let held = Holding::Held { origin: self.origin.clone() };
        let is_regained = backend.holding.send_if_modified(|holding| {
            let changed = *holding != held;
            *holding = held;
            changed
        });
        if is_regained && backend.ledger.lock().origins().len() > 1 {
            tracing::warn!(name = backend.name, "this node owns again what it had");
        }
        Ok(true)
    }

    /// Whether this heartbeat was answered in time, and Redis's clock has gone on as the one here. When it has jumped, or is another
    /// machine's, the leases of the living look as if they were over until they have been renewed.
    fn note_health(&mut self, begun: Instant, renewal: &Renewal) {
        let renewed = self.renewed.replace((begun, renewal.now_ms));
        let drift = renewed.map_or(Duration::ZERO, |(then, then_ms)| {
            let elapsed_ms = i64::try_from((begun - then).as_millis()).unwrap_or(i64::MAX);
            Duration::from_millis((renewal.now_ms - then_ms).abs_diff(elapsed_ms))
        });
        if renewal.is_alive && begun.elapsed() < self.beat() && drift < self.beat() {
            self.healthy_since.get_or_insert(begun);
        } else {
            self.healthy_since = None;
        }
    }

    /// Takes a lease under a new origin.
    async fn regain(&mut self, backend: &Backend, is_other_data: bool) -> Result<(), Fault> {
        // Once it is being asked for, why it is not given is told instead.
        if self.drawn.is_none() {
            let why = if is_other_data {
                "the Redis was restarted, lost data, or has older data than it had"
            } else {
                "it was not renewed in time, because this process or the Redis stood still or the way there was broken, or its record was lost"
            };
            tracing::warn!(
                name = backend.name,
                "the lease of this node is lost: {why}; it is taken again, and all it owned written again"
            );
        }
        let origin = self.drawn.get_or_insert_with(new_origin).clone();
        // Before it is asked for: leaving ends it also when the answer does not get here.
        backend.ledger.lock().begin_origin(&origin);
        if self.acquire(backend, &origin).await?.is_some() {
            let why = name_in_use(backend);
            lose(backend, why.clone());
            return Err(Fault::NameInUse(why));
        }
        self.drawn = None;
        self.origin = origin;
        Ok(())
    }

    /// Writes again what is stale in the ledger, in slices. Returns whether that was all.
    async fn reassert(&self, backend: &Backend, next: Instant) -> Result<bool, Fault> {
        let mut after = None;
        loop {
            let (slice, formers) = {
                let ledger = backend.ledger.lock();
                (ledger.assertions(after.as_ref(), SLICE_ROWS), ledger.origins().join(" "))
            };
            let Some(last) = slice.last() else { return Ok(true) };
            if after.is_some() && Instant::now() >= next {
                return Ok(false);
            }
            after = Some(last.place.clone());
            let mut call = backend.upkeep(&backend.scripts.reassert).arg(formers).arg(&self.origin);
            for assertion in &slice {
                let (slot, session) = &assertion.place;
                call = call.arg(suffix(*session)).arg(slot.encode()).arg(&assertion.share);
                call = call.arg(assertion.moment.to_string());
                let until = assertion.deadline.and_then(|deadline| deadline.at);
                call = call.arg(until.map(|at| at.to_string()).unwrap_or_default());
                call = call.arg(assertion.deadline.map_or(0, |deadline| deadline.moment).to_string());
            }
            let refused = reply::value_pairs(backend.run(&call).await?)?;
            let mut ledger = backend.ledger.lock();
            let mut in_the_way = Vec::new();
            for assertion in &slice {
                ledger.asserted(assertion);
            }
            for (index, why) in refused {
                let Some(assertion) = slice.get(reply::count(index)?) else { continue };
                ledger.lose(&assertion.place, assertion.moment);
                if let Some(why) = reply::text(why)?.filter(|why| !why.is_empty()) {
                    in_the_way.push((&assertion.place.0.key, why));
                }
            }
            if let Some((key, why)) = in_the_way.first() {
                tracing::warn!(
                    rows = in_the_way.len(),
                    ?key,
                    ?why,
                    "what this node owned is not written again where something else stands, and is not its own any more; the first is told"
                );
            }
        }
    }

    /// Looks whether some of what the ledger has is still so.
    async fn audit(&self, backend: &Backend) -> Result<(), Fault> {
        let places = backend.ledger.lock().next_audit(SLICE_ROWS);
        if places.is_empty() {
            return Ok(());
        }
        let mut call = backend.scripts.audit.call([&backend.meta[..]]).arg(&self.origin).arg(&self.epoch);
        for ((slot, session), _) in &places {
            call = call.arg(format!("{}{}", self.origin, suffix(*session))).arg(slot.encode());
        }
        let mut told = reply::array(backend.run(&call).await?)?.into_iter();
        let now = told.next().map_or(Ok(0), reply::integer)?;
        let mut ledger = backend.ledger.lock();
        for ((place, moment), told) in places.iter().zip(told) {
            let told = reply::integer(told)?;
            if told == LOST {
                ledger.lose(place, *moment);
            } else {
                ledger.confirm(place);
                ledger.learn(&place.0.key, reply::deadline(Value::Int(told), now)?);
            }
        }
        Ok(())
    }

    /// Lets rows of ended sessions go.
    async fn release(&mut self, backend: &Backend, next: Instant) -> Result<(), Fault> {
        while let Some(session) = self.ended.first().copied() {
            backend.ledger.lock().forget_session(session);
            let owner = format!("{}{}", self.origin, suffix(session));
            let call = backend.upkeep(&backend.scripts.release).arg(owner).arg(SLICE_ROWS.to_string());
            if !reply::flag(backend.run(&call).await?)? {
                self.ended.remove(&session);
            }
            if Instant::now() >= next {
                break;
            }
        }
        Ok(())
    }

    /// Lets what the dead left behind go, if this node may say who is dead.
    async fn sweep(&self, backend: &Backend, next: Instant) -> Result<(), Fault> {
        let Some((_, renewed_ms)) = self.renewed else { return Ok(()) };
        if self.healthy_since.is_none_or(|since| since.elapsed() < self.lease) {
            return Ok(());
        }
        let call = backend.upkeep(&backend.scripts.sweep).arg(SLICE_ROWS.to_string());
        let call = call.arg(&self.origin).arg(renewed_ms.to_string());
        while reply::flag(backend.run(&call).await?)? && Instant::now() < next {}
        Ok(())
    }

    fn lease_ms(&self) -> String {
        self.lease.as_millis().to_string()
    }
}

impl Renewal {
    fn of(answer: Value) -> Result<Self, Fault> {
        let mut answer = reply::array(answer)?.into_iter();
        let mut next = || answer.next().unwrap_or(Value::Nil);
        Ok(Self {
            is_alive: reply::flag(next())?,
            moment: reply::integer(next())?,
            now_ms: reply::integer(next())?,
            epoch: String::from_utf8_lossy(&reply::text(next())?.unwrap_or_default()).into_owned(),
            lost: reply::pairs(next())?,
            deadlines: reply::pairs(next())?,
        })
    }

    fn note(&self, ledger: &mut Ledger) -> Result<(), Fault> {
        for (lost, moment) in &self.lost {
            ledger.lose_named(lost, reply::integer(Value::BulkString(moment.to_vec()))?);
        }
        for (key, at) in &self.deadlines {
            let deadline = reply::deadline(Value::BulkString(at.to_vec()), self.moment)?;
            ledger.learn(key, deadline);
        }
        Ok(())
    }
}

fn lose(backend: &Backend, why: String) {
    backend.holding.send_replace(Holding::Lost { why });
}

/// Gives the lease back; what this node owned goes at once.
pub(super) async fn leave(backend: &Backend) -> Result<(), Error> {
    let deadline = Instant::now() + backend.timeouts.command * LEAVE_TIMEOUTS;
    let mut call = backend.upkeep(&backend.scripts.leave).arg(SLICE_ROWS.to_string());
    for origin in backend.ledger.lock().origins() {
        call = call.arg(origin);
    }
    let mut has_ended = false;
    loop {
        let why = match backend.run(&call).await.and_then(reply::flag) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                has_ended = true;
                None
            }
            Err(fault) => Some(backend.error(fault)),
        };
        if Instant::now() >= deadline {
            return Err(left_behind(backend, has_ended, why));
        }
        if why.is_some() {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// What is left of a node that could not leave in time, and who takes it away.
fn left_behind(of: &Backend, has_ended: bool, why: Option<Error>) -> Error {
    let when = if has_ended {
        "the other nodes take them away with their next heartbeats, or the next node to start does"
    } else {
        "they go when its lease ends"
    };
    let why = why.map_or_else(|| "there was no time for all of them".to_owned(), |error| error.to_string());
    backend(format!("some of the {} rows of {} may still be there: {why}; {when}", of.ledger.lock().len(), of.name))
}

fn name_in_use(on: &Backend) -> String {
    format!(
        "another live process has the name {} on {}; give one of the two another name (`RedisBuilder::name`)",
        on.name, on.address
    )
}

fn new_origin() -> String {
    format!("{:032x}", super::random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a keeper is healthy after heartbeats, a third of a lease of nine seconds apart, by what Redis's clock shows at each.
    fn is_healthy_after(clock_ms: &[i64]) -> bool {
        let mut keeper = Keeper::new(Duration::from_secs(9));
        let (now, beat) = (Instant::now(), keeper.beat());
        for (begun, now_ms) in (0..).map(|n| now + beat * n).zip(clock_ms) {
            let renewal = Renewal {
                is_alive: true,
                moment: 0,
                now_ms: *now_ms,
                epoch: String::new(),
                lost: Vec::new(),
                deadlines: Vec::new(),
            };
            keeper.note_health(begun, &renewal);
        }
        keeper.healthy_since.is_some()
    }

    #[test]
    fn who_hears_redis_s_clock_jump_may_not_say_who_is_dead() {
        assert!(is_healthy_after(&[0, 3000, 6000]));
        assert!(is_healthy_after(&[0, 3900, 6000]), "an answer may be late");
        assert!(!is_healthy_after(&[0, 3000, 3_606_000]), "all leases look as if they were over");
        assert!(!is_healthy_after(&[3_600_000, 3000]), "it went back");
        assert!(is_healthy_after(&[0, 3_603_000, 3_606_000]), "by then all have been renewed");
    }
}
