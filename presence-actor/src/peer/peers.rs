//! The peers that a node knows, and which of them may be owed something.
//!
//! After each frame a shell asks who is owed something, and in a large cluster hardly anybody is: so whoever is about to be changed
//! is noted, and only those are looked at. Invariant: who is owed something is noted, since a peer can only be
//! changed through this type, and who writes operations of this node notes all.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use headcount_cluster::{Member, Origin};

use super::Peer;

/// All peers, by origin.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    known: BTreeMap<Origin, Peer>,
    touched: Touched,
}

/// Those that may have come to be owed something.
#[derive(Debug)]
enum Touched {
    Some(BTreeSet<Origin>),
    All,
}

impl Default for Touched {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

impl Deref for Peers {
    type Target = BTreeMap<Origin, Peer>;

    fn deref(&self) -> &Self::Target {
        &self.known
    }
}

impl Peers {
    pub(crate) fn get_mut(&mut self, origin: Origin) -> Option<&mut Peer> {
        self.touch(origin);
        self.known.get_mut(&origin)
    }

    pub(crate) fn get_or_add(&mut self, member: &Member) -> &mut Peer {
        let origin = member.origin();
        self.touch(origin);
        self.known.entry(origin).or_insert_with(|| Peer::new(member.clone()))
    }

    fn touch(&mut self, origin: Origin) {
        if let Touched::Some(touched) = &mut self.touched {
            touched.insert(origin);
        }
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.touch_all();
        self.known.values_mut()
    }

    pub(crate) fn remove(&mut self, origin: Origin) {
        self.known.remove(&origin);
    }

    /// There is something for all of them.
    pub(crate) fn touch_all(&mut self) {
        self.touched = Touched::All;
    }

    /// Those that are owed something, in a fixed order. Of the others it is not asked again before they are touched.
    pub(crate) fn owed(&mut self, is_owed: impl Fn(&Peer) -> bool) -> Vec<Origin> {
        let owed: Vec<Origin> = match &self.touched {
            Touched::All => self.known.iter().filter(|(_, peer)| is_owed(peer)).map(|(origin, _)| *origin).collect(),
            Touched::Some(touched) => {
                touched.iter().filter(|origin| self.known.get(origin).is_some_and(&is_owed)).copied().collect()
            }
        };
        self.touched = Touched::Some(owed.iter().copied().collect());
        owed
    }
}
