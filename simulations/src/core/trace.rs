//! What was delivered, as one number, and as lines when somebody asks for them beforehand.
//!
//! Two runs are the same history when the numbers are equal. When they are not, the lines tell where they part. Each delivery is mixed into
//! the hash of all before it, so that order counts and nothing is kept.

use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A running trace.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<String>,
}

impl Trace {
    /// Keeps lines from here on.
    pub(crate) fn keep_lines(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn lines(&self) -> &str {
        self.lines.as_deref().unwrap_or_default()
    }

    /// Something was delivered at a moment in microseconds.
    pub(crate) fn delivered(&mut self, at: u64, from: u32, to: u32, what: &'static str, bytes: &[u8]) {
        let place = at.rotate_left(20) ^ (u64::from(from) << 32) ^ u64::from(to);
        self.hash = xxh3_64_with_seed(bytes, self.hash ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if let Some(lines) = &mut self.lines {
            // Writing to a string does not fail.
            let _ = writeln!(
                lines,
                "{:>13.6} n{from} > n{to} {what} {} B {:016x}",
                at as f64 / 1e6,
                bytes.len(),
                self.hash
            );
        }
    }
}
