//! A thread for one history.
//!
//! Everything random on a thread follows from the seed that it was armed with first (see [`entropy`]), so each history gets a thread that nothing
//! ran on before. What it panics with comes back as words: an assertion of a node's core that fails is a finding and not the program's end.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::thread;

use crate::entropy;

const THREAD: &str = "simulation";
const STACK_BYTES: usize = 16 * 1024 * 1024;

thread_local! {
    /// What the last panic of this thread said, and where.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Does something on a fresh thread that is armed with `seed`.
///
/// # Errors
/// What it panicked with, and where.
pub fn alone<T: Send + 'static>(seed: u64, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    keep_panics_quiet();
    let work = move || {
        entropy::arm(seed);
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| SAID.take().unwrap_or_else(|| words_of(&*panic)))
    };
    let thread = thread::Builder::new().name(THREAD.to_owned()).stack_size(STACK_BYTES).spawn(work);
    let thread = thread.map_err(|error| format!("there is no thread to simulate on: {error}"))?;
    thread.join().unwrap_or_else(|panic| Err(words_of(&*panic)))
}

/// Panics of simulations come back as words; those of other threads are printed as ever.
fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() == Some(THREAD) {
                let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
                SAID.set(Some(format!("{}{place}", words_of(info.payload()))));
            } else {
                usual(info);
            }
        }));
    });
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn each_history_has_its_seed_s_randomness_from_its_first_moment() {
        let draw = |seed| alone(seed, || RandomState::new().hash_one(1)).unwrap();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn a_panic_comes_back_as_words_with_its_place() {
        let words = alone(1, || assert_eq!(1 + 1, 3, "arithmetic")).unwrap_err();
        assert!(words.contains("arithmetic") && words.contains("alone.rs"), "{words}");
    }
}
