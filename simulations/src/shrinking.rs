//! Makes a plan smaller that breaks a promise, as long as the smaller one breaks it too.
//!
//! Delta debugging (Zeller and Hildebrandt, 2002): leave out half of the steps, quarters, eighths, down to single ones. Before that what
//! usually goes at once: all after the breach, whole nodes, whole clients, whole kinds of faults; after it, settings that do not matter.
//! Whoever shrinks says what "breaks it too" means by playing the candidate; the number of candidates is bounded, because each one is a
//! whole history.

use std::collections::BTreeSet;

use crate::plan::{Event, Fault, FaultKind, Plan, Settings, Step};

/// Shrinks a plan. `still_breaks` plays a candidate; it is called at most `tries` times. Returns the smallest plan that broke the
/// promise, which is the given one when nothing smaller did.
pub fn shrink(plan: &Plan, tries: usize, still_breaks: &mut dyn FnMut(&Plan) -> bool) -> Plan {
    let mut shrinking = Shrinking { best: plan.clone(), tries, still_breaks };
    loop {
        let before = size(&shrinking.best);
        shrinking.shorten();
        shrinking.drop_nodes();
        shrinking.drop_groups();
        shrinking.drop_steps();
        shrinking.usual_settings();
        if size(&shrinking.best) == before || shrinking.tries == 0 {
            return shrinking.best;
        }
    }
}

/// What gets smaller: nodes, steps, length.
fn size(plan: &Plan) -> (usize, usize, u64) {
    (plan.nodes, plan.steps.len(), plan.storm_ms)
}

struct Shrinking<'a> {
    best: Plan,
    tries: usize,
    still_breaks: &'a mut dyn FnMut(&Plan) -> bool,
}

impl Shrinking<'_> {
    /// Takes the candidate for the best when it breaks the promise.
    fn offer(&mut self, candidate: Plan) -> bool {
        if self.tries == 0 || candidate == self.best {
            return false;
        }
        self.tries -= 1;
        let breaks = (self.still_breaks)(&candidate);
        if breaks {
            self.best = candidate;
        }
        breaks
    }

    fn offer_steps(&mut self, steps: Vec<Step>) -> bool {
        let candidate = Plan { steps, ..self.best.clone() };
        self.offer(candidate)
    }

    /// Ends the storm earlier: at half, three quarters, seven eighths.
    fn shorten(&mut self) {
        let mut part = 2;
        while part <= 32 && self.tries > 0 {
            let storm_ms = self.best.storm_ms - self.best.storm_ms / part;
            let steps = self.best.steps.iter().filter(|step| step.at_ms < storm_ms).cloned().collect();
            let shorter = Plan { storm_ms, steps, ..self.best.clone() };
            if !self.offer(shorter) {
                part *= 2;
            }
        }
    }

    fn drop_nodes(&mut self) {
        let mut node = self.best.nodes;
        while node > 0 && self.best.nodes > 1 {
            node -= 1;
            let fewer = without_node(&self.best, node);
            self.offer(fewer);
        }
    }

    /// Leaves out kinds of faults and clients.
    fn drop_groups(&mut self) {
        let kinds: BTreeSet<FaultKind> = self.best.faults().map(|(_, fault)| fault.kind()).collect();
        for kind in kinds {
            self.keep_steps(|step| !matches!(&step.event, Event::Fault(fault) if fault.kind() == kind));
        }
        let clients: BTreeSet<u32> = self.best.steps.iter().filter_map(client_of).collect();
        for client in clients {
            self.keep_steps(|step| client_of(step) != Some(client));
        }
    }

    fn keep_steps(&mut self, keep: impl Fn(&Step) -> bool) {
        let steps = self.best.steps.iter().filter(|step| keep(step)).cloned().collect();
        self.offer_steps(steps);
    }

    /// Leaves out runs of steps: halves, quarters, down to single ones.
    fn drop_steps(&mut self) {
        let mut run = self.best.steps.len().div_ceil(2);
        while run > 0 && self.tries > 0 {
            let mut from = 0;
            while from < self.best.steps.len() && self.tries > 0 {
                let mut steps = self.best.steps.clone();
                steps.drain(from..(from + run).min(self.best.steps.len()));
                if !self.offer_steps(steps) {
                    from += run;
                }
            }
            run /= 2;
        }
    }

    fn usual_settings(&mut self) {
        let usual = Settings { grace_ms: self.best.settings.grace_ms, ..Settings::default() };
        let candidate = Plan { settings: usual, ..self.best.clone() };
        self.offer(candidate);
    }
}

fn client_of(step: &Step) -> Option<u32> {
    match &step.event {
        Event::Ask { client, .. } => Some(*client),
        Event::Fault(_) => None,
    }
}

