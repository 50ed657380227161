//! `headcount node`: one node from its start until it is told to leave.
//!
//! Standard output carries the line `ready ..` and the console's replies, nothing else, so that a script can read it.
//! The console is one task among the things that may end the node: a signal, `QUIT`, Ctrl-D, or the node itself.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use headcount::config::{Config, ConfigError, Layers};
use headcount::{MemberState, Node, NodeBuilder, NodeError, Ready, ReadyBy};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::args::NodeTask;
use crate::console::{Console, End, Input, Output};
use crate::signals::Signals;

/// How long the last replies may take to be read by whoever reads standard output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The exit code of a program that was stopped before it was done, as shells have it for Ctrl-C.
const STOPPED: u8 = 130;

/// Why the program ends with an `error:` line.
type Failure = Box<dyn Display>;

/// Runs a node until it is told to leave.
///
/// # Errors
/// What the node cannot start with, or why it stopped by itself.
pub(crate) async fn run(task: &NodeTask) -> Result<ExitCode, Failure> {
    let mut signals = Signals::new().map_err(|e| failure(format!("cannot listen for signals: {e}")))?;
    let config = load(task).map_err(failure)?;
    let cluster = config.cluster.clone();
    let started = tokio::select! {
        biased;
        signal = signals.next() => {
            info!("{signal} before the node had started: stopped");
            return Ok(ExitCode::from(STOPPED));
        }
        started = NodeBuilder::from(config).start() => started,
    };
    let node = started.map_err(failure)?;
    let output = Output::start();
    let told = tokio::select! {
        biased;
        signal = signals.next() => Told::Signal(signal),
        reason = node.stopped() => Told::Stopped(reason.to_string()),
        told = serve(&node, &cluster, !task.no_console, &output) => told,
    };
    let end = match told {
        Told::Signal(signal) => Ok(leave(node, signal, &mut signals).await),
        Told::Console(words) => Ok(leave(node, words, &mut signals).await),
        Told::Stopped(reason) => Err(failure(reason)),
        Told::Failed(error) => Err(failure(error)),
    };
    output.finish(LAST_WORDS).await;
    end
}

/// What ended the node's work.
enum Told {
    Signal(&'static str),
    Console(&'static str),
    Stopped(String),
    Failed(NodeError),
}

/// File, environment and flags, in rising order.
fn load(task: &NodeTask) -> Result<Config, ConfigError> {
    let mut layers = Layers::new();
    if let Some(file) = &task.config {
        layers = layers.file(file)?;
    }
    layers
        .environment(std::env::vars_os())?
        .flag("--name", task.name.as_deref())?
        .flag("--listen", task.listen.as_deref())?
        .flag("--advertise", task.advertise.as_deref())?
        .flag("--seeds", task.seeds.as_deref())?
        .flag("--cluster", task.cluster.as_deref())?
        .flag("--join-timeout", task.join_timeout.as_deref())?
        .flag("--require-join", task.require_join.as_deref())?
        .flag("--home-requires", task.home_requires.as_deref())?
        .finish()
}

/// Says when the node is ready and answers the console; ends when the console says so. Commands that read or write
/// wait until the node is ready, because before it a read would show less than the cluster knows; `MEMBERS`, `STATS` and
/// `QUIT` do not, because an operator wants to know why it takes so long.
async fn serve(node: &Node, cluster: &str, with_console: bool, output: &Output) -> Told {
    // Opened first, so that what is typed meanwhile is not lost to the terminal's own line buffer.
    let input = with_console.then(Input::start);
    let (told, ready) = watch::channel(false);
    let announce = async {
        match node.ready().await {
            Ok(ready) => output.print(&ready_line(node, cluster, &ready)).await,
            Err(error) => return Told::Failed(error),
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

fn ready_line(node: &Node, cluster: &str, ready: &Ready) -> String {
    let me = node.me();
    let others = node
        .members()
        .current()
        .into_iter()
        .filter(|(member, state)| *state == MemberState::Up && member.node != me.node);
    let by = match &ready.how {
        ReadyBy::First => "first".to_owned(),
        ReadyBy::Synchronised { peer } => format!("synchronised({peer})"),
        ReadyBy::Alone { .. } => "alone".to_owned(),
    };
    format!("ready {} {} cluster={cluster} members={} by={by}\n", me.node, me.addr, others.count() + 1)
}

/// Says goodbye to the peers; a second signal ends that at once.
async fn leave(node: Node, told: &str, signals: &mut Signals) -> ExitCode {
    info!("{told}: leaving");
    tokio::select! {
        biased;
        signal = signals.next_again() => {
            warn!("{signal} again: stopped without waiting for the goodbyes");
            ExitCode::from(STOPPED)
        }
        report = node.leave() => {
            if !report.unconfirmed.is_empty() {
                warn!("{report}");
            }
            ExitCode::SUCCESS
        }
    }
}

fn failure(reason: impl Display + 'static) -> Failure {
    Box::new(reason)
}
