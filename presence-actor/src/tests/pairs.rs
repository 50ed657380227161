//! What two concurrent commands on one key mean: for every pair, from every state, in every order of stamps and arrival.
//!
//! The principle: the outcome is that of some serial order of the two on one node, and a write of data never loses to a removal
//! that had not seen it. The judge is a single node, whose replies [`super::commands`] checks.

use headcount_cluster::WallMs;

use super::world::World;
use crate::dot::Owner;
use crate::limits::Limits;
use crate::shared::list::End;
use crate::state::State;

pub(super) const KEY: &[u8] = b"k";
const SHARED: Owner = Owner::SHARED;

/// A command on the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Set(&'static str),
    Setex(&'static str, i64),
    Incrby(i64),
    Sadd(&'static str),
    Hset(&'static str, &'static str),
    Hincrby(&'static str, i64),
    Expire(i64),
    Persist,
    Del,
    Srem(&'static str),
    Hdel(&'static str),
    Rpush(&'static [&'static str]),
    Lpush(&'static [&'static str]),
    Rpop,
    Lpop,
}

use Command::{Del, Expire, Hdel, Hincrby, Hset, Incrby, Lpop, Lpush, Persist, Rpop, Rpush, Sadd, Set, Setex, Srem};

const COMMANDS: &[Command] = &[
    Set("7"),
    Set("x"),
    Setex("9", 300),
    Incrby(2),
    Sadd("a"),
    Sadd("c"),
    Hset("f", "7"),
    Hset("f", "x"),
    Hset("n", "1"),
    Hincrby("f", 2),
    Hincrby("n", 2),
    Expire(100),
    Expire(200),
    Expire(-1),
    Persist,
    Del,
    Srem("a"),
    Srem("b"),
    Hdel("f"),
    Hdel("g"),
    Rpush(&["a"]),
    Rpush(&["c", "d"]),
    Lpush(&["e", "f"]),
    Rpop,
    Lpop,
];

/// How the key comes to be what it is before the two commands. Odd ones are written by the other node.
const STATES: &[&[Command]] = &[
    &[],
    &[Set("5")],
    &[Set("x")],
    &[Incrby(3), Incrby(2)],
    &[Set("5"), Incrby(4)],
    &[Sadd("a")],
    &[Sadd("a"), Sadd("a"), Sadd("b")],
    &[Hset("f", "5")],
    &[Hset("f", "x"), Hset("g", "1")],
    &[Hincrby("f", 3), Hincrby("f", 2)],
    &[Set("5"), Expire(50)],
    &[Setex("5", 50)],
    &[Sadd("a"), Expire(50)],
    &[Hincrby("f", 3), Expire(50)],
    &[Rpush(&["a"])],
    &[Rpush(&["a", "b"]), Lpush(&["c"])],
    &[Rpush(&["a"]), Expire(50)],
];

impl Command {
    /// Runs it. Returns whether it was no error.
    fn run(self, node: &mut State, now: WallMs) -> bool {
        let error = match self {
            Set(value) => node.set(SHARED, KEY, value.as_bytes(), None, now).err(),
            Setex(value, seconds) => node.set(SHARED, KEY, value.as_bytes(), Some(seconds), now).err(),
            Incrby(by) => node.incrby(SHARED, KEY, by, now).err(),
            Sadd(member) => node.sadd(SHARED, KEY, &[member.as_bytes()], now).err(),
            Hset(field, value) => node.hset(SHARED, KEY, &[field.as_bytes(), value.as_bytes()], now).err(),
            Hincrby(field, by) => node.hincrby(SHARED, KEY, field.as_bytes(), by, now).err(),
            Expire(seconds) => node.expire(KEY, seconds, now).err(),
            Persist => node.persist(KEY, now).err(),
            Del => node.del(&[KEY], now).err(),
            Srem(member) => node.srem(KEY, &[member.as_bytes()], now).err(),
            Hdel(field) => node.hdel(KEY, &[field.as_bytes()], now).err(),
            Rpush(values) => node.push(SHARED, End::Right, KEY, &bytes(values), now).err(),
            Lpush(values) => node.push(SHARED, End::Left, KEY, &bytes(values), now).err(),
            Rpop => node.pop(End::Right, KEY, |_| None, now).err(),
            Lpop => node.pop(End::Left, KEY, |_| None, now).err(),
        };
        error.is_none()
    }

    /// Whether a node in this state takes it.
    fn is_taken(self, state: &[Command], now: WallMs) -> bool {
        let mut node = State::local(Limits::default(), 0);
        state.iter().all(|command| command.run(&mut node, now)) && self.run(&mut node, now)
    }

    fn writes_data(self) -> bool {
        matches!(self, Set(_) | Setex(..) | Incrby(_) | Sadd(_) | Hset(..) | Hincrby(..) | Rpush(_) | Lpush(_))
    }

    fn removes(self) -> bool {
        matches!(self, Del | Srem(_) | Hdel(_) | Expire(..=0) | Rpop | Lpop)
    }

    /// Two of these never run at once on one key: the key's home does one after the other ([`super::homed`]).
    fn is_homed(self) -> bool {
        matches!(self, Rpop | Lpop)
    }
}

fn bytes(values: &'static [&'static str]) -> Vec<&'static [u8]> {
    values.iter().map(|value| value.as_bytes()).collect()
}

