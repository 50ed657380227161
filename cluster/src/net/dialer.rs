//! The calling side: one handshake, the loop that keeps a link to a member, and the notice to one that is Gone.
//!
//! A call connects and shakes hands, each within `connect_timeout`. The loop calls again with jittered, growing waits for as long as
//! the member is not Gone; it ends by itself, because a task that may be inside a session is never cut off.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::Stream;
use super::hub::{Hub, hello};
use super::session;
use crate::backoff::Backoff;
use crate::event::Member;
use crate::link::handshake::{
    Answer, HandshakeError, Hello, Intent, Notice, PREFIX_BYTES, Refusal, Versions, decode_answer, decode_prefix,
    encode,
};
use crate::pace::{GOOD_LINK, NOTICE_PAUSE};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("connecting failed: {0}")]
    Connect(io::Error),
    #[error("connecting took longer than {0:?}")]
    ConnectTimeout(Duration),
    #[error("the handshake failed: {0}")]
    Handshake(io::Error),
    #[error("nothing answered the handshake within {0:?}")]
    HandshakeTimeout(Duration),
    #[error("{0}")]
    NotOurs(#[from] HandshakeError),
    #[error("{0}")]
    Refused(Refusal),
}

/// A connection on which both sides have introduced themselves.
pub(crate) struct Call {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) as_me: Member,
    pub(crate) peer: Member,
}

/// Connects to `addr` and shakes hands as `hello.member`.
pub(crate) async fn call(hub: &Hub, addr: SocketAddr, hello: Hello) -> Result<Call, CallError> {
    let bound = hub.config.connect_timeout;
    let mut stream = timeout(bound, hub.world.network.connect(addr))
        .await
        .map_err(|_| CallError::ConnectTimeout(bound))?
        .map_err(CallError::Connect)?;
    let answer =
        timeout(bound, exchange(&mut stream, &hello)).await.map_err(|_| CallError::HandshakeTimeout(bound))??;
    match answer {
        Answer::Accepted { member: peer, .. } => Ok(Call { stream, as_me: hello.member, peer }),
        Answer::Refused(refusal) => Err(CallError::Refused(refusal)),
    }
}

async fn exchange(stream: &mut Box<dyn Stream>, hello: &Hello) -> Result<Answer, CallError> {
    stream.write_all(&encode(hello)).await.map_err(CallError::Handshake)?;
    stream.flush().await.map_err(CallError::Handshake)?;
    let mut prefix = [0; PREFIX_BYTES];
    stream.read_exact(&mut prefix).await.map_err(CallError::Handshake)?;
    let (versions, length) = decode_prefix(&prefix)?;
    if Versions::OURS.common(versions).is_none() {
        return Err(CallError::Refused(Refusal::IncompatibleVersion { min: versions.min, max: versions.max }));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(CallError::Handshake)?;
    Ok(decode_answer(&body)?)
}

/// How long a member may be up without a link before that is told. Longer than a death takes to be noticed.
const UNLINKED: Duration = Duration::from_secs(6);

/// Keeps a link to `member` for as long as it is not Gone.
pub(crate) async fn keep_linked(hub: Rc<Hub>, member: Member) {
    let mut backoff = Backoff::new(hub.config.backoff_min, hub.config.backoff_max);
    let mut failing_since: Option<Instant> = None;
    let mut told = false;
    while hub.is_to_dial(&member) {
        hub.events.drained().await;
        let began = Instant::now();
        match link(&hub, &member).await {
            Ok(()) => failing_since = None,
            Err(error) => {
                let since = *failing_since.get_or_insert(began);
                debug!(node = %hub.config.node, peer = %member.node, addr = %member.addr, %error, "no link yet");
                if since.elapsed() >= UNLINKED && hub.is_up(&member.node) && !std::mem::replace(&mut told, true) {
                    warn!(
                        node = %hub.config.node, peer = %member.node, addr = %member.addr,
                        "{} is up by gossip (UDP), but no link to {} can be made: {error}; nothing is replicated with it. Check its \
                         `advertise` address and that TCP is open there; this is said once, and retried",
                        member.node, member.addr
                    );
                }
            }
        }
        if began.elapsed() >= GOOD_LINK {
            backoff.reset();
        }
        // After a partition gossip heals within a second; the links must not wait out the longest backoff.
        tokio::select! {
            biased;
            () = hub.came_up.notified() => backoff.reset(),
            () = sleep(hub.next_wait(&mut backoff)) => {}
        }
    }
    hub.dialer_ended(&member);
}

async fn link(hub: &Rc<Hub>, member: &Member) -> Result<(), CallError> {
    let hello = hello(hub, Intent::Link, Some(member.node.clone()), None);
    let used = hello.member.clone();
    let Call { stream, as_me, peer } = match call(hub, member.addr, hello).await {
        Err(CallError::Refused(refusal)) => {
            hub.refused(&member.node, &used, &refusal);
            return Err(CallError::Refused(refusal));
        }
        other => other?,
    };
    if peer.node != member.node {
        return Err(CallError::Refused(Refusal::NotYou { actual: peer.node }));
    }
    if let Some(link) = hub.link_up(&as_me, &peer) {
        session::run(hub, stream, &link).await;
    }
    Ok(())
}

/// Tells an incarnation that is Gone here, or too low, but lives, that it needs a new one.
pub(crate) async fn tell_gone(hub: Rc<Hub>, member: Member, notice: Notice) {
    tell(&hub, &member, notice).await;
    sleep(NOTICE_PAUSE).await;
    hub.notice_ended(member.origin());
}

async fn tell(hub: &Rc<Hub>, member: &Member, notice: Notice) {
    let hello = hello(hub, Intent::Notice, Some(member.node.clone()), Some(notice));
    let used = hello.member.clone();
    if let Err(CallError::Refused(refusal)) = call(hub, member.addr, hello).await {
        hub.refused(&member.addr, &used, &refusal);
    }
}
