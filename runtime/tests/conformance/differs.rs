//! In what backends differ, in the words that users are told: the cells of the table in the README.
//!
//! A case that has to know asks for these, so a cell that is wrong fails a case, and a difference that is not told cannot be tested.

/// Makes an enum of each question: its answers and their words.
macro_rules! answers {
    ($($(#[$about:meta])* $question:ident { $($answer:ident => $words:literal),+ $(,)? })+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(not(feature = "redis"), allow(dead_code))] // what only a Redis answers, and the table
        pub(crate) enum $question { $($answer),+ }

        #[cfg(feature = "redis")]
        impl $question {
            pub(crate) fn told(self) -> &'static str {
                match self { $(Self::$answer => $words),+ }
            }
        }
    )+};
}

answers! {
    /// What becomes of what several nodes write at once.
    Writes { InTurn => "yes", Merged => "yes, merged" }
    /// What counting answers.
    Counts { Unique => "unique", AsSeen => "the sum this node sees" }
    /// Who gives answers that must be given once.
    Exchanges { Unique => "unique", AtHome => "unique, at the key's home" }
    /// How a pop waits.
    Waits { InPlace => "yes", AtHomes => "at the keys' homes", OnConnections => "yes, on a connection each" }
    /// What `homed()` changes.
    Homed { Nothing => "no effect", Counts => "counts at the key's home", NothingAsRedisIsOne => "no effect: Redis is one" }
    /// Who can be waited for.
    Acknowledges { Nobody => "nobody else to wait for", Peers => "all", OnlyItself => "`Ack::Local`; others are an error" }
    /// What `publish` counts.
    Addresses { Subscriptions => "counts subscriptions", Processes => "counts one for each process and name" }
    /// What becomes of rows whose node has died.
    Owned { Alone => "yes", HiddenThenDropped => "hidden at Down, dropped at Gone", Leased => "dropped at the end of the lease" }
    /// Whether an element of a list can have an owner.
    OwnedElements { Yes => "yes", Refused => "an error: elements there have no identity" }
    /// Whether there is `track` and `watch`.
    Watches {
        Yes => "yes",
        NotThere => "not there: `RedisPresence` does not implement these traits, so it does not compile",
    }
}

/// What a backend answers.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "redis"), allow(dead_code))]
pub(crate) struct Differs {
    pub(crate) writes: Writes,
    pub(crate) counts: Counts,
    pub(crate) exchanges: Exchanges,
    pub(crate) waits: Waits,
    pub(crate) homed: Homed,
    pub(crate) acknowledges: Acknowledges,
    pub(crate) addresses: Addresses,
    pub(crate) owned: Owned,
    pub(crate) owned_elements: OwnedElements,
    pub(crate) watches: Watches,
    /// Whether `max_memory_bytes` holds; otherwise the backend has a cap of its own.
    pub(crate) caps_memory: bool,
}
