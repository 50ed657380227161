//! Copying a Redis into a presence: once, key by key, and again without harm.
//!
//! A key is read whole and compared with what stands in its place. What stands there must be a part of what is to come (some of a set's members, some of
//! a hash's fields with their values, the beginning of a list); then what is missing is added. So an import that was cut off is run again and goes on
//! where it stopped, nothing is doubled, and nothing that the cluster has is overwritten unless that is asked for. This
//! needs no notes of its own, which a crash could leave behind the truth.
//!
//! Nothing is tried again here: a Redis that was lost may come back empty, and an import that went on would call itself complete.
//!
//! - `source`: what a key holds; `target`: what is missing of it; `report`: what became of the keys

mod report;
mod source;
mod target;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use headcount_presence::{Error, Limits, Presence};

pub use self::report::{ImportReport, Refusal, Refused};

use self::report::Outcome;
use self::source::{Found, Source};
use self::target::Target;
use super::options::RedisBuilder;

/// Keys that are copied at a time.
const AT_ONCE: usize = 32;

/// How long a command may take unless the [`RedisBuilder`] says more: a large key is read in one.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Copies the strings, sets, hashes and lists of a Redis, with their deadlines, into a presence.
///
/// What is there already is not written again, so an import that was cut off can simply be run again.
///
/// ```no_run
/// use headcount::{Import, LocalPresence};
///
/// # async fn import() -> Result<(), Box<dyn std::error::Error>> {
/// let presence = LocalPresence::new(); // or a node's
/// let report = Import::from("redis://127.0.0.1:6379/0").pattern("room*").run(&presence, |_| {}).await?;
/// println!("{} keys copied, {} could not be taken", report.copied(), report.refused());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Import {
    redis: RedisBuilder,
    pattern: Option<Vec<u8>>,
    limits: Limits,
    replace: bool,
}

/// Why an import ended before it was done.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{cause}; run the same import again when that is mended: what is there is not copied twice")]
#[non_exhaustive]
pub struct ImportError {
    /// What happened.
    pub cause: Error,
    /// What was done until then.
    pub report: ImportReport,
}

impl From<RedisBuilder> for Import {
    fn from(redis: RedisBuilder) -> Self {
        let timeout = redis.timeouts.command.max(COMMAND_TIMEOUT);
        Self { redis: redis.command_timeout(timeout), pattern: None, limits: Limits::default(), replace: false }
    }
}

impl From<&str> for Import {
    /// From the Redis at this address.
    fn from(url: &str) -> Self {
        RedisBuilder::from(url).into()
    }
}

impl Import {
    /// Only keys that this glob matches, as Redis's `SCAN` has them.
    pub fn pattern(mut self, pattern: impl Into<Vec<u8>>) -> Self {
        self.pattern = Some(pattern.into());
        self
    }

    /// The caps of the presence that is written to. Default: those of a node by default.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether to remove what is in a key's way. Default: no; such keys are [refused](Refusal::Occupied).
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Copies, and tells after every few hundred keys how far it is. A key is counted once its writes have returned, so
    /// with a handle that is [`acknowledged`](Presence::acknowledged) once peers have it.
    ///
    /// What changes in the Redis meanwhile may be missed; deadlines come within a second, never early.
    ///
    /// # Errors
    /// [`ImportError`]; what was copied until then stays.
    pub async fn run(
        &self,
        into: &impl Presence,
        progress: impl FnMut(&ImportReport),
    ) -> Result<ImportReport, ImportError> {
        let target = Target { presence: into, limits: &self.limits, replace: self.replace };
        self.each(progress, async |key, found| match found {
            Found::Entry(entry) => target.take(key, entry).await,
            Found::Gone => Ok(Outcome::Gone),
            Found::Refused(refusal) => Ok(Outcome::Refused(refusal)),
        })
        .await
    }

    /// Only reads: counts what would be copied, into an empty presence, and what could not be.
    ///
    /// # Errors
    /// [`ImportError`].
    pub async fn dry_run(&self, progress: impl FnMut(&ImportReport)) -> Result<ImportReport, ImportError> {
        self.each(progress, async |_, found| {
            Ok(match found {
                Found::Entry(entry) => Outcome::Copied(entry.content.kind()),
                Found::Gone => Outcome::Gone,
                Found::Refused(refusal) => Outcome::Refused(refusal),
            })
        })
        .await
    }

    async fn each(
        &self,
        mut progress: impl FnMut(&ImportReport),
        take: impl AsyncFn(&[u8], Found) -> Result<Outcome, Error>,
    ) -> Result<ImportReport, ImportError> {
        let mut report = ImportReport::default();
        match self.each_page(&mut report, &mut progress, take).await {
            Ok(()) => Ok(report),
            Err(cause) => Err(ImportError { cause, report }),
        }
    }

    async fn each_page(
        &self,
        report: &mut ImportReport,
        progress: &mut impl FnMut(&ImportReport),
        take: impl AsyncFn(&[u8], Found) -> Result<Outcome, Error>,
    ) -> Result<(), Error> {
        let source = Source::connect(&self.redis, self.pattern.as_deref(), &self.limits).await?;
        report.total = source.total().await?;
        progress(report);
        let mut cursor = Bytes::from_static(b"0");
        loop {
            let (next, keys) = source.page(&cursor).await?;
            // A page may name a key twice; two copies of a list at once would both find it missing.
            let keys: BTreeSet<Bytes> = keys.into_iter().collect();
            let copies = keys.into_iter().map(|key| async {
                let outcome = match source.read(&key).await? {
                    None => Outcome::Skipped,
                    Some(found) => take(&key, found).await?,
                };
                Ok::<_, Error>((key, outcome))
            });
            let mut copies = stream::iter(copies).buffer_unordered(AT_ONCE);
            while let Some(copied) = copies.next().await {
                let (key, outcome) = copied?;
                report.note(key, outcome);
            }
            progress(report);
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }
}
