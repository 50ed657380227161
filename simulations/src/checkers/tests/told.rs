//! The story that false histories are made of.

use crate::plan::{self, Ask, Fault, Plan, Settings, Step, Via};

/// A plan in which every promise is put to the test: three nodes, the last of which dies and comes back.
pub(super) fn plan() -> Plan {
    let settings = Settings { grace_ms: 4_000, ..Settings::default() };
    let mut told = Told(Vec::new());
    for (n, line) in [
        "SADD set a b",
        "SADD set c",
        "SREM set a",
        "HSET hash f 1 g 2",
        "HINCRBY hash f 4",
        "HSET hash g 3",
        "HDEL hash g",
        "SET text x",
        "SET text y",
        "INCRBY sum 3",
        "INCRBY sum 4",
        "RPUSH list p q",
        "LPUSH list o",
        "RPUSH list r",
        "SMEMBERS set",
        "GET text",
        "HGETALL hash",
        "LRANGE list 0 -1",
        "SCARD set",
        "DEL nothing",
        "SADD set z",
        "DEL gone",
    ]
    .iter()
    .enumerate()
    {
        told.command(8_000 + 100 * n as u64, 0, 0, Via::Shared, line);
    }
    told.command(10_200, 0, 0, Via::Shared, "SADD other c z nowhere-else");
    told.command(10_300, 0, 0, Via::Shared, "SINTER other set");
    told.command(10_500, 1, 1, Via::Shared, "SREM set b");
    told.command(10_600, 1, 1, Via::Majority, "SADD set of-most");
    told.command(10_700, 3, 2, Via::All, "SADD set of-all");
    told.command(8_000, 5, 2, Via::Node, "SADD own mortal");
    told.command(8_100, 5, 2, Via::Session, "HSET fields f mortal");
    told.command(8_200, 1, 1, Via::Node, "SADD own alive");
    told.command(8_300, 1, 1, Via::Node, "HSET fields g alive");
    told.command(8_400, 4, 1, Via::Session, "SADD own brief");
    told.ask(9_400, 4, 1, Ask::EndSession);
    told.command(8_500, 4, 1, Via::Session, "SADD own both");
    told.command(8_600, 1, 1, Via::Node, "SADD own both");
    for n in 0..4 {
        let (client, node) = (n % 2, n as usize % 2);
        told.command(12_000 + 300 * u64::from(n), client, node, Via::Homed, "INCRBY tickets 1");
        told.command(12_100 + 300 * u64::from(n), client, node, Via::Shared, &format!("GETSET swap s{n}"));
        told.command(12_200 + 300 * u64::from(n), client, node, Via::Shared, "SET lock me NX");
        told.command(11_000 + 100 * u64::from(n), client, node, Via::Shared, &format!("RPUSH queue e{n}"));
    }
    told.command(13_500, 0, 0, Via::Shared, "GET tickets");
    told.command(16_000, 1, 1, Via::Shared, "GET tickets");
    told.command(9_500, 0, 0, Via::Shared, "DEL lock");
    told.command(13_550, 0, 0, Via::Shared, "GET lock");
    let exchange = |expected: Option<&str>, new: &str, seconds: Option<i64>| Ask::CompareAndSet {
        key: if seconds.is_some() { "lease" } else { "exchanged" }.to_owned(),
        expected: expected.map(str::to_owned),
        new: Some(new.to_owned()),
        seconds,
    };
    for n in 0..4 {
        told.ask(18_000 + 200 * n, 9, 0, exchange(None, &format!("x{n}"), None));
    }
    told.command(18_000, 10, 0, Via::Shared, "SET lease mine NX EX 5");
    told.ask(20_000, 10, 0, exchange(Some("mine"), "mine", Some(5)));
    told.command(20_500, 10, 0, Via::Shared, "GET lease");
    told.command(24_000, 11, 1, Via::Shared, "SET lease theirs NX EX 5");
    told.command(13_600, 0, 0, Via::Shared, "LPOP queue");
    told.command(13_700, 1, 1, Via::Shared, "BLPOP queue more 1");
    for (n, line) in
        ["SADD mixed a", "SET mixed v", "DEL mixed", "HSET mixed f 1", "HINCRBY mixed f 2"].iter().enumerate()
    {
        told.command(9_050 + 300 * n as u64, n as u32 % 2, n % 2, Via::Shared, line);
    }
    told.ask(7_500, 12, 1, Ask::Watch { key: "set".to_owned() });
    told.ask(7_500, 13, 0, Ask::Follow { topic: "room".to_owned() });
    told.ask(8_000, 14, 1, Ask::Track { topic: "room".to_owned(), meta: "stays".to_owned() });
    told.ask(8_500, 15, 1, Ask::Track { topic: "room".to_owned(), meta: "leaves".to_owned() });
    told.ask(9_500, 15, 1, Ask::Untrack);
    told.ask(8_500, 16, 2, Ask::Track { topic: "room".to_owned(), meta: "dies".to_owned() });
    told.command(9_000, 3, 2, Via::Shared, "SETEX brief 5 v");
    told.command(10_000, 1, 1, Via::Shared, "GET brief");
    told.command(14_900, 1, 1, Via::Shared, "EXISTS brief");
    told.command(15_000, 1, 1, Via::Shared, "GET brief");
    told.of_lines();
    told.of_topics();
    told.0.push(Step { at_ms: 26_000, event: plan::Event::Fault(Fault::Crash { node: 2 }) });
    told.command(26_500, 0, 0, Via::Shared, "SADD set after");
    told.command(25_500, 0, 0, Via::Homed, "INCRBY spanning 2");
    told.command(30_500, 1, 1, Via::Homed, "INCRBY spanning 3");
    told.0.sort_by_key(|step| step.at_ms);
    Plan { scenario: "told".to_owned(), seed: 7, nodes: 3, settings, storm_ms: 34_000, calm_ms: 90_000, steps: told.0 }
}

