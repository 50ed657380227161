//! A Redis on a free port of this machine, without persistence, filled through a pipeline and asked for its memory.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::competitor::{Competitor, Unavailable};
use crate::measure::MILLION;
use crate::rows::Rows;

/// Commands that are sent before their answers are read.
const PIPELINE: u64 = 10_000;
/// How often, ten milliseconds apart, a starting Redis is tried.
const ATTEMPTS: usize = 500;

/// A running Redis and a connection to it.
#[derive(Debug)]
pub(crate) struct Redis {
    connection: BufReader<TcpStream>,
    _process: Competitor,
    _directory: TempDir,
}

impl Redis {
    /// Starts an empty one.
    pub(crate) fn start() -> Result<Self, Unavailable> {
        let failed = |error: io::Error| Unavailable::Failed("redis-server", error.to_string());
        let directory = tempfile::tempdir().map_err(failed)?;
        let port = free_port().map_err(failed)?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.args(["--logfile", "log", "--port", &port.to_string()]).arg("--dir").arg(directory.path());
        let process = Competitor::start(&mut command).map_err(Unavailable::running("redis-server", "redis-server"))?;
        let connection = BufReader::new(connect(port).map_err(failed)?);
        Ok(Self { connection, _process: process, _directory: directory })
    }

    /// Bytes that it has allocated for a million rows.
    pub(crate) fn memory_of(&mut self, rows: Rows) -> io::Result<u64> {
        let before = self.used_memory()?;
        let mut pipeline = Vec::new();
        for first in (0..MILLION).step_by(PIPELINE as usize) {
            pipeline.clear();
            (first..first + PIPELINE).for_each(|n| push_command(&mut pipeline, &rows.command(n)));
            self.connection.get_mut().write_all(&pipeline)?;
            for _ in 0..PIPELINE {
                self.line()?;
            }
        }
        Ok(self.used_memory()? - before)
    }

    fn used_memory(&mut self) -> io::Result<u64> {
        self.connection.get_mut().write_all(b"INFO memory\r\n")?;
        let mut used = None;
        // The answer is a bulk string of lines, and ends with an empty one.
        loop {
            let line = self.line()?;
            match line.strip_prefix("used_memory:") {
                Some(bytes) => used = bytes.parse().ok(),
                None if line.is_empty() => return used.ok_or(io::ErrorKind::InvalidData.into()),
                None => {}
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.connection.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.starts_with('-') {
            return Err(io::Error::other(line));
        }
        Ok(line.trim_end().to_owned())
    }
}

fn push_command(pipeline: &mut Vec<u8>, words: &[String]) {
    let mut push = |part: String| pipeline.extend_from_slice(part.as_bytes());
    push(format!("*{}\r\n", words.len()));
    for word in words {
        push(format!("${}\r\n{word}\r\n", word.len()));
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Connects as soon as it listens.
fn connect(port: u16) -> io::Result<TcpStream> {
    let mut attempt = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    for _ in 0..ATTEMPTS {
        if attempt.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        attempt = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    }
    attempt
}
