//! What watchers are told is what readers see: by a table, by hand, and by a copy that is kept from changes alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::noop_waker;
use headcount_cluster::WallMs;
use proptest::prelude::*;

use super::convergence::{self, Step};
use super::world::{World, member};
use crate::api::Presence;
use crate::dot::Owner;
use crate::error::Error;
use crate::limits::Limits;
use crate::local::LocalPresence;
use crate::pubsub::Mailbox;
use crate::reply::{Ttl, Type};
use crate::shared::list::End;
use crate::state::State;
use crate::watch::watches::{Selector, WatchId};
use crate::watch::{Change, ChangeKind, WatchEvent, Watching};

const SHARED: Owner = Owner::SHARED;

/// A watcher in a world.
struct Ear {
    selector: Selector,
    id: WatchId,
    mailbox: Arc<Mailbox<WatchEvent>>,
}

impl Ear {
    fn at(state: &mut State, selector: Selector, now: WallMs) -> Self {
        let (id, mailbox) = state.watch(&selector, now).unwrap();
        Self { selector, id, mailbox }
    }

    fn on_key(world: &mut World, node: usize, key: &str) -> Self {
        let now = world.now;
        Self::at(&mut world.nodes[node], Selector::Key(key.as_bytes().into()), now)
    }

    fn events(&self) -> Vec<WatchEvent> {
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        let mut events = Vec::new();
        while let Poll::Ready(Some(event)) = self.mailbox.poll_next(&mut context) {
            events.push(event);
        }
        events
    }

    fn changes(&self) -> Vec<Change> {
        let change = |event| match event {
            WatchEvent::Change(change) => change,
            WatchEvent::Gap { missed } => panic!("{missed} changes missed"),
        };
        self.events().into_iter().map(change).collect()
    }

    /// What was heard since, in words.
    fn hears(&self) -> Vec<String> {
        self.changes().iter().map(in_words).collect()
    }
}

/// `Set f:1>2 by n0` and the like; the deadline without its base.
fn in_words(change: &Change) -> String {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let value = |bytes: &Option<Bytes>| match (bytes, change.kind) {
        (None, _) => "-".to_owned(),
        (Some(at), ChangeKind::Deadline) => (text(at).parse::<u64>().unwrap() / 1_000_000).to_string(),
        (Some(bytes), _) => text(bytes),
    };
    let field = change.field.as_ref().map(|field| format!(" {}", text(field))).unwrap_or_default();
    let values = if change.old.is_none() && change.new.is_none() {
        String::new()
    } else {
        format!(" {}>{}", value(&change.old), value(&change.new))
    };
    let author = change.author.as_ref().map(|author| match &author.node {
        Some(node) => format!(" by {node}"),
        None => format!(" by {}", author.origin),
    });
    format!("{:?}{field}{values}{}", change.kind, author.unwrap_or_default())
}

type Do = fn(&mut State, WallMs);

