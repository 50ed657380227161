//! Who is in this room, on whichever node, and who comes and goes?
//!
//! Each node tracks its own players; every node can follow a room. When a node dies without goodbye its players leave everywhere.

use std::error::Error;

use headcount::{Diff, Node, PresenceDiffs, Presences, Tracking as _};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let first = Node::builder("game-1").listen("127.0.0.1:0").start().await?;
    let seed = first.me().addr.to_string();
    let second = Node::builder("game-2").listen("127.0.0.1:0").seeds([seed]).start().await?;
    second.ready().await?;

    let mut room = first.presence().watch_presences("room:1").await?;
    let alice = first.presence().track("room:1", "alice", "on her phone").await?;
    println!("alice comes to game-1:    {}", next(&mut room).await?);
    let _bob = second.presence().track("room:1", "bob", "in the lobby").await?;
    println!("bob comes to game-2:      {}", next(&mut room).await?);
    let _also_alice = second.presence().track("room:1", "alice", "at her desk").await?;
    println!("alice is on game-2 too:   {}", next(&mut room).await?);
    alice.update("phone in her pocket").await?;
    println!("alice has something new:  {}", next(&mut room).await?);

    second.kill();
    println!("game-2 dies:              {}", next(&mut room).await?);
    let present = first.presence().presences("room:1").await?;
    assert_eq!(in_words(&present), "alice (phone in her pocket)");
    drop(alice);
    println!("alice leaves:             {}", next(&mut room).await?);
    assert!(first.presence().presences("room:1").await?.is_empty());
    first.leave().await;
    Ok(())
}

/// The next diff with anybody in it, in words.
async fn next(room: &mut PresenceDiffs) -> Result<String, Box<dyn Error>> {
    loop {
        let diff: Diff = room.recv().await.ok_or("the node has ended")?;
        if !diff.is_empty() {
            return Ok(format!("+ {}  - {}", in_words(&diff.joins), in_words(&diff.leaves)));
        }
    }
}

fn in_words(presences: &Presences) -> String {
    let sessions = presences.iter().flat_map(|(key, sessions)| sessions.iter().map(move |session| (key, session)));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let words: Vec<String> =
        sessions.map(|(key, session)| format!("{} ({})", text(key), text(&session.meta))).collect();
    words.join(", ")
}
