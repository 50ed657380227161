//! Everything at random: commands, partitions, crashes, restarts. Then calm, and what must hold in every calm.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headcount::{ClusterPresence, Presence};
use headcount_simulations::{Simulation, World, entropy};

use crate::reading::{LONG, members, secs, value};
use crate::seeds::seeds;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// How many things happen in one storm.
const EVENTS: usize = 120;

/// Decisions of the story, from its seed.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.thrown += 1;
        (entropy::derive(self.seed, self.thrown) % bound as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// What was added to the one counter that nobody resets.
struct Added {
    in_all: i64,
    /// Whether all of it must be there: who crashes may take its last additions with it.
    for_sure: bool,
}

fn storm(world: &mut World, seed: u64, crashes: bool) -> Added {
    let mut dice = Dice { seed, thrown: 0 };
    let mut added = Added { in_all: 0, for_sure: true };
    let mut down: BTreeSet<&str> = BTreeSet::new();
    for _ in 0..EVENTS {
        match dice.below(20) {
            0 => {
                let (one, other): (Vec<&str>, Vec<&str>) = NAMES.iter().partition(|_| dice.below(2) == 0);
                world.partition(&one, &other);
            }
            1 | 2 => world.heal(),
            3 if crashes && down.len() < NAMES.len() - 1 => {
                let running: Vec<&str> = NAMES.into_iter().filter(|name| !down.contains(name)).collect();
                let name = dice.one(&running);
                if dice.below(2) == 0 {
                    world.crash(name);
                } else {
                    world.power_off(name);
                }
                added.for_sure = false;
                down.insert(name);
            }
            4 | 5 => {
                if let Some(name) = down.pop_first() {
                    world.boot(name);
                }
            }
            6..9 => world.run_for(Duration::from_millis(1 + dice.below(3_000) as u64)),
            _ => {
                let running: Vec<&str> = NAMES.into_iter().filter(|name| world.is_ready(name)).collect();
                if running.is_empty() {
                    world.run_for(secs(1));
                    continue;
                }
                let name = dice.one(&running);
                command(world, name, &mut dice, &mut added);
            }
        }
    }
    world.heal();
    for name in down {
        world.boot(name);
    }
    added
}

fn command(world: &mut World, name: &str, dice: &mut Dice, added: &mut Added) {
    let kind = dice.below(12);
    let (key, other) = (format!("{}", dice.below(3)), format!("{}", dice.below(3)));
    let amount = dice.below(100) as i64 - 50;
    if kind == 0 {
        added.in_all += amount;
    }
    world.on(name, async move |presence| {
        apply(&presence, kind, &key, &other, amount).await;
    });
}

/// Commands on few keys, so that they meet. A wrong type is an answer like another: two types may be created under one key.
async fn apply(presence: &ClusterPresence, kind: usize, key: &str, other: &str, amount: i64) {
    match kind {
        0 => drop(presence.incrby("never reset", amount).await),
        1 => drop(presence.sadd(format!("set {key}"), other).await),
        2 => drop(presence.srem(format!("set {key}"), other).await),
        3 => drop(presence.owned().sadd(format!("set {key}"), other).await),
        4 => drop(presence.hset(format!("hash {key}"), other, amount.to_string()).await),
        5 => drop(presence.hincrby(format!("hash {key}"), other, amount).await),
        6 => drop(presence.hdel(format!("hash {key}"), other).await),
        7 => drop(presence.owned().hset(format!("hash {key}"), other, "owned").await),
        8 => drop(presence.incrby(format!("count {key}"), amount).await),
        9 => drop(presence.set(format!("count {key}"), amount.to_string()).await),
        10 => drop(presence.setex(format!("count {key}"), "7", 1 + amount.abs() / 10).await),
        _ => drop(presence.del([format!("set {key}"), format!("hash {other}"), format!("count {other}")]).await),
    }
}

fn check_calm(world: &mut World, added: &Added) {
    world.until("all are ready", LONG, |world| NAMES.iter().all(|name| world.is_ready(name)));
    world.settle();
    let live: BTreeSet<_> = NAMES.iter().map(|name| world.node(name).me().origin()).collect();
    world.until("nobody holds rows of an owner that is no more", LONG, |world| {
        NAMES.iter().all(|name| {
            let owned = world.node(name).stats().presence.owned_rows;
            owned.iter().all(|(origin, rows)| *rows == 0 || live.contains(origin))
        })
    });
    // Until here keys may have expired.
    world.run_for(secs(8));
    world.settle();
    for key in ["0", "1", "2"] {
        let views: BTreeSet<_> = NAMES.iter().map(|name| view(world, name, key)).collect();
        assert_eq!(views.len(), 1, "readers of key {key} see different things: {views:#?}");
    }
    world.until("history is pruned", LONG, |world| {
        NAMES.iter().all(|name| world.node(name).stats().presence.oplog_bytes == 0)
    });
    let counts: BTreeSet<_> = NAMES.iter().map(|name| value(world, name, "never reset")).collect();
    assert_eq!(counts.len(), 1, "{counts:?}");
    if added.for_sure {
        let count = counts.first().unwrap().as_ref().map_or(0, |count| count.parse().unwrap());
        assert_eq!(count, added.in_all);
    }
}

/// What readers see of the keys with this number.
fn view(world: &World, name: &str, key: &str) -> String {
    let hash = world.read(name, async |presence| presence.hgetall(format!("hash {key}")).await.unwrap());
    let hash: BTreeMap<_, _> = hash.into_iter().collect();
    let count = value(world, name, &format!("count {key}"));
    format!("{:?} {hash:?} {count:?}", members(world, name, &format!("set {key}")))
}

#[test]
fn after_commands_and_partitions_at_random_all_agree_and_every_count_is_exact() {
    for seed in seeds(&[]) {
        Simulation::of(NAMES).seed(seed).run(|world| {
            world.start_all();
            let added = storm(world, seed, false);
            check_calm(world, &added);
        });
    }
}

#[test]
fn after_partitions_that_last_beyond_the_grace_all_agree_and_every_count_is_exact() {
    for seed in seeds(&[]) {
        Simulation::of(NAMES).seed(seed).configure(|config| config.grace = secs(2)).run(|world| {
            world.start_all();
            let added = storm(world, seed, false);
            check_calm(world, &added);
        });
    }
}

#[test]
fn after_crashes_at_random_all_agree_and_nothing_of_the_dead_is_left() {
    for seed in seeds(&[]) {
        Simulation::of(NAMES).seed(seed).configure(|config| config.grace = secs(4)).run(|world| {
            world.start_all();
            let added = storm(world, seed, true);
            check_calm(world, &added);
        });
    }
}
