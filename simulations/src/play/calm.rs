//! What is asked in the calm: of every node the same few things that a whole cluster has to do at once.
//!
//! Nothing of it is in a plan, so that every history ends with it, whatever was drawn. Asked is once clients have given up what they waited for, and early
//! enough that all of it has come to rest again at the end. Each thing that may have to wait has a client of its own, but for calls to homes: a plan
//! may let a node have only one of them open.

use crate::plan::{Ask, Via};

/// The first of those who ask; a plan's clients have lower numbers.
const FIRST_CLIENT: u32 = 1_000_000;
/// How many there are at each node.
const CLIENTS: u32 = 8;

/// The keys that are asked about, but for those of one node.
const SET: &str = "calm:set";
const COUNT: &str = "calm:count";
const TOPIC: &str = "calm:topic";

/// What a node is asked, so many milliseconds after the others began, and by whom.
pub(super) fn questions(node: usize) -> Vec<(u64, u32, Ask)> {
    let lock = format!("calm:lock:{node}");
    let line = format!("calm:line:{node}");
    let command = |via, words: String| Ask::Command { via, words };
    let shared = |words: String| command(Via::Shared, words);
    let questions = vec![
        (0, 0, Ask::Subscribe { topic: TOPIC.to_owned() }),
        // A subscription that was answered too early does not hear this one.
        (1, 1, shared(format!("PUBLISH {TOPIC} early.{node}"))),
        (0, 2, command(Via::Peer, format!("SADD {SET} peer.{node}"))),
        (0, 3, command(Via::Majority, format!("SADD {SET} majority.{node}"))),
        (0, 4, command(Via::All, format!("SADD {SET} all.{node}"))),
        (0, 5, command(Via::Homed, format!("INCRBY {COUNT} 1"))),
        (2_500, 1, shared(format!("PUBLISH {TOPIC} late.{node}"))),
        // It is over, and the key removed, well before the end.
        (2_500, 5, shared(format!("SET {lock} n{node} NX EX 5"))),
        (2_500, 2, shared(format!("RPUSH {line} {node}"))),
        (5_000, 6, shared(format!("BLPOP {line} 5"))),
        (5_000, 2, shared(format!("GET {COUNT}"))),
        (5_000, 3, shared(format!("SMEMBERS {SET}"))),
    ];
    let client = |slot| FIRST_CLIENT + node as u32 * CLIENTS + slot;
    questions.into_iter().map(|(after, slot, ask)| (after, client(slot), ask)).collect()
}
