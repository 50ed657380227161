//! The nodes of the demo.
//!
//! A place in the fleet outlives its node: it keeps the name, the address and the seeds with which a killed node is
//! started again. All nodes listen on ports that the system chose, so that a demo disturbs nothing.

use headcount::{ClusterPresence, MemberState, Node, NodeBuilder, NodeError, Presence as _};
use tokio::task::JoinHandle;

use super::Failure;
use super::heard::{Ear, Heard};

/// The pattern of all chat topics.
const ALL_CHATS: &str = "chat:*";

/// All places, in the order in which their nodes were started.
#[derive(Debug)]
pub(super) struct Fleet {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    name: String,
    address: String,
    seeds: Vec<String>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    node: Node,
    presence: ClusterPresence,
    owned: ClusterPresence,
    ear: Option<Ear>,
}

/// A node's numbers for the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) members: usize,
    pub(super) keys: usize,
    pub(super) rows: usize,
    pub(super) owned: usize,
    /// Messages that arrived here since the start.
    pub(super) heard: u64,
}

impl Fleet {
    /// Starts nodes `a`, `b`, .. one after the other.
    pub(super) async fn start(count: usize) -> Result<Self, Failure> {
        let mut places: Vec<Place> = Vec::new();
        for name in ('a'..='z').take(count).map(String::from) {
            let seeds: Vec<String> = places.iter().map(|place| place.address.clone()).collect();
            let mut place = Place { name, address: "127.0.0.1:0".to_owned(), seeds, running: None };
            let node = start(place.builder()).await.map_err(|reason| place.did_not_start(reason))?;
            place.address = node.me().addr.to_string();
            place.running = Some(Running::new(node));
            places.push(place);
        }
        Ok(Self { places })
    }

    /// Lets every node hear all chats.
    pub(super) async fn listen(&mut self) -> Result<(), Failure> {
        for running in self.places.iter_mut().filter_map(|place| place.running.as_mut()) {
            running.listen().await?;
        }
        Ok(())
    }

    /// How many places there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The place that was filled last.
    pub(super) fn last(&self) -> usize {
        self.places.len() - 1
    }

    /// A place's name.
    pub(super) fn name(&self, index: usize) -> &str {
        &self.places[index].name
    }

    /// What a place's node knows, while it runs.
    pub(super) fn presence(&self, index: usize) -> Option<&ClusterPresence> {
        self.places[index].running.as_ref().map(|running| &running.presence)
    }

    /// The same, for rows that leave with the node.
    pub(super) fn owned(&self, index: usize) -> Option<&ClusterPresence> {
        self.places[index].running.as_ref().map(|running| &running.owned)
    }

    /// What each running node knows.
    pub(super) fn presences(&self) -> impl Iterator<Item = &ClusterPresence> {
        self.running().map(|(_, running)| &running.presence)
    }

    /// Names and presences of the running nodes.
    pub(super) fn named_presences(&self) -> impl Iterator<Item = (&str, &ClusterPresence)> {
        self.running().map(|(name, running)| (name, &running.presence))
    }

    /// Names and digests of the running nodes.
    pub(super) fn digests(&self) -> Vec<(&str, u64)> {
        self.running().map(|(name, running)| (name, running.node.digest())).collect()
    }

    /// What a place's node has heard, while it runs.
    pub(super) fn heard(&self, index: usize) -> Option<Heard> {
        self.places[index].running.as_ref().and_then(|running| running.ear.as_ref()).map(Ear::heard)
    }

    /// Writes of a node that its slowest peer has not confirmed.
    pub(super) fn unconfirmed(&self, index: usize) -> u64 {
        self.places[index].running.as_ref().map_or(0, |running| running.node.stats().presence.unconfirmed_ops)
    }

    /// Whether every node runs and sees every other one.
    pub(super) fn is_complete(&self) -> bool {
        self.running().count() == self.len() && self.running().all(|(_, running)| running.members() == self.len())
    }

    /// A node's numbers, while it runs.
    pub(super) fn counts(&self, index: usize) -> Option<Counts> {
        self.places[index].running.as_ref().map(Running::counts)
    }

    /// Stops a node as a crash would.
    pub(super) fn kill(&mut self, index: usize) {
        if let Some(running) = self.places[index].running.take() {
            running.node.kill();
        }
    }

    /// Begins to start a place's node again, at the same address.
    pub(super) fn restart(&self, index: usize) -> JoinHandle<Result<Node, NodeError>> {
        tokio::spawn(start(self.places[index].builder()))
    }

    /// Takes in a node that was started again.
    pub(super) async fn welcome(
        &mut self,
        index: usize,
        starting: JoinHandle<Result<Node, NodeError>>,
    ) -> Result<(), Failure> {
        let place = &mut self.places[index];
        let started = starting.await.expect("starting a node neither panics nor is it aborted");
        let mut running = Running::new(started.map_err(|reason| place.did_not_start(reason))?);
        running.listen().await?;
        place.running = Some(running);
        Ok(())
    }

    /// All nodes say goodbye.
    pub(super) async fn leave(&mut self) {
        for running in self.places.iter_mut().filter_map(|place| place.running.take()) {
            running.node.leave().await;
        }
    }

    fn running(&self) -> impl Iterator<Item = (&str, &Running)> {
        self.places.iter().filter_map(|place| Some((place.name.as_str(), place.running.as_ref()?)))
    }
}

impl Place {
    fn builder(&self) -> NodeBuilder {
        let others = self.seeds.clone();
        Node::builder(self.name.as_str()).cluster("headcount-demo").listen(self.address.as_str()).seeds(others)
    }

    fn did_not_start(&self, reason: NodeError) -> Failure {
        Failure::Start { name: self.name.clone(), reason }
    }
}

impl Running {
    fn new(node: Node) -> Self {
        let presence = node.presence();
        Self { owned: presence.owned(), presence, node, ear: None }
    }

    async fn listen(&mut self) -> Result<(), Failure> {
        self.ear = Some(Ear::new(self.presence.psubscribe(ALL_CHATS).await?));
        Ok(())
    }

    /// How many nodes it sees Up, itself included.
    fn members(&self) -> usize {
        let me = self.node.me();
        let up =
            |(member, state): &(headcount::Member, MemberState)| *state == MemberState::Up && member.node != me.node;
        self.node.members().current().iter().filter(|entry| up(entry)).count() + 1
    }

    fn counts(&self) -> Counts {
        let stats = self.node.stats().presence;
        let me = self.node.me().origin();
        Counts {
            members: self.members(),
            keys: stats.keys,
            rows: stats.rows,
            owned: stats.owned_rows.iter().find(|(origin, _)| *origin == me).map_or(0, |(_, rows)| *rows),
            heard: self.ear.as_ref().map_or(0, |ear| ear.heard().total()),
        }
    }
}

/// Starts a node and waits until it knows what its peers know.
async fn start(builder: NodeBuilder) -> Result<Node, NodeError> {
    let node = builder.start().await?;
    node.ready().await?;
    Ok(node)
}
