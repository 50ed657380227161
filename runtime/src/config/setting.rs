//! The table of settings: each one's key, what kind of value it takes, where it lives in a [`Config`] and its range.
//!
//! File keys are the keys as they stand here, with a dot for a table; the variable of a key is `HEADCOUNT_` and the key
//! in capitals with `_` for the dot. A new setting is one line here and one field there. Ranges that the cluster layer
//! checks itself are not repeated.

use std::time::Duration;

use headcount_presence::HomeRequires;

use super::Config;
use super::error::ConfigError;
use super::redis::{is_address, without_secrets};

/// What begins the name of every variable.
pub(super) const VARIABLE_PREFIX: &str = "HEADCOUNT_";

/// What may stand for `backend`, in words.
const BACKENDS: &str =
    "\"cluster\", or a Redis's address such as \"redis://127.0.0.1:6379/0\" (rediss:// is TLS, unix:///path a socket)";

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;

pub(super) const SETTINGS: &[Setting] = &[
    Setting { key: "name", slot: Slot::OptionalText(|c| &mut c.name) },
    Setting { key: "cluster", slot: Slot::Text(|c| &mut c.cluster) },
    Setting { key: "listen", slot: Slot::Text(|c| &mut c.listen) },
    Setting { key: "advertise", slot: Slot::OptionalText(|c| &mut c.advertise) },
    Setting { key: "seeds", slot: Slot::Texts(|c| &mut c.seeds) },
    Setting { key: "join_timeout", slot: Slot::Time(|c| &mut c.join_timeout, None) },
    Setting { key: "require_join", slot: Slot::Switch(|c| &mut c.require_join) },
    Setting { key: "gossip_interval", slot: Slot::Time(|c| &mut c.gossip_interval, None) },
    Setting { key: "detection_time", slot: Slot::Time(|c| &mut c.detection_time, None) },
    Setting { key: "grace", slot: Slot::Time(|c| &mut c.grace, None) },
    Setting { key: "home_requires", slot: Slot::Homes(|c| &mut c.home_requires) },
    Setting { key: "backend", slot: Slot::Backend(|c| &mut c.redis.url) },
    Setting { key: "redis.key_prefix", slot: Slot::Text(|c| &mut c.redis.key_prefix) },
    Setting { key: "redis.lease", slot: Slot::Time(|c| &mut c.redis.lease, Some((300, 3_600_000))) },
    Setting {
        key: "redis.wait_for_redis",
        slot: Slot::Time(|c| &mut c.redis.wait_for_redis, Some((0, 7 * 86_400_000))),
    },
    Setting { key: "redis.connect_timeout", slot: Slot::Time(|c| &mut c.redis.connect_timeout, Some((10, 600_000))) },
    Setting { key: "redis.command_timeout", slot: Slot::Time(|c| &mut c.redis.command_timeout, Some((10, 600_000))) },
    Setting { key: "redis.root_certificates", slot: Slot::OptionalText(|c| &mut c.redis.root_certificates) },
    Setting { key: "limits.max_key_bytes", slot: Slot::Bytes(|c| &mut c.limits.max_key_bytes, (1, 64 * KIB)) },
    Setting { key: "limits.max_value_bytes", slot: Slot::Bytes(|c| &mut c.limits.max_value_bytes, (1, 4 * MIB)) },
    Setting { key: "limits.max_arguments", slot: Slot::Count(|c| &mut c.limits.max_arguments, (1, 1_000_000)) },
    Setting { key: "limits.max_command_bytes", slot: Slot::Bytes(|c| &mut c.limits.max_command_bytes, (1, 4 * MIB)) },
    Setting { key: "limits.max_topic_bytes", slot: Slot::Bytes(|c| &mut c.limits.max_topic_bytes, (1, 64 * KIB)) },
    Setting { key: "limits.max_message_bytes", slot: Slot::Bytes(|c| &mut c.limits.max_message_bytes, (1, 4 * MIB)) },
    Setting {
        key: "limits.max_subscriptions",
        slot: Slot::Count(|c| &mut c.limits.max_subscriptions, (0, 100_000_000)),
    },
    Setting { key: "limits.subscriber_queue", slot: Slot::Count(|c| &mut c.limits.subscriber_queue, (1, 1_000_000)) },
    Setting { key: "limits.max_watches", slot: Slot::Count(|c| &mut c.limits.max_watches, (0, 10_000_000)) },
    Setting { key: "limits.watcher_queue", slot: Slot::Count(|c| &mut c.limits.watcher_queue, (1, 1_000_000)) },
    Setting { key: "limits.peer_queue_bytes", slot: Slot::Bytes(|c| &mut c.limits.peer_queue_bytes, (KIB, GIB)) },
    Setting { key: "limits.oplog_bytes", slot: Slot::Bytes(|c| &mut c.limits.oplog_bytes, (KIB, 64 * GIB)) },
    Setting {
        key: "limits.max_memory_bytes",
        slot: Slot::Bytes(|c| &mut c.limits.max_memory_bytes, (MIB, 1024 * GIB)),
    },
    Setting { key: "limits.snapshot_bytes", slot: Slot::Bytes(|c| &mut c.limits.snapshot_bytes, (MIB, 1024 * GIB)) },
    Setting { key: "limits.max_homed_calls", slot: Slot::Count(|c| &mut c.limits.max_homed_calls, (1, 10_000_000)) },
    Setting { key: "limits.max_blocked_pops", slot: Slot::Count(|c| &mut c.limits.max_blocked_pops, (0, 10_000_000)) },
    Setting { key: "limits.home_wait", slot: Slot::Time(|c| &mut c.limits.home_wait, Some((1, 600_000))) },
    Setting { key: "limits.max_clock_skew", slot: Slot::Time(|c| &mut c.limits.max_clock_skew, Some((0, 86_400_000))) },
    Setting { key: "limits.subscribe_wait", slot: Slot::Time(|c| &mut c.limits.subscribe_wait, Some((0, 600_000))) },
];

