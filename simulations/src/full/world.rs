//! A world while its story happens: time, nodes, and what goes wrong.
//!
//! Nothing happens but by the story: time passes in steps, faults come between steps, and waiting means stepping until a condition
//! holds. A wait has a deadline in virtual time, which is generous because it costs nothing when the condition holds earlier.
//!
//! Two ways to lose a node are kept apart, because a cluster meets them differently. After a [`crash`](World::crash) the machine still
//! answers for its dead process, so peers see their connections close. After [`power_off`](World::power_off) there is only silence.

use std::cell::{Ref, RefCell};
use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use headcount::{ClusterPresence, LeaveReport, Member, MemberState, Node};

use super::clock::{EPOCH, MachineClock, VirtualTime};
use super::machine::{Machine, Parts};
use super::network::{Recorder, SimulatedNetwork};
use super::simulation::Simulation;
use super::trace::Trace;

/// How long a started node may take to be ready, and a command to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Machines, a network between them, and time.
pub struct World {
    simulation: Simulation,
    time: Arc<VirtualTime>,
    recorder: Arc<Recorder>,
    machines: Vec<Machine>,
    /// Pairs of machines, the lower first, between which nothing passes because the story says so.
    cuts: BTreeSet<(usize, usize)>,
    /// Machines that nobody hears.
    dark: BTreeSet<usize>,
    sim: turmoil::Sim<'static>,
}

impl World {
    pub(crate) fn new(simulation: Simulation, time: Arc<VirtualTime>) -> Self {
        let recorder = Arc::new(Recorder::new(&time));
        let mut sim = turmoil::Builder::new()
            .rng_seed(simulation.seed)
            .epoch(SystemTime::UNIX_EPOCH + EPOCH)
            .tick_duration(simulation.tick)
            .min_message_latency(Duration::ZERO)
            .max_message_latency(simulation.max_latency)
            .tcp_capacity(1024)
            .udp_capacity(4096)
            .enable_random_order()
            .build();
        let machine = |(index, name): (usize, &String)| {
            Machine::new(Parts {
                name: name.clone(),
                index,
                seed: simulation.seed,
                config: simulation.config.clone(),
                network: SimulatedNetwork::new(super::machine::ip(index), &recorder),
                clock: MachineClock::new(&time),
            })
        };
        let machines: Vec<Machine> = simulation.names.iter().enumerate().map(machine).collect();
        for machine in &machines {
            let booting = machine.clone();
            sim.host(machine.ip(), move || booting.clone().boot());
        }
        Self { simulation, time, recorder, machines, cuts: BTreeSet::new(), dark: BTreeSet::new(), sim }
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
        if let Err(error) = self.sim.step() {
            panic!("seed {} at {:?}: {error}", self.simulation.seed, self.now());
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
    pub fn start(&mut self, name: &str) {
        self.boot(name);
        self.until(&format!("{name} is ready"), PATIENCE, |world| world.is_ready(name));
    }

    /// Starts a node without waiting for it. A machine that was without power is reachable again.
    pub fn boot(&mut self, name: &str) {
        let index = self.index(name);
        let machine = &self.machines[index];
        assert!(!machine.is_started(), "{name} runs already");
        machine.want_process();
        self.sim.bounce(machine.ip());
        let links = self.links();
        self.dark.remove(&index);
        self.apply(&links);
    }

    /// Kills a node's process without a word. Its machine closes its connections and refuses new ones.
    pub fn crash(&mut self, name: &str) {
        let machine = self.machine(name).clone();
        assert!(machine.is_started(), "{name} does not run");
        self.sim.crash(machine.ip());
        machine.clear_process();
        self.sim.bounce(machine.ip());
    }

    /// Kills a node and its machine: from here on there is silence, and whoever connects hangs.
    pub fn power_off(&mut self, name: &str) {
        let index = self.index(name);
        let links = self.links();
        self.dark.insert(index);
        self.apply(&links);
        self.crash(name);
    }

    /// Lets a node leave gracefully; returns when it has.
    pub fn leave(&mut self, name: &str) -> LeaveReport {
        let machine = self.machine(name).clone();
        let leaver = machine.clone();
        self.run_on(&machine, "it has left", async move {
            match leaver.take_node() {
                Some(node) => node.leave().await,
                None => LeaveReport::default(),
            }
        })
    }

    /// Cuts all connections between two groups of machines; within each all stays as it is.
    pub fn partition(&mut self, one: &[&str], other: &[&str]) {
        let links = self.links();
        for a in one {
            for b in other {
                let (a, b) = (self.index(a), self.index(b));
                assert_ne!(a, b, "a machine cannot be cut from itself");
                self.cuts.insert((a.min(b), a.max(b)));
            }
        }
        self.apply(&links);
    }

    /// Takes all cuts back. Machines without power stay so.
    pub fn heal(&mut self) {
        let links = self.links();
        self.cuts.clear();
        self.apply(&links);
    }

    /// Sets how far a machine's wall clock is ahead of the true time, in milliseconds; behind it when negative.
    pub fn set_skew_ms(&mut self, name: &str, ahead: i64) {
        self.machine(name).set_skew_ms(ahead);
    }

    /// Runs commands on a node, as its game server would, and lets time pass until they are answered.
    ///
    /// # Panics
    /// When they are not within a minute.
    pub fn on<T: 'static>(&mut self, name: &str, commands: impl AsyncFnOnce(ClusterPresence) -> T + 'static) -> T {
        let machine = self.machine(name).clone();
        let presence = self.presence(name);
        self.run_on(&machine, "its commands are answered", async move { commands(presence).await })
    }

    /// Reads from a node without letting time pass.
    ///
    /// # Panics
    /// When an answer takes time: reading never does.
    pub fn read<T>(&self, name: &str, commands: impl AsyncFnOnce(ClusterPresence) -> T) -> T {
        let answer = commands(self.presence(name)).now_or_never();
        answer.unwrap_or_else(|| panic!("what was asked of {name} takes time: it is no read"))
    }

    /// A node, to look at.
    ///
    /// # Panics
    /// When it does not run.
    pub fn node(&self, name: &str) -> Ref<'_, Node> {
        self.machine(name).node().unwrap_or_else(|| panic!("{name} does not run"))
    }

