//! How plans are drawn from seeds: dice, a draft that steps are written into, what clients do, what goes wrong.
//!
//! A scenario says *what* it is about, and draws the details from here. Everything follows from the plan's seed through [`Dice`]: the same
//! seed draws the same plan whatever the version of any dependency. Invariant: a draft is always a valid plan when it is finished (its steps
//! ordered, inside the storm, about nodes that there are), whatever was written into it.

mod dice;
mod draft;
mod faults;
mod workload;

pub use dice::Dice;
pub use draft::Draft;
pub use faults::{Trouble, Weather};
pub use workload::{Activity, Workload};
