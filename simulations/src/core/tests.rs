use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use headcount::{ClusterPresence, MemberState, Presence};

use super::CoreWorld;
use crate::plan::{Fault, FaultKind, Settings};
use crate::play::play;
use crate::scenarios::{self, Scenario};
use crate::stage::{Look, Stage};

fn world(nodes: usize) -> CoreWorld {
    settled(CoreWorld::new(7, nodes, &Settings::default()))
}

fn settled(mut world: CoreWorld) -> CoreWorld {
    world.settle();
    world
}

impl CoreWorld {
    /// Lets time pass until something holds; returns how many milliseconds that took.
    fn until(&mut self, what: &str, deadline_ms: u64, holds: impl Fn(&Self) -> bool) -> u64 {
        let began = self.now_ms();
        while !holds(self) {
            assert!(self.now_ms() < began + deadline_ms, "not within {deadline_ms} ms: {what}\n{self:?}");
            self.advance_to(self.now_ms() + 10);
        }
        self.now_ms() - began
    }

    fn pass(&mut self, ms: u64) {
        self.advance_to(self.now_ms() + ms);
    }

    fn running(&self) -> Vec<Look> {
        (0..self.machines.len()).filter_map(|node| self.look(node)).collect()
    }

    /// All that run hold each other and nobody else for Up, are linked and ready, and hold the same rows.
    fn is_settled(&self) -> bool {
        let looks = self.running();
        let digest = |look: &Look| look.presence.shared().read(|state, _| state.digest());
        !looks.is_empty()
            && looks.iter().all(|look| {
                let others = || looks.iter().filter(|other| other.me != look.me);
                look.ready
                    && look.members.iter().all(|(_, state)| *state == MemberState::Up)
                    && look.linked.len() == looks.len() - 1
                    && look.members.len() == looks.len() - 1
                    && others().all(|other| look.linked.contains(&other.me))
                    && digest(look) == digest(&looks[0])
            })
    }

    fn settle(&mut self) -> u64 {
        self.until("all hold each other for Up, are linked, and agree", 30_000, Self::is_settled)
    }

    fn state_of(&self, node: usize, other: usize) -> Option<MemberState> {
        let name = format!("n{other}");
        let look = self.look(node)?;
        look.members.iter().find(|(member, _)| member.node.as_str() == name).map(|(_, state)| *state)
    }

    fn start_job<T: 'static>(
        &mut self,
        node: usize,
        commands: impl AsyncFnOnce(ClusterPresence) -> T + 'static,
    ) -> Rc<RefCell<Option<T>>> {
        let answer = Rc::new(RefCell::new(None));
        let place = Rc::clone(&answer);
        let presence = self.look(node).unwrap().presence;
        let taken = self.run(
            node,
            Box::pin(async move {
                let answer = commands(presence).await;
                *place.borrow_mut() = Some(answer);
            }),
        );
        assert!(taken);
        answer
    }

    fn on<T: 'static>(&mut self, node: usize, commands: impl AsyncFnOnce(ClusterPresence) -> T + 'static) -> T {
        let answer = self.start_job(node, commands);
        self.until("commands are answered", 20_000, |_| answer.borrow().is_some());
        answer.take().unwrap()
    }

    fn sadd(&mut self, node: usize, key: &'static str, member: &'static str) {
        self.on(node, async move |presence| presence.sadd(key, member).await.unwrap());
    }

    fn members_of(&mut self, node: usize, key: &'static str) -> usize {
        self.on(node, async move |presence| presence.scard(key).await.unwrap())
    }

    fn both_ways(&mut self, a: usize, b: usize, fault: impl Fn(usize, usize) -> Fault) {
        self.inject(&fault(a, b));
        self.inject(&fault(b, a));
    }

    fn split(&mut self, one: &[usize], other: &[usize], fault: impl Fn(usize, usize) -> Fault) {
        for a in one {
            for b in other {
                self.both_ways(*a, *b, &fault);
            }
        }
    }

    fn occurred_of(&self, kind: FaultKind) -> u64 {
        self.occurred().get(&kind).copied().unwrap_or_default()
    }
}

fn cut(from: usize, to: usize) -> Fault {
    Fault::Cut { from, to }
}

fn mend(from: usize, to: usize) -> Fault {
    Fault::Mend { from, to }
}

#[test]
fn five_nodes_find_each_other_and_hold_what_one_of_them_writes() {
    let mut world = CoreWorld::new(1, 5, &Settings::default());
    let took = world.settle();
    assert!(took < 5_000, "{took} ms");
    world.sadd(4, "lobby", "alice");
    world.until("all know alice", 100, |world| {
        world.running().iter().all(|look| look.presence.shared().read(|state, _| state.stats().rows) == 1)
    });
}

