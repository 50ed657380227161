//! A node that comes late to a large state: an exact copy, in chunks, while the others go on answering.

use std::time::Duration;

use headcount::{Config, Node, Presence};

const ROWS: usize = 200_000;
const DEADLINE: Duration = Duration::from_mins(2);

/// A node that keeps so little history that a joiner needs a snapshot.
async fn start(name: &str, seeds: &[&Node]) -> Node {
    let mut config = Config::default();
    config.name = Some(name.to_owned());
    "127.0.0.1:0".clone_into(&mut config.listen);
    config.seeds = seeds.iter().map(|seed| seed.me().addr.to_string()).collect();
    config.limits.oplog_bytes = 4 << 20;
    Node::builder(name).config(config).start().await.expect("a node starts")
}

async fn agree(nodes: &[&Node]) {
    let agreed = async {
        while nodes.windows(2).any(|pair| pair[0].digest() != pair[1].digest()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, agreed).await.expect("the nodes agree");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_joiner_gets_an_exact_copy_of_200_000_rows_while_the_others_answer() {
    let a = start("a", &[]).await;
    a.ready().await.unwrap();
    let b = start("b", &[&a]).await;
    b.ready().await.unwrap();
    let (on_a, on_b) = (a.presence(), b.presence());
    for n in 0..ROWS / 2 {
        on_a.sadd(format!("lobby-{}", n % 100), n.to_string()).await.unwrap();
        on_b.hset("rooms", n.to_string(), "{}").await.unwrap();
    }
    agree(&[&a, &b]).await;
    assert_eq!(a.stats().presence.rows, ROWS);

    let c = start("c", &[&a, &b]).await;
    let ready = c.ready();
    tokio::pin!(ready);
    let mut answered = 0;
    let caught_up = async {
        loop {
            tokio::select! {
                biased;
                ready = &mut ready => break ready,
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
            // Both that serve go on reading and writing, and see what they wrote.
            assert_eq!(on_a.incr("answered").await.unwrap(), i64::from(answered) + 1);
            assert_eq!(on_b.hget("rooms", "7").await.unwrap().as_deref(), Some(&b"{}"[..]));
            assert_eq!(on_b.scard("lobby-1").await.unwrap(), ROWS / 200);
            answered += 1;
        }
    };
    let ready = tokio::time::timeout(DEADLINE, caught_up).await.expect("the joiner catches up").unwrap();
    assert!(matches!(ready.how, headcount::ReadyBy::Synchronised { .. }), "{ready}");
    assert!(answered > 0);
    assert_eq!(
        c.presence().scard("lobby-1").await.unwrap(),
        ROWS / 200,
        "what the cluster knew is there when it is ready"
    );
    assert_eq!(c.presence().hlen("rooms").await.unwrap(), ROWS / 2);
    agree(&[&a, &b, &c]).await;
    let stats = c.stats().presence;
    assert_eq!((stats.rows, stats.snapshots_loaded), (ROWS + 1, 1));
    let served = [&a, &b].map(|node| node.stats().presence.snapshot_bytes_served);
    assert!(served.iter().sum::<u64>() > ROWS as u64, "it came as a snapshot: {served:?}");
}
