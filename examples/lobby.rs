//! Who is online, on which node, and what becomes of them when a node dies?
//!
//! Each node writes its players as rows that it owns. When a node dies without goodbye its players vanish from every
//! other node by themselves, without a timer or a clean-up job of the game's own; what was written as shared stays.

use std::error::Error;

use headcount::{ClusterPresence, Node, Presence as _};
use headcount_examples::until;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut nodes = start(["game-1", "game-2", "game-3"]).await?;
    for (node, players) in nodes.iter().zip([["alice", "bob"], ["carol", "dave"], ["erin", "frank"]]) {
        let presence = node.presence();
        let owned = presence.owned();
        owned.sadd("online", players).await?;
        owned.hset("players-of", node.me().node.as_str(), players.join(" ")).await?;
        presence.incrby("logins", players.len() as i64).await?;
    }

    let watcher = nodes[0].presence();
    until("all are online", async || Ok(watcher.scard("online").await? == 6)).await?;
    show(&watcher).await?;

    println!("game-3 dies without goodbye");
    if let Some(third) = nodes.pop() {
        third.kill();
    }
    let took = until("erin and frank are gone", async || Ok(watcher.scard("online").await? == 4)).await?;
    println!("after {:.1} s nobody sees its players any more:", took.as_secs_f64());
    show(&watcher).await?;

    assert!(watcher.sismember("online", "alice").await? && !watcher.sismember("online", "erin").await?);
    assert_eq!(watcher.hget("players-of", "game-3").await?, None);
    assert_eq!(watcher.get("logins").await?.as_deref(), Some(&b"6"[..]), "what is shared outlives its writer");
    println!("the number of logins, which belongs to nobody, is still 6");

    for node in nodes {
        node.leave().await;
    }
    Ok(())
}

/// Starts nodes, each with the ones before it as its seeds.
async fn start(names: [&str; 3]) -> Result<Vec<Node>, Box<dyn Error>> {
    let mut nodes: Vec<Node> = Vec::new();
    for name in names {
        let seeds: Vec<String> = nodes.iter().map(|node| node.me().addr.to_string()).collect();
        let node = Node::builder(name).listen("127.0.0.1:0").seeds(seeds).start().await?;
        node.ready().await?;
        nodes.push(node);
    }
    Ok(nodes)
}

/// Prints who is online, by node.
async fn show(presence: &ClusterPresence) -> Result<(), headcount::Error> {
    let mut players = presence.hgetall("players-of").await?;
    players.sort();
    for (node, players) in players {
        println!("  {}: {}", String::from_utf8_lossy(&node), String::from_utf8_lossy(&players));
    }
    println!("  {} online", presence.scard("online").await?);
    Ok(())
}