/// A plan in which a node leaves in order, and nothing else happens.
pub(super) fn plan_of_a_leave() -> Plan {
    let settings = Settings { grace_ms: 10_000, ..Settings::default() };
    let mut told = Told(Vec::new());
    told.command(14_000, 0, 2, Via::Shared, "SADD set a");
    told.0.push(Step { at_ms: 15_000, event: plan::Event::Fault(Fault::Leave { node: 2 }) });
    let calm_ms = 36_000;
    Plan { scenario: "told".to_owned(), seed: 7, nodes: 3, settings, storm_ms: 24_000, calm_ms, steps: told.0 }
}

/// Steps of a story.
pub(super) struct Told(pub(super) Vec<Step>);

impl Told {
    /// Those who hear of topics.
    fn of_topics(&mut self) {
        self.ask(14_000, 6, 1, Ask::Subscribe { topic: "news".to_owned() });
        for n in 0..6 {
            self.command(15_000 + 100 * n, 0, 0, Via::Shared, &format!("PUBLISH news m{n}"));
        }
        self.ask(14_000, 21, 1, Ask::SubscribePattern { pattern: "ol*".to_owned() });
        self.command(16_700, 0, 0, Via::Shared, "PUBLISH olds first");
        self.command(16_800, 0, 0, Via::Shared, "PUBLISH olds second");
        self.ask(16_500, 6, 1, Ask::Dawdle);
        self.command(16_600, 0, 0, Via::Shared, "PUBLISH news late");
        self.ask(17_000, 6, 1, Ask::Listen);
    }

    /// Those who wait for elements, and those who give one key a life.
    fn of_lines(&mut self) {
        self.command(17_200, 7, 0, Via::Shared, "BLPOP line 9");
        self.command(18_400, 8, 1, Via::Shared, "BLPOP line 8");
        self.command(19_700, 1, 1, Via::Shared, "RPUSH line first");
        self.command(20_000, 19, 0, Via::Shared, "SADD mortal m");
        self.command(21_000, 19, 0, Via::Shared, "EXPIRE mortal 5");
        self.command(21_000, 20, 1, Via::Shared, "EXPIRE mortal 9");
        self.command(21_500, 19, 0, Via::Shared, "TTL mortal");
        self.command(31_000, 20, 1, Via::Shared, "EXISTS mortal");
        self.command(13_000, 17, 0, Via::Shared, "BLPOP beside 9");
        self.command(14_000, 18, 1, Via::Shared, "RPUSH beside it");
    }

    pub(super) fn ask(&mut self, at_ms: u64, client: u32, node: usize, ask: Ask) {
        self.0.push(Step { at_ms, event: plan::Event::Ask { client, node, ask } });
    }

    pub(super) fn command(&mut self, at_ms: u64, client: u32, node: usize, via: Via, words: &str) {
        self.ask(at_ms, client, node, Ask::Command { via, words: words.to_owned() });
    }
}
