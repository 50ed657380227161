//! Standard input, line by line, from a thread of its own.
//!
//! Reading blocks for as long as nobody types, and such a read cannot be called off. So it happens on a plain thread
//! that the program neither waits for nor joins. Lines wait in a short queue; beyond it the thread stops reading, and a
//! pipe's writer waits.

use std::io::{self, BufRead, IsTerminal as _, Read as _};

use tokio::sync::mpsc;
use tracing::warn;

/// The longest line, in bytes: a command of the largest size, with every byte written as `\xHH`.
pub(super) const MAX_LINE_BYTES: usize = 16 << 20;

/// Lines that were read and wait to be answered.
const MAX_WAITING_LINES: usize = 16;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Its bytes, with the line break.
    Text(Vec<u8>),
    /// It is longer than [`MAX_LINE_BYTES`]; the rest of it was skipped.
    TooLong,
}

/// Lines of standard input.
#[derive(Debug)]
pub(crate) struct Input {
    lines: mpsc::Receiver<Line>,
    is_terminal: bool,
}

impl Input {
    /// Starts reading.
    pub(crate) fn start() -> Self {
        let (sender, lines) = mpsc::channel(MAX_WAITING_LINES);
        let read = move || read_all(&mut io::stdin().lock(), MAX_LINE_BYTES, |line| sender.blocking_send(line).is_ok());
        if let Err(reason) = std::thread::Builder::new().name("console-input".to_owned()).spawn(read) {
            warn!("no console: cannot start a thread to read standard input: {reason}");
        }
        Self { lines, is_terminal: io::stdin().is_terminal() }
    }

    /// The next line; `None` at the end of the input.
    pub(super) async fn next(&mut self) -> Option<Line> {
        self.lines.recv().await
    }

    /// Whether somebody types.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }
}

/// Hands on line after line until `take` wants no more or the input ends. An input that fails has ended.
fn read_all(input: &mut impl BufRead, max_bytes: usize, mut take: impl FnMut(Line) -> bool) {
    loop {
        match read_line(input, max_bytes) {
            Ok(Some(line)) => {
                if !take(line) {
                    return;
                }
            }
            Ok(None) => return,
            Err(reason) => {
                warn!("the console is closed: cannot read standard input: {reason}");
                return;
            }
        }
    }
}

fn read_line(input: &mut impl BufRead, max_bytes: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    input.by_ref().take(max_bytes as u64 + 1).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() <= max_bytes || line.ends_with(b"\n") {
        return Ok(Some(Line::Text(line)));
    }
    input.skip_until(b'\n')?;
    Ok(Some(Line::TooLong))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut text: &[u8], max_bytes: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        read_all(&mut text, max_bytes, |line| {
            lines.push(line);
            true
        });
        lines
    }

    fn text(line: &str) -> Line {
        Line::Text(line.as_bytes().to_vec())
    }

    #[test]
    fn lines_are_read_to_the_end_also_without_a_last_line_break() {
        assert_eq!(read(b"a\n\nb", 10), [text("a\n"), text("\n"), text("b")]);
        assert_eq!(read(b"", 10), []);
    }

    #[test]
    fn a_line_is_taken_at_the_limit_and_skipped_one_past_it() {
        assert_eq!(read(b"12345\nb\n", 5), [text("12345\n"), text("b\n")]);
        assert_eq!(read(b"123456\nb\n", 5), [Line::TooLong, text("b\n")]);
        assert_eq!(read(b"1234567890123", 5), [Line::TooLong]);
    }
}
