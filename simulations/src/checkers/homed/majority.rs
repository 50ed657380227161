//! Until when the word of a majority holds: when it may have been lost, for each moment at which it was given.
//!
//! It is lost when more than half of those that were ready then have ended, when somebody joined a split cluster, or when somebody was ready who has met none of
//! the others, nor anybody who has met them. Once lost it stays lost, so there is one time for each beginning; it is asked for with every two answers of a key, and
//! what does not depend on the beginning is found out once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use headcount_cluster::Origin;

use crate::checkers::stability::LOOKED_AT_EVERY_MS;
use crate::history::{History, Sample, Seen};

/// How long before and after somebody began the others have to be together.
const AROUND_MS: u64 = 10_000;

/// What decides when majorities were lost.
pub(super) struct Majority<'a> {
    history: &'a History,
    /// The origins under which a process went on, by each of them.
    lineages: BTreeMap<Origin, Vec<Origin>>,
    /// When those began around whose beginning others were not together.
    split_joins: Vec<u64>,
    /// When all were together.
    whole: Vec<u64>,
    /// Who knew whom, and since when.
    met: Vec<(u64, Origin, Origin)>,
    /// Who was ready: where, under which origin, and in which samples, first and last.
    ready: Vec<(usize, Origin, usize, usize)>,
    lost: RefCell<BTreeMap<u64, u64>>,
}

impl<'a> Majority<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let split_joins =
            history.processes.iter().filter(|process| is_split_around(history, process.from, process.origin));
        Self {
            history,
            lineages: history
                .processes
                .iter()
                .map(|process| (process.origin, history.lineage(process.origin)))
                .collect(),
            split_joins: split_joins.map(|process| process.from).collect(),
            whole: history.samples.iter().filter(|sample| sample.is_whole()).map(|sample| sample.at).collect(),
            met: met(history),
            ready: ready(history),
            lost: RefCell::default(),
        }
    }

    /// Whether all that had an answer may have ended from one time to another, or somebody joined while the cluster was split, or began another.
    pub(super) fn is_lost(&self, from: u64, to: u64) -> bool {
        let known = self.lost.borrow().get(&from).copied();
        let lost = known.unwrap_or_else(|| {
            let lost = self.lost_at(from);
            self.lost.borrow_mut().insert(from, lost);
            lost
        });
        lost <= to
    }

    fn lost_at(&self, from: u64) -> u64 {
        let before = self.history.samples.partition_point(|sample| sample.at <= from).checked_sub(1);
        let before = before.and_then(|index| self.history.samples.get(index));
        let ready = before.into_iter().flat_map(Sample::running).filter(|(_, seen)| seen.ready);
        let there: BTreeSet<Origin> = ready.map(|(_, seen)| seen.origin).collect();
        let mut ends: Vec<u64> = there.iter().map(|origin| self.history.ended(*origin).unwrap_or(u64::MAX)).collect();
        ends.sort_unstable();
        // Where nobody was ready yet, all that there was may be one who goes on alone, and ends.
        let Some(most_ended) = ends.get(there.len() / 2) else { return 0 };
        // Who joined a split that has not ended since may have made a majority of each side.
        let whole = self.whole[..self.whole.partition_point(|at| *at <= from)].last();
        let joins = self.split_joins.iter().filter(|at| **at > from || whole.is_none_or(|whole| whole < *at));
        [*most_ended, joins.min().copied().unwrap_or(u64::MAX), self.another_root_at(&there, from)]
            .into_iter()
            .min()
            .unwrap_or(0)
    }

    /// When somebody was ready who counts none of those.
    fn another_root_at(&self, there: &BTreeSet<Origin>, from: u64) -> u64 {
        let Some(first) = there.first() else { return u64::MAX };
        let mut rooted = self.acquaintances(*first, from);
        if !there.is_subset(&rooted) {
            return 0;
        }
        let samples = &self.history.samples;
        let after = samples.partition_point(|sample| sample.at <= from);
        let later = self.ready.iter().filter(|(.., last)| *last >= after);
        let mut later: Vec<(usize, usize, Origin)> =
            later.map(|(node, origin, since, _)| (after.max(*since), *node, *origin)).collect();
        later.sort_unstable();
        for (index, node, origin) in later {
            let sample = &samples[index];
            if rooted.contains(&origin) {
                continue;
            }
            let knows_one = |seen: &Seen| seen.members.keys().any(|member| rooted.contains(member));
            if !sample.nodes[node].as_ref().is_some_and(knows_one) {
                return sample.at.saturating_sub(LOOKED_AT_EVERY_MS);
            }
            rooted.extend(self.lineage(origin));
        }
        u64::MAX
    }

    /// All that somebody has met until then, and those whom these have met, with the origins under which they went on.
    fn acquaintances(&self, one: Origin, until: u64) -> BTreeSet<Origin> {
        let met = &self.met[..self.met.partition_point(|(at, ..)| *at <= until)];
        let mut found: BTreeSet<Origin> = self.lineage(one).collect();
        loop {
            let before = found.len();
            for (_, one, other) in met {
                if found.contains(one) != found.contains(other) {
                    found.extend(self.lineage(*one).chain(self.lineage(*other)));
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    fn lineage(&self, origin: Origin) -> impl Iterator<Item = Origin> {
        self.lineages.get(&origin).into_iter().flatten().copied().chain([origin])
    }
}

/// Who knew whom, in the order in which it was first seen.
fn met(history: &History) -> Vec<(u64, Origin, Origin)> {
    let mut pairs = BTreeSet::new();
    let mut met = Vec::new();
    for sample in &history.samples {
        for (_, seen) in sample.running() {
            let news = seen.members.keys().filter(|member| pairs.insert((seen.origin, **member)));
            met.extend(news.map(|member| (sample.at, seen.origin, *member)));
        }
    }
    met
}

fn ready(history: &History) -> Vec<(usize, Origin, usize, usize)> {
    let mut ready: BTreeMap<Origin, (usize, usize, usize)> = BTreeMap::new();
    for (index, sample) in history.samples.iter().enumerate() {
        for (node, seen) in sample.running().filter(|(_, seen)| seen.ready) {
            ready.entry(seen.origin).or_insert((node, index, index)).2 = index;
        }
    }
    ready.into_iter().map(|(origin, (node, first, last))| (node, origin, first, last)).collect()
}

/// Whether some two others were not together around the time at which somebody began.
fn is_split_around(history: &History, began: u64, joiner: Origin) -> bool {
    let first = history.samples.partition_point(|sample| sample.at + AROUND_MS < began);
    let mut around = history.samples[first..].iter().take_while(|sample| sample.at <= began + AROUND_MS);
    around.any(|sample| !sample.is_whole_for(|seen| seen.ready && seen.origin != joiner))
}
