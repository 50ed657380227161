//! Three nodes over one real Redis.

use headcount::{Limits, RedisPresence};

use crate::backend::Backend;
use crate::differs::{
    Acknowledges, Addresses, Counts, Differs, Exchanges, Homed, Owned, OwnedElements, Waits, Watches, Writes,
};
use crate::server::Server;

const NAMES: [&str; 3] = ["a", "b", "c"];

pub(crate) struct OverRedis {
    nodes: Vec<RedisPresence>,
    _server: Server,
}

impl Backend for OverRedis {
    type Presence = RedisPresence;

    const NAME: &'static str = "Redis";
    const DIFFERS: Differs = Differs {
        writes: Writes::InTurn,
        counts: Counts::Unique,
        exchanges: Exchanges::Unique,
        waits: Waits::OnConnections,
        homed: Homed::NothingAsRedisIsOne,
        acknowledges: Acknowledges::OnlyItself,
        addresses: Addresses::Processes,
        owned: Owned::Leased,
        owned_elements: OwnedElements::Refused,
        watches: Watches::NotThere,
        caps_memory: false,
    };

    async fn start(limits: Limits) -> Self {
        let server = Server::start().await;
        let mut nodes = Vec::new();
        for name in NAMES {
            let node = server.options().name(name).limits(limits.clone()).connect().await;
            nodes.push(node.expect("it connects"));
        }
        Self { nodes, _server: server }
    }

    fn nodes(&self) -> Vec<RedisPresence> {
        self.nodes.clone()
    }

    async fn leave(&mut self) -> RedisPresence {
        let node = self.nodes.pop().expect("a node");
        node.clone().leave().await.expect("it leaves");
        node
    }

    async fn crash(&mut self) {
        // Without a word: the last handle takes the heartbeat along.
        self.nodes.pop().expect("a node");
    }
}
