//! How often and how long the shells try: the waits that no setting moves.
//!
//! They are here and not where they are waited for, because a world that runs the cores without the shells keeps the same pace.

use std::time::Duration;

/// First wait between two rounds of asking the seeds while none was reached.
pub const PROBE_MIN: Duration = Duration::from_millis(300);

/// Longest wait between two rounds of asking the seeds.
pub const PROBE_MAX: Duration = Duration::from_secs(5);

/// A link that lived this long was a good one: the next attempt follows at once.
pub const GOOD_LINK: Duration = Duration::from_secs(5);

/// Time between two notices to the same incarnation that it is Gone.
pub const NOTICE_PAUSE: Duration = Duration::from_secs(2);

/// How many nodes of a cluster greet a member that is Down, or a seed that is missing, in a gossip round: about so many, however many there are.
pub const GREETINGS: usize = 2;

/// Gossip rounds for which a node that starts is not the first: whoever lives, greets its seeds, and hears them, has found it by then. Three seconds at the
/// default interval.
pub const FOUND_ROUNDS: u64 = 15;

/// Shortest time between two new incarnations: a confused peer must not make this node spin.
pub const REINCARNATION_PAUSE: Duration = Duration::from_secs(1);
