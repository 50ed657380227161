//! The stamps under which homes write: those of a later view are later, whatever clocks say.
//!
//! Of concurrent values the one with the latest stamp is shown. A home that was cut off may have written some that nobody has heard of, and whoever is
//! told by the next home that a lock is his must not lose it to them at the heal. So each question for consent says up to which stamp its asker would
//! write, who consents remembers that, and tells the homes of other views to write under later ones. A home of a view in which more than half agree has asked
//! somebody who had consented to the home before it, as with promises. No clock is moved by this: a clock that is far ahead pushes only what homes write.

use headcount_cluster::Hlc;

/// What a node knows of the stamps of homes.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    /// The view to which this node has consented last, and the latest stamp that it has granted under it.
    granted: (u64, Hlc),
    /// Up to where homes of earlier views may have written.
    used: Hlc,
}

impl Stamps {
    /// Up to where homes of other views than this one may have written.
    pub(super) fn used_before(&self, view: u64) -> Hlc {
        let (of, granted) = self.granted;
        if of == view { self.used } else { self.used.max(granted) }
    }

    /// A home of this view may write up to there.
    pub(super) fn grant(&mut self, view: u64, until: Hlc) {
        let former = if self.granted.0 == view { self.granted.1 } else { Hlc::default() };
        self.used = self.used_before(view);
        self.granted = (view, until.max(former));
    }

    /// Somebody else knows that homes of earlier views may have written up to there.
    pub(super) fn learn(&mut self, used: Hlc) {
        self.used = self.used.max(used);
    }
}
