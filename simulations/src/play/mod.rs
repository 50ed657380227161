//! Who plays a plan: gives each step to the stage at its time, and writes down what comes of it.
//!
//! A `Player` decides nothing that a plan does not say, but for what a plan leaves to it: when to look, and how it ends. It looks at all nodes
//! every virtual second, around each fault, and each gossip interval once the storm is over. Then all faults are healed and every process
//! that does not run is started again, except on machines whose power went: those are dead for ever. Clients hear again what they did not read, and
//! half way through the calm they give up what they still wait for; what they own stays. Then every node is asked once more, what a whole cluster
//! has to do (`calm.rs`).
//!
//! A client asks one thing after the other: while something is unanswered, whatever else its plan has it ask is left out, and not recorded. Not so
//! what needs no answer: to stop or begin reading, to give up, to end a session (which gives up first, because a call in flight would
//! keep the session alive). A client that turns to another node, or whose process died, begins anew: its subscriptions and its session end.

mod calm;
mod client;
mod sight;
mod watcher;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headcount_cluster::Origin;

use self::client::{Client, Notebook};
use self::sight::Keys;
use crate::history::{Asked, BEFORE_THE_END_MS, End, History, Process, Readied, Sample, Seen};
use crate::plan::{Ask, Event, Fault, FaultKind, Plan};
use crate::stage::{Look, Stage};

/// How often nodes are looked at during the storm.
const LOOK_EVERY_MS: u64 = 1_000;

/// Plays a plan from its beginning to the end of its calm.
pub fn play(plan: &Plan, stage: &mut dyn Stage) -> History {
    let mut player = Player::new(plan, stage);
    for step in &plan.steps {
        player.pass_until(step.at_ms);
        match &step.event {
            Event::Fault(fault) => player.fault(fault),
            Event::Ask { client, node, ask } => player.ask(*client, *node, ask),
        }
    }
    player.pass_until(plan.storm_ms);
    player.calm();
    player.finish()
}

struct Player<'a> {
    plan: &'a Plan,
    stage: &'a mut dyn Stage,
    keys: Keys,
    clients: BTreeMap<u32, Client>,
    notes: Rc<RefCell<Notebook>>,
    running: Vec<Option<Running>>,
    processes: Vec<Process>,
    samples: Vec<Sample>,
    next_look: u64,
    look_every: u64,
}

/// A process that runs, and how it is going to end when the plan said so.
struct Running {
    process: usize,
    leaving: bool,
}

impl<'a> Player<'a> {
    fn new(plan: &'a Plan, stage: &'a mut dyn Stage) -> Self {
        Self {
            plan,
            stage,
            keys: Keys::of(plan),
            clients: BTreeMap::new(),
            notes: Rc::default(),
            running: (0..plan.nodes).map(|_| None).collect(),
            processes: Vec::new(),
            samples: Vec::new(),
            next_look: 0,
            look_every: LOOK_EVERY_MS,
        }
    }

    /// Lets time pass, and looks whenever it is time to.
    fn pass_until(&mut self, at_ms: u64) {
        while self.next_look <= at_ms {
            self.stage.advance_to(self.next_look);
            self.next_look += self.look_every;
            self.look();
        }
        self.stage.advance_to(at_ms);
        self.note_processes();
    }

    fn fault(&mut self, fault: &Fault) {
        // What is about to die is looked at once more: nobody can know more of it than it wrote until now.
        if let Fault::Crash { .. } | Fault::PowerOff { .. } = fault {
            self.look();
        }
        if let Fault::Leave { node } = fault
            && let Some(running) = &mut self.running[*node]
        {
            running.leaving = true;
        }
        self.stage.inject(fault);
        self.look();
    }

    fn ask(&mut self, number: u32, node: usize, ask: &Ask) {
        let Some(look) = self.stage.look(node) else {
            let at = self.stage.now_ms();
            self.notes.borrow_mut().asked.push(Asked::of_nobody(number, node, ask, at));
            return;
        };
        let seated = self.clients.get(&number).is_some_and(|client| client.sits_at(node, &look));
        if !seated {
            let client = Client::new(number, node, &look, self.stage.clock(), Rc::clone(&self.notes));
            if let Some(mut former) = self.clients.insert(number, client) {
                former.leave(self.stage);
            }
        }
        let client = self.clients.get_mut(&number).expect("it sits there now");
        client.ask(ask, &look, self.stage);
    }

