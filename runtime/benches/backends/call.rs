//! What is called, and by whom.

use std::hint::black_box;

use headcount::{Presence, Subscription};

/// Names that are used in turn; a power of two.
const PLAYERS: usize = 1024;
/// Members of the set that is listed.
const LISTED: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Set,
    Get,
    Hset,
    Hget,
    Sadd,
    Smembers,
    Incr,
    OwnedHset,
    HomedIncr,
    SetNx,
    PushAndPop,
    Publish,
}

impl Call {
    pub(crate) const ALL: [Self; 12] = [
        Self::Set,
        Self::Get,
        Self::Hset,
        Self::Hget,
        Self::Sadd,
        Self::Smembers,
        Self::Incr,
        Self::OwnedHset,
        Self::HomedIncr,
        Self::SetNx,
        Self::PushAndPop,
        Self::Publish,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Get => "get",
            Self::Hset => "hset",
            Self::Hget => "hget",
            Self::Sadd => "sadd",
            Self::Smembers => "smembers of 100",
            Self::Incr => "incr",
            Self::OwnedHset => "owned().hset",
            Self::HomedIncr => "homed().incr",
            Self::SetNx => "set_nx, taken",
            Self::PushAndPop => "rpush, then lpop",
            Self::Publish => "publish, until heard",
        }
    }
}

/// One who calls again and again.
pub(crate) struct Caller<P> {
    call: Call,
    presences: Vec<P>,
    key: String,
    players: Vec<String>,
    next: usize,
    /// On the node after the caller's.
    hears: Subscription,
}

impl<P: Presence> Caller<P> {
    /// Puts in place what the call works on.
    pub(crate) async fn new(call: Call, task: usize, presences: &[P]) -> Self {
        let players: Vec<String> = (0..PLAYERS).map(|player| format!("player-{player}")).collect();
        let key = format!("{call:?}-{task}");
        let here = &presences[task % presences.len()];
        match call {
            Call::Get => set_all(here, &players).await,
            Call::Hget => {
                let pairs: Vec<(&String, &str)> = players.iter().map(|player| (player, "lobby")).collect();
                here.hset_multiple(&key, &pairs).await.expect("a write");
            }
            Call::Smembers => drop(here.sadd(&key, &players[..LISTED]).await.expect("a write")),
            Call::SetNx => here.set(&key, "taken").await.expect("a write"),
            Call::Set
            | Call::Hset
            | Call::Sadd
            | Call::Incr
            | Call::OwnedHset
            | Call::HomedIncr
            | Call::PushAndPop
            | Call::Publish => {}
        }
        let hears = presences[(task + 1) % presences.len()].subscribe(&key).await.expect("a subscription");
        let mut presences = presences.to_vec();
        if call == Call::OwnedHset {
            presences = presences.iter().map(Presence::owned).collect();
        }
        if call == Call::HomedIncr {
            presences = presences.iter().map(Presence::homed).collect();
        }
        Self { call, presences, key, players, next: task, hears }
    }

    /// Calls once.
    pub(crate) async fn call(&mut self) {
        self.next += 1;
        let presence = &self.presences[self.next % self.presences.len()];
        let (key, player) = (&self.key, &self.players[self.next % PLAYERS]);
        match self.call {
            Call::Set => presence.set(player, "lobby").await.expect("a write"),
            Call::Get => drop(black_box(presence.get(player).await.expect("a read"))),
            Call::Hset | Call::OwnedHset => {
                presence.hset(key, player, "lobby").await.expect("a write");
            }
            Call::Hget => drop(black_box(presence.hget(key, player).await.expect("a read"))),
            Call::Sadd => {
                presence.sadd(key, player).await.expect("a write");
            }
            Call::Smembers => drop(black_box(presence.smembers(key).await.expect("a read"))),
            Call::Incr | Call::HomedIncr => {
                presence.incr(key).await.expect("a write");
            }
            Call::SetNx => assert!(!presence.set_nx(key, "mine").await.expect("an answer")),
            Call::PushAndPop => {
                presence.rpush(key, player).await.expect("a write");
                drop(presence.lpop(key).await.expect("an answer"));
            }
            Call::Publish => {
                presence.publish(key, player).await.expect("a publish");
                drop(black_box(self.hears.recv().await));
            }
        }
    }
}

async fn set_all(presence: &impl Presence, players: &[String]) {
    for player in players {
        presence.set(player, "lobby").await.expect("a write");
    }
}
