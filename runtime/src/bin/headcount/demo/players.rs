//! Simulated players: who plays on which node and in which lobby, and what they do next.
//!
//! A player is rows that belong to its node: a member of its lobby's set and a hash of its own. It moves between
//! lobbies, chats, plays games, which are counted in counters that belong to nobody, and leaves. The list here is the
//! truth that the cluster is compared with.

use std::collections::BTreeSet;

use headcount::{ClusterPresence, Presence};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::Failure;
use super::fleet::Fleet;
use super::heard;
use super::ledger::{Counter, Ledger};

/// The lobbies.
pub(super) const LOBBIES: [&str; 6] = ["arena", "castle", "desert", "forest", "harbour", "tower"];

/// How many players a node has when they neither come nor go.
const PLAYERS_PER_NODE: usize = 40;

/// What the players of one node do in one round.
const ACTIONS_PER_ROUND: usize = 20;

/// One player.
#[derive(Debug, Clone)]
pub(super) struct Player {
    name: String,
    node: usize,
    lobby: usize,
}

impl Player {
    /// Whether a node shows the player where it is.
    pub(super) async fn is_shown(&self, presence: &ClusterPresence) -> Result<bool, Failure> {
        Ok(presence.sismember(lobby_key(self.lobby), &self.name).await? && presence.exists(self.key()).await? == 1)
    }

    /// Whether a node shows anything of the player.
    pub(super) async fn leaves_a_trace(&self, presence: &ClusterPresence) -> Result<bool, Failure> {
        Ok(presence.sismember(lobby_key(self.lobby), &self.name).await? || presence.exists(self.key()).await? != 0)
    }

    fn key(&self) -> String {
        format!("player:{}", self.name)
    }
}

/// All players and their books.
#[derive(Debug)]
pub(super) struct Players {
    live: Vec<Player>,
    paused: BTreeSet<usize>,
    ledger: Ledger,
    /// Chat messages by the node on which they were said.
    said: Vec<u64>,
    born: u32,
    nodes: usize,
    random: SmallRng,
}

