//! The full world: whole nodes, as they run in production, on a simulated network under a virtual clock.
//!
//! A [`Simulation`] holds what is chosen beforehand: a seed, machines, settings. Its story runs in a [`World`]: it starts nodes,
//! writes through them, cuts the network, kills and restarts, and waits for conditions. One seed always gives one history, in any process and
//! build, down to each byte that is delivered; the [`Trace`] of it is the proof, and the first thing to look at when it is not so.
//! It takes 3 to 20 nodes; for more, and for most seeds, there is the [core world](crate::core).

pub mod clock;
pub mod machine;
pub mod network;
pub mod simulation;
pub mod trace;
pub mod world;

pub use simulation::Simulation;
pub use trace::{Event, Kind, Trace};
pub use world::World;
