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

impl Verdict {
    /// Whether it was kept.
    pub fn is_kept(&self) -> bool {
        self.broken.is_empty()
    }
}
