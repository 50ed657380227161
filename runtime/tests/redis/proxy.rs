//! A way to a Redis on which a test decides which answers come back.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use crate::server::{DEADLINE, Server};

/// What becomes of the answers to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// They wait.
    Held,
    /// The next one is lost, and the connection with it.
    Cut,
}

/// What is to happen to the first connection that sends some text from now on.
type Rule = Arc<Mutex<Option<(&'static str, Gate)>>>;

/// Passes everything on to a Redis and back, until it is told otherwise.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    behind: Arc<AtomicU16>,
    rule: Rule,
    released: watch::Sender<bool>,
    cut: Arc<Notify>,
}

impl Proxy {
    pub(crate) async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, leads_to) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU16::new(server.port)));
        let (rule, released, cut) = (Rule::default(), watch::Sender::new(false), Arc::new(Notify::new()));
        let behind = Arc::clone(&leads_to);
        let proxy = Self { port, behind, rule: Arc::clone(&rule), released: released.clone(), cut: Arc::clone(&cut) };
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let Ok(there) = TcpStream::connect(("127.0.0.1", leads_to.load(Ordering::Relaxed))).await else {
                    continue;
                };
                let ((asked, reply), (answered, ask)) = (here.into_split(), there.into_split());
                let gate = watch::Sender::new(Gate::Open);
                tokio::spawn(requests(asked, ask, Arc::clone(&rule), gate.clone()));
                tokio::spawn(answers(answered, reply, gate, released.subscribe(), Arc::clone(&cut)));
            }
        });
        proxy
    }

    /// From now on new connections lead there, as when a name is given to another machine.
    pub(crate) fn lead_to(&self, server: &Server) {
        self.behind.store(server.port, Ordering::Relaxed);
    }

    /// From now on the first request that has this text is carried out, and its answer is lost with the connection.
    pub(crate) fn cut_at(&self, text: &'static str) {
        *self.rule.lock().unwrap() = Some((text, Gate::Cut));
    }

    /// Waits until that has happened.
    pub(crate) async fn was_cut(&self) {
        tokio::time::timeout(DEADLINE, self.cut.notified()).await.expect("the request comes");
    }

    /// From now on answers to the first connection whose request has this text wait for a [`release`](Self::release).
    pub(crate) fn hold_at(&self, text: &'static str) {
        *self.rule.lock().unwrap() = Some((text, Gate::Held));
    }

    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, rule: Rule, gate: watch::Sender<Gate>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let has = |text: &str| bytes[..length].windows(text.len()).any(|part| part == text.as_bytes());
        if let Some((_, becomes)) = rule.lock().unwrap().take_if(|(text, _)| has(text)) {
            gate.send_replace(becomes);
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    gate: watch::Sender<Gate>,
    mut released: watch::Receiver<bool>,
    cut: Arc<Notify>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let now = *gate.borrow();
        match now {
            Gate::Open => {}
            Gate::Held => drop(released.wait_for(|released| *released).await),
            Gate::Cut => return cut.notify_one(),
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
