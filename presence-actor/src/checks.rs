//! What is checked of a command before any backend sees it.
//!
//! Sizes, counts and lives in seconds: what does not depend on what is stored. The state calls these, and so does every other backend of
//! [`Presence`](crate::Presence), so that a call is refused in the same words whatever stands behind it.

use headcount_cluster::WallMs;

use crate::api::Result;
use crate::error::Error;
use crate::limits::Limits;

impl Limits {
    /// Checks a key.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn check_key(&self, key: &[u8]) -> Result<()> {
        at_most("key", key.len(), self.max_key_bytes, "max_key_bytes")
    }

    /// Checks a member, field or value.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn check_value(&self, value: &[u8]) -> Result<()> {
        at_most("value", value.len(), self.max_value_bytes, "max_value_bytes")
    }

    /// Checks the field of a counter: as for a key, because who removes a counter has to name it once for each node that counted.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn check_counted_field(&self, field: &[u8]) -> Result<()> {
        at_most("counter's field", field.len(), self.max_key_bytes, "max_key_bytes")
    }

    /// Checks the values of a command that takes several; none at all is a wrong arity.
    ///
    /// # Errors
    /// [`Error::WrongArity`], [`Error::TooMany`], [`Error::TooLarge`].
    pub fn check_values(&self, command: &'static str, values: &[&[u8]]) -> Result<()> {
        if values.is_empty() {
            return Err(Error::WrongArity { command: command.to_owned() });
        }
        if values.len() > self.max_arguments {
            let (count, limit) = (values.len(), self.max_arguments);
            return Err(Error::TooMany { what: "arguments", count, limit, name: "max_arguments" });
        }
        let mut bytes = 0;
        for value in values {
            self.check_value(value)?;
            bytes += value.len();
        }
        at_most("command", bytes, self.max_command_bytes, "max_command_bytes")
    }

    /// Checks a topic or pattern.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn check_topic(&self, topic: &[u8]) -> Result<()> {
        at_most("topic", topic.len(), self.max_topic_bytes, "max_topic_bytes")
    }

    /// Checks a message.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn check_message(&self, message: &[u8]) -> Result<()> {
        at_most("message", message.len(), self.max_message_bytes, "max_message_bytes")
    }

    /// Checks that there is room for one subscription more than `present`.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn check_subscriptions(&self, present: usize) -> Result<()> {
        let (count, limit) = (present + 1, self.max_subscriptions);
        if count > limit {
            return Err(Error::TooMany { what: "subscriptions", count, limit, name: "max_subscriptions" });
        }
        Ok(())
    }

    /// Checks that there is room for one blocked pop more than `present`.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn check_blocked_pops(&self, present: usize) -> Result<()> {
        let (count, limit) = (present + 1, self.max_blocked_pops);
        if count > limit {
            return Err(Error::TooMany { what: "blocked pops", count, limit, name: "max_blocked_pops" });
        }
        Ok(())
    }
}

fn at_most(what: &'static str, bytes: usize, limit: usize, name: &'static str) -> Result<()> {
    if bytes > limit { Err(Error::TooLarge { what, bytes, limit, name }) } else { Ok(()) }
}

/// A moment `seconds` from now.
///
/// # Errors
/// [`Error::InvalidExpiry`] when it is in the past or beyond what a clock can hold.
pub fn deadline(command: &'static str, seconds: i64, now: WallMs) -> Result<WallMs> {
    let span = u64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1000));
    let at = span.and_then(|span| now.0.checked_add(span));
    // 48 bits of milliseconds is what a stamp can hold: some 8,900 years.
    at.filter(|at| *at < 1 << 48).map(WallMs).ok_or(Error::InvalidExpiry { command })
}

/// A moment `seconds` from now, for commands that delete a key whose moment is not in the future: `None` stands for that.
///
/// # Errors
/// As [`deadline`], and as in Redis when it is further in the past than a clock can hold.
pub fn expiry(command: &'static str, seconds: i64, now: WallMs) -> Result<Option<WallMs>> {
    match seconds {
        1.. => deadline(command, seconds, now).map(Some),
        _ if seconds < i64::MIN / 1000 => Err(Error::InvalidExpiry { command }),
        _ => Ok(None),
    }
}

/// A moment `seconds` from now, for commands that need a life of at least one.
///
/// # Errors
/// As [`deadline`].
pub fn life(command: &'static str, seconds: i64, now: WallMs) -> Result<WallMs> {
    if seconds <= 0 { Err(Error::InvalidExpiry { command }) } else { deadline(command, seconds, now) }
}
