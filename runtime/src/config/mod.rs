//! What an operator or an embedding game server may set, in one place.
//!
//! A [`Config`] is plain data with defaults that a single machine can live with. [`Layers`] fills it from a TOML file,
//! the `HEADCOUNT_*` environment and flags, each above the one before, and remembers where a value came from so that a
//! mistake is told at its source. [`Config::cluster_config`] turns it into what the cluster layer needs; that is
//! also the check, so that nothing can be checked and then used differently.
//!
//! Which settings exist is said once, in `setting`: file keys, variables and the nearest-key advice follow from it.

mod error;
mod layers;
mod redis;
mod setting;
mod source;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use headcount_cluster::{ClusterConfig, NodeId};
use headcount_presence::HomeRequires;
use headcount_presence::limits::Limits;

pub use error::{Advice, ConfigError};
pub use layers::Layers;
pub use redis::RedisConfig;
pub use source::Source;

/// Where a node listens unless it is told: reachable from this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7946";

/// The largest frame between nodes, in bytes. It is the same on all nodes, so it is no setting, and it holds the
/// largest command and the largest message that the settings allow.
const MAX_FRAME_BYTES: usize = 8 << 20;

/// The settings of one node.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The node's name, unique among live nodes: 1 to 32 bytes of `A-Z a-z 0-9 . _ : -`. Default: host name, `:` and
    /// port.
    pub name: Option<String>,
    /// The cluster's name, 1 to 64 bytes; nodes of different clusters refuse each other. Default `headcount`.
    pub cluster: String,
    /// The `ip:port` to listen on, UDP and TCP alike. Port 0 lets the system choose. Default [`DEFAULT_LISTEN`].
    pub listen: String,
    /// The `ip:port` at which other nodes reach this one. Default: `listen`, which then must not be `0.0.0.0` or
    /// `[::]`.
    pub advertise: Option<String>,
    /// Nodes to find the cluster by, as `host:port`: any few, the same for all nodes, so that each finds the others when it starts again.
    /// Names are resolved anew at each attempt. Default: none.
    pub seeds: Vec<String>,
    /// How long to look for a first seed before going on alone, 100 ms to 10 min. Default 10 s.
    pub join_timeout: Duration,
    /// Fail instead of going on alone. Default false.
    pub require_join: bool,
    /// Time between gossip rounds, 50 ms to 5 s; the same on all nodes. Default 200 ms.
    pub gossip_interval: Duration,
    /// A silent node is Down, and its owned rows hidden, after about this time: 2 to 100 gossip intervals. Default 3 s.
    pub detection_time: Duration,
    /// A node that is Down is Gone, and its owned rows dropped, after this time, 1 s to 7 days. Default 10 min.
    pub grace: Duration,
    /// What must hold for a key's home to carry commands out; the same on all nodes. Default [`HomeRequires::Any`].
    pub home_requires: HomeRequires,
    /// A Redis in place of a cluster; then only the name and `limits` of the other settings mean anything.
    pub redis: RedisConfig,
    /// Caps of the node's state and topics. `limits.grace` follows [`Config::grace`], `limits.gossip_interval`
    /// [`Config::gossip_interval`], `limits.home_requires` [`Config::home_requires`].
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            cluster: "headcount".to_owned(),
            listen: DEFAULT_LISTEN.to_owned(),
            advertise: None,
            seeds: Vec::new(),
            join_timeout: Duration::from_secs(10),
            require_join: false,
            gossip_interval: Duration::from_millis(200),
            detection_time: Duration::from_secs(3),
            grace: Duration::from_mins(10),
            home_requires: HomeRequires::default(),
            redis: RedisConfig::default(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Checks every setting and gives those of the cluster layer.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] for the first setting that cannot work.
    pub fn cluster_config(&self) -> Result<ClusterConfig, ConfigError> {
        setting::check_ranges(self)?;
        let listen = address("listen", &self.listen)?;
        let advertise = self.advertised(listen)?;
        let mut cluster = ClusterConfig::new(self.node_id(advertise)?, listen);
        cluster.cluster.clone_from(&self.cluster);
        cluster.alike = self.alike();
        cluster.advertise = advertise;
        cluster.seeds.clone_from(&self.seeds);
        cluster.join_timeout = self.join_timeout;
        cluster.require_join = self.require_join;
        cluster.grace = self.grace;
        cluster.max_frame_bytes = MAX_FRAME_BYTES;
        self.set_detection(&mut cluster)?;
        cluster.validate()?;
        Ok(cluster)
    }

    /// What a cluster's nodes must have in common, or a majority would be counted, and silence judged, differently here and there.
    fn alike(&self) -> BTreeMap<String, String> {
        let alike = [
            ("gossip_interval", format!("{:?}", self.gossip_interval)),
            ("home_requires", self.home_requires.to_string()),
        ];
        alike.map(|(setting, value)| (setting.to_owned(), value)).into()
    }

    /// The caps of the presence layer.
    pub fn presence_limits(&self) -> Limits {
        let mut limits = self.limits.clone();
        limits.grace = self.grace;
        limits.gossip_interval = self.gossip_interval;
        limits.home_requires = self.home_requires;
        limits
    }

    /// Refuses what a node of a cluster would have to ignore.
    pub(crate) fn check_in_cluster(&self) -> Result<(), ConfigError> {
        match &self.redis.url {
            None => Ok(()),
            Some(url) => Err(ConfigError::bad_value(
                "backend",
                redis::without_secrets(url),
                "unset for a node of a cluster; `NodeBuilder::redis` starts one over a Redis",
            )),
        }
    }

    /// The settings, by their keys, that were changed and that mean nothing over a Redis.
    pub fn idle_over_redis(&self) -> Vec<&'static str> {
        let idle = Self::default();
        let changed = [
            ("cluster", self.cluster != idle.cluster),
            ("listen", self.listen != idle.listen),
            ("advertise", self.advertise != idle.advertise),
            ("seeds", self.seeds != idle.seeds),
            ("join_timeout", self.join_timeout != idle.join_timeout),
            ("require_join", self.require_join != idle.require_join),
            ("gossip_interval", self.gossip_interval != idle.gossip_interval),
            ("detection_time", self.detection_time != idle.detection_time),
            ("grace", self.grace != idle.grace),
            ("home_requires", self.home_requires != idle.home_requires),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }

    /// How to reach the Redis, when there is one in place of a cluster.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] for a setting that cannot work.
    #[cfg(feature = "redis")]
    pub fn redis_options(&self) -> Result<Option<crate::RedisBuilder>, ConfigError> {
        setting::check_ranges(self)?;
        self.redis.url.as_deref().map(|url| self.redis_options_at(url)).transpose()
    }

    /// How to reach the Redis at an address, whatever `backend` is: with the other settings of the Redis.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] for a setting that cannot work.
    #[cfg(feature = "redis")]
    pub fn redis_options_at(&self, url: &str) -> Result<crate::RedisBuilder, ConfigError> {
        setting::check_ranges(self)?;
        let options = crate::RedisPresence::builder().url(url).key_prefix(self.redis.key_prefix.as_str());
        let options = options.lease(self.redis.lease).wait_for_redis(self.redis.wait_for_redis);
        let options = options.connect_timeout(self.redis.connect_timeout).command_timeout(self.redis.command_timeout);
        let Some(file) = &self.redis.root_certificates else { return Ok(options) };
        match std::fs::read(file) {
            Ok(pem) => Ok(options.root_certificates(pem)),
            Err(reason) => Err(ConfigError::bad_value(
                "redis.root_certificates",
                format!("{file:?}, which cannot be read: {reason}"),
                "a file with certificates in PEM",
            )),
        }
    }

    /// The name of a node that listens nowhere. It has no port that would tell it from others of its host, and in
    /// containers no process id either: `drawn` does.
    #[cfg(feature = "redis")]
    pub(crate) fn name_over_redis(&self, drawn: u32) -> Result<NodeId, ConfigError> {
        self.name_or(&format!("{drawn:08x}"))
    }

    fn advertised(&self, listen: SocketAddr) -> Result<SocketAddr, ConfigError> {
        match &self.advertise {
            Some(text) => address("advertise", text),
            None if listen.ip().is_unspecified() => Err(ConfigError::bad_value(
                "advertise",
                format!("not set, while `listen` is {listen}"),
                "the ip:port at which other nodes reach this one",
            )),
            None => Ok(listen),
        }
    }

    fn node_id(&self, advertise: SocketAddr) -> Result<NodeId, ConfigError> {
        // A port that the system chooses is not known yet; the process id then tells the nodes of one host apart.
        let number = if advertise.port() == 0 { std::process::id() } else { u32::from(advertise.port()) };
        self.name_or(&number.to_string())
    }

    /// The name, or else one of this host and what tells nodes there apart.
    fn name_or(&self, mark: &str) -> Result<NodeId, ConfigError> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => default_name(&gethostname::gethostname().to_string_lossy(), mark),
        };
        NodeId::new(&name).map_err(|reason| ConfigError::bad_name(&name, &reason))
    }

    /// Suspicion grows by one for each mean gap between heartbeats, and that gap is about half a gossip interval. The
    /// longest gap that counts as rhythm was measured to fit at two thirds of the detection time.
    fn set_detection(&self, cluster: &mut ClusterConfig) -> Result<(), ConfigError> {
        let gossip = self.gossip_interval;
        let (least, most) = (gossip * 2, gossip * 100);
        if self.detection_time < least || self.detection_time > most {
            return Err(ConfigError::bad_value(
                "detection_time",
                format!("{:?}", self.detection_time),
                format!("{least:?} to {most:?}: 2 to 100 gossip intervals of {gossip:?}"),
            ));
        }
        cluster.gossip_interval = gossip;
        cluster.phi_threshold = (self.detection_time.as_secs_f64() / (gossip.as_secs_f64() / 2.0)).clamp(4.0, 200.0);
        cluster.max_heartbeat_interval = (self.detection_time * 2 / 3).max(gossip * 2);
        Ok(())
    }
}

