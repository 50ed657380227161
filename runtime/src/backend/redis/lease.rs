//! The lease of this node: taking it, renewing it, sweeping what others left behind, and coming back after it was lost.
//!
//! A lease ends when it was not renewed in time by Redis's own clock. Whoever sees that first ends its origin, in one step: from then
//! on nothing can be written for it, and its rows go in slices, each of them once, whoever sweeps. A node sweeps only while it has
//! itself been heard without interruption for a whole lease, so that after an outage all live nodes have renewed theirs before
//! anybody looks for the dead. A node whose lease was ended takes another one under a new origin, and writes again what it has in its ledger: what
//! others took away meanwhile it is told first, and what others wrote meanwhile stays theirs.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use headcount_presence::Error;
use redis::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::backend::Backend;
use super::fault::Fault;
use super::ledger::suffix;
use super::reply;

/// Rows that one script lets go, writes again or looks at: some milliseconds of Redis's time.
const SLICE_ROWS: usize = 500;

/// How long leaving may take.
const LEAVE_DEADLINE: Duration = Duration::from_secs(10);

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
    /// Origins that this node had, of which something may not have been written again.
    formers: Vec<String>,
    /// Up to where Redis's word of what was lost is known.
    heard: i64,
    /// Since when every heartbeat was answered in time.
    healthy_since: Option<Instant>,
    /// Whether it has been told that the lease is not renewed.
    is_told: bool,
    /// Sessions that have ended and whose rows may still be there.
    ended: BTreeSet<u32>,
}

