//! `headcount import`: joins a cluster, copies a Redis into it, and leaves.
//!
//! It is a member like any other while it copies, so what it writes is confirmed by a peer before it counts. Its name is always the
//! same: two imports into one cluster at a time would both find a list missing, and the name lets only one of them in; another waits
//! for it as long as it looks for seeds.
//! The summary goes to standard output, progress and everything else to stderr.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use headcount::config::{Config, ConfigError};
use headcount::{Ack, Bytes, Import, ImportError, ImportReport, Node, NodeBuilder, Presence as _, Type};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::warn;

use crate::args::ImportTask;
use crate::console::reply;
use crate::node::{Failure, STOPPED, failure, layers};
use crate::signals::Signals;

/// The node's name.
const NAME: &str = "import";

/// How long a peer may take to confirm a write.
const CONFIRMED_IN: Duration = Duration::from_secs(10);

/// Gossip rounds before the first key is compared with what is there: by then the cluster knows what an import that was killed a moment ago
/// had told only one node.
const SETTLING_ROUNDS: u32 = 10;

/// Copies a Redis into a cluster.
///
/// # Errors
/// What went wrong, or that some keys could not be taken.
pub(crate) async fn run(task: &ImportTask) -> Result<ExitCode, Failure> {
    let mut signals = Signals::new().map_err(|e| failure(format!("cannot listen for signals: {e}")))?;
    let config = load(task).map_err(failure)?;
    let redis = config.redis_options_at(&task.from).map_err(failure)?;
    let mut import = Import::from(redis).limits(config.presence_limits()).replace(task.replace);
    if let Some(pattern) = &task.pattern {
        import = import.pattern(pattern.as_bytes());
    }
    let settling = config.gossip_interval * SETTLING_ROUNDS;
    let node = tokio::select! {
        biased;
        signal = signals.next() => return Ok(stopped(signal, 0)),
        node = join(task, config) => node?,
    };
    let view = View::new();
    let copied = tokio::select! {
        biased;
        signal = signals.next() => Err(signal),
        copied = copy(&import, node.as_ref(), settling, &view) => Ok(copied),
    };
    // Clearing moves it to its end.
    let done = view.bar.position();
    view.bar.finish_and_clear();
    if let Some(node) = node {
        leave(node).await;
    }
    match copied {
        Err(signal) => Ok(stopped(signal, done)),
        Ok(Ok(report)) => {
            tell(&summary(&report, task.dry_run));
            match report.refused() {
                0 => Ok(ExitCode::SUCCESS),
                refused => Err(failure(format!("{refused} of {} keys cannot be taken", report.seen()))),
            }
        }
        Ok(Err(failed)) => {
            if failed.report.seen() > 0 {
                tell(&summary(&failed.report, task.dry_run));
            }
            Err(failure(failed))
        }
    }
}

/// Takes part in the cluster, when there is something to copy into it.
async fn join(task: &ImportTask, mut config: Config) -> Result<Option<Node>, Failure> {
    if task.dry_run {
        return Ok(None);
    }
    if config.redis.url.is_some() {
        return Err(failure("an import goes into a cluster, and `backend` is a Redis; leave it out"));
    }
    if config.seeds.is_empty() {
        return Err(failure(
            "name a node of the cluster to copy into (--seeds 127.0.0.1:7946), or only look (--dry-run)",
        ));
    }
    // Alone it is of no use.
    config.require_join = true;
    let node = NodeBuilder::from(config).start().await.map_err(failure)?;
    node.ready().await.map_err(failure)?;
    Ok(Some(node))
}

async fn copy(
    import: &Import,
    node: Option<&Node>,
    settling: Duration,
    view: &View,
) -> Result<ImportReport, ImportError> {
    let show = |report: &ImportReport| view.show(report);
    let Some(node) = node else { return import.dry_run(show).await };
    tokio::time::sleep(settling).await;
    import.run(&node.presence().acknowledged(Ack::Peers(1), CONFIRMED_IN), show).await
}

/// Says goodbye, also after a failure: one who only vanishes counts for its silence, and holds its name.
async fn leave(node: Node) {
    let report = node.leave().await;
    if !report.unconfirmed.is_empty() {
        warn!("{report}");
    }
}

