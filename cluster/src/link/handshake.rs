//! Who may talk to whom: the two messages before the first frame, and the verdict on them.
//!
//! The dialer sends a [`Hello`], the acceptor an [`Answer`]. Both begin with a magic that no other protocol has, the range of protocol
//! versions and a length, in a layout that no later version may change; only the body behind it may. The verdict is pure:
//! [`judge`] takes what was said and what is known. Invariants: nobody is accepted of another cluster, under the name of a live other
//! node, or under an incarnation that is Gone here; and who is refused is told why in a sentence for an operator.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::config::ClusterConfig;
use crate::event::Member;
use crate::id::{Incarnation, NodeId};
use crate::limits::{MAX_ALIKE, MAX_CLUSTER_NAME_BYTES, MAX_HANDSHAKE_BYTES, MAX_INCARNATIONS};

/// The oldest link protocol that this build speaks.
pub const PROTOCOL_MIN: u16 = 1;

/// The newest link protocol that this build speaks.
pub const PROTOCOL_MAX: u16 = 1;

/// What every handshake message begins with.
const MAGIC: [u8; 8] = *b"\x89hdcnt\r\n";

/// Bytes before the body: magic, lowest and highest version, length of the body.
pub const PREFIX_BYTES: usize = MAGIC.len() + 6;

/// A range of protocol versions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub min: u16,
    /// The newest.
    pub max: u16,
}

impl Versions {
    /// What this build speaks.
    pub const OURS: Self = Self { min: PROTOCOL_MIN, max: PROTOCOL_MAX };

    /// The newest version in both ranges.
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

/// What a dialer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// Only to know whether it may join, and to be known.
    Join,
    /// A link.
    Link,
    /// Only to tell the acceptor that its incarnation is over for the dialer.
    Notice,
}

/// What a dialer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The dialer's cluster.
    pub cluster: String,
    /// Its settings that all nodes must have alike.
    pub alike: BTreeMap<String, String>,
    /// The dialer.
    pub member: Member,
    /// What it wants.
    pub intent: Intent,
    /// The node that it means to reach, when it knows.
    pub expected: Option<NodeId>,
    /// That the acceptor's incarnation is over for the dialer.
    pub notice: Option<Notice>,
}

/// That an incarnation is over for somebody: it is Gone, or lower than another of its node that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The incarnation.
    pub incarnation: Incarnation,
    /// The highest of that node that is known; only one above it is taken.
    pub highest: Incarnation,
}

impl Notice {
    /// To a member, of whose node that is the highest known.
    pub fn to(member: &Member, highest: Option<Incarnation>) -> Self {
        let incarnation = member.incarnation;
        Self { incarnation, highest: highest.map_or(incarnation, |highest| highest.max(incarnation)) }
    }
}

/// What an acceptor replies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Go on.
    Accepted {
        /// The acceptor.
        member: Member,
        /// The protocol version for this connection.
        version: u16,
    },
    /// Go away; the acceptor closes.
    Refused(Refusal),
}

/// Why a node was refused. Its `Display` is for the operator of the refused node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The acceptor is of another cluster.
    #[error(
        "it belongs to the cluster {theirs:?}, and this node to {ours:?}; check the seed list and the `cluster` setting of both nodes"
    )]
    OtherCluster {
        /// The acceptor's cluster.
        theirs: String,
        /// The refused node's cluster.
        ours: String,
    },
    /// The two differ in a setting that all nodes must have alike.
    #[error(
        "its `{setting}` is {theirs}, and this node's is {ours}; the setting must be the same on all nodes, so change one, and \
         restart the nodes that have the wrong one"
    )]
    OtherSetting {
        /// The setting's name.
        setting: String,
        /// The acceptor's value.
        theirs: String,
        /// The refused node's value.
        ours: String,
    },
    /// No protocol version in common.
    #[error(
        "it speaks link protocol versions {min} to {max} and this build speaks {PROTOCOL_MIN} to {PROTOCOL_MAX}; \
         upgrade the older of the two"
    )]
    IncompatibleVersion {
        /// The acceptor's oldest version.
        min: u16,
        /// The acceptor's newest version.
        max: u16,
    },
    /// Another live process has the dialer's name.
    #[error(
        "a live node at {addr} (incarnation {incarnation}) already has this node's name; every node needs its own: \
         change `name` here, or stop the other process; a starting \
         node asks again for `join_timeout`, in case that one has just died"
    )]
    NameInUse {
        /// Where the other process is.
        addr: SocketAddr,
        /// Its incarnation.
        incarnation: Incarnation,
    },
    /// A higher incarnation of the dialer is known.
    #[error(
        "it knows the newer incarnation {known} of this node, so the clock here was probably set back; this node takes a number \
         above it by itself"
    )]
    StaleIncarnation {
        /// The highest known.
        known: Incarnation,
    },
    /// The dialer's incarnation is Gone here.
    #[error(
        "it holds this node for gone, because it was silent for the whole grace time or said goodbye; unless this node is leaving, it \
         comes back under a new incarnation by itself"
    )]
    Gone,
    /// Too many incarnations are known.
    #[error(
        "the cluster is full: it knows {MAX_INCARNATIONS} incarnations, more do not fit into its gossip; remove nodes first"
    )]
    ClusterFull,
    /// The dialer expected another node at this address.
    #[error(
        "the node at that address is {actual:?}, not the one that was expected; two nodes probably advertise the same address, so \
         check `advertise` on both"
    )]
    NotYou {
        /// Who it is.
        actual: NodeId,
    },
    /// The dialer reached itself.
    #[error("that address is this node itself")]
    Yourself,
    /// The acceptor is not yet, or no longer, taking links.
    #[error("it is starting or leaving and takes no links at the moment; this is retried")]
    Unready,
}

