//! The way out: what peers lack is given to them, then each is told goodbye.
//!
//! As `Node::leave` and `Cluster::leave`: commands are refused from the beginning, each half has its deadline, and whoever has no link is
//! told by gossip. Then everything stops.

use std::net::SocketAddr;

use headcount::node::{FLUSH_INTERVAL, LEAVE_DEADLINE};
use headcount_cluster::Origin;
use headcount_presence::state::State;

use super::event::Timer;
use super::links::Link;
use super::net::Net;
use super::process::{Phase, Process, micros};

/// How far a process has come with leaving. Times are microseconds.
#[derive(Debug)]
pub(super) enum Leaving {
    /// Peers are given what they lack.
    Flushing { until: u64 },
    /// Goodbyes are under way; those without a link hear of it by gossip until `gossips_until`.
    Parting { until: u64, gossips_until: u64 },
}

impl Process {
    /// Begins to leave. Returns false when it cannot: it is leaving, or has not started.
    pub(crate) fn leave(&mut self, net: &mut Net) -> bool {
        let Some(shell) = self.shell.as_ref().filter(|_| self.leaving.is_none()) else { return false };
        shell.shared().write(|state, _| state.close());
        self.leaving = Some(Leaving::Flushing { until: net.now + micros(LEAVE_DEADLINE / 2) });
        self.call_at(net, net.now, Timer::Leave);
        true
    }

    pub(super) fn go_on_leaving(&mut self, net: &mut Net) {
        match self.leaving {
            Some(Leaving::Flushing { until }) => {
                let is_flushed =
                    self.shell.as_ref().is_none_or(|shell| shell.shared().read(|state: &State, _| state.is_flushed()));
                if is_flushed || net.now >= until {
                    self.part(net);
                }
            }
            Some(Leaving::Parting { .. }) => self.end_if_left(net),
            None => return,
        }
        if !self.has_ended {
            self.call_after(net, FLUSH_INTERVAL, Timer::Leave);
        }
    }

    fn part(&mut self, net: &mut Net) {
        self.phase = Phase::Leaving;
        let linked: Vec<&str> = self.links.values().map(|link| link.peer().node.as_str()).collect();
        let members = self.membership.members().map(|(member, _)| member);
        let unlinked: Vec<SocketAddr> =
            members.filter(|member| !linked.contains(&member.node.as_str())).map(|member| member.addr).collect();
        for link in self.links.values_mut() {
            link.say_goodbye();
        }
        let all: Vec<(u32, Origin)> = self.links.iter().map(|(peer, link)| (*peer, link.origin())).collect();
        self.write(net, &all);
        self.say_left(net, &unlinked);
        let until = net.now + micros(LEAVE_DEADLINE / 2);
        let rounds = if unlinked.is_empty() { 0 } else { micros(self.config.gossip_interval * 3) };
        self.leaving = Some(Leaving::Parting { until, gossips_until: (net.now + rounds).min(until) });
        self.end_if_left(net);
    }

    /// Ends when each peer has confirmed the goodbye or is there no more, at the latest at the deadline.
    pub(super) fn end_if_left(&mut self, net: &mut Net) {
        let Some(Leaving::Parting { until, gossips_until }) = self.leaving else { return };
        let all_confirmed = self.links.values().all(Link::goodbye_confirmed);
        if net.now >= until || all_confirmed && net.now >= gossips_until {
            self.has_ended = true;
        }
    }
}
