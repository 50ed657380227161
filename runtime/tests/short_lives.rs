//! Nodes that are gone as soon as they are there.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use headcount::{Node, Presence};
use tokio::time::Instant;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Found by a review: the thread of a node that was dropped right after its start panicked, as any early `?` in a `main` does it.
#[tokio::test]
async fn a_node_that_is_dropped_at_once_ends_quietly() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(panicked);
    }));
    for _ in 0..20 {
        let node = Node::builder("brief").listen("127.0.0.1:0").start().await.unwrap();
        let presence = node.presence();
        drop(node);
        let deadline = Instant::now() + Duration::from_mins(1);
        while presence.set("k", "v").await.is_ok() {
            assert!(Instant::now() < deadline, "its thread does not end");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}
