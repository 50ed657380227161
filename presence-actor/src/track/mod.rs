//! Tracking: who is present under a topic, with what they want known of them, in the manner of Phoenix's Presence.
//!
//! Nothing here is replicated in a way of its own. A topic is a hash under the prefix `headcount:presence:` and the topic's name, which as the
//! rest of the key may hold any bytes. A tracked session is one field of it: the 32 digits of its [`PresenceRef`], then the key
//! it is tracked under; the value is its meta. The row belongs to the handle's session, or to the node when
//! the handle has none, so that a crash hides it and Gone drops it as any owned row. Several sessions under one key are several
//! fields. Keys that begin with the prefix are reserved for this.
//!
//! Who follows a topic watches that key, but takes from a change only which row to look at. The diff is between what the rows say when it
//! is asked for and what it said last: so a slow reader gets fewer and larger diffs, and never misses anything.

mod diffs;
mod present;
pub(crate) mod roster;
pub(crate) mod rows;
mod tracked;
mod tracking;

pub use self::diffs::PresenceDiffs;
pub use self::present::{Diff, PresenceRef, Presences, Present};
pub use self::tracked::Tracked;
pub use self::tracking::Tracking;
