//! The core world: the cores of whole nodes on simulated wires, driven by a queue of events.
//!
//! No socket, no task, no tick: time jumps from event to event, so that hours pass in seconds and hundreds of nodes fit. What a node decides is
//! decided by the production cores (membership, handshake, outbox, state); what moves bytes and time between them is a second, smaller shell
//! here, which does what the first does. What is left out is chitchat itself, for which `gossip` stands in, and the bytes of frames' headers.
//! Deterministic: one thread, one queue, two generators, no map whose order the seed does not fix.
//!
//! # Layout
//! - `queue`, `event`: what will happen; `net`: what lies between machines
//! - `wire`: one direction and what is wrong with it; `connection`: order, and what is under way
//! - `gossip`: the stand-in for chitchat
//! - `machine`, `process`: where and what runs; of a process `calls`, `seeds`, `links`, `leaving` and `shell`, which attends the state
//! - `jobs`: what clients run; `clock`: wall time; `trace`: what was delivered

mod calls;
mod clock;
mod connection;
mod event;
mod gossip;
mod jobs;
mod leaving;
mod links;
mod machine;
mod net;
mod process;
mod queue;
mod seeds;
mod shell;
mod stage;
#[cfg(test)]
mod tests;
mod trace;
mod wire;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use headcount::{Config, Limits};
use headcount_cluster::ClusterConfig;

use self::connection::End;
use self::event::{Event, Piece, Timer};
use self::jobs::Jobs;
use self::machine::{Input, Machine};
use self::net::{Net, size};
use self::process::{Birth, Process, addr_of};
use crate::entropy;
use crate::plan::{Plan, Settings};

/// How many of the machines are every node's seeds.
const SEED_NODES: usize = 3;

/// How long a process that goes on looks for what is there already before it holds a link for silent, in microseconds.
const LAST_LOOK: u64 = 100_000;

/// Why the connections of a process that died have ended.
const DIED: &str = "the peer closed the connection";

/// A world of cores. It is driven as a [`Stage`](crate::stage::Stage).
pub struct CoreWorld {
    seed: u64,
    /// Each node's configuration.
    configs: Vec<Rc<ClusterConfig>>,
    limits: Limits,
    net: Net,
    machines: Vec<Machine>,
    jobs: Jobs,
    last_life: u32,
}

impl CoreWorld {
    /// The world of a plan: all its nodes start at once. Nothing of the plan's steps happens by itself.
    pub fn of(plan: &Plan) -> Self {
        Self::new(plan.seed, plan.nodes, &plan.settings)
    }

    /// A world with so many nodes, which all start at once.
    ///
    /// # Panics
    /// When the settings cannot work.
    pub fn new(seed: u64, nodes: usize, settings: &Settings) -> Self {
        let net = Net::new(entropy::derive(seed, u64::MAX), settings.latency_ms);
        let machines = (0..nodes).map(|_| Machine::new(net.clock())).collect();
        let configs = (0..nodes as u32).map(|node| Rc::new(config_of(node, nodes, settings.config()))).collect();
        let limits = settings.config().presence_limits();
        let mut world = Self { seed, configs, limits, net, machines, jobs: Jobs::new(), last_life: 0 };
        for node in 0..nodes as u32 {
            world.start(node);
        }
        world
    }

    /// Keeps a line of each delivery from here on.
    pub fn keep_lines(&mut self) {
        self.net.trace.keep_lines();
    }

    /// What was delivered since lines are kept.
    pub fn lines(&self) -> &str {
        self.net.trace.lines()
    }

    // ---- time

    /// Lets all happen that happens until a moment, in microseconds.
    fn run_until(&mut self, end: u64) {
        loop {
            let next = self.net.queue.next_at().map_or(end, |at| at.min(end));
            if let Some(woken_at) = self.run_timers(next) {
                self.net.set_now(woken_at.max(self.net.now));
                self.poll_woken();
                continue;
            }
            let is_due = self.net.queue.next_at().is_some_and(|at| at <= end);
            self.net.set_now(next.max(self.net.now));
            if !is_due {
                return;
            }
            if let Some(event) = self.net.queue.pop() {
                self.happen(event);
                self.poll_woken();
            }
        }
    }