/// What is there, what is done, and what both nodes' watchers hear of that.
const TABLE: &[(&str, Do, Do, &[&str])] = &[
    ("SET", |_, _| {}, |s, n| s.set(SHARED, b"k", b"v", None, n).unwrap(), &["Set ->v by n0"]),
    (
        "SET of the same value",
        |s, n| s.set(SHARED, b"k", b"v", None, n).unwrap(),
        |s, n| s.set(SHARED, b"k", b"v", None, n).unwrap(),
        &[],
    ),
    (
        "SETEX",
        |s, n| s.set(SHARED, b"k", b"v", None, n).unwrap(),
        |s, n| s.set(SHARED, b"k", b"w", Some(1_000_000), n).unwrap(),
        &["Set v>w by n0", "Deadline ->2000 by n0"],
    ),
    (
        "SET over a deadline",
        |s, n| s.set(SHARED, b"k", b"v", Some(1_000_000), n).unwrap(),
        |s, n| s.set(SHARED, b"k", b"w", None, n).unwrap(),
        &["Set v>w by n0", "Deadline 2000>- by n0"],
    ),
    (
        "SET over a hash",
        |s, n| {
            s.hset(SHARED, b"k", &[b"f", b"1", b"g", b"2"], n).unwrap();
        },
        |s, n| s.set(SHARED, b"k", b"v", None, n).unwrap(),
        &["Removed f 1>- by n0", "Removed g 2>- by n0", "Set ->v by n0"],
    ),
    (
        "SETEX over a hash with a deadline",
        |s, n| {
            s.hincrbyex(SHARED, b"k", b"f", 1, 1_000_000, n).unwrap();
        },
        |s, n| s.set(SHARED, b"k", b"v", Some(1_000_000), n).unwrap(),
        &["Removed f 1>- by n0", "Set ->v by n0", "Deadline ->2000 by n0"],
    ),
    (
        "INCRBY",
        |s, n| {
            s.incrby(SHARED, b"k", 5, n).unwrap();
        },
        |s, n| {
            s.incrby(SHARED, b"k", 2, n).unwrap();
        },
        &["Set 5>7 by n0"],
    ),
    (
        "SADD",
        |s, n| {
            s.sadd(SHARED, b"k", &[b"a"], n).unwrap();
        },
        |s, n| {
            s.sadd(SHARED, b"k", &[b"c", b"a", b"b"], n).unwrap();
        },
        &["Added b by n0", "Added c by n0"],
    ),
    (
        "SREM",
        |s, n| {
            s.sadd(SHARED, b"k", &[b"a", b"b"], n).unwrap();
        },
        |s, n| {
            s.srem(b"k", &[b"a", b"x"], n).unwrap();
        },
        &["Removed a by n0"],
    ),
    (
        "HSET",
        |s, n| {
            s.hset(SHARED, b"k", &[b"f", b"1", b"g", b"1"], n).unwrap();
        },
        |s, n| {
            s.hset(SHARED, b"k", &[b"f", b"2", b"g", b"1", b"h", b"3"], n).unwrap();
        },
        &["Set f 1>2 by n0", "Set h ->3 by n0"],
    ),
    (
        "HINCRBYEX",
        |_, _| {},
        |s, n| {
            s.hincrbyex(SHARED, b"k", b"f", 3, 1_000_000, n).unwrap();
        },
        &["Set f ->3 by n0", "Deadline ->2000 by n0"],
    ),
    (
        "HDEL of the last field",
        |s, n| {
            s.hincrbyex(SHARED, b"k", b"f", 3, 1_000_000, n).unwrap();
        },
        |s, n| {
            s.hdel(b"k", &[b"f"], n).unwrap();
        },
        &["Removed f 3>- by n0"],
    ),
    (
        "RPUSH and LPUSH",
        |s, n| {
            s.push(SHARED, End::Right, b"k", &[b"m"], n).unwrap();
        },
        |s, n| {
            s.push(SHARED, End::Right, b"k", &[b"x", b"y"], n).unwrap();
            s.push(SHARED, End::Left, b"k", &[b"a"], n).unwrap();
        },
        &["Pushed ->x by n0", "Pushed ->y by n0", "Pushed ->a by n0"],
    ),
    (
        "LPOP",
        |s, n| {
            s.push(SHARED, End::Right, b"k", &[b"x", b"y"], n).unwrap();
        },
        |s, n| {
            s.pop(End::Left, b"k", |_| None, n).unwrap();
        },
        &["Removed x>- by n0"],
    ),
    (
        "DEL",
        |s, n| {
            s.sadd(SHARED, b"k", &[b"a", b"b"], n).unwrap();
        },
        |s, n| {
            s.del(&[b"k"], n).unwrap();
        },
        &["Removed a by n0", "Removed b by n0"],
    ),
    (
        "EXPIRE and PERSIST",
        |s, n| {
            s.sadd(SHARED, b"k", &[b"a"], n).unwrap();
        },
        |s, n| {
            s.expire(b"k", 1_000_000, n).unwrap();
            s.persist(b"k", n).unwrap();
        },
        &["Deadline ->2000 by n0", "Deadline 2000>- by n0"],
    ),
    (
        "the end of a session",
        |s, n| {
            let session = Owner::session(0);
            s.sadd(session, b"k", &[b"a"], n).unwrap();
            s.sadd(session, b"k", &[b"b"], n).unwrap();
            s.sadd(SHARED, b"k", &[b"b"], n).unwrap();
        },
        |s, n| s.end_session(Owner::session(0), n),
        &["Removed a by n0"],
    ),
    ("another key", |_, _| {}, |s, n| s.set(SHARED, b"kk", b"v", None, n).unwrap(), &[]),
];

#[test]
fn each_command_is_heard_alike_on_the_node_that_writes_and_on_another() {
    for (name, before, what, expected) in TABLE {
        let mut world = World::new(2);
        // A round number, to read deadlines by.
        world.now = WallMs(1_000_000_000);
        let now = world.now;
        before(&mut world.nodes[0], now);
        world.flush();
        let ears = [0, 1].map(|node| Ear::on_key(&mut world, node, "k"));
        what(&mut world.nodes[0], now);
        world.flush();
        for ear in &ears {
            assert_eq!(ear.hears(), *expected, "{name}");
        }
    }
}

