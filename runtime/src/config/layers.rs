//! Reading a configuration from a file, the environment and flags, each above the one before.
//!
//! Values are put in place in the order in which the layers are added, and the last one's source is remembered for
//! each setting. Unknown names are refused, never skipped: a misspelt `require_join` must not go unnoticed until
//! the night it was meant for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::Config;
use super::error::{Advice, ConfigError};
use super::setting::{SETTINGS, Setting, VARIABLE_PREFIX, Value};
use super::source::Source;

/// Variables with our prefix that are not settings: they are the program's own.
const PROGRAM_VARIABLES: [&str; 3] = ["HEADCOUNT_CONFIG", "HEADCOUNT_LOG", "HEADCOUNT_IMPORT_FROM"];

/// A configuration on its way through its layers.
///
/// ```
/// use headcount::config::Layers;
///
/// let environment = [("HEADCOUNT_NAME".into(), "game-1".into())];
/// let config = Layers::new()
///     .text("service.toml", "cluster = \"arena\"\nname = \"unnamed\"")?
///     .environment(environment)?
///     .finish()?;
/// assert_eq!((config.cluster.as_str(), config.name.as_deref()), ("arena", Some("game-1")));
/// # Ok::<(), headcount::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Layers {
    config: Config,
    sources: BTreeMap<&'static str, Source>,
}

impl Layers {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a TOML file above what is there.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`], and those of [`text`](Self::text).
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason: reason.to_string() })?;
        self.text(path, &text)
    }

    /// Puts TOML above what is there; `path` is how errors call it.
    ///
    /// # Errors
    /// [`ConfigError::NotToml`], [`ConfigError::UnknownKey`], [`ConfigError::BadValue`].
    pub fn text(mut self, path: impl AsRef<Path>, text: &str) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let at = |offset: usize| Source::File { path: path.to_owned(), line: line_of(text, offset) };
        let table = DeTable::parse(text).map_err(|error| ConfigError::NotToml {
            at: at(error.span().map_or(text.len(), |span| span.start)),
            message: error.message().to_owned(),
        })?;
        for entry in entries(table.get_ref()) {
            let setting = SETTINGS.iter().find(|setting| setting.key == entry.key);
            let source = at(entry.offset);
            match setting {
                Some(setting) => self.put(setting, &entry.value, source)?,
                None => return Err(unknown_key(entry.key, source)),
            }
        }
        Ok(self)
    }

    /// Puts the `HEADCOUNT_*` variables of an environment above what is there; others are not looked at.
    ///
    /// # Errors
    /// [`ConfigError::UnknownVariable`], [`ConfigError::BadValue`].
    pub fn environment(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(VARIABLE_PREFIX)) else { continue };
            if PROGRAM_VARIABLES.contains(&name) {
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) else {
                let names = SETTINGS.iter().map(Setting::variable).chain(PROGRAM_VARIABLES.map(str::to_owned));
                return Err(ConfigError::UnknownVariable {
                    variable: name.to_owned(),
                    advice: Advice::for_name(name, names),
                });
            };
            let value = match value.into_string() {
                Ok(text) => Value::Words(text),
                Err(_) => Value::Other("not UTF-8".to_owned()),
            };
            self.put(setting, &value, Source::Variable(name.to_owned()))?;
        }
        Ok(self)
    }

    /// Puts a flag's value, if it was given, above what is there. `flag` is its name with dashes, such as
    /// `--join-timeout`, and names the setting.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`].
    ///
    /// # Panics
    /// When no setting has the flag's name: a mistake in the program, not in its input.
    pub fn flag(mut self, flag: &str, value: Option<&str>) -> Result<Self, ConfigError> {
        let key = flag.trim_start_matches('-').replace('-', "_");
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            panic!("the flag {flag} names no setting");
        };
        if let Some(value) = value {
            self.put(setting, &Value::Words(value.to_owned()), Source::Flag(flag.to_owned()))?;
        }
        Ok(self)
    }

    /// The configuration, checked as a whole.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] with the source of the value.
    pub fn finish(self) -> Result<Config, ConfigError> {
        match self.config.cluster_config() {
            Ok(_) => Ok(self.config),
            Err(error) => {
                let source = error.key().and_then(|key| self.sources.get(key)).cloned();
                Err(error.at_source(source.as_ref()))
            }
        }
    }

    fn put(&mut self, setting: &Setting, value: &Value, source: Source) -> Result<(), ConfigError> {
        setting.set(&mut self.config, value).map_err(|error| error.at_source(Some(&source)))?;
        self.sources.insert(setting.key, source);
        Ok(())
    }
}

