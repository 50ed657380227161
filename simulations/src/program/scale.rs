//! What a cluster costs as it grows: idle, for a write and until all have it, and for a join.
//!
//! Measured in the core world, where all that passes between nodes is counted. The law is a power of the number of nodes, fitted to the
//! logarithms by least squares.

use futures::FutureExt as _;
use headcount::Presence as _;
use headcount_simulations::alone::alone;
use headcount_simulations::core::CoreWorld;
use headcount_simulations::plan::{Fault, Plan, Settings};
use headcount_simulations::report;
use headcount_simulations::stage::{Carried, Stage};

use super::Failure;
use super::args::ScaleTask;
use super::stdout::say;
use super::story::{check_writable, write};

/// What was measured with so many nodes.
struct Measured {
    nodes: usize,
    idle_messages: f64,
    idle_bytes: f64,
    write_messages: f64,
    write_bytes: f64,
    converged_ms: u64,
    join_bytes: f64,
    joined_ms: u64,
}

/// What a node may be expected to spend on doing nothing, in bytes a second: a million bits.
const SENSIBLE_IDLE: f64 = 125_000.0;

pub(super) fn run(task: &ScaleTask) -> Result<bool, Failure> {
    check_writable(&task.report)?;
    let mut measured = Vec::new();
    say!(
        "{:>6} {:>15} {:>14} {:>10} {:>9} {:>12} {:>9} {:>9}",
        "nodes",
        "idle msg/node/s",
        "idle B/node/s",
        "msg/write",
        "B/write",
        "all have it",
        "B/join",
        "joined in"
    );
    for nodes in task.nodes.iter().map(|nodes| *nodes as usize) {
        let one = alone(1, move || measure(nodes)).and_then(|measured| measured)?;
        say!(
            "{:>6} {:>15.1} {:>14.0} {:>10.1} {:>9.0} {:>9} ms {:>9.0} {:>6} ms",
            one.nodes,
            one.idle_messages,
            one.idle_bytes,
            one.write_messages,
            one.write_bytes,
            one.converged_ms,
            one.join_bytes,
            one.joined_ms
        );
        measured.push(one);
    }
    let of =
        |value: fn(&Measured) -> f64| measured.iter().map(|one| (one.nodes as f64, value(one))).collect::<Vec<_>>();
    let series: [(&str, Vec<(f64, f64)>); 7] = [
        ("messages per node and second, idle", of(|one| one.idle_messages)),
        ("bytes per node and second, idle", of(|one| one.idle_bytes)),
        ("messages per write", of(|one| one.write_messages)),
        ("bytes per write", of(|one| one.write_bytes)),
        ("milliseconds until all have a write", of(|one| one.converged_ms as f64)),
        ("bytes of a join, all nodes together", of(|one| one.join_bytes)),
        ("milliseconds until who joins is ready and linked with all", of(|one| one.joined_ms as f64)),
    ];
    let mut notes: Vec<String> = Vec::new();
    if measured.len() > 1 {
        notes.extend(series.iter().map(|(name, points)| format!("{name}: {}", law(points))));
        notes.extend(sensible(&series[1].1));
    }
    for note in &notes {
        say!("{note}");
    }
    write(&task.report, &report::growth("What a cluster costs as it grows", &notes, &series))?;
    say!("report: {}", task.report.display());
    Ok(true)
}

/// The law of growth in words.
fn law(points: &[(f64, f64)]) -> String {
    let power = exponent(points);
    let words = match power {
        flat if flat.abs() < 0.15 => "the same however many nodes there are",
        slow if slow < 0.85 => "slower than the number of nodes",
        linear if linear < 1.15 => "with the number of nodes",
        steep if steep < 1.85 => "faster than the number of nodes",
        _ => "with the square of the number of nodes or faster",
    };
    format!("n^{power:.2}, {words}")
}

/// Up to how many nodes a full mesh is sensible: every node tells of every other all the time.
fn sensible(idle_bytes: &[(f64, f64)]) -> Option<String> {
    let power = exponent(idle_bytes);
    let (nodes, bytes) = *idle_bytes.last()?;
    let most = nodes * (SENSIBLE_IDLE / bytes).powf(1.0 / power);
    Some(format!(
        "an idle node takes in a million bits a second from {most:.0} nodes on: more is no place for a full mesh"
    ))
}

const MEETING_MS: u64 = 120_000;
const IDLE_MS: u64 = 5_000;
const WRITES: usize = 20;
/// Nodes that write: of each writer's operations every node keeps a log for a while.
const WRITERS: usize = 5;
const WRITE_GAP_MS: u64 = 200;
const STEP_MS: u64 = 5;