    /// Ends the storm, and gives nodes time to come to rest.
    fn calm(&mut self) {
        self.stage.heal();
        for node in 0..self.plan.nodes {
            if self.stage.origin(node).is_none() && !self.is_without_power(node) {
                self.stage.inject(&Fault::Start { node });
            }
        }
        for client in self.clients.values_mut() {
            client.listen();
        }
        self.look();
        let begin = self.plan.storm_ms;
        self.look_every = self.plan.settings.gossip_ms.max(1);
        self.next_look = begin + self.look_every;
        let asks_at = self.plan.calm_asks_at();
        self.pass_until(asks_at);
        for client in self.clients.values_mut() {
            client.give_up();
        }
        self.ask_in_the_calm(asks_at);
        self.pass_until((begin + self.plan.calm_ms).saturating_sub(BEFORE_THE_END_MS));
        self.look_at_all();
        self.pass_until(begin + self.plan.calm_ms);
        self.look_at_all();
    }

    /// Asks every node that runs what a whole cluster has to do.
    fn ask_in_the_calm(&mut self, begin: u64) {
        let of_node =
            |node| calm::questions(node).into_iter().map(move |(after, client, ask)| (after, node, client, ask));
        let mut questions: Vec<_> = (0..self.plan.nodes).flat_map(of_node).collect();
        questions.sort_by_key(|(after, ..)| *after);
        for (after, node, client, ask) in questions {
            self.pass_until(begin + after);
            if self.stage.origin(node).is_some() {
                self.ask(client, node, &ask);
            }
        }
    }

    /// Whether the last that the plan did to the node was to take its machine's power.
    fn is_without_power(&self, node: usize) -> bool {
        let (off, on) = (Fault::PowerOff { node }, Fault::Start { node });
        let deaths = self.plan.faults().map(|(_, fault)| *fault).filter(|fault| *fault == off || *fault == on);
        deaths.last() == Some(off)
    }

    fn look(&mut self) {
        self.look_with(|look, keys, before| sight::see(look, &keys.owned, before));
    }

    fn look_at_all(&mut self) {
        // Nothing is taken for known.
        self.look_with(|look, keys, _| sight::see_all(look, keys));
    }

    fn look_with(&mut self, see: impl Fn(&Look, &Keys, Option<&Seen>) -> Seen) {
        self.note_processes();
        let before = |node: usize| self.samples.last()?.nodes[node].as_ref();
        let nodes = (0..self.plan.nodes)
            .map(|node| self.stage.look(node).map(|look| see(&look, &self.keys, before(node))))
            .collect();
        let broken_snapshots = self.stage.occurred().get(&FaultKind::BreakSnapshot).copied().unwrap_or_default();
        let (at, carried) = (self.stage.now_ms(), self.stage.carried());
        self.samples.push(Sample { at, nodes, carried, broken_snapshots });
    }

    /// Notes which processes have come and which have ended.
    fn note_processes(&mut self) {
        let now = self.stage.now_ms();
        let mut has_changed = false;
        for node in 0..self.plan.nodes {
            let present = self.stage.origin(node);
            let former = self.running[node].as_ref().map(|running| self.processes[running.process].origin);
            if present == former {
                continue;
            }
            has_changed = true;
            if let Some(running) = self.running[node].take() {
                let end = match (running.leaving, present.is_some()) {
                    (true, _) => End::Left,
                    (false, true) => End::Reincarnated,
                    (false, false) => End::Died,
                };
                self.processes[running.process].until = Some((now, end));
            }
            if let Some(origin) = present {
                self.begin(node, origin, now);
            }
        }
        if has_changed {
            let looks = (0..self.plan.nodes).filter_map(|node| self.stage.look(node));
            self.notes.borrow_mut().running = looks.map(|look| Arc::clone(look.presence.shared())).collect();
        }
    }

    fn begin(&mut self, node: usize, origin: Origin, from: u64) {
        self.running[node] = Some(Running { process: self.processes.len(), leaving: false });
        self.processes.push(Process { node, origin, from, until: None });
        self.note_when_ready(node);
    }

    /// Writes down what a process knows at the moment from which on it serves.
    fn note_when_ready(&mut self, node: usize) {
        let Some(look) = self.stage.look(node) else { return };
        let (shared, clock, notes) = (Arc::clone(look.presence.shared()), self.stage.clock(), Rc::clone(&self.notes));
        let job = async move {
            shared.wait_until(Duration::MAX, |state| state.ready().is_some()).await;
            let (origin, knew) = shared.read(|state, _| (state.origin(), sight::known(state)));
            notes.borrow_mut().readied.push(Readied { origin, at: clock(), knew });
        };
        self.stage.run(node, Box::pin(job));
    }

    fn finish(self) -> History {
        let notes = self.notes.take();
        History {
            plan: self.plan.clone(),
            asked: notes.asked,
            heard: notes.heard,
            copied: notes.copied,
            processes: self.processes,
            readied: notes.readied,
            samples: self.samples,
            calm_at: self.plan.storm_ms,
            occurred: self.stage.occurred(),
            carried: self.stage.carried(),
            trace_hash: self.stage.trace_hash(),
        }
    }
}
