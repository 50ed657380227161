//! What the program says, line by line.
//!
//! Whoever reads may go away before the end, as `head` does: then there is nobody to say anything to, and the program ends without another word. It
//! does so with the code that shells show for who was ended by SIGPIPE, and not with one that says something of promises. Taking
//! the signal itself instead would need `unsafe`.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process;

/// 128 and SIGPIPE's number.
const NOBODY_READS: i32 = 141;

/// What cannot be said.
const CANNOT_SAY: i32 = 2;

/// Says a line: as `println!`, which panics when nobody reads.
macro_rules! say {
    ($($words:tt)*) => { $crate::program::stdout::say_line(format_args!($($words)*)) };
}
pub(super) use say;

pub(super) fn say_line(words: fmt::Arguments) {
    let Err(error) = writeln!(io::stdout().lock(), "{words}") else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        process::exit(NOBODY_READS);
    }
    complain(&format!("nothing can be said: {error}"));
    process::exit(CANNOT_SAY);
}

/// Says why a task ended without an answer. Who does not listen to that either is not told.
pub(super) fn complain(words: &str) {
    let _ = writeln!(io::stderr().lock(), "error: {words}");
}