    /// Lets the timers of jobs run until a moment. Returns when one woke somebody before.
    fn run_timers(&mut self, until: u64) -> Option<u64> {
        if self.jobs.is_empty() || until / 1000 == self.net.now / 1000 {
            return None;
        }
        let stands_ms = self.jobs.run_clock(until / 1000);
        self.jobs.has_woken().then_some(stands_ms * 1000)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Piece { to, piece } => self.piece_arrives(to, piece),
            Event::Squeezed(end) => {
                while let Some(piece) = self.net.take_squeezed(end) {
                    self.piece_arrives(end.peer(), piece);
                }
            }
            Event::Retransmit(end) => self.net.retransmit(end),
            Event::Datagram { from, to, message } => {
                let machine = &mut self.machines[to as usize];
                if machine.process.is_none() {
                    return;
                }
                self.net.note_datagram(from, to, &message);
                if machine.is_paused {
                    machine.keep(Input::Datagram { from, message });
                } else {
                    self.take(to, Input::Datagram { from, message });
                }
            }
            Event::Timer { node, life, timer } => {
                let machine = &mut self.machines[node as usize];
                if machine.process.as_ref().is_none_or(|process| process.life() != life) {
                    return;
                }
                if machine.is_paused {
                    machine.keep_timer(timer);
                } else {
                    self.turn(node, |process, net| process.handle_timer(net, timer));
                }
            }
        }
    }

    fn piece_arrives(&mut self, to: End, piece: Piece) {
        let Some(half) = self.net.connections.half(to) else { return };
        let (node, life, is_open) = (half.node, half.life, half.is_open);
        let machine = &mut self.machines[node as usize];
        let is_end = matches!(piece, Piece::End(_));
        if !machine.has_power {
            if is_end {
                self.net.vanish(to);
            }
            return;
        }
        self.net.note_piece(to, &piece);
        let runs = machine.process.as_ref().map(|process| process.life());
        let is_known = is_open && (life == runs || life.is_none()) && runs.is_some();
        match (is_known, is_end) {
            (false, true) => self.net.vanish(to),
            (false, false) => self.net.answer_with_reset(to),
            (true, _) if machine.is_paused => machine.keep(Input::Piece { to, piece }),
            (true, _) => self.take(node, Input::Piece { to, piece }),
        }
    }

    fn take(&mut self, node: u32, input: Input) {
        match input {
            Input::Datagram { from, message } => {
                self.turn(node, |process, net| process.handle_datagram(net, from, &message));
            }
            Input::Piece { to, piece } => {
                self.net.was_read(to, size(&piece));
                self.turn(node, |process, net| process.handle_piece(net, to, piece));
            }
        }
    }

    /// A turn of a process, with all that follows from it.
    fn turn(&mut self, node: u32, act: impl FnOnce(&mut Process, &mut Net)) {
        let Some(process) = &mut self.machines[node as usize].process else { return };
        act(process, &mut self.net);
        process.follow_up(&mut self.net);
        if process.has_ended() {
            self.end(node);
        }
    }

    /// Polls the jobs that were woken, except those of processes that stand still.
    fn poll_woken(&mut self) {
        while self.jobs.has_woken() {
            for number in self.jobs.take_woken() {
                let Some(node) = self.jobs.node_of(number) else { continue };
                if self.machines[node as usize].is_paused {
                    self.machines[node as usize].keep_job(number);
                } else {
                    self.jobs.poll(number);
                    self.turn(node, |_, _| {});
                }
            }
        }
    }

    // ---- processes

    /// Starts a process. Returns false when one runs.
    fn start(&mut self, node: u32) -> bool {
        let machine = &mut self.machines[node as usize];
        if machine.process.is_some() {
            return false;
        }
        machine.has_power = true;
        machine.starts += 1;
        self.last_life += 1;
        let birth = Birth {
            node,
            life: self.last_life,
            config: Rc::clone(&self.configs[node as usize]),
            limits: self.limits.clone(),
            clock: Arc::clone(&machine.clock),
            seed: entropy::derive(entropy::derive(self.seed, u64::from(node)), machine.starts),
            seeds: (0..self.configs.len().min(SEED_NODES) as u32).collect(),
        };
        machine.process = Some(Box::new(Process::start(birth, &mut self.net)));
        self.turn(node, |_, _| {});
        true
    }

    /// A process ends; its machine closes its connections.
    fn end(&mut self, node: u32) -> bool {
        self.bury(node, |net, end| net.close(end, DIED))
    }

    /// A machine loses its power; nobody hears of it.
    fn power_off(&mut self, node: u32) -> bool {
        let runs = self.bury(node, Net::vanish);
        if runs {
            self.machines[node as usize].has_power = false;
        }
        runs
    }

    fn bury(&mut self, node: u32, mut part_with: impl FnMut(&mut Net, End)) -> bool {
        let machine = &mut self.machines[node as usize];
        let Some(process) = machine.process.take() else { return false };
        machine.is_paused = false;
        machine.take_inbox();
        for end in self.net.ends_of(node, process.life()) {
            part_with(&mut self.net, end);
        }
        self.jobs.drop_all_of(node);
        true
    }

    fn leave(&mut self, node: u32) -> bool {
        let machine = &mut self.machines[node as usize];
        let left = machine.process.as_mut().is_some_and(|process| process.leave(&mut self.net));
        self.turn(node, |_, _| {});
        left
    }

    fn pause(&mut self, node: u32) -> bool {
        let machine = &mut self.machines[node as usize];
        machine.process.is_some() && !std::mem::replace(&mut machine.is_paused, true)
    }

    /// A process goes on: it reads what has come meanwhile, then its timers fire.
    fn resume(&mut self, node: u32) -> bool {
        let machine = &mut self.machines[node as usize];
        if !std::mem::take(&mut machine.is_paused) {
            return false;
        }
        let Some(process) = &machine.process else { return false };
        let life = process.life();
        let inbox = machine.take_inbox();
        for input in inbox.input {
            let is_open = match &input {
                Input::Piece { to, .. } => self.net.connections.half(*to).is_some_and(|half| half.is_open),
                Input::Datagram { .. } => true,
            };
            if is_open {
                self.take(node, input);
            }
        }
        for timer in inbox.timers {
            // What is just arriving counts before a link is held for silent.
            let late = if matches!(timer, Timer::Silence(_)) { LAST_LOOK } else { 0 };
            self.net.call_at(self.net.now + late, node, life, timer);
        }
        self.jobs.put_back(&inbox.jobs);
        self.poll_woken();
        true
    }
}

