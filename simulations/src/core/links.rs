//! Links: connections on which both sides have introduced themselves, and what is said on them.
//!
//! What waits is in the same [`Outbox`] as in production, with the same caps; it goes out while the connection's window has room. A link that
//! says nothing sends heartbeats; one that hears nothing is closed. Invariant, as the hub's: `MemberUp` is told before a member's link,
//! and a link that is not in `links` is closed.

use bytes::Bytes;
use headcount_cluster::link::frame::{CLASS_BYTES, ControlFrame};
use headcount_cluster::link::outbox::Outbox;
use headcount_cluster::{Class, ClusterConfig, Member, Origin};

use super::connection::End;
use super::event::{Piece, Timer};
use super::net::Net;
use super::process::{Phase, Process, micros, node_at};

/// A process's side of a link. Times are microseconds.
#[derive(Debug)]
pub(super) struct Link {
    end: End,
    peer: Member,
    origin: Origin,
    outbox: Outbox,
    max_payload_bytes: usize,
    last_written: u64,
    last_read: u64,
    goodbye_confirmed: bool,
    /// Whether something was queued that was not looked at by [`write`](Self::write).
    is_fresh: bool,
}

impl Link {
    fn new(end: End, peer: &Member, config: &ClusterConfig, now: u64) -> Self {
        Self {
            end,
            peer: peer.clone(),
            origin: peer.origin(),
            outbox: Outbox::new(config.outbox_control_bytes, config.outbox_stream_bytes, config.outbox_bulk_bytes),
            max_payload_bytes: config.max_frame_bytes - CLASS_BYTES,
            last_written: now,
            last_read: now,
            goodbye_confirmed: false,
            is_fresh: false,
        }
    }

    pub(super) fn peer(&self) -> &Member {
        &self.peer
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    pub(super) fn goodbye_confirmed(&self) -> bool {
        self.goodbye_confirmed
    }

    pub(super) fn say_goodbye(&mut self) {
        self.outbox.say_goodbye();
        self.is_fresh = true;
    }

    /// Takes frames while a class has room.
    pub(super) fn fill(&mut self, class: Class, mut next: impl FnMut() -> Option<Bytes>) {
        while self.outbox.has_room(class) {
            let Some(frame) = next() else { return };
            assert!(frame.len() <= self.max_payload_bytes, "every cap of a command is below the frame's");
            if self.outbox.push(class, frame).is_err() {
                unreachable!("the class has room");
            }
            self.is_fresh = true;
        }
    }

    /// Sends while the connection takes it. Returns whether a class that was full has room again.
    fn write(&mut self, net: &mut Net) -> bool {
        self.is_fresh = false;
        while net.has_window(self.end) {
            let Some((class, payload)) = self.outbox.pop() else { break };
            net.send(self.end, Piece::Frame(class, payload));
            self.last_written = net.now;
        }
        self.outbox.take_writable()
    }
}

impl Process {
    /// Registers a link to `peer`, to whom this node introduced itself as `as_me`. Returns false, and the connection is closed, when it
    /// must not be: this node or the peer has changed since the handshake.
    pub(super) fn link_up(&mut self, net: &mut Net, end: End, as_me: &Member, peer: &Member) -> bool {
        let is_wanted = self.phase == Phase::Running && self.me == *as_me && {
            let is_member = self.membership.handle_contact(self.since_start(net), peer);
            self.follow_membership(net);
            is_member
        };
        if !is_wanted {
            net.close(end, "no link is wanted");
            return false;
        }
        self.lost_links.remove(&peer.origin());
        let link = Link::new(end, peer, &self.config, net.now);
        if let Some(replaced) = self.links.insert(node_at(peer.addr), link) {
            self.linked_at.remove(&replaced.origin);
            self.close_link(net, &replaced, "the peer has opened a new connection");
        }
        self.linked_at.insert(peer.origin(), node_at(peer.addr));
        self.tell(|state, _| state.handle_link_up(peer));
        self.greet(net, peer.addr);
        self.call_after(net, self.config.heartbeat_interval, Timer::Heartbeat(end));
        self.call_after(net, self.config.read_timeout, Timer::Silence(end));
        true
    }

    /// A connection has ended by itself.
    pub(super) fn link_ended(&mut self, net: &mut Net, end: End) {
        if let Some(peer) = self.link_at(net, end) {
            self.lose_link(net, peer, "the connection has ended");
        }
    }