fn address(key: &'static str, text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        ConfigError::bad_value(
            key,
            format!("{text:?}"),
            "an IP address with a port, such as 10.0.0.1:7946 or [fd00::1]:7946",
        )
    })
}

/// Host name and a mark, such as the port, made to fit a node's name: the first label of the host name, and of a long one its end, because
/// that is where orchestrators put what differs.
fn default_name(host: &str, mark: &str) -> String {
    let tail = format!(":{mark}");
    let label = host.split('.').next().unwrap_or_default();
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    let label: Vec<char> = label.chars().map(fits).collect();
    let room = headcount_cluster::id::MAX_NODE_ID_BYTES - tail.len();
    let end: String = label[label.len().saturating_sub(room)..].iter().collect();
    let host = if end.is_empty() { "node" } else { &end };
    format!("{host}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_a_valid_cluster_configuration() {
        let cluster = Config::default().cluster_config().unwrap();
        assert_eq!(cluster.listen, DEFAULT_LISTEN.parse().unwrap());
        assert_eq!(cluster.advertise, cluster.listen);
        assert!((cluster.phi_threshold - 30.0).abs() < 1e-9, "the measured setting of the failure detector");
        assert_eq!(cluster.max_heartbeat_interval, Duration::from_secs(2));
    }

    #[test]
    fn the_default_name_is_the_host_and_the_port_and_always_valid() {
        let table = [
            ("game-1", "7946", "game-1:7946"),
            ("game-1.eu.example.com", "7946", "game-1:7946"),
            ("", "7946", "node:7946"),
            ("spaces and ü", "1", "spaces-and--:1"),
            ("game-server-deployment-7d9f8b6c5d-x2x9k", "65535", "-deployment-7d9f8b6c5d-x2x9k:65535"),
        ];
        for (host, port, expected) in table {
            let name = default_name(host, port);
            assert!(expected.ends_with(&name) && NodeId::new(&name).is_ok(), "{host}: {name}");
        }
        let unknown = Config::default().node_id(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        assert!(unknown.as_str().ends_with(&format!(":{}", std::process::id())), "{unknown:?}");
    }

    #[test]
    fn a_mistake_is_told_by_the_setting_it_is_in() {
        type Break = fn(&mut Config);
        let table: [(&str, Break); 12] = [
            ("name", |c| c.name = Some("with space".into())),
            ("name", |c| c.name = Some(String::new())),
            ("cluster", |c| c.cluster.clear()),
            ("listen", |c| c.listen = "nonsense".into()),
            ("listen", |c| c.listen = "127.0.0.1".into()),
            ("advertise", |c| c.listen = "0.0.0.0:7946".into()),
            ("advertise", |c| c.advertise = Some("0.0.0.0:7946".into())),
            ("seeds", |c| c.seeds = vec!["no-port".into()]),
            ("detection_time", |c| c.detection_time = Duration::from_millis(399)),
            ("grace", |c| c.grace = Duration::ZERO),
            ("gossip_interval", |c| {
                c.gossip_interval = Duration::from_millis(49);
            }),
            ("limits.max_key_bytes", |c| c.limits.max_key_bytes = 64 * 1024 + 1),
        ];
        for (key, break_it) in table {
            let mut config = Config::default();
            break_it(&mut config);
            match config.cluster_config() {
                Err(ConfigError::BadValue { key: told, .. }) => assert_eq!(told, key),
                other => panic!("{key}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_presence_layer_gossips_as_often_as_the_cluster() {
        let config = Config { gossip_interval: Duration::from_secs(1), ..Config::default() };
        assert_eq!(config.presence_limits().gossip_interval, Duration::from_secs(1));
        assert_eq!(config.cluster_config().unwrap().gossip_interval, Duration::from_secs(1));
    }

    #[test]
    fn the_presence_layer_keeps_hidden_rows_as_long_as_the_cluster_waits() {
        let config = Config { grace: Duration::from_secs(7), ..Config::default() };
        assert_eq!(config.presence_limits().grace, Duration::from_secs(7));
        assert_eq!(config.cluster_config().unwrap().grace, Duration::from_secs(7));
    }
}