impl Players {
    /// No players yet.
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            live: Vec::new(),
            paused: BTreeSet::new(),
            ledger: Ledger::default(),
            said: vec![0; nodes],
            born: 0,
            nodes,
            random: SmallRng::seed_from_u64(rand::random()),
        }
    }

    /// Lets the players of every node that is not paused act.
    pub(super) async fn act(&mut self, fleet: &Fleet) -> Result<(), Failure> {
        for index in 0..self.nodes {
            if self.paused.contains(&index) {
                continue;
            }
            if let (Some(shared), Some(owned)) = (fleet.presence(index), fleet.owned(index)) {
                let host = Host { index, name: fleet.name(index), shared, owned };
                for _ in 0..ACTIONS_PER_ROUND {
                    self.act_on(&host).await?;
                }
            }
        }
        Ok(())
    }

    /// The players of a node.
    pub(super) fn of(&self, node: usize) -> Vec<Player> {
        self.live.iter().filter(|player| player.node == node).cloned().collect()
    }

    /// Players of a node do nothing from now on.
    pub(super) fn pause(&mut self, node: usize) {
        self.paused.insert(node);
    }

    /// Nobody does anything from now on.
    pub(super) fn pause_all(&mut self) {
        self.paused.extend(0..self.nodes);
    }

    /// Players of a node act again.
    pub(super) fn resume(&mut self, node: usize) {
        self.paused.remove(&node);
    }

    /// All players act again.
    pub(super) fn resume_all(&mut self) {
        self.paused.clear();
    }

    /// The players of a node are no more.
    pub(super) fn forget(&mut self, node: usize) {
        self.live.retain(|player| player.node != node);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.live.len()
    }

    /// What was added to the counters.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many messages were said on a node.
    pub(super) fn said(&self, node: usize) -> u64 {
        self.said[node]
    }

    /// The names of those in a lobby.
    pub(super) fn in_lobby(&self, lobby: usize) -> BTreeSet<&[u8]> {
        self.live.iter().filter(|player| player.lobby == lobby).map(|player| player.name.as_bytes()).collect()
    }

    async fn act_on(&mut self, host: &Host<'_>) -> Result<(), Failure> {
        let here: Vec<usize> = (0..self.live.len()).filter(|i| self.live[*i].node == host.index).collect();
        // The fuller the node, the fewer come and the more go.
        if self.random.random_range(0..2 * PLAYERS_PER_NODE) >= here.len() && self.random.random_bool(0.3) {
            return self.join(host).await;
        }
        let Some(&chosen) = here.get(self.random.random_range(0..here.len().max(1))) else { return Ok(()) };
        match self.random.random_range(0..100) {
            0..60 => self.chat(host, chosen).await,
            60..75 => self.play(host, chosen).await,
            75..85 => self.change_lobby(host, chosen).await,
            _ if self.random.random_range(0..2 * PLAYERS_PER_NODE) < here.len() => self.leave(host, chosen).await,
            _ => self.play(host, chosen).await,
        }
    }

    async fn join(&mut self, host: &Host<'_>) -> Result<(), Failure> {
        self.born += 1;
        let lobby = self.random.random_range(0..LOBBIES.len());
        let player = Player { name: format!("p-{}", self.born), node: host.index, lobby };
        host.owned.sadd(lobby_key(lobby), &player.name).await?;
        host.owned.hset_multiple(player.key(), &[("node", host.name), ("lobby", LOBBIES[lobby])]).await?;
        self.live.push(player);
        self.ledger.add(host.shared, Counter::Field("visits", LOBBIES[lobby].to_owned()), 1).await
    }

    async fn change_lobby(&mut self, host: &Host<'_>, chosen: usize) -> Result<(), Failure> {
        let to = self.random.random_range(0..LOBBIES.len());
        let player = &mut self.live[chosen];
        host.owned.srem(lobby_key(player.lobby), &player.name).await?;
        host.owned.sadd(lobby_key(to), &player.name).await?;
        host.owned.hset(player.key(), "lobby", LOBBIES[to]).await?;
        player.lobby = to;
        self.ledger.add(host.shared, Counter::Field("visits", LOBBIES[to].to_owned()), 1).await
    }

    async fn chat(&mut self, host: &Host<'_>, chosen: usize) -> Result<(), Failure> {
        let player = &self.live[chosen];
        let topic = format!("chat:{}", LOBBIES[player.lobby]);
        host.shared.publish(topic, heard::message(host.name, &player.name, "anyone up for a round?")).await?;
        self.said[host.index] += 1;
        Ok(())
    }

    async fn play(&mut self, host: &Host<'_>, chosen: usize) -> Result<(), Failure> {
        let lobby = LOBBIES[self.live[chosen].lobby].to_owned();
        let score = self.random.random_range(-50..=100);
        self.ledger.add(host.shared, Counter::Key("games"), 1).await?;
        self.ledger.add(host.shared, Counter::Key("score"), score).await?;
        self.ledger.add(host.shared, Counter::Field("games-in", lobby), 1).await
    }

    async fn leave(&mut self, host: &Host<'_>, chosen: usize) -> Result<(), Failure> {
        let player = self.live.swap_remove(chosen);
        host.owned.srem(lobby_key(player.lobby), &player.name).await?;
        host.owned.del(player.key()).await?;
        Ok(())
    }
}

/// The node that a player is connected to.
#[derive(Debug)]
struct Host<'a> {
    index: usize,
    name: &'a str,
    shared: &'a ClusterPresence,
    owned: &'a ClusterPresence,
}

/// The key of a lobby's set.
pub(super) fn lobby_key(lobby: usize) -> String {
    format!("lobby:{}", LOBBIES[lobby])
}
