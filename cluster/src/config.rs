//! What an operator may set, and the check that tells a mistake before it costs anything.
//!
//! Each field names its unit, its sane range and what zero means. [`ClusterConfig::validate`] refuses what cannot work
//! and says which field, what was given and what is allowed. The defaults of the failure detector were measured: with
//! gossip every 200 ms they see a death in 2 to 4 s and made no false one in a day of node pairs under 10 % loss.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::id::NodeId;
use crate::limits::{
    DEFAULT_BULK_BYTES, DEFAULT_CONTROL_BYTES, DEFAULT_FRAME_BYTES, DEFAULT_STREAM_BYTES, MAX_ALIKE, MAX_ALIKE_BYTES,
    MAX_CLUSTER_NAME_BYTES, MAX_MESSAGE_BYTES, MAX_SEEDS,
};

/// The settings of one node's membership and links.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterConfig {
    /// The node's name, unique among live nodes.
    pub node: NodeId,
    /// The cluster's name, 1 to 64 bytes: nodes of different clusters refuse each other.
    pub cluster: String,
    /// Settings of the layers above that all nodes must have alike, by name: nodes that differ in one refuse each other. At
    /// most 8, and names and values of at most 32 bytes.
    pub alike: BTreeMap<String, String>,
    /// Where this process listens, UDP and TCP on one port. Port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// Where peers reach this node, UDP and TCP alike. Never `0.0.0.0`. Port 0 is the bound port, and allowed
    /// only while `listen` has port 0.
    pub advertise: SocketAddr,
    /// Nodes to find the cluster by, as `host:port`; names are resolved anew at each attempt. Empty: this node waits to
    /// be found. At most 64.
    pub seeds: Vec<String>,
    /// Time between gossip rounds, 50 ms to 5 s. Default 200 ms.
    pub gossip_interval: Duration,
    /// Suspicion at which a member is Down, 4 to 200; detection takes about this times half the gossip interval. Default 30.
    pub phi_threshold: f64,
    /// A gap between heartbeats above this is not taken for the member's rhythm; at least two gossip intervals.
    /// Default 2 s.
    pub max_heartbeat_interval: Duration,
    /// How long a member may be Down before it is Gone and its owned rows are dropped; 1 s to 7 days. Default 10 min.
    pub grace: Duration,
    /// How long to look for a first seed before this node says that it is alone, 100 ms to 10 min. Default 10 s.
    pub join_timeout: Duration,
    /// Whether `start` fails when no seed is reached within `join_timeout`. Default false: go on alone.
    pub require_join: bool,
    /// An idle link says that it lives this often, 10 ms to 1 min. Default 1 s.
    pub heartbeat_interval: Duration,
    /// A link from which no byte came for this long is closed; at least twice `heartbeat_interval`. Default 4 s.
    pub read_timeout: Duration,
    /// Bound of a TCP connect, and again of the handshake after it; 10 ms to 1 min. Default 2 s.
    pub connect_timeout: Duration,
    /// First wait before a link is dialled again, 1 ms or more; it doubles up to `backoff_max`, with jitter. Default 100 ms.
    pub backoff_min: Duration,
    /// Longest wait before a link is dialled again, at least `backoff_min`, at most 5 min. Default 5 s.
    pub backoff_max: Duration,
    /// Largest frame on a link, class byte and payload, 1 KiB to 16 MiB. The same on all nodes. Default 4 MiB.
    pub max_frame_bytes: usize,
    /// Bytes that may wait in a link's control class, at least 1 KiB. Default 64 KiB.
    pub outbox_control_bytes: usize,
    /// Bytes that may wait in a link's stream class, at least 1 KiB. A frame is taken while less than this waits. Default 4 MiB.
    pub outbox_stream_bytes: usize,
    /// Bytes that may wait in a link's bulk class, at least 1 KiB. Default 4 MiB.
    pub outbox_bulk_bytes: usize,
}

