//! A node over a Redis: what a [`Node`](crate::Node) is without a cluster of its own.
//!
//! It is a presence with a lease, and it knows who else has one. Its presence has another type than that of a node in a cluster,
//! because it has no `track` and no `watch`; and it has no digest and no links, because there is one copy and nobody but the Redis to talk to.
//! Like a node it ends with its last handle, as a crash would; [`RedisNode::leave`] says goodbye first.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use headcount_presence::{Error, Limits};
use tokio::time::MissedTickBehavior;

use super::backend::Backend;
use super::members::{self, RedisMember, RedisMembers, Roll};
use super::options::RedisBuilder;
use super::presence::{RedisPresence, default_limits};
use super::task::Task;
use crate::MemberState;
use crate::config::Config;
use crate::node::{NodeBuilder, NodeError};

impl NodeBuilder {
    /// Makes it a node over a Redis, in place of a cluster: of the settings the name and those of `limits` that
    /// [`RedisBuilder::limits`] names apply there. Takes an address such as `redis://127.0.0.1:6379/0`, or all of a [`RedisBuilder`].
    ///
    /// ```no_run
    /// use headcount::{Node, Presence};
    ///
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::builder("game-1").redis("redis://127.0.0.1:6379/0").start().await?;
    /// node.presence().owned().sadd("lobby", "alice").await?; // goes when game-1 has been silent for its lease
    /// node.leave().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn redis(self, redis: impl Into<RedisBuilder>) -> RedisNodeBuilder {
        RedisNodeBuilder { config: self.config, options: redis.into() }
    }
}

/// Puts a [`RedisNode`] together.
#[derive(Debug, Clone)]
#[must_use]
pub struct RedisNodeBuilder {
    config: Config,
    options: RedisBuilder,
}

impl RedisNodeBuilder {
    /// Connects and takes the node's lease. Needs a tokio runtime, on which the connections then live.
    ///
    /// # Errors
    /// [`NodeError::Config`], and [`NodeError::Backend`] with the errors of [`RedisBuilder::connect`].
    pub async fn start(self) -> Result<RedisNode, NodeError> {
        let mut limits = self.config.presence_limits();
        if limits.max_blocked_pops == Limits::default().max_blocked_pops {
            limits.max_blocked_pops = default_limits().max_blocked_pops;
        }
        let mut options = self.options;
        options.limits.get_or_insert(limits);
        let options = options.name(self.config.name_over_redis(super::random())?.as_str());
        let beat = options.lease / 3;
        let presence = options.connect().await?;
        let roll = Roll::new();
        let backend = presence.backend();
        roll.note(members::ask(backend).await.map_err(|fault| backend.error(fault))?);
        let asking = Task::spawn(keep_asking(Arc::downgrade(backend), Arc::clone(&roll), beat));
        Ok(RedisNode { life: Arc::new(Life { presence, roll, _asking: asking }) })
    }
}

async fn keep_asking(backend: Weak<Backend>, roll: Arc<Roll>, beat: Duration) {
    let mut beats = tokio::time::interval(beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let Some(backend) = backend.upgrade() else { return };
        match members::ask(&backend).await {
            Ok(members) => roll.note(members),
            Err(fault) => tracing::debug!(?fault, "who is there cannot be asked for now"),
        }
    }
}

/// A node over a Redis. Clones are handles to the same node, which stops when the last of them is dropped.
#[derive(Clone)]
pub struct RedisNode {
    life: Arc<Life>,
}

/// What lives as long as the node's handles.
struct Life {
    presence: RedisPresence,
    roll: Arc<Roll>,
    _asking: Task,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.presence.backend().stop();
    }
}

impl fmt::Debug for RedisNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisNode").field("presence", &self.life.presence).finish_non_exhaustive()
    }
}

impl RedisNode {
    /// The handle to the data and topics. Clones are cheap.
    pub fn presence(&self) -> RedisPresence {
        self.life.presence.clone()
    }

    /// This node's name.
    pub fn name(&self) -> &str {
        self.life.presence.name()
    }

    /// Where the Redis is, without user and password.
    pub fn redis(&self) -> &str {
        &self.life.presence.backend().place
    }

    /// The members: who they are now, and a stream of what changes from now on.
    pub fn members(&self) -> RedisMembers {
        self.life.roll.members()
    }

    /// Asks the Redis who has a lease now.
    ///
    /// # Errors
    /// [`Error::Backend`] when it does not answer.
    pub async fn ask_members(&self) -> Result<Vec<(RedisMember, MemberState)>, Error> {
        let backend = self.life.presence.backend();
        backend.check_open()?;
        members::ask(backend).await.map_err(|fault| backend.error(fault))
    }

    /// Waits until this node has its lease. It has when it starts, and may lose it when the Redis loses its data, or when
    /// this process stands still for longer than a lease.
    ///
    /// # Errors
    /// [`Error::Closed`] when it has left.
    pub async fn ready(&self) -> Result<(), Error> {
        let backend = self.life.presence.backend();
        backend.check_open()?;
        let mut holding = backend.holding.subscribe();
        // The sender lives in the backend, which lives as long as this.
        holding.wait_for(super::lease::Holding::is_held).await.map_err(|_| Error::Closed)?;
        Ok(())
    }

    /// Leaves: commands are refused from now on, subscriptions end, and what this node owned goes before this returns.
    ///
    /// # Errors
    /// [`Error::Backend`] when it could not be done within five command timeouts: says what is left, and who takes it away.
    pub async fn leave(self) -> Result<(), Error> {
        self.presence().leave().await
    }

    /// Stops at once without a word, as a crash would; dropping all handles to the node does the same. What it owned goes
    /// when its lease ends.
    pub fn kill(self) {
        self.life.presence.backend().stop();
    }

    /// Counts and gauges.
    pub fn stats(&self) -> RedisStats {
        let backend = self.life.presence.backend();
        let members = self.life.roll.members().current();
        RedisStats {
            connected: backend.link.is_up(),
            lease_held: backend.holding.borrow().is_held()
                && backend.good_until.lock().is_some_and(|until| tokio::time::Instant::now() < until),
            owned_rows: backend.ledger.lock().len(),
            topics: backend.topics.subscribers.names().len(),
            blocked_pops: backend.pops.open.load(Ordering::Acquire),
            members_up: members.iter().filter(|(_, state)| *state == MemberState::Up).count(),
        }
    }
}

/// Counts and gauges of a [`RedisNode`]. How many keys there are and what they take, Redis's own `INFO` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisStats {
    /// Whether there is a connection for commands.
    pub connected: bool,
    /// Whether this node has its lease; without it nothing can be owned.
    pub lease_held: bool,
    /// Rows that this node and its sessions own.
    pub owned_rows: usize,
    /// Topics and patterns that are subscribed to here.
    pub topics: usize,
    /// Blocked pops that are open, a connection each.
    pub blocked_pops: usize,
    /// Nodes that have a good lease, this one included, as was last heard.
    pub members_up: usize,
}
