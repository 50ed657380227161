//! What happens when: the story of the demo, from the first player to the last check.
//!
//! It reads from top to bottom. Each step tells what it does, does it, and waits until it shows; how waiting and
//! playing on go together is the stage's business.

use std::time::Duration;

use super::Failure;
use super::checks::Summary;
use super::stage::Stage;
use crate::args::DemoTask;

/// How long the table is left to be looked at after the players have vanished.
const PAUSE: Duration = Duration::from_secs(1);

/// Plays it.
///
/// # Errors
/// [`Failure`].
pub(super) async fn play(mut stage: Stage, task: &DemoTask) -> Result<Summary, Failure> {
    let length = Duration::from_secs(u64::from(task.seconds));
    stage.play_until_time(length / 2).await?;
    let victim = stage.fleet.last();
    let vanishing = crash(&mut stage, victim).await?;
    stage.play_on(PAUSE).await?;
    restart(&mut stage, victim).await?;
    stage.play_until_time(length).await?;
    let summary = Summary::gather(&mut stage, vanishing).await?;
    stage.fleet.leave().await;
    stage.view.finish();
    stage.view.say(&summary.to_string());
    Ok(summary)
}

/// What the crash showed.
#[derive(Debug)]
pub(super) struct Vanishing {
    /// The node that was killed.
    pub(super) node: String,
    /// Its players at that moment.
    pub(super) players: usize,
    /// How long after the kill the last other node showed none of them any more.
    pub(super) after: Duration,
}

/// Kills a node without goodbye and watches its players vanish from every other one.
///
/// What a node has acknowledged and not yet passed on dies with it; that is what a local acknowledgement means. So that
/// the sums at the end can be exact, nothing is written through it any more and its peers have confirmed everything
/// before it is killed.
async fn crash(stage: &mut Stage, victim: usize) -> Result<Vanishing, Failure> {
    let name = stage.fleet.name(victim).to_owned();
    stage.tell(&format!("{name} writes no more, until its peers have confirmed everything"));
    stage.players.pause(victim);
    let what = format!("the peers of {name} have confirmed its writes");
    stage.wait_until(&what, async |stage| Ok(stage.fleet.unconfirmed(victim) == 0)).await?;
    let lost = stage.players.of(victim);
    stage.wait_until("every node shows its players", async |stage| stage.shown_everywhere(&lost).await).await?;
    stage.tell(&format!("{name} is killed without goodbye, with {} players on it", lost.len()));
    stage.fleet.kill(victim);
    let killed = stage.clock();
    stage.players.forget(victim);
    stage.wait_until("no other node shows its players", async |stage| stage.shown_nowhere(&lost).await).await?;
    let after = stage.clock().saturating_sub(killed);
    stage.tell(&format!(
        "its {} players have vanished from every other node, {:.1} s later",
        lost.len(),
        after.as_secs_f64()
    ));
    Ok(Vanishing { node: name, players: lost.len(), after })
}

/// Starts the killed node again under its name and lets players come back to it.
async fn restart(stage: &mut Stage, victim: usize) -> Result<(), Failure> {
    let name = stage.fleet.name(victim).to_owned();
    stage.tell(&format!("{name} is started again under its name"));
    let begun = stage.clock();
    let starting = stage.fleet.restart(victim);
    stage.wait_until("it is ready", async |_| Ok(starting.is_finished())).await?;
    stage.fleet.welcome(victim, starting).await?;
    let took = stage.clock().saturating_sub(begun);
    stage.tell(&format!("{name} is back and has caught up, after {:.1} s", took.as_secs_f64()));
    stage.wait_until("every node sees all others", async |stage| Ok(stage.fleet.is_complete())).await?;
    stage.players.resume(victim);
    Ok(())
}