#[test]
fn rows_of_a_node_that_falls_silent_go_and_come_back_and_go_for_good_once() {
    let mut world = World::new(2);
    world.sadd_as(Owner::NODE, 1, "lobby", "bob");
    world.sadd(1, "lobby", "carol");
    world.flush();
    let ear = Ear::on_key(&mut world, 0, "lobby");
    world.down(1);
    assert_eq!(ear.hears(), ["Removed bob"]);
    let other = world.members[1].clone();
    world.nodes[0].handle_member_up(&other, world.now);
    assert_eq!(ear.hears(), ["Added bob"]);
    world.down(1);
    world.gone_at(0, 1);
    world.work();
    assert_eq!(ear.hears(), ["Removed bob"], "that its rows are dropped is nothing new");
}

#[test]
fn an_expiry_is_told_when_it_is_seen_and_once_whoever_removes_the_key() {
    let mut world = World::new(2);
    world.sadd(0, "k", "a");
    world.nodes[0].expire(b"k", 1, world.now).unwrap();
    world.flush();
    let ears = [0, 1].map(|node| Ear::on_key(&mut world, node, "k"));
    world.cut(0, 1);
    world.pass(1_000);
    for ear in &ears {
        assert_eq!(ear.hears(), ["Expired a"], "on node 1 too, which leaves the removal to node 0");
    }
    world.link(0, 1);
    world.settle();
    assert!(ears.iter().all(|ear| ear.hears().is_empty()));
    assert_eq!(world.nodes[1].stats().keys, 0);
}

#[test]
fn a_write_after_the_deadline_is_told_after_the_expiry_and_does_not_take_its_blame() {
    let mut world = World::new(1);
    world.nodes[0].set(SHARED, b"k", b"old", Some(1), world.now).unwrap();
    let ear = Ear::on_key(&mut world, 0, "k");
    world.now = world.now.plus_ms(1_000); // and nothing has looked at the clock
    world.set(0, "k", "new");
    assert_eq!(ear.hears(), ["Expired old>-", "Set ->new by n0"]);
}

#[test]
fn an_extension_that_comes_late_shows_the_key_again() {
    let mut world = World::new(2);
    world.sadd(0, "k", "a");
    world.sadd(0, "k", "b");
    world.nodes[0].expire(b"k", 1, world.now).unwrap();
    world.flush();
    let ear = Ear::on_key(&mut world, 1, "k");
    world.nodes[0].expire(b"k", 1_000_000, world.now).unwrap(); // and node 1 does not hear of it in time
    world.pass(1_000);
    assert_eq!(ear.hears(), ["Expired a", "Expired b"]);
    world.flush();
    let shown = ear.changes();
    let kinds: Vec<_> = shown.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Added, ChangeKind::Added, ChangeKind::Deadline]);
    assert_eq!(world.members_everywhere("k"), ["a", "b"]);
}

#[test]
fn a_deadline_that_is_set_in_the_past_expires_the_whole_key() {
    let mut world = World::new(2);
    world.sadd(0, "k", "a");
    world.flush();
    let ear = Ear::on_key(&mut world, 1, "k");
    world.nodes[0].expire(b"k", 1, world.now).unwrap();
    world.now = world.now.plus_ms(2_000);
    world.flush();
    assert_eq!(ear.hears()[0], "Expired a");
    assert!(world.smembers(1, "k").is_empty());
}

#[test]
fn who_begins_to_watch_is_not_told_of_what_it_did_not_see() {
    let mut world = World::new(1);
    world.nodes[0].set(SHARED, b"k", b"v", Some(1), world.now).unwrap();
    world.now = world.now.plus_ms(1_000);
    let ear = Ear::on_key(&mut world, 0, "k");
    world.work();
    assert!(ear.hears().is_empty());
}

#[test]
fn a_key_that_began_anew_after_an_expiry_that_another_was_to_remove_is_watched_as_any() {
    let mut world = World::new(2);
    world.nodes[1].set(SHARED, b"k", b"v", Some(1), world.now).unwrap();
    world.flush();
    world.cut(0, 1);
    world.pass(1_000);
    world.sadd(0, "k", "a");
    assert!(!world.nodes[0].needs_time(), "the old deadline is forgotten");
    let ear = Ear::on_key(&mut world, 0, "k");
    world.del(0, "k");
    assert_eq!(ear.hears(), ["Removed a by n0"]);
}

