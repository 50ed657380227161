//! A few things, mostly one: in place while it is one, on the heap when there are more.

use std::ops::{Deref, DerefMut};

/// Things in the order in which they were put. As large as one of them, where that leaves some pattern of bits unused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Few<T> {
    One(T),
    /// None, or more than one.
    #[allow(clippy::box_collection)] // a thin pointer: a vector would make every one larger
    Other(Option<Box<Vec<T>>>),
}

impl<T> Few<T> {
    pub(crate) fn push(&mut self, value: T) {
        *self = match std::mem::take(self) {
            Self::One(first) => Self::Other(Some(Box::new(vec![first, value]))),
            Self::Other(None) => Self::One(value),
            Self::Other(Some(mut several)) => {
                several.push(value);
                Self::Other(Some(several))
            }
        };
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Other(None))
    }

    /// Keeps those for which `keep` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        match self {
            Self::One(one) => {
                if !keep(one) {
                    *self = Self::default();
                }
            }
            Self::Other(None) => {}
            Self::Other(Some(several)) => {
                several.retain_mut(keep);
                if several.len() < 2 {
                    *self = several.pop().map_or_else(Self::default, Self::One);
                }
            }
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::Other(None)
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Other(None) => &[],
            Self::Other(Some(several)) => several,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::One(one) => std::slice::from_mut(one),
            Self::Other(None) => &mut [],
            Self::Other(Some(several)) => several,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_order_however_many() {
        let mut few = Few::default();
        assert!(few.is_empty());
        for n in 0..4_u32 {
            few.push(n);
            assert_eq!(*few, (0..=n).collect::<Vec<_>>()[..]);
        }
        few[0] = 7;
        few.retain(|n| *n != 2);
        assert_eq!(*few, [7, 1, 3]);
        few.retain(|n| *n == 3);
        assert_eq!(few, Few::One(3), "one is in place again");
        few.retain(|_| false);
        assert_eq!(few, Few::Other(None));
    }
}
