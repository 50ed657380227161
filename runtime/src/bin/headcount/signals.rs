//! Being told from outside to leave: SIGINT (Ctrl-C) and SIGTERM.
//!
//! From the moment on that a [`Signals`] exists these two no longer end the process; what they mean is then the
//! caller's decision, the first time and the second.

use std::io;
use std::time::Duration;

use futures::FutureExt as _;

/// Signals that come this soon after one another are one request: a supervisor may signal the process and then its
/// group.
const ONE_REQUEST: Duration = Duration::from_millis(500);

/// The signals that ask the program to end.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Takes the signals over.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one; its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    /// Takes the signals over.
    #[allow(clippy::unnecessary_wraps)] // The same signature as on Unix.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next one; its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}

impl Signals {
    /// After one was received: waits for one that asks again.
    pub(crate) async fn next_again(&mut self) -> &'static str {
        tokio::time::sleep(ONE_REQUEST).await;
        while self.next().now_or_never().is_some() {}
        self.next().await
    }
}
