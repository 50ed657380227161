//! What commands mean: on a single Redis (`redis`), and merged from what was observed of what (`rows`). Written to be read: these are the
//! judges of what a cluster shows, and share nothing with the code that they judge but the parser of commands.

pub(crate) mod glob;
pub(crate) mod redis;
mod removal;
pub(crate) mod rows;
pub(crate) mod words;
