//! The other side: a real Redis, on a plain connection, in its own words.
//!
//! Time passes there by moving all deadlines. What passes in truth while a sequence is played adds to that, and is far less than the
//! half second by which it would show; when it is not, because the machine stood still, the sequence is played again.

#![allow(clippy::disallowed_methods)] // how long it really takes is what matters here

use std::cell::RefCell;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use redis::{Parser, Value};

use crate::answer::Answer;
use crate::sequence::Step;
use crate::server::Server;

/// What a deadline may be late by without being told differently.
const LATE: Duration = Duration::from_millis(400);

/// Moves all deadlines nearer.
const PASS: &str = "for _, key in ipairs(redis.call('KEYS', '*')) do
    local left = redis.call('PTTL', key)
    if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
end";

pub(crate) struct Redis {
    connection: Connection,
    server: Server,
}

/// A plain connection.
pub(crate) struct Connection {
    reader: RefCell<BufReader<TcpStream>>,
}

impl Connection {
    /// Sends commands at once, and gives their replies.
    pub(crate) fn ask(&self, commands: &[Vec<Vec<u8>>]) -> Vec<Value> {
        let packed = commands.iter().flat_map(|words| {
            let (name, args) = words.split_first().expect("a command has a name");
            let mut command = redis::Cmd::new();
            command.arg(name).arg(args);
            command.get_packed_command()
        });
        let packed: Vec<u8> = packed.collect();
        let (mut reader, mut parser) = (self.reader.borrow_mut(), Parser::new());
        reader.get_mut().write_all(&packed).unwrap();
        commands.iter().map(|_| parser.parse_value(&mut *reader).unwrap()).collect()
    }
}

impl Redis {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // So often does it look whether a blocked pop is over.
        let server = runtime.block_on(Server::start_with(&["--hz", "500"]));
        Self { connection: connect(server.port), server }
    }

    /// A connection of its own.
    pub(crate) fn connect(&self) -> Connection {
        connect(self.server.port)
    }

    /// What it answers to each step, from an empty database on.
    pub(crate) fn play<'a>(&self, steps: impl IntoIterator<Item = &'a Step>) -> Vec<Answer> {
        let steps: Vec<&Step> = steps.into_iter().collect();
        let flush = vec![b"FLUSHDB".to_vec()];
        let commands: Vec<Vec<Vec<u8>>> = std::iter::once(flush).chain(steps.iter().copied().map(words)).collect();
        loop {
            let start = Instant::now();
            let replies = self.connection.ask(&commands);
            if start.elapsed() < LATE {
                let replies = replies.into_iter().skip(1);
                return steps.into_iter().zip(replies).map(|(step, reply)| Answer::theirs(step, reply)).collect();
            }
        }
    }
}

fn connect(port: u16) -> Connection {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_nodelay(true).unwrap();
    Connection { reader: RefCell::new(BufReader::new(stream)) }
}

fn words(step: &Step) -> Vec<Vec<u8>> {
    match step {
        Step::Command(words) => words.iter().map(|word| word.to_vec()).collect(),
        Step::Pass { seconds } => {
            ["EVAL", PASS, "0", &(seconds * 1_000).to_string()].map(|word| word.as_bytes().to_vec()).to_vec()
        }
    }
}