#[test]
fn a_snapshot_is_told_as_what_it_changes() {
    let limits = Limits { oplog_bytes: 0, ..Limits::default() };
    let mut world = World::with(2, &limits);
    for (key, member) in [("k", "a"), ("k", "b")] {
        world.sadd(0, key, member);
    }
    world.settle();
    let ear = Ear::on_key(&mut world, 1, "k");
    let loaded = world.nodes[1].stats().snapshots_loaded;
    world.cut(0, 1);
    world.srem(0, "k", "a");
    world.sadd(0, "k", "c");
    (0..3).for_each(|_| world.gossip(0)); // its history is forgotten
    world.link(0, 1);
    world.settle();
    assert!(world.nodes[1].stats().snapshots_loaded > loaded);
    assert_eq!(ear.hears(), ["Added c", "Removed a"], "and nobody is named");
}

#[test]
fn a_prefix_covers_what_begins_with_it_and_an_ended_watch_hears_nothing() {
    let mut world = World::new(1);
    let now = world.now;
    let prefix = |name: &str| Selector::Prefix(name.as_bytes().into());
    let rooms = Ear::at(&mut world.nodes[0], prefix("room:"), now);
    let all = Ear::at(&mut world.nodes[0], prefix(""), now);
    let ended = Ear::at(&mut world.nodes[0], prefix("room:"), now);
    assert_eq!(world.nodes[0].stats().watches, 3);
    world.nodes[0].unwatch(&ended.selector, ended.id);
    for key in ["room:1", "room", "room:", "lobby"] {
        world.sadd(0, key, "x");
    }
    let keys = |ear: &Ear| ear.changes().into_iter().map(|change| change.key).collect::<Vec<_>>();
    assert_eq!(keys(&rooms), ["room:1", "room:"]);
    assert_eq!(keys(&all), ["room:1", "room", "room:", "lobby"]);
    assert!(ended.hears().is_empty());
    world.nodes[0].unwatch(&rooms.selector, rooms.id);
    world.nodes[0].unwatch(&all.selector, all.id);
    assert_eq!(world.nodes[0].stats().watches, 0);
}

#[test]
fn a_slow_watcher_is_told_what_it_missed_and_starts_anew_from_what_is_there() {
    let limits = Limits { watcher_queue: 2, ..Limits::default() };
    let mut world = World::with(1, &limits);
    let ear = Ear::on_key(&mut world, 0, "k");
    for member in ["a", "b"] {
        world.sadd(0, "k", member);
    }
    assert_eq!(ear.hears().len(), 2, "at the cap nothing is missed");
    for member in ["c", "d", "e"] {
        world.sadd(0, "k", member);
    }
    assert_eq!(ear.events()[0], WatchEvent::Gap { missed: 1 });
    assert_eq!(world.nodes[0].stats().changes_missed, 1);
    world.sadd(0, "k", "f");
    let now = world.nodes[0].watched_now(&ear.selector, &ear.mailbox, world.now).unwrap();
    assert_eq!(now.len(), 6);
    world.sadd(0, "k", "g");
    assert_eq!(ear.hears(), ["Added g by n0"], "and what it already has is not told again");
}

#[test]
fn the_caps_hold_at_the_cap_and_refuse_one_past_it() {
    let limits = Limits { max_watches: 1, max_key_bytes: 2, ..Limits::default() };
    let mut state = State::local(limits, 0);
    let key = |name: &[u8]| Selector::Key(name.into());
    let too_long = state.watch(&key(b"abc"), WallMs(0));
    assert!(matches!(too_long, Err(Error::TooLarge { name: "max_key_bytes", .. })));
    let (id, mailbox) = state.watch(&key(b"ab"), WallMs(0)).unwrap();
    let past = state.watch(&key(b"a"), WallMs(0));
    assert!(matches!(past, Err(Error::TooMany { name: "max_watches", .. })));
    state.unwatch(&key(b"ab"), id);
    assert!(state.watch(&Selector::Prefix(b"ab"[..].into()), WallMs(0)).is_ok());
    state.close();
    assert!(matches!(state.watch(&key(b"a"), WallMs(0)), Err(Error::Closed)));
    assert!(matches!(state.watched_now(&key(b"ab"), &mailbox, WallMs(0)), Err(Error::Closed)));
}

