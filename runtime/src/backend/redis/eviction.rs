//! Whether a Redis throws keys away when its memory is full.
//!
//! Leases and the records of owners have no expiry, so only a policy that takes any key takes them; then nodes that live count as dead, or
//! rows stay whose owners are gone. Nothing here depends on it, and a user who may not ask is not told. It is asked for once, when a presence
//! connects.

use super::backend::Backend;
use super::reply;

/// Warns when the Redis may evict what has to stay.
pub(super) async fn warn_of(backend: &Backend) {
    let asked = backend.link.ask(redis::cmd("INFO").arg("memory")).await;
    let Ok(Some(info)) = asked.and_then(reply::text) else { return };
    if let Some(policy) = policy(&String::from_utf8_lossy(&info)) {
        tracing::warn!(
            "{} may evict the leases of nodes and the records of what they own when its memory is full (maxmemory-policy {policy}), and nodes \
             that live are then taken for dead; give it `maxmemory-policy noeviction`, or one of volatile-*, or headcount a Redis of its own",
            backend.address
        );
    }
}

/// The policy that `INFO memory` tells, when it may evict keys without an expiry and there is a limit at which it does.
fn policy(info: &str) -> Option<&str> {
    let value =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end);
    let policy = value("maxmemory_policy")?;
    (policy.starts_with("allkeys-") && value("maxmemory")? != "0").then_some(policy)
}
