//! Handshakes, both sides, and the loops that keep a link to each member.
//!
//! Of a pair the node with the smaller name dials. A call is a connection and a hello; the verdict on it is [`judge`]'s. Calls serve
//! three ends, as in `cluster/src/net`: to ask a seed, to link, to tell an incarnation that it is Gone.

use headcount::{Member, MemberState};
use headcount_cluster::backoff::Backoff;
use headcount_cluster::link::handshake::{Answer, Hello, Intent, Knowledge, Notice, PROTOCOL_MAX, Refusal, judge};
use headcount_cluster::pace::{GOOD_LINK, NOTICE_PAUSE};
use headcount_cluster::{NodeId, Origin};

use super::connection::End;
use super::event::{Piece, Timer};
use super::net::Net;
use super::process::{Phase, Process, micros, node_at};
use super::seeds::Outcome;

/// A call that is under way.
#[derive(Debug)]
pub(super) struct Call {
    purpose: Purpose,
    used: Member,
}

/// What a call is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// To ask the seed with this number.
    Probe(usize),
    /// To link with a peer, for the dialer with this number.
    Link { peer: u32, number: u32 },
    /// To tell an incarnation that it is Gone.
    Notice(Origin),
}

/// What keeps a link to one incarnation of a peer.
#[derive(Debug)]
pub(super) struct Dialer {
    member: Member,
    backoff: Backoff,
    /// When the last attempt began.
    began: u64,
    state: Dialing,
    /// Changes with every attempt, so that what belongs to an older one is void.
    number: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Dialing {
    Calling,
    Linked(End),
    Waiting,
}

impl Process {
    // ---- calling

    /// Calls a node.
    pub(super) fn call(&mut self, net: &mut Net, to: u32, purpose: Purpose, expected: Option<NodeId>) {
        self.call_with(net, to, purpose, expected, None);
    }

    fn call_with(
        &mut self,
        net: &mut Net,
        to: u32,
        purpose: Purpose,
        expected: Option<NodeId>,
        notice: Option<Notice>,
    ) {
        let intent = match purpose {
            Purpose::Probe(_) => Intent::Join,
            Purpose::Link { .. } => Intent::Link,
            Purpose::Notice(_) => Intent::Notice,
        };
        let (cluster, alike) = (self.config.cluster.clone(), self.config.alike.clone());
        let hello = Hello { cluster, alike, member: self.me.clone(), intent, expected, notice };
        let end = net.dial(self.node, self.life, to, Piece::Hello(Box::new(hello)));
        self.calls.insert(end, Call { purpose, used: self.me.clone() });
        self.call_after(net, self.config.connect_timeout, Timer::CallOver(end));
    }

    /// The verdict of whoever was called.
    pub(super) fn call_answered(&mut self, net: &mut Net, end: End, answer: Answer) {
        let Some(Call { purpose, used }) = self.calls.remove(&end) else { return };
        match answer {
            Answer::Accepted { member, .. } => self.call_accepted(net, end, purpose, &used, member),
            Answer::Refused(refusal) => {
                net.close(end, "the call is over");
                self.refused(&used, &refusal);
                self.call_over(net, purpose, Outcome::Refused(refusal));
            }
        }
    }

    /// Nobody took the call.
    pub(super) fn call_failed(&mut self, net: &mut Net, end: End, reason: &'static str) {
        if let Some(Call { purpose, .. }) = self.calls.remove(&end) {
            self.call_over(net, purpose, Outcome::Unreachable(reason));
        }
    }

    fn call_accepted(&mut self, net: &mut Net, end: End, purpose: Purpose, used: &Member, member: Member) {
        let Purpose::Link { peer, number } = purpose else {
            net.close(end, "the call is over");
            self.call_over(net, purpose, Outcome::Accepted(member));
            return;
        };
        let is_current = self.dialers.get(&peer).is_some_and(|dialer| dialer.number == number);
        if !is_current {
            net.close(end, "the caller has changed its mind");
        } else if !self.link_up(net, end, used, &member) {
            self.wait_to_dial(net, peer);
        } else if let Some(dialer) = self.dialers.get_mut(&peer) {
            dialer.state = Dialing::Linked(end);
        }
    }

    /// What follows from a call that brought no link.
    fn call_over(&mut self, net: &mut Net, purpose: Purpose, outcome: Outcome) {
        match purpose {
            Purpose::Probe(seed) => self.probed(net, seed, outcome),
            Purpose::Link { peer, number } => {
                if self.dialers.get(&peer).is_some_and(|dialer| dialer.number == number) {
                    self.wait_to_dial(net, peer);
                }
            }
            Purpose::Notice(origin) => self.call_after(net, NOTICE_PAUSE, Timer::NoticeOver(origin)),
        }
    }

    /// What follows from being refused as `used`.
    fn refused(&mut self, used: &Member, refusal: &Refusal) {
        match refusal {
            Refusal::Gone => self.want_incarnation_above(used.incarnation, used.incarnation),
            Refusal::StaleIncarnation { known } => self.want_incarnation_above(*known, used.incarnation),
            // Machines have names of their own, and all are of one cluster and build.
            _ => {}
        }
    }

    // ---- being called

