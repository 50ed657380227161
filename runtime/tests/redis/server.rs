//! A real Redis for one test.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use headcount::{Event, RedisBuilder, RedisPresence, Subscription};
use tempfile::TempDir;

use crate::ports::free_port;

/// What nothing should take. Reaching it is a failure, so no test waits for it.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
/// Short, so that a death is noticed soon.
pub(crate) const LEASE: Duration = Duration::from_millis(900);

/// A running Redis, without persistence.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
    directory: TempDir,
    extra: Vec<String>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(extra: &[&str]) -> Self {
        let server = Self::start_silent(free_port(), extra);
        server.wait_until_it_serves().await;
        server
    }

    /// Starts one without waiting until it serves.
    pub(crate) fn start_silent(port: u16, extra: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let extra: Vec<String> = extra.iter().map(|&word| word.to_owned()).collect();
        let process = spawn(port, &directory, &extra);
        Self { process, port, directory, extra }
    }

    /// Kills it, and all its data, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again: empty, or with what it had at its last `SAVE`.
    pub(crate) async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.directory, &self.extra);
        self.wait_until_it_serves().await;
    }

    pub(crate) fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("socket")
    }

    async fn wait_until_it_serves(&self) {
        let serving = async {
            while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(DEADLINE, serving).await.expect("the Redis serves");
    }

    /// Options for it.
    pub(crate) fn options(&self) -> RedisBuilder {
        RedisPresence::builder().host("127.0.0.1", self.port).lease(LEASE)
    }

    pub(crate) async fn presence(&self, name: &str) -> RedisPresence {
        self.options().name(name).connect().await.unwrap()
    }

    /// What another program would do there.
    pub(crate) async fn other(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(("127.0.0.1", self.port)).unwrap();
        // It may stand still for longer than the client's own patience.
        let config = redis::AsyncConnectionConfig::new().set_connection_timeout(Some(DEADLINE));
        let config = config.set_response_timeout(Some(DEADLINE));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.unwrap()
    }

    /// Under which origin a node has its lease.
    pub(crate) async fn origin(&self, name: &str) -> Option<String> {
        redis::from_redis_value(self.other(&["HGET", "headcount:names", name]).await).unwrap()
    }

    /// Waits until a node has been heard twice more: then it knows what was so before.
    pub(crate) async fn beats(&self, name: &str) {
        let origin = self.origin(name).await.unwrap();
        for _ in 0..2 {
            let before = self.other(&["ZSCORE", "headcount:leases", &origin]).await;
            until("it is heard", || async { self.other(&["ZSCORE", "headcount:leases", &origin]).await != before })
                .await;
        }
    }

    /// What Redis says of its connections.
    pub(crate) async fn clients(&self) -> String {
        redis::from_redis_value(self.other(&["CLIENT", "LIST"]).await).unwrap()
    }

    /// Makes it a replica that has what the primary has.
    pub(crate) async fn follow(&self, primary: &Self) {
        self.other(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]).await;
        until("it has all", || async { self.info("replication").await.contains("master_link_status:up") }).await;
    }

    /// Makes it a primary.
    pub(crate) async fn lead(&self) {
        self.other(&["REPLICAOF", "NO", "ONE"]).await;
    }

    pub(crate) async fn info(&self, section: &str) -> String {
        redis::from_redis_value(self.other(&["INFO", section]).await).unwrap()
    }

    /// How often a command was carried out there, as `INFO` calls it.
    pub(crate) async fn calls(&self, command: &str) -> u64 {
        let info = self.info("commandstats").await;
        let counted = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        counted.map_or(0, |counted| counted.split(',').next().unwrap().parse().unwrap())
    }

    /// All keys there that are about owners.
    pub(crate) async fn keys_about_owners(&self) -> Vec<String> {
        redis::from_redis_value(self.other(&["KEYS", "headcount:*"]).await).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed by its test.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, directory: &TempDir, extra: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
    command.args(["--logfile", "log", "--unixsocket", "socket", "--port", &port.to_string()]);
    command.arg("--dir").arg(directory.path()).args(extra);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let hint =
        "`redis-server` 6.2 or later is needed for these tests; install it, for example: apt-get install redis-server";
    command.spawn().expect(hint)
}

/// What a subscriber hears next.
pub(crate) async fn next(subscription: &mut Subscription) -> Option<Event> {
    tokio::time::timeout(DEADLINE, subscription.recv()).await.expect("something is heard")
}

/// Waits until something holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let reached = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("{what}"));
}