fn unknown_key(key: String, at: Source) -> ConfigError {
    let advice = Advice::for_name(&key, SETTINGS.iter().map(|setting| setting.key.to_owned()));
    ConfigError::UnknownKey { at, key, advice }
}

/// One key of a file: dotted where it is in a table, with its value and where the key starts.
struct Entry {
    key: String,
    value: Value,
    offset: usize,
}

/// The entries of a file in their order, so that the first mistake is the one that is told.
fn entries(table: &DeTable<'_>) -> Vec<Entry> {
    let mut found = Vec::new();
    collect(table, "", &mut found);
    found.sort_by_key(|entry| entry.offset);
    found
}

fn collect(table: &DeTable<'_>, prefix: &str, found: &mut Vec<Entry>) {
    for (key, value) in table {
        let dotted = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) if is_table(&dotted) => collect(inner, &format!("{dotted}."), found),
            other => found.push(Entry { key: dotted, value: plain(other), offset: key.span().start }),
        }
    }
}

/// Whether some setting lives in a table of this name. Other tables are told as one unknown key.
fn is_table(key: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other(number.to_string()),
        },
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Float(number) => Value::Other(number.to_string()),
        DeValue::Datetime(when) => Value::Other(when.to_string()),
        DeValue::Table(_) => Value::Other("a table".to_owned()),
        DeValue::Array(items) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
            .map_or_else(|| Value::Other("a list with something other than texts".to_owned()), Value::Texts),
    }
}

