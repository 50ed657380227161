//! Small worlds of whole nodes, one file per trouble.
//!
//! - `determinism`, `getrandom`: one seed, one history
//! - `joining`, `leaving`, `death`, `partition`: who comes and goes, and what happens to rows
//! - `mistakes`: what a story gets wrong, told at its line
//! - `plans`: each kind of fault, on the stage
//! - `servers`: servers of a user's own
//! - `topics`: messages
//! - `storm`: all of it at random
//! - `reading`, `seeds`: what the others need

// All of this is test code, its helpers too.
#![allow(clippy::unwrap_used)]

mod cold_seeds;
mod death;
mod determinism;
mod getrandom;
mod joining;
mod leaving;
mod mistakes;
mod partition;
mod plans;
mod reading;
mod seeds;
mod servers;
mod storm;
mod topics;
