//! Three nodes on loopback.

use std::time::Duration;

use headcount::{Ack, ClusterPresence, Config, Limits, Node, Presence};

use crate::backend::Backend;
use crate::differs::{
    Acknowledges, Addresses, Counts, Differs, Exchanges, Homed, Owned, OwnedElements, Waits, Watches, Writes,
};
use crate::stage::{DEADLINE, until};

const NAMES: [&str; 3] = ["a", "b", "c"];

pub(crate) struct Cluster(Vec<Node>);

async fn start(name: &str, limits: &Limits, seeds: &[Node]) -> Node {
    let mut config = Config::default();
    config.name = Some(name.to_owned());
    "127.0.0.1:0".clone_into(&mut config.listen);
    config.seeds = seeds.iter().map(|seed| seed.me().addr.to_string()).collect();
    config.gossip_interval = Duration::from_millis(50);
    config.detection_time = Duration::from_secs(5);
    config.limits = limits.clone();
    // A machine that is busy with other tests is no reason to go on without somebody.
    (config.limits.subscribe_wait, config.limits.home_wait) = (DEADLINE, DEADLINE);
    let node = Node::builder(name).config(config).start().await.expect("a node starts");
    node.ready().await.expect("it is ready");
    node
}

impl Backend for Cluster {
    type Presence = ClusterPresence;

    #[cfg(feature = "redis")]
    const NAME: &'static str = "cluster";
    const DIFFERS: Differs = Differs {
        writes: Writes::Merged,
        counts: Counts::AsSeen,
        exchanges: Exchanges::AtHome,
        waits: Waits::AtHomes,
        homed: Homed::Counts,
        acknowledges: Acknowledges::Peers,
        addresses: Addresses::Subscriptions,
        owned: Owned::HiddenThenDropped,
        owned_elements: OwnedElements::Yes,
        watches: Watches::Yes,
        caps_memory: true,
    };

    async fn start(limits: Limits) -> Self {
        let mut nodes = Vec::new();
        for name in NAMES {
            nodes.push(start(name, &limits, &nodes).await);
        }
        let nodes = &nodes;
        until("the nodes are linked", async || nodes.iter().all(|node| node.linked().len() == NAMES.len() - 1)).await;
        Self(nodes.clone())
    }

    fn nodes(&self) -> Vec<ClusterPresence> {
        // By number: a node that is thought to be Down has to have it too.
        let others = Ack::Peers(self.0.len() - 1);
        self.0.iter().map(|node| node.presence().acknowledged(others, DEADLINE)).collect()
    }

    fn hasty(&self) -> Vec<ClusterPresence> {
        self.0.iter().map(Node::presence).collect()
    }

    async fn leave(&mut self) -> ClusterPresence {
        let node = self.0.pop().expect("a node");
        let presence = node.presence();
        node.leave().await;
        presence
    }

    async fn crash(&mut self) {
        self.0.pop().expect("a node").kill();
    }
}