fn config_of(node: u32, nodes: usize, mut config: Config) -> ClusterConfig {
    config.name = Some(format!("n{node}"));
    config.listen = addr_of(node).to_string();
    config.seeds = (0..nodes.min(SEED_NODES) as u32).map(|seed| addr_of(seed).to_string()).collect();
    config.cluster_config().unwrap_or_else(|error| panic!("a plan's settings must work: {error}"))
}

impl fmt::Debug for CoreWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at {:.3} s", self.seed, self.net.now as f64 / 1e6)?;
        for (node, machine) in self.machines.iter().enumerate() {
            let Some(process) = &machine.process else {
                write!(f, "\n  n{node}: does not run")?;
                continue;
            };
            let members = process.members().map(|(member, state)| format!("{}={state:?}", member.node));
            let linked = process.linked().iter().map(|peer| peer.node.to_string()).collect::<Vec<_>>();
            write!(f, "\n  n{node}: {}", members.collect::<Vec<_>>().join(" "))?;
            write!(f, "; linked with {}", linked.join(" "))?;
            if let Some(presence) = process.presence() {
                let (digest, ready) = presence.shared().read(|state, _| (state.digest(), state.ready().cloned()));
                write!(f, "; digest {digest:016x}, ready {ready:?}")?;
            }
        }
        Ok(())
    }
}