    /// A handle to a node's presence. It outlives the node, and then refuses commands or speaks to nobody.
    pub fn presence(&self, name: &str) -> ClusterPresence {
        self.machine(name).presence().unwrap_or_else(|| panic!("{name} does not run"))
    }

    /// Whether a node runs and is ready.
    pub fn is_ready(&self, name: &str) -> bool {
        self.machine(name).node().is_some_and(|node| node.ready().now_or_never().is_some())
    }

    /// What `name` holds of another node: its state, or `None` when it is Gone or was never seen.
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
    pub fn settle(&mut self) -> Duration {
        self.until("the nodes hold each other for Up and the same rows", PATIENCE, Self::is_settled)
    }

    /// What was delivered so far.
    pub fn trace(&self) -> Trace {
        self.recorder.trace().clone()
    }

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

    fn index(&self, name: &str) -> usize {
        let found = self.machines.iter().position(|machine| machine.name() == name);
        found.unwrap_or_else(|| panic!("there is no machine {name:?} in this world"))
    }

    fn machine(&self, name: &str) -> &Machine {
        &self.machines[self.index(name)]
    }

    /// Whether something passes between each pair of machines.
    fn links(&self) -> Vec<((usize, usize), bool)> {
        let count = self.machines.len();
        let pairs = (0..count).flat_map(|low| (low + 1..count).map(move |high| (low, high)));
        let open =
            |(low, high)| !self.cuts.contains(&(low, high)) && !self.dark.contains(&low) && !self.dark.contains(&high);
        pairs.map(|pair| (pair, open(pair))).collect()
    }

    /// Tells the network what has changed since `before`.
    fn apply(&mut self, before: &[((usize, usize), bool)]) {
        for ((pair, was_open), (_, is_open)) in before.iter().zip(self.links()) {
            let ends: (IpAddr, IpAddr) = (self.machines[pair.0].ip(), self.machines[pair.1].ip());
            match (was_open, is_open) {
                (true, false) => self.sim.partition(ends.0, ends.1),
                (false, true) => self.sim.repair(ends.0, ends.1),
                (true, true) | (false, false) => {}
            }
        }
    }
}

/// The whole state for a person who asks why something did not happen.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at {:?}", self.simulation.seed, self.now())?;
        for machine in &self.machines {
            let Some(node) = machine.node() else {
                write!(f, "\n  {}: does not run", machine.name())?;
                continue;
            };
            let mut members = String::new();
            for (member, state) in node.members().current() {
                write!(members, " {}/{}={state:?}", member.node, member.incarnation)?;
            }
            let stats = node.stats();
            write!(
                f,
                "\n  {}: digest {:016x} members{members}\n    {:?}",
                machine.name(),
                node.digest(),
                stats.presence
            )?;
            write!(f, "\n    {:?}", stats.cluster)?;
        }
        Ok(())
    }
}
