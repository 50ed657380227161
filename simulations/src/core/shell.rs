//! What the presence actor does, for a process of the core world: hands inputs to the state, and carries out what follows.
//!
//! The state is behind the same [`Shared`] as in production, so that jobs reach it through real handles. One pump asks it under one
//! hold of the lock for what goes out on all links. Work that would hold readers up is done in slices with other events in between.

use std::sync::Arc;

use bytes::Bytes;
use headcount::{ClusterPresence, Limits, Member};
use headcount_cluster::{Class, Origin, WallClock, WallMs};
use headcount_presence::actor::TIME_INTERVAL;
use headcount_presence::handle::Shared;
use headcount_presence::state::{State, StateEvent};

use super::event::Timer;
use super::net::Net;
use super::process::{Phase, Process};

/// The time that a slice of work takes, in microseconds.
const SLICE: u64 = 200;

/// A state and what belongs to attending it.
#[derive(Debug)]
pub(super) struct Shell {
    presence: ClusterPresence,
    is_working: bool,
    /// Whether deadlines are looked at: only while there are any.
    watches_time: bool,
}

impl Shell {
    pub(super) fn new(me: &Member, limits: Limits, clock: Arc<dyn WallClock>, seed: u64) -> Self {
        let state = State::clustered(me, limits, clock.now(), seed);
        Self { presence: ClusterPresence::new(&Shared::attended(state, clock)), is_working: false, watches_time: false }
    }

    pub(super) fn presence(&self) -> &ClusterPresence {
        &self.presence
    }

    pub(super) fn shared(&self) -> &Shared {
        self.presence.shared()
    }
}

impl Process {
    /// Tells the state what happened. Who says goodbye does not tell any more.
    pub(super) fn tell(&mut self, event: impl FnOnce(&mut State, WallMs)) {
        if let Some(shell) = self.shell.as_ref().filter(|_| self.phase == Phase::Running) {
            shell.shared().write(event);
            shell.shared().wake();
        }
    }

    /// Hands a frame to the state. Returns false when it was not understood.
    pub(super) fn tell_frame(&mut self, net: &mut Net, from: Origin, payload: &Bytes) -> bool {
        let Some(shell) = self.shell.as_ref().filter(|_| self.phase == Phase::Running) else { return true };
        let shared = shell.shared();
        let mut handled = shared.write(|state, now| state.handle_frame(from, payload, now).map(|()| state.has_rest()));
        while let Ok(true) = handled {
            handled = shared.write(State::handle_rest);
        }
        shared.wake();
        self.start_work(net);
        handled.is_ok()
    }

    /// A gossip round of the state.
    pub(super) fn note_round(&mut self, net: &mut Net) {
        if let Some(shell) = &self.shell {
            shell.shared().write(State::handle_gossip);
            shell.shared().wake();
        }
        self.start_work(net);
    }

    pub(super) fn look_at_deadlines(&mut self, net: &mut Net) {
        if let Some(shell) = &mut self.shell {
            shell.watches_time = false;
        }
        self.start_work(net);
    }

    /// Sees to it that deadlines are looked at while there are any.
    pub(super) fn watch_time(&mut self, net: &mut Net) {
        if let Some(shell) = self.shell.as_mut().filter(|shell| !shell.watches_time)
            && shell.shared().read(|state, _| state.needs_time())
        {
            shell.watches_time = true;
            self.call_after(net, TIME_INTERVAL, Timer::Deadlines);
        }
    }

    pub(super) fn start_work(&mut self, net: &mut Net) {
        if self.shell.as_ref().is_some_and(|shell| !shell.is_working) {
            self.go_on_working(net);
        }
    }

    pub(super) fn go_on_working(&mut self, net: &mut Net) {
        let Some(shell) = &mut self.shell else { return };
        let (is_working, _litter) = shell.shared().write(|state, now| (state.work(now), state.take_litter()));
        let was_working = std::mem::replace(&mut shell.is_working, is_working);
        if is_working {
            self.call_at(net, net.now + SLICE, Timer::Work);
        } else if was_working {
            shell.shared().wake();
        }
    }

    /// Sends what is due wherever there is room. Returns whether there was a reason to look.
    pub(super) fn pump(&mut self, net: &mut Net) -> bool {
        let Some(shell) = self.shell.as_ref().filter(|shell| shell.shared().take_wake()) else { return false };
        let shared = shell.shared();
        let (links, linked_at) = (&mut self.links, &self.linked_at);
        let mut filled = Vec::new();
        let mut overwhelmed = Vec::new();
        let mut events = Vec::new();
        shared.write(|state, _| {
            filled.extend(state.owed().into_iter().filter_map(|origin| Some((*linked_at.get(&origin)?, origin))));
            filled.sort_unstable();
            for (peer, origin) in filled.iter().copied() {
                let Some(link) = links.get_mut(&peer) else { continue };
                link.fill(Class::Stream, || state.poll_stream(origin));
                link.fill(Class::Bulk, || state.poll_bulk(origin));
                if state.is_overwhelmed(origin) {
                    overwhelmed.push(peer);
                }
            }
            events.extend(std::iter::from_fn(|| state.poll_event()));
        });
        shared.progressed();
        self.write(net, &filled);
        for peer in overwhelmed {
            self.lose_link(net, peer, "the peer does not read");
        }
        for event in events {
            match event {
                StateEvent::DeclareGone(origin, reason) => self.declared_gone(net, origin, reason),
                StateEvent::Ready(_)
                | StateEvent::ClockAhead { .. }
                | StateEvent::IdentityReused { .. }
                | StateEvent::Memory { .. }
                | StateEvent::Majority { .. }
                | StateEvent::ServesWithout { .. }
                | StateEvent::StillJoining { .. }
                | StateEvent::Unlinked { .. } => {}
            }
        }
        true
    }
}
