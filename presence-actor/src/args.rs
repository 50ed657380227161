//! One value or several, wherever Redis takes several.

use bytes::Bytes;

/// One value: anything that is bytes.
pub trait Arg: Send {
    /// Its bytes.
    fn bytes(&self) -> &[u8];
}

/// One value, or a list of values, for commands that take several.
///
/// `presence.sadd("lobby", "alice")` and `presence.sadd("lobby", ["alice", "bob"])` both work.
pub trait Args: Send {
    /// Calls `take` with the values in order.
    fn with<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R;
}

macro_rules! arg {
    ($($type:ty),* $(,)?) => {$(
        impl Arg for $type {
            fn bytes(&self) -> &[u8] {
                self.as_ref()
            }
        }
        impl Args for $type {
            fn with<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
                take(&[self.bytes()])
            }
        }
    )*};
}

arg!(&str, &String, &[u8], &Vec<u8>, &Bytes, String, Bytes, Vec<u8>);

impl<const N: usize> Arg for [u8; N] {
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl<const N: usize> Arg for &[u8; N] {
    fn bytes(&self) -> &[u8] {
        &self[..]
    }
}

impl<const N: usize> Args for [u8; N] {
    fn with<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[&self[..]])
    }
}

impl<const N: usize> Args for &[u8; N] {
    fn with<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[&self[..]])
    }
}

fn with_all<T: Arg, R>(list: &[T], take: impl FnOnce(&[&[u8]]) -> R) -> R {
    let slices: Vec<&[u8]> = list.iter().map(Arg::bytes).collect();
    take(&slices)
}

impl<T: Arg, const N: usize> Args for [T; N] {
    fn with<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        with_all(self, take)
    }
}

impl<T: Arg + Sync> Args for &[T] {
    fn with<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        with_all(self, take)
    }
}

impl<T: Arg> Args for Vec<T> {
    fn with<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        with_all(self, take)
    }
}

impl<T: Arg + Sync> Args for &Vec<T> {
    fn with<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        with_all(self, take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::needless_pass_by_value)] // as the methods of `Presence` take them
    fn count(args: impl Args) -> usize {
        args.with(|values| values.len())
    }

    #[test]
    fn one_value_or_a_list_are_both_arguments() {
        assert_eq!(count("one"), 1);
        assert_eq!(count(b"one"), 1);
        assert_eq!(count(vec![1_u8, 2, 3]), 1);
        assert_eq!(count(["one", "two"]), 2);
        assert_eq!(count(vec!["one".to_owned(), "two".to_owned()]), 2);
        assert_eq!(count(&[b"one".as_slice(), b"two"][..]), 2);
    }
}
