//! A million rows of one kind, the same ones on every side.

use std::ops::Range;

use headcount::Presence;

use crate::measure::now;

/// What the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Members of one set.
    Members,
    /// Fields of one hash.
    Fields,
    /// Keys with a string each.
    Keys,
    /// Fields of a thousand hashes.
    Spread,
}

impl Rows {
    /// All kinds.
    pub(crate) const ALL: [Self; 4] = [Self::Members, Self::Fields, Self::Keys, Self::Spread];

    /// As a table names them.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Members => "a million set members",
            Self::Fields => "a million hash fields",
            Self::Keys => "a million small keys",
            Self::Spread => "a thousand hashes of a thousand fields",
        }
    }

    /// The flag with which this executable measures them.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Members => "--memory-of-members",
            Self::Fields => "--memory-of-fields",
            Self::Keys => "--memory-of-keys",
            Self::Spread => "--memory-of-spread-fields",
        }
    }

    /// The kind that a flag is of.
    pub(crate) fn from_flag(flag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rows| rows.flag() == flag)
    }

    /// The command that writes the `n`-th.
    pub(crate) fn command(self, n: u64) -> Vec<String> {
        let player = format!("player-{n}");
        match self {
            Self::Members => vec!["SADD".to_owned(), "lobby".to_owned(), player],
            Self::Fields => vec!["HSET".to_owned(), "rooms".to_owned(), player, "lobby".to_owned()],
            Self::Keys => vec!["SET".to_owned(), player, "lobby".to_owned()],
            Self::Spread => vec!["HSET".to_owned(), format!("rooms-{}", n % 1000), player, "lobby".to_owned()],
        }
    }

    /// Writes some of them.
    pub(crate) fn write(self, presence: &impl Presence, some: Range<u64>) {
        for n in some {
            let player = format!("player-{n}");
            match self {
                Self::Members => now(presence.sadd("lobby", player)).map(drop),
                Self::Fields => now(presence.hset("rooms", player, "lobby")).map(drop),
                Self::Keys => now(presence.set(player, "lobby")),
                Self::Spread => now(presence.hset(format!("rooms-{}", n % 1000), player, "lobby")).map(drop),
            }
            .expect("a write");
        }
    }
}
