//! Somebody who keeps a copy of what it is told: of a key's changes, or of who is present under a topic.
//!
//! The copy begins with what the node says is there and follows what it says has changed; in the end it has to be what the node shows. What does
//! not fit the copy (a value before that was another, somebody who leaves and never came) is written down the first time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use headcount::{Change, ChangeKind, Diff, PresenceDiffs, PresenceRef, Type, Watch, WatchEvent};

use super::client::{Clock, Ears, Notebook};
use crate::history::{Copied, Shown};

/// Who writes down what is told.
pub(super) struct Watcher {
    /// Its place among the copies.
    index: usize,
    ears: Rc<Ears>,
    clock: Clock,
    notes: Rc<RefCell<Notebook>>,
}

/// A slot: a hash's field or a set's member has a name, an element is one of those that are equal.
type Slot = (Type, Option<Bytes>);

/// What is there under a key, by what was told.
#[derive(Default)]
struct Slots {
    values: BTreeMap<Slot, Bytes>,
    /// A list's elements, and how often each is there. Where is not told.
    elements: BTreeMap<Bytes, usize>,
}

impl Watcher {
    pub(super) fn new(copied: Copied, ears: Rc<Ears>, clock: Clock, notes: Rc<RefCell<Notebook>>) -> Self {
        let index = {
            let mut notes = notes.borrow_mut();
            notes.copied.push(copied);
            notes.copied.len() - 1
        };
        Self { index, ears, clock, notes }
    }

    /// Follows a key.
    pub(super) async fn watch(self, mut watch: Watch) {
        let mut slots = self.begin(&mut watch);
        while let Some(event) = watch.recv().await {
            match event {
                WatchEvent::Change(change) => self.apply(&mut slots, &change),
                WatchEvent::Gap { .. } => {
                    self.notes.borrow_mut().copied[self.index].gaps += 1;
                    slots = self.begin(&mut watch);
                }
                other => self.note_misfit(|| format!("{other:?} is unknown")),
            }
            self.note(slots.shown());
            self.ears.opened().await;
        }
    }

    fn begin(&self, watch: &mut Watch) -> Slots {
        let mut slots = Slots::default();
        for change in watch.current().unwrap_or_default() {
            self.apply(&mut slots, &change);
        }
        self.note(slots.shown());
        slots
    }

    fn apply(&self, slots: &mut Slots, change: &Change) {
        if !slots.apply(change) {
            self.note_misfit(|| format!("{change:?} does not fit {:?}", slots.shown()));
        }
    }

    /// Follows who is present.
    pub(super) async fn follow(self, mut diffs: PresenceDiffs) {
        let mut present: BTreeMap<(Bytes, PresenceRef), Bytes> = BTreeMap::new();
        while let Some(diff) = diffs.recv().await {
            if !apply(&mut present, &diff) {
                self.note_misfit(|| format!("{diff:?} does not fit {present:?}"));
            }
            let fields = present.iter().map(|((key, reference), meta)| {
                (Bytes::from([reference.to_string().as_bytes(), key].concat()), meta.clone())
            });
            self.note(Slots::hash(fields.collect()));
            self.ears.opened().await;
        }
    }

    fn note(&self, known: Shown) {
        self.notes.borrow_mut().copied[self.index].known = known;
    }

    fn note_misfit(&self, words: impl FnOnce() -> String) {
        let now = (self.clock)();
        self.notes.borrow_mut().copied[self.index].misfit.get_or_insert_with(|| (now, words()));
    }
}

/// Carries a difference out. Returns whether those who left were there, and those who came were not.
fn apply(present: &mut BTreeMap<(Bytes, PresenceRef), Bytes>, diff: &Diff) -> bool {
    let mut fits = true;
    for (key, sessions) in &diff.leaves {
        for session in sessions {
            fits &= present.remove(&(key.clone(), session.reference)).as_ref() == Some(&session.meta);
        }
    }
    for (key, sessions) in &diff.joins {
        for session in sessions {
            fits &= present.insert((key.clone(), session.reference), session.meta.clone()).is_none();
        }
    }
    fits
}

impl Slots {
    /// Carries a change out. Returns whether what it says was before was.
    fn apply(&mut self, change: &Change) -> bool {
        let value = |of: &Option<Bytes>| of.clone().unwrap_or_default();
        let slot = (change.shape, change.field.clone());
        match change.kind {
            ChangeKind::Pushed => {
                *self.elements.entry(value(&change.new)).or_default() += 1;
                true
            }
            ChangeKind::Set => self.values.insert(slot, value(&change.new)) == change.old,
            ChangeKind::Added => self.values.insert(slot, Bytes::new()).is_none(),
            ChangeKind::Removed | ChangeKind::Expired if change.shape == Type::List => {
                let count = self.elements.entry(value(&change.old)).or_default();
                let was_there = *count > 0;
                *count = count.saturating_sub(1);
                self.elements.retain(|_, count| *count > 0);
                was_there
            }
            ChangeKind::Removed | ChangeKind::Expired => {
                let former = self.values.remove(&slot);
                if change.shape == Type::Set { former.is_some() } else { former.is_some() && former == change.old }
            }
            ChangeKind::Deadline => true,
            _ => false,
        }
    }

    /// As a reader sees it, a list in the order of its elements' bytes.
    fn shown(&self) -> Shown {
        let of = |shape: Type| {
            let slots = self.values.iter().filter(move |((of, _), _)| *of == shape);
            slots.map(|((_, name), value)| (name.clone().unwrap_or_default(), value.clone()))
        };
        if let Some((_, value)) = of(Type::String).next() {
            return Shown::Value(value);
        }
        let members: Vec<Bytes> = of(Type::Set).map(|(member, _)| member).collect();
        if !members.is_empty() {
            return Shown::Set(members);
        }
        let elements = self.elements.iter().flat_map(|(element, count)| std::iter::repeat_n(element.clone(), *count));
        let elements: Vec<Bytes> = elements.collect();
        if elements.is_empty() { Self::hash(of(Type::Hash).collect()) } else { Shown::List(elements) }
    }

    fn hash(mut fields: Vec<(Bytes, Bytes)>) -> Shown {
        fields.sort();
        if fields.is_empty() { Shown::Missing } else { Shown::Hash(fields) }
    }
}
