//! What a command answered, in a form that both sides share.

use std::fmt;

use headcount::{Error, Reply};
use redis::Value;

use crate::sequence::Step;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Integer(i64),
    Value(Vec<u8>),
    Nil,
    Values(Vec<Vec<u8>>),
    /// The kind of an error.
    Refused(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("OK"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Value(value) => write!(f, "\"{}\"", value.escape_ascii()),
            Self::Nil => f.write_str("nil"),
            Self::Values(values) => {
                let values: Vec<String> = values.iter().map(|value| format!("\"{}\"", value.escape_ascii())).collect();
                write!(f, "[{}]", values.join(", "))
            }
            Self::Refused(kind) => f.write_str(kind),
        }
    }
}

impl Answer {
    pub(crate) fn ours(step: &Step, outcome: Result<Reply, Error>) -> Self {
        match outcome {
            Ok(Reply::Ok) => Self::Done,
            Ok(Reply::Integer(number)) => Self::Integer(number),
            Ok(Reply::Bulk(value)) => Self::Value(value.to_vec()),
            Ok(Reply::Nil) => Self::Nil,
            Ok(Reply::Array(values)) => Self::values(step, values.iter().map(|value| value.to_vec()).collect()),
            Ok(Reply::Map(pairs)) => {
                let words = pairs.into_iter().flat_map(|(field, value)| [field.to_vec(), value.to_vec()]);
                Self::values(step, words.collect())
            }
            Err(error) => Self::refused(&error.to_string()),
        }
    }

    pub(crate) fn theirs(step: &Step, reply: Value) -> Self {
        match reply {
            Value::Okay => Self::Done,
            Value::Int(number) => Self::Integer(number),
            Value::BulkString(value) => Self::Value(value),
            Value::Nil => Self::Nil,
            Value::Array(values) => {
                let text = |value| if let Value::BulkString(text) = value { text } else { panic!("{value:?}") };
                Self::values(step, values.into_iter().map(text).collect())
            }
            Value::ServerError(error) => {
                Self::refused(&format!("{} {}", error.code(), error.details().unwrap_or_default()))
            }
            strange => panic!("{strange:?} to {step}"),
        }
    }

    /// Sorts what has no order.
    fn values(step: &Step, mut values: Vec<Vec<u8>>) -> Self {
        match step.name().as_str() {
            "SMEMBERS" | "SINTER" | "PUBSUB" => values.sort(),
            "HGETALL" => {
                let mut pairs: Vec<Vec<Vec<u8>>> = values.chunks(2).map(<[Vec<u8>]>::to_vec).collect();
                pairs.sort();
                values = pairs.concat();
            }
            _ => {}
        }
        Self::Values(values)
    }

    /// The kind of an error: its text, without what only explains it.
    fn refused(text: &str) -> Self {
        const EXPLAINED: [&str; 4] = ["WRONGTYPE", "ERR invalid expire time", "ERR timeout is", "ERR unknown command"];
        let kind = match text {
            "ERR decrement would overflow" => "ERR increment or decrement would overflow",
            _ => EXPLAINED.into_iter().find(|kind| text.starts_with(kind)).unwrap_or(text),
        };
        Self::Refused(kind.to_owned())
    }
}
