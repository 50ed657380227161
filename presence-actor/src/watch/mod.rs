//! Watching: who wants to hear how a key changes, and what is told.
//!
//! A change is a difference between what readers saw before an operation and what they see after it, slot by slot: so a
//! hidden row, an expired key, a merged snapshot and a plain write are told by one rule, and nothing is told that no reader sees.
//! Whatever is about to change a watched key touches it first (`watches`), which notes what readers see of just those slots
//! (`before`); after the operation that is compared. No copy of a watched key is kept, so watching a
//! million keys costs nothing until they change, and a change costs what it touches. When nobody watches, one test.
//!
//! Readers hide a key at its deadline by the clock, without an operation. Watchers hear of it when the state is given the
//! time: by the actor's tick, by the next write, or, without an actor, by the [`Watch`] itself.

pub(crate) mod before;
mod change;
mod stream;
pub(crate) mod watches;
mod watching;

pub use self::change::{Author, Change, ChangeKind, WatchEvent};
pub use self::stream::Watch;
pub use self::watching::Watching;
