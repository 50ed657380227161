//! The core world as whoever plays a plan drives it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::LocalBoxFuture;
use headcount_cluster::Origin;

use super::CoreWorld;
use super::net::micros;
use super::wire::{Width, Wire};
use crate::plan::{Fault, FaultKind};
use crate::stage::{Carried, Look, Stage};

impl Stage for CoreWorld {
    fn now_ms(&self) -> u64 {
        self.net.now / 1000
    }

    fn clock(&self) -> Rc<dyn Fn() -> u64> {
        let now = Arc::clone(self.net.clock());
        Rc::new(move || now.load(Ordering::Relaxed) / 1000)
    }

    fn advance_to(&mut self, at_ms: u64) {
        self.run_until(at_ms * 1000);
    }

    fn inject(&mut self, fault: &Fault) {
        // What is wrong with a wire counts by what it does to those that use it.
        let has_occurred = match *fault {
            Fault::Start { node } => self.start(node as u32),
            Fault::Crash { node } => self.end(node as u32),
            Fault::PowerOff { node } => self.power_off(node as u32),
            Fault::Leave { node } => self.leave(node as u32),
            Fault::Pause { node } => self.pause(node as u32),
            Fault::Resume { node } => self.resume(node as u32),
            Fault::SetClock { node, ahead_ms } => self.machines[node].clock.set(ahead_ms),
            Fault::Mend { from, to } => self.net.mend(from as u32, to as u32),
            Fault::Widen { from, to } => self.net.widen(from as u32, to as u32),
            Fault::Cut { from, to } => {
                let now = self.net.now;
                self.wire(from, to).cut_since.get_or_insert(now);
                false
            }
            Fault::Lose { from, to, percent } => {
                self.wire(from, to).loss_percent = percent;
                false
            }
            Fault::Repeat { from, to, percent } => {
                self.wire(from, to).repeat_percent = percent;
                false
            }
            Fault::Delay { from, to, min_ms, max_ms } => {
                self.wire(from, to).delay = Some(micros((min_ms, max_ms)));
                false
            }
            Fault::Clog { from, to, ms } => {
                let until = self.net.now + u64::from(ms) * 1000;
                self.wire(from, to).clogged_until = until;
                false
            }
            Fault::Narrow { from, to, bytes_per_second } => {
                let width = Width { bytes_per_second: u64::from(bytes_per_second), free_at: self.net.now };
                self.wire(from, to).width = Some(width);
                false
            }
            Fault::BreakSnapshot { from, to } => {
                self.wire(from, to).breaks_snapshot = true;
                false
            }
        };
        if has_occurred {
            self.net.count(fault.kind());
        }
    }

    fn heal(&mut self) {
        self.net.mend_all();
        for node in 0..self.machines.len() as u32 {
            self.machines[node as usize].clock.set(0);
            self.resume(node);
        }
    }

    fn look(&self, node: usize) -> Option<Look> {
        let machine = self.machines.get(node)?;
        let process = machine.process.as_ref()?;
        let presence = process.presence()?;
        Some(Look {
            me: process.me().clone(),
            members: process.members().map(|(member, state)| (member.clone(), state)).collect(),
            linked: process.linked(),
            ready: presence.shared().read(|state, _| state.ready().is_some()),
            paused: machine.is_paused,
            presence: presence.clone(),
        })
    }

    fn origin(&self, node: usize) -> Option<Origin> {
        let process = self.machines.get(node)?.process.as_ref()?;
        process.presence().map(|_| process.me().origin())
    }

    fn run(&mut self, node: usize, job: LocalBoxFuture<'static, ()>) -> bool {
        let process = self.machines.get(node).and_then(|machine| machine.process.as_ref());
        if process.is_none_or(|process| process.presence().is_none()) {
            return false;
        }
        // The clock stops where somebody is woken, and may be behind when a process ended with somebody woken in it: its timers would all be over at once.
        let now = self.net.now / 1000;
        while self.jobs.run_clock(now) < now {
            self.poll_woken();
        }
        self.jobs.start(node as u32, job);
        self.poll_woken();
        true
    }

    fn occurred(&self) -> BTreeMap<FaultKind, u64> {
        self.net.occurred.clone()
    }

    fn carried(&self) -> Carried {
        self.net.carried
    }

    fn trace_hash(&self) -> u64 {
        self.net.trace.hash()
    }
}

impl CoreWorld {
    fn wire(&mut self, from: usize, to: usize) -> &mut Wire {
        self.net.wire(from as u32, to as u32)
    }
}
