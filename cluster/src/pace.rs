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

/// Gossip rounds between two attempts to reach members that are Down.
pub const GREET_DOWN_EVERY: u64 = 10;

/// Shortest time between two new incarnations: a confused peer must not make this node spin.
pub const REINCARNATION_PAUSE: Duration = Duration::from_secs(1);
