//! What clients do: few keys, so that they meet.
//!
//! Keys are named after what is done to them, because a checker can only judge what it knows the rules of: keys that never expire and never
//! change their type have a serial witness; the keys of `any:` get everything, and only have to converge. Values, members and elements
//! are unique (client and number), so that it can be told who wrote what is seen. A client stays with its node; those that block are apart,
//! so that they hold nobody else up. Messages carry `client.number`, rising for each client.

use super::{Dice, Draft};
use crate::plan::{Ask, Via};

/// A kind of thing that clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    /// Strings, counters, sets, hashes and lists with shared rows: what has a serial witness.
    Rows,
    /// Rows that belong to nodes and sessions, and sessions' ends.
    Owned,
    /// Everything on the same keys: types clash, keys expire.
    Clashes,
    /// Deadlines and what becomes of them.
    Expiries,
    /// Pushes and pops, some of which wait.
    Queues,
    /// `SET NX`, `GETSET`, counters that are counted at their homes.
    Homes,
    /// Subscriptions and messages.
    Topics,
    /// Subscribers that do not read for a while.
    Dawdling,
    /// Writes that wait for others to have them.
    Acknowledged,
    /// Compare-and-sets, locks that are kept and opened, and reads of what homes count.
    Exchanges,
    /// Copies of keys and topics, and who is present.
    Watching,
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Rows,
        Self::Owned,
        Self::Clashes,
        Self::Expiries,
        Self::Queues,
        Self::Homes,
        Self::Topics,
        Self::Dawdling,
        Self::Acknowledged,
        Self::Exchanges,
        Self::Watching,
    ];
}

/// How much of what clients do.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Clients of each node.
    pub clients: usize,
    /// How long it takes on average until somebody asks something again, all clients together, in milliseconds.
    pub gap_ms: u64,
    /// What they do, with weights.
    pub mix: Vec<(Activity, u64)>,
    /// Keys of each kind.
    pub keys: u64,
}

impl Workload {
    /// Some of everything: so many clients on each node, that many milliseconds apart.
    pub fn of_everything(gap_ms: u64) -> Self {
        Self { clients: 3, gap_ms, mix: Activity::ALL.map(|activity| (activity, 1)).to_vec(), keys: 3 }
    }

    /// Only this, each as often as its weight says.
    pub fn of(gap_ms: u64, mix: &[(Activity, u64)]) -> Self {
        Self { clients: 3, gap_ms, mix: mix.to_vec(), keys: 3 }
    }

    /// A seed's own mix. In a short storm clients ask faster.
    pub fn drawn(dice: &mut Dice, storm_ms: u64) -> Self {
        let mut mix: Vec<(Activity, u64)> = Vec::new();
        for activity in Activity::ALL {
            if dice.percent(60) {
                mix.push((activity, dice.spread(1, 16)));
            }
        }
        if mix.is_empty() {
            mix.push((Activity::Rows, 1));
        }
        let gap_ms = dice.spread(150, (storm_ms / 250).clamp(200, 1_500));
        Self { clients: dice.between(1, 4) as usize, gap_ms, mix, keys: dice.between(1, 4) }
    }

    /// Writes what clients do into a plan, from its beginning to its end.
    pub fn draw(&self, draft: &mut Draft) {
        let numbers = vec![0; draft.nodes * SLOTS];
        // Patterns have dice of their own: what else a seed draws stays.
        let (dice, patterns) = (draft.dice.fork(1), draft.dice.fork(3));
        let mut clients = Clients { dice, patterns, workload: self, numbers, copies: 0 };
        let mut at = 1_000;
        while at < draft.storm_ms {
            // A seed without weights has no clients.
            let Some(activity) = clients.dice.weighted(&self.mix) else { return };
            clients.act(draft, at, activity);
            at += clients.dice.between(1, 2 * self.gap_ms);
        }
    }
}

/// Numbers for clients that each node has; the last ones are for those that block, and the one before them for who subscribes to patterns.
const SLOTS: usize = 16;
const PATTERN_SLOT: usize = 11;
const FIRST_BLOCKING_SLOT: usize = 12;

