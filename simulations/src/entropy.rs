//! Randomness from the seed, for code that asks the operating system for it.
//!
//! The keys of hash maps and the generators of chitchat come from `getrandom`, which no seam of ours reaches. So this crate defines that
//! symbol itself: the dynamic loader prefers a program's own definition over the C library's, and all who ask get here. A thread
//! that is armed gets numbers from its seed, every other thread the system call's. Invariant: one thread, one stream. So a history owns a
//! thread, arms it as the first thing that happens on it, before any map or generator exists there, and never leaves it.
//!
//! This is the one file of the project with `unsafe` in it: a symbol of the C library cannot be taken over without.

#![allow(unsafe_code)]

use std::cell::Cell;

thread_local! {
    /// The state of this thread's stream. Neither its first use nor the thread's end runs code of ours, so that it can be
    /// asked at any moment.
    static STREAM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Makes a number out of a seed and what it is for: different for each, and always the same.
pub fn derive(seed: u64, purpose: u64) -> u64 {
    scramble(seed ^ scramble(purpose.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

/// Lets everything random on this thread follow from `seed` from here on.
///
/// # Panics
/// When this process asks another function for randomness than ours: a history would then differ each time.
pub fn arm(seed: u64) {
    assert!(is_interposed(), "`getrandom` is not the one of this crate: simulations need Linux and a dynamic loader");
    STREAM.set(Some(seed));
}

/// The next 64 bits of an armed thread (`SplitMix64`), or `None`.
fn next() -> Option<u64> {
    let state = STREAM.get()?.wrapping_add(0x9e37_79b9_7f4a_7c15);
    STREAM.set(Some(state));
    Some(scramble(state))
}

fn scramble(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(target_os = "linux")]
mod symbol {
    use std::ffi::{c_uint, c_void};

    /// Takes the place of the C library's function of this name, with its contract.
    ///
    /// # Safety
    /// `buffer` must be valid for writes of `length` bytes; with a length of 0, which is how others probe for the function, it is
    /// not looked at.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
        let mut written = 0;
        while written < length {
            let Some(bits) = super::next() else {
                // SAFETY: the caller's promise, handed on to the system call that he means.
                return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as isize };
            };
            let count = (length - written).min(size_of::<u64>());
            // SAFETY: `written + count <= length`, and the caller promised that many bytes.
            unsafe {
                let place = buffer.cast::<u8>().add(written);
                std::ptr::copy_nonoverlapping(bits.to_le_bytes().as_ptr(), place, count);
            }
            written += count;
        }
        length as isize
    }

    pub(super) fn is_ours() -> bool {
        // SAFETY: the name is a C string, and the result is only compared.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"getrandom".as_ptr()) };
        found.cast_const() == getrandom as *const c_void
    }
}

/// Whether whoever looks for `getrandom` in this process finds ours.
#[cfg(target_os = "linux")]
pub fn is_interposed() -> bool {
    symbol::is_ours()
}

/// Whether whoever looks for `getrandom` in this process finds ours.
#[cfg(not(target_os = "linux"))]
pub fn is_interposed() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};
    use std::thread;

    use super::*;

    fn draws(seed: Option<u64>) -> [u64; 3] {
        let thread = thread::spawn(move || {
            if let Some(seed) = seed {
                arm(seed);
            }
            // The second map of a thread has keys of its own, made from the first's.
            [RandomState::new().hash_one(1), RandomState::new().hash_one(1), next().unwrap_or_default()]
        });
        thread.join().unwrap()
    }

    #[test]
    fn the_keys_of_maps_follow_from_the_seed() {
        assert_eq!(draws(Some(7)), draws(Some(7)));
        assert_ne!(draws(Some(7)), draws(Some(8)));
    }

    #[test]
    fn a_thread_that_is_not_armed_gets_true_randomness() {
        assert_ne!(draws(None), draws(None));
    }

    #[test]
    fn what_is_derived_differs_by_seed_and_by_purpose() {
        assert_eq!(derive(1, 2), derive(1, 2));
        assert_ne!(derive(1, 2), derive(2, 1));
        assert_ne!(derive(1, 2), derive(1, 3));
    }
}
