//! Colyseus' own `RedisPresence` and ours on one Redis: what one writes the other reads, and each hears the other's messages.
//!
//! `./test` installs the npm package, pinned, below cargo's target directory and runs this; a plain `cargo test` says that it is ignored.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use headcount::{Event, Presence, Ttl};

use crate::server::{DEADLINE, Server, next, until};

/// Colyseus' presence, in a Node process.
struct Colyseus {
    process: Child,
    questions: ChildStdin,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Colyseus {
    fn start(server: &Server) -> Self {
        let installed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
        let mut command = Command::new("node");
        command.args(["speak.mjs", &server.port.to_string()]).current_dir(&installed);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let hint = "`node` is needed, and the package in `tests/redis/interop` installed by `./test`";
        let mut process = command.spawn().unwrap_or_else(|reason| panic!("{hint}: {reason}"));
        let questions = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || answers.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, questions, lines, heard: Vec::new() }
    }

    /// What a method answers, as JSON; `question` is a list in JSON, the method first.
    fn ask(&mut self, question: &str) -> String {
        writeln!(self.questions, "{question}").unwrap();
        loop {
            let line = self.line();
            if line.starts_with(r#"{"heard":"#) {
                self.heard.push(line);
            } else {
                let answer = line.strip_prefix(r#"{"answer":"#).and_then(|answer| answer.strip_suffix('}'));
                return answer.unwrap_or_else(|| panic!("{question}: {line}")).to_owned();
            }
        }
    }

    /// The next message, as JSON.
    fn hear(&mut self) -> String {
        if self.heard.is_empty() { self.line() } else { self.heard.remove(0) }
    }

    fn line(&mut self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("Colyseus' presence answers; is its package installed?")
    }
}

impl Drop for Colyseus {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an npm package, which ./test installs"]
async fn what_either_writes_the_other_reads() {
    let server = Server::start().await;
    let ours = server.presence("ours").await;
    let mut theirs = Colyseus::start(&server);

    for (question, answer) in [
        (r#"["set","string","v"]"#, "null"),
        (r#"["setex","brief","v",1000]"#, "null"),
        (r#"["sadd","set","alice"]"#, "null"),
        (r#"["hset","hash","f","v"]"#, "true"),
        (r#"["hset","hash","f","w"]"#, "false"),
        (r#"["hincrby","hash","n",5]"#, "5"),
        (r#"["hincrbyex","lease","n",2,1000]"#, "2"),
        (r#"["incr","count"]"#, "1"),
        (r#"["decr","count"]"#, "0"),
        (r#"["rpush","list","b","c"]"#, "2"),
        (r#"["lpush","list","a"]"#, "3"),
        (r#"["set","ends","v"]"#, "null"),
        (r#"["expire","ends",1000]"#, "null"),
    ] {
        assert_eq!(theirs.ask(question), answer, "{question}");
    }
    assert_eq!(ours.get("string").await.unwrap().unwrap(), "v");
    for key in ["brief", "lease", "ends"] {
        assert!(matches!(ours.ttl(key).await, Ok(Ttl::Remaining(_))), "{key}");
    }
    assert_eq!(ours.smembers("set").await.unwrap(), ["alice"]);
    assert_eq!(ours.hget("hash", "f").await.unwrap().unwrap(), "w");
    assert_eq!(ours.hincrby("hash", "n", 1).await, Ok(6));
    assert_eq!(ours.incr("count").await, Ok(1));
    assert_eq!(ours.lrange("list", 0, -1).await.unwrap(), ["a", "b", "c"]);
    assert_eq!(ours.rpop("list").await.unwrap().unwrap(), "c");

    ours.set("string", "ours").await.unwrap();
    ours.setex("short", "v", 1000).await.unwrap();
    ours.owned().sadd("set", ["bob", "carol"]).await.unwrap();
    ours.sadd("friends", ["alice", "bob"]).await.unwrap();
    ours.owned().hset("hash", "owned", "yes").await.unwrap();
    ours.rpush("list", "z").await.unwrap();
    for (question, answer) in [
        (r#"["get","string"]"#, r#""ours""#),
        (r#"["get","nothing"]"#, "null"),
        (r#"["exists","short"]"#, "true"),
        (r#"["exists","nothing"]"#, "false"),
        (r#"["scard","set"]"#, "3"),
        (r#"["sismember","set","carol"]"#, "1"),
        (r#"["srem","set","carol"]"#, "1"),
        (r#"["hget","hash","owned"]"#, r#""yes""#),
        (r#"["hget","hash","n"]"#, r#""6""#),
        (r#"["hlen","hash"]"#, "3"),
        (r#"["hgetall","lease"]"#, r#"{"n":"2"}"#),
        (r#"["hdel","hash","f"]"#, "true"),
        (r#"["llen","list"]"#, "3"),
        (r#"["lpop","list"]"#, r#""a""#),
        (r#"["brpop","none","list",5]"#, r#"["list","z"]"#),
        (r#"["del","string"]"#, "null"),
    ] {
        assert_eq!(theirs.ask(question), answer, "{question}");
    }
    let mut both: Vec<String> = vec![theirs.ask(r#"["smembers","set"]"#), theirs.ask(r#"["sinter","set","friends"]"#)];
    for members in &mut both {
        let mut names: Vec<&str> = members.trim_matches(['[', ']']).split(',').collect();
        names.sort_unstable();
        *members = names.join(",");
    }
    assert_eq!(both, [r#""alice","bob""#; 2]);
    assert_eq!(ours.exists("string").await, Ok(0));
    ours.leave().await.unwrap();
    assert_eq!(theirs.ask(r#"["smembers","set"]"#), r#"["alice"]"#, "what we owned left with us");
    assert_eq!(theirs.ask(r#"["hgetall","hash"]"#), r#"{"n":"6"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an npm package, which ./test installs"]
async fn each_hears_the_other_s_messages_until_it_unsubscribes() {
    let server = Server::start().await;
    let ours = server.presence("ours").await;
    let mut theirs = Colyseus::start(&server);
    assert_eq!(theirs.ask(r#"["subscribe","to colyseus"]"#), "null");
    let mut topic = ours.subscribe("to headcount").await.unwrap();
    let mut pattern = ours.psubscribe("to h*").await.unwrap();

    assert_eq!(ours.publish("to colyseus", r#"{"room":"arena","players":[1,2]}"#).await, Ok(1));
    assert_eq!(theirs.hear(), r#"{"heard":["to colyseus",{"room":"arena","players":[1,2]}]}"#);
    theirs.ask(r#"["publish","to headcount",["join",{"id":7}]]"#);
    for subscription in [&mut topic, &mut pattern] {
        match next(subscription).await {
            Some(Event::Message { topic, payload, .. }) => {
                assert_eq!((&topic[..], &payload[..]), (&b"to headcount"[..], &br#"["join",{"id":7}]"#[..]));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ours.channels(Some("to c*")).await.unwrap(), ["to colyseus"]);
    assert_eq!(theirs.ask(r#"["channels","to h*"]"#), r#"["to headcount"]"#);

    // What is no JSON is dropped there with a warning, and what comes after it is heard.
    ours.publish("to colyseus", "no JSON").await.unwrap();
    ours.publish("to colyseus", "true").await.unwrap();
    assert_eq!(theirs.hear(), r#"{"heard":["to colyseus",true]}"#);

    assert_eq!(theirs.ask(r#"["unsubscribe","to colyseus"]"#), "null");
    assert_eq!(ours.publish("to colyseus", "1").await, Ok(0));
    drop((topic, pattern));
    until("Redis forgets our topic", || async { ours.channels(Some("to*")).await.unwrap().is_empty() }).await;
    assert_eq!(theirs.ask(r#"["channels","to*"]"#), "[]");
    assert_eq!(theirs.heard, [""; 0], "nothing came after the end");
}
