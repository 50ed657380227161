//! The one way up: events in one total order through one bounded channel.
//!
//! Readers of links wait while the channel is full, which stops TCP and so the sender. The tasks that keep the cluster alive must not wait
//! for the layer above, so what they tell goes into a backlog in front of the channel. Invariant: nothing overtakes the backlog, so that
//! the order of the events is the order in which they happened. The backlog stays short because whoever could fill it waits for
//! [`EventGate::drained`] first.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};

use crate::event::ClusterEvent;
use crate::limits::MAX_QUEUED_EVENTS;

#[derive(Debug)]
pub(crate) struct EventGate {
    events: mpsc::Sender<ClusterEvent>,
    backlog: RefCell<VecDeque<ClusterEvent>>,
    backlog_filled: Notify,
    backlog_drained: Notify,
    silent: Cell<bool>,
    silenced: Notify,
}

impl EventGate {
    pub(crate) fn new() -> (Self, mpsc::Receiver<ClusterEvent>) {
        let (events, receiver) = mpsc::channel(MAX_QUEUED_EVENTS);
        let gate = Self {
            events,
            backlog: RefCell::default(),
            backlog_filled: Notify::new(),
            backlog_drained: Notify::new(),
            silent: Cell::new(false),
            silenced: Notify::new(),
        };
        (gate, receiver)
    }

    /// Tells an event without waiting.
    pub(crate) fn emit(&self, event: ClusterEvent) {
        if self.silent.get() {
            return;
        }
        let mut backlog = self.backlog.borrow_mut();
        if !backlog.is_empty() {
            backlog.push_back(event);
            return;
        }
        match self.events.try_send(event) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(event)) => {
                backlog.push_back(event);
                self.backlog_filled.notify_one();
            }
        }
    }

    /// Tells an event, waiting for room.
    pub(crate) async fn send(&self, mut event: ClusterEvent) {
        loop {
            if !self.backlog.borrow().is_empty() {
                self.drained().await;
            }
            if self.silent.get() {
                return;
            }
            match self.events.try_send(event) {
                Ok(()) | Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(refused)) => event = refused,
            }
            let silenced = self.silenced.notified();
            tokio::select! {
                biased;
                () = silenced => return,
                permit = self.events.reserve() => match permit {
                    Ok(permit) if self.backlog.borrow().is_empty() => {
                        permit.send(event);
                        return;
                    }
                    Ok(_) => {}
                    Err(_) => return,
                },
            }
        }
    }

    /// Moves the backlog into the channel, for ever.
    pub(crate) async fn pump(&self) {
        loop {
            self.backlog_filled.notified().await;
            while !self.backlog.borrow().is_empty() {
                let permit = self.events.reserve().await;
                let event = self.backlog.borrow_mut().pop_front();
                if let (Ok(permit), Some(event)) = (permit, event) {
                    permit.send(event);
                }
            }
            self.backlog_drained.notify_waiters();
        }
    }

    /// Resolves once there is no backlog.
    pub(crate) async fn drained(&self) {
        loop {
            let drained = self.backlog_drained.notified();
            if self.backlog.borrow().is_empty() {
                return;
            }
            drained.await;
        }
    }

    /// Drops everything that is told from now on: the node leaves, and nobody has to listen for it to end.
    pub(crate) fn silence(&self) {
        self.silent.set(true);
        self.backlog.borrow_mut().clear();
        self.silenced.notify_waiters();
        self.backlog_drained.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use bytes::Bytes;

    use super::*;
    use crate::event::Class;
    use crate::id::Origin;

    fn frame(n: usize) -> ClusterEvent {
        ClusterEvent::Frame { from: Origin(0), class: Class::Stream, payload: Bytes::from(n.to_string()) }
    }

    #[tokio::test]
    async fn nothing_overtakes_the_backlog_and_nothing_is_lost() {
        let (gate, mut receiver) = EventGate::new();
        let gate = Rc::new(gate);
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async move {
                let pump = Rc::clone(&gate);
                tokio::task::spawn_local(async move { pump.pump().await });
                let count = MAX_QUEUED_EVENTS + 100;
                let producer = Rc::clone(&gate);
                tokio::task::spawn_local(async move {
                    for n in 0..count {
                        producer.emit(frame(n));
                    }
                    for n in count..2 * count {
                        producer.send(frame(n)).await;
                    }
                });
                for n in 0..2 * count {
                    let Some(ClusterEvent::Frame { payload, .. }) = receiver.recv().await else {
                        panic!("only frames were sent");
                    };
                    assert_eq!(payload, n.to_string());
                }
            })
            .await;
    }

    #[tokio::test]
    async fn a_silenced_gate_lets_a_waiting_sender_go() {
        let (gate, _receiver) = EventGate::new();
        for n in 0..MAX_QUEUED_EVENTS {
            gate.send(frame(n)).await;
        }
        let ((), ()) = tokio::join!(biased; gate.send(frame(0)), async { gate.silence() });
    }
}