/// What the acceptor knows about the dialer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knowledge {
    /// The highest incarnation of the dialer's name that was ever seen here, and is remembered.
    pub highest: Option<Incarnation>,
    /// Whether the dialer's incarnation is fenced as Gone.
    pub is_gone: bool,
    /// Another incarnation of the dialer's name that lives as far as is known, at another address.
    pub live_namesake: Option<Member>,
    /// Whether the dialer may be added: its name is that of a member, or the cluster is not full.
    pub has_room: bool,
    /// Whether links are taken.
    pub is_ready: bool,
}

/// Decides on a hello.
///
/// # Errors
/// The [`Refusal`] to answer with.
pub fn judge(me: &Member, config: &ClusterConfig, hello: &Hello, known: &Knowledge) -> Result<(), Refusal> {
    let dialer = &hello.member;
    if hello.cluster != config.cluster {
        return Err(Refusal::OtherCluster { theirs: config.cluster.clone(), ours: hello.cluster.clone() });
    }
    judge_settings(&config.alike, &hello.alike)?;
    if let Some(expected) = &hello.expected
        && *expected != me.node
    {
        return Err(Refusal::NotYou { actual: me.node.clone() });
    }
    if dialer.node == me.node {
        return Err(judge_namesake(me, dialer));
    }
    if let Some(namesake) = &known.live_namesake {
        // Once both are in, gossip tells the older one that it was superseded; refusing the newer one's links would
        // keep both half alive. So only its way in is barred.
        if hello.intent == Intent::Join || namesake.incarnation > dialer.incarnation {
            return Err(Refusal::NameInUse { addr: namesake.addr, incarnation: namesake.incarnation });
        }
    }
    match known.highest {
        Some(highest) if highest > dialer.incarnation => {
            return Err(Refusal::StaleIncarnation { known: highest });
        }
        Some(_) | None => {}
    }
    if known.is_gone {
        return Err(Refusal::Gone);
    }
    if !known.has_room {
        return Err(Refusal::ClusterFull);
    }
    if hello.intent == Intent::Link && !known.is_ready {
        return Err(Refusal::Unready);
    }
    Ok(())
}

fn judge_settings(theirs: &BTreeMap<String, String>, ours: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let value =
        |of: &BTreeMap<String, String>, setting| of.get(setting).map_or("not known there", String::as_str).to_owned();
    match theirs.keys().chain(ours.keys()).find(|setting| theirs.get(*setting) != ours.get(*setting)) {
        Some(setting) => Err(Refusal::OtherSetting {
            setting: setting.clone(),
            theirs: value(theirs, setting),
            ours: value(ours, setting),
        }),
        None => Ok(()),
    }
}

fn judge_namesake(me: &Member, dialer: &Member) -> Refusal {
    if me == dialer {
        return Refusal::Yourself;
    }
    Refusal::NameInUse { addr: me.addr, incarnation: me.incarnation }
}

/// Writes a handshake message.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let body = codec::encode(message);
    let length =
        u16::try_from(body.len()).expect("names and settings are capped, so that a handshake stays far under 64 KiB");
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + body.len());
    bytes.extend(MAGIC);
    bytes.extend(PROTOCOL_MIN.to_le_bytes());
    bytes.extend(PROTOCOL_MAX.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Reads the prefix of a handshake message: the sender's versions and the length of the body.
///
/// # Errors
/// [`HandshakeError::NotOurs`] or [`HandshakeError::TooLong`].
pub fn decode_prefix(prefix: &[u8; PREFIX_BYTES]) -> Result<(Versions, usize), HandshakeError> {
    let [m0, m1, m2, m3, m4, m5, m6, m7, min0, min1, max0, max1, len0, len1] = *prefix;
    if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
        return Err(HandshakeError::NotOurs);
    }
    let versions = Versions { min: u16::from_le_bytes([min0, min1]), max: u16::from_le_bytes([max0, max1]) };
    let length = usize::from(u16::from_le_bytes([len0, len1]));
    if PREFIX_BYTES + length > MAX_HANDSHAKE_BYTES {
        return Err(HandshakeError::TooLong { bytes: length });
    }
    Ok((versions, length))
}

