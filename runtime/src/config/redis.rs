//! Settings of a node over a Redis: where it is, and what to expect of it.
//!
//! They exist whether or not the crate was built with Redis, so that a file means the same everywhere. The address may hold a password, so
//! neither [`Debug`] nor an error shows it.

use std::fmt;
use std::time::Duration;

/// How a node reaches its Redis, when it has one.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct RedisConfig {
    /// The address, such as `redis://127.0.0.1:6379/0`; `None` is a cluster of nodes. The setting is called `backend`.
    pub url: Option<String>,
    /// What all keys and topics begin with there. Default: nothing.
    pub key_prefix: String,
    /// Silence after which others take what a node owns away, 300 ms to 1 h. Default 10 s.
    pub lease: Duration,
    /// How long a start waits for the Redis, at most 7 days; zero fails at once. Default zero.
    pub wait_for_redis: Duration,
    /// How long making a connection may take, 10 ms to 10 min. Default 5 s.
    pub connect_timeout: Duration,
    /// How long a command may take, 10 ms to 10 min. Default 2 s.
    pub command_timeout: Duration,
    /// A file with the certificates, in PEM, to check the Redis's against. Default: the system's.
    pub root_certificates: Option<String>,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: None,
            key_prefix: String::new(),
            lease: Duration::from_secs(10),
            wait_for_redis: Duration::ZERO,
            connect_timeout: Duration::from_secs(5),
            command_timeout: Duration::from_secs(2),
            root_certificates: None,
        }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("url", &self.url.as_deref().map(without_secrets))
            .field("key_prefix", &self.key_prefix)
            .field("lease", &self.lease)
            .field("wait_for_redis", &self.wait_for_redis)
            .field("connect_timeout", &self.connect_timeout)
            .field("command_timeout", &self.command_timeout)
            .field("root_certificates", &self.root_certificates)
            .finish()
    }
}

/// Whether a text can be a Redis's address.
pub(super) fn is_address(text: &str) -> bool {
    ["redis://", "rediss://", "unix://", "redis+unix://"].iter().any(|scheme| text.starts_with(scheme))
}

/// An address without user and password.
pub(super) fn without_secrets(url: &str) -> String {
    let Some((before, host)) = url.rsplit_once('@') else { return url.to_owned() };
    let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
    format!("{scheme}..@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let config = RedisConfig { url: Some("rediss://me:se@cret@host:1/0".into()), ..RedisConfig::default() };
        assert!(format!("{config:?}").contains("rediss://..@host:1/0"), "{config:?}");
        assert_eq!(without_secrets("secret@host"), "..@host");
        assert_eq!(without_secrets("redis://host"), "redis://host");
    }
}
