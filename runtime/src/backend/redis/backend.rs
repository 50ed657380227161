//! What all handles of one presence share: connections, scripts, the lease, and how a command is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use headcount_presence::{Error, Limits, Type};
use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::fault::{Fault, backend, wrong_type};
use super::lease::Holding;
use super::ledger::{Ledger, suffix};
use super::link::{Link, Numbered, Timeouts};
use super::pops::Pops;
use super::scripts::{Call, Prepared, Scripts};
use super::task::Task;
use super::topics::Topics;

/// Whose rows a handle writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belongs {
    Everybody,
    /// To the node, or to one of its sessions, which are numbered from one.
    Session(u32),
}

impl Belongs {
    pub(super) const NODE: Self = Self::Session(0);
}

/// Over which connection the lease of this node was looked at: behind a new one may be a Redis that has older data, and nothing is
/// written there before its moments are above all those that this node knows.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// The number of the latest connection.
    pub(super) number: u64,
    /// A later one over which it could not be, and why.
    pub(super) refusal: Option<(u64, Fault)>,
}

impl Met {
    fn may_be_written_over(&self, number: u64) -> Option<Result<(), Fault>> {
        match &self.refusal {
            _ if number <= self.number => Some(Ok(())),
            // Removals still go on.
            Some((refused, fault)) if *refused == number && fault.is("OOM") => Some(Ok(())),
            Some((refused, fault @ Fault::Refused { .. })) if *refused == number => Some(Err(fault.clone())),
            Some(_) | None => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Backend {
    /// How errors call it.
    pub(super) address: String,
    /// Host and port, or a path.
    pub(super) place: String,
    pub(super) prefix: Vec<u8>,
    /// What keys about owners begin with.
    pub(super) meta: Vec<u8>,
    pub(super) name: String,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) link: Arc<Link>,
    /// For messages, when it is another than `link`.
    pub(super) publishing: Option<Arc<Link>>,
    pub(super) scripts: Scripts,
    pub(super) topics: Topics,
    pub(super) pops: Pops,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) holding: watch::Sender<Holding>,
    /// Until when the lease is good by the latest heartbeat.
    pub(super) good_until: Mutex<Option<Instant>>,
    /// Over which connection the lease was looked at.
    pub(super) met: watch::Sender<Met>,
    /// Sessions that have ended; any word here also lets the lease be looked at at once.
    pub(super) ended: mpsc::UnboundedSender<u32>,
    pub(super) closed: AtomicBool,
    pub(super) families: AtomicU64,
    pub(super) sessions: AtomicU32,
    /// Looks after the lease.
    pub(super) keeper: Mutex<Option<Task>>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        // Who still listens hears that nothing will come.
        self.topics.subscribers.close();
    }
}

impl Backend {
    /// Stops without a word to Redis; returns whether it had not stopped before.
    pub(super) fn stop(&self) -> bool {
        let is_first = !self.closed.swap(true, Ordering::AcqRel);
        drop(self.keeper.lock().take());
        self.topics.subscribers.close();
        is_first
    }

