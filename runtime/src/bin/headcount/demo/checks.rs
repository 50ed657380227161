//! The comparison of what the demo did with what every node says, and the summary that it ends with.
//!
//! Nobody acts any more while it is made. Nodes get a bounded time to agree, because messages may still be on their
//! way; what differs after that is told and not excused.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Instant;

use headcount::Presence as _;
use indicatif::HumanCount;

use super::Failure;
use super::players::{LOBBIES, lobby_key};
use super::script::Vanishing;
use super::stage::Stage;
use super::view::delay;

/// What was shown, and what of it held.
#[derive(Debug)]
pub(super) struct Summary {
    title: String,
    shown: Vec<String>,
    checks: Vec<Check>,
}

/// One comparison.
#[derive(Debug)]
struct Check {
    what: String,
    /// What differs; empty when the check holds.
    differs: Vec<String>,
}

impl Summary {
    /// Stops the players, waits until the nodes agree, and compares.
    ///
    /// # Errors
    /// [`Failure::Command`] only; a difference is part of the summary.
    pub(super) async fn gather(stage: &mut Stage, vanishing: Vanishing) -> Result<Self, Failure> {
        stage.players.pause_all();
        stage.tell("the players stop; every node is compared with what they did");
        let stopped = Instant::now();
        // When it is too late the checks below say what differs.
        let agreed = stage.wait_until("all nodes agree", async |stage| Ok(agree(stage))).await;
        let took = stopped.elapsed().as_secs_f64();
        if let Err(failure @ (Failure::Command(_) | Failure::Start { .. })) = agreed {
            return Err(failure);
        }
        let checks = vec![state(stage), counters(stage).await?, lobbies(stage).await?, chat(stage)];
        let (nodes, players) = (stage.fleet.len(), stage.players.count());
        let title = format!("{nodes} nodes, {players} players at the end, {:.0} s", stage.clock().as_secs_f64());
        Ok(Self { title, shown: shown(stage, &vanishing, took), checks })
    }

    /// Whether every check held.
    pub(super) fn all_held(&self) -> bool {
        self.checks.iter().all(|check| check.differs.is_empty())
    }
}

/// Whether all nodes hold the same rows, and all that was said among the survivors has arrived.
fn agree(stage: &Stage) -> bool {
    let digests: BTreeSet<u64> = stage.fleet.digests().into_iter().map(|(_, digest)| digest).collect();
    digests.len() == 1 && unheard(stage).is_empty()
}

fn state(stage: &Stage) -> Check {
    let digests = stage.fleet.digests();
    let differs = match digests.first() {
        Some((_, first)) if digests.iter().all(|(_, digest)| digest == first) => Vec::new(),
        Some(_) | None => digests.iter().map(|(name, digest)| format!("{name} has {digest:016x}")).collect(),
    };
    let digest = digests.first().map_or(0, |(_, digest)| *digest);
    Check { what: format!("all nodes hold the same state, digest {digest:016x}"), differs }
}

async fn counters(stage: &Stage) -> Result<Check, Failure> {
    let mut differs = Vec::new();
    let mut added = 0;
    for (counter, sum) in stage.players.ledger().sums() {
        added += sum;
        for (name, presence) in stage.fleet.named_presences() {
            let shown = counter.read(presence).await?;
            if shown != sum {
                differs.push(format!("{counter} is {shown} on {name}, but {sum} was added"));
            }
        }
    }
    let count = stage.players.ledger().len();
    Ok(Check { what: format!("all {count} counters show on every node what was added, {added} in sum"), differs })
}

async fn lobbies(stage: &Stage) -> Result<Check, Failure> {
    let mut differs = Vec::new();
    for (lobby, lobby_name) in LOBBIES.iter().enumerate() {
        let expected = stage.players.in_lobby(lobby);
        for (name, presence) in stage.fleet.named_presences() {
            let members = presence.smembers(lobby_key(lobby)).await?;
            let shown: BTreeSet<&[u8]> = members.iter().map(AsRef::as_ref).collect();
            if shown != expected {
                let (missing, extra) = (expected.difference(&shown).count(), shown.difference(&expected).count());
                differs.push(format!("{lobby_name} on {name} lacks {missing} players and has {extra} too many"));
            }
        }
    }
    let (count, players) = (LOBBIES.len(), stage.players.count());
    Ok(Check { what: format!("the {count} lobbies on every node list exactly the {players} live players"), differs })
}

fn chat(stage: &Stage) -> Check {
    let survivors = stage.fleet.last();
    let said: u64 = (0..survivors).map(|speaker| stage.players.said(speaker)).sum();
    let what = format!("each of {} messages on the other nodes was heard once on each", HumanCount(said));
    Check { what, differs: unheard(stage) }
}

/// Where a node that lived through everything has not heard exactly what was said on another such node. The node that
/// was killed is left out: what it misses while it is dead, and what dies with it, is nobody's error.
fn unheard(stage: &Stage) -> Vec<String> {
    let survivors = 0..stage.fleet.last();
    let mut differs = Vec::new();
    for listener in survivors.clone() {
        let Some(heard) = stage.fleet.heard(listener) else { continue };
        for speaker in survivors.clone() {
            let (name, said) = (stage.fleet.name(speaker), stage.players.said(speaker));
            let arrived = heard.from(name);
            if arrived != said {
                let missed = heard.missed;
                differs.push(format!(
                    "{} heard {arrived} of {said} messages from {name}, and knows of {missed} that it missed",
                    stage.fleet.name(listener)
                ));
            }
        }
    }
    differs
}

fn shown(stage: &Stage, vanishing: &Vanishing, took: f64) -> Vec<String> {
    let Vanishing { node, players, after } = vanishing;
    let mut shown = vec![
        format!(
            "{node} was killed without goodbye; its {players} players vanished elsewhere in {:.1} s",
            after.as_secs_f64()
        ),
        format!("it came back; all nodes agreed {took:.2} s after the last write"),
    ];
    if let Some((median, longest, count)) = stage.probe.summary() {
        shown.push(format!(
            "a write is read elsewhere after {} (median of {count}, longest {})",
            delay(Some(median)),
            delay(Some(longest))
        ));
    }
    shown
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Differences that are told of one check; a summary is one screen.
        const TOLD: usize = 5;
        writeln!(f, "\n{}", self.title)?;
        for line in &self.shown {
            writeln!(f, "       {line}")?;
        }
        for check in &self.checks {
            writeln!(f, "{} {}", if check.differs.is_empty() { "  ok  " } else { " FAIL " }, check.what)?;
            for line in check.differs.iter().take(TOLD) {
                writeln!(f, "         {line}")?;
            }
            if check.differs.len() > TOLD {
                writeln!(f, "         and {} more", check.differs.len() - TOLD)?;
            }
        }
        f.write_str(if self.all_held() { "every check held" } else { "a check FAILED" })
    }
}