/// Reads the body of a hello.
///
/// # Errors
/// [`HandshakeError::Malformed`].
pub fn decode_hello(body: &[u8]) -> Result<Hello, HandshakeError> {
    let hello: Hello = codec::decode(body).map_err(|error| HandshakeError::Malformed(error.to_string()))?;
    if hello.cluster.is_empty() || hello.cluster.len() > MAX_CLUSTER_NAME_BYTES {
        return Err(HandshakeError::Malformed("the cluster's name has a wrong length".to_owned()));
    }
    if hello.alike.len() > MAX_ALIKE {
        return Err(HandshakeError::Malformed("it has too many settings".to_owned()));
    }
    if hello.member.addr.port() == 0 || hello.member.addr.ip().is_unspecified() {
        return Err(HandshakeError::Malformed(format!(
            "it advertises {}, where nobody can reach it",
            hello.member.addr
        )));
    }
    Ok(hello)
}

/// Reads the body of an answer.
///
/// # Errors
/// [`HandshakeError::Malformed`].
pub fn decode_answer(body: &[u8]) -> Result<Answer, HandshakeError> {
    codec::decode(body).map_err(|error| HandshakeError::Malformed(error.to_string()))
}

/// What came is not a handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Another protocol, or a port scanner.
    #[error("what answers there does not speak headcount's link protocol")]
    NotOurs,
    /// A body over the limit.
    #[error("a handshake of {bytes} bytes; {MAX_HANDSHAKE_BYTES} are allowed")]
    TooLong {
        /// The announced length of the body.
        bytes: usize,
    },
    /// The body is not what it should be.
    #[error("a malformed handshake: {0}")]
    Malformed(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::MAX_ALIKE_BYTES;

    fn member(node: &str, incarnation: u64, port: u16) -> Member {
        Member {
            node: NodeId::new(node).unwrap(),
            incarnation: Incarnation(incarnation),
            addr: SocketAddr::from(([10, 0, 0, 1], port)),
        }
    }

    fn hello(member: Member, intent: Intent) -> Hello {
        let alike = BTreeMap::from([("rhythm".into(), "slow".into())]);
        Hello { cluster: "demo".into(), alike, member, intent, expected: None, notice: None }
    }

    fn nothing_known() -> Knowledge {
        Knowledge { highest: None, is_gone: false, live_namesake: None, has_room: true, is_ready: true }
    }

    fn verdict(hello: &Hello, change: impl FnOnce(&mut Knowledge)) -> Result<(), Refusal> {
        let mut known = nothing_known();
        change(&mut known);
        let me = member("me", 5, 1);
        let mut config = ClusterConfig::new(me.node.clone(), me.addr);
        config.cluster = "demo".into();
        config.alike.insert("rhythm".into(), "slow".into());
        judge(&me, &config, hello, &known)
    }

    #[test]
    fn a_stranger_of_the_same_cluster_is_taken() {
        assert_eq!(verdict(&hello(member("b", 1, 2), Intent::Join), |_| ()), Ok(()));
        assert_eq!(verdict(&hello(member("b", 1, 2), Intent::Link), |_| ()), Ok(()));
    }

    #[test]
    fn another_cluster_is_refused_before_anything_else_is_looked_at() {
        let mut other = hello(member("me", 9, 2), Intent::Join);
        other.cluster = "prod".into();
        assert_eq!(
            verdict(&other, |known| known.is_gone = true),
            Err(Refusal::OtherCluster { theirs: "demo".into(), ours: "prod".into() })
        );
    }

    #[test]
    fn a_setting_that_differs_is_named_with_both_values() {
        let mut other = hello(member("b", 9, 2), Intent::Join);
        other.alike.insert("rhythm".into(), "fast".into());
        let refused = |ours: &str| {
            let (setting, theirs) = ("rhythm".into(), "slow".into());
            Err(Refusal::OtherSetting { setting, theirs, ours: ours.into() })
        };
        assert_eq!(verdict(&other, |_| ()), refused("fast"));
        other.alike.clear();
        assert_eq!(verdict(&other, |_| ()), refused("not known there"));
    }

    #[test]
    fn a_node_that_dials_itself_is_told_so_and_a_namesake_of_the_acceptor_is_refused() {
        assert_eq!(verdict(&hello(member("me", 5, 1), Intent::Join), |_| ()), Err(Refusal::Yourself));
        assert!(matches!(verdict(&hello(member("me", 6, 2), Intent::Join), |_| ()), Err(Refusal::NameInUse { .. })));
    }

    #[test]
    fn a_live_namesake_bars_the_way_in_but_not_the_links_of_a_newer_one() {
        let older = member("b", 3, 7);
        let namesake = |known: &mut Knowledge| {
            known.live_namesake = Some(older.clone());
            known.highest = Some(older.incarnation);
        };
        let refused = Err(Refusal::NameInUse { addr: older.addr, incarnation: older.incarnation });
        assert_eq!(verdict(&hello(member("b", 4, 8), Intent::Join), namesake), refused);
        assert_eq!(verdict(&hello(member("b", 4, 8), Intent::Link), namesake), Ok(()));
        assert_eq!(verdict(&hello(member("b", 2, 8), Intent::Link), namesake), refused);
    }

    #[test]
    fn an_incarnation_below_a_known_one_is_stale_and_a_fenced_one_is_gone() {
        let stale = verdict(&hello(member("b", 3, 7), Intent::Link), |known| {
            known.highest = Some(Incarnation(4));
        });
        assert_eq!(stale, Err(Refusal::StaleIncarnation { known: Incarnation(4) }));
        let gone = verdict(&hello(member("b", 3, 7), Intent::Join), |known| {
            known.highest = Some(Incarnation(3));
            known.is_gone = true;
        });
        assert_eq!(gone, Err(Refusal::Gone));
    }

    #[test]
    fn a_full_cluster_takes_nobody_new() {
        let stranger = hello(member("b", 3, 7), Intent::Join);
        assert_eq!(verdict(&stranger, |known| known.has_room = false), Err(Refusal::ClusterFull));
    }

    #[test]
    fn the_wrong_node_says_who_it_is() {
        let mut dialled = hello(member("b", 3, 7), Intent::Link);
        dialled.expected = Some(NodeId::new("c").unwrap());
        assert!(matches!(verdict(&dialled, |_| ()), Err(Refusal::NotYou { .. })));
    }

    #[test]
    fn versions_agree_on_the_newest_common_one() {
        let range = |min, max| Versions { min, max };
        assert_eq!(range(1, 3).common(range(2, 5)), Some(3));
        assert_eq!(range(2, 2).common(range(1, 9)), Some(2));
        assert_eq!(range(1, 2).common(range(3, 4)), None);
        assert_eq!(range(9, 1).common(range(1, 9)), None);
    }

    #[test]
    fn messages_are_read_as_written_and_stay_under_the_limit() {
        let longest = Hello {
            cluster: "x".repeat(MAX_CLUSTER_NAME_BYTES),
            alike: (0..MAX_ALIKE).map(|n| (format!("{n:032}"), "v".repeat(MAX_ALIKE_BYTES))).collect(),
            member: member(&"n".repeat(32), u64::MAX, 65_535),
            intent: Intent::Link,
            expected: Some(NodeId::new("m".repeat(32)).unwrap()),
            notice: Some(Notice { incarnation: Incarnation(u64::MAX), highest: Incarnation(u64::MAX) }),
        };
        let bytes = encode(&longest);
        assert!(bytes.len() < MAX_HANDSHAKE_BYTES / 2);
        let (prefix, body) = bytes.split_first_chunk::<PREFIX_BYTES>().unwrap();
        assert_eq!(decode_prefix(prefix), Ok((Versions::OURS, body.len())));
        assert_eq!(decode_hello(body), Ok(longest));
    }

    #[test]
    fn other_protocols_are_told_from_their_first_bytes() {
        for garbage in [&b"GET / HTTP/1.1\r\n"[..], &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0"[..]] {
            let prefix = garbage.first_chunk::<PREFIX_BYTES>().unwrap();
            assert_eq!(decode_prefix(prefix), Err(HandshakeError::NotOurs));
        }
    }

    #[test]
    fn an_advertised_address_that_nobody_can_reach_is_malformed() {
        for addr in ["0.0.0.0:7946", "10.0.0.1:0"] {
            let mut unreachable = hello(member("b", 1, 2), Intent::Join);
            unreachable.member.addr = addr.parse().unwrap();
            assert!(matches!(decode_hello(&codec::encode(&unreachable)), Err(HandshakeError::Malformed(_))));
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(prefix in any::<[u8; PREFIX_BYTES]>(), mut body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_prefix(&prefix);
            if let Some(version) = body.first_mut() {
                *version = codec::CODEC_VERSION;
            }
            let _ = decode_hello(&body);
            let _ = decode_answer(&body);
        }

        #[test]
        fn a_flipped_byte_in_a_hello_is_an_error_or_another_hello(at in 0_usize..60, to in any::<u8>()) {
            let mut body = codec::encode(&hello(member("game-1", 77, 7946), Intent::Link));
            let at = at % body.len();
            body[at] = to;
            let _ = decode_hello(&body);
        }
    }
}
