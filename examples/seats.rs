//! How do I test a server of my own against crashes and partitions?
//!
//! A match has numbered seats, and a player may ask for one on any node. The story cuts the network and kills a node while players come; at
//! its end everybody has a seat, and nobody the seat of another. It happens in a simulation, under ten seeds, each played twice to see that
//! it is the same, in virtual time. `--with-a-bug` has the servers look whether a seat is free and then take it, and shows how a failure
//! reads: that ends with an error, as it should.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headcount::{ClusterPresence, Error, HomeRequires, Presence};
use headcount_simulations::{Server, ServerResult, Simulation, World, seeds};

const PLAYERS: usize = 40;

/// The server: what a game would run in its `main`, with the node that it is given.
async fn serve(server: Server, has_bug: bool) -> ServerResult {
    server.node().ready().await?;
    let (presence, waiting) = (server.presence(), format!("waiting:{}", server.name()));
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for player in presence.smembers(&waiting).await? {
            let player = String::from_utf8_lossy(&player).into_owned();
            // While too few nodes agree the answer is TRYAGAIN: the player waits.
            let Ok(seat) = take_seat(&presence, &player, has_bug).await else { continue };
            presence.sadd("seated", format!("{seat} {player}")).await?;
            presence.srem(&waiting, &player).await?;
        }
    }
}

/// The first seat that is free, or that the player has had already.
async fn take_seat(presence: &ClusterPresence, player: &str, has_bug: bool) -> Result<usize, Error> {
    for seat in 0.. {
        let key = format!("seat:{seat}");
        match presence.get(&key).await? {
            Some(holder) if holder == player => return Ok(seat),
            None if has_bug => return presence.set(&key, player).await.map(|()| seat), // another node does the same
            None if presence.set_nx(&key, player).await? => return Ok(seat), // one answer in the whole cluster
            Some(_) | None => {}
        }
    }
    unreachable!("there is always one more seat")
}

fn story(world: &mut World) {
    world.start_all();
    for player in 0..PLAYERS {
        let node = ["n0", "n1", "n2"][player % 3];
        let waits = async move |presence: ClusterPresence| {
            presence.sadd(format!("waiting:{node}"), format!("player-{player}")).await
        };
        world.on(node, waits).expect("a node takes a write at any time");
        match player {
            10 => world.partition(&["n0"], &["n1", "n2", "n3", "n4"]),
            20 => world.heal(),
            25 => world.crash("n4"),
            30 => world.start("n4"),
            _ => world.run_for(Duration::from_millis(400)), // a partition of four seconds: both sides notice
        }
    }
    world.until("everybody has a seat", Duration::from_mins(1), |world| {
        let players: BTreeSet<String> = seated(world).into_iter().map(|(_, player)| player).collect();
        players.len() == PLAYERS
    });
    let mut seats = BTreeMap::new();
    for (seat, player) in seated(world) {
        if let Some(other) = seats.insert(seat.clone(), player.clone()) {
            panic!("{player} and {other} have both been given seat {seat}\n{world:?}");
        }
    }
}

fn seated(world: &World) -> Vec<(String, String)> {
    let seated = world.read("n1", async |presence| presence.smembers("seated").await).expect("a set");
    let pair = |entry: &[u8]| {
        String::from_utf8_lossy(entry).split_once(' ').map(|(seat, player)| (seat.into(), player.into()))
    };
    seated.iter().filter_map(|entry| pair(entry)).collect()
}

fn main() {
    let has_bug = std::env::args().any(|argument| argument == "--with-a-bug");
    for seed in seeds(1..11) {
        let simulation = Simulation::new(seed).nodes(5).latency(Duration::from_millis(1)..Duration::from_millis(20));
        let simulation = simulation.configure(|config| config.home_requires = HomeRequires::Majority);
        simulation.node(move |server| serve(server, has_bug)).run_twice(story);
        println!("seed {seed}: {PLAYERS} players, a partition and a crash, and nobody has the seat of another");
    }
}
