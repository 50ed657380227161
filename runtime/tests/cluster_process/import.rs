//! `headcount import`: a Redis copied into a running cluster, told to people, and cut off.

use std::process::{Output, Stdio};

use rustix::process::Signal;

use crate::ports::free_port;
use crate::process::{Node, Plan, cluster, program, state_of};
use crate::server::Server;

fn url(server: &Server) -> String {
    format!("redis://127.0.0.1:{}/0", server.port)
}

/// Runs an import from a Redis into the cluster of a node to its end.
fn import(from: &str, into: &Node, flags: &[&str]) -> Output {
    let mut command = program();
    command.args(["import", from, "--seeds", &into.plan.address]).args(flags);
    command.env("HEADCOUNT_CLUSTER", "test").stdin(Stdio::null()).output().unwrap()
}

/// Exit code, what was told, and why it failed.
fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Fills a Redis with lists `l:1` and so on, each of two elements, of which a second copy would show.
async fn fill(server: &Server, lists: u32) {
    let script = "for n = 1, ARGV[1] do redis.call('RPUSH', 'l:' .. n, n, 'end') end return 1";
    server.other(&["EVAL", script, "0", &lists.to_string()]).await;
}

fn keys(node: &mut Node) -> u32 {
    let stats = node.ask("STATS");
    stats.iter().find_map(|line| line.strip_prefix("keys:")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_cluster_gets_what_the_redis_has_and_the_importer_leaves() {
    let server = Server::start().await;
    for command in [
        &["SET", "greeting", "hello\r\n\u{1}"][..],
        &["SADD", "lobby", "alice", "bob"],
        &["HSET", "room:1", "map", "castle"],
        &["RPUSH", "room:jobs", "a", "b", "a"],
        &["EXPIRE", "room:jobs", "1000"],
    ] {
        server.other(command).await;
    }
    let [mut a, mut b] = cluster(["a", "b"]);
    let (code, summary, error) = told(&import(&url(&server), &a, &["--pattern", "room*"]));
    assert_eq!((code, summary.as_str()), (Some(0), "copied 2: 0 strings, 0 sets, 1 hashes, 1 lists\n"), "{error}");
    let (code, summary, error) = told(&import(&url(&server), &b, &[]));
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(summary, "copied 2: 1 strings, 1 sets, 0 hashes, 0 lists\n2 were there already\n");
    for node in [&mut a, &mut b] {
        node.eventually_shows("GET greeting", &["\"hello\\r\\n\\x01\""]);
        node.eventually_shows("SMEMBERS lobby", &["\"alice\"", "\"bob\""]);
        node.eventually_shows("HGETALL room:1", &["\"map\"", "\"castle\""]);
        node.eventually_shows("LRANGE room:jobs 0 -1", &["\"a\"", "\"a\"", "\"b\""]);
        let ttl = node.ask("TTL room:jobs").concat();
        assert!(ttl.starts_with("(integer) 9") || ttl == "(integer) 1000", "{ttl}");
        node.eventually("MEMBERS", "the importer is gone", |lines| {
            assert_ne!(state_of(lines, "import"), Some("down"), "it says goodbye");
            state_of(lines, "import").is_none()
        });
    }
}

#[tokio::test]
async fn what_cannot_be_taken_is_named_before_and_after_and_the_exit_code_says_so() {
    let server = Server::start().await;
    for command in [&["ZADD", "ranks", "1", "alice"][..], &["XADD", "log", "*", "f", "v"], &["SET", "k", "v"]] {
        server.other(command).await;
    }
    let [mut a] = cluster(["a"]);
    let expected = "1: 1 strings, 0 sets, 0 hashes, 0 lists\n\
                    1 cannot be taken, of type stream, which headcount has not: it has strings, sets, hashes and lists: log\n\
                    1 cannot be taken, of type zset, which headcount has not: it has strings, sets, hashes and lists: ranks\n";
    let mut dry = program();
    let dry = dry.args(["import", &url(&server), "--dry-run"]).stdin(Stdio::null()).output().unwrap();
    let (code, summary, error) = told(&dry);
    assert_eq!((code, summary), (Some(1), format!("can be copied {expected}")), "{error}");
    assert!(error.ends_with("error: 2 of 3 keys cannot be taken\n"), "{error}");
    assert_eq!(keys(&mut a), 0);
    let (code, summary, error) = told(&import(&url(&server), &a, &[]));
    assert_eq!((code, summary), (Some(1), format!("copied {expected}")), "{error}");
    a.ask("SET k ours");
    let (code, summary, _) = told(&import(&url(&server), &a, &["--pattern", "k"]));
    assert_eq!(code, Some(1));
    assert!(summary.ends_with("1 cannot be taken, in the cluster the key holds something else: k\n"), "{summary}");
    let (code, _, error) = told(&import(&url(&server), &a, &["--pattern", "k", "--replace"]));
    assert_eq!(code, Some(0), "{error}");
    a.eventually_shows("GET k", &["\"v\""]);
}

#[tokio::test]
async fn an_importer_killed_with_kill_9_is_run_again_and_nothing_is_doubled() {
    const LISTS: u32 = 30_000;
    let server = Server::start().await;
    fill(&server, LISTS).await;
    let [mut a, mut b] = cluster(["a", "b"]);
    let mut command = program();
    command.args(["import", &url(&server), "--cluster", "test", "--seeds", &a.plan.address]);
    let importer = Node::spawn(Plan::new("import"), command);
    b.eventually("STATS", "some keys are there", |lines| {
        lines.iter().any(|line| line.strip_prefix("keys:").is_some_and(|keys| keys.parse::<u32>().unwrap() >= 500))
    });
    importer.kill();
    assert!(keys(&mut a) < LISTS, "it was killed in the middle");
    let (code, summary, error) = told(&import(&url(&server), &a, &[]));
    assert_eq!(code, Some(0), "{summary}{error}");
    assert!(summary.ends_with(" were there already\n"), "{summary}");
    for node in [&mut a, &mut b] {
        node.eventually("STATS", "all keys are there", |lines| lines.contains(&format!("keys:{LISTS}")));
        for n in (1..=LISTS).step_by(97) {
            assert_eq!(node.ask(&format!("LRANGE l:{n} 0 -1")), [format!("1) \"{n}\""), "2) \"end\"".to_owned()]);
        }
    }
    let digest = a.ask("DIGEST").concat();
    b.eventually("DIGEST", "the digest of a", |lines| lines.concat() == digest);
}

#[tokio::test]
async fn a_redis_killed_in_the_middle_and_a_second_importer_end_with_words() {
    let mut server = Server::start().await;
    fill(&server, 30_000).await;
    let [mut a] = cluster(["a"]);
    let mut command = program();
    command.args(["import", &url(&server), "--cluster", "test", "--seeds", &a.plan.address]);
    let mut importer = Node::spawn(Plan::new("import"), command);
    a.eventually("STATS", "some keys are there", |lines| {
        lines.iter().any(|line| line.strip_prefix("keys:").is_some_and(|keys| keys.parse::<u32>().unwrap() >= 500))
    });
    server.other(&["CLIENT", "PAUSE", "20000", "ALL"]).await; // so that it does not end before the second has been refused
    let (code, _, error) = told(&import(&url(&server), &a, &["--join-timeout", "500ms"]));
    assert!(code == Some(1) && error.contains("already has this node's name"), "{error}");
    server.kill();
    assert_eq!(importer.exit().code(), Some(1));
    let error = importer.error();
    assert!(error.contains(&format!("the Redis at 127.0.0.1:{}", server.port)), "{error}");
    assert!(error.contains("run the same import again"), "{error}");
    server.start_again().await;
    fill(&server, 30_000).await;
    let (code, summary, error) = told(&import(&url(&server), &a, &[]));
    assert_eq!(code, Some(0), "{summary}{error}");
    a.eventually("STATS", "all keys are there", |lines| lines.contains(&"keys:30000".to_owned()));
}

#[tokio::test]
async fn a_signal_stops_an_importer_which_says_goodbye_and_how_to_go_on() {
    let server = Server::start().await;
    fill(&server, 30_000).await;
    let [mut a] = cluster(["a"]);
    let mut command = program();
    command.args(["import", &url(&server), "--cluster", "test", "--seeds", &a.plan.address]);
    let mut importer = Node::spawn(Plan::new("import"), command);
    a.eventually("STATS", "some keys are there", |lines| {
        lines.iter().any(|line| line.strip_prefix("keys:").is_some_and(|keys| keys.parse::<u32>().unwrap() >= 500))
    });
    server.other(&["CLIENT", "PAUSE", "20000", "ALL"]).await; // so that it does not end before
    importer.signal(Signal::INT);
    assert_eq!(importer.exit().code(), Some(130));
    assert!(importer.log().contains("run the same command again to go on"), "{}", importer.log());
    a.eventually("MEMBERS", "the importer is gone", |lines| {
        assert_ne!(state_of(lines, "import"), Some("down"), "it says goodbye");
        state_of(lines, "import").is_none()
    });
}

#[tokio::test]
async fn an_import_that_cannot_begin_says_why() {
    let server = Server::start_with(&["--requirepass", "secret"]).await;
    let [a] = cluster(["a"]);
    let nowhere = format!("redis://127.0.0.1:{}/0", free_port());
    let (code, summary, error) = told(&import(&nowhere, &a, &[]));
    assert!(code == Some(1) && error.contains("cannot be reached"), "{error}");
    assert_eq!(summary, "", "nothing was read");
    let wrong = format!("redis://:wrong@127.0.0.1:{}/0", server.port);
    let (code, _, error) = told(&import(&wrong, &a, &["--dry-run"]));
    assert!(code == Some(1) && error.contains("refuses user or password") && !error.contains("wrong@"), "{error}");
    let right = format!("redis://:secret@127.0.0.1:{}/0", server.port);
    let mut without_seeds = program();
    let without_seeds = without_seeds.args(["import", &right]).stdin(Stdio::null()).output().unwrap();
    let (code, _, error) = told(&without_seeds);
    assert!(code == Some(1) && error.contains("--seeds") && error.contains("--dry-run"), "{error}");
    let (code, _, error) = told(&import(&right, &a, &["--cluster", "other", "--join-timeout", "1s"]));
    assert!(code == Some(1) && error.contains("error: "), "{error}");
}

#[tokio::test]
async fn an_import_reads_its_redis_as_the_settings_say() {
    let server = Server::start().await;
    for key in ["game:lobby", "game:room", "of another game"] {
        server.other(&["SET", key, "v"]).await;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[redis]\nkey_prefix = \"game:\"").unwrap();
    let [mut a] = cluster(["a"]);
    let (code, summary, error) = told(&import(&url(&server), &a, &["--config", file.path().to_str().unwrap()]));
    assert_eq!((code, summary.as_str()), (Some(0), "copied 2: 2 strings, 0 sets, 0 hashes, 0 lists\n"), "{error}");
    a.eventually_shows("GET lobby", &["\"v\""]);

    let mut untrusting = program();
    untrusting.env("HEADCOUNT_REDIS_ROOT_CERTIFICATES", "/no/such/file").args(["import", &url(&server), "--dry-run"]);
    let (code, _, error) = told(&untrusting.stdin(Stdio::null()).output().unwrap());
    assert!(code == Some(1) && error.contains("`redis.root_certificates` is \"/no/such/file\""), "{error}");

    let port = free_port();
    let mut patient = program();
    patient.env("HEADCOUNT_REDIS_WAIT_FOR_REDIS", "10m").env("HEADCOUNT_REDIS_CONNECT_TIMEOUT", "300ms");
    patient.args(["import", &format!("redis://127.0.0.1:{port}"), "--dry-run"]);
    let mut patient = Node::spawn(Plan::new("import"), patient);
    patient.logs("cannot be reached yet; trying again");
    let _late = Server::start_silent(port, &[]);
    assert!(patient.exit().success(), "{}", patient.log());
}
