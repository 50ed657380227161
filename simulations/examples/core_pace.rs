//! How fast does virtual time pass in the core world? `cargo run --release -p headcount-simulations --example core_pace`
//!
//! Five nodes at work under faults, as a scenario has them, and many that do nothing but know each other. With numbers behind
//! `-- idle`, clusters of those sizes.

#![allow(clippy::disallowed_methods)] // it measures real time

use std::time::{Duration, Instant};

use headcount_simulations::core::CoreWorld;
use headcount_simulations::plan::Settings;
use headcount_simulations::play::play;
use headcount_simulations::scenarios;
use headcount_simulations::stage::Stage;

fn main() {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() != Some("idle") {
        work();
    }
    let sizes: Vec<usize> = words.filter_map(|word| word.parse().ok()).collect();
    for nodes in if sizes.is_empty() { vec![5, 100, 300] } else { sizes } {
        idle(nodes);
    }
}

fn work() {
    let storm = Duration::from_mins(10);
    for name in ["storm", "rolling-deploy", "split-brain"] {
        let Some(scenario) = scenarios::by_name(name) else { continue };
        let plan = scenario.plan(1, 5, storm);
        let mut world = CoreWorld::of(&plan);
        let begun = Instant::now();
        let history = play(&plan, &mut world);
        let span = Duration::from_millis(world.now_ms());
        tell(name, 5, span, begun.elapsed(), &world);
        println!("    {} asks, {} samples", history.asked.len(), history.samples.len());
    }
}

fn idle(nodes: usize) {
    let seconds = (60_000 / (nodes * nodes) as u64 * 10).clamp(10, 3_600);
    let begun = Instant::now();
    let mut world = CoreWorld::new(1, nodes, &Settings::default());
    world.advance_to(10_000);
    println!("{nodes} nodes: {:.1} s until 10 s have passed since they started", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    world.advance_to(10_000 + seconds * 1000);
    tell("idle", nodes, Duration::from_secs(seconds), begun.elapsed(), &world);
    let linked = (0..nodes).filter_map(|node| world.look(node)).map(|look| look.linked.len()).min();
    println!("    the least linked has {} links", linked.unwrap_or_default());
}

fn tell(what: &str, nodes: usize, span: Duration, took: Duration, world: &CoreWorld) {
    let carried = world.carried();
    println!(
        "{nodes} nodes, {what}: {:.0} virtual seconds in {:.2} s, {:.0} times as fast; {} datagrams, {} frames",
        span.as_secs_f64(),
        took.as_secs_f64(),
        span.as_secs_f64() / took.as_secs_f64(),
        carried.datagrams,
        carried.frames
    );
}
