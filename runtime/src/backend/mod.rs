//! Other places than a cluster of nodes to keep what [`Presence`](crate::Presence) keeps.
//!
//! A backend carries out the commands and answers as a node would; what is checked before, the types and the words of its errors come
//! from `headcount-presence`.

pub mod redis;
