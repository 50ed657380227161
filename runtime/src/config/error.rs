//! What can be wrong with a configuration, in words for the person who wrote it.
//!
//! Each sentence says where the mistake is (file and line, variable or flag), what was given and what is allowed. A name
//! that does not exist is answered with the nearest one that does, or with all of them when none is near.

use std::fmt;
use std::path::PathBuf;

use headcount_cluster::InvalidNodeId;

use super::source::Source;

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {reason}", path.display())]
    Unreadable {
        /// The file as it was named.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{at}: {message}")]
    NotToml {
        /// The line.
        at: Source,
        /// What the parser says.
        message: String,
    },
    /// There is no such setting.
    #[error("{at}: there is no setting `{key}`{advice}")]
    UnknownKey {
        /// Where it stands.
        at: Source,
        /// The key, dotted where it is in a table.
        key: String,
        /// What may have been meant.
        advice: Advice,
    },
    /// There is no such variable.
    #[error("environment: there is no variable `{variable}`{advice}")]
    UnknownVariable {
        /// Its name.
        variable: String,
        /// What may have been meant.
        advice: Advice,
    },
    /// A setting's value cannot work.
    #[error("{}setting `{key}` is {given}, but must be {allowed}", place(.at.as_ref()))]
    BadValue {
        /// Where the value came from; `None` when it was set in code.
        at: Option<Source>,
        /// The setting, dotted where it is in a table.
        key: String,
        /// What was given, in words.
        given: String,
        /// What is allowed, in words.
        allowed: String,
    },
}

impl ConfigError {
    pub(super) fn bad_value(key: &str, given: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self::BadValue { at: None, key: key.to_owned(), given: given.into(), allowed: allowed.into() }
    }

    pub(super) fn bad_name(name: &str, reason: &InvalidNodeId) -> Self {
        let shown: String = name.chars().take(64).collect();
        Self::bad_value("name", format!("{shown:?}"), format!("a node name ({reason})"))
    }

    /// The setting a [`ConfigError::BadValue`] is about.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::BadValue { key, .. } => Some(key),
            Self::Unreadable { .. } | Self::NotToml { .. } | Self::UnknownKey { .. } | Self::UnknownVariable { .. } => {
                None
            }
        }
    }

    /// The same error, told at its source.
    pub(super) fn at_source(mut self, source: Option<&Source>) -> Self {
        if let Self::BadValue { at, .. } = &mut self {
            *at = source.cloned();
        }
        self
    }
}

impl From<headcount_cluster::ConfigError> for ConfigError {
    /// The cluster layer's fields carry the names of the settings, except those that are derived from one.
    fn from(error: headcount_cluster::ConfigError) -> Self {
        let key = match error.field {
            "node" => "name",
            "phi_threshold" | "max_heartbeat_interval" => "detection_time",
            other => other,
        };
        Self::bad_value(key, error.given, error.allowed)
    }
}

/// The start of a sentence about a value.
fn place(at: Option<&Source>) -> String {
    at.map(|source| format!("{source}: ")).unwrap_or_default()
}

/// What may have been meant by an unknown name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// One name is near.
    Nearest(String),
    /// None is near; these exist.
    OneOf(Vec<String>),
}

impl Advice {
    /// The nearest of `names` when it is near enough to be meant, else all of them.
    pub(super) fn for_name(given: &str, names: impl IntoIterator<Item = String>) -> Self {
        let names: Vec<String> = names.into_iter().collect();
        let nearness = |name: &String| strsim::damerau_levenshtein(given, name);
        match names.iter().min_by_key(|name| nearness(name)) {
            Some(name) if nearness(name) <= name.len().max(3) / 3 => Self::Nearest(name.clone()),
            _ => Self::OneOf(names),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nearest(name) => write!(f, "; did you mean `{name}`?"),
            Self::OneOf(names) => write!(f, "; there are {}", names.join(", ")),
        }
    }
}
