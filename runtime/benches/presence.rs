//! What presence costs, measured in one run: in process, between two nodes on loopback, in memory, and to repair.
//!
//! `cargo bench -p headcount` prints one table. Machines are noisy: each rate is the median of several rounds, and the
//! lines to compare stand in one run. Nothing here is a test; nothing fails because a machine is slow.

#![allow(clippy::disallowed_methods)] // it measures real time

mod measure;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use headcount::{Event, LocalPresence, Node, Presence};
use headcount_cluster::{Incarnation, Member, NodeId, WallMs};
use headcount_presence::state::State;
use headcount_presence::{Limits, Owner};
use measure::{MILLION, ROUNDS, median, millions, now, resident};

/// Operations in a round.
const ROUND: u64 = 200_000;

fn main() {
    // The bench runner passes flags of its own; the one that matters is ours.
    if std::env::args().any(|arg| arg == "--member-bytes") {
        println!("{}", member_bytes());
        return;
    }
    println!("headcount: {ROUND} operations a round, median of {ROUNDS} rounds\n");
    in_process();
    memory();
    repair();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        between_two_nodes().await;
        joiner().await;
    });
}

/// A name for the `n`-th of a few thousand items.
fn name(n: u64) -> String {
    format!("player-{}", n % 4096)
}

/// Millions a second: the median over rounds of `threads` threads that each do a round of `work`.
fn rate(threads: u64, work: impl Fn(u64) + Send + Sync) -> f64 {
    let rounds = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let work = &work;
                    scope.spawn(move || (0..ROUND).for_each(|n| work(thread * ROUND + n)));
                }
            });
            millions(threads * ROUND, start.elapsed())
        })
        .collect();
    median(rounds)
}

fn in_process() {
    let names: Vec<String> = (0..4096).map(name).collect();
    let names = &names;
    let of = |n: u64| names[(n % 4096) as usize].as_str();
    println!("in process, awaited, million operations a second    1 thread   2 threads");
    let line = |what: &str, make: &dyn Fn() -> Box<dyn Fn(u64) + Send + Sync>| {
        println!("  {what:<48}  {:>8.2}    {:>8.2}", rate(1, make()), rate(2, make()));
    };
    let fresh = LocalPresence::new;
    line("hset", &|| {
        let presence = fresh();
        let names: Vec<String> = names.clone();
        Box::new(move |n| drop(now(presence.hset("rooms", &names[(n % 4096) as usize], "lobby"))))
    });
    line("hget", &|| {
        let presence = fresh();
        let names: Vec<String> = names.clone();
        (0..4096).for_each(|n| drop(now(presence.hset("rooms", of(n), "lobby"))));
        Box::new(move |n| drop(black_box(now(presence.hget("rooms", &names[(n % 4096) as usize])))))
    });
    line("set", &|| {
        let presence = fresh();
        let names: Vec<String> = names.clone();
        Box::new(move |n| drop(now(presence.set(&names[(n % 4096) as usize], "lobby"))))
    });
    line("get", &|| {
        let presence = fresh();
        let names: Vec<String> = names.clone();
        (0..4096).for_each(|n| drop(now(presence.set(of(n), "lobby"))));
        Box::new(move |n| drop(black_box(now(presence.get(&names[(n % 4096) as usize])))))
    });
    line("smembers of 1,000, unchanged since the last", &|| {
        let presence = fresh();
        (0..1000).for_each(|n| drop(now(presence.sadd("lobby", of(n)))));
        Box::new(move |_| drop(black_box(now(presence.smembers("lobby")))))
    });
    line("sadd", &|| {
        let presence = fresh();
        let names: Vec<String> = names.clone();
        Box::new(move |n| drop(now(presence.sadd("lobby", &names[(n % 4096) as usize]))))
    });
    line("incr", &|| {
        let presence = fresh();
        Box::new(move |_| drop(now(presence.incr("games"))))
    });
    line("publish to one local subscriber, and receive", &|| {
        let presence = fresh();
        let subscription = parking_lot::Mutex::new(now(presence.subscribe("chat")).expect("a subscription"));
        Box::new(move |_| {
            drop(now(presence.publish("chat", "hello all")));
            drop(black_box(subscription.lock().recv().now_or_never()));
        })
    });
    println!();
}

/// Bytes that a member of a large set takes above its own length. In a process of its own, so that nothing else counts.
fn member_bytes() -> u64 {
    let presence = LocalPresence::new();
    let before = resident();
    let mut own = 0;
    for n in 0..MILLION {
        let member = format!("player-{n}");
        own += member.len() as u64;
        drop(now(presence.sadd("lobby", &member)));
    }
    (resident() - before - own) / MILLION
}

fn memory() {
    let bytes = measure::alone("--member-bytes");
    println!("memory of a set of a million members: {bytes} bytes a member above its own length\n");
}

fn member(index: u64) -> Member {
    Member {
        node: NodeId::new(format!("n{index}")).expect("a valid name"),
        incarnation: Incarnation(1),
        addr: ([127, 0, 0, 1], 1).into(),
    }
}

