//! Tests of the core in worlds with manual time and a manual network.

mod commands;
mod convergence;
mod garbage;
mod oracle;
mod ownership;
mod pairs;
mod regressions;
mod tracking;
mod traps;
mod watching;
mod world;
