//! A world while its story happens: time, nodes, and what goes wrong.
//!
//! Nothing happens but by the story: time passes in steps, faults come between steps, and waiting means stepping until a condition
//! holds. A wait has a deadline in virtual time, which is generous because it costs nothing when the condition holds earlier.
//!
//! Two ways to lose a node are kept apart, because a cluster meets them differently. After a [`crash`](World::crash) the machine still
//! answers for its dead process, so peers see their connections close. After [`power_off`](World::power_off) there is only silence. A third,
//! [`pause`](World::pause), loses nothing: the process stands still while time goes on, as after SIGSTOP or in a long swap.
//!
//! A story that names a machine which is not there, or asks for what cannot be, panics at its own line.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use headcount::{ClusterPresence, LeaveReport, Member, MemberState, Node};

use super::clock::{EPOCH, MachineClock, VirtualTime};
use super::fabric::Fabric;
use super::machine::{Machine, Parts};
use super::simulation::{Simulation, in_order};
use super::trace::Trace;

/// How long a started node may take to be ready, and a command to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many of the last things that the story did are told when it fails.
const TOLD: usize = 12;

/// Machines, a network between them, and time.
pub struct World {
    simulation: Simulation,
    time: Arc<VirtualTime>,
    pub(super) fabric: Arc<Fabric>,
    pub(super) machines: Vec<Machine>,
    sim: turmoil::Sim<'static>,
    /// What the story did last, and when.
    done: VecDeque<(Duration, String)>,
}

impl World {
    pub(crate) fn new(simulation: Simulation, time: Arc<VirtualTime>) -> Self {
        let sim = turmoil::Builder::new()
            .rng_seed(simulation.seed)
            .epoch(SystemTime::UNIX_EPOCH + EPOCH)
            .tick_duration(simulation.tick)
            .enable_random_order()
            .build();
        let ips: Vec<IpAddr> = (0..simulation.names.len()).map(super::machine::ip).collect();
        let trace = if simulation.keeps_trace { Trace::default() } else { Trace::forgetting() };
        let fabric = Arc::new(Fabric::new(&time, simulation.seed, &ips, simulation.latency, trace));
        let mut world = Self { simulation, time, fabric, machines: Vec::new(), sim, done: VecDeque::new() };
        for (index, name) in world.simulation.names.iter().enumerate() {
            let machine = Machine::new(Parts {
                name: name.clone(),
                index,
                seed: world.simulation.seed,
                config: world.simulation.config.clone(),
                program: world.simulation.program.clone(),
                fabric: Arc::clone(&world.fabric),
                clock: Arc::new(MachineClock::new(&world.time)),
            });
            let booting = machine.clone();
            world.sim.host(machine.ip(), move || booting.clone().boot());
            world.machines.push(machine);
        }
        world
    }

    /// Virtual time since the world began.
    pub fn now(&self) -> Duration {
        self.time.now()
    }

    /// Lets one tick pass.
    ///
    /// # Panics
    /// When a node panics, or could not start.
    pub fn step(&mut self) {
        let stepped = self.sim.step();
        for machine in &self.machines {
            if let Some(failure) = machine.take_failure() {
                panic!("the server of {} failed: {failure}\n{self:?}", machine.name());
            }
        }
        if let Err(error) = stepped {
            panic!("{error}\n{self:?}");
        }
        self.time.advance_to(self.sim.elapsed());
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end {
            self.step();
        }
    }

    /// Lets time pass until `condition` holds, and returns how long that took.
    ///
    /// # Panics
    /// When it does not hold within `deadline`; the message says what was waited for and how the nodes are.
    #[track_caller]
    pub fn until(&mut self, what: &str, deadline: Duration, mut condition: impl FnMut(&Self) -> bool) -> Duration {
        let begin = self.now();
        while !condition(self) {
            let waited = self.since(begin);
            assert!(waited < deadline, "not within {deadline:?}: {what}\n{self:?}");
            self.step();
        }
        self.since(begin)
    }

    /// Starts all nodes that do not run, at once, and waits until each is ready.
    #[track_caller]
    pub fn start_all(&mut self) {
        let names: Vec<String> = self
            .machines
            .iter()
            .filter(|machine| !machine.is_started())
            .map(|machine| machine.name().to_owned())
            .collect();
        for name in &names {
            self.boot(name);
        }
        self.until("all nodes are ready", PATIENCE, |world| names.iter().all(|name| world.is_ready(name)));
    }

    /// Starts a node, for the first time or again, and waits until it is ready.
    #[track_caller]
    pub fn start(&mut self, name: &str) {
        self.boot(name);
        self.until(&format!("{name} is ready"), PATIENCE, |world| world.is_ready(name));
    }