impl ClusterConfig {
    /// Defaults for a node that listens and is reached at `listen`.
    pub fn new(node: NodeId, listen: SocketAddr) -> Self {
        Self {
            node,
            cluster: "headcount".to_owned(),
            alike: BTreeMap::new(),
            listen,
            advertise: listen,
            seeds: Vec::new(),
            gossip_interval: Duration::from_millis(200),
            phi_threshold: 30.0,
            max_heartbeat_interval: Duration::from_secs(2),
            grace: Duration::from_mins(10),
            join_timeout: Duration::from_secs(10),
            require_join: false,
            heartbeat_interval: Duration::from_secs(1),
            read_timeout: Duration::from_secs(4),
            connect_timeout: Duration::from_secs(2),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            max_frame_bytes: DEFAULT_FRAME_BYTES,
            outbox_control_bytes: DEFAULT_CONTROL_BYTES,
            outbox_stream_bytes: DEFAULT_STREAM_BYTES,
            outbox_bulk_bytes: DEFAULT_BULK_BYTES,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ConfigError`] for the first field that cannot work.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_names()?;
        self.validate_addresses()?;
        self.validate_join()?;
        self.validate_times()?;
        self.validate_sizes()
    }

    fn validate_names(&self) -> Result<(), ConfigError> {
        if self.cluster.is_empty() || self.cluster.len() > MAX_CLUSTER_NAME_BYTES {
            return Err(ConfigError::new(
                "cluster",
                &format!("a name of {} bytes", self.cluster.len()),
                format!("1 to {MAX_CLUSTER_NAME_BYTES} bytes"),
            ));
        }
        if self.alike.len() > MAX_ALIKE
            || self.alike.iter().flat_map(|(name, value)| [name, value]).any(|text| text.len() > MAX_ALIKE_BYTES)
        {
            return Err(ConfigError::new(
                "alike",
                &format!("{} settings, the longest text of {} bytes", self.alike.len(), self.longest_alike()),
                format!("at most {MAX_ALIKE} settings, names and values of at most {MAX_ALIKE_BYTES} bytes"),
            ));
        }
        if self.seeds.len() > MAX_SEEDS {
            return Err(ConfigError::new(
                "seeds",
                &format!("{} seeds", self.seeds.len()),
                format!("at most {MAX_SEEDS}"),
            ));
        }
        match self.seeds.iter().find(|seed| !is_host_port(seed)) {
            Some(seed) => Err(ConfigError::new(
                "seeds",
                &format!("{seed:?}"),
                "host:port, such as game-1.internal:7946 or 10.0.0.1:7946 or [fd00::1]:7946",
            )),
            None => Ok(()),
        }
    }

    fn longest_alike(&self) -> usize {
        self.alike.iter().flat_map(|(name, value)| [name, value]).map(String::len).max().unwrap_or_default()
    }

    fn validate_addresses(&self) -> Result<(), ConfigError> {
        let advertise = self.advertise;
        if is_unspecified(advertise.ip()) {
            return Err(ConfigError::new(
                "advertise",
                &advertise,
                "an address at which peers reach this node; 0.0.0.0 and [::] are good for listen only",
            ));
        }
        if advertise.port() == 0 && self.listen.port() != 0 {
            return Err(ConfigError::new(
                "advertise",
                &advertise,
                "a port from 1 to 65535 (port 0 means the bound port, and needs listen with port 0 too)",
            ));
        }
        Ok(())
    }

    fn validate_join(&self) -> Result<(), ConfigError> {
        if self.require_join && self.seeds.is_empty() {
            let allowed = "false, or `seeds` must name at least one other node".to_owned();
            return Err(ConfigError::new("require_join", &"true while `seeds` is empty", allowed));
        }
        Ok(())
    }

    fn validate_times(&self) -> Result<(), ConfigError> {
        let ms = Duration::from_millis;
        let day = Duration::from_hours(24);
        for (field, given, least, most) in [
            ("gossip_interval", self.gossip_interval, ms(50), ms(5_000)),
            ("max_heartbeat_interval", self.max_heartbeat_interval, self.gossip_interval * 2, ms(60_000)),
            ("grace", self.grace, ms(1_000), day * 7),
            ("join_timeout", self.join_timeout, ms(100), ms(600_000)),
            ("heartbeat_interval", self.heartbeat_interval, ms(10), ms(60_000)),
            ("read_timeout", self.read_timeout, self.heartbeat_interval * 2, ms(600_000)),
            ("connect_timeout", self.connect_timeout, ms(10), ms(60_000)),
            ("backoff_min", self.backoff_min, ms(1), ms(60_000)),
            ("backoff_max", self.backoff_max, self.backoff_min, ms(300_000)),
        ] {
            if given < least || given > most {
                return Err(ConfigError::new(field, &format!("{given:?}"), format!("{least:?} to {most:?}")));
            }
        }
        if !(4.0..=200.0).contains(&self.phi_threshold) {
            return Err(ConfigError::new("phi_threshold", &self.phi_threshold, "4 to 200"));
        }
        Ok(())
    }

    fn validate_sizes(&self) -> Result<(), ConfigError> {
        let least = 1 << 10;
        for (field, given, most) in [
            ("max_frame_bytes", self.max_frame_bytes, MAX_MESSAGE_BYTES),
            ("outbox_control_bytes", self.outbox_control_bytes, 1 << 30),
            ("outbox_stream_bytes", self.outbox_stream_bytes, 1 << 30),
            ("outbox_bulk_bytes", self.outbox_bulk_bytes, 1 << 30),
        ] {
            if given < least || given > most {
                return Err(ConfigError::new(field, &given, format!("{least} to {most} bytes")));
            }
        }
        Ok(())
    }
}

fn is_unspecified(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unspecified() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_unspecified()),
    }
}

fn is_host_port(seed: &str) -> bool {
    if let Ok(addr) = seed.parse::<SocketAddr>() {
        return addr.port() != 0;
    }
    match seed.rsplit_once(':') {
        Some((host, port)) => {
            !host.is_empty()
                && host.len() <= 253
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
                && port.parse::<u16>().is_ok_and(|port| port != 0)
        }
        None => false,
    }
}

/// A field of the configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("setting `{field}` is {given}, but must be {allowed}")]
pub struct ConfigError {
    /// The field's name.
    pub field: &'static str,
    /// What was given.
    pub given: String,
    /// What is allowed, in words.
    pub allowed: String,
}

impl ConfigError {
    fn new(field: &'static str, given: &dyn fmt::Display, allowed: impl Into<String>) -> Self {
        Self { field, given: given.to_string(), allowed: allowed.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ClusterConfig {
        ClusterConfig::new(NodeId::new("a").unwrap(), "127.0.0.1:7946".parse().unwrap())
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(config().validate(), Ok(()));
    }

    #[test]
    fn each_mistake_is_told_with_its_field() {
        type Break = fn(&mut ClusterConfig);
        let table: [(&str, Break); 16] = [
            ("cluster", |c| c.cluster.clear()),
            ("cluster", |c| c.cluster = "x".repeat(65)),
            ("seeds", |c| c.seeds = vec!["localhost".into()]),
            ("seeds", |c| c.seeds = vec!["localhost:0".into()]),
            ("seeds", |c| c.seeds = vec!["http://a:80".into()]),
            ("seeds", |c| c.seeds = vec!["a:1".into(); 65]),
            ("advertise", |c| c.advertise = "0.0.0.0:7946".parse().unwrap()),
            ("advertise", |c| c.advertise = "[::]:7946".parse().unwrap()),
            ("advertise", |c| c.advertise.set_port(0)),
            ("gossip_interval", |c| c.gossip_interval = Duration::ZERO),
            ("phi_threshold", |c| c.phi_threshold = f64::NAN),
            ("read_timeout", |c| c.read_timeout = c.heartbeat_interval),
            ("backoff_max", |c| c.backoff_max = Duration::ZERO),
            ("grace", |c| c.grace = Duration::ZERO),
            ("max_frame_bytes", |c| c.max_frame_bytes = MAX_MESSAGE_BYTES + 1),
            ("outbox_bulk_bytes", |c| c.outbox_bulk_bytes = 0),
        ];
        for (field, break_it) in table {
            let mut config = config();
            break_it(&mut config);
            let error = config.validate().unwrap_err();
            assert_eq!(error.field, field, "{error}");
        }
    }

    #[test]
    fn limits_are_taken_at_the_limit() {
        let mut config = config();
        config.cluster = "x".repeat(64);
        config.seeds = vec!["[fd00::1]:7946".into(); 64];
        config.max_frame_bytes = MAX_MESSAGE_BYTES;
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn port_zero_is_advertised_as_the_bound_port() {
        let mut config = config();
        config.listen.set_port(0);
        config.advertise.set_port(0);
        assert_eq!(config.validate(), Ok(()));
    }
}
