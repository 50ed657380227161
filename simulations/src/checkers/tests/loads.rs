//! Who loads a snapshot in the calm: where logs are cut short that may follow from a write, and otherwise from nothing.

use super::*;
use crate::plan::Settings;

/// What is said of nodes one of which loads for a second, so long after the last write.
fn verdict_on_a_load(after_write_ms: u64, oplog_bytes: usize) -> Verdict {
    let mut history = truth();
    history.plan.settings.oplog_bytes = oplog_bytes;
    let begin = last_write(&history) + after_write_ms;
    let loads = begin..begin + 1_000;
    assert!(history.calm_at + convergence::TOGETHER_MS < begin && history.samples.last().unwrap().at > loads.end);
    for sample in history.samples.iter_mut().filter(|sample| loads.contains(&sample.at)) {
        seen(sample, 1).loading = true;
    }
    convergence::check(&history)
}

fn last_write(history: &History) -> u64 {
    let written = |sample: &Sample, node: usize| {
        let seen = sample.nodes[node].as_ref().unwrap();
        seen.vector.get(&seen.origin).copied()
    };
    let calm: Vec<&Sample> = history.samples.iter().filter(|sample| sample.at >= history.calm_at).collect();
    let writes = |pair: &&[&Sample]| (0..3).any(|node| written(pair[0], node) != written(pair[1], node));
    calm.windows(2).rfind(writes).unwrap()[1].at
}

/// Found by a simulated storm (seed 322): an operation was cut off a log of 1 KiB before it was sent, so all others loaded it, and were said to have been
/// apart for the 40 s before.
#[test]
fn who_loads_what_was_cut_off_a_short_log_has_not_left_the_others() {
    let verdict = verdict_on_a_load(400, 1_024);
    assert!(verdict.is_kept(), "{verdict:#?}");
    assert_eq!(verdict.judged, convergence::check(&truth()).judged, "all that was judged without it is judged");
}

#[test]
fn who_loads_though_nothing_can_have_been_cut_off_is_apart() {
    for (after_write_ms, oplog_bytes) in [(400, Settings::default().oplog_bytes), (5_000, 1_024)] {
        let verdict = verdict_on_a_load(after_write_ms, oplog_bytes);
        assert!(!verdict.is_kept(), "{after_write_ms} ms after a write, with {oplog_bytes} bytes of log");
    }
}