/// The plan without a node and all that was about it; those after it move up.
fn without_node(plan: &Plan, gone: usize) -> Plan {
    let moved = |node: usize| if node > gone { node - 1 } else { node };
    let mut steps = Vec::new();
    for step in &plan.steps {
        let event = match &step.event {
            Event::Ask { node, .. } if *node == gone => continue,
            Event::Ask { client, node, ask } => Event::Ask { client: *client, node: moved(*node), ask: ask.clone() },
            Event::Fault(fault) if fault.nodes().contains(&gone) => continue,
            Event::Fault(fault) => Event::Fault(fault.map_nodes(moved)),
        };
        steps.push(Step { at_ms: step.at_ms, event });
    }
    Plan { nodes: plan.nodes - 1, steps, ..plan.clone() }
}

impl Fault {
    /// The nodes that it is about, one of them twice when it is one.
    fn nodes(&self) -> [usize; 2] {
        let mut nodes = Vec::with_capacity(2);
        // Every fault names one or two nodes.
        let _ = self.map_nodes_with(&mut |node| {
            nodes.push(node);
            node
        });
        [nodes[0], nodes[nodes.len() - 1]]
    }

    /// The same fault of other nodes.
    fn map_nodes(&self, map: impl Fn(usize) -> usize) -> Self {
        self.map_nodes_with(&mut |node| map(node))
    }

    fn map_nodes_with(&self, map: &mut dyn FnMut(usize) -> usize) -> Self {
        match *self {
            Self::Start { node } => Self::Start { node: map(node) },
            Self::Crash { node } => Self::Crash { node: map(node) },
            Self::PowerOff { node } => Self::PowerOff { node: map(node) },
            Self::Leave { node } => Self::Leave { node: map(node) },
            Self::Pause { node } => Self::Pause { node: map(node) },
            Self::Resume { node } => Self::Resume { node: map(node) },
            Self::Cut { from, to } => Self::Cut { from: map(from), to: map(to) },
            Self::Mend { from, to } => Self::Mend { from: map(from), to: map(to) },
            Self::Lose { from, to, percent } => Self::Lose { from: map(from), to: map(to), percent },
            Self::Repeat { from, to, percent } => Self::Repeat { from: map(from), to: map(to), percent },
            Self::Delay { from, to, min_ms, max_ms } => Self::Delay { from: map(from), to: map(to), min_ms, max_ms },
            Self::Clog { from, to, ms } => Self::Clog { from: map(from), to: map(to), ms },
            Self::Narrow { from, to, bytes_per_second } => {
                Self::Narrow { from: map(from), to: map(to), bytes_per_second }
            }
            Self::Widen { from, to } => Self::Widen { from: map(from), to: map(to) },
            Self::SetClock { node, ahead_ms } => Self::SetClock { node: map(node), ahead_ms },
            Self::BreakSnapshot { from, to } => Self::BreakSnapshot { from: map(from), to: map(to) },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenarios;

    fn has(plan: &Plan, fault: impl Fn(&Fault) -> bool) -> bool {
        plan.faults().any(|(_, candidate)| fault(candidate))
    }

    #[test]
    fn two_steps_that_matter_are_found_among_hundreds() {
        let plan = scenarios::by_name("rolling-deploy").unwrap().plan(1, 5, Duration::from_mins(5));
        let mut played = 0;
        let mut breaks = |candidate: &Plan| {
            played += 1;
            let leaves = has(candidate, |fault| matches!(fault, Fault::Leave { .. }));
            leaves && candidate.steps.iter().any(|step| client_of(step).is_some())
        };
        let small = shrink(&plan, 500, &mut breaks);
        assert_eq!(small.steps.len(), 2, "{:#?}", small.steps);
        assert!(small.nodes == 1 && small.storm_ms < plan.storm_ms / 2, "{} nodes, {} ms", small.nodes, small.storm_ms);
        assert!(played < 200, "{played}");
    }

    #[test]
    fn a_plan_that_nothing_smaller_than_breaks_stays_and_tries_are_bounded() {
        let plan = scenarios::by_name("storm").unwrap().plan(1, 4, Duration::from_mins(1));
        let mut played = 0;
        let same = shrink(&plan, 50, &mut |_| {
            played += 1;
            false
        });
        assert_eq!((same, played), (plan, 50));
    }

    #[test]
    fn without_a_node_the_others_move_up() {
        let plan = scenarios::by_name("storm").unwrap().plan(1, 4, Duration::from_mins(2));
        let fewer = without_node(&plan, 0);
        assert_eq!(fewer.nodes, 3);
        assert!(fewer.faults().all(|(_, fault)| fault.nodes().iter().all(|node| *node < 3)));
        let kept = plan.faults().filter(|(_, fault)| !fault.nodes().contains(&0)).count();
        assert_eq!(fewer.faults().count(), kept);
    }
}
