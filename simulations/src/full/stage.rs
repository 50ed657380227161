//! The full world as a stage for plans.
//!
//! A plan's nodes are the machines by their numbers. Time comes in ticks, so a step of a plan happens at the first tick that is not before it. How
//! faults differ from the real thing, or from the core world:
//! - a pause stops the tasks and sockets of a process, not a task of `tokio::spawn` that needs neither; there is none in headcount
//! - loss delays pieces of streams by 200 ms, 400 ms and so on; there is no congestion control, so the throughput does not fall
//! - a narrow route shapes each direction as one queue, and drops datagrams that would wait for more than a second
//! - a broken snapshot resets the connection at the write that begins a frame of one; the bytes of that write are lost with it

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use headcount_cluster::Origin;

use super::route::Route;
use super::world::World;
use crate::plan::{Fault, FaultKind};
use crate::stage::{Carried, Look, Stage};

impl Stage for World {
    fn now_ms(&self) -> u64 {
        self.now().as_millis() as u64
    }

    fn clock(&self) -> Rc<dyn Fn() -> u64> {
        let fabric = Arc::clone(&self.fabric);
        Rc::new(move || fabric.now().as_millis() as u64)
    }

    fn advance_to(&mut self, at_ms: u64) {
        let end = Duration::from_millis(at_ms);
        while self.now() < end {
            self.step();
        }
    }

    fn inject(&mut self, fault: &Fault) {
        let happened = match *fault {
            Fault::Start { node } => self.boot_machine(node),
            Fault::Crash { node } => self.crash_machine(node),
            Fault::PowerOff { node } => self.power_off_machine(node),
            Fault::Leave { node } => self.let_leave(node),
            Fault::Pause { node } => self.machines[node].is_started() && self.set_paused(node, true),
            Fault::Resume { node } => self.set_paused(node, false),
            Fault::SetClock { node, ahead_ms } => {
                self.machines[node].set_clock(ahead_ms);
                true
            }
            Fault::Mend { from, to } => self.fabric.set_cut(from, to, false),
            Fault::Widen { from, to } => self.fabric.widen(from, to),
            Fault::Cut { .. }
            | Fault::Lose { .. }
            | Fault::Repeat { .. }
            | Fault::Delay { .. }
            | Fault::Clog { .. }
            | Fault::Narrow { .. }
            | Fault::BreakSnapshot { .. } => {
                self.worsen(fault);
                // Counted when something that passes meets it.
                false
            }
        };
        if happened {
            self.fabric.tally(fault.kind());
        }
    }

    fn heal(&mut self) {
        Self::heal(self);
        for index in 0..self.machines.len() {
            self.fabric.set_paused(index, false);
            self.machines[index].set_clock(0);
        }
    }

    fn look(&self, node: usize) -> Option<Look> {
        let paused = self.fabric.is_paused(node);
        let node = self.machines[node].node()?;
        let me = node.me();
        let mut members = node.members().current();
        members.retain(|(member, _)| *member != me);
        let mut linked = node.linked();
        linked.sort();
        let ready = node.ready().now_or_never().is_some_and(|ready| ready.is_ok());
        Some(Look { me, members, linked, ready, paused, presence: node.presence() })
    }

    fn origin(&self, node: usize) -> Option<Origin> {
        self.machines[node].node().map(|node| node.me().origin())
    }

    fn run(&mut self, node: usize, job: LocalBoxFuture<'static, ()>) -> bool {
        self.machines[node].run(job)
    }

    fn occurred(&self) -> BTreeMap<FaultKind, u64> {
        self.fabric.occurred()
    }

    fn carried(&self) -> Carried {
        self.fabric.carried()
    }

    fn trace_hash(&self) -> u64 {
        self.fabric.trace(|trace| trace.hash())
    }
}

impl World {
    /// Starts all machines that do not run and waits for none: how a plan begins.
    pub(super) fn boot_all(&mut self) {
        for index in 0..self.machines.len() {
            self.boot_machine(index);
        }
    }

    /// Lets a node begin to leave; returns whether there was one that listens.
    fn let_leave(&mut self, node: usize) -> bool {
        let machine = self.machines[node].clone();
        let Some(leaving) = machine.node() else { return false };
        let taken = machine.run(async move { drop(leaving.leave().await) });
        machine.clear_process();
        taken
    }

    /// Makes a direction worse.
    fn worsen(&mut self, fault: &Fault) {
        let ms = |ms: u32| Duration::from_millis(u64::from(ms));
        let now = self.now();
        let fabric = &self.fabric;
        match *fault {
            Fault::Cut { from, to } => drop(fabric.set_cut(from, to, true)),
            Fault::Lose { from, to, percent } => fabric.change(from, to, |route| route.lose(percent)),
            Fault::Repeat { from, to, percent } => fabric.change(from, to, |route| route.repeat(percent)),
            Fault::Delay { from, to, min_ms, max_ms } => {
                fabric.change(from, to, |route| route.slow_down(Some((ms(min_ms), ms(max_ms)))));
            }
            Fault::Clog { from, to, ms: stuck } => {
                fabric.change(from, to, |route| route.clog_until(now + ms(stuck)));
            }
            Fault::Narrow { from, to, bytes_per_second } => {
                fabric.change(from, to, |route| route.set_width(Some(bytes_per_second)));
            }
            Fault::BreakSnapshot { from, to } => fabric.change(from, to, Route::break_snapshot),
            Fault::Start { .. }
            | Fault::Crash { .. }
            | Fault::PowerOff { .. }
            | Fault::Leave { .. }
            | Fault::Pause { .. }
            | Fault::Resume { .. }
            | Fault::SetClock { .. }
            | Fault::Mend { .. }
            | Fault::Widen { .. } => {}
        }
    }
}