fn measure(nodes: usize) -> Result<Measured, Failure> {
    let settings = Settings::default();
    let plan =
        Plan { scenario: "scale".to_owned(), seed: 1, nodes, settings, storm_ms: 0, calm_ms: 0, steps: Vec::new() };
    let mut world = CoreWorld::of(&plan);
    meet(&mut world, nodes)?;
    let before = world.carried();
    pass(&mut world, IDLE_MS);
    let idle = difference(&world.carried(), &before);
    let per_write = write_some(&mut world, nodes, &idle)?;
    let converged_ms = converge(&mut world, nodes)?;
    let (joined_ms, join) = join(&mut world, nodes, &idle)?;
    let node_seconds = nodes as f64 * IDLE_MS as f64 / 1000.0;
    Ok(Measured {
        nodes,
        idle_messages: (idle.frames + idle.datagrams) as f64 / node_seconds,
        idle_bytes: (idle.frame_bytes + idle.datagram_bytes) as f64 / node_seconds,
        write_messages: per_write.0,
        write_bytes: per_write.1,
        converged_ms,
        join_bytes: join,
        joined_ms,
    })
}

/// Waits until all are ready and linked with all. Returns how long that took.
fn meet(world: &mut CoreWorld, nodes: usize) -> Result<u64, Failure> {
    let began = world.now_ms();
    let has_met =
        |world: &CoreWorld, node| world.look(node).is_some_and(|look| look.ready && look.linked.len() == nodes - 1);
    while !(0..nodes).all(|node| has_met(world, node)) {
        if world.now_ms() - began > MEETING_MS {
            return Err(format!("{nodes} nodes have not all met after {} s of virtual time", MEETING_MS / 1000));
        }
        pass(world, 50);
    }
    Ok(world.now_ms() - began)
}

fn pass(world: &mut CoreWorld, ms: u64) {
    let later = world.now_ms() + ms;
    world.advance_to(later);
}

/// Messages and bytes of links for each of some writes, beyond what would have passed anyway.
fn write_some(world: &mut CoreWorld, nodes: usize, idle: &Carried) -> Result<(f64, f64), Failure> {
    let (before, began) = (world.carried(), world.now_ms());
    for number in 0..WRITES {
        let node = number % nodes.min(WRITERS);
        let Some(look) = world.look(node) else { return Err(format!("n{node} does not run")) };
        let job = async move { drop(look.presence.sadd("scale", format!("m{number}")).await) };
        world.run(node, Box::pin(job));
        pass(world, WRITE_GAP_MS);
    }
    let written = difference(&world.carried(), &before);
    let share = (world.now_ms() - began) as f64 / IDLE_MS as f64;
    let per_write = |all: u64, idle: u64| (all as f64 - idle as f64 * share) / WRITES as f64;
    Ok((per_write(written.frames, idle.frames), per_write(written.frame_bytes, idle.frame_bytes)))
}

/// The last node leaves and starts again: how long until it is ready and linked with all, and the bytes that this costs all together.
fn join(world: &mut CoreWorld, nodes: usize, idle: &Carried) -> Result<(u64, f64), Failure> {
    let node = nodes - 1;
    world.inject(&Fault::Leave { node });
    while world.look(node).is_some() {
        pass(world, STEP_MS);
    }
    pass(world, 1_000);
    let before = world.carried();
    world.inject(&Fault::Start { node });
    let joined_ms = meet(world, nodes)?;
    let joining = difference(&world.carried(), &before);
    let share = joined_ms as f64 / IDLE_MS as f64;
    let all = |carried: &Carried| (carried.frame_bytes + carried.datagram_bytes) as f64;
    Ok((joined_ms, all(&joining) - all(idle) * share))
}

/// How long it takes until all nodes have a write of the first.
fn converge(world: &mut CoreWorld, nodes: usize) -> Result<u64, Failure> {
    let began = world.now_ms();
    let Some(look) = world.look(0) else { return Err("n0 does not run".to_owned()) };
    world.run(0, Box::pin(async move { drop(look.presence.set("scale:last", "x").await) }));
    let has = |world: &CoreWorld, node: usize| {
        let found = world.look(node).and_then(|look| look.presence.get("scale:last").now_or_never());
        matches!(found, Some(Ok(Some(_))))
    };
    while !(0..nodes).all(|node| has(world, node)) {
        if world.now_ms() - began > MEETING_MS {
            return Err(format!("a write has not reached all {nodes} nodes"));
        }
        let later = world.now_ms() + STEP_MS;
        world.advance_to(later);
    }
    Ok(world.now_ms() - began)
}

fn difference(after: &Carried, before: &Carried) -> Carried {
    Carried {
        datagrams: after.datagrams - before.datagrams,
        datagram_bytes: after.datagram_bytes - before.datagram_bytes,
        frames: after.frames - before.frames,
        frame_bytes: after.frame_bytes - before.frame_bytes,
    }
}

/// The power of the number of nodes that fits best.
fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.max(1e-9).ln(), y.max(1e-9).ln())).collect();
    let count = logs.len() as f64;
    let (mean_x, mean_y) =
        (logs.iter().map(|p| p.0).sum::<f64>() / count, logs.iter().map(|p| p.1).sum::<f64>() / count);
    let above: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let below: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if below == 0.0 { 0.0 } else { above / below }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_is_found_again() {
        let points: Vec<(f64, f64)> = [10.0_f64, 100.0, 300.0].iter().map(|n| (*n, 3.0 * n.powf(1.5))).collect();
        assert!((exponent(&points) - 1.5).abs() < 1e-9);
    }
}
