//! A command that takes rows of this process away, from before it is sent until its outcome is known.
//!
//! The ledger must neither forget what may still stand nor write again what is gone. So it forgets with Redis's word, leaves what is being taken
//! away out of what it writes again meanwhile, and lets an audit decide when there is no word: also when whoever waited for it was dropped.

use std::collections::BTreeMap;

use super::backend::Backend;
use super::fault::Fault;
use super::ledger::{Outcome, Place, Target};

/// A command under way. Dropped without an end, nobody knows how it ended.
#[derive(Debug)]
pub(super) struct Removal<'a> {
    backend: &'a Backend,
    target: Target,
    begun: BTreeMap<Place, i64>,
    outcome: Outcome,
}

impl<'a> Removal<'a> {
    pub(super) fn begin(backend: &'a Backend, target: Target) -> Self {
        let begun = backend.ledger.lock().begin_removal(&target);
        Self { backend, target, begun, outcome: Outcome::Unknown }
    }

    /// It was carried out, at this moment or before.
    pub(super) fn done(mut self, moment: i64) {
        self.outcome = Outcome::Done { moment };
    }

    /// Redis has not taken anything away.
    pub(super) fn refused(mut self) {
        self.outcome = Outcome::Refused;
    }

    pub(super) fn failed(self, fault: &Fault) {
        match fault {
            Fault::Unreachable { .. } | Fault::Refused { .. } | Fault::NameInUse(_) => self.refused(),
            Fault::Lost(_) | Fault::Silent { .. } | Fault::Strange(_) => {}
        }
    }
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        self.backend.ledger.lock().end_removal(&self.target, &self.begun, self.outcome);
    }
}
