//! Topics: who subscribed where, and who gets a message.
//!
//! Interest (a node's number of subscribers to a topic or pattern) is known to every peer, so a publisher sends a
//! message once to each node that wants it and to no other; each node then fans out to its own subscribers. Interest
//! and messages travel in one order on a link: who sees a message of a node has seen that node's
//! subscriptions made before it.

pub(crate) mod glob;
pub(crate) mod interest;
mod mailbox;
mod subscribers;
mod subscription;
pub(crate) mod topics;

pub use self::interest::Kind;
pub(crate) use self::mailbox::{Lossy, Mailbox};
pub use self::subscribers::Subscribers;
pub use self::subscription::{Event, Subscription};
