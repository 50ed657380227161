//! What users are told of concurrent commands: the table of the README, line by line, with cases that hold each line to it.
//!
//! [`super::pairs`] judges every pair by the principle; here the outcomes are written down. A line of the README that is not in
//! this table, or says another thing, fails the build.

use headcount_cluster::WallMs;

use super::pairs::Command::{
    self, Del, Expire, Hdel, Hincrby, Hset, Incrby, Lpop, Lpush, Persist, Rpop, Rpush, Sadd, Set, Setex, Srem,
};
use super::pairs::{KEY, concurrently};
use crate::state::State;

/// What the key shows afterwards: when the first command has the later stamp, and when the second has.
type Shown = (&'static str, &'static str);

struct Conflict {
    pair: &'static str,
    result: &'static str,
    /// What is there before, the two commands, and what is shown.
    cases: &'static [(&'static [Command], Command, Command, Shown)],
}

/// The same whichever is later.
const fn both(shown: &'static str) -> Shown {
    (shown, shown)
}

const CONFLICTS: &[Conflict] = &[
    Conflict {
        pair: "`SET` / `SET`, `HSET` / `HSET` of one field",
        result: "the later by clock",
        cases: &[
            (&[], Set("1"), Set("2"), ("1", "2")),
            (&[Set("0")], Set("x"), Setex("2", 300), ("x", "2 ttl 300")),
            (&[Hset("f", "0")], Hset("f", "1"), Hset("f", "2"), ("{f:1}", "{f:2}")),
        ],
    },
    Conflict {
        pair: "`HSET` / `HSET` of two fields, `SADD` / `SADD`",
        result: "both",
        cases: &[(&[], Hset("f", "1"), Hset("g", "2"), both("{f:1,g:2}")), (&[], Sadd("a"), Sadd("b"), both("{a,b}"))],
    },
    Conflict {
        pair: "`SET` / `DEL`, `HSET` / `HDEL`",
        result: "the write stays",
        cases: &[
            (&[Set("0")], Set("1"), Del, both("1")),
            (&[Hset("f", "0")], Hset("f", "1"), Hdel("f"), both("{f:1}")),
        ],
    },
    Conflict {
        pair: "`SADD` / `SREM` of one member",
        result: "the addition stays",
        cases: &[(&[Sadd("a")], Sadd("a"), Srem("a"), both("{a}"))],
    },
    Conflict {
        pair: "`DEL` / `SADD`, `HSET`, `RPUSH`",
        result: "what `DEL` saw goes, what it had not seen stays",
        cases: &[
            (&[Sadd("a")], Sadd("b"), Del, both("{b}")),
            (&[Hset("f", "1")], Hset("g", "2"), Del, both("{g:2}")),
            (&[Rpush(&["a"])], Rpush(&["b"]), Del, both("[b]")),
        ],
    },
    Conflict {
        pair: "`INCR` / `INCR`, `HINCRBY` / `HINCRBY`",
        result: "both count",
        cases: &[
            (&[Set("5")], Incrby(1), Incrby(2), both("8")),
            (&[], Hincrby("f", 1), Hincrby("f", 2), both("{f:3}")),
        ],
    },
    Conflict {
        pair: "`INCR` / `DEL`, `HINCRBY` / `HDEL`",
        result: "what the removal saw goes, the other increment stays alone",
        cases: &[
            (&[Incrby(40)], Incrby(2), Del, both("2")),
            (&[Hincrby("f", 40)], Hincrby("f", 2), Hdel("f"), both("{f:2}")),
        ],
    },
    Conflict {
        pair: "`INCR` / `SET`, `HINCRBY` / `HSET`",
        result: "the value and the increments it had not seen; the value alone when it is no integer",
        cases: &[
            (&[Set("5")], Incrby(2), Set("40"), both("42")),
            (&[Set("5")], Incrby(2), Set("x"), both("x")),
            (&[Hincrby("f", 5)], Hincrby("f", 2), Hset("f", "40"), both("{f:42}")),
            (&[], Hincrby("f", 2), Hset("f", "x"), both("{f:x}")),
        ],
    },
    Conflict {
        pair: "`EXPIRE` / `EXPIRE`",
        result: "the later deadline",
        cases: &[(&[Set("v")], Expire(100), Expire(200), both("v ttl 200"))],
    },
    Conflict {
        pair: "`EXPIRE` / `PERSIST`, `EXPIRE` / `SET`",
        result: "no deadline; `SETEX` brings its own",
        cases: &[
            (&[Setex("v", 50)], Expire(100), Persist, both("v")),
            (&[Sadd("a"), Expire(50)], Expire(100), Persist, both("{a}")),
            (&[Set("v")], Expire(100), Set("w"), both("w")),
            (&[Set("v")], Expire(100), Setex("w", 300), both("w ttl 300")),
        ],
    },
    Conflict {
        pair: "expiry / any write",
        result: "a write that had not seen the expiry stays",
        cases: &[
            (&[Set("v")], Expire(-1), Set("w"), both("w")),
            (&[Sadd("a")], Expire(-1), Sadd("b"), both("{b}")),
            (&[Rpush(&["a"])], Expire(-1), Lpush(&["b"]), both("[b]")),
        ],
    },
    Conflict {
        pair: "two types under one key",
        result: "the string where one was `SET`, otherwise the later; the other is hidden and counted (`type_conflicts`)",
        cases: &[
            (&[], Set("v"), Sadd("a"), both("v")),
            (&[], Sadd("a"), Hset("f", "1"), ("{a}", "{f:1}")),
            (&[], Rpush(&["a"]), Incrby(1), ("[a]", "1")),
        ],
    },
    Conflict {
        pair: "`RPUSH` / `RPUSH`, `LPUSH` / `LPUSH`",
        result: "both, the elements of each together, in one order everywhere",
        cases: &[
            (&[Rpush(&["a"])], Rpush(&["b", "c"]), Rpush(&["d"]), ("[a,d,b,c]", "[a,b,c,d]")),
            (&[Rpush(&["a"])], Lpush(&["b", "c"]), Lpush(&["d"]), ("[d,c,b,a]", "[c,b,d,a]")),
            (&[], Rpush(&["b"]), Lpush(&["a"]), both("[a,b]")),
        ],
    },
    Conflict {
        pair: "push / pop",
        result: "both",
        cases: &[
            (&[Rpush(&["a"])], Rpush(&["b"]), Lpop, both("[b]")),
            (&[Rpush(&["a"])], Rpush(&["b"]), Rpop, both("[b]")),
        ],
    },
    Conflict {
        pair: "pop / pop, `SET NX` / `SET NX`, `homed()` counts",
        result: "one after the other at the key's home: see below",
        cases: &[],
    },
    Conflict {
        pair: "a write / the death of its owner",
        result: "hidden while the owner is Down, shown on its return, dropped when it is Gone",
        cases: &[],
    },
];

