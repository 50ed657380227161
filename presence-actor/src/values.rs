//! A list of values that is handed out without being copied.
//!
//! Who reads a set of a thousand members a million times a second should not pay for a thousand copies each time. So a
//! read hands out one immutable list to all who ask while nothing changes; a clone costs a reference count. What
//! happens to the set later does not show in a list that was handed out.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// Values, in one immutable list that is cheap to clone. Reads as a slice of [`Bytes`]. The values may share one piece of
/// memory: who keeps one of a long list for long should copy it.
///
/// ```
/// use headcount_presence::Values;
/// let players = Values::from(vec!["alice".into(), "bob".into()]);
/// assert_eq!(players, ["alice", "bob"]);
/// assert_eq!(players.iter().map(|player| player.len()).sum::<usize>(), 8);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(Arc<[Bytes]>);

impl Values {
    /// Copies of values, in one piece of memory: an allocation for each takes longer than copying it.
    pub(crate) fn copies<'a>(values: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let mut bytes = Vec::with_capacity(values.clone().map(<[u8]>::len).sum());
        values.clone().for_each(|value| bytes.extend_from_slice(value));
        let all = Bytes::from(bytes);
        let mut start = 0;
        let slices = values.map(|value| {
            start += value.len();
            all.slice(start - value.len()..start)
        });
        slices.collect()
    }
}

impl Deref for Values {
    type Target = [Bytes];

    fn deref(&self) -> &[Bytes] {
        &self.0
    }
}

impl From<Vec<Bytes>> for Values {
    fn from(values: Vec<Bytes>) -> Self {
        Self(values.into())
    }
}

impl FromIterator<Bytes> for Values {
    fn from_iter<I: IntoIterator<Item = Bytes>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Values {
    type Item = &'a Bytes;
    type IntoIter = std::slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Clones each value, which copies no bytes: others may hold the list too.
impl IntoIterator for Values {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        Vec::from(&*self).into_iter()
    }
}

impl<T, const N: usize> PartialEq<[T; N]> for Values
where
    Bytes: PartialEq<T>,
{
    fn eq(&self, other: &[T; N]) -> bool {
        **self == other[..]
    }
}

impl<T> PartialEq<[T]> for Values
where
    Bytes: PartialEq<T>,
{
    fn eq(&self, other: &[T]) -> bool {
        **self == *other
    }
}

impl<T> PartialEq<Vec<T>> for Values
where
    Bytes: PartialEq<T>,
{
    fn eq(&self, other: &Vec<T>) -> bool {
        **self == other[..]
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_equal_to_any_list_of_the_same_values_and_to_no_other() {
        let list = Values::from(vec![Bytes::from("a"), Bytes::from("b")]);
        assert_eq!(list, ["a", "b"]);
        assert_eq!(list, vec!["a", "b"]);
        assert_eq!(list, [Bytes::from("a"), Bytes::from("b")][..]);
        assert_ne!(list, ["a"]);
        assert_ne!(list, ["b", "a"]);
        assert_eq!(list.clone().into_iter().collect::<Values>(), list);
    }

    #[test]
    fn a_clone_is_the_same_list() {
        let list = Values::from(vec![Bytes::from("a")]);
        assert_eq!(list.clone().as_ptr(), list.as_ptr());
    }
}
