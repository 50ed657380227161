//! Which writes an operation takes away: what it names, as far as its author had observed it.
//!
//! Of each other author an operation says up to which number it takes what it names: the last write that was there. What its own author wrote before, it
//! takes without saying so. So it may take something that its author had seen taken away already, and does wherever that earlier removal has not come:
//! what its own author wrote, and what was written before something that was there. Anything else that its author had seen taken away it leaves to the
//! earlier removal. What is there of what a node knows is [`super::rows`]' to say.

use std::collections::BTreeMap;

use bytes::Bytes;
use headcount::Command;
use headcount_cluster::Origin;

use super::rows::{Known, Operation, Write};

/// A write that an operation names, as the operation's author saw it.
struct Named {
    at: usize,
    author: Origin,
    number: u64,
    /// Whether he knew of it.
    seen: Known,
    /// Whether it was there for him.
    there: Known,
}

/// Which writes an operation takes away, and whether it had observed them; of what earlier operations took away they say so already.
pub(super) fn taken_away(
    operations: &[Operation],
    writes: &[Write],
    of_name: &BTreeMap<Bytes, Vec<usize>>,
    index: usize,
) -> Vec<(usize, Known)> {
    let remover = &operations[index];
    let named = named(operations, writes, of_name, index);
    let mut last_there: BTreeMap<(Origin, Known), u64> = BTreeMap::new();
    for one in &named {
        let last = last_there.entry((one.author, one.there)).or_default();
        *last = one.number.max(*last);
    }
    let is_up_to = |one: &Named, there| last_there.get(&(one.author, there)).is_some_and(|last| one.number <= *last);
    let covers = |one: &Named| {
        if one.author == remover.author || is_up_to(one, Known::Yes) {
            Known::Yes
        } else if is_up_to(one, Known::Maybe) {
            Known::Maybe
        } else {
            Known::No
        }
    };
    named
        .iter()
        .map(|one| (one.at, one.seen.min(covers(one))))
        .filter(|(at, seen)| *seen != Known::No && !has_taken(operations, &writes[*at], remover))
        .collect()
}

/// The writes that an operation names; of some it names only what it finds.
fn named(
    operations: &[Operation],
    writes: &[Write],
    of_name: &BTreeMap<Bytes, Vec<usize>>,
    index: usize,
) -> Vec<Named> {
    let remover = &operations[index];
    let as_seen = |at: usize| {
        let (write, by) = (&writes[at], &operations[writes[at].operation]);
        let seen = if write.operation == index { Known::No } else { remover.had_seen(by) };
        let there = match seen {
            Known::No => Known::No,
            Known::Maybe | Known::Yes => seen.min(seen_taken(operations, write, remover).opposite()),
        };
        Named { at, author: by.author, number: by.numbers.1, seen, there }
    };
    let under = |name: &Bytes| of_name.get(name).into_iter().flatten().map(|at| as_seen(*at));
    match taken(&remover.command) {
        Taken::Nothing => Vec::new(),
        Taken::All => (0..writes.len()).map(as_seen).collect(),
        Taken::Names(names) => names.iter().flat_map(under).collect(),
        Taken::Found(names) => names.iter().flat_map(|name| if_found(under(name).collect())).collect(),
    }
}

/// What is under a name, when anything of it is there.
fn if_found(mut under: Vec<Named>) -> Vec<Named> {
    let is_found = under.iter().map(|one| one.there).max().unwrap_or(Known::No);
    for one in &mut under {
        one.seen = one.seen.min(is_found);
    }
    under
}

/// Whether an operation's author had seen that a write was taken away.
pub(super) fn seen_taken(operations: &[Operation], write: &Write, by: &Operation) -> Known {
    let takers = write.taken_by.iter().map(|(taker, seen)| by.had_seen(&operations[*taker]).min(*seen));
    takers.max().unwrap_or(Known::No)
}

/// Whether an operation's author took a write away before: who knows the operation knows that too.
fn has_taken(operations: &[Operation], write: &Write, by: &Operation) -> bool {
    let is_his = |taker: &Operation| taker.author == by.author && by.had_seen(taker) == Known::Yes;
    write.taken_by.iter().any(|(taker, seen)| *seen == Known::Yes && is_his(&operations[*taker]))
}

/// What a command takes away, as far as it has observed it.
enum Taken {
    Nothing,
    /// What is under these names.
    Names(Vec<Bytes>),
    /// What is under those of these names that are there.
    Found(Vec<Bytes>),
    All,
}

fn taken(command: &Command) -> Taken {
    match command {
        Command::Del { .. } | Command::Set { .. } => Taken::All,
        Command::Srem { members, .. } => Taken::Found(members.clone()),
        Command::Hdel { fields, .. } => Taken::Found(fields.clone()),
        Command::Hset { pairs, .. } => Taken::Names(pairs.iter().map(|(field, _)| field.clone()).collect()),
        _ => Taken::Nothing,
    }
}

/// Whether a command takes away what it has observed under a name.
pub(super) fn takes(command: &Command, name: &Bytes) -> bool {
    match taken(command) {
        Taken::Nothing => false,
        Taken::Names(names) | Taken::Found(names) => names.contains(name),
        Taken::All => true,
    }
}
