//! Which live node is the home of a key: rendezvous (highest random weight) hashing.
//!
//! Every node computes the same home from the same set of live nodes, without a table to agree on. Invariant: when a
//! node joins or leaves, only the keys whose home it becomes or was change theirs. The hash is stable across builds and
//! machines, because nodes of two versions must agree.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::id::NodeId;

/// The home of `key` among `nodes`, or `None` when there are none. The order of `nodes` does not matter.
pub fn home<'a>(key: &[u8], nodes: impl IntoIterator<Item = &'a NodeId>) -> Option<&'a NodeId> {
    let key_hash = xxh3_64_with_seed(key, 0);
    nodes.into_iter().max_by_key(|node| (weight(key_hash, node), *node))
}

fn weight(key_hash: u64, node: &NodeId) -> u64 {
    xxh3_64_with_seed(node.as_str().as_bytes(), key_hash)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn nodes(count: usize) -> Vec<NodeId> {
        (0..count).map(|n| NodeId::new(format!("game-{n}")).unwrap()).collect()
    }

    #[test]
    fn without_nodes_there_is_no_home() {
        assert_eq!(home(b"lobby", &[]), None);
    }

    #[test]
    fn keys_are_spread_evenly() {
        let nodes = nodes(5);
        let mut counts: BTreeMap<&NodeId, u32> = BTreeMap::new();
        for key in 0..10_000_u32 {
            *counts.entry(home(&key.to_le_bytes(), &nodes).unwrap()).or_default() += 1;
        }
        assert!(counts.len() == 5 && counts.values().all(|n| (1_800..2_200).contains(n)), "{counts:?}");
    }

    #[test]
    fn the_home_of_a_known_key_does_not_change_between_builds() {
        let nodes = nodes(3);
        let homes: Vec<&str> = ["lobby", "chat", "rooms", "roomcount"]
            .iter()
            .map(|key| home(key.as_bytes(), &nodes).unwrap().as_str())
            .collect();
        assert_eq!(homes, KNOWN_HOMES);
    }

    const KNOWN_HOMES: [&str; 4] = ["game-2", "game-1", "game-1", "game-2"];

    proptest! {
        #[test]
        fn a_node_that_leaves_moves_only_its_own_keys(keys in proptest::collection::vec(any::<u64>(), 1..50), gone in 0_usize..7) {
            let before = nodes(7);
            let mut after = before.clone();
            let gone = after.remove(gone);
            after.reverse();
            for key in keys {
                let old = home(&key.to_le_bytes(), &before).unwrap();
                if *old != gone {
                    prop_assert_eq!(home(&key.to_le_bytes(), &after).unwrap(), old);
                }
            }
        }
    }
}
