//! What commands mean on a single Redis, written to be read: the judge of what a cluster shows.

pub(crate) mod words;
