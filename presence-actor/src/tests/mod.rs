//! Tests of the core in worlds with manual time and a manual network.

mod again;
mod caps;
mod commands;
mod conflicts;
mod convergence;
mod far;
mod forgetting;
mod garbage;
mod homed;
mod notices;
mod oracle;
mod ownership;
mod pairs;
mod portions;
mod regressions;
mod slices;
mod tracking;
mod traps;
mod watching;
mod world;