/// The line, counted from 1, of a byte offset.
fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or(text).matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn from_text(text: &str) -> Result<Config, ConfigError> {
        Layers::new().text("h.toml", text)?.finish()
    }

    fn from_environment(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Layers::new().environment(variables)?.finish()
    }

    #[test]
    fn every_setting_can_be_given_in_a_file() {
        let config = from_text(
            r#"
            name = "a"
            cluster = "demo"
            listen = "0.0.0.0:7000"
            advertise = "10.0.0.1:7000"
            seeds = ["10.0.0.2:7000", "game-3.internal:7000"]
            join_timeout = "5s"
            require_join = true
            gossip_interval = "100ms"
            detection_time = "2s"
            grace = "1m"

            [limits]
            max_key_bytes = 1024
            max_value_bytes = "64KiB"
            max_arguments = 100
            max_command_bytes = 0x1000
            max_topic_bytes = 100
            max_message_bytes = 1000
            max_subscriptions = 10
            subscriber_queue = 16
            peer_queue_bytes = "1MiB"
            oplog_bytes = "1GiB"
            snapshot_bytes = "1GiB"
            max_clock_skew = "1s"
            subscribe_wait = "1s"
            "#,
        )
        .unwrap();
        assert_eq!(config.seeds, ["10.0.0.2:7000", "game-3.internal:7000"]);
        assert_eq!((config.require_join, config.join_timeout), (true, Duration::from_secs(5)));
        assert_eq!((config.limits.max_value_bytes, config.limits.max_command_bytes), (65_536, 4_096));
        assert_eq!(config.limits.max_clock_skew, Duration::from_secs(1));
    }

    #[test]
    fn an_unknown_key_is_told_with_file_line_and_the_nearest_key() {
        let table = [
            ("name = \"a\"\nsedes = []", "h.toml, line 2: there is no setting `sedes`; did you mean `seeds`?"),
            (
                "[limits]\n\nmax_key_byte = 1",
                "h.toml, line 3: there is no setting `limits.max_key_byte`; did you mean `limits.max_key_bytes`?",
            ),
            ("require-join = true", "h.toml, line 1: there is no setting `require-join`; did you mean `require_join`?"),
            ("\n[limit]\nx = 1", "h.toml, line 2: there is no setting `limit`; "),
            ("colour = 1", "h.toml, line 1: there is no setting `colour`; there are name, cluster, listen, "),
        ];
        for (text, expected) in table {
            let told = from_text(text).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn a_bad_value_is_told_with_file_and_line() {
        let table = [
            (
                "join_timeout = 10",
                "h.toml, line 1: setting `join_timeout` is 10, but must be a time with its unit, \
                 such as \"10s\", \"200ms\" or \"10m\"",
            ),
            (
                "home_requires = \"most\"",
                "h.toml, line 1: setting `home_requires` is \"most\", but must be \"any\" or \"majority\"",
            ),
            ("\ngrace = \"soon\"", "h.toml, line 2: setting `grace` is \"soon\", but must be a time"),
            ("seeds = \"a:1\"", "h.toml, line 1: setting `seeds` is \"a:1\", but must be a list of texts"),
            ("require_join = \"yes\"", "h.toml, line 1: setting `require_join` is \"yes\", but must be true or false"),
            ("limits = 3", "h.toml, line 1: there is no setting `limits`"),
            ("name = \"a b\"", "h.toml, line 1: setting `name` is \"a b\", but must be a node name"),
            ("seeds = [\"a:1\", 2]", "h.toml, line 1: setting `seeds` is a list with something other than texts"),
            (
                "[limits]\nmax_arguments = 0",
                "h.toml, line 2: setting `limits.max_arguments` is 0, but must be 1 to 1000000",
            ),
            ("name = \"a\"\nname = \"b\"", "h.toml, line 2: duplicate key"),
            ("name = \"a\"\nlisten = ", "h.toml, line 2: "),
        ];
        for (text, expected) in table {
            let told = from_text(text).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{text:?}: {told}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told_by_name() {
        let told = Layers::new().file("no-such-file.toml").unwrap_err().to_string();
        assert!(told.starts_with("cannot read the configuration file no-such-file.toml: "), "{told}");
    }

    #[test]
    fn variables_set_what_they_are_named_after() {
        let config = from_environment(&[
            ("HEADCOUNT_NAME", "a"),
            ("HEADCOUNT_SEEDS", "10.0.0.2:7946,10.0.0.3:7946"),
            ("HEADCOUNT_REQUIRE_JOIN", "1"),
            ("HEADCOUNT_JOIN_TIMEOUT", "3s"),
            ("HEADCOUNT_LIMITS_MAX_KEY_BYTES", "2KiB"),
            ("HEADCOUNT_LOG", "debug"),
            ("HOME", "/root"),
        ])
        .unwrap();
        assert_eq!(config.name.as_deref(), Some("a"));
        assert_eq!(config.seeds, ["10.0.0.2:7946", "10.0.0.3:7946"]);
        assert!(config.require_join);
        assert_eq!(config.limits.max_key_bytes, 2048);
    }

    #[test]
    fn an_unknown_variable_is_told_with_the_nearest() {
        let told = from_environment(&[("HEADCOUNT_SEED", "a:1")]).unwrap_err().to_string();
        assert_eq!(told, "environment: there is no variable `HEADCOUNT_SEED`; did you mean `HEADCOUNT_SEEDS`?");
    }

    #[test]
    fn a_mistake_that_only_shows_in_the_whole_is_told_at_its_source() {
        let told = from_environment(&[("HEADCOUNT_DETECTION_TIME", "1ms")]).unwrap_err().to_string();
        assert!(
            told.starts_with("HEADCOUNT_DETECTION_TIME: setting `detection_time` is 1ms, but must be 400ms to 20s")
        );
        let told = Layers::new().flag("--listen", Some("nonsense")).unwrap().finish().unwrap_err().to_string();
        assert!(told.starts_with("--listen: setting `listen` is \"nonsense\", but must be an IP address with a port"));
    }

    #[test]
    fn flags_are_above_the_environment_and_that_above_the_file() {
        let layers = || {
            Layers::new()
                .text("h.toml", "name = \"file\"\ncluster = \"file\"\nlisten = \"127.0.0.1:1\"")
                .unwrap()
                .environment(
                    [("HEADCOUNT_NAME", "environment"), ("HEADCOUNT_CLUSTER", "environment")]
                        .map(|(n, v)| (n.into(), v.into())),
                )
                .unwrap()
        };
        let config = layers().flag("--name", Some("flag")).unwrap().flag("--cluster", None).unwrap().finish().unwrap();
        assert_eq!(config.name.as_deref(), Some("flag"));
        assert_eq!(config.cluster, "environment");
        assert_eq!(config.listen, "127.0.0.1:1");
    }

    #[test]
    #[cfg(unix)]
    fn a_variable_that_is_not_text_is_an_error_and_no_panic() {
        use std::os::unix::ffi::OsStringExt as _;
        let value = OsString::from_vec(vec![0xff]);
        let told = Layers::new().environment([("HEADCOUNT_NAME".into(), value)]).unwrap_err().to_string();
        assert_eq!(told, "HEADCOUNT_NAME: setting `name` is not UTF-8, but must be a text");
    }
}