    pub(super) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// A key as it stands in Redis.
    pub(super) fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix[..], key].concat()
    }

    pub(super) fn error(&self, fault: Fault) -> Error {
        fault.into_error(&self.address)
    }

    /// Sends a command that works on keys of one type.
    pub(super) async fn typed(&self, command: &Cmd, keys: &[&[u8]], needed: Type) -> Result<Value, Error> {
        match self.link.ask(command).await {
            Ok(value) => Ok(value),
            Err(fault) => Err(self.typed_error(fault, keys, needed).await),
        }
    }

    /// The error of a command on these keys: when they are of the wrong type, of which.
    pub(super) async fn typed_error(&self, fault: Fault, keys: &[&[u8]], needed: Type) -> Error {
        let is_wrong_type =
            matches!(&fault, Fault::Refused { code, detail } if code == "WRONGTYPE" || detail.contains("WRONGTYPE"));
        if !is_wrong_type {
            return self.error(fault);
        }
        let wanted = needed.to_string();
        let mut guilty = (keys.first().copied().unwrap_or_default(), "none".to_owned());
        for key in keys {
            let found = match self.link.ask(redis::cmd("TYPE").arg(self.key(key))).await {
                Ok(Value::SimpleString(found)) => found,
                Ok(_) => continue,
                Err(fault) => return self.error(fault),
            };
            if found != "none" && found != wanted {
                guilty = (key, found);
                break;
            }
        }
        wrong_type(guilty.0, &guilty.1, needed)
    }

    /// Starts a call of a script that works on a caller's key.
    pub(super) fn call(&self, script: &Prepared, owner: &str, key: &[u8]) -> Call {
        script.call([&self.meta[..], &self.key(key)]).arg(owner)
    }

    /// Starts a call of a script about owners.
    pub(super) fn upkeep(&self, script: &Prepared) -> Call {
        script.call([&self.meta[..]]).arg("")
    }

    /// Runs a script.
    pub(super) async fn run(&self, call: &Call) -> Result<Value, Fault> {
        self.run_over(self.link.connection(Instant::now() + self.timeouts.command).await?, call).await
    }

    /// Runs a script over this connection and no other.
    pub(super) async fn run_over(&self, connection: Numbered, call: &Call) -> Result<Value, Fault> {
        match self.link.ask_over(connection.clone(), &call.by_name()).await {
            Err(fault) if fault.is("NOSCRIPT") => self.link.ask_over(connection, &call.in_full()).await,
            outcome => outcome,
        }
    }

    /// Runs a script that writes for a caller, over a connection on which the lease has been looked at.
    pub(super) async fn write(&self, call: &Call) -> Result<Value, Fault> {
        let deadline = Instant::now() + self.timeouts.command;
        let mut met = self.met.subscribe();
        loop {
            let connection = self.link.connection(deadline).await?;
            let verdict = met.borrow_and_update().may_be_written_over(connection.number);
            match verdict {
                Some(Ok(())) => return self.run_over(connection, call).await,
                Some(Err(refusal)) => return Err(refusal),
                None => {}
            }
            if !matches!(timeout_at(deadline, met.changed()).await, Ok(Ok(()))) {
                let why = "the lease of this node could not be looked at yet".into();
                return Err(Fault::Unreachable { why, waited: self.timeouts.command });
            }
        }
    }

    /// Runs a script for an owner; returns also under which origin. When the lease of this node turns out to be lost, waits until there is
    /// another one.
    pub(super) async fn write_owned(
        &self,
        session: u32,
        call: impl Fn(&str) -> Call,
    ) -> Result<(String, Result<Value, Fault>), Error> {
        let deadline = Instant::now() + self.timeouts.command;
        loop {
            let origin = self.origin(deadline).await?;
            let owner = format!("{origin}{}", suffix(session));
            match self.write(&call(&owner)).await {
                Err(fault) if fault.is("LEASELOST") => self.suspect(&origin),
                outcome => return Ok((origin, outcome)),
            }
        }
    }

    /// Under which origin this node holds its lease.
    async fn origin(&self, deadline: Instant) -> Result<String, Error> {
        let mut holding = self.holding.subscribe();
        // When the time is over what stands there says why.
        let _ = timeout_at(deadline, holding.wait_for(Holding::is_held)).await;
        let holding = holding.borrow();
        match &*holding {
            Holding::Held { origin } => Ok(origin.clone()),
            Holding::Lost { why } => Err(backend(format!(
                "nothing was written, because the lease of this node ({}) is lost: {why}",
                self.name
            ))),
        }
    }

    /// Lets the lease be looked at.
    fn suspect(&self, origin: &str) {
        let lost = Holding::Lost { why: "it had expired, and is being taken again".into() };
        self.holding.send_if_modified(|holding| {
            let suspected = matches!(holding, Holding::Held { origin: held } if held == origin);
            if suspected {
                *holding = lost;
            }
            suspected
        });
        // Zero is no session. Without the keeper nobody has a handle any more.
        let _ = self.ended.send(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> Fault {
        Fault::Refused { code: code.into(), detail: String::new() }
    }

    #[test]
    fn nothing_is_written_over_a_connection_before_the_lease_was_looked_at_there() {
        let verdict = |refusal: Option<(u64, Fault)>, number| {
            let verdict = Met { number: 2, refusal }.may_be_written_over(number);
            verdict.map(|allowed| allowed.is_ok())
        };
        assert_eq!(verdict(None, 2), Some(true));
        assert_eq!(verdict(None, 3), None, "behind it may be a Redis with older data");
        assert_eq!(verdict(Some((3, refused("LOADING"))), 3), Some(false), "it says why");
        assert_eq!(verdict(Some((3, refused("LOADING"))), 4), None);
        assert_eq!(verdict(Some((3, refused("OOM"))), 3), Some(true), "removals go on");
        assert_eq!(verdict(Some((3, Fault::Lost(String::new()))), 3), None);
    }
}
