//! Everything the script acts on, and time passing on it.
//!
//! Players act in ticks, all in one task: a command is done when it returns, so nothing needs to run at the same time
//! but the nodes themselves, and the books are never between two states.

use std::time::{Duration, Instant};

use super::Failure;
use super::fleet::Fleet;
use super::players::{Player, Players};
use super::probe::Probe;
use super::view::{Row, View};
use crate::args::DemoTask;

/// Time between two rounds of the players.
const TICK: Duration = Duration::from_millis(20);

/// How long a condition may take to come true. The longest that is waited for is the detection of a crash, 3 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// The nodes, the players on them, and what is shown of both.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) fleet: Fleet,
    pub(super) players: Players,
    pub(super) view: View,
    pub(super) probe: Probe,
    started: Instant,
}

impl Stage {
    /// Starts the nodes and waits until each sees all others.
    ///
    /// # Errors
    /// [`Failure::Start`], [`Failure::TooLate`].
    pub(super) async fn new(task: &DemoTask) -> Result<Self, Failure> {
        let nodes = usize::from(task.nodes);
        let view = View::new(nodes, Duration::from_secs(u64::from(task.seconds)));
        view.say(&format!("starting {nodes} nodes on loopback, each with the ones before it as its seeds"));
        let fleet = Fleet::start(nodes).await?;
        let mut stage =
            Self { players: Players::new(nodes), fleet, view, probe: Probe::default(), started: Instant::now() };
        stage.players.pause_all();
        stage.wait_until("every node sees all others", async |stage| Ok(stage.fleet.is_complete())).await?;
        stage.fleet.listen().await?;
        stage.players.resume_all();
        stage.started = Instant::now();
        stage.tell("all nodes see each other; the players come");
        Ok(stage)
    }

    /// Time since the players came.
    pub(super) fn clock(&self) -> Duration {
        self.started.elapsed()
    }

    /// Tells something of the story, with the time.
    pub(super) fn tell(&self, text: &str) {
        self.view.say(&format!("{:5.1} s  {text}", self.clock().as_secs_f64()));
    }

    /// Plays until the clock shows `until`.
    pub(super) async fn play_until_time(&mut self, until: Duration) -> Result<(), Failure> {
        while self.clock() < until {
            self.tick().await?;
        }
        Ok(())
    }

    /// Plays for a while.
    pub(super) async fn play_on(&mut self, span: Duration) -> Result<(), Failure> {
        self.play_until_time(self.clock() + span).await
    }

    /// Plays until `condition` holds.
    ///
    /// # Errors
    /// [`Failure::TooLate`], with `what` for the condition in words.
    pub(super) async fn wait_until(
        &mut self,
        what: &str,
        condition: impl AsyncFn(&Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        while !condition(self).await? {
            if begun.elapsed() > PATIENCE {
                return Err(Failure::TooLate { what: what.to_owned(), seconds: PATIENCE.as_secs() });
            }
            self.tick().await?;
        }
        Ok(())
    }

    /// Whether every running node shows all of these players.
    pub(super) async fn shown_everywhere(&self, players: &[Player]) -> Result<bool, Failure> {
        for presence in self.fleet.presences() {
            for player in players {
                if !player.is_shown(presence).await? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether no running node shows any of these players.
    pub(super) async fn shown_nowhere(&self, players: &[Player]) -> Result<bool, Failure> {
        for presence in self.fleet.presences() {
            for player in players {
                if player.leaves_a_trace(presence).await? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn tick(&mut self) -> Result<(), Failure> {
        let next = Instant::now() + TICK;
        self.players.act(&self.fleet).await?;
        if self.view.is_due() {
            self.probe.measure(&self.fleet).await?;
            self.show();
        }
        tokio::time::sleep_until(next.into()).await;
        Ok(())
    }

    fn show(&mut self) {
        let rows: Vec<Row> = (0..self.fleet.len()).map(|index| self.row(index)).collect();
        self.view.show(self.clock(), &rows);
    }

    fn row(&self, index: usize) -> Row {
        Row {
            name: self.fleet.name(index).to_owned(),
            counts: self.fleet.counts(index),
            delay: self.probe.last_to(index),
        }
    }
}
