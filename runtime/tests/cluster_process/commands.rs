//! What is written on one node is read on the others.
//!
//! The writers take turns, so that every node writes and every node reads what others wrote. Reads are repeated until
//! they show what is expected: a write is acknowledged before its way to the peers is over.

use crate::process::{Node, cluster, values};

/// Commands that write, and what a command that reads then shows on every node.
const STORY: &[(&[&str], &str, &[&str])] = &[
    (&["SET greeting \"hello all\""], "GET greeting", &["\"hello all\""]),
    (&["SET bytes \"\\x00\\xff\\n\""], "GET bytes", &["\"\\x00\\xff\\n\""]),
    (&["SET once a", "SET once b"], "GET once", &["\"b\""]),
    (&["SETEX short 1000 v"], "GET short", &["\"v\""]),
    (&["SET timed v EX 1000", "PERSIST timed"], "TTL timed", &["(integer) -1"]),
    (&["SET gone v", "DEL gone"], "EXISTS gone", &["(integer) 0"]),
    (&["SET brief v", "EXPIRE brief 0"], "GET brief", &["(nil)"]),
    (&["SADD lobby alice bob carol", "SREM lobby carol"], "SMEMBERS lobby", &["\"alice\"", "\"bob\""]),
    (&[], "SISMEMBER lobby alice", &["(integer) 1"]),
    (&[], "SISMEMBER lobby carol", &["(integer) 0"]),
    (&[], "SCARD lobby", &["(integer) 2"]),
    (&["SADD friends bob dave"], "SINTER lobby friends", &["\"bob\""]),
    (&["HSET room map castle mode duel", "HDEL room mode"], "HGETALL room", &["\"map\"", "\"castle\""]),
    (&[], "HGET room map", &["\"castle\""]),
    (&[], "HEXISTS room mode", &["(integer) 0"]),
    (&["HINCRBY room players 5", "HINCRBY room players -2"], "HGET room players", &["\"3\""]),
    (&[], "HLEN room", &["(integer) 2"]),
    (&["HINCRBYEX lease holders 1 1000"], "HGET lease holders", &["\"1\""]),
    (&["INCR games", "INCRBY games 41", "DECR games", "DECRBY games 1"], "GET games", &["\"40\""]),
    (&["OWNED SADD online erin"], "SMEMBERS online", &["\"erin\""]),
    (&["OWNED HSET player:erin lobby arena"], "HGET player:erin lobby", &["\"arena\""]),
    (&["SADD left x", "DEL left"], "SMEMBERS left", &["(empty array)"]),
];

#[test]
fn every_command_written_on_one_node_is_read_on_the_others() {
    let mut nodes = cluster(["a", "b", "c"]);
    for (turn, (writes, read, expected)) in STORY.iter().enumerate() {
        for write in *writes {
            let answer = nodes[turn % 3].ask(write);
            assert!(!answer.concat().contains("(error)"), "{write}: {answer:?}");
        }
        for node in &mut nodes {
            node.eventually_shows(read, expected);
        }
    }
    let ttl = nodes[1].ask("TTL lease").concat();
    assert!(["(integer) 1000", "(integer) 999"].contains(&ttl.as_str()) || ttl.starts_with("(integer) 9"), "{ttl}");
}

#[test]
fn a_wrong_type_is_an_error_on_every_node_and_changes_nothing() {
    let mut nodes = cluster(["a", "b"]);
    nodes[0].ask("SET name text");
    nodes[1].eventually_shows("GET name", &["\"text\""]);
    for node in &mut nodes {
        let answer = node.ask("SADD name alice").concat();
        assert!(answer.starts_with("(error) WRONGTYPE "), "{answer}");
        assert_eq!(node.ask("GET name"), ["\"text\""]);
        assert_eq!(node.ask("INCR name"), ["(error) ERR value is not an integer or out of range"]);
    }
}

#[test]
fn counters_that_two_nodes_add_to_show_the_sum_on_both() {
    let mut nodes = cluster(["a", "b"]);
    for _ in 0..50 {
        nodes[0].ask("INCR games");
        nodes[1].ask("INCRBY games 2");
    }
    for node in &mut nodes {
        node.eventually_shows("GET games", &["\"150\""]);
    }
}

#[test]
fn all_nodes_show_one_digest_when_nobody_writes_any_more() {
    let mut nodes = cluster(["a", "b", "c"]);
    for (turn, node) in nodes.iter_mut().enumerate() {
        node.ask(&format!("SADD lobby player-{turn} shared"));
        node.ask(&format!("OWNED HSET online player-{turn} here"));
    }
    for node in &mut nodes {
        node.eventually_shows("SCARD lobby", &["(integer) 4"]);
        node.eventually_shows("HLEN online", &["(integer) 3"]);
    }
    let digest = nodes[0].ask("DIGEST").concat();
    for node in &mut nodes {
        node.eventually("DIGEST", "the digest of a", |lines| lines.concat() == digest);
    }
}

