//! What a home is asked to do, and what it answers, as they travel.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::blob::Blob;
use crate::error::{Error, TryAgain};
use crate::reply::Type;
use crate::shared::list::End;

/// A command for a key's home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HomedCommand {
    /// `wait` is the number of the blocking pop for which it is, if it is for one.
    Pop {
        end: End,
        key: Blob,
        wait: Option<u64>,
    },
    SetNx {
        key: Blob,
        value: Blob,
        seconds: Option<i64>,
    },
    Getset {
        key: Blob,
        value: Blob,
    },
    /// `None` stands for "there is no such key", before and after.
    CompareAndSet {
        key: Blob,
        expected: Option<Blob>,
        new: Option<Blob>,
        seconds: Option<i64>,
    },
    Count {
        key: Blob,
        field: Option<Blob>,
        by: i64,
        seconds: Option<i64>,
    },
}

impl HomedCommand {
    pub(crate) fn key(&self) -> &Blob {
        match self {
            Self::Pop { key, .. }
            | Self::SetNx { key, .. }
            | Self::Getset { key, .. }
            | Self::CompareAndSet { key, .. }
            | Self::Count { key, .. } => key,
        }
    }

    /// Bytes of what it names.
    pub(crate) fn bytes(&self) -> usize {
        let optional = |blob: &Option<Blob>| blob.as_ref().map_or(0, |blob| blob.len());
        self.key().len()
            + match self {
                Self::Pop { .. } => 0,
                Self::SetNx { value, .. } | Self::Getset { value, .. } => value.len(),
                Self::CompareAndSet { expected, new, .. } => optional(expected) + optional(new),
                Self::Count { field, .. } => optional(field),
            }
    }

    /// Whether it may add rows, which then belong to nobody: they are the home's writes.
    pub(crate) fn adds_rows(&self) -> bool {
        match self {
            Self::Pop { .. } => false,
            Self::SetNx { .. } | Self::Getset { .. } | Self::CompareAndSet { .. } | Self::Count { .. } => true,
        }
    }
}

/// What a command answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Nil,
    Value(Blob),
    Flag(bool),
    Number(i64),
}

impl Answer {
    pub(crate) fn into_value(self) -> Option<Bytes> {
        if let Self::Value(value) = self { Some(value.to_bytes()) } else { None }
    }

    pub(crate) fn into_flag(self) -> bool {
        self == Self::Flag(true)
    }

    pub(crate) fn into_number(self) -> i64 {
        if let Self::Number(number) = self { number } else { 0 }
    }
}

/// Why a home does not carry a command out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// By the view of who was asked, another node is the key's home.
    NotHome,
    /// The caller took it back before it was carried out.
    Withdrawn,
    TryAgain(TryAgain),
    WrongType {
        found: Type,
        needed: Type,
    },
    NotAnInteger,
    HashValueNotAnInteger,
    Overflow,
    OutOfMemory {
        used: usize,
        limit: usize,
    },
    /// Anything else, in words: the two nodes have different caps.
    Other(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::WrongType { found, needed, .. } => Self::WrongType { found, needed },
            Error::NotAnInteger => Self::NotAnInteger,
            Error::HashValueNotAnInteger => Self::HashValueNotAnInteger,
            Error::Overflow => Self::Overflow,
            Error::TryAgain(why) => Self::TryAgain(why),
            Error::OutOfMemory { used, limit } => Self::OutOfMemory { used, limit },
            other => Self::Other(other.to_string()),
        }
    }
}

impl Refusal {
    /// As the caller of a command on `key` gets it.
    pub(crate) fn into_error(self, key: &Blob, home: &str) -> Error {
        match self {
            Self::NotHome | Self::Withdrawn => Error::TryAgain(TryAgain::NoAnswer),
            Self::TryAgain(why) => Error::TryAgain(why),
            Self::WrongType { found, needed } => Error::WrongType { key: key.to_bytes(), found, needed },
            Self::NotAnInteger => Error::NotAnInteger,
            Self::HashValueNotAnInteger => Error::HashValueNotAnInteger,
            Self::Overflow => Error::Overflow,
            Self::OutOfMemory { used, limit } => Error::OutOfMemory { used, limit },
            Self::Other(reason) => Error::RefusedByHome { home: home.to_owned(), reason },
        }
    }
}
