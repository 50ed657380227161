//! Deterministic worlds: whole nodes, as they run in production, on a simulated network under a virtual clock.
//!
//! A [`Simulation`] holds what is chosen beforehand: a seed, machines, settings. Its story runs in a [`World`]: it starts nodes,
//! writes through them, cuts the network, kills and restarts, and waits for conditions. One seed always gives one history, in any process and
//! build, down to each byte that is delivered; the [`Trace`] of it is the proof, and the first thing to look at when it is not so.
//!
//! # Layout
//! - [`full`]: whole nodes on a simulated network, and what users write their own simulations with
//! - [`core`]: the same cores without sockets and tasks, driven by a queue of events: fast, and for hundreds of nodes
//! - [`plan`]: what happens in a world, as data: faults and what clients ask, drawn from a seed or written down
//! - [`stage`]: what both worlds offer to whoever plays a plan; [`play`]: who does
//! - [`history`]: what was asked, answered, heard and seen while it played
//! - [`drawing`]: how plans are drawn from seeds; [`scenarios`]: stories by name
//! - [`checkers`]: what every history must keep; [`model`]: what a single Redis would do
//! - [`trial`]: one plan played and judged, on a thread [`alone`]; [`sometimes`]: what must happen sometimes; [`shrinking`]: smaller plans;
//!   [`regressions`]: seeds that found something; [`report`]: a page about a history
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

pub mod alone;
pub mod checkers;
pub mod core;
pub mod drawing;
pub mod entropy;
pub mod full;
pub mod history;
pub mod model;
pub mod plan;
pub mod play;
pub mod regressions;
pub mod report;
pub mod scenarios;
pub mod shrinking;
pub mod sometimes;
pub mod stage;
pub mod trial;

pub use full::{Event, Kind, Server, ServerResult, Simulation, Trace, World, seeds};