    /// Starts a node without waiting for it. A machine that was without power has it again.
    ///
    /// # Panics
    /// When it runs.
    #[track_caller]
    pub fn boot(&mut self, name: &str) {
        let index = self.index(name);
        assert!(self.boot_machine(index), "{name} runs already");
    }

    /// Kills a node's process without a word. Its machine closes its connections and refuses new ones.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn crash(&mut self, name: &str) {
        let index = self.index(name);
        assert!(self.crash_machine(index), "{name} does not run");
    }

    /// Kills a node's process and starts it again at once, which needs no one's patience; returns when it is ready.
    #[track_caller]
    pub fn restart(&mut self, name: &str) {
        self.crash(name);
        self.start(name);
    }

    /// Kills a node and its machine: from here on there is silence, and whoever connects hangs.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn power_off(&mut self, name: &str) {
        let index = self.index(name);
        assert!(self.power_off_machine(index), "{name} does not run");
    }

    /// Stops a node's process, as SIGSTOP does, until [`resume`](Self::resume): its machine keeps its connections, but nothing is
    /// read or written, and what is due meanwhile is late. What stops is every task that was spawned locally, and the sockets: a task of
    /// `tokio::spawn` that needs neither runs on.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn pause(&mut self, name: &str) {
        let index = self.index(name);
        assert!(self.machines[index].is_started(), "{name} does not run");
        self.set_paused(index, true);
    }

    /// Lets a node's process go on.
    #[track_caller]
    pub fn resume(&mut self, name: &str) {
        let index = self.index(name);
        self.set_paused(index, false);
    }

    /// Lets a node leave gracefully, as a program does that is told to end: its server is dropped where it stands, the node says goodbye, and
    /// the process ends. Returns when it has.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn leave(&mut self, name: &str) -> LeaveReport {
        self.note(format!("{name} leaves"));
        let index = self.index(name);
        let machine = self.machines[index].clone();
        machine.end_server();
        let leaver = machine.clone();
        let report = self.run_on(&machine, "it has left", async move {
            match leaver.take_node() {
                Some(node) => node.leave().await,
                None => LeaveReport::default(),
            }
        });
        self.end_process(index);
        report
    }

    /// Cuts two groups of machines off from each other; within each all stays as it is. Streams wait for the end of the cut, until they
    /// time out; datagrams are lost.
    #[track_caller]
    pub fn partition(&mut self, one: &[&str], other: &[&str]) {
        self.note(format!("{} | {} are cut off from each other", one.join(" "), other.join(" ")));
        for (from, to) in one.iter().flat_map(|a| other.iter().flat_map(move |b| [(a, b), (b, a)])) {
            let (from, to) = self.direction(from, to);
            self.fabric.set_cut(from, to, true);
        }
    }

    /// Cuts what one group of machines says to another, which it still hears.
    #[track_caller]
    pub fn partition_one_way(&mut self, from: &[&str], to: &[&str]) {
        self.note(format!("{} do not hear {} any more", to.join(" "), from.join(" ")));
        for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
            let (from, to) = self.direction(from, to);
            self.fabric.set_cut(from, to, true);
        }
    }

    /// Cuts one direction: what `from` says does not reach `to`, which it still hears.
    #[track_caller]
    pub fn cut(&mut self, from: &str, to: &str) {
        self.note(format!("{to} does not hear {from} any more"));
        let (from, to) = self.direction(from, to);
        self.fabric.set_cut(from, to, true);
    }

    /// Mends one direction. What was sent on connections meanwhile arrives, unless somebody lost patience.
    #[track_caller]
    pub fn mend(&mut self, from: &str, to: &str) {
        self.note(format!("{to} hears {from} again"));
        let (from, to) = self.direction(from, to);
        self.fabric.set_cut(from, to, false);
    }

    /// What passes from `from` to `to` takes at least and at most so long. Where the bounds differ datagrams overtake each other.
    ///
    /// # Panics
    /// When it would take longer at least than at most.
    #[track_caller]
    pub fn slow_link(&mut self, from: &str, to: &str, bounds: Range<Duration>) {
        self.note(format!("{from} to {to} takes {bounds:?}"));
        let (from, to) = self.direction(from, to);
        let bounds = in_order(&bounds);
        self.fabric.change(from, to, |route| route.slow_down(Some(bounds)));
    }

    /// Of a hundred datagrams from `from` to `to` so many are lost, and as many pieces of streams arrive as late as if they had been
    /// sent again.
    ///
    /// # Panics
    /// When it is more than a hundred.
    #[track_caller]
    pub fn lose(&mut self, from: &str, to: &str, percent: u8) {
        assert!(percent <= 100, "{percent} of a hundred are too many");
        self.note(format!("{percent} % of what {from} sends {to} is lost"));
        let (from, to) = self.direction(from, to);
        self.fabric.change(from, to, |route| route.lose(percent));
    }

    /// Of a hundred datagrams from `from` to `to` so many arrive twice.
    ///
    /// # Panics
    /// When it is more than a hundred.
    #[track_caller]
    pub fn repeat(&mut self, from: &str, to: &str, percent: u8) {
        assert!(percent <= 100, "{percent} of a hundred are too many");
        self.note(format!("{percent} % of what {from} sends {to} comes twice"));
        let (from, to) = self.direction(from, to);
        self.fabric.change(from, to, |route| route.repeat(percent));
    }

    /// The network is as it was in the beginning: nothing is cut, slow or lost. Machines without power stay so, stopped processes too.
    pub fn heal(&mut self) {
        self.note("the network heals".to_owned());
        self.fabric.heal();
    }

    /// Sets a machine's wall clock so many milliseconds ahead of the true time, or behind it when negative. Called again, it jumps.
    #[track_caller]
    pub fn set_clock(&mut self, name: &str, ahead_ms: i64) {
        self.note(format!("{name}'s clock is set {ahead_ms:+} ms"));
        self.machine(name).set_clock(ahead_ms);
    }

    /// Runs commands on a node, as its game server would, and lets time pass until they are answered.
    ///
    /// # Panics
    /// When they are not within a minute.
    #[track_caller]
    pub fn on<T: 'static>(&mut self, name: &str, commands: impl AsyncFnOnce(ClusterPresence) -> T + 'static) -> T {
        let machine = self.machine(name).clone();
        let presence = self.presence(name);
        self.run_on(&machine, "its commands are answered", async move { commands(presence).await })
    }

    /// Reads from a node without letting time pass.
    ///
    /// # Panics
    /// When an answer takes time: reading never does.
    #[track_caller]
    pub fn read<T>(&self, name: &str, commands: impl AsyncFnOnce(ClusterPresence) -> T) -> T {
        let Some(answer) = commands(self.presence(name)).now_or_never() else {
            panic!("what was asked of {name} takes time: it is no read");
        };
        answer
    }

    /// A node, to look at.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn node(&self, name: &str) -> Node {
        let Some(node) = self.machine(name).node() else { panic!("{name} does not run") };
        node
    }

    /// A handle to a node's presence. It outlives the node, and then refuses commands or speaks to nobody.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn presence(&self, name: &str) -> ClusterPresence {
        let Some(presence) = self.machine(name).presence() else { panic!("{name} does not run") };
        presence
    }

    /// Whether a node runs and is ready.
    #[track_caller]
    pub fn is_ready(&self, name: &str) -> bool {
        self.machine(name).node().is_some_and(|node| node.ready().now_or_never().is_some())
    }

    /// What `name` holds of another node: its state, or `None` when it is Gone or was never seen.
    #[track_caller]
    pub fn state_of(&self, other: &str, name: &str) -> Option<MemberState> {
        let members = self.node(name).members().current();
        members.into_iter().find(|(member, _)| member.node.as_str() == other).map(|(_, state)| state)
    }

    /// The names of the nodes that run.
    pub fn running(&self) -> Vec<&str> {
        self.machines.iter().filter(|machine| machine.node().is_some()).map(Machine::name).collect()
    }

    /// Whether all nodes that run hold each other, and only each other, for Up, are linked, have confirmed each other's
    /// writes, and hold the same rows.
    pub fn is_settled(&self) -> bool {
        let running = self.running();
        running.iter().all(|name| {
            let node = self.node(name);
            let stats = node.stats();
            let members = node.members().current();
            members.len() == running.len()
                && members.iter().all(|(member, state)| self.is_present(member, *state))
                && stats.cluster.links_up == running.len() - 1
                && stats.presence.unconfirmed_ops == 0
        }) && self.agree()
    }

    /// Whether all nodes that run hold the same rows, hidden ones included.
    pub fn agree(&self) -> bool {
        let mut digests = self.running().into_iter().map(|name| self.node(name).digest());
        let first = digests.next();
        digests.all(|digest| Some(digest) == first)
    }

    /// Waits until [`is_settled`](Self::is_settled).
    #[track_caller]
    pub fn settle(&mut self) -> Duration {
        self.until("the nodes hold each other for Up and the same rows", PATIENCE, Self::is_settled)
    }

    /// What was delivered so far.
    pub fn trace(&self) -> Trace {
        self.fabric.trace(|trace| trace.clone())
    }

    #[track_caller]
    fn run_on<T: 'static>(&mut self, machine: &Machine, what: &str, job: impl Future<Output = T> + 'static) -> T {
        let answer = Rc::new(RefCell::new(None));
        let place = Rc::clone(&answer);
        let taken = machine.run(async move {
            let result = job.await;
            *place.borrow_mut() = Some(result);
        });
        assert!(taken, "{} does not run", machine.name());
        let what = format!("{}: {what}", machine.name());
        let taken = RefCell::new(None);
        self.until(&what, PATIENCE, |_| {
            *taken.borrow_mut() = answer.take();
            taken.borrow().is_some()
        });
        taken.into_inner().expect("the wait ends when there is an answer")
    }

    /// Whether a member that is held for `state` is Up, and the very incarnation that runs.
    fn is_present(&self, member: &Member, state: MemberState) -> bool {
        let node = self.machine(member.node.as_str()).node();
        state == MemberState::Up && node.is_some_and(|node| node.me() == *member)
    }

    fn since(&self, begin: Duration) -> Duration {
        self.now().saturating_sub(begin)
    }

    #[track_caller]
    fn index(&self, name: &str) -> usize {
        let found = self.machines.iter().position(|machine| machine.name() == name);
        let Some(index) = found else {
            let names: Vec<&str> = self.machines.iter().map(Machine::name).collect();
            panic!("there is no machine {name:?} in this world; there are {}", names.join(", "));
        };
        index
    }

    #[track_caller]
    fn machine(&self, name: &str) -> &Machine {
        &self.machines[self.index(name)]
    }

    /// The numbers of two machines.
    #[track_caller]
    fn direction(&self, from: &str, to: &str) -> (usize, usize) {
        assert_ne!(from, to, "a machine cannot be cut from itself");
        (self.index(from), self.index(to))
    }

    /// Starts the process of a machine; returns whether there was none.
    pub(super) fn boot_machine(&mut self, index: usize) -> bool {
        let machine = self.machines[index].clone();
        if machine.is_started() {
            return false;
        }
        self.note(format!("{} starts", machine.name()));
        self.fabric.close_all(index);
        self.fabric.set_paused(index, false);
        self.fabric.set_dark(index, false);
        machine.want_process();
        self.sim.bounce(machine.ip());
        true
    }

    /// Kills the process of a machine; returns whether there was one.
    pub(super) fn crash_machine(&mut self, index: usize) -> bool {
        let machine = self.machines[index].clone();
        if !machine.is_started() {
            return false;
        }
        self.note(format!("{} crashes", machine.name()));
        self.end_process(index);
        true
    }

    /// Takes away whatever of a process there is.
    fn end_process(&mut self, index: usize) {
        let machine = self.machines[index].clone();
        self.fabric.close_all(index);
        self.fabric.set_paused(index, false);
        self.sim.crash(machine.ip());
        machine.clear_process();
    }

    /// Takes the power from a machine; returns whether a process ran there.
    pub(super) fn power_off_machine(&mut self, index: usize) -> bool {
        if !self.machines[index].is_started() {
            return false;
        }
        self.note(format!("{} loses its power", self.machines[index].name()));
        self.fabric.set_dark(index, true);
        self.crash_machine(index)
    }

    /// Stops a process or lets it go on; returns whether that changed anything.
    pub(super) fn set_paused(&mut self, index: usize, paused: bool) -> bool {
        self.note(format!("{} {}", self.machines[index].name(), if paused { "stands still" } else { "goes on" }));
        self.fabric.set_paused(index, paused)
    }

    /// Remembers what the story does, for when it fails.
    pub(super) fn note(&mut self, what: String) {
        if self.done.len() == TOLD {
            self.done.pop_front();
        }
        self.done.push_back((self.now(), what));
    }

    /// A machine and its node, in a line.
    fn describe(&self, f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
        let machine = &self.machines[index];
        write!(f, "\n  {}: ", machine.name())?;
        let Some(node) = machine.node() else {
            return f.write_str(if machine.is_started() { "starts" } else { "does not run" });
        };
        if self.fabric.is_paused(index) {
            f.write_str("stands still, ")?;
        }
        f.write_str(if self.is_ready(machine.name()) { "ready" } else { "not ready" })?;
        for (member, state) in node.members().current().iter().skip(1) {
            write!(f, ", {} {state:?}", member.node)?;
            if self.machine(member.node.as_str()).node().is_none_or(|node| node.me() != *member) {
                f.write_str(" (a process that is no more)")?;
            }
        }
        let stats = node.stats();
        write!(
            f,
            "; {} links, {} keys, {} rows, digest {:016x}, {} unconfirmed operations, {} open calls, {} messages dropped",
            node.linked().len(),
            stats.presence.keys,
            stats.presence.rows,
            node.digest(),
            stats.presence.unconfirmed_ops,
            stats.presence.open_calls,
            stats.presence.messages_dropped
        )
    }
}

/// The whole state for a person who asks why something did not happen.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at {:.3} s", self.simulation.seed, self.now().as_secs_f64())?;
        for index in 0..self.machines.len() {
            self.describe(f, index)?;
        }
        f.write_str("\nwhat was done last:")?;
        for (at, what) in &self.done {
            write!(f, "\n  {:>9.3} s  {what}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