/// One setting.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: &'static str,
    slot: Slot,
}

/// Where a value lives, and with it the kind of value; where this table bounds it, its least and most (times in ms).
#[derive(Debug)]
enum Slot {
    Text(fn(&mut Config) -> &mut String),
    OptionalText(fn(&mut Config) -> &mut Option<String>),
    Texts(fn(&mut Config) -> &mut Vec<String>),
    Switch(fn(&mut Config) -> &mut bool),
    Time(fn(&mut Config) -> &mut Duration, Option<(u64, u64)>),
    Homes(fn(&mut Config) -> &mut HomeRequires),
    Backend(fn(&mut Config) -> &mut Option<String>),
    Count(fn(&mut Config) -> &mut usize, (usize, usize)),
    Bytes(fn(&mut Config) -> &mut usize, (usize, usize)),
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Text without a type, from a variable or a flag.
    Words(String),
    /// A text of a file.
    Text(String),
    /// A whole number of a file.
    Integer(i64),
    /// A yes or no of a file.
    Boolean(bool),
    /// A list of texts of a file.
    Texts(Vec<String>),
    /// Anything else, as it is to be told.
    Other(String),
}

impl Value {
    /// The value for a person to read.
    fn shown(&self) -> String {
        match self {
            Self::Words(text) | Self::Text(text) => {
                let short: String = text.chars().take(128).collect();
                format!("{short:?}")
            }
            Self::Integer(number) => number.to_string(),
            Self::Boolean(yes) => yes.to_string(),
            Self::Texts(texts) => format!("{texts:?}"),
            Self::Other(what) => what.clone(),
        }
    }
}

impl Setting {
    /// The variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.key.replace('.', "_").to_ascii_uppercase())
    }

    /// Puts `value` into its place.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] without a source when the value is of another kind; the configuration is unchanged.
    pub(super) fn set(&self, config: &mut Config, value: &Value) -> Result<(), ConfigError> {
        let misfit = |allowed: &str| ConfigError::bad_value(self.key, value.shown(), allowed);
        match self.slot {
            Slot::Text(place) => *place(config) = text(value).ok_or_else(|| misfit("a text"))?,
            Slot::OptionalText(place) => *place(config) = Some(text(value).ok_or_else(|| misfit("a text"))?),
            Slot::Texts(place) => {
                *place(config) = texts(value).ok_or_else(|| misfit("a list of texts, such as [\"10.0.0.1:7946\"]"))?;
            }
            Slot::Homes(place) => {
                let homes = text(value).and_then(|text| text.parse().ok());
                *place(config) = homes.ok_or_else(|| misfit("\"any\" or \"majority\""))?;
            }
            Slot::Backend(place) => {
                let given = text(value).ok_or_else(|| misfit(BACKENDS))?;
                *place(config) = match given.as_str() {
                    "cluster" => None,
                    url if is_address(url) => Some(given),
                    other => {
                        return Err(ConfigError::bad_value(
                            self.key,
                            format!("{:?}", without_secrets(other)),
                            BACKENDS,
                        ));
                    }
                };
            }
            Slot::Switch(place) => *place(config) = switch(value).ok_or_else(|| misfit("true or false"))?,
            Slot::Time(place, _) => {
                *place(config) =
                    time(value).ok_or_else(|| misfit("a time with its unit, such as \"10s\", \"200ms\" or \"10m\""))?;
            }
            Slot::Count(place, _) => *place(config) = count(value).ok_or_else(|| misfit("a whole number"))?,
            Slot::Bytes(place, _) => {
                *place(config) =
                    bytes(value).ok_or_else(|| misfit("a number of bytes, such as 65536 or \"64KiB\" or \"1MiB\""))?;
            }
        }
        Ok(())
    }

    fn check_range(&self, config: &mut Config) -> Result<(), ConfigError> {
        match self.slot {
            Slot::Time(place, Some((least, most))) => {
                let given = *place(config);
                let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
                let fits = (least..=most).contains(&given);
                self.refuse_unless(fits, format!("{given:?}"), format!("{least:?} to {most:?}"))
            }
            Slot::Count(place, (least, most)) => {
                let given = *place(config);
                self.refuse_unless((least..=most).contains(&given), given.to_string(), format!("{least} to {most}"))
            }
            Slot::Bytes(place, (least, most)) => {
                let given = *place(config);
                self.refuse_unless(
                    (least..=most).contains(&given),
                    given.to_string(),
                    format!("{least} to {most} bytes"),
                )
            }
            Slot::Time(_, None)
            | Slot::Text(_)
            | Slot::OptionalText(_)
            | Slot::Texts(_)
            | Slot::Homes(_)
            | Slot::Backend(_)
            | Slot::Switch(_) => Ok(()),
        }
    }

    fn refuse_unless(&self, fits: bool, given: String, allowed: String) -> Result<(), ConfigError> {
        if fits { Ok(()) } else { Err(ConfigError::bad_value(self.key, given, allowed)) }
    }
}

