//! What an ask's words say: the command, and the keys that it names.

use std::collections::BTreeSet;

use bytes::Bytes;
use headcount::Command;

use crate::plan::Ask;

/// The command that is asked for, when it is one.
pub(crate) fn command(ask: &Ask) -> Option<Command> {
    let Ask::Command { words, .. } = ask else { return None };
    Command::parse(&split(words)).ok()
}

/// The words of a line.
pub(crate) fn split(words: &str) -> Vec<Bytes> {
    words.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
}

/// The keys that a command names, each once.
pub(crate) fn keys(command: &Command) -> Vec<Bytes> {
    match command {
        Command::Exists { keys }
        | Command::Del { keys }
        | Command::Sinter { keys }
        | Command::Brpop { keys, .. }
        | Command::Blpop { keys, .. } => keys.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect(),
        Command::Set { key, .. }
        | Command::Expire { key, .. }
        | Command::Persist { key }
        | Command::Ttl { key }
        | Command::Get { key }
        | Command::Sadd { key, .. }
        | Command::Smembers { key }
        | Command::Sismember { key, .. }
        | Command::Srem { key, .. }
        | Command::Scard { key }
        | Command::Hset { key, .. }
        | Command::Hincrby { key, .. }
        | Command::Hincrbyex { key, .. }
        | Command::Hget { key, .. }
        | Command::Hgetall { key }
        | Command::Hexists { key, .. }
        | Command::Hdel { key, .. }
        | Command::Hlen { key }
        | Command::Incrby { key, .. }
        | Command::Rpush { key, .. }
        | Command::Lpush { key, .. }
        | Command::Rpop { key }
        | Command::Lpop { key }
        | Command::Llen { key }
        | Command::Lrange { key, .. }
        | Command::Setnx { key, .. }
        | Command::Getset { key, .. } => vec![key.clone()],
        // Messages are not under keys, and the enum may grow outside this crate.
        _ => Vec::new(),
    }
}

/// Whether a command takes an element out of a list, at its home.
pub(crate) fn is_pop(command: &Command) -> bool {
    matches!(command, Command::Rpop { .. } | Command::Lpop { .. } | Command::Brpop { .. } | Command::Blpop { .. })
}