/// Keys as a watcher knows them from changes alone.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Copy {
    strings: BTreeMap<Bytes, Bytes>,
    members: BTreeSet<(Bytes, Bytes)>,
    fields: BTreeMap<(Bytes, Bytes), Bytes>,
    /// With how often each is in the list.
    elements: BTreeMap<(Bytes, Bytes), usize>,
    deadlines: BTreeMap<Bytes, Bytes>,
}

impl Copy {
    /// What readers of a node see.
    fn read(state: &State, now: WallMs) -> Self {
        let mut copy = Self::default();
        for k in 0_u8..4 {
            let key = Bytes::copy_from_slice(&[b'k', k]);
            if let Ok(Some(value)) = state.get(&key, now) {
                copy.strings.insert(key.clone(), value);
            }
            for member in state.smembers(&key, now).unwrap_or_default() {
                copy.members.insert((key.clone(), member));
            }
            for (field, value) in state.hgetall(&key, now).unwrap_or_default() {
                copy.fields.insert((key.clone(), field), value);
            }
            for value in state.lrange(&key, 0, -1, now).unwrap_or_default() {
                *copy.elements.entry((key.clone(), value)).or_default() += 1;
            }
            if let Ok(Ttl::Remaining(left)) = state.ttl(&key, now) {
                let at = now.plus_ms(left.as_millis() as u64).0;
                copy.deadlines.insert(key, at.to_string().into());
            }
        }
        copy
    }

    fn holds(&self, key: &Bytes) -> bool {
        self.strings.contains_key(key)
            || self.members.iter().any(|(k, _)| k == key)
            || self.fields.keys().any(|(k, _)| k == key)
            || self.elements.keys().any(|(k, _)| k == key)
    }

    /// Replays a change, which must fit what is known.
    fn replay(&mut self, change: &Change) {
        let Change { key, kind, shape, field, old, new, .. } = change.clone();
        let slot = (key.clone(), field.clone().unwrap_or_default());
        let replaced = match (kind, shape) {
            (ChangeKind::Deadline, _) => match new {
                Some(at) => self.deadlines.insert(key.clone(), at),
                None => self.deadlines.remove(&key),
            },
            (_, Type::String) => match new {
                Some(value) => self.strings.insert(key.clone(), value),
                None => self.strings.remove(&key),
            },
            (_, Type::Hash) => match new {
                Some(value) => self.fields.insert(slot, value),
                None => self.fields.remove(&slot),
            },
            (ChangeKind::Added, Type::Set) => {
                assert!(self.members.insert(slot), "{change:?} is there");
                None
            }
            (_, Type::Set) => {
                assert!(self.members.remove(&slot), "{change:?} is not there");
                None
            }
            (ChangeKind::Pushed, Type::List) => {
                *self.elements.entry((key.clone(), new.unwrap())).or_default() += 1;
                None
            }
            (_, Type::List) => {
                let slot = (key.clone(), old.clone().unwrap());
                let count = self.elements.get_mut(&slot).unwrap_or_else(|| panic!("{change:?} is not there"));
                *count -= 1;
                self.elements.retain(|_, count| *count > 0);
                old.clone()
            }
        };
        assert_eq!(replaced, old, "{change:?}");
        if !self.holds(&key) {
            self.deadlines.remove(&key);
        }
    }
}

/// A step of the convergence tests, or what a node's membership says of another.
#[derive(Debug, Clone)]
enum Happening {
    Step(Step),
    Up(usize, usize),
    Down(usize, usize),
    Gone(usize, usize),
    /// A watcher comes late.
    Watch(usize),
}

const NODES: usize = 3;

fn happening() -> impl Strategy<Value = Happening> {
    let node = 0..NODES;
    prop_oneof![
        40 => convergence::step(NODES).prop_map(Happening::Step),
        2 => (node.clone(), node.clone()).prop_map(|(a, b)| Happening::Up(a, b)),
        2 => (node.clone(), node.clone()).prop_map(|(a, b)| Happening::Down(a, b)),
        1 => (node.clone(), node.clone()).prop_map(|(a, b)| Happening::Gone(a, b)),
        1 => node.prop_map(Happening::Watch),
    ]
}

