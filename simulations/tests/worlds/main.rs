//! Small worlds of whole nodes, one file per trouble.

mod death;
mod determinism;
mod getrandom;
mod joining;
mod leaving;
mod partition;
mod reading;
mod seeds;
mod storm;
mod topics;
