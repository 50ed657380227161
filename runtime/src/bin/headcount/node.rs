//! `headcount node`: one node from its start until it is told to leave.
//!
//! Standard output carries the line `ready ..` and the console's replies, nothing else, so that a script can read it.
//! The console is one task among the things that may end the node: a signal, `QUIT`, Ctrl-D, or the node itself.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use headcount::config::{Config, ConfigError, Layers};
use headcount::{NodeBuilder, NodeError};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::args::{ClusterFlags, NodeTask};
use crate::console::{Console, End, Input, Output};
use crate::served::{Clustered, Served};
use crate::signals::Signals;

/// How long the last replies may take to be read by whoever reads standard output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The exit code of a program that was stopped before it was done, as shells have it for Ctrl-C.
pub(crate) const STOPPED: u8 = 130;

/// What a program without Redis says to who wants one.
#[cfg(not(feature = "redis"))]
pub(crate) const WITHOUT_REDIS: &str = "this program was built without Redis, which is asked for here; build it with the cargo feature `redis`: \
                             cargo install --path runtime --features redis";

/// Why the program ends with an `error:` line.
pub(crate) type Failure = Box<dyn Display>;

/// Runs a node until it is told to leave.
///
/// # Errors
/// What the node cannot start with, or why it stopped by itself.
pub(crate) async fn run(task: &NodeTask) -> Result<ExitCode, Failure> {
    let mut signals = Signals::new().map_err(|e| failure(format!("cannot listen for signals: {e}")))?;
    let config = load(task).map_err(failure)?;
    if config.redis.url.is_some() {
        return Box::pin(over_redis(task, config, &mut signals)).await;
    }
    let cluster = config.cluster.clone();
    let Some(node) = start(NodeBuilder::from(config).start(), &mut signals).await? else {
        return Ok(ExitCode::from(STOPPED));
    };
    live(Clustered { node, cluster }, task, &mut signals).await
}

#[cfg(feature = "redis")]
async fn over_redis(task: &NodeTask, config: Config, signals: &mut Signals) -> Result<ExitCode, Failure> {
    let idle = config.idle_over_redis();
    if !idle.is_empty() {
        warn!("over a Redis nodes find each other there, so these settings have no effect: {}", idle.join(", "));
    }
    let Some(options) = config.redis_options().map_err(failure)? else {
        unreachable!("it has an address, or this would not have been called");
    };
    match start(Box::pin(NodeBuilder::from(config).redis(options).start()), signals).await? {
        Some(node) => live(node, task, signals).await,
        None => Ok(ExitCode::from(STOPPED)),
    }
}

#[cfg(not(feature = "redis"))]
fn over_redis(_: &NodeTask, _: Config, _: &mut Signals) -> std::future::Ready<Result<ExitCode, Failure>> {
    std::future::ready(Err(failure(WITHOUT_REDIS)))
}

/// Starts a node; none when a signal came first.
async fn start<N>(
    starting: impl Future<Output = Result<N, NodeError>>,
    signals: &mut Signals,
) -> Result<Option<N>, Failure> {
    tokio::select! {
        biased;
        signal = signals.next() => {
            info!("{signal} before the node had started: stopped");
            Ok(None)
        }
        started = starting => started.map(Some).map_err(failure),
    }
}

/// What a node does until it leaves.
async fn live(node: impl Served, task: &NodeTask, signals: &mut Signals) -> Result<ExitCode, Failure> {
    let output = Output::start();
    let told = tokio::select! {
        biased;
        signal = signals.next() => Told::Signal(signal),
        reason = node.stopped() => Told::Stopped(reason),
        told = serve(&node, !task.no_console, &output) => told,
    };
    let end = match told {
        Told::Signal(signal) => Ok(leave(node, signal, signals).await),
        Told::Console(words) => Ok(leave(node, words, signals).await),
        Told::Stopped(reason) => Err(failure(reason)),
    };
    output.finish(LAST_WORDS).await;
    end
}

/// What ended the node's work.
enum Told {
    Signal(&'static str),
    Console(&'static str),
    Stopped(String),
}

/// File, environment and flags, in rising order.
fn load(task: &NodeTask) -> Result<Config, ConfigError> {
    layers(&task.cluster)?
        .flag("--name", task.name.as_deref())?
        .flag("--listen", task.listen.as_deref())?
        .flag("--require-join", task.require_join.as_deref())?
        .flag("--backend", task.backend.as_deref())?
        .finish()
}

/// File, environment and the flags that every member of a cluster has, in rising order.
pub(crate) fn layers(flags: &ClusterFlags) -> Result<Layers, ConfigError> {
    let mut layers = Layers::new();
    if let Some(file) = &flags.config {
        layers = layers.file(file)?;
    }
    layers
        .environment(std::env::vars_os())?
        .flag("--advertise", flags.advertise.as_deref())?
        .flag("--seeds", flags.seeds.as_deref())?
        .flag("--cluster", flags.cluster.as_deref())?
        .flag("--join-timeout", flags.join_timeout.as_deref())?
        .flag("--home-requires", flags.home_requires.as_deref())
}

/// Says when the node is ready and answers the console; ends when the console says so. Commands that read or write
/// wait until the node is ready, because before it a read would show less than the cluster knows; `MEMBERS`, `STATS` and
/// `QUIT` do not, because an operator wants to know why it takes so long.
async fn serve(node: &impl Served, with_console: bool, output: &Output) -> Told {
    // Opened first, so that what is typed meanwhile is not lost to the terminal's own line buffer.
    let input = with_console.then(Input::start);
    let (told, ready) = watch::channel(false);
    let announce = async {
        match node.ready().await {
            Ok(words) => output.print(&format!("ready {words}\n")).await,
            Err(reason) => return Told::Stopped(reason),
        }
        told.send_replace(true);
        std::future::pending().await
    };
    let answer = async {
        if let Some(input) = input {
            if input.is_terminal() {
                info!("type HELP for the commands, Ctrl-D to leave");
            }
            match Console::new(node, output, ready).run(input).await {
                End::Quit => return Told::Console("QUIT"),
                End::TerminalClosed => return Told::Console("Ctrl-D"),
                End::InputClosed => info!("the console's input has ended; the node runs on until a signal"),
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        failed = announce => failed,
        ended = answer => ended,
    }
}

/// Says goodbye to the peers; a second signal ends that at once.
async fn leave(node: impl Served, told: &str, signals: &mut Signals) -> ExitCode {
    info!("{told}: leaving");
    tokio::select! {
        biased;
        signal = signals.next_again() => {
            warn!("{signal} again: stopped without waiting for the goodbyes");
            ExitCode::from(STOPPED)
        }
        undone = node.leave() => {
            if let Some(undone) = undone {
                warn!("{undone}");
            }
            ExitCode::SUCCESS
        }
    }
}

pub(crate) fn failure(reason: impl Display + 'static) -> Failure {
    Box::new(reason)
}