/// Lets things happen to a world in which each node is watched, and compares after each what watchers and readers know.
fn watch_while(limits: &Limits, happenings: &[Happening]) {
    let mut world = World::with(NODES, limits);
    let mut ears = Vec::new();
    for node in 0..NODES {
        listen(&mut world, node, &mut ears);
    }
    for happening in happenings {
        let now = world.now;
        match happening {
            Happening::Step(step) => convergence::perform(&mut world, step),
            Happening::Up(at, node) if at != node => {
                let member = world.members[*node].clone();
                world.nodes[*at].handle_member_up(&member, now);
            }
            Happening::Down(at, node) if at != node => {
                let member = world.members[*node].clone();
                world.nodes[*at].handle_member_down(&member, now);
            }
            Happening::Gone(at, node) if at != node => world.gone_at(*at, *node),
            Happening::Up(..) | Happening::Down(..) | Happening::Gone(..) => {}
            Happening::Watch(node) => listen(&mut world, *node, &mut ears),
        }
        for (node, ear, copy) in &mut ears {
            ear.changes().iter().for_each(|change| copy.replay(change));
            let mut seen = Copy::read(&world.nodes[*node], world.now);
            if let Selector::Key(key) = &ear.selector {
                seen.keep_only(key);
            }
            assert_eq!(*copy, seen, "after {happening:?} on node {node}");
        }
    }
}

/// Two new watchers on a node: of a key, and of all keys, each with what is there already.
fn listen(world: &mut World, node: usize, ears: &mut Vec<(usize, Ear, Copy)>) {
    for selector in [Selector::Key(b"k\0"[..].into()), Selector::Prefix(b"k"[..].into())] {
        let now = world.now;
        let ear = Ear::at(&mut world.nodes[node], selector, now);
        let mut copy = Copy::default();
        let there = world.nodes[node].watched_now(&ear.selector, &ear.mailbox, now).unwrap();
        for change in &there {
            copy.replay(change);
        }
        ears.push((node, ear, copy));
    }
}

impl Copy {
    fn keep_only(&mut self, key: &[u8]) {
        self.strings.retain(|k, _| k == key);
        self.members.retain(|(k, _)| k == key);
        self.fields.retain(|(k, _), _| k == key);
        self.elements.retain(|(k, _), _| k == key);
        self.deadlines.retain(|k, _| k == key);
    }
}

proptest! {
    #![proptest_config(convergence::cases())]

    #[test]
    fn a_copy_kept_from_changes_is_what_readers_see(happenings in prop::collection::vec(happening(), 1..150)) {
        watch_while(&Limits::default(), &happenings);
    }

    #[test]
    fn a_copy_kept_from_changes_is_what_readers_see_of_snapshots_too(happenings in prop::collection::vec(happening(), 1..150)) {
        watch_while(&Limits { oplog_bytes: 0, ..Limits::default() }, &happenings);
    }
}

#[test]
fn a_return_after_gone_is_told_to_peers_and_is_nothing_new_at_home() {
    let mut world = World::new(2);
    world.sadd_as(Owner::NODE, 1, "lobby", "bob");
    world.settle();
    let ears = [0, 1].map(|node| Ear::on_key(&mut world, node, "lobby"));
    world.down(1);
    world.gone_at(0, 1);
    assert_eq!(ears[0].hears(), ["Removed bob"]);
    let me = member(1, 2);
    world.members[1] = me.clone();
    let now = world.now;
    world.nodes[1].handle_reincarnated(&me, now);
    world.introduce(0, 1);
    world.settle();
    assert_eq!(ears[0].hears(), ["Added bob by n1"]);
    assert!(ears[1].hears().is_empty());
}

/// A clock that goes with tokio's, which a test holds.
#[derive(Debug)]
struct Paused(tokio::time::Instant);

impl headcount_cluster::WallClock for Paused {
    fn now(&self) -> WallMs {
        WallMs(1_000_000 + self.0.elapsed().as_millis() as u64)
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_actor_a_watch_hears_of_an_expiry_though_nobody_writes() {
    use ChangeKind::{Deadline, Expired, Set};
    let clock = Arc::new(Paused(tokio::time::Instant::now()));
    let presence = LocalPresence::with(Limits::default(), clock);
    let mut watch = presence.watch("k").await.unwrap();
    presence.set("k", "v").await.unwrap();
    presence.expire("k", 100).await.unwrap();
    presence.expire("k", 10).await.unwrap();
    let mut heard = Vec::new();
    for _ in 0..4 {
        let Some(WatchEvent::Change(change)) = watch.recv().await else { panic!("the node runs") };
        heard.push((change.kind, change.author.is_some()));
    }
    assert_eq!(heard, [(Set, true), (Deadline, true), (Deadline, true), (Expired, false)]);
    assert_eq!(watch.current(), Ok(vec![]));
    assert_eq!(presence.exists("k").await, Ok(0));
}