#[test]
fn a_message_reaches_every_subscriber_once_and_in_order() {
    let mut nodes = cluster(["a", "b", "c"]);
    for node in &mut nodes {
        assert_eq!(node.ask("SUBSCRIBE chat"), ["1) \"subscribe\"", "2) \"chat\"", "3) (integer) 1"]);
    }
    for number in 0..100 {
        assert_eq!(nodes[0].ask(&format!("PUBLISH chat \"hello all {number}\"")), ["(integer) 3"]);
    }
    for node in &mut nodes {
        for number in 0..100 {
            assert_eq!(node.message(), format!("message chat \"hello all {number}\""), "on {}", node.plan.name);
        }
    }
}

#[test]
fn patterns_and_channels_are_known_across_the_cluster() {
    let mut nodes = cluster(["a", "b"]);
    nodes[0].ask("PSUBSCRIBE chat:*");
    nodes[0].ask("SUBSCRIBE news");
    assert_eq!(nodes[1].ask("CHANNELS"), ["1) \"news\""]);
    assert_eq!(nodes[1].ask("PUBLISH chat:arena hi"), ["(integer) 1"]);
    assert_eq!(nodes[0].message(), "pmessage chat:* chat:arena \"hi\"");
    assert_eq!(nodes[0].ask("UNSUBSCRIBE"), ["1) \"unsubscribe\"", "2) \"news\"", "3) (integer) 1"]);
    nodes[1].eventually_shows("CHANNELS", &["(empty array)"]);
    nodes[0].ask("PUNSUBSCRIBE chat:*");
    nodes[1].eventually_shows("PUBLISH chat:arena hi", &["(integer) 0"]);
}

#[test]
fn a_console_answers_in_order_and_survives_nonsense() {
    let [mut node] = cluster(["a"]);
    assert_eq!(node.ask("GET \"open"), ["(error) ERR unbalanced quotes in the line"]);
    assert_eq!(node.ask("JUMP high"), ["(error) ERR unknown command 'jump'"]);
    assert_eq!(node.ask("SADD lobby"), ["(error) ERR wrong number of arguments for 'sadd' command"]);
    assert_eq!(node.ask(""), Vec::<String>::new());
    assert_eq!(node.ask("\u{0}\u{1}ü"), ["(error) ERR unknown command '\u{0}\u{1}ü'"]);
    let many: Vec<String> = (0..1000).map(|number| format!("RPLY{number}")).collect();
    let answers = node.ask(&many.join("\n"));
    let expected: Vec<String> = (0..1000).map(|number| format!("(error) ERR unknown command 'rply{number}'")).collect();
    assert_eq!(answers, expected);
    assert_eq!(node.ask(&format!("SET {} v", "k".repeat(4097))).len(), 1, "a key over its limit is an error");
    assert!(stat(&mut node, "keys") == 0);
}

fn stat(node: &mut Node, name: &str) -> u64 {
    let stats = node.ask("STATS");
    let line = values(&stats).into_iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{stats:?} has no {name}")).parse().unwrap()
}

#[test]
fn lists_locks_and_unique_counts_work_from_every_console() {
    let [mut a, mut b, mut c] = cluster(["a", "b", "c"]);
    assert_eq!(a.ask("RPUSH jobs one two three"), ["(integer) 3"]);
    b.eventually_shows("LLEN jobs", &["(integer) 3"]);
    assert_eq!(b.ask("LPOP jobs"), ["\"one\""]);
    assert_eq!(b.ask("LRANGE jobs 0 -1"), ["1) \"two\"", "2) \"three\""], "at once on the node that popped");
    assert_eq!(c.ask("BRPOP empty jobs 2.5"), ["1) \"jobs\"", "2) \"three\""]);
    assert_eq!(a.ask("BLPOP jobs 5"), ["1) \"jobs\"", "2) \"two\""]);
    assert_eq!(a.ask("BLPOP jobs 0.01"), ["(nil)"]);
    c.send("BLPOP jobs 0\n");
    a.ask("LPUSH jobs late");
    assert_eq!([c.message(), c.message()], ["1) \"jobs\"", "2) \"late\""]);
    assert_eq!(a.ask("SET lock a NX EX 60"), ["OK"]);
    assert_eq!(b.ask("SET lock b NX"), ["(nil)"]);
    assert_eq!(c.ask("SETNX lock c"), ["(integer) 0"]);
    assert_eq!(c.ask("GETSET lock c"), ["\"a\""]);
    for (number, node) in [&mut a, &mut b, &mut c].into_iter().enumerate() {
        assert_eq!(node.ask("HOMED INCR ticket"), [format!("(integer) {}", number + 1)]);
    }
    let refused = a.ask("OWNED SETNX x y");
    assert!(refused[0].starts_with("(error) ERR this command writes at the key's home"), "{refused:?}");
    let wrong = b.ask("LPOP lock");
    assert!(wrong[0].starts_with("(error) WRONGTYPE "), "{wrong:?}");
}