/// What the key shows, in short.
fn shown(node: &State, now: WallMs) -> String {
    let text = |bytes: bytes::Bytes| String::from_utf8_lossy(&bytes).into_owned();
    let mut shown = node.get(KEY, now).ok().flatten().map(text).unwrap_or_default();
    let mut inner: Vec<String> = node.smembers(KEY, now).unwrap_or_default().into_iter().map(text).collect();
    let fields = node.hgetall(KEY, now).unwrap_or_default();
    inner.extend(fields.into_iter().map(|(field, value)| format!("{}:{}", text(field), text(value))));
    inner.sort();
    let list: Vec<String> = node.lrange(KEY, 0, -1, now).unwrap_or_default().into_iter().map(text).collect();
    if !inner.is_empty() {
        shown = format!("{{{}}}", inner.join(","));
    } else if !list.is_empty() {
        shown = format!("[{}]", list.join(","));
    }
    match node.ttl(KEY, now).unwrap().as_seconds() {
        ttl @ 0.. => format!("{shown} ttl {ttl}"),
        _ => shown,
    }
}

#[test]
fn each_line_of_the_table_holds() {
    for conflict in CONFLICTS {
        for (before, first, second, (first_later, second_later)) in conflict.cases {
            for (one_first, expected) in [(false, second_later), (true, first_later)] {
                let (node, now) = concurrently(before, [*first, *second], one_first);
                let case = format!("{}: {before:?}, then {first:?} and {second:?}", conflict.pair);
                assert_eq!(shown(&node, now), *expected, "{case}, the first later: {one_first}");
            }
        }
    }
}

#[test]
fn the_readme_tells_users_this_table() {
    let readme = include_str!("../../../README.md");
    let (_, table) = readme.split_once("| at once | outcome |\n|---|---|\n").expect("the README has the table");
    let told: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let known: Vec<String> = CONFLICTS.iter().map(|line| format!("| {} | {} |", line.pair, line.result)).collect();
    assert_eq!(told, known);
}
