//! What a client asks of its node.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A question, a write, a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// A command as a console would take it, its words separated by blanks.
    Command {
        /// Through which kind of handle.
        via: Via,
        /// The words, the name first.
        words: String,
    },
    /// A compare-and-set. It answers what it replaced, nil for a missing key, and 0 when it found something else.
    CompareAndSet {
        /// The key.
        key: String,
        /// What is expected there; what the client reads on its node when nothing is given.
        expected: Option<String>,
        /// What is written instead; nothing removes the key.
        new: Option<String>,
        /// For how long.
        seconds: Option<i64>,
    },
    /// Keep a copy of what is under a key, for as long as the process lives.
    Watch {
        /// The key.
        key: String,
    },
    /// Keep a copy of who is present under a topic, for as long as the process lives.
    Follow {
        /// The topic.
        topic: String,
    },
    /// Be present under a topic, and nowhere else any more.
    Track {
        /// The topic.
        topic: String,
        /// What is known of who is present.
        meta: String,
    },
    /// Be present nowhere any more.
    Untrack,
    /// Hear a topic from here on.
    Subscribe {
        /// The topic.
        topic: String,
    },
    /// Do not hear a topic any longer.
    Unsubscribe {
        /// The topic.
        topic: String,
    },
    /// Hear all topics that match a pattern from here on.
    SubscribePattern {
        /// The pattern.
        pattern: String,
    },
    /// Do not hear what matches a pattern any longer.
    UnsubscribePattern {
        /// The pattern.
        pattern: String,
    },
    /// Read nothing of what one's subscriptions, and what one follows, bring until [`Listen`](Self::Listen).
    Dawdle,
    /// Read it again.
    Listen,
    /// End the session that this client's owned rows belong to. Its next owned write begins a new one.
    EndSession,
    /// Give up what one waits for: calls to homes, blocked pops.
    GiveUp,
}

/// The kind of handle that a command goes through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Rows outlive their writer.
    #[default]
    Shared,
    /// Rows belong to the node.
    Node,
    /// Rows belong to the client's session.
    Session,
    /// Counters are counted at their key's home.
    Homed,
    /// The call returns when one other node has the write.
    Peer,
    /// The call returns when more than half of the nodes have the write.
    Majority,
    /// The call returns when every node that is Up has the write.
    All,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { via: Via::Shared, words } => f.write_str(words),
            Self::Command { via, words } => write!(f, "{words} ({via:?})"),
            Self::CompareAndSet { key, expected, new, seconds } => {
                let (expected, new) =
                    (expected.as_deref().unwrap_or("what is read"), new.as_deref().unwrap_or("nothing"));
                let life = seconds.map_or_else(String::new, |seconds| format!(" for {seconds} s"));
                write!(f, "compare {key} with {expected} and set {new}{life}")
            }
            Self::Watch { key } => write!(f, "watch {key}"),
            Self::Follow { topic } => write!(f, "follow who is present under {topic}"),
            Self::Track { topic, meta } => write!(f, "be present under {topic} with {meta}"),
            Self::Untrack => f.write_str("be present no more"),
            Self::Subscribe { topic } => write!(f, "subscribe {topic}"),
            Self::Unsubscribe { topic } => write!(f, "unsubscribe {topic}"),
            Self::SubscribePattern { pattern } => write!(f, "subscribe all of {pattern}"),
            Self::UnsubscribePattern { pattern } => write!(f, "unsubscribe all of {pattern}"),
            Self::Dawdle => f.write_str("stop reading"),
            Self::Listen => f.write_str("read again"),
            Self::EndSession => f.write_str("end the session"),
            Self::GiveUp => f.write_str("give up"),
        }
    }
}
