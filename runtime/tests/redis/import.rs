//! Copying a Redis: what comes along, what is refused, and an import that is cut off.

use std::collections::BTreeMap;
use std::time::Duration;

use headcount::{Bytes, Error, Import, ImportReport, Limits, LocalPresence, Presence, Refusal, Ttl, Type};

use crate::server::Server;

/// An import from a server, with caps small enough that large keys need several commands.
fn import(server: &Server) -> Import {
    let mut limits = Limits::default();
    (limits.max_arguments, limits.max_command_bytes) = (100, 4096);
    (limits.max_key_bytes, limits.max_value_bytes) = (64, 2048);
    Import::from(server.options()).limits(limits)
}

async fn run(import: &Import, into: &impl Presence) -> ImportReport {
    import.run(into, |_| {}).await.unwrap()
}

/// Runs commands in one go.
async fn write(server: &Server, commands: impl IntoIterator<Item = Vec<Vec<u8>>>) {
    let client = redis::Client::open(("127.0.0.1", server.port)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut pipe = redis::pipe();
    for words in commands {
        pipe.cmd(std::str::from_utf8(&words[0]).unwrap()).arg(&words[1..]).ignore();
    }
    pipe.query_async::<()>(&mut connection).await.unwrap();
}

fn words(words: &[&[u8]]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}

/// What a presence or a Redis has under a key, however it answers.
async fn content(of: &impl Presence, key: &[u8], kind: Type) -> Vec<Bytes> {
    match kind {
        Type::String => of.get(key).await.unwrap().into_iter().collect(),
        Type::Set => {
            let mut members = of.smembers(key).await.unwrap().to_vec();
            members.sort();
            members
        }
        Type::Hash => {
            let fields: BTreeMap<Bytes, Bytes> = of.hgetall(key).await.unwrap().into_iter().collect();
            fields.into_iter().flat_map(|(field, value)| [field, value]).collect()
        }
        Type::List => of.lrange(key, 0, -1).await.unwrap(),
    }
}

#[tokio::test]
async fn every_type_comes_with_its_bytes_its_order_and_its_deadline() {
    let server = Server::start().await;
    let binary: Vec<u8> = (0..=255).collect();
    let many: Vec<Vec<u8>> = (0..250).map(|n: u32| n.to_string().into_bytes()).collect();
    let with = |name: &[u8], key: &[u8], values: &[Vec<u8>]| [&words(&[name, key])[..], values].concat();
    write(
        &server,
        [
            words(&[b"SET", &binary[..60], &binary]),
            words(&[b"SET", b"", b"of the empty key"]),
            words(&[b"SET", b"empty", b""]),
            words(&[b"SADD", b"set", &binary, b"", b"b"]),
            with(b"SADD", b"many", &many),
            words(&[b"HSET", b"hash", &binary, b"1", b"", &binary]),
            with(b"HSET", b"fields", &many),
            with(b"RPUSH", b"list", &many),
            words(&[b"RPUSH", b"twice", b"a", b"b", b"a", b""]),
            words(&[b"SET", b"for a while", b"v", b"PX", b"90500"]),
            words(&[b"PEXPIRE", b"list", b"100000"]),
            words(&[b"PEXPIRE", b"hash", b"1000000"]),
        ],
    )
    .await;
    let (into, there) = (LocalPresence::new(), server.presence("reader").await);
    let report = run(&import(&server), &into).await;
    assert_eq!(report.copied, BTreeMap::from([(Type::String, 4), (Type::Set, 2), (Type::Hash, 2), (Type::List, 2)]));
    assert_eq!((report.refused(), report.present, report.gone), (0, 0, 0));
    let keys: [(&[u8], Type); 10] = [
        (&binary[..60], Type::String),
        (b"", Type::String),
        (b"empty", Type::String),
        (b"for a while", Type::String),
        (b"set", Type::Set),
        (b"many", Type::Set),
        (b"hash", Type::Hash),
        (b"fields", Type::Hash),
        (b"list", Type::List),
        (b"twice", Type::List),
    ];
    for (key, kind) in keys {
        assert_eq!(content(&into, key, kind).await, content(&there, key, kind).await, "{}", key.escape_ascii());
        // Asked first here: what is left there is then less by what asking takes, and more by at most the second rounded up.
        let here = into.ttl(key).await.unwrap();
        match (here, there.ttl(key).await.unwrap()) {
            (Ttl::Remaining(here), Ttl::Remaining(there)) => {
                assert!(here + Duration::from_secs(1) >= there, "{key:?} ends early: {here:?} {there:?}");
                assert!(here <= there + Duration::from_secs(30), "{key:?} ends late: {here:?} {there:?}");
            }
            (here, there) => assert_eq!(here, there, "{key:?}"),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_taken_is_counted_by_its_reason_and_the_rest_is_taken() {
    let server = Server::start().await;
    let long = [b'k'; 65];
    let large = [b'v'; 2049];
    write(
        &server,
        [
            words(&[b"ZADD", b"ranks", b"1", b"alice"]),
            words(&[b"XADD", b"log", b"*", b"f", b"v"]),
            words(&[b"SET", &long, b"v"]),
            words(&[b"SET", b"large", &large]),
            words(&[b"HSET", b"large field", b"f", &large]),
            words(&[b"RPUSH", b"large element", b"a", &large]),
            words(&[b"SET", &long[1..], &large[1..]]),
            words(&[b"SADD", b"lobby", b"alice"]),
        ],
    )
    .await;
    let dry = import(&server).dry_run(|_| {}).await.unwrap();
    let into = LocalPresence::new();
    let report = run(&import(&server), &into).await;
    assert_eq!(dry, report, "a dry run tells what a run into an empty presence does");
    let refused: Vec<(&Refusal, u64)> =
        report.refused.iter().map(|(reason, refused)| (reason, refused.count)).collect();
    let of = |kind: &str| Refusal::ForeignType(kind.to_owned());
    assert_eq!(
        refused,
        [
            (&of("stream"), 1),
            (&of("zset"), 1),
            (&Refusal::Limit("max_key_bytes"), 1),
            (&Refusal::Limit("max_value_bytes"), 3)
        ]
    );
    assert_eq!(report.refused[&of("zset")].examples, ["ranks"]);
    assert_eq!((report.copied(), report.seen(), report.total), (2, 8, Some(8)));
    assert_eq!(into.exists(["ranks", "log", "large", "large field", "large element"]).await, Ok(0));
}

#[tokio::test]
async fn a_second_run_adds_what_is_missing_and_doubles_nothing() {
    let server = Server::start().await;
    let commands: [&[&str]; 5] = [
        &["RPUSH", "list", "a", "b", "a", "b"],
        &["SADD", "set", "a", "b"],
        &["HSET", "hash", "f", "1", "g", "2"],
        &["SET", "string", "v"],
        &["EXPIRE", "list", "1000"],
    ];
    for command in commands {
        server.other(command).await;
    }
    let into = LocalPresence::new();
    // As an import leaves it that was cut off in the middle of each.
    into.rpush("list", ["a", "b"]).await.unwrap();
    into.sadd("set", "b").await.unwrap();
    into.hset("hash", "g", "2").await.unwrap();
    let first = run(&import(&server), &into).await;
    assert_eq!((first.copied(), first.present, first.refused()), (4, 0, 0));
    into.persist("list").await.unwrap(); // cut off between the elements and their deadline
    let second = run(&import(&server), &into).await;
    assert_eq!((second.copied(), second.present, second.refused()), (0, 4, 0));
    assert_eq!(into.lrange("list", 0, -1).await.unwrap(), ["a", "b", "a", "b"]);
    assert_eq!(into.scard("set").await, Ok(2));
    assert_eq!(into.hlen("hash").await, Ok(2));
    assert!(matches!(into.ttl("list").await, Ok(Ttl::Remaining(_))), "the deadline is added");
}

#[tokio::test]
async fn what_the_presence_has_under_a_key_is_not_overwritten_unless_that_is_asked_for() {
    let server = Server::start().await;
    let commands: [&[&str]; 6] = [
        &["SET", "string", "theirs"],
        &["RPUSH", "list", "a", "b"],
        &["SADD", "set", "a"],
        &["HSET", "hash", "f", "1", "g", "1"],
        &["SET", "other type", "v"],
        &["SADD", "type other", "v"],
    ];
    for command in commands {
        server.other(command).await;
    }
    let into = LocalPresence::new();
    into.set("string", "ours").await.unwrap();
    into.rpush("list", ["b", "a"]).await.unwrap();
    into.sadd("set", ["a", "ours"]).await.unwrap();
    into.hset("hash", "f", "ours").await.unwrap();
    into.sadd("other type", "ours").await.unwrap();
    into.set("type other", "ours").await.unwrap();
    let refused = run(&import(&server), &into).await;
    assert_eq!((refused.refused[&Refusal::Occupied].count, refused.copied()), (6, 0));
    assert_eq!(into.get("string").await.unwrap().unwrap(), "ours");
    assert_eq!(into.hgetall("hash").await.unwrap(), [("f".into(), "ours".into())]);
    let replaced = run(&import(&server).replace(true), &into).await;
    assert_eq!((replaced.refused(), replaced.copied()), (0, 6));
    assert_eq!(into.get("string").await.unwrap().unwrap(), "theirs");
    assert_eq!(into.lrange("list", 0, -1).await.unwrap(), ["a", "b"]);
    assert_eq!(into.smembers("set").await.unwrap(), ["a"]);
    assert_eq!(into.get("other type").await.unwrap().unwrap(), "v");
    assert_eq!(into.smembers("type other").await.unwrap(), ["v"]);
}

#[tokio::test]
async fn a_pattern_and_a_prefix_choose_keys_and_records_of_owners_stay_behind() {
    let server = Server::start().await;
    let prefixed = server.options().name("a").key_prefix("game*").connect().await.unwrap();
    prefixed.owned().sadd("room:1", "alice").await.unwrap();
    prefixed.set("lobby", "v").await.unwrap();
    server.other(&["SET", "game-room:1", "of another prefix"]).await;
    let into = LocalPresence::new();
    let rooms = run(&Import::from(server.options()).pattern("game?room:[0-9]"), &into).await;
    assert_eq!((rooms.copied(), rooms.total), (2, None));
    assert_eq!(into.exists(["game*room:1", "game-room:1"]).await, Ok(2));
    let into = LocalPresence::new();
    let all = run(&Import::from(server.options().key_prefix("game*")), &into).await;
    assert_eq!(all.copied(), 2);
    assert!(all.skipped >= 4, "leases, names, nodes, what is owned: {all:?}");
    assert_eq!(into.smembers("room:1").await.unwrap(), ["alice"]);
    assert_eq!(into.get("lobby").await.unwrap().unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_keys_come_across_an_import_that_was_dropped_in_the_middle() {
    let server = Server::start().await;
    let lists = (0..10_000_u32).map(|n| {
        let n = n.to_string().into_bytes();
        [words(&[b"RPUSH", &[b"list:", &n[..]].concat()]), vec![n.clone(), b"x".to_vec(), n]].concat()
    });
    write(&server, lists).await;
    let into = LocalPresence::new();
    let import = import(&server);
    let (half, reached) = tokio::sync::oneshot::channel();
    let mut half = Some(half);
    tokio::select! {
        biased;
        _ = reached => {}
        report = import.run(&into, |report| {
            if report.copied() >= 4000 && let Some(half) = half.take() {
                half.send(()).unwrap();
            }
        }) => panic!("it was not cut off: {report:?}"),
    }
    let report = run(&import, &into).await;
    assert_eq!((report.seen(), report.total), (10_000, Some(10_000)));
    assert!(report.present >= 4000 && report.copied() > 0, "{report:?}");
    for n in (0..10_000).map(|n| n.to_string()) {
        assert_eq!(into.lrange(format!("list:{n}"), 0, -1).await.unwrap(), [&n[..], "x", &n], "list:{n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_in_the_middle_ends_the_import_with_words_and_what_was_done() {
    let mut server = Server::start().await;
    write(&server, (0..5000_u32).map(|n| words(&[b"SET", n.to_string().as_bytes(), b"v"]))).await;
    let into = LocalPresence::new();
    let import = import(&server);
    let mut kill = Some(&mut server);
    let failed = import.run(&into, |report| {
        if report.copied() >= 1000
            && let Some(server) = kill.take()
        {
            server.kill();
        }
    });
    let failed = failed.await.unwrap_err();
    let told = failed.to_string();
    assert!(told.contains("127.0.0.1") && told.contains("run the same import again"), "{told}");
    assert!(failed.report.copied() >= 1000 && failed.report.seen() < 5000, "{:?}", failed.report);
    server.start_again().await;
    write(&server, (0..5000_u32).map(|n| words(&[b"SET", n.to_string().as_bytes(), b"v"]))).await;
    let report = run(&import, &into).await;
    assert_eq!((report.seen(), report.refused()), (5000, 0));
    assert!(report.present >= failed.report.copied());
    assert_eq!(into.exists((0..5000).map(|n| n.to_string()).collect::<Vec<_>>()).await, Ok(5000));
}

#[tokio::test]
async fn a_presence_that_takes_no_more_ends_the_import() {
    let server = Server::start().await;
    server.other(&["SET", "k", "v"]).await;
    let into = headcount::Node::builder("a").listen("127.0.0.1:0").start().await.unwrap();
    let presence = into.presence();
    into.leave().await;
    let failed = import(&server).run(&presence, |_| {}).await.unwrap_err();
    assert_eq!((failed.cause, failed.report.seen()), (Error::Closed, 0));
}

#[tokio::test]
async fn a_node_of_a_redis_cluster_is_refused_because_it_has_a_share_of_the_keys() {
    let server = Server::start_with(&["--cluster-enabled", "yes"]).await;
    let failed = import(&server).run(&LocalPresence::new(), |_| {}).await.unwrap_err().to_string();
    assert!(failed.contains("Redis Cluster"), "{failed}");
}
