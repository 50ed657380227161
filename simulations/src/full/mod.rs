//! The full world: whole nodes, as they run in production, on a simulated network under a virtual clock.
//!
//! A [`Simulation`] holds what is chosen beforehand: a seed, machines, settings, a server of one's own. Its story runs in a [`World`]: it
//! starts nodes, writes through them, cuts the network, kills and restarts, and waits for conditions. One seed always gives one history,
//! in any process and build, down to each byte that is delivered; the [`Trace`] of it is the proof, and the first thing to look at when it
//! is not so. It takes 3 to 20 nodes; for more, and for most seeds, there is the [core world](crate::core).
//!
//! turmoil gives machines their turns and their time. What passes between them is ours (`route` decides, `fabric` carries), because
//! turmoil's streams do not survive a cut as TCP's do.

pub mod clock;
mod fabric;
pub mod machine;
mod meter;
pub mod network;
mod route;
pub mod seeds;
pub mod server;
pub mod simulation;
mod stage;
pub mod trace;
pub mod world;

pub use seeds::seeds;
pub use server::{Server, ServerResult};
pub use simulation::Simulation;
pub use trace::{Event, Kind, Trace};
pub use world::World;
