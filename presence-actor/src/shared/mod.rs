//! The replicated data: keys, their rows, and what readers see of them.
//!
//! Every type is the same thing underneath: rows are added by operations and removed by operations that observed them,
//! and that alone decides what is stored. Which of several remaining rows a reader sees (the last writer, the
//! sum, the winning type) is computed at reading, from rows only. So two nodes that applied the same
//! operations hold the same rows in whatever order these came, and show the same.

mod cost;
mod digest;
pub(crate) mod entry;
pub(crate) mod erase;
pub(crate) mod expiry;
pub(crate) mod keyspace;
pub(crate) mod ledger;
pub(crate) mod list;
pub(crate) mod members;
pub(crate) mod register;
pub(crate) mod rows;
pub(crate) mod spent;
pub(crate) mod walk;
