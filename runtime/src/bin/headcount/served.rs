//! What the program runs: a node of a cluster, or one over a Redis.
//!
//! Both give the same program. Where they differ in kind (there is one copy over a Redis, so no digest) the answer says why.

use std::fmt::Display;

use headcount::{Error, MemberState, Node, Presence, ReadyBy};
#[cfg(feature = "redis")]
use headcount::{RedisNode, RedisPresence};

use crate::console::report;

/// A node that the program runs and the console asks.
pub(crate) trait Served {
    /// What carries commands out.
    type Presence: Presence;

    /// The handle to its data.
    fn presence(&self) -> Self::Presence;

    /// Waits until commands may be answered; what the line that says so has after `ready `.
    ///
    /// # Errors
    /// Why that will never be.
    async fn ready(&self) -> Result<String, String>;

    /// Waits until it stops by itself, and says why.
    async fn stopped(&self) -> String;

    /// Leaves gracefully; says what was not done.
    async fn leave(self) -> Option<String>;

    /// The answer to `MEMBERS`.
    ///
    /// # Errors
    /// Why nobody knows.
    async fn members(&self) -> Result<String, Error>;

    /// The answer to `STATS`.
    fn stats(&self) -> String;

    /// The answer to `DIGEST`.
    ///
    /// # Errors
    /// Why there is none.
    fn digest(&self) -> Result<u64, Error>;
}

/// A node of a cluster, and the cluster's name.
#[derive(Debug)]
pub(crate) struct Clustered {
    pub(crate) node: Node,
    pub(crate) cluster: String,
}

impl Served for Clustered {
    type Presence = headcount::ClusterPresence;

    fn presence(&self) -> Self::Presence {
        self.node.presence()
    }

    async fn ready(&self) -> Result<String, String> {
        let ready = self.node.ready().await.map_err(told)?;
        let me = self.node.me();
        let members = self.node.members().current();
        let others =
            members.iter().filter(|(member, state)| *state == MemberState::Up && member.node != me.node).count();
        let by = match &ready.how {
            ReadyBy::First => "first".to_owned(),
            ReadyBy::Synchronised { peer } => format!("synchronised({peer})"),
            ReadyBy::Alone { .. } => "alone".to_owned(),
        };
        Ok(format!("{} {} cluster={} members={} by={by}", me.node, me.addr, self.cluster, others + 1))
    }

    async fn stopped(&self) -> String {
        self.node.stopped().await.to_string()
    }

    async fn leave(self) -> Option<String> {
        let report = self.node.leave().await;
        (!report.unconfirmed.is_empty()).then(|| report.to_string())
    }

    async fn members(&self) -> Result<String, Error> {
        Ok(report::members(&self.node.me(), &self.node.members().current()))
    }

    fn stats(&self) -> String {
        report::stats(&self.node.stats())
    }

    fn digest(&self) -> Result<u64, Error> {
        Ok(self.node.digest())
    }
}

#[cfg(feature = "redis")]
impl Served for RedisNode {
    type Presence = RedisPresence;

    fn presence(&self) -> Self::Presence {
        self.presence()
    }

    async fn ready(&self) -> Result<String, String> {
        self.ready().await.map_err(told)?;
        let members = self.ask_members().await.map_err(told)?;
        let up = members.iter().filter(|(_, state)| *state == MemberState::Up).count();
        Ok(format!("{} {} backend=redis members={up} by=lease", self.name(), self.redis()))
    }

    /// It never does: whatever happens to the Redis, it goes on trying.
    async fn stopped(&self) -> String {
        std::future::pending().await
    }

    async fn leave(self) -> Option<String> {
        let failed = self.leave().await.err()?;
        Some(format!("the Redis could not be told; what this node owned goes when its lease ends: {failed}"))
    }

    async fn members(&self) -> Result<String, Error> {
        Ok(report::redis_members(self.name(), &self.ask_members().await?))
    }

    fn stats(&self) -> String {
        report::redis_stats(&self.stats())
    }

    fn digest(&self) -> Result<u64, Error> {
        let message = "a digest compares copies, and over a Redis there is only one; DBSIZE there counts its keys";
        Err(Error::Backend { backend: "redis", message: message.to_owned() })
    }
}

fn told(reason: impl Display) -> String {
    reason.to_string()
}