    /// Closes a link that does not work.
    pub(super) fn lose_link(&mut self, net: &mut Net, peer: u32, reason: &'static str) {
        if let Some(link) = self.links.get(&peer) {
            self.lost_links.insert(link.origin);
        }
        self.drop_link(net, peer, reason);
    }

    /// Closes a link that must not be any more.
    pub(super) fn drop_link(&mut self, net: &mut Net, peer: u32, reason: &'static str) {
        if let Some(link) = self.take_link(peer) {
            self.close_link(net, &link, reason);
            self.tell(|state, now| state.handle_link_down(link.origin, now));
        }
    }

    fn take_link(&mut self, peer: u32) -> Option<Link> {
        let link = self.links.remove(&peer)?;
        self.linked_at.remove(&link.origin);
        Some(link)
    }

    fn close_link(&mut self, net: &mut Net, link: &Link, reason: &'static str) {
        net.close(link.end, reason);
        self.dialer_lost(net, node_at(link.peer.addr), link.end);
    }

    fn link_at(&self, net: &Net, end: End) -> Option<u32> {
        let peer = net.connections.half(end.peer())?.node;
        self.links.get(&peer).is_some_and(|link| link.end == end).then_some(peer)
    }

    /// A frame came.
    pub(super) fn take_frame(&mut self, net: &mut Net, to: End, class: Class, payload: &Bytes) {
        let Some((peer, link)) = self.link_at(net, to).and_then(|peer| Some((peer, self.links.get_mut(&peer)?))) else {
            return;
        };
        link.last_read = net.now;
        let origin = link.origin;
        match class {
            Class::Stream | Class::Bulk => {
                if !self.tell_frame(net, origin, payload) {
                    self.lose_link(net, peer, "a frame could not be understood");
                }
            }
            Class::Control => match ControlFrame::parse(payload) {
                Ok(ControlFrame::Heartbeat) => {}
                Ok(ControlFrame::Goodbye) => self.take_goodbye(net, peer),
                Ok(ControlFrame::GoodbyeConfirmed) => {
                    link.goodbye_confirmed = true;
                    self.end_if_left(net);
                }
                Err(_) => self.lose_link(net, peer, "a control frame could not be understood"),
            },
        }
    }

    fn take_goodbye(&mut self, net: &mut Net, peer: u32) {
        let Some(link) = self.take_link(peer) else { return };
        self.tell(|state, now| state.handle_link_down(link.origin, now));
        self.membership.handle_goodbye(link.origin);
        self.follow_membership(net);
        net.send(link.end, Piece::Frame(Class::Control, ControlFrame::GoodbyeConfirmed.payload()));
        self.close_link(net, &link, "the peer said goodbye");
        self.end_if_left(net);
    }

    /// Sends what was queued on links to these peers.
    pub(super) fn write(&mut self, net: &mut Net, peers: &[(u32, Origin)]) {
        let mut writable = false;
        for (peer, _) in peers {
            if let Some(link) = self.links.get_mut(peer).filter(|link| link.is_fresh) {
                writable |= link.write(net);
            }
        }
        self.wake_if(writable);
    }

    pub(super) fn go_on_writing(&mut self, net: &mut Net, end: End) {
        if let Some(peer) = self.link_at(net, end) {
            let writable = self.links.get_mut(&peer).is_some_and(|link| link.write(net));
            self.wake_if(writable);
        }
    }

    fn wake_if(&self, writable: bool) {
        if let Some(shell) = self.shell.as_ref().filter(|_| writable) {
            shell.shared().wake();
        }
    }

    pub(super) fn keep_alive(&mut self, net: &mut Net, end: End) {
        let interval = micros(self.config.heartbeat_interval);
        let Some(link) = self.link_at(net, end).and_then(|peer| self.links.get_mut(&peer)) else { return };
        if net.now >= link.last_written + interval {
            link.outbox.push_control(ControlFrame::Heartbeat);
            link.write(net);
        }
        // Where nothing could be sent, it is tried again at once when there is room, and later by this.
        let again = (link.last_written + interval).max(net.now + interval / 2);
        self.call_at(net, again, Timer::Heartbeat(end));
    }

    pub(super) fn suspect_silence(&mut self, net: &mut Net, end: End) {
        let timeout = micros(self.config.read_timeout);
        let Some((peer, link)) = self.link_at(net, end).and_then(|peer| Some((peer, self.links.get(&peer)?))) else {
            return;
        };
        let since = net.silent_since(end, link.last_read);
        if net.now >= since + timeout {
            self.lose_link(net, peer, "the peer sent nothing for too long");
        } else {
            self.call_at(net, since + timeout, Timer::Silence(end));
        }
    }
}