#[test]
fn a_crash_is_seen_in_two_to_four_seconds_and_is_gone_after_the_grace() {
    for seed in 0..10 {
        let mut world = settled(CoreWorld::new(seed, 5, &Settings { grace_ms: 10_000, ..Settings::default() }));
        world.pass(5_000);
        world.on(0, async |presence| presence.owned().sadd("lobby", "alice").await.unwrap());
        world.inject(&Fault::Crash { node: 0 });
        let down = world.until("all hold it for Down", 10_000, |world| {
            (1..5).all(|node| world.state_of(node, 0) == Some(MemberState::Down))
        });
        assert!((1_500..4_500).contains(&down), "{down} ms");
        assert_eq!(world.members_of(1, "lobby"), 0);
        let gone =
            world.until("all hold it for Gone", 15_000, |world| (1..5).all(|node| world.state_of(node, 0).is_none()));
        assert!((9_000..11_000).contains(&gone), "{gone} ms");
    }
}

#[test]
fn a_graceful_leave_is_known_to_all_at_once() {
    let mut world = world(5);
    world.inject(&Fault::Leave { node: 2 });
    let took = world.until("all hold it for Gone", 1_000, |world| {
        (0..5).filter(|node| *node != 2).all(|node| world.state_of(node, 2).is_none())
    });
    assert!(took <= 200, "{took} ms");
    assert!(world.look(2).is_none());
    assert_eq!(world.occurred_of(FaultKind::Leave), 1);
}

#[test]
fn both_sides_of_a_partition_go_on_and_agree_after_it() {
    let mut world = world(5);
    world.split(&[0, 1], &[2, 3, 4], cut);
    world.until("each side holds the other for Down", 10_000, |world| {
        world.state_of(0, 3) == Some(MemberState::Down) && world.state_of(3, 0) == Some(MemberState::Down)
    });
    world.pass(5_000);
    assert!(world.look(0).unwrap().linked.len() == 1);
    world.sadd(0, "lobby", "alice");
    world.sadd(4, "lobby", "bob");
    world.pass(1_000);
    assert_eq!(world.members_of(3, "lobby"), 1);
    world.split(&[0, 1], &[2, 3, 4], mend);
    let took = world.settle();
    assert!(took < 10_000, "{took} ms");
    assert_eq!(world.members_of(3, "lobby"), 2);
    assert!(world.occurred_of(FaultKind::Cut) > 10 && world.occurred_of(FaultKind::Mend) == 12);
}

#[test]
fn a_link_on_which_one_side_is_not_heard_is_given_up_and_made_again() {
    let mut world = world(3);
    world.inject(&cut(0, 1));
    world.until("the link is given up", 6_000, |world| world.look(1).unwrap().linked.len() == 1);
    world.sadd(0, "lobby", "alice");
    world.until("it arrives by the third", 3_000, |world| {
        world.look(1).unwrap().presence.shared().read(|state, _| state.stats().rows) == 1
    });
    world.inject(&mend(0, 1));
    world.settle();
}

#[test]
fn a_paused_process_hears_later_and_takes_a_new_incarnation_when_it_was_given_up() {
    let mut world = settled(CoreWorld::new(3, 3, &Settings { grace_ms: 5_000, ..Settings::default() }));
    let before = world.look(0).unwrap().me;
    world.inject(&Fault::Pause { node: 0 });
    assert!(world.look(0).unwrap().paused);
    world.sadd(1, "lobby", "alice");
    world.pass(1_000);
    world.inject(&Fault::Resume { node: 0 });
    assert_eq!(world.members_of(0, "lobby"), 1);
    world.pass(1_000);
    world.inject(&Fault::Pause { node: 0 });
    world.until("the others hold it for Gone", 12_000, |world| world.state_of(1, 0).is_none());
    world.inject(&Fault::Resume { node: 0 });
    world.settle();
    let after = world.look(0).unwrap().me;
    assert!(after.incarnation > before.incarnation);
    assert_eq!((world.occurred_of(FaultKind::Pause), world.occurred_of(FaultKind::Resume)), (2, 2));
}

