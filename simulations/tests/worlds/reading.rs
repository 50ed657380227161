//! What a node shows its readers, as plain values.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt;
use headcount::{Event, Origin, Presence, Subscription};
use headcount_simulations::World;

/// A deadline in virtual time that nothing should need.
pub(crate) const LONG: Duration = Duration::from_mins(1);

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The members of a set on a node.
pub(crate) fn members(world: &World, node: &str, key: &str) -> BTreeSet<String> {
    let members = world.read(node, async |presence| presence.smembers(key).await.unwrap());
    members.iter().map(|member| String::from_utf8_lossy(member).into_owned()).collect()
}

/// A set of names, to compare with.
pub(crate) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A string or a counter on a node.
pub(crate) fn value(world: &World, node: &str, key: &str) -> Option<String> {
    let value = world.read(node, async |presence| presence.get(key).await.unwrap());
    value.map(|value| String::from_utf8_lossy(&value).into_owned())
}

/// A field of a hash on a node.
pub(crate) fn field(world: &World, node: &str, key: &str, field: &str) -> Option<String> {
    let value = world.read(node, async |presence| presence.hget(key, field).await.unwrap());
    value.map(|value| String::from_utf8_lossy(&value).into_owned())
}

/// How many rows that leave with `owner` a node stores, hidden ones included.
pub(crate) fn owned_rows(world: &World, node: &str, owner: Origin) -> usize {
    let by_origin = world.node(node).stats().presence.owned_rows;
    by_origin.into_iter().find(|(origin, _)| *origin == owner).map_or(0, |(_, rows)| rows)
}

/// The messages that wait for a subscriber. A gap shows as one.
pub(crate) fn heard(subscription: &mut Subscription) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some(Some(event)) = subscription.recv().now_or_never() {
        messages.push(match event {
            Event::Message { payload, .. } => String::from_utf8_lossy(&payload).into_owned(),
            other => format!("{other:?}"),
        });
    }
    messages
}
