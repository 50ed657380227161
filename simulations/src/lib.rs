//! Deterministic worlds: whole nodes, as they run in production, on a simulated network under a virtual clock.
//!
//! A [`Simulation`] holds what is chosen beforehand: a seed, machines, settings. Its story runs in a [`World`]: it starts nodes,
//! writes through them, cuts the network, kills and restarts, and waits for conditions. One seed always gives one history, in any process and
//! build, down to each byte that is delivered; the [`Trace`] of it is the proof, and the first thing to look at when it is not so.
//!
//! # Layout
//! - [`simulation`]: [`Simulation`], the thread that a history has for itself
//! - [`world`]: [`World`], time and faults
//! - [`machine`]: a machine, and the node on it
//! - [`network`]: the simulated network behind the cluster's seam
//! - [`clock`]: virtual time, and wall clocks that run by it
//! - [`trace`]: what was delivered
//! - [`entropy`]: randomness from the seed
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use headcount::Presence;
//! use headcount_simulations::Simulation;
//!
//! Simulation::of(["a", "b"]).seed(7).run(|world| {
//!     world.start_all();
//!     world.on("a", async |presence| presence.sadd("lobby", "alice").await).unwrap();
//!     world.until("b knows alice", Duration::from_secs(5), |world| {
//!         world.read("b", async |presence| presence.sismember("lobby", "alice").await).unwrap()
//!     });
//! });
//! ```

pub mod clock;
pub mod entropy;
pub mod machine;
pub mod network;
pub mod simulation;
pub mod trace;
pub mod world;

pub use simulation::Simulation;
pub use trace::{Event, Kind, Trace};
pub use world::World;
