//! How long a write on one node takes until it is read on another.
//!
//! A key gets a new value on one node and is watched for on the next, pair after pair in turn. Watching is busy for a
//! few milliseconds, because a sleeping watcher would measure its own alarm clock, and relaxed after that.

use std::time::{Duration, Instant};

use headcount::Presence as _;

use super::Failure;
use super::fleet::Fleet;

const KEY: &str = "probe";

/// For how long the watcher looks without pause.
const BUSY: Duration = Duration::from_millis(5);

/// After this long the write counts as not seen, and nothing is measured.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Probe {
    written: u64,
    last: Vec<(usize, Duration)>,
    all: Vec<Duration>,
}

impl Probe {
    /// Measures one pair of running nodes.
    pub(super) async fn measure(&mut self, fleet: &Fleet) -> Result<(), Failure> {
        let running: Vec<usize> = (0..fleet.len()).filter(|index| fleet.presence(*index).is_some()).collect();
        if running.len() < 2 {
            return Ok(());
        }
        self.written += 1;
        let turn = self.written as usize % running.len();
        let (from, to) = (running[turn], running[(turn + 1) % running.len()]);
        let (Some(writer), Some(reader)) = (fleet.presence(from), fleet.presence(to)) else { return Ok(()) };
        let value = self.written.to_string();
        let begun = Instant::now();
        writer.set(KEY, &value).await?;
        while reader.get(KEY).await?.as_deref() != Some(value.as_bytes()) {
            let waited = begun.elapsed();
            if waited > PATIENCE {
                return Ok(());
            }
            if waited > BUSY {
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else {
                // The nodes need the processor, and the reader's state, more than the watcher does.
                std::thread::yield_now();
                tokio::task::yield_now().await;
            }
        }
        let delay = begun.elapsed();
        self.last.retain(|(index, _)| *index != to);
        self.last.push((to, delay));
        self.all.push(delay);
        Ok(())
    }

    /// The last delay of a write towards a node.
    pub(super) fn last_to(&self, index: usize) -> Option<Duration> {
        self.last.iter().find(|(to, _)| *to == index).map(|(_, delay)| *delay)
    }

    /// The middle and the longest of all delays, and how many there are.
    pub(super) fn summary(&self) -> Option<(Duration, Duration, usize)> {
        let mut all = self.all.clone();
        all.sort();
        Some((*all.get(all.len() / 2)?, *all.last()?, all.len()))
    }
}