/// What a reader sees of the key.
fn view(node: &State, now: WallMs) -> String {
    let text = |bytes: bytes::Bytes| String::from_utf8_lossy(&bytes).into_owned();
    let value = node.get(KEY, now).ok().flatten().map(text);
    let mut members: Vec<String> = node.smembers(KEY, now).unwrap_or_default().into_iter().map(text).collect();
    members.sort();
    let fields = node.hgetall(KEY, now).unwrap_or_default().into_iter();
    let mut fields: Vec<(String, String)> = fields.map(|(field, value)| (text(field), text(value))).collect();
    fields.sort();
    let ttl = node.ttl(KEY, now).unwrap().as_seconds();
    let list: Vec<String> = node.lrange(KEY, 0, -1, now).unwrap_or_default().into_iter().map(text).collect();
    format!("value {value:?} members {members:?} fields {fields:?} list {list:?} ttl {ttl}")
}

/// What one node shows after the commands.
fn serial(state: &[Command], commands: [Command; 2], now: WallMs) -> String {
    let mut node = State::local(Limits::default(), 0);
    for command in state.iter().chain(&commands) {
        command.run(&mut node, now);
    }
    view(&node, now)
}

/// What all nodes show when the commands run on two that have not heard of each other's.
fn concurrent(state: &[Command], commands: [Command; 2], one_first: bool) -> String {
    let (node, now) = concurrently(state, commands, one_first);
    view(&node, now)
}

/// A node after the commands have run on two that had not heard of each other's, for one order of stamps and of arrival at a
/// third; all show the same.
pub(super) fn concurrently(state: &[Command], [on_0, on_1]: [Command; 2], one_first: bool) -> (State, WallMs) {
    let mut world = World::new(3);
    for (n, command) in state.iter().enumerate() {
        let now = world.now;
        command.run(&mut world.nodes[n % 2], now);
        world.flush();
    }
    let now = world.now;
    if one_first {
        on_1.run(&mut world.nodes[1], now);
        on_0.run(&mut world.nodes[0], now.plus_ms(1));
    } else {
        on_0.run(&mut world.nodes[0], now);
        on_1.run(&mut world.nodes[1], now.plus_ms(1));
    }
    world.transmit(0, usize::MAX);
    world.transmit(1, usize::MAX);
    let order = if one_first { [0, 1] } else { [1, 0] };
    for from in order {
        while world.deliver(from, 2, false) {}
    }
    world.flush();
    world.check_invariants();
    let views: Vec<String> = world.nodes.iter().map(|node| view(node, now)).collect();
    assert!(views.iter().all(|view| *view == views[0]), "{state:?} {on_0:?} {on_1:?}: {views:#?}");
    (world.nodes.swap_remove(0), now)
}

#[test]
fn every_pair_of_concurrent_commands_has_a_serial_witness_and_no_write_loses_to_a_removal() {
    let now = WallMs(1_000_000);
    let mut wrong = Vec::new();
    for state in STATES {
        for first in COMMANDS {
            for second in COMMANDS.iter().filter(|second| !(first.is_homed() && second.is_homed())) {
                for one_first in [false, true] {
                    let shown = concurrent(state, [*first, *second], one_first);
                    let witnesses = [serial(state, [*first, *second], now), serial(state, [*second, *first], now)];
                    let case = format!("{state:?}, then {first:?} and {second:?}, stamps reversed: {one_first}");
                    if !witnesses.contains(&shown) {
                        wrong.push(format!("{case}:\n  {shown}\nis neither\n  {}\n  {}", witnesses[0], witnesses[1]));
                    } else if first.removes()
                        && second.writes_data()
                        && second.is_taken(state, now)
                        && shown != witnesses[0]
                    {
                        wrong.push(format!("{case}: the unseen write is lost:\n  {shown}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of the pairs:\n{}", wrong.len(), wrong.join("\n"));
}