#[test]
fn a_process_that_starts_again_under_its_name_replaces_the_dead_one_and_catches_up() {
    let mut world = world(3);
    world.sadd(0, "lobby", "alice");
    let before = world.look(0).unwrap().me;
    world.inject(&Fault::PowerOff { node: 0 });
    world.inject(&Fault::PowerOff { node: 0 });
    assert!(world.look(0).is_none());
    world.pass(500);
    world.inject(&Fault::Start { node: 0 });
    world.settle();
    assert!(world.look(0).unwrap().me.incarnation > before.incarnation);
    assert_eq!(world.members_of(0, "lobby"), 1);
    assert_eq!(world.occurred_of(FaultKind::PowerOff), 1);
    assert_eq!(world.occurred_of(FaultKind::Start), 1);
}

#[test]
fn a_clock_that_is_set_back_over_a_restart_repeats_no_incarnation() {
    let mut world = world(3);
    let before = world.look(1).unwrap().me;
    world.inject(&Fault::Crash { node: 1 });
    world.inject(&Fault::SetClock { node: 1, ahead_ms: -3_600_000 });
    world.inject(&Fault::Start { node: 1 });
    world.settle();
    assert!(world.look(1).unwrap().me.incarnation > before.incarnation);
    assert_eq!(world.occurred_of(FaultKind::SetClock), 1);
    let skewed = world.look(1).unwrap().presence.shared().now();
    world.heal();
    assert_eq!(world.look(1).unwrap().presence.shared().now().since_ms(skewed), 3_600_000);
}

#[test]
fn loss_and_repetition_hurt_nobody() {
    let mut world = world(3);
    world.split(&[0], &[1, 2], |from, to| Fault::Lose { from, to, percent: 20 });
    world.split(&[1], &[2], |from, to| Fault::Repeat { from, to, percent: 50 });
    world.sadd(0, "lobby", "alice");
    world.pass(60_000);
    assert!(world.is_settled(), "{world:?}");
    assert!(world.occurred_of(FaultKind::Lose) > 100);
    assert!(world.occurred_of(FaultKind::Repeat) > 100);
}

#[test]
fn what_is_stuck_arrives_all_at_once() {
    let mut world = world(2);
    world.inject(&Fault::Clog { from: 0, to: 1, ms: 1_500 });
    world.sadd(0, "lobby", "alice");
    world.pass(1_400);
    assert_eq!(world.members_of(1, "lobby"), 0);
    world.pass(200);
    assert_eq!(world.members_of(1, "lobby"), 1);
    assert!(world.occurred_of(FaultKind::Clog) > 1);
    assert!(world.is_settled());
}

#[test]
fn a_delay_lets_datagrams_overtake_each_other_and_streams_stay_in_order() {
    let mut world = world(2);
    world.both_ways(0, 1, |from, to| Fault::Delay { from, to, min_ms: 10, max_ms: 400 });
    for member in ["a", "b", "c", "d"] {
        world.sadd(0, "lobby", member);
        world.pass(1);
    }
    world.pass(20_000);
    assert!(world.is_settled());
    assert_eq!(world.members_of(1, "lobby"), 4);
    assert!(world.occurred_of(FaultKind::Delay) > 100);
}

#[test]
fn a_narrow_link_fills_the_outbox_and_catches_up_when_it_is_wide_again() {
    let mut world = world(2);
    world.inject(&Fault::Narrow { from: 0, to: 1, bytes_per_second: 50_000 });
    world.on(0, async |presence| {
        for n in 0..2_000 {
            presence.set(&format!("k{n}"), &vec![b'x'; 1_000]).await.unwrap();
        }
    });
    world.pass(10_000);
    let lacking = world.on(0, async |presence| presence.shared().read(|state, _| state.stats().unconfirmed_ops));
    assert!(lacking > 1_000, "{lacking}");
    assert_eq!(world.look(0).unwrap().linked.len(), 1, "bytes come in, so the link lives");
    world.inject(&Fault::Widen { from: 0, to: 1 });
    world.settle();
    assert!(world.occurred_of(FaultKind::Narrow) > 1);
    assert_eq!(world.occurred_of(FaultKind::Widen), 1);
}

#[test]
fn what_is_in_a_narrow_place_is_through_soon_after_it_is_wide_again() {
    for ends in [|world: &mut CoreWorld| world.inject(&Fault::Widen { from: 0, to: 1 }), CoreWorld::heal] {
        let mut world = world(2);
        world.inject(&Fault::Narrow { from: 0, to: 1, bytes_per_second: 200 });
        world.on(0, async |presence| presence.set("k", &vec![b'x'; 50_000]).await.unwrap());
        world.sadd(0, "lobby", "alice");
        world.pass(3_000);
        assert_eq!(world.members_of(1, "lobby"), 0);
        ends(&mut world);
        world.until("it arrives in order", 100, |world| {
            world.look(1).unwrap().presence.shared().read(|state, _| state.stats().rows) == 2
        });
        world.pass(10_000);
        assert!(world.is_settled(), "{world:?}");
    }
}