fn stopped(signal: &str, keys: u64) -> ExitCode {
    let again = "run the same command again to go on: what is there is not copied twice";
    warn!("{signal} after {} keys; {again}", HumanCount(keys));
    ExitCode::from(STOPPED)
}

/// The settings of a member that is there for a while: it may share a file with a node, so name and address are its own.
fn load(task: &ImportTask) -> Result<Config, ConfigError> {
    let layers = layers(&task.cluster)?.flag("--name", Some(NAME))?;
    if task.listen.is_some() {
        return layers.flag("--listen", task.listen.as_deref())?.finish();
    }
    let config = layers.clone().flag("--listen", Some("127.0.0.1:0"))?.finish()?;
    let listen = SocketAddr::new(reaching(&config.seeds).ip(), 0).to_string();
    layers.flag("--listen", Some(&listen))?.finish()
}

/// The address of this machine that reaches the first of the seeds that can be told. Nothing is sent for it.
fn reaching(seeds: &[String]) -> SocketAddr {
    let local = |seed: SocketAddr| {
        let any: SocketAddr = if seed.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.connect(seed)?;
        socket.local_addr()
    };
    let mut addresses = seeds.iter().filter_map(|seed| seed.to_socket_addrs().ok()).flatten();
    addresses.find_map(|seed| local(seed).ok()).unwrap_or_else(|| ([127, 0, 0, 1], 0).into())
}

/// What is shown while it copies: a bar on a terminal, nothing elsewhere.
#[derive(Debug)]
struct View {
    bar: ProgressBar,
}

impl View {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {human_pos} keys  {per_sec}  {msg}"));
        Self { bar }
    }

    fn show(&self, report: &ImportReport) {
        if let Some(total) = report.total.filter(|total| self.bar.length() != Some(*total)) {
            self.bar.set_length(total);
            self.bar.set_style(style("{bar:40} {human_pos}/{human_len} keys  {per_sec}  {eta} left  {msg}"));
        }
        self.bar.set_position(report.seen());
        self.bar.set_message(format!("{} could not be taken", HumanCount(report.refused())));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well-formed")
}

/// What became of the keys, for people.
fn summary(report: &ImportReport, dry_run: bool) -> String {
    let of = |kind| HumanCount(report.copied.get(&kind).copied().unwrap_or_default());
    let mut text = format!(
        "{} {}: {} strings, {} sets, {} hashes, {} lists\n",
        if dry_run { "can be copied" } else { "copied" },
        HumanCount(report.copied()),
        of(Type::String),
        of(Type::Set),
        of(Type::Hash),
        of(Type::List),
    );
    for (count, what) in [
        (report.present, "were there already"),
        (report.gone, "expired or were removed before they were read"),
        (report.skipped, "are records of owners, which mean nothing elsewhere"),
    ] {
        if count > 0 {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{} {what}", HumanCount(count));
        }
    }
    for (refusal, refused) in &report.refused {
        let named: Vec<String> = refused.examples.iter().map(|key: &Bytes| reply::word(key)).collect();
        let more = if refused.count > named.len() as u64 { ", .." } else { "" };
        let _ = writeln!(text, "{} cannot be taken, {refusal}: {}{more}", HumanCount(refused.count), named.join(", "));
    }
    text
}

/// Prints to standard output. When nobody reads it any more the work was done all the same.
fn tell(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use headcount::Refusal;

    use super::*;

    #[test]
    fn a_summary_names_what_could_not_be_taken_and_why() {
        let mut report = ImportReport::default();
        report.copied.insert(Type::Set, 1200);
        report.present = 3;
        let refused = report.refused.entry(Refusal::ForeignType("zset".into())).or_default();
        (refused.count, refused.examples) = (12, vec!["ranks".into(), "odd key".into()]);
        assert_eq!(
            summary(&report, false),
            "copied 1,200: 0 strings, 1,200 sets, 0 hashes, 0 lists\n3 were there already\n\
             12 cannot be taken, of type zset, which headcount has not: it has strings, sets, hashes and lists: \
             ranks, \"odd key\", ..\n"
        );
    }

    #[test]
    fn a_member_that_is_there_for_a_while_listens_where_its_seeds_can_answer() {
        assert!(reaching(&["127.0.0.1:7946".into()]).ip().is_loopback());
        assert!(reaching(&["no such host:1".into()]).ip().is_loopback());
    }
}
