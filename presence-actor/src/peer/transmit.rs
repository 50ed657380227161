//! What goes out next to a peer, asked for when its link has room.

use bytes::Bytes;
use headcount_cluster::{Origin, codec};

use super::{Item, Turn};
use crate::op::Raw;
use crate::state::State;
use crate::wire::{self, Frame, Subscribers};

impl State {
    /// The next frame of the ordered stream to a peer; `None` when nothing is due.
    pub fn poll_stream(&mut self, to: Origin) -> Option<Bytes> {
        let head = self.origins.get(self.me).applied;
        let peer = self.peers.get_mut(to).filter(|peer| peer.is_linked())?;
        if let Some(seq) = peer.confirmation_owed.take() {
            return Some(wire::encode(&Frame::Applied { seq }).into());
        }
        let frame = match peer.queue.front() {
            Some(Item::Frame(_)) => {
                let Some(Item::Frame(bytes)) = peer.queue.pop_front() else { return None };
                Some(bytes)
            }
            Some(Item::InterestReset { .. } | Item::Interest { .. }) => Some(self.interest_frame(to)),
            Some(Item::Message { after, .. }) => {
                let after = *after;
                self.own_ops_frame(to, after).or_else(|| self.messages_frame(to))
            }
            None => {
                // In turn, so that a node that writes without end repairs others all the same.
                let turn = peer.turn;
                peer.turn = if turn == Turn::Push { Turn::Repair } else { Turn::Push };
                match turn {
                    Turn::Push => self.own_ops_frame(to, head).or_else(|| self.repair_frame(to)),
                    Turn::Repair => self.repair_frame(to).or_else(|| self.own_ops_frame(to, head)),
                }
            }
        };
        frame.map(Bytes::from)
    }

    /// This node's operations from the peer's cursor on, none after `until`.
    fn own_ops_frame(&mut self, to: Origin, until: u64) -> Option<Vec<u8>> {
        let peer = self.peers.get_mut(to)?;
        let cursor = peer.cursor?;
        let me = self.origins.get(self.me);
        if cursor > until {
            return None;
        }
        let Some(run) = me.log.run(cursor, until, self.portions.frame_bytes) else {
            // The log was pruned under the peer: it will see from a vector that it lags, and pull.
            peer.cursor = None;
            return None;
        };
        peer.cursor = Some(cursor + run.count);
        let mut bytes = wire::encode(&Frame::Ops { origin: me.origin, first: run.first, count: run.count });
        bytes.extend_from_slice(run.bytes);
        Some(bytes)
    }

    fn interest_frame(&mut self, to: Origin) -> Vec<u8> {
        let (mut body, frame_bytes) = (Vec::new(), self.portions.frame_bytes);
        let (mut reset, mut count, mut version) = (false, 0, 0);
        let Some(peer) = self.peers.get_mut(to) else { return body };
        while let Some(item) = peer.queue.front() {
            match item {
                Item::InterestReset { version: at } if count == 0 => {
                    reset = true;
                    version = *at;
                }
                Item::Interest { kind, name, count: subscribers, version: at } if body.len() < frame_bytes => {
                    let named = Subscribers { kind: *kind, name: Raw(name), count: *subscribers };
                    codec::append(&named, &mut body);
                    version = version.max(*at);
                    count += 1;
                }
                Item::InterestReset { .. } | Item::Interest { .. } | Item::Message { .. } | Item::Frame(_) => break,
            }
            peer.queue.pop_front();
        }
        let mut bytes = wire::encode(&Frame::Interest { version, reset, count });
        bytes.extend_from_slice(&body);
        bytes
    }

    fn messages_frame(&mut self, to: Origin) -> Option<Vec<u8>> {
        let frame_bytes = self.portions.frame_bytes;
        let peer = self.peers.get_mut(to)?;
        let cursor = peer.cursor.unwrap_or(u64::MAX);
        let mut count = 0;
        let mut body_bytes = 0;
        let mut last = 0;
        for item in &peer.queue {
            match item {
                Item::Message { after, bytes } if *after < cursor && (count == 0 || body_bytes < frame_bytes) => {
                    last = *after;
                    count += 1;
                    body_bytes += bytes.len();
                }
                Item::Message { .. } | Item::Frame(_) | Item::InterestReset { .. } | Item::Interest { .. } => break,
            }
        }
        let mut frame = wire::encode(&Frame::Messages { after: last, count });
        frame.reserve(body_bytes);
        for _ in 0..count {
            if let Some(Item::Message { bytes, .. }) = peer.queue.pop_front() {
                peer.queued_bytes -= bytes.len();
                peer.queued_messages -= 1;
                frame.extend_from_slice(&bytes);
            }
        }
        (count > 0).then_some(frame)
    }
}
