//! How do two game servers share what they know?
//!
//! Two nodes on this machine find each other. What one writes the other reads, and what one says the other hears.

use std::error::Error;

use headcount::{Event, Node, Presence as _};
use headcount_examples::until;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let first = Node::builder("game-1").listen("127.0.0.1:0").start().await?;
    let seed = first.me().addr.to_string();
    let second = Node::builder("game-2").listen("127.0.0.1:0").seeds([seed]).start().await?;
    second.ready().await?;
    println!("game-1 and game-2 have found each other");

    let (here, there) = (first.presence(), second.presence());
    here.sadd("lobby", ["alice", "bob"]).await?;
    let took = until("game-2 knows bob", async || there.sismember("lobby", "bob").await).await?;
    println!("game-1 put alice and bob into the lobby; game-2 knew after {took:?}");

    let mut chat = there.subscribe("chat").await?;
    let heard_by = here.publish("chat", "hello all").await?;
    assert_eq!(heard_by, 1);
    match chat.recv().await {
        Some(Event::Message { payload, .. }) => {
            assert_eq!(payload, "hello all");
            println!("game-2 heard: {}", String::from_utf8_lossy(&payload));
        }
        other => panic!("the chat ended with {other:?}"),
    }

    second.leave().await;
    first.leave().await;
    println!("both have left");
    Ok(())
}
