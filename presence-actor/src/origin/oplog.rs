//! The recent operations of one origin, as bytes, for eager push and for repair.
//!
//! Operations are encoded once, when they are written, into segments; whoever needs them copies a run of bytes.
//! Whole segments are pruned from the front. Invariant: the log holds exactly the operations `first()..=last()`,
//! where `last()` is the origin's applied sequence number, or nothing.

use std::collections::VecDeque;

/// Bytes after which a segment is closed.
const SEGMENT_BYTES: usize = 64 * 1024;

#[derive(Debug)]
struct Segment {
    /// Sequence number of its first operation.
    first: u64,
    bytes: Vec<u8>,
    /// Where each operation ends in `bytes`.
    ends: Vec<u32>,
    /// The gossip round of its last operation.
    round: u64,
    /// Whether nothing is added any more.
    sealed: bool,
}

impl Segment {
    fn last(&self) -> u64 {
        self.first + self.ends.len() as u64 - 1
    }

    fn start_of(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }
}

/// A run of operations.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    /// Sequence number of the first.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u64,
    /// Their encodings, one after the other.
    pub(crate) bytes: &'a [u8],
}

/// The operations that are kept of one origin.
#[derive(Debug, Default)]
pub(crate) struct Oplog {
    segments: VecDeque<Segment>,
    bytes: usize,
}

impl Oplog {
    /// Appends operation `seq`, which `write` encodes, in a gossip round. A gap empties the log first: it holds one run
    /// only.
    pub(crate) fn append(&mut self, seq: u64, round: u64, write: impl FnOnce(&mut Vec<u8>)) {
        if self.segments.back().is_some_and(|last| last.last() + 1 != seq) {
            self.clear();
        }
        let roomy = self.segments.back().is_some_and(|last| !last.sealed && last.bytes.len() < SEGMENT_BYTES);
        if !roomy {
            self.segments.push_back(Segment { first: seq, bytes: Vec::new(), ends: Vec::new(), round, sealed: false });
        }
        let segment = self.segments.back_mut().expect("a segment was just made when there was none");
        segment.round = round;
        let before = segment.bytes.len();
        write(&mut segment.bytes);
        segment.ends.push(segment.bytes.len() as u32);
        self.bytes += segment.bytes.len() - before;
    }

    /// Closes the last segment, so that what is in the log now can be pruned whatever comes.
    pub(crate) fn seal(&mut self) {
        if let Some(segment) = self.segments.back_mut() {
            segment.sealed = true;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.segments.clear();
        self.bytes = 0;
    }

    /// Sequence number of the oldest operation held.
    pub(crate) fn first(&self) -> Option<u64> {
        self.segments.front().map(|segment| segment.first)
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether all operations from `seq` to `applied` are held.
    pub(crate) fn reaches(&self, seq: u64, applied: u64) -> bool {
        seq > applied || self.first().is_some_and(|first| first <= seq)
    }

    /// Operations from `seq` on, as many as stand together and fit `max_bytes`, at least one, none after `until`.
    pub(crate) fn run(&self, seq: u64, until: u64, max_bytes: usize) -> Option<Run<'_>> {
        if seq > until {
            return None;
        }
        let after = self.segments.partition_point(|segment| segment.first <= seq);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let index = (seq - segment.first) as usize;
        if index >= segment.ends.len() {
            return None;
        }
        let start = segment.start_of(index);
        let most = (until - seq + 1).min((segment.ends.len() - index) as u64) as usize;
        let ends = &segment.ends[index..index + most];
        let fitting = ends.partition_point(|end| *end as usize - start <= max_bytes).max(1);
        Some(Run { first: seq, count: fitting as u64, bytes: &segment.bytes[start..ends[fitting - 1] as usize] })
    }

    /// Prunes whole segments whose operations all have numbers up to `seq` and came before a gossip round.
    pub(crate) fn prune_through(&mut self, seq: u64, before_round: u64) {
        while self.segments.front().is_some_and(|segment| segment.last() <= seq && segment.round < before_round) {
            self.prune_oldest();
        }
    }

    /// Prunes the oldest segment.
    pub(crate) fn prune_oldest(&mut self) {
        if let Some(segment) = self.segments.pop_front() {
            self.bytes -= segment.bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(from: u64, to: u64, size: usize) -> Oplog {
        let mut log = Oplog::default();
        for seq in from..=to {
            log.append(seq, seq / 50, |bytes| bytes.extend(std::iter::repeat_n(seq as u8, size)));
        }
        log
    }

    #[test]
    fn runs_stand_together_and_respect_both_bounds() {
        let log = log(1, 10, 100);
        let run = log.run(3, 10, 250).unwrap();
        assert_eq!((run.first, run.count, run.bytes.len()), (3, 2, 200));
        let run = log.run(3, 3, 10_000).unwrap();
        assert_eq!((run.count, run.bytes), (1, &[3_u8; 100][..]));
        assert_eq!(log.run(3, 10, 1).unwrap().count, 1, "one operation goes however large it is");
        assert_eq!(log.run(11, 10, 100), None);
        assert_eq!(log.run(11, 20, 100), None);
    }

    #[test]
    fn pruning_takes_whole_segments_and_reaches_says_what_is_left() {
        let mut log = log(1, 200, 1000);
        let bytes = log.bytes();
        log.prune_through(100, 1);
        assert_eq!(log.first(), Some(1), "the first segment has operations of round 1");
        log.prune_through(100, 2);
        let first = log.first().unwrap();
        assert!(first > 1 && first <= 101);
        assert!(log.bytes() < bytes);
        assert!(!log.reaches(first - 1, 200));
        assert!(log.reaches(first, 200));
        assert!(log.reaches(201, 200), "nothing is missing beyond what was applied");
        log.prune_through(200, u64::MAX);
        assert_eq!((log.bytes(), log.first()), (0, None));
    }

    #[test]
    fn a_sealed_log_is_pruned_whatever_came_after() {
        let mut log = log(1, 3, 10);
        log.seal();
        log.append(4, 9, |bytes| bytes.push(4));
        log.prune_through(4, 9);
        assert_eq!((log.first(), log.bytes()), (Some(4), 1));
    }

    #[test]
    fn a_gap_starts_the_log_anew() {
        let mut log = log(1, 3, 10);
        log.append(9, 0, |bytes| bytes.push(9));
        assert_eq!(log.first(), Some(9));
        assert_eq!(log.bytes(), 1);
    }
}
