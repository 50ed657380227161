//! A Redis that speaks TLS, with certificates made here.

use headcount::config::{Config, Layers};
use headcount::{Error, Event, Node, Presence, RedisPresence};
use tempfile::TempDir;

use crate::ports::free_port;
use crate::server::{Server, next};

/// A server with a certificate of its own, on a port for TLS beside the plain one.
struct Secured {
    server: Server,
    port: u16,
    certificate: String,
    files: TempDir,
}

fn certificate() -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap()
}

async fn secured() -> Secured {
    let files = tempfile::tempdir().unwrap();
    let made = certificate();
    let (certificate, key) = (files.path().join("certificate.pem"), files.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let port = free_port();
    let words = ["--tls-port", &port.to_string(), "--tls-auth-clients", "no"].map(str::to_owned);
    let named = ["--tls-cert-file", certificate.to_str().unwrap(), "--tls-key-file", key.to_str().unwrap()];
    let extra: Vec<&str> = words.iter().map(String::as_str).chain(named).collect();
    Secured { server: Server::start_with(&extra).await, port, certificate: made.cert.pem(), files }
}

fn message(error: &Error) -> &str {
    let Error::Backend { backend: "redis", message } = error else { panic!("{error:?}") };
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_messages_and_pops_go_over_tls() {
    let secured = secured().await;
    let options =
        RedisPresence::builder().host("127.0.0.1", secured.port).root_certificates(secured.certificate.as_str());
    let presence = options.name("a").connect().await.unwrap();
    presence.owned().sadd("lobby", "alice").await.unwrap();
    assert_eq!(presence.smembers("lobby").await.unwrap(), ["alice"]);
    let mut heard = presence.subscribe("t").await.unwrap();
    presence.publish("t", "m").await.unwrap();
    assert!(matches!(next(&mut heard).await, Some(Event::Message { payload, .. }) if payload == "m"));
    presence.rpush("jobs", "one").await.unwrap();
    let popped = presence.blpop("jobs", std::time::Duration::from_secs(30)).await.unwrap();
    assert_eq!(popped.unwrap().1, "one");
    presence.leave().await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused_and_so_is_one_side_without_tls() {
    let secured = secured().await;
    let other = certificate().cert.pem();
    let error = RedisPresence::builder().host("127.0.0.1", secured.port).root_certificates(other).connect().await;
    let error = error.unwrap_err();
    assert!(message(&error).contains("certificate"), "{error}");
    let by_the_system = RedisPresence::builder().url(format!("rediss://127.0.0.1:{}", secured.port)).connect().await;
    let error = by_the_system.unwrap_err();
    assert!(message(&error).contains("certificate"), "{error}");
    let plain = RedisPresence::builder().host("127.0.0.1", secured.port).connect().await.unwrap_err();
    assert!(message(&plain).contains(&format!("127.0.0.1:{}", secured.port)), "{plain}");
    let towards_plain = RedisPresence::builder().host("127.0.0.1", secured.server.port).tls(true).connect().await;
    let error = towards_plain.unwrap_err();
    assert!(message(&error).contains("cannot be reached") && message(&error).contains("`rediss://` is TLS"), "{error}");
    let garbage = RedisPresence::builder().root_certificates("no certificate").connect().await.unwrap_err();
    assert!(message(&garbage).contains("BEGIN CERTIFICATE"), "{garbage}");
}

#[tokio::test]
async fn a_node_takes_the_certificates_from_the_file_that_its_settings_name() {
    let secured = secured().await;
    let settings = |file: &str| -> Config {
        let file = secured.files.path().join(file);
        let text = format!(
            "backend = \"rediss://127.0.0.1:{}/0\"\n[redis]\nroot_certificates = {file:?}\nlease = \"1s\"\n",
            secured.port
        );
        Layers::new().text("h.toml", &text).unwrap().finish().unwrap()
    };
    let config = settings("certificate.pem");
    let options = config.redis_options().unwrap().unwrap();
    let node = Node::builder("a").redis(options).start().await.unwrap();
    assert_eq!(node.presence().incr("n").await, Ok(1));
    let error = settings("nowhere.pem").redis_options().unwrap_err().to_string();
    assert!(error.contains("redis.root_certificates") && error.contains("cannot be read"), "{error}");
}
