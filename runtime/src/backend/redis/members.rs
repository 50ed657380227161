//! Who has a lease on the Redis: asked for again and again, and told as members of a cluster are.
//!
//! Redis decides who is there and tells nobody, so a node asks as often as it renews its own lease. A lease that is good is Up; one that has
//! ended and that nobody has swept yet is Down, because its node may still come back under it; one that is not there any more is
//! Gone. While Redis does not answer nothing changes here: who is there is not known then.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use redis::Value;
use tokio::sync::broadcast;

use super::backend::Backend;
use super::fault::Fault;
use super::reply;
use crate::MemberState;

/// Events that wait for a slow listener; beyond it the oldest are dropped, and `current()` still tells the truth.
const EVENTS: usize = 1024;

/// A node that has a lease on the Redis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct RedisMember {
    /// Its name.
    pub name: String,
    /// What its rows are recorded under: another one whenever it takes a lease anew.
    pub origin: String,
}

/// A change of a member's state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisMemberEvent {
    /// The member.
    pub member: RedisMember,
    /// Its state from now on.
    pub state: MemberState,
}

/// The members: a present view, and a stream of what changes.
pub struct RedisMembers {
    roll: Arc<Roll>,
    events: BoxStream<'static, RedisMemberEvent>,
}

impl RedisMembers {
    /// All that have a lease, by name, as Redis told them last: at most a third of a lease ago while it answers.
    pub fn current(&self) -> Vec<(RedisMember, MemberState)> {
        self.roll.members.lock().clone()
    }
}

impl Stream for RedisMembers {
    type Item = RedisMemberEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RedisMemberEvent>> {
        self.events.poll_next_unpin(context)
    }
}

impl fmt::Debug for RedisMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisMembers").field("current", &self.current()).finish_non_exhaustive()
    }
}

/// What is known of the members.
#[derive(Debug)]
pub(super) struct Roll {
    members: Mutex<Vec<(RedisMember, MemberState)>>,
    events: broadcast::Sender<RedisMemberEvent>,
}

impl Roll {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { members: Mutex::default(), events: broadcast::Sender::new(EVENTS) })
    }

    /// Takes note of who is there now.
    pub(super) fn note(&self, now: Vec<(RedisMember, MemberState)>) {
        let mut members = self.members.lock();
        let changes = changes(&members, &now);
        *members = now;
        drop(members);
        for change in changes {
            // Nobody has to listen.
            let _ = self.events.send(change);
        }
    }

    pub(super) fn members(self: &Arc<Self>) -> RedisMembers {
        let events = futures::stream::unfold(self.events.subscribe(), |mut events| async {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        RedisMembers { roll: Arc::clone(self), events: events.boxed() }
    }
}

/// What is different now. Who goes is told first: a node that took its lease anew goes under one origin and comes under another.
fn changes(before: &[(RedisMember, MemberState)], now: &[(RedisMember, MemberState)]) -> Vec<RedisMemberEvent> {
    let event = |member: &RedisMember, state| RedisMemberEvent { member: member.clone(), state };
    let is_there = |member: &RedisMember| now.iter().any(|(other, _)| other == member);
    let gone =
        before.iter().filter(|(member, _)| !is_there(member)).map(|(member, _)| event(member, MemberState::Gone));
    let changed = now.iter().filter(|known| !before.contains(known)).map(|(member, state)| event(member, *state));
    gone.chain(changed).collect()
}

/// Asks who has a lease.
pub(super) async fn ask(backend: &Backend) -> Result<Vec<(RedisMember, MemberState)>, Fault> {
    let told = reply::array(backend.run(&backend.upkeep(&backend.scripts.members)).await?)?;
    let mut members = told.chunks_exact(3).map(member).collect::<Result<Vec<_>, _>>()?;
    members.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(members)
}

fn member(told: &[Value]) -> Result<(RedisMember, MemberState), Fault> {
    let word = |value: &Value| {
        let text = reply::text(value.clone())?.unwrap_or_default();
        Ok::<_, Fault>(String::from_utf8_lossy(&text).into_owned())
    };
    let left_ms = reply::integer(told[2].clone())?;
    let state = if left_ms > 0 { MemberState::Up } else { MemberState::Down };
    Ok((RedisMember { name: word(&told[0])?, origin: word(&told[1])? }, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(members: &[(&str, &str, MemberState)]) -> Vec<(RedisMember, MemberState)> {
        let member = |name: &str, origin: &str| RedisMember { name: name.into(), origin: origin.into() };
        members.iter().map(|(name, origin, state)| (member(name, origin), *state)).collect()
    }

    fn told(before: &[(&str, &str, MemberState)], now: &[(&str, &str, MemberState)]) -> Vec<String> {
        let line = |event: RedisMemberEvent| format!("{} {} {:?}", event.member.name, event.member.origin, event.state);
        changes(&of(before), &of(now)).into_iter().map(line).collect()
    }

    #[test]
    fn what_changes_is_told_once_and_what_stays_is_not() {
        use MemberState::{Down, Up};
        assert_eq!(told(&[], &[("a", "1", Up)]), ["a 1 Up"]);
        assert_eq!(told(&[("a", "1", Up)], &[("a", "1", Up)]), [""; 0]);
        assert_eq!(told(&[("a", "1", Up), ("b", "2", Up)], &[("a", "1", Up), ("b", "2", Down)]), ["b 2 Down"]);
        assert_eq!(told(&[("a", "1", Up), ("b", "2", Down)], &[("a", "1", Up)]), ["b 2 Gone"]);
        assert_eq!(told(&[("a", "1", Up)], &[("a", "2", Up)]), ["a 1 Gone", "a 2 Up"]);
    }
}
