//! The answering side: connections come in, say who they are within a bounded time and size, and get a verdict.
//!
//! Whatever connects to the port is met here: peers, port scanners, browsers. Anything that is not a hello costs a few bytes of reading and
//! a count, never a log line above debug and never an answer, so that nobody can fill the disk from outside.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::hub::{Hub, Phase};
use super::{Listener, Stream, session};
use crate::event::Member;
use crate::limits::MAX_PENDING_HANDSHAKES;
use crate::link::handshake::{
    Answer, Hello, Intent, Notice, PREFIX_BYTES, PROTOCOL_MAX, PROTOCOL_MIN, Refusal, Versions, decode_hello,
    decode_prefix, encode,
};

/// Pause after a failed accept: it fails when file descriptors run out, and would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes connections for ever.
pub(crate) async fn run(hub: Rc<Hub>, listener: Box<dyn Listener>) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => receive(&hub, stream, from),
            Err(error) => {
                if hub.is_news(format!("accept: {error}")) {
                    warn!(node = %hub.config.node, %error, "a connection could not be accepted; this is said once and retried");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn receive(hub: &Rc<Hub>, stream: Box<dyn Stream>, from: SocketAddr) {
    let pending = hub.pending_handshakes.get();
    if pending >= MAX_PENDING_HANDSHAKES {
        hub.count(|stats| stats.dropped_connections += 1);
        return;
    }
    hub.pending_handshakes.set(pending + 1);
    hub.spawn(meet(Rc::clone(hub), stream, from));
}

/// Shakes hands, and runs the link when that is what the peer wants and gets.
async fn meet(hub: Rc<Hub>, mut stream: Box<dyn Stream>, from: SocketAddr) {
    hub.events.drained().await;
    let met = timeout(hub.config.connect_timeout, greet(&hub, &mut stream, from)).await;
    hub.pending_handshakes.set(hub.pending_handshakes.get() - 1);
    let hello = match met {
        Ok(Ok(Some((as_me, hello)))) => Some((as_me, hello)),
        Ok(Ok(None)) => None,
        Ok(Err(reason)) => {
            hub.count(|stats| stats.garbage_handshakes += 1);
            debug!(node = %hub.config.node, addr = %from, reason, "a connection was closed in its handshake");
            None
        }
        Err(_) => {
            hub.count(|stats| stats.garbage_handshakes += 1);
            debug!(node = %hub.config.node, addr = %from, "a connection did not finish its handshake in time");
            None
        }
    };
    let Some((as_me, hello)) = hello else {
        return;
    };
    match hello.intent {
        Intent::Join | Intent::Notice => {
            let _ = timeout(hub.config.connect_timeout, stream.shutdown()).await;
        }
        Intent::Link => {
            if let Some(link) = hub.link_up(&as_me, &hello.member) {
                session::run(&hub, stream, &link).await;
            }
        }
    }
}

/// The accepted dialer's hello and the identity under which it was answered, or `None` when it was refused.
async fn greet(hub: &Hub, stream: &mut Box<dyn Stream>, from: SocketAddr) -> Result<Option<(Member, Hello)>, String> {
    let mut prefix = [0; PREFIX_BYTES];
    let words = |error: std::io::Error| error.to_string();
    stream.read_exact(&mut prefix).await.map_err(words)?;
    let (versions, length) = decode_prefix(&prefix).map_err(|error| error.to_string())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(words)?;
    let Some(version) = Versions::OURS.common(versions) else {
        let refusal = Refusal::IncompatibleVersion { min: PROTOCOL_MIN, max: PROTOCOL_MAX };
        return refuse(hub, stream, &from.to_string(), refusal).await.map(|()| None);
    };
    let hello = decode_hello(&body).map_err(|error| error.to_string())?;
    let me = hub.me();
    let notice = hello.notice.filter(|notice| notice.incarnation == me.incarnation);
    let verdict = match (hub.judge(&hello), notice) {
        // The notice of a member of our own cluster counts whatever else is said of its sender.
        (
            Ok(()) | Err(Refusal::Gone | Refusal::StaleIncarnation { .. } | Refusal::Unready),
            Some(Notice { highest, .. }),
        ) => {
            if hub.phase() != Phase::Leaving {
                info!(node = %me.node, peer = %hello.member.node, "{} has given this node up as gone, or knows a newer incarnation of it; it goes on under a new one", hello.member.node);
            }
            hub.want_incarnation_above(highest, me.incarnation);
            Err(Refusal::Unready)
        }
        (verdict, _) => verdict,
    };
    match verdict {
        Ok(()) => {
            let answer = Answer::Accepted { member: me.clone(), version };
            stream.write_all(&encode(&answer)).await.map_err(words)?;
            stream.flush().await.map_err(words)?;
            Ok(Some((me, hello)))
        }
        Err(refusal) => {
            let peer = format!("{} at {}", hello.member.node, hello.member.addr);
            refuse(hub, stream, &peer, refusal).await.map(|()| None)
        }
    }
}

async fn refuse(hub: &Hub, stream: &mut Box<dyn Stream>, peer: &str, refusal: Refusal) -> Result<(), String> {
    hub.count_refusal(&refusal);
    if hub.is_news_of(&refusal, format!("refused {peer}: {refusal:?}")) {
        info!(node = %hub.config.node, peer, "refused {peer}, and told it: \"{refusal}\"");
    }
    let answer = encode(&Answer::Refused(refusal));
    stream.write_all(&answer).await.map_err(|error| error.to_string())?;
    stream.shutdown().await.map_err(|error| error.to_string())
}
