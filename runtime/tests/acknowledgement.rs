//! Writes that return only when others have them.

use std::time::Duration;

use headcount::{Ack, Error, Node, Presence};

const DEADLINE: Duration = Duration::from_mins(1);

async fn start(name: &str, seeds: &[&Node]) -> Node {
    let seeds: Vec<String> = seeds.iter().map(|seed| seed.me().addr.to_string()).collect();
    let node = Node::builder(name).listen("127.0.0.1:0").seeds(seeds).start().await.expect("a node starts");
    node.ready().await.expect("it is ready");
    node
}

/// Waits until a node has met so many others.
async fn meet(node: &Node, others: usize) {
    let met = async {
        while node.members().current().len() <= others {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, met).await.expect("the nodes meet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_write_is_on_the_others_when_the_call_returns() {
    let a = start("a", &[]).await;
    let b = start("b", &[&a]).await;
    let c = start("c", &[&a, &b]).await;
    meet(&a, 2).await;
    let everywhere = a.presence().acknowledged(Ack::All, DEADLINE);
    for n in 0..200 {
        everywhere.set("k", n.to_string()).await.unwrap();
        assert_eq!(b.presence().get("k").await.unwrap().unwrap(), n.to_string());
        assert_eq!(c.presence().get("k").await.unwrap().unwrap(), n.to_string());
    }
    let majority = a.presence().acknowledged(Ack::Majority, DEADLINE);
    assert_eq!(majority.sadd("s", ["x", "y"]).await, Ok(2));
    let too_many = a.presence().acknowledged(Ack::Peers(3), DEADLINE);
    assert_eq!(too_many.incr("n").await, Err(Error::TooFewPeers { wanted: 3, known: 2 }));
    assert_eq!(a.presence().get("n").await, Ok(None), "nothing was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_nobody_confirms_in_time_is_kept_and_says_so() {
    let a = start("a", &[]).await;
    let b = start("b", &[&a]).await;
    meet(&a, 1).await;
    b.kill();
    let both = a.presence().acknowledged(Ack::Majority, Duration::from_millis(300));
    assert_eq!(both.set("k", "v").await, Err(Error::NotConfirmed { confirmed: 0, wanted: 1 }));
    assert_eq!(a.presence().get("k").await.unwrap().unwrap(), "v");
}
