//! How many nodes must have a write before its call returns.

use std::time::Duration;

use crate::error::Error;

/// Who must have applied a write before its call returns. The write is never taken back: when the others do not
/// confirm in time the call fails with [`Error::NotConfirmed`], and the write goes on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Ack {
    /// This node. The call never waits.
    #[default]
    Local,
    /// So many others.
    Peers(usize),
    /// More than half of the nodes that are Up or Down, this one included.
    Majority,
    /// Every node that is Up.
    All,
}

impl Ack {
    /// How many peers must confirm, among `up` that are Up and `known` that are Up or Down.
    ///
    /// # Errors
    /// [`Error::TooFewPeers`] when there are not as many.
    pub(crate) fn peers_needed(self, up: impl FnOnce() -> usize, known: usize) -> Result<usize, Error> {
        match self {
            Self::Local => Ok(0),
            Self::Peers(wanted) if wanted > known => Err(Error::TooFewPeers { wanted, known }),
            Self::Peers(wanted) => Ok(wanted),
            Self::Majority => Ok(known.div_ceil(2)),
            Self::All => Ok(up()),
        }
    }
}

/// An [`Ack`] and how long to wait for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AckWithin {
    pub(crate) ack: Ack,
    pub(crate) timeout: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half_of_all_that_may_come_back() {
        for (known, needed) in [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
            let nodes = known + 1;
            assert_eq!(Ack::Majority.peers_needed(|| 0, known), Ok(needed));
            assert!(2 * (needed + 1) > nodes, "{known} peers");
        }
    }

    #[test]
    fn more_peers_than_there_are_is_refused_before_anything_is_written() {
        assert_eq!(Ack::Peers(2).peers_needed(|| 2, 2), Ok(2));
        assert_eq!(Ack::Peers(3).peers_needed(|| 2, 2), Err(Error::TooFewPeers { wanted: 3, known: 2 }));
        assert_eq!(Ack::All.peers_needed(|| 1, 2), Ok(1));
    }
}