/// Two cores with a link: hands over what each has to say until both are silent. Returns the bytes that were exchanged.
fn converse(a: &mut State, b: &mut State, now: WallMs) -> usize {
    let mut bytes = 0;
    loop {
        let before = bytes;
        for _ in 0..2 {
            let (to, from) = (b.origin(), a.origin());
            while let Some(frame) = a.poll_stream(to).or_else(|| a.poll_bulk(to)) {
                bytes += frame.len();
                b.handle_frame(from, &frame, now).expect("cores understand each other");
            }
            std::mem::swap(a, b);
        }
        while a.work(now) | b.work(now) {}
        if bytes == before {
            return bytes;
        }
    }
}

fn link(a: &mut State, b: &mut State, now: WallMs) {
    for (state, peer) in [(a, member(2)), (b, member(1))] {
        state.handle_member_up(&peer, now);
        state.handle_link_up(&peer);
    }
}

/// A node that missed a hundred writes among a million rows, on cores: what it costs without a network's delays.
fn repair() {
    let now = WallMs(1_000_000);
    let mut a = State::clustered(&member(1), Limits::default(), now, 1);
    let mut b = State::clustered(&member(2), Limits::default(), now, 2);
    a.handle_alone(vec![]);
    b.handle_seeds_tried(1);
    for n in 0..MILLION {
        let written = a.sadd(Owner::SHARED, format!("set-{}", n % 1000).as_bytes(), &[n.to_string().as_bytes()], now);
        written.expect("a write");
    }
    link(&mut a, &mut b, now);
    let start = Instant::now();
    let bytes = converse(&mut a, &mut b, now);
    let copy = start.elapsed();
    assert_eq!(a.digest(), b.digest());
    println!("repair, on two cores without a network");
    println!("  copy of a million rows                    {:>12} bytes  {:>9.1} ms", bytes, copy.as_secs_f64() * 1e3);
    for (state, peer) in [(&mut a, member(2)), (&mut b, member(1))] {
        state.handle_link_down(peer.origin(), now);
    }
    for n in 0..100_u64 {
        a.set(Owner::SHARED, name(n).as_bytes(), b"changed", None, now).expect("a write");
    }
    let start = Instant::now();
    link(&mut a, &mut b, now);
    let bytes = converse(&mut a, &mut b, now);
    let repaired = start.elapsed();
    println!(
        "  a hundred missed writes among them        {:>12} bytes  {:>9.2} ms\n",
        bytes,
        repaired.as_secs_f64() * 1e3
    );
    let (digest, other) = (a.digest(), b.digest());
    assert_eq!(digest, other);
}

async fn start(name: &str, seed: Option<&Node>) -> Node {
    let node = measure::start(name, seed).await;
    node.ready().await.expect("a ready node");
    node
}

async fn between_two_nodes() {
    let a = start("a", None).await;
    let b = start("b", Some(&a)).await;
    let (on_a, on_b) = (a.presence(), b.presence());
    println!("between two nodes on loopback");
    let mut delays: Vec<Duration> = (0..5_000_u64)
        .map(|n| {
            let value = n.to_string();
            let start = Instant::now();
            now(on_a.set("probe", &value)).expect("a write");
            while now(on_b.get("probe")).expect("a read").as_deref() != Some(value.as_bytes()) {
                std::thread::yield_now();
            }
            start.elapsed()
        })
        .collect();
    delays.sort();
    let micros = |share: f64| delays[(delays.len() as f64 * share) as usize].as_secs_f64() * 1e6;
    println!(
        "  write on A until visible on B         median {:>7.0} us, 99th percentile {:>7.0} us",
        micros(0.5),
        micros(0.99)
    );

    let mut subscription = on_b.subscribe("chat").await.expect("a subscription");
    let heard = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&heard);
    let listener = tokio::spawn(async move {
        while let Some(event) = subscription.recv().await {
            if let Event::Message { .. } = event {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let payload = [7_u8; 128];
    let rates = (0..ROUNDS)
        .map(|_| {
            let before = heard.load(Ordering::Relaxed);
            let start = Instant::now();
            for n in 0..ROUND {
                now(on_a.publish("chat", &payload)).expect("a publish");
                while n > 32_768 && before + n - 32_768 > heard.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
            }
            while heard.load(Ordering::Relaxed) < before + ROUND {
                std::thread::yield_now();
            }
            millions(ROUND, start.elapsed())
        })
        .collect();
    println!("  messages of 128 bytes from A to B     {:>7.2} million a second", median(rates));
    let writes = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for n in 0..ROUND {
                now(on_a.hset("rooms", &name(n), "lobby")).expect("a write");
            }
            while a.stats().presence.unconfirmed_ops > 0 {
                std::thread::yield_now();
            }
            millions(ROUND, start.elapsed())
        })
        .collect();
    println!("  hset on A, replicated and confirmed   {:>7.2} million a second\n", median(writes));
    listener.abort();
    a.leave().await;
    b.leave().await;
}

async fn joiner() {
    let a = start("a", None).await;
    let presence = a.presence();
    for n in 0..MILLION {
        now(presence.sadd(&format!("set-{}", n % 1000), &n.to_string())).expect("a write");
    }
    let begin = Instant::now();
    let b = start("b", Some(&a)).await;
    println!("a joiner with a million rows is ready after {:.2} s", begin.elapsed().as_secs_f64());
    assert_eq!(a.digest(), b.digest());
    a.leave().await;
    b.leave().await;
}
