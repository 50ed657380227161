//! Whether the suite covers what there is, and whether the README says what the suite holds.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use headcount::{Tracking, Watching};

use crate::backend::Backend;
use crate::differs::{Differs, Watches};

/// All cases, as text.
const CASES: [&str; 12] = [
    include_str!("blocking_pops.rs"),
    include_str!("counters.rs"),
    include_str!("hashes.rs"),
    include_str!("keys.rs"),
    include_str!("limits.rs"),
    include_str!("lists.rs"),
    include_str!("ownership.rs"),
    include_str!("sets.rs"),
    include_str!("strings.rs"),
    include_str!("topics.rs"),
    include_str!("types.rs"),
    include_str!("words.rs"),
];

/// Errors that take more than a command to bring about, and where they are tested instead.
const ELSEWHERE: [(&str, &str); 5] = [
    ("ForeignType", include_str!("../redis/commands.rs")),
    ("NotConfirmed", include_str!("../acknowledgement.rs")),
    ("TryAgain", include_str!("../homes.rs")),
    ("OutcomeUnknown", include_str!("../../../presence-actor/src/tests/homed/views.rs")),
    ("RefusedByHome", include_str!("../homes.rs")),
];

/// A row of the README's table: methods, and in which words a backend has them.
struct Row {
    methods: &'static str,
    /// What the words are about, where the methods stand in other rows too.
    about: &'static str,
    told: fn(&Differs) -> &'static str,
}

const fn row(methods: &'static str, told: fn(&Differs) -> &'static str) -> Row {
    Row { methods, about: "", told }
}

const TABLE: [Row; 14] = [
    row("exists del expire persist ttl", |differs| differs.writes.told()),
    row("set setex get", |differs| differs.writes.told()),
    row("sadd srem smembers sismember scard sinter", |differs| differs.writes.told()),
    row("hset hset_multiple hget hgetall hexists hdel hlen", |differs| differs.writes.told()),
    row("rpush lpush llen lrange", |differs| differs.writes.told()),
    row("incr decr incrby hincrby hincrbyex", |differs| differs.counts.told()),
    row("homed", |differs| differs.homed.told()),
    row("rpop lpop set_nx set_nx_ex getset compare_and_set compare_and_set_ex", |differs| differs.exchanges.told()),
    row("brpop blpop", |differs| differs.waits.told()),
    row("acknowledged", |differs| differs.acknowledges.told()),
    row("subscribe psubscribe unsubscribe channels", |_| "yes"),
    row("publish", |differs| differs.addresses.told()),
    Row { methods: "owned session", about: "on strings, sets, hashes, counters", told: |differs| differs.owned.told() },
    Row { methods: "owned session", about: "on elements of lists", told: |differs| differs.owned_elements.told() },
];

/// What is not of the trait `Presence`.
const BESIDES: Row = row("track watch", |differs| differs.watches.told());

/// The methods that a trait's source declares.
fn methods(source: &str) -> BTreeSet<&str> {
    let (_, body) = source.split_once("pub trait Presence").expect("the trait is there");
    let declared = body.lines().filter_map(|line| line.strip_prefix("    fn "));
    declared.map(|rest| rest.split(['(', '<']).next().unwrap_or_default()).collect()
}

fn trait_methods() -> BTreeSet<&'static str> {
    let methods = methods(include_str!("../../../presence-actor/src/api.rs"));
    assert!(methods.len() > 40 && methods.contains("hset_multiple"), "{methods:?}");
    methods
}

#[test]
fn every_method_of_the_trait_is_in_a_case() {
    let in_a_case = |method: &&str| CASES.iter().any(|cases| calls(cases, method));
    let missing: Vec<&str> = trait_methods().into_iter().filter(|method| !in_a_case(method)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "in no case of the suite");
}

/// Whether a text calls a method: itself, or by the macros of `types` and `limits`.
fn calls(text: &str, method: &str) -> bool {
    [format!(".{method}("), format!(", {method}("), format!("::{method})")].iter().any(|call| text.contains(call))
}

#[test]
fn every_error_is_in_a_case_or_tested_elsewhere() {
    let source = include_str!("../../../presence-actor/src/error.rs");
    let (_, body) = source.split_once("pub enum Error {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let variants =
        body.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| line.starts_with(char::is_uppercase));
    let variants: Vec<&str> = variants.map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap()).collect();
    assert!(variants.len() > 15 && variants.contains(&"Overflow"), "{variants:?}");
    for variant in variants {
        let name = format!("Error::{variant}");
        let named = |text: &str| {
            text.match_indices(&name).any(|(at, _)| !text[at + name.len()..].starts_with(char::is_alphanumeric))
        };
        let elsewhere = ELSEWHERE.iter().find(|(error, _)| *error == variant);
        match elsewhere {
            Some((_, test)) => assert!(named(test), "{name} is not tested where it is said to be"),
            None => assert!(CASES.iter().any(|cases| named(cases)), "{name} is in no case"),
        }
    }
}

#[test]
fn every_method_has_its_row_in_the_table() {
    let told: BTreeSet<&str> = TABLE.iter().flat_map(|row| row.methods.split(' ')).collect();
    assert_eq!(told, trait_methods());
}

/// What is told of the backends: the heads of their columns, and how each differs.
fn backends() -> Vec<(&'static str, Differs)> {
    let mut backends = Vec::new();
    macro_rules! column {
        ($module:ident, $backend:ty;) => {
            backends.push((<$backend>::NAME, <$backend>::DIFFERS));
        };
    }
    backends! { column! {} }
    backends
}

#[test]
fn the_readme_has_the_table_of_the_suite() {
    let readme = include_str!("../../../README.md");
    let backends = backends();
    let names: Vec<&str> = backends.iter().map(|(name, _)| *name).collect();
    let head = format!("| method | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    let (_, table) =
        readme.split_once(&head).unwrap_or_else(|| panic!("the README has no table with the head\n{head}"));
    let told: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let rows = TABLE.iter().chain([&BESIDES]).map(|row| {
        let methods: Vec<String> = row.methods.split(' ').map(|method| format!("`{method}`")).collect();
        let cells: Vec<&str> = backends.iter().map(|(_, differs)| (row.told)(differs)).collect();
        format!("| {} | {} |", [&methods.join(", "), row.about].join(" ").trim(), cells.join(" | "))
    });
    assert_eq!(told, rows.collect::<Vec<String>>());
}

/// Says of a type whether it has `track` and `watch`: its own constant where it has, the trait's where not.
struct Watched<T>(PhantomData<T>);

trait IsNotWatched {
    const ANSWER: Watches = Watches::NotThere;
}

impl<T> IsNotWatched for Watched<T> {}

impl<T: Tracking + Watching> Watched<T> {
    const ANSWER: Watches = Watches::Yes;
}

#[test]
fn tracking_and_watching_are_there_where_the_table_says_so() {
    macro_rules! check {
        ($module:ident, $backend:ty;) => {
            assert_eq!(Watched::<<$backend as Backend>::Presence>::ANSWER, <$backend>::DIFFERS.watches);
        };
    }
    backends! { check! {} }
}