/// A client's number.
fn client(node: usize, slot: usize) -> u32 {
    (node * SLOTS + slot) as u32
}

struct Clients<'a> {
    dice: Dice,
    patterns: Dice,
    workload: &'a Workload,
    /// How many unique values each client used.
    numbers: Vec<u64>,
    /// How many began to keep a copy.
    copies: usize,
}

/// Copies that are kept at most, all clients together: each takes note of every change.
const MOST_COPIES: usize = 30;

impl Clients<'_> {
    fn act(&mut self, draft: &mut Draft, at: u64, activity: Activity) {
        let node = self.dice.index(draft.nodes);
        let client = client(node, self.dice.index(self.workload.clients.min(PATTERN_SLOT)));
        match activity {
            Activity::Rows => {
                let words = self.rows(client);
                draft.command(at, client, node, Via::Shared, words);
            }
            Activity::Owned => self.owned(draft, at, client, node),
            Activity::Clashes => {
                let via = self.dice.one(&[Via::Shared, Via::Shared, Via::Shared, Via::Node, Via::Session]);
                let words = self.clash(client);
                draft.command(at, client, node, via, words);
            }
            Activity::Expiries => {
                let words = self.expiry(client);
                draft.command(at, client, node, Via::Shared, words);
            }
            Activity::Queues => self.queue(draft, at, client, node),
            Activity::Homes => {
                let (via, words) = self.home(client);
                draft.command(at, client, node, via, words);
            }
            Activity::Topics => {
                self.topic(draft, at, client, node);
                self.pattern(draft, at, node);
            }
            Activity::Dawdling => {
                let topic = self.key("topic");
                draft.ask(at, client, node, Ask::Subscribe { topic });
                draft.ask(at + 1, client, node, Ask::Dawdle);
                draft.ask(at + self.dice.between(500, 20_000), client, node, Ask::Listen);
            }
            Activity::Exchanges => {
                let ask = self.exchange(client);
                draft.ask(at, client, node, ask);
            }
            Activity::Watching => {
                let ask = self.watching(client);
                draft.ask(at, client, node, ask);
            }
            Activity::Acknowledged => {
                let via = self.dice.one(&[Via::Majority, Via::All, Via::Peer]);
                let words = self.rows(client);
                draft.command(at, client, node, via, words);
            }
        }
    }

    /// What has a serial witness.
    fn rows(&mut self, client: u32) -> String {
        let (member, unique) = (self.member(), self.unique(client));
        let amount = self.dice.between(1, 40) as i64 - 20;
        match self.dice.below(30) {
            0 | 1 => format!("SET {} {unique}", self.key("val")),
            2 => format!("DEL {}", self.key("val")),
            3 => format!("GET {}", self.key("val")),
            4 | 5 => format!("INCRBY {} {amount}", self.key("steady")),
            6 | 7 => format!("INCRBY {} {amount}", self.key("count")),
            8 => format!("SET {} {amount}", self.key("count")),
            9 => format!("DEL {}", self.key("count")),
            10 => format!("GET {}", self.key("count")),
            11..=13 => format!("SADD {} {member}", self.key("set")),
            14 => format!("SADD {} {member} {unique}", self.key("set")),
            15 => format!("SREM {} {member}", self.key("set")),
            16 => format!("DEL {}", self.key("set")),
            17 => format!("SMEMBERS {}", self.key("set")),
            18..=20 => format!("HSET {} {member} {unique}", self.key("hash")),
            21 => format!("HINCRBY {} n{member} {amount}", self.key("hash")),
            22 => format!("HDEL {} {member}", self.key("hash")),
            23 => format!("HDEL {} n{member}", self.key("hash")),
            24 => format!("DEL {}", self.key("hash")),
            25 => format!("HGETALL {}", self.key("hash")),
            26 => format!("RPUSH {} {unique}", self.key("list")),
            27 => format!("LPUSH {} {unique} {}", self.key("list"), self.unique(client)),
            28 => format!("DEL {}", self.key("list")),
            _ => format!("LRANGE {} 0 -1", self.key("list")),
        }
    }

    fn owned(&mut self, draft: &mut Draft, at: u64, client: u32, node: usize) {
        let via = self.dice.one(&[Via::Node, Via::Session]);
        let (key, unique) = (self.dice.below(self.workload.keys), self.unique(client));
        match self.dice.below(10) {
            0 => draft.ask(at, client, node, Ask::EndSession),
            1..=5 => draft.command(at, client, node, via, format!("SADD own:set:{key} {unique}")),
            6..=8 => draft.command(at, client, node, via, format!("HSET own:hash:{key} f{client} {unique}")),
            _ => draft.command(at, client, node, via, format!("HDEL own:hash:{key} f{client}")),
        }
    }

    fn clash(&mut self, client: u32) -> String {
        let (key, member, unique) = (self.key("any"), self.member(), self.unique(client));
        match self.dice.below(14) {
            0 => format!("SET {key} {unique}"),
            1 => format!("INCRBY {key} {}", self.dice.below(10)),
            2 | 3 => format!("SADD {key} {member}"),
            4 => format!("SREM {key} {member}"),
            5 | 6 => format!("HSET {key} {member} {unique}"),
            7 => format!("HDEL {key} {member}"),
            8 => format!("RPUSH {key} {unique}"),
            9 => format!("EXPIRE {key} {}", self.dice.between(1, 30)),
            10 => format!("PERSIST {key}"),
            11 => format!("HINCRBYEX {key} {member} 1 {}", self.dice.between(1, 20)),
            12 => format!("SINTER {key} {}", self.key("set")),
            _ => format!("DEL {key}"),
        }
    }

    fn expiry(&mut self, client: u32) -> String {
        let (once, any, unique) = (self.key("once"), self.key("any"), self.unique(client));
        let seconds = self.dice.between(1, 30);
        match self.dice.below(8) {
            0 | 1 => format!("SETEX {once} {} {unique}", self.dice.between(1, 10)),
            2 | 3 => format!("GET {once}"),
            4 => format!("TTL {once}"),
            5 => format!("SETEX {any} {seconds} {unique}"),
            6 => format!("EXPIRE {any} {seconds}"),
            _ => format!("PERSIST {any}"),
        }
    }

    fn queue(&mut self, draft: &mut Draft, at: u64, client: u32, node: usize) {
        let (queue, unique) = (self.key("queue"), self.unique(client));
        match self.dice.below(10) {
            0..=3 => draft.command(at, client, node, Via::Shared, format!("RPUSH {queue} {unique}")),
            4 => draft.command(at, client, node, Via::Shared, format!("LPUSH {queue} {unique}")),
            5 | 6 => draft.command(at, client, node, Via::Shared, format!("LPOP {queue}")),
            7 => draft.command(at, client, node, Via::Shared, format!("RPOP {queue}")),
            _ => self.blocked_pop(draft, at, node, &queue),
        }
    }

    /// A pop that waits, by a client of its own: for ever until it is given up, or with a timeout.
    fn blocked_pop(&mut self, draft: &mut Draft, at: u64, node: usize, queue: &str) {
        let waiting = client(node, FIRST_BLOCKING_SLOT + self.dice.index(SLOTS - FIRST_BLOCKING_SLOT));
        let second = self.key("queue");
        let name = self.dice.one(&["BLPOP", "BRPOP"]);
        if self.dice.percent(30) {
            draft.command(at, waiting, node, Via::Shared, format!("{name} {queue} {second} 0"));
            draft.ask(at + self.dice.between(100, 15_000), waiting, node, Ask::GiveUp);
        } else {
            let seconds = self.dice.between(1, 8);
            draft.command(at, waiting, node, Via::Shared, format!("{name} {queue} {second} {seconds}"));
        }
    }

    fn home(&mut self, client: u32) -> (Via, String) {
        let unique = self.unique(client);
        match self.dice.below(8) {
            0 | 1 => (Via::Shared, format!("SET {} {unique} NX", self.key("lock"))),
            2 => (Via::Shared, format!("DEL {}", self.key("lock"))),
            3 => (Via::Shared, format!("GET {}", self.key("lock"))),
            4 | 5 => (Via::Shared, format!("GETSET {} {unique}", self.key("swap"))),
            _ => (Via::Homed, format!("INCRBY {} 1", self.key("homed"))),
        }
    }

    fn exchange(&mut self, client: u32) -> Ask {
        let (key, unique) = (self.dice.below(self.workload.keys), self.unique(client));
        // All who want a lock give it the same life, so that keeping it never makes that shorter.
        let life = 3 + 2 * key as i64;
        let (lease, holder) = (format!("lease:{key}"), format!("holder{client}"));
        let command = |via, words| Ask::Command { via, words };
        let compare_and_set = |key, expected, new, seconds| Ask::CompareAndSet { key, expected, new, seconds };
        match self.dice.below(12) {
            0..=2 => command(Via::Shared, format!("SET {lease} {holder} NX EX {life}")),
            3 | 4 => compare_and_set(lease, Some(holder.clone()), Some(holder), Some(life)),
            5 => compare_and_set(lease, Some(holder), None, None),
            6 => command(Via::Shared, format!("GET {lease}")),
            7 => command(Via::Shared, format!("GET homed:{key}")),
            8 => command(Via::Homed, format!("INCRBY homed:{key} 1")),
            9 | 10 => compare_and_set(format!("swap:{key}"), None, Some(unique), None),
            _ => command(Via::Shared, format!("GET swap:{key}")),
        }
    }

    fn watching(&mut self, client: u32) -> Ask {
        let (room, unique) = (self.key("room"), self.unique(client));
        let kind =
            self.dice.one(&["val", "count", "set", "hash", "any", "own:set", "own:hash", "queue", "lease", "once"]);
        let key = self.key(kind);
        let is_copied = self.copies < MOST_COPIES;
        match self.dice.below(8) {
            0 | 1 if is_copied => {
                self.copies += 1;
                Ask::Watch { key }
            }
            2 if is_copied => {
                self.copies += 1;
                Ask::Follow { topic: room }
            }
            0..=2 | 7 => Ask::Untrack,
            _ => Ask::Track { topic: room, meta: unique },
        }
    }

    fn topic(&mut self, draft: &mut Draft, at: u64, client: u32, node: usize) {
        let topic = self.key("topic");
        match self.dice.below(10) {
            0 | 1 => draft.ask(at, client, node, Ask::Subscribe { topic }),
            2 => draft.ask(at, client, node, Ask::Unsubscribe { topic }),
            3 => {
                // As fast as can be: this is what outboxes and queues are for.
                for burst in 0..self.dice.between(5, 40) {
                    let unique = self.unique(client);
                    draft.command(at + burst, client, node, Via::Shared, format!("PUBLISH {topic} {unique}"));
                }
            }
            _ => {
                let unique = self.unique(client);
                draft.command(at, client, node, Via::Shared, format!("PUBLISH {topic} {unique}"));
            }
        }
    }

    /// Who subscribes to patterns does so less often than others to topics, because each has the messages of several.
    fn pattern(&mut self, draft: &mut Draft, at: u64, node: usize) {
        let pattern = self.patterns.one(&["topic:*", "*:0", "topic:?", "topic:[12]"]).to_owned();
        let ask = match self.patterns.below(20) {
            0 | 1 => Ask::SubscribePattern { pattern },
            2 => Ask::UnsubscribePattern { pattern },
            _ => return,
        };
        draft.ask(at, client(node, PATTERN_SLOT), node, ask);
    }

    fn key(&mut self, kind: &str) -> String {
        format!("{kind}:{}", self.dice.below(self.workload.keys))
    }

    fn member(&mut self) -> String {
        format!("m{}", self.dice.below(5))
    }

    fn unique(&mut self, client: u32) -> String {
        let number = &mut self.numbers[client as usize];
        *number += 1;
        format!("{client}.{}", *number - 1)
    }
}
