//! A link's connection: bytes from the outbox to the socket, and from the socket to the layer above.
//!
//! Reader and writer are two tasks, so that neither uses up the other's turn. The writer puts as many waiting frames into one write
//! as fit; the reader cuts all frames out of each read and waits when the layer above does not keep up, which stops the peer by TCP. The
//! session decides nothing: frames and goodbyes go to the hub, and the hub stops a link by its handle.

use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::Stream;
use super::hub::Hub;
use crate::event::{Class, ClusterEvent};
use crate::link::Link;
use crate::link::frame::{ControlFrame, FrameDecoder, FrameError, header};

/// Frames are gathered until a write has this size.
const WRITE_BYTES: usize = 128 << 10;

/// A payload of this size is written from where it is instead of being copied.
const LARGE_PAYLOAD_BYTES: usize = 64 << 10;

/// How long to look for bytes that are there already when a link has been silent for too long.
const LAST_LOOK: Duration = Duration::from_millis(100);

/// How long the confirmation of a goodbye may take to go out.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(1);

enum End {
    Goodbye,
    /// Lost, or stopped: by the hub, which knows, or by the layer above, of which the hub has to hear.
    Lost(String),
}

/// Runs a registered link until it ends, and tells the hub.
pub(crate) async fn run(hub: &Rc<Hub>, stream: Box<dyn Stream>, link: &Link) {
    let (reader, writer) = tokio::io::split(stream);
    let writing = write(Rc::clone(hub), link.clone(), writer);
    let mut writing = AbortOnDropHandle::new(tokio::task::spawn_local(writing));
    let end = {
        let mut reading = pin!(read(hub, link, reader));
        tokio::select! {
            biased;
            reason = link.stopped() => {
                debug!(node = %hub.config.node, peer = %link.peer().node, reason, "a link was stopped");
                End::Lost(reason)
            }
            end = &mut reading => end,
            written = &mut writing => match written {
                // All was said; what the peer has to say may still come.
                Ok(Ok(())) => tokio::select! {
                    biased;
                    reason = link.stopped() => End::Lost(reason),
                    end = &mut reading => end,
                },
                Ok(Err(error)) => End::Lost(format!("writing failed: {error}")),
                Err(error) => End::Lost(format!("the writer failed: {error}")),
            },
        }
    };
    match end {
        End::Goodbye => {
            link.confirm_goodbye();
            hub.said_goodbye(link);
            link.with_outbox(|outbox| {
                outbox.push_control(ControlFrame::GoodbyeConfirmed);
                outbox.finish();
            });
            if !writing.is_finished() {
                let _ = timeout(CONFIRM_TIMEOUT, writing).await;
            }
            link.stop("the peer said goodbye");
        }
        End::Lost(reason) => hub.link_ended(link, &reason),
    }
}

async fn read(hub: &Rc<Hub>, link: &Link, mut reader: ReadHalf<Box<dyn Stream>>) -> End {
    let read_timeout = hub.config.read_timeout;
    let mut decoder = FrameDecoder::new(hub.config.max_frame_bytes);
    let mut silence = pin!(sleep(read_timeout));
    loop {
        silence.as_mut().reset(Instant::now() + read_timeout);
        let received = tokio::select! {
            biased;
            received = reader.read_buf(decoder.read_buffer()) => received,
            // After a pause of this process the timer may be seen before what has arrived meanwhile: look once more.
            () = &mut silence => match timeout(LAST_LOOK, reader.read_buf(decoder.read_buffer())).await {
                Ok(received) => received,
                Err(_) => return End::Lost(format!("the peer sent nothing for {read_timeout:?}")),
            },
        };
        match received {
            Ok(0) => return End::Lost("the peer closed the connection".to_owned()),
            Ok(bytes) => hub.count(|stats| stats.bytes_in += bytes as u64),
            Err(error) => return End::Lost(format!("reading failed: {error}")),
        }
        match deliver(hub, link, &mut decoder).await {
            Ok(false) => {}
            Ok(true) => return End::Goodbye,
            Err(error) => {
                hub.count(|stats| stats.garbage_frames += 1);
                warn!(node = %hub.config.node, peer = %link.peer().node, "the link with {} closes: {error}", link.peer().node);
                return End::Lost(error.to_string());
            }
        }
    }
}

/// Delivers the frames that have arrived. Returns whether the peer said goodbye.
async fn deliver(hub: &Rc<Hub>, link: &Link, decoder: &mut FrameDecoder) -> Result<bool, FrameError> {
    let from = link.peer().origin();
    while let Some((class, payload)) = decoder.next_frame()? {
        hub.count(|stats| stats.frames_in += 1);
        match class {
            Class::Stream | Class::Bulk => hub.events.send(ClusterEvent::Frame { from, class, payload }).await,
            Class::Control => match ControlFrame::parse(&payload)? {
                ControlFrame::Heartbeat => {}
                ControlFrame::Goodbye => return Ok(true),
                ControlFrame::GoodbyeConfirmed => {
                    link.confirm_goodbye();
                    hub.leave_progressed.notify_one();
                }
            },
        }
    }
    Ok(false)
}

async fn write(hub: Rc<Hub>, link: Link, mut writer: WriteHalf<Box<dyn Stream>>) -> io::Result<()> {
    let heartbeat_interval = hub.config.heartbeat_interval;
    let mut idle = pin!(sleep(heartbeat_interval));
    let mut batch = Batch::default();
    loop {
        batch.gather(&link);
        if batch.frames == 0 {
            if link.outbox_mut().is_finished() {
                return writer.shutdown().await;
            }
            tokio::select! {
                biased;
                () = link.outbox_changed() => {}
                () = &mut idle => {
                    link.outbox_mut().push_control(ControlFrame::Heartbeat);
                    idle.as_mut().reset(Instant::now() + heartbeat_interval);
                }
            }
            continue;
        }
        writer.write_all(&batch.bytes).await?;
        if let Some(payload) = &batch.large {
            writer.write_all(payload).await?;
        }
        writer.flush().await?;
        idle.as_mut().reset(Instant::now() + heartbeat_interval);
        hub.count(|stats| {
            stats.frames_out += batch.frames;
            stats.bytes_out += batch.len() as u64;
        });
        if link.outbox_mut().take_writable() {
            hub.events.emit(ClusterEvent::LinkWritable { peer: link.peer().origin() });
        }
    }
}

/// What goes out in one go.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// The payload of the last header in `bytes`.
    large: Option<Bytes>,
    frames: u64,
}

impl Batch {
    /// Replaces the content by what waits in the outbox.
    fn gather(&mut self, link: &Link) {
        self.bytes.clear();
        self.large = None;
        self.frames = 0;
        let mut outbox = link.outbox_mut();
        while self.bytes.len() < WRITE_BYTES {
            let Some((class, payload)) = outbox.pop() else {
                return;
            };
            self.frames += 1;
            self.bytes.extend(header(class, payload.len()));
            if payload.len() >= LARGE_PAYLOAD_BYTES {
                self.large = Some(payload);
                return;
            }
            self.bytes.extend_from_slice(&payload);
        }
    }

    fn len(&self) -> usize {
        self.bytes.len() + self.large.as_ref().map_or(0, Bytes::len)
    }
}
