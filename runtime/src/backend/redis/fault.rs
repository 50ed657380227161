//! What can go wrong between this process and a Redis, and how it is told.
//!
//! The caller must learn three things: what happened, whether the command may have been carried out all the same, and what to
//! do. Redis's own refusals of a command become the errors that a node would give.

use std::time::Duration;

use bytes::Bytes;
use headcount_presence::{Error, Type};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// How the backend is called in errors.
pub(super) const BACKEND: &str = "redis";

/// Why a command has no answer.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// There is no connection; the command was not sent.
    Unreachable { why: String, waited: Duration },
    /// The connection broke while the command was under way.
    Lost(String),
    /// No answer came in time.
    Silent { waited: Duration },
    /// Redis refused: the code and its words.
    Refused { code: String, detail: String },
    /// The answer makes no sense.
    Strange(String),
    /// Another process has this node's name, in words.
    NameInUse(String),
}

impl Fault {
    pub(super) fn of(error: &RedisError) -> Self {
        if error.kind() == ErrorKind::Parse || error.kind() == ErrorKind::UnexpectedReturnType {
            return Self::Strange(error.to_string());
        }
        match error.code() {
            Some(code) => {
                let detail = error.detail().unwrap_or_default();
                Self::Refused { code: code.to_owned(), detail: detail.to_owned() }
            }
            None => Self::Lost(error.to_string()),
        }
    }

    /// Whether Redis refused with this code.
    pub(super) fn is(&self, expected: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == expected)
    }

    /// Whether it comes from a Redis that takes no writes, to a script too.
    pub(super) fn is_of_a_replica(&self) -> bool {
        match self {
            Self::Refused { code, detail } => code == "READONLY" || detail.contains("-READONLY"),
            Self::Unreachable { .. } | Self::Lost(_) | Self::Silent { .. } | Self::Strange(_) | Self::NameInUse(_) => {
                false
            }
        }
    }

    /// Whether the command was certainly not carried out, and may be at another time.
    pub(super) fn may_be_repeated(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => {
                matches!(
                    &code[..],
                    "OOM" | "MISCONF" | "READONLY" | "LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN" | "NOREPLICAS"
                )
            }
            Self::Lost(_) | Self::Silent { .. } | Self::Strange(_) | Self::NameInUse(_) => false,
        }
    }

    /// As the caller of a command gets it. `address` is the Redis's.
    pub(super) fn into_error(self, address: &str) -> Error {
        let message = match self {
            Self::Unreachable { why, waited } => format!(
                "no connection to {address} within {waited:?}, so the command was not sent: {why}; it is tried again by itself, check that \
                 the Redis runs and can be reached from here"
            ),
            Self::Lost(why) => format!(
                "the connection to {address} was lost ({why}); the command may or may not have been carried out; a new connection \
                 is made by itself, ask what is stored before you repeat what must not happen twice"
            ),
            Self::Silent { waited } => format!(
                "{address} has not answered within {waited:?} (command_timeout); the command may or may not have been carried out, or be \
                 so yet; look for slow commands there (SLOWLOG GET), or give it more time"
            ),
            Self::Refused { code, detail } => return refused(&code, &detail, address),
            Self::Strange(what) => format!(
                "{address} gave an answer that was not understood: {what}; is it a Redis of version 6.2 or later?"
            ),
            Self::NameInUse(why) => why,
        };
        backend(message)
    }
}

/// An error of this backend.
pub(super) fn backend(message: impl Into<String>) -> Error {
    Error::Backend { backend: BACKEND, message: message.into() }
}

fn refused(code: &str, detail: &str, address: &str) -> Error {
    let says = |what: &str| detail.contains(what);
    let advice = match code {
        _ if says("hash value is not an integer") => return Error::HashValueNotAnInteger,
        _ if says("value is not an integer or out of range") => return Error::NotAnInteger,
        _ if says("DB index is out of range") => "it has fewer databases; their number is its setting `databases`",
        _ if says("increment or decrement would overflow") => return Error::Overflow,
        "MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT" => {
            "it is a node of a Redis Cluster, whose protocol headcount does not speak; give the address of a single Redis, or of a proxy \
             that hides the cluster"
        }
        "NOAUTH" | "WRONGPASS" | "NOPERM" => "check user and password, and what its ACL lets the user do",
        "READONLY" => {
            "it is a replica; give the address of the primary. After a failover it is connected to again, until its address leads to a primary"
        }
        "OOM" => "it has reached its maxmemory; removals and reads go on",
        "MISCONF" => "it cannot save to its disk and takes no writes until it can; see its log",
        "LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN" => "it cannot serve now; try again later",
        _ => "the command was not carried out",
    };
    backend(format!("{address} refuses: {code} {detail}; {advice}"))
}

/// Whether trying to connect again is of no use before somebody has changed something.
pub(super) fn is_final(error: &RedisError) -> bool {
    let has_no_database = error.detail().is_some_and(|detail| detail.contains("DB index is out of range"));
    let is_refused = match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => true,
        ErrorKind::Server(kind) => matches!(kind, ServerErrorKind::NoPerm),
        _ => matches!(error.code(), Some("NOAUTH" | "WRONGPASS")),
    };
    has_no_database || is_refused
}

/// What a `TYPE` says of a key that holds what a command cannot work on.
pub(super) fn wrong_type(key: &[u8], found: &str, needed: Type) -> Error {
    let key = Bytes::copy_from_slice(key);
    let found = match found {
        "string" => Type::String,
        "set" => Type::Set,
        "hash" => Type::Hash,
        "list" => Type::List,
        "none" => return Error::ForeignType { key, found: "value that was gone a moment later".into(), needed },
        other => return Error::ForeignType { key, found: other.to_owned(), needed },
    };
    Error::WrongType { key, found, needed }
}