    /// Answers a hello, and takes the link when that is what the peer wants and gets.
    pub(super) fn answer(&mut self, net: &mut Net, end: End, hello: &Hello) {
        if let Some(half) = net.connections.half_mut(end) {
            half.life = Some(self.life);
        }
        let me = self.me.clone();
        let notice = hello.notice.filter(|notice| notice.incarnation == me.incarnation);
        let verdict = match (self.judge(hello), notice) {
            // The notice of a member of our own cluster counts whatever else is said of its sender.
            (Ok(()) | Err(Refusal::Gone | Refusal::StaleIncarnation { .. } | Refusal::Unready), Some(notice)) => {
                self.want_incarnation_above(notice.highest, me.incarnation);
                Err(Refusal::Unready)
            }
            (verdict, _) => verdict,
        };
        let is_accepted = verdict.is_ok();
        let answer = match verdict {
            Ok(()) => Answer::Accepted { member: me.clone(), version: PROTOCOL_MAX },
            Err(refusal) => Answer::Refused(refusal),
        };
        net.send(end, Piece::Answer(Box::new(answer)));
        if is_accepted && hello.intent == Intent::Link {
            self.link_up(net, end, &me, &hello.member);
        } else {
            net.close(end, "the call is over");
        }
    }

    fn judge(&self, hello: &Hello) -> Result<(), Refusal> {
        let dialer = &hello.member;
        let namesake = self.membership.member(&dialer.node);
        let known = Knowledge {
            highest: self.membership.highest(&dialer.node),
            is_gone: self.membership.is_gone(dialer.origin()),
            live_namesake: namesake
                .filter(|(member, state)| {
                    *state == MemberState::Up
                        && member.incarnation != dialer.incarnation
                        && member.addr != dialer.addr
                        && !self.lost_links.contains(&member.origin())
                })
                .map(|(member, _)| member.clone()),
            has_room: true,
            is_ready: self.phase == Phase::Running,
        };
        judge(&self.me, &self.config, hello, &known)
    }

    // ---- keeping links

    /// Sees to it that somebody dials each member that this node has to dial.
    pub(super) fn sync_dialers(&mut self, net: &mut Net) {
        let is_new = |member: &&Member| {
            self.me.node < member.node
                && self.dialers.get(&node_at(member.addr)).is_none_or(|dialer| dialer.member != **member)
        };
        let new: Vec<Member> = self.membership.members().map(|(member, _)| member).filter(is_new).cloned().collect();
        for member in new {
            let peer = node_at(member.addr);
            let backoff = Backoff::new(self.config.backoff_min, self.config.backoff_max);
            let dialer = Dialer { member, backoff, began: net.now, state: Dialing::Waiting, number: 0 };
            self.dialers.insert(peer, dialer);
            self.dial(net, peer);
        }
    }

    /// A member is up: whoever waits before dialling again need not.
    pub(super) fn dial_all_waiting(&mut self, net: &mut Net) {
        let is_waiting = |dialer: &Dialer| dialer.state == Dialing::Waiting;
        let waiting: Vec<u32> = self.dialers.iter().filter(|(_, d)| is_waiting(d)).map(|(peer, _)| *peer).collect();
        for peer in waiting {
            if let Some(dialer) = self.dialers.get_mut(&peer) {
                dialer.backoff.reset();
            }
            self.dial(net, peer);
        }
    }

    pub(super) fn dial_if_due(&mut self, net: &mut Net, peer: u32, number: u32) {
        if self.dialers.get(&peer).is_some_and(|d| d.state == Dialing::Waiting && d.number == number) {
            self.dial(net, peer);
        }
    }

    fn dial(&mut self, net: &mut Net, peer: u32) {
        let Some(dialer) = self.dialers.get_mut(&peer) else { return };
        let known = self.membership.member(&dialer.member.node);
        let is_to_dial = self.phase == Phase::Running
            && known.is_some_and(|(known, _)| known.incarnation == dialer.member.incarnation);
        if !is_to_dial {
            self.dialers.remove(&peer);
            return;
        }
        self.last_dialer += 1;
        dialer.number = self.last_dialer;
        dialer.began = net.now;
        dialer.state = Dialing::Calling;
        let purpose = Purpose::Link { peer, number: dialer.number };
        let expected = Some(dialer.member.node.clone());
        self.call(net, peer, purpose, expected);
    }

    fn wait_to_dial(&mut self, net: &mut Net, peer: u32) {
        let Some(dialer) = self.dialers.get_mut(&peer) else { return };
        if net.now >= dialer.began + micros(GOOD_LINK) {
            dialer.backoff.reset();
        }
        dialer.state = Dialing::Waiting;
        let (wait, number) = (dialer.backoff.next_wait(&mut self.rng), dialer.number);
        self.call_after(net, wait, Timer::Dial { peer, number });
    }

    /// A link has ended; when this node had dialled it, it will again.
    pub(super) fn dialer_lost(&mut self, net: &mut Net, peer: u32, end: End) {
        if self.dialers.get(&peer).is_some_and(|dialer| dialer.state == Dialing::Linked(end)) {
            self.wait_to_dial(net, peer);
        }
    }

    // ---- notices

    /// Tells the incarnations that are Gone, or too low, and that gossip shows alive.
    pub(super) fn tell_returned(&mut self, net: &mut Net) {
        let returned: Vec<Member> = self.membership.returned().cloned().collect();
        for member in returned {
            self.tell_gone(net, member);
        }
    }

    /// An incarnation that is Gone here but lives, or lower than another, must take a new one. Each is told by one call at a time.
    pub(super) fn tell_gone(&mut self, net: &mut Net, member: Member) {
        let origin = member.origin();
        if self.notices.insert(origin) {
            let notice = Notice::to(&member, self.membership.highest(&member.node));
            self.call_with(net, node_at(member.addr), Purpose::Notice(origin), Some(member.node), Some(notice));
        }
    }
}
