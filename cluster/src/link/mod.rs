//! The way to one peer: what the layer above holds of an established connection.
//!
//! A [`Link`] only queues; the session that owns the socket empties the queue. It is cheap to clone and lives on one thread. Order
//! is kept within a class. Invariant: once a link was stopped it accepts nothing and delivers nothing, so that whoever holds an old
//! one cannot send to the wrong incarnation. The parts that decide something are pure: [`frame`], [`handshake`], [`outbox`].

pub mod frame;
pub mod handshake;
pub mod outbox;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::config::ClusterConfig;
use crate::event::{Class, Member};
use outbox::{Outbox, PushRefused};

/// Where to send to one peer. Clones are the same link.
#[derive(Clone)]
pub struct Link {
    shared: Rc<Shared>,
}

struct Shared {
    serial: u64,
    peer: Member,
    outbox: RefCell<Outbox>,
    outbox_changed: Notify,
    stop_reason: RefCell<Option<String>>,
    stopped: Notify,
    goodbye_confirmed: Cell<bool>,
    max_payload_bytes: usize,
}

impl Link {
    pub(crate) fn new(serial: u64, peer: Member, config: &ClusterConfig) -> Self {
        Self {
            shared: Rc::new(Shared {
                serial,
                peer,
                outbox: RefCell::new(Outbox::new(
                    config.outbox_control_bytes,
                    config.outbox_stream_bytes,
                    config.outbox_bulk_bytes,
                )),
                outbox_changed: Notify::new(),
                stop_reason: RefCell::new(None),
                stopped: Notify::new(),
                goodbye_confirmed: Cell::new(false),
                max_payload_bytes: config.max_frame_bytes - frame::CLASS_BYTES,
            }),
        }
    }

    /// Queues a frame on the `Stream` or `Bulk` class. It never blocks, and never splits or copies the payload.
    ///
    /// # Errors
    /// [`LinkFull`] gives the payload back; nothing was queued. After [`LinkFull::Full`] a
    /// [`ClusterEvent::LinkWritable`](crate::ClusterEvent::LinkWritable) tells when to try again.
    pub fn try_send(&self, class: Class, payload: Bytes) -> Result<(), LinkFull> {
        if class == Class::Control {
            return Err(LinkFull::Reserved(payload));
        }
        if payload.len() > self.shared.max_payload_bytes {
            return Err(LinkFull::TooLong { max_bytes: self.shared.max_payload_bytes, payload });
        }
        let pushed = self.shared.outbox.borrow_mut().push(class, payload);
        match pushed {
            Ok(()) => {
                self.shared.outbox_changed.notify_one();
                Ok(())
            }
            Err((PushRefused::Full, payload)) => Err(LinkFull::Full(payload)),
            Err((PushRefused::Closed, payload)) => Err(LinkFull::Closed(payload)),
        }
    }

    /// Bytes that wait in a class, frame headers included.
    pub fn queued_bytes(&self, class: Class) -> usize {
        self.shared.outbox.borrow().queued_bytes(class)
    }

    /// Closes the link, for example because the peer sent what the layer above cannot understand. A
    /// [`ClusterEvent::LinkDown`](crate::ClusterEvent::LinkDown) with the reason follows, and the link is made anew after a pause.
    pub fn close(&self, reason: impl Into<String>) {
        self.stop(reason);
    }

    /// Whether a class takes another frame now. After a no a
    /// [`ClusterEvent::LinkWritable`](crate::ClusterEvent::LinkWritable) tells when to ask again.
    pub fn has_room(&self, class: Class) -> bool {
        self.shared.outbox.borrow_mut().has_room(class)
    }

    /// Whether the link was stopped: it takes and delivers nothing any more.
    pub fn is_closed(&self) -> bool {
        self.shared.stop_reason.borrow().is_some()
    }

    /// The peer at the other end.
    pub fn peer(&self) -> &Member {
        &self.shared.peer
    }

    pub(crate) fn serial(&self) -> u64 {
        self.shared.serial
    }

    /// Changes the outbox and wakes the writer.
    pub(crate) fn with_outbox<T>(&self, change: impl FnOnce(&mut Outbox) -> T) -> T {
        let result = change(&mut self.shared.outbox.borrow_mut());
        self.shared.outbox_changed.notify_one();
        result
    }

    /// The writer's access: it needs no waking.
    pub(crate) fn outbox_mut(&self) -> std::cell::RefMut<'_, Outbox> {
        self.shared.outbox.borrow_mut()
    }

    pub(crate) async fn outbox_changed(&self) {
        self.shared.outbox_changed.notified().await;
    }

    /// Ends the link: nothing is sent or delivered from here on. The first reason stays.
    pub(crate) fn stop(&self, reason: impl Into<String>) {
        self.shared.outbox.borrow_mut().close();
        self.shared.stop_reason.borrow_mut().get_or_insert_with(|| reason.into());
        self.shared.stopped.notify_waiters();
    }

    /// Resolves, with the reason, once the link was stopped.
    pub(crate) async fn stopped(&self) -> String {
        loop {
            let notified = self.shared.stopped.notified();
            if let Some(reason) = self.shared.stop_reason.borrow().clone() {
                return reason;
            }
            notified.await;
        }
    }

    pub(crate) fn confirm_goodbye(&self) {
        self.shared.goodbye_confirmed.set(true);
    }

    pub(crate) fn goodbye_confirmed(&self) -> bool {
        self.shared.goodbye_confirmed.get()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("peer", &self.shared.peer)
            .field("outbox", &self.shared.outbox.borrow())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Why a frame was not queued. Each variant gives the payload back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkFull {
    /// The class is at its cap; a `LinkWritable` event follows.
    #[error("the outbox of the link is full")]
    Full(Bytes),
    /// The link is closed or saying goodbye; a later `LinkUp` brings another.
    #[error("the link is closed")]
    Closed(Bytes),
    /// Longer than the limit on frames allows, at any time.
    #[error("a payload of {} bytes does not fit into a frame; `max_frame_bytes` allows {max_bytes}", payload.len())]
    TooLong {
        /// The longest payload that fits.
        max_bytes: usize,
        /// What was to be sent.
        payload: Bytes,
    },
    /// The control class is the cluster's own.
    #[error("the control class is reserved for heartbeats and goodbyes")]
    Reserved(Bytes),
}

impl LinkFull {
    /// The payload that was not queued.
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Full(payload) | Self::Closed(payload) | Self::Reserved(payload) | Self::TooLong { payload, .. } => {
                payload
            }
        }
    }
}
