//! How fast does virtual time pass? `cargo run --release -p headcount-simulations --example pace`
//!
//! A cluster at work: every node writes ten times a second and one of them is cut off now and then.

#![allow(clippy::disallowed_methods)] // it measures real time

use std::time::{Duration, Instant};

use headcount::{Error, Presence};
use headcount_simulations::{Server, Simulation, World};

/// How much virtual time is measured.
const SPAN: Duration = Duration::from_mins(10);

fn main() {
    for (nodes, tick_ms) in [(5, 5), (5, 10), (10, 10), (20, 10)] {
        let simulation = Simulation::new(1).nodes(nodes).tick(Duration::from_millis(tick_ms)).node(write);
        let (took, events) = simulation.run(work);
        println!(
            "{nodes:>2} nodes, tick {tick_ms:>2} ms: {:>5.0} virtual seconds in a real one; {events} deliveries",
            SPAN.as_secs_f64() / took.as_secs_f64()
        );
    }
}

async fn write(server: Server) -> Result<(), Box<dyn std::error::Error>> {
    let presence = server.presence();
    let mut writes = tokio::time::interval(Duration::from_millis(100));
    loop {
        writes.tick().await;
        let write = async {
            presence.incr("games").await?;
            presence.hset("seen", server.name(), format!("{:?}", server.now())).await
        };
        write.await.map_err(|error: Error| error.to_string())?;
    }
}

fn work(world: &mut World) -> (Duration, usize) {
    world.start_all();
    let begun = Instant::now();
    let end = world.now() + SPAN;
    while world.now() < end {
        world.run_for(Duration::from_secs(50));
        world.partition(&["n0"], &["n1", "n2"]);
        world.run_for(Duration::from_secs(10));
        world.heal();
    }
    (begun.elapsed(), world.trace().events().len())
}