impl Keeper {
    /// Takes the lease for the first time.
    pub(super) async fn take(backend: &Backend, lease: Duration) -> Result<Self, Error> {
        let keeper = Self {
            lease,
            origin: new_origin(),
            drawn: None,
            formers: Vec::new(),
            heard: 0,
            healthy_since: None,
            is_told: false,
            ended: BTreeSet::new(),
        };
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
                Err(fault) => return Err(backend.error(fault)),
            };
            // A lease that moves is renewed by somebody alive; one that does not is that of a dead predecessor, and ends.
            if *first.get_or_insert_with(|| till.clone()) != till {
                return Err(backend.error(Fault::NameInUse(name_in_use(backend))));
            }
            tokio::time::sleep(lease / 10).await;
        }
        backend.holding.send_replace(Holding::Held { origin: keeper.origin.clone() });
        Ok(keeper)
    }

    /// Asks for the lease; answers until when somebody else has it.
    async fn acquire(&self, backend: &Backend, origin: &str) -> Result<Option<String>, Fault> {
        let call = backend.upkeep(&backend.scripts.acquire).arg(&backend.name).arg(origin).arg(self.lease_ms());
        let answer = reply::array(backend.run(&call).await?)?;
        match answer.as_slice() {
            [Value::Int(1), _] => Ok(None),
            [_, till] => Ok(Some(format!("{till:?}"))),
            _ => Err(Fault::Strange("to a lease".into())),
        }
    }

    /// Looks after the lease as long as somebody has the backend.
    pub(super) async fn keep(mut self, backend: Weak<Backend>, mut ended: mpsc::UnboundedReceiver<u32>) {
        let beat = self.lease / 3;
        loop {
            let next = Instant::now() + beat;
            {
                let Some(backend) = backend.upgrade() else { return };
                self.beat(&backend, beat).await;
            }
            if !self.rest(&backend, next, &mut ended).await {
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
        ended: &mut mpsc::UnboundedReceiver<u32>,
    ) -> bool {
        // Sessions that end without a pause must not put the heartbeat off.
        while Instant::now() < until {
            match timeout_at(until, ended.recv()).await {
                Ok(None) => return false,
                Err(_) | Ok(Some(0)) => return true,
                Ok(Some(session)) => {
                    self.ended.insert(session);
                    let Some(backend) = backend.upgrade() else { return false };
                    if let Err(fault) = self.release(&backend).await {
                        tracing::debug!(?fault, "rows of ended sessions wait for the next heartbeat");
                    }
                }
            }
        }
        true
    }

    async fn beat(&mut self, backend: &Backend, beat: Duration) {
        let begun = Instant::now();
        let renewed = self.renew(backend).await;
        self.tell(backend, renewed.as_ref().err());
        match renewed {
            Ok(()) if begun.elapsed() < beat => {
                self.healthy_since.get_or_insert(begun);
            }
            Ok(()) => self.healthy_since = None,
            Err(_) => {
                self.healthy_since = None;
                return;
            }
        }
        let done = async {
            self.release(backend).await?;
            audit(backend).await?;
            if self.healthy_since.is_some_and(|since| since.elapsed() >= self.lease) {
                while sweep(backend, true).await? {}
            }
            Ok::<(), Fault>(())
        };
        if let Err(fault) = done.await {
            tracing::debug!(?fault, "rows without an owner wait for the next heartbeat");
        }
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

    /// Renews the lease, or takes another one.
    async fn renew(&mut self, backend: &Backend) -> Result<(), Fault> {
        let call = backend.upkeep(&backend.scripts.renew);
        let call = call.arg(&self.origin).arg(self.lease_ms()).arg(self.heard.to_string());
        let mut answer = reply::array(backend.run(&call).await?)?.into_iter();
        let mut next = || answer.next().unwrap_or(Value::Nil);
        let (is_alive, moment, lost) = (reply::flag(next())?, reply::integer(next())?, reply::texts(next())?);
        {
            let mut ledger = backend.ledger.lock();
            for lost in &lost {
                ledger.lose(lost, moment);
            }
        }
        self.heard = moment;
        if !is_alive {
            self.regain(backend).await?;
        }
        if !self.formers.is_empty() {
            self.reassert(backend).await?;
            self.formers.clear();
            tracing::warn!(name = backend.name, "this node owns again what it had");
        }
        let held = Holding::Held { origin: self.origin.clone() };
        backend.holding.send_if_modified(|holding| {
            let changed = *holding != held;
            *holding = held;
            changed
        });
        Ok(())
    }

    /// Takes a lease under a new origin.
    async fn regain(&mut self, backend: &Backend) -> Result<(), Fault> {
        tracing::warn!(
            name = backend.name,
            "the lease of this node is lost: it was silent for too long, or the Redis lost its data"
        );
        backend.holding.send_replace(Holding::Lost { why: "it had expired, and is being taken again".into() });
        let origin = self.drawn.get_or_insert_with(new_origin).clone();
        if self.acquire(backend, &origin).await?.is_some() {
            let why = name_in_use(backend);
            backend.holding.send_replace(Holding::Lost { why: why.clone() });
            return Err(Fault::NameInUse(why));
        }
        self.drawn = None;
        self.formers.push(std::mem::replace(&mut self.origin, origin));
        self.heard = 0;
        backend.ledger.lock().restart();
        Ok(())
    }

    /// Writes the ledger again, in slices.
    async fn reassert(&self, backend: &Backend) -> Result<(), Fault> {
        let mut after = None;
        loop {
            let slice = backend.ledger.lock().assertions(after.as_ref(), SLICE_ROWS);
            let Some(last) = slice.last() else { return Ok(()) };
            after = Some(last.place.clone());
            let mut call = backend.upkeep(&backend.scripts.reassert).arg(self.formers.join(" ")).arg(&self.origin);
            for assertion in &slice {
                let life = assertion.life.map(|life| life.as_millis().max(1).to_string()).unwrap_or_default();
                let (slot, session) = &assertion.place;
                call = call.arg(suffix(*session)).arg(slot.encode()).arg(&assertion.share).arg(life);
            }
            for index in reply::array(backend.run(&call).await?)? {
                if let Some(lost) = slice.get(reply::count(index)?) {
                    backend.ledger.lock().lose_place(&lost.place, lost.moment);
                }
            }
        }
    }

    /// Lets rows of ended sessions go.
    async fn release(&mut self, backend: &Backend) -> Result<(), Fault> {
        while let Some(session) = self.ended.first().copied() {
            backend.ledger.lock().forget_session(session);
            let owner = format!("{}{}", self.origin, suffix(session));
            let call = backend.upkeep(&backend.scripts.release).arg(owner).arg(SLICE_ROWS.to_string());
            while reply::flag(backend.run(&call).await?)? {}
            self.ended.remove(&session);
        }
        Ok(())
    }

    fn lease_ms(&self) -> String {
        self.lease.as_millis().to_string()
    }
}

/// Looks whether some of what the ledger has is still so.
async fn audit(backend: &Backend) -> Result<(), Fault> {
    let Holding::Held { origin } = backend.holding.borrow().clone() else { return Ok(()) };
    let places = backend.ledger.lock().next_audit(SLICE_ROWS);
    if places.is_empty() {
        return Ok(());
    }
    let mut call = backend.scripts.audit.call([&backend.meta[..]]).arg(&origin);
    for ((slot, session), _) in &places {
        call = call.arg(format!("{origin}{}", suffix(*session))).arg(slot.encode());
    }
    for index in reply::array(backend.run(&call).await?)? {
        if let Some((place, moment)) = places.get(reply::count(index)?) {
            backend.ledger.lock().lose_place(place, *moment);
        }
    }
    Ok(())
}

/// Lets a slice of what the dead left behind go, and looks for more dead before when asked to. Returns whether there may be more.
async fn sweep(backend: &Backend, look_for_dead: bool) -> Result<bool, Fault> {
    let call = backend.upkeep(&backend.scripts.sweep).arg(SLICE_ROWS.to_string());
    reply::flag(backend.run(&call.arg(if look_for_dead { "1" } else { "0" })).await?)
}

/// Gives the lease back; what this node owned goes at once.
pub(super) async fn leave(backend: &Arc<Backend>) -> Result<(), Fault> {
    let Holding::Held { origin } = backend.holding.borrow().clone() else { return Ok(()) };
    backend.run(&backend.upkeep(&backend.scripts.leave).arg(origin)).await?;
    let deadline = Instant::now() + LEAVE_DEADLINE;
    while sweep(backend, false).await? && Instant::now() < deadline {}
    Ok(())
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
