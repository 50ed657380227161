//! Who is present, and what changes, across two real nodes.

use std::time::Duration;

use headcount::{ChangeKind, Diff, Node, NodeId, Presence, PresenceDiffs, Tracking, WatchEvent, Watching};

const DEADLINE: Duration = Duration::from_mins(1);

async fn start(name: &str, seeds: &[&Node]) -> Node {
    let seeds: Vec<String> = seeds.iter().map(|seed| seed.me().addr.to_string()).collect();
    let node = Node::builder(name).listen("127.0.0.1:0").seeds(seeds).start().await.expect("a node starts");
    node.ready().await.expect("it is ready");
    node
}

async fn next(room: &mut PresenceDiffs) -> Diff {
    tokio::time::timeout(DEADLINE, room.recv()).await.expect("something happens").expect("the node runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_tracked_on_a_node_that_crashes_leaves_on_the_others() {
    let a = start("a", &[]).await;
    let b = start("b", &[&a]).await;
    let mut room = a.presence().watch_presences("room").await.unwrap();
    assert!(next(&mut room).await.is_empty());
    let tracked = b.presence().track("room", "bob", "here").await.unwrap();
    let joined = next(&mut room).await;
    let bob = &joined.joins["bob".as_bytes()];
    assert_eq!((bob[0].reference, &bob[0].meta[..]), (tracked.reference(), &b"here"[..]));
    assert_eq!(bob[0].node, Some(NodeId::new("b").unwrap()));
    assert_eq!(a.presence().presences("room").await.unwrap(), joined.joins);
    b.kill();
    let left = next(&mut room).await;
    assert_eq!((left.leaves, left.joins.len()), (joined.joins, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_names_the_node_that_made_it_and_an_expiry_nobody() {
    let a = start("a", &[]).await;
    let b = start("b", &[&a]).await;
    let mut watch = a.presence().watch("k").await.unwrap();
    b.presence().setex("k", "v", 1).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 3 {
        let event = tokio::time::timeout(DEADLINE, watch.recv()).await.expect("something happens");
        let Some(WatchEvent::Change(change)) = event else { panic!("{event:?}") };
        heard.push((change.kind, change.author.and_then(|author| author.node)));
    }
    let by_b = Some(NodeId::new("b").unwrap());
    assert_eq!(heard, [(ChangeKind::Set, by_b.clone()), (ChangeKind::Deadline, by_b), (ChangeKind::Expired, None)]);
    assert_eq!(a.stats().presence.watches, 1);
    a.leave().await;
    assert_eq!(watch.recv().await, None, "it ends with its node");
}
