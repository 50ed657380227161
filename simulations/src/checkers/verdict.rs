//! What a checker says about a history.

/// A promise, how often it was put to the test, and where it was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its number: `G1`.
    pub promise: &'static str,
    /// What it promises, in one line.
    pub words: &'static str,
    /// How many things it was checked on. None: the history says nothing about it.
    pub judged: u64,
    /// Where it was broken.
    pub broken: Vec<Breach>,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// When, in milliseconds of virtual time.
    pub at: u64,
    /// What happened, for whoever has to find out why.
    pub words: String,
}

/// Breaches that are told of one promise in one history: whoever mends one looks again.
const MOST_TOLD: usize = 10;

impl Verdict {
    pub(super) fn of(promise: &'static str, words: &'static str) -> Self {
        Self { promise, words, judged: 0, broken: Vec::new() }
    }

    /// Judges one thing.
    pub(super) fn judge(&mut self, holds: bool, at: u64, words: impl FnOnce() -> String) {
        self.judged += 1;
        if !holds && self.broken.len() < MOST_TOLD {
            self.broken.push(Breach { at, words: words() });
        }
    }

    /// Judges what cannot be asked as a yes or no.
    pub(super) fn breach(&mut self, at: u64, words: impl FnOnce() -> String) {
        self.judge(false, at, words);
    }

    /// Whether it was kept.
    pub fn is_kept(&self) -> bool {
        self.broken.is_empty()
    }
}