#[test]
fn a_joiner_takes_a_snapshot_and_takes_it_again_when_the_first_breaks() {
    let settings = Settings { oplog_bytes: 64 << 10, ..Settings::default() };
    for breaks in [false, true] {
        let mut world = settled(CoreWorld::new(5, 3, &settings));
        world.inject(&Fault::Crash { node: 2 });
        world.on(0, async |presence| {
            for n in 0..5_000 {
                presence.set(&format!("k{n}"), &vec![b'x'; 100]).await.unwrap();
            }
        });
        world.pass(20_000);
        if breaks {
            world.inject(&Fault::BreakSnapshot { from: 0, to: 2 });
            world.inject(&Fault::BreakSnapshot { from: 1, to: 2 });
        }
        world.inject(&Fault::Start { node: 2 });
        world.settle();
        assert_eq!(world.occurred_of(FaultKind::BreakSnapshot) > 0, breaks);
        let loaded = world.look(2).unwrap().presence.shared().read(|state, _| state.stats().rows);
        assert_eq!(loaded, 5_000);
    }
}

#[test]
fn a_blocked_pop_waits_in_virtual_time_and_gets_what_another_node_pushes() {
    let mut world = world(3);
    let popped = world.start_job(0, async |presence| presence.blpop("queue", Duration::from_secs(30)).await);
    let in_vain = world.start_job(1, async |presence| presence.blpop("nothing", Duration::from_millis(2_500)).await);
    world.pass(2_000);
    assert!(popped.borrow().is_none() && in_vain.borrow().is_none());
    world.on(2, async |presence| presence.rpush("queue", "job").await.unwrap());
    world.until("it is popped", 200, |_| popped.borrow().is_some());
    let (key, value) = popped.take().unwrap().unwrap().unwrap();
    assert_eq!((&key[..], &value[..]), (&b"queue"[..], &b"job"[..]));
    world.until("the other gives up", 1_000, |_| in_vain.borrow().is_some());
    assert_eq!(in_vain.take().unwrap().unwrap(), None);
}

#[test]
fn jobs_do_not_run_while_their_process_stands_still_and_end_with_it() {
    let mut world = world(2);
    let slept = world.start_job(0, async |_| tokio::time::sleep(Duration::from_secs(1)).await);
    let kept = Rc::new(());
    let held = Rc::clone(&kept);
    world.start_job(1, async move |_| {
        std::future::pending::<()>().await;
        drop(held);
    });
    world.inject(&Fault::Pause { node: 0 });
    world.pass(2_000);
    assert!(slept.borrow().is_none());
    world.inject(&Fault::Resume { node: 0 });
    assert!(slept.borrow().is_some());
    assert_eq!(Rc::strong_count(&kept), 2);
    world.inject(&Fault::Crash { node: 1 });
    assert_eq!(Rc::strong_count(&kept), 1);
    assert!(!world.run(1, Box::pin(async {})));
}

fn told(scenario: &Scenario, seed: u64) -> (CoreWorld, u64) {
    let plan = scenario.plan(seed, scenario.nodes, Duration::from_secs(20));
    let mut world = CoreWorld::of(&plan);
    let history = play(&plan, &mut world);
    // Clients end with the play, and their sessions with them.
    world.pass(1_000);
    (world, history.trace_hash)
}

/// What every story is for: whatever was done to the nodes, those that run agree again when it is over.
#[test]
fn every_story_ends_in_agreement() {
    for scenario in &scenarios::ALL {
        let (world, _) = told(scenario, 1);
        assert!(world.is_settled(), "{}: {world:?}", scenario.name);
    }
}

#[test]
fn a_story_is_told_the_same_way_twice() {
    let hash = |seed| told(&scenarios::ALL[0], seed).1;
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn one_seed_is_one_history_and_another_is_another() {
    let history = |seed| {
        let mut world = CoreWorld::new(seed, 4, &Settings::default());
        world.keep_lines();
        world.settle();
        world.inject(&Fault::Lose { from: 0, to: 1, percent: 10 });
        world.on(1, async |presence| presence.incr("n").await.unwrap());
        world.inject(&Fault::Crash { node: 2 });
        world.pass(3_000);
        world.inject(&Fault::Start { node: 2 });
        world.settle();
        (world.trace_hash(), world.lines().to_owned())
    };
    let (hash, lines) = history(1);
    assert_eq!((hash, lines), history(1));
    assert_ne!(hash, history(2).0);
}