/// Checks the settings whose range is in the table.
pub(super) fn check_ranges(config: &Config) -> Result<(), ConfigError> {
    let mut config = config.clone();
    SETTINGS.iter().try_for_each(|setting| setting.check_range(&mut config))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Words(text) | Value::Text(text) => Some(text.clone()),
        Value::Integer(_) | Value::Boolean(_) | Value::Texts(_) | Value::Other(_) => None,
    }
}

/// A list; of one text, its parts between commas.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Texts(texts) => Some(texts.clone()),
        Value::Words(text) => {
            Some(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
        }
        Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::Other(_) => None,
    }
}

fn switch(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(yes) => Some(*yes),
        Value::Words(word) => match word.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        Value::Text(_) | Value::Integer(_) | Value::Texts(_) | Value::Other(_) => None,
    }
}

fn time(value: &Value) -> Option<Duration> {
    text(value).and_then(|text| humantime::parse_duration(&text).ok())
}

fn count(value: &Value) -> Option<usize> {
    match value {
        Value::Integer(number) => usize::try_from(*number).ok(),
        Value::Words(word) => word.parse().ok(),
        Value::Text(_) | Value::Boolean(_) | Value::Texts(_) | Value::Other(_) => None,
    }
}

/// A number of bytes, or a text with one of the units of two's powers.
fn bytes(value: &Value) -> Option<usize> {
    let (Value::Words(text) | Value::Text(text)) = value else { return count(value) };
    let (number, unit) = [("KiB", KIB), ("MiB", MIB), ("GiB", GIB)]
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((text, 1));
    number.trim_end().parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Value {
        Value::Words(text.to_owned())
    }

    #[test]
    fn keys_and_variables_are_unique() {
        let mut variables: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), SETTINGS.len());
    }

    #[test]
    fn every_default_is_within_its_range() {
        assert_eq!(check_ranges(&Config::default()), Ok(()));
    }

    #[test]
    fn a_bound_is_taken_and_one_past_it_is_refused() {
        let mut config = Config::default();
        config.limits.max_topic_bytes = 64 * KIB;
        assert_eq!(check_ranges(&config), Ok(()));
        config.limits.max_topic_bytes += 1;
        assert_eq!(
            check_ranges(&config).unwrap_err().to_string(),
            "setting `limits.max_topic_bytes` is 65537, but must be 1 to 65536 bytes"
        );
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(time(&words("10s")), Some(Duration::from_secs(10)));
        assert_eq!(time(&words("200ms")), Some(Duration::from_millis(200)));
        assert_eq!(time(&words("1m 30s")), Some(Duration::from_secs(90)));
        for bad in ["", "10", "ten seconds", "-1s", "1 parsec"] {
            assert_eq!(time(&words(bad)), None, "{bad}");
        }
        assert_eq!(time(&Value::Integer(10)), None);
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit_of_two_s_powers() {
        assert_eq!(bytes(&Value::Integer(65_536)), Some(65_536));
        assert_eq!(bytes(&words("64KiB")), Some(65_536));
        assert_eq!(bytes(&Value::Text("2 MiB".into())), Some(2 << 20));
        for bad in
            [words("64kb"), words("-1"), words(""), Value::Integer(-1), words("99999999999GiB"), Value::Boolean(true)]
        {
            assert_eq!(bytes(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_list_in_a_variable_is_separated_by_commas() {
        assert_eq!(texts(&words("a:1, b:2,")), Some(vec!["a:1".to_owned(), "b:2".to_owned()]));
        assert_eq!(texts(&words("")), Some(vec![]));
        assert_eq!(texts(&Value::Text("a:1".into())), None, "in a file a list is a list");
    }
}
