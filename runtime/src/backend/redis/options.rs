//! How to reach a Redis, and what to expect of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use headcount_presence::{Error, Limits};
use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

use super::fault::{BACKEND, Fault, backend};
use super::link::Timeouts;
use super::presence::RedisPresence;
use crate::NodeId;

/// How a certificate begins in PEM.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Clients of the caller's own, for each of the three things that a presence asks of a Redis. Each makes connections of its own.
#[derive(Debug, Clone)]
pub struct RedisClients {
    /// Publishes.
    pub publish: Client,
    /// Subscribes.
    pub subscribe: Client,
    /// Reads and writes, and pops.
    pub data: Client,
}

/// Puts a [`RedisPresence`] together.
#[derive(Clone)]
#[must_use]
pub struct RedisBuilder {
    url: String,
    address: Option<ConnectionAddr>,
    user: Option<String>,
    password: Option<String>,
    database: Option<i64>,
    tls: bool,
    root_certificates: Option<Vec<u8>>,
    clients: Option<RedisClients>,
    pub(super) key_prefix: Vec<u8>,
    pub(super) name: Option<String>,
    pub(super) lease: Duration,
    pub(super) timeouts: Timeouts,
    pub(super) limits: Option<Limits>,
}

impl Default for RedisBuilder {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379/0".into(),
            address: None,
            user: None,
            password: None,
            database: None,
            tls: false,
            root_certificates: None,
            clients: None,
            key_prefix: Vec::new(),
            name: None,
            lease: Duration::from_secs(10),
            timeouts: Timeouts {
                connect: Duration::from_secs(5),
                command: Duration::from_secs(2),
                wait: Duration::ZERO,
            },
            limits: None,
        }
    }
}

impl From<&str> for RedisBuilder {
    /// A builder with this address, and otherwise the defaults.
    fn from(url: &str) -> Self {
        Self::default().url(url)
    }
}

impl From<String> for RedisBuilder {
    /// A builder with this address, and otherwise the defaults.
    fn from(url: String) -> Self {
        Self::default().url(url)
    }
}

impl RedisBuilder {
    /// Where the Redis is: `redis://user:password@host:port/database`, `rediss://` for TLS, `unix:///path?db=0`. Default
    /// `redis://127.0.0.1:6379/0`. What is set by the other methods goes above it.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Its host and port.
    pub fn host(mut self, host: impl Into<String>, port: u16) -> Self {
        self.address = Some(ConnectionAddr::Tcp(host.into(), port));
        self
    }

    /// Its unix socket.
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.address = Some(ConnectionAddr::Unix(path.into()));
        self
    }

    /// The user to be there, of Redis's ACL.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The password.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The number of the database. Topics are the same in all of them.
    pub fn database(mut self, number: i64) -> Self {
        self.database = Some(number);
        self
    }

    /// Whether to speak TLS, as `rediss://` does. Certificates are checked against the system's roots.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Check certificates against these roots, in PEM, instead of the system's. Implies TLS.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        (self.tls, self.root_certificates) = (true, Some(pem.into()));
        self
    }

    /// Clients of the caller's own, instead of all of the above.
    pub fn clients(mut self, clients: RedisClients) -> Self {
        self.clients = Some(clients);
        self
    }

    /// What all keys and topics begin with in Redis; the API does not show it. Default: nothing.
    pub fn key_prefix(mut self, prefix: impl Into<Vec<u8>>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// This node's name, which no other live process on the Redis may have. Default: one that is drawn. A process that is killed and
    /// comes back under its name waits for the end of its lease.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Silence after which others take what this node owns away; it is heard three times in that time. At least 300 ms, default 10 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(300));
        self
    }

    /// How long making a connection may take. Default 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// How long a command may take, waiting for a connection included. Default 2 s. A blocking pop may take this longer than its own timeout.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.command = timeout;
        self
    }

    /// How long [`connect`](Self::connect) keeps trying while there is no Redis. Default: zero, which fails at once.
    pub fn wait_for_redis(mut self, wait: Duration) -> Self {
        self.timeouts.wait = wait;
        self
    }

    /// Caps of what the API takes. Of a node's, those apply that say how large or many something may be in one call, and
    /// `max_subscriptions`, `subscriber_queue` and `max_blocked_pops` (a connection each, default 256).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Connects, and takes the lease of this node. Needs a tokio runtime, on which the connections then live.
    ///
    /// # Errors
    /// [`Error::Backend`]: no Redis there, a wrong password, a name that a live process has, an address that is none.
    pub async fn connect(self) -> Result<RedisPresence, Error> {
        if let Some(name) = &self.name {
            NodeId::new(name).map_err(|error| backend(error.to_string()))?;
        }
        let clients = self.clients_or_own()?;
        RedisPresence::connect(self, clients).await
    }

    /// The caller's clients, or those that the rest makes.
    pub(super) fn clients_or_own(&self) -> Result<RedisClients, Error> {
        self.clients.clone().map_or_else(|| self.own_clients(), Ok)
    }

    fn own_clients(&self) -> Result<RedisClients, Error> {
        let invalid = |error| backend(format!("its address cannot be used: {error}"));
        let info = self.connection_info().map_err(invalid)?;
        let data = match &self.root_certificates {
            None => Client::open(info),
            // It would be taken for an empty list, and every certificate refused.
            Some(pem) if !pem.windows(BEGIN.len()).any(|words| words == BEGIN) => {
                return Err(backend(
                    "what was given as its root certificates has none in PEM (-----BEGIN CERTIFICATE-----)",
                ));
            }
            Some(pem) => {
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) })
            }
        };
        let data = data.map_err(invalid)?;
        Ok(RedisClients { publish: data.clone(), subscribe: data.clone(), data })
    }

    fn connection_info(&self) -> redis::RedisResult<ConnectionInfo> {
        let info = self.url.as_str().into_connection_info()?;
        let mut settings = info.redis_settings().clone();
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        if let Some(database) = self.database {
            settings = settings.set_db(database);
        }
        let address = match self.address.clone().unwrap_or_else(|| info.addr().clone()) {
            ConnectionAddr::Tcp(host, port) if self.tls => {
                ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
            }
            address => address,
        };
        let tcp = TcpSettings::default().set_nodelay(true);
        Ok(info.set_redis_settings(settings).set_addr(address).set_tcp_settings(tcp))
    }

    /// Whether publishing has a connection of its own.
    pub(super) fn publishes_apart(&self) -> bool {
        self.clients.is_some()
    }
}

/// Why connecting failed, in words.
pub(super) fn not_connected(address: &str, error: &redis::RedisError) -> Error {
    if error.is_io_error() {
        return backend(format!(
            "{address} cannot be reached: {error}; start it, check the address (`rediss://` is TLS, `redis://` is not), or let \
             `wait_for_redis` wait for it"
        ));
    }
    if error.kind() == redis::ErrorKind::AuthenticationFailed {
        return backend(format!("{address} refuses user or password: {error}"));
    }
    Fault::of(error).into_error(address)
}

impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("RedisBuilder").field("backend", &BACKEND).field("name", &self.name).finish_non_exhaustive()
    }
}
