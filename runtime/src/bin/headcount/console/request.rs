//! Words into what is asked of the console.
//!
//! Everything that any door to the state offers is a [`Command`]; the rest is the console's own. Names are taken in any
//! case, and a wrong number of arguments is told in Redis's words.

use bytes::Bytes;
use headcount::{Command, Error};

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Run(Command),
    /// Like [`Request::Run`], with rows that leave with the node.
    RunOwned(Command),
    /// Like [`Request::Run`], with counters counted at their key's home.
    RunHomed(Command),
    Subscribe(Vec<Bytes>),
    Psubscribe(Vec<Bytes>),
    /// Without topics: all.
    Unsubscribe(Vec<Bytes>),
    /// Without patterns: all.
    Punsubscribe(Vec<Bytes>),
    Members,
    Stats,
    Digest,
    Ping(Option<Bytes>),
    Help,
    Quit,
}

impl Request {
    /// Whether it has to wait until the node is ready, because before it would read less than the cluster knows.
    pub(super) fn needs_ready(&self) -> bool {
        match self {
            Self::Run(_)
            | Self::RunOwned(_)
            | Self::RunHomed(_)
            | Self::Subscribe(_)
            | Self::Psubscribe(_)
            | Self::Digest => true,
            Self::Unsubscribe(_)
            | Self::Punsubscribe(_)
            | Self::Members
            | Self::Stats
            | Self::Ping(_)
            | Self::Help
            | Self::Quit => false,
        }
    }

    /// Makes a request of a line's words.
    ///
    /// # Errors
    /// [`Error::WrongArity`], and those of [`Command::parse`].
    pub(super) fn parse(words: &[Bytes]) -> Result<Self, Error> {
        let Some((name, args)) = words.split_first() else { return Err(Error::Syntax) };
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let request = match (name.as_str(), args.len()) {
            ("owned", 1..) => Self::RunOwned(Command::parse(args)?),
            ("homed", 1..) => homed(args)?,
            ("subscribe", 1..) => Self::Subscribe(args.to_vec()),
            ("psubscribe", 1..) => Self::Psubscribe(args.to_vec()),
            ("unsubscribe", _) => Self::Unsubscribe(args.to_vec()),
            ("punsubscribe", _) => Self::Punsubscribe(args.to_vec()),
            ("members", 0) => Self::Members,
            ("stats" | "info", 0) => Self::Stats,
            ("digest", 0) => Self::Digest,
            ("ping", 0 | 1) => Self::Ping(args.first().cloned()),
            ("help", _) => Self::Help,
            ("quit" | "exit", 0) => Self::Quit,
            (
                "owned" | "homed" | "subscribe" | "psubscribe" | "members" | "stats" | "info" | "digest" | "ping"
                | "quit" | "exit",
                _,
            ) => {
                return Err(Error::WrongArity { command: name });
            }
            _ => Self::Run(Command::parse(words)?),
        };
        Ok(request)
    }
}

/// A counter's command for its key's home. Others do not change by the word, and who writes it expects something.
fn homed(args: &[Bytes]) -> Result<Request, Error> {
    let command = Command::parse(args)?;
    if matches!(command, Command::Incrby { .. } | Command::Hincrby { .. } | Command::Hincrbyex { .. }) {
        return Ok(Request::RunHomed(command));
    }
    let word = String::from_utf8_lossy(&args[0]).to_ascii_lowercase();
    Err(Error::UnknownCommand { command: format!("homed {word}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, Error> {
        let words: Vec<Bytes> = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        Request::parse(&words)
    }

    #[test]
    fn the_console_s_own_requests_are_told_from_commands() {
        let sadd = Command::Sadd { key: "lobby".into(), members: vec!["alice".into()] };
        let table = [
            ("SADD lobby alice", Request::Run(sadd.clone())),
            ("OWNED SADD lobby alice", Request::RunOwned(sadd)),
            ("subscribe a b", Request::Subscribe(vec!["a".into(), "b".into()])),
            ("UNSUBSCRIBE", Request::Unsubscribe(vec![])),
            ("PSubscribe a*", Request::Psubscribe(vec!["a*".into()])),
            ("MEMBERS", Request::Members),
            ("PING", Request::Ping(None)),
            ("PING hi", Request::Ping(Some("hi".into()))),
            ("exit", Request::Quit),
            ("HELP sadd", Request::Help),
        ];
        for (line, expected) in table {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn mistakes_are_told_in_redis_s_words() {
        for (line, expected) in [
            ("SUBSCRIBE", "ERR wrong number of arguments for 'subscribe' command"),
            ("OWNED", "ERR wrong number of arguments for 'owned' command"),
            ("OWNED SADD lobby", "ERR wrong number of arguments for 'sadd' command"),
            ("OWNED MEMBERS", "ERR unknown command 'members'"),
            ("HOMED", "ERR wrong number of arguments for 'homed' command"),
            ("HOMED SADD lobby a", "ERR unknown command 'homed sadd'"),
            ("MEMBERS all", "ERR wrong number of arguments for 'members' command"),
            ("JUMP", "ERR unknown command 'jump'"),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), expected, "{line}");
        }
    }
}
