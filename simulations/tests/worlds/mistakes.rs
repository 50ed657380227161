//! A story's mistakes are told at the story's own line, and in words that say what to do.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use headcount::Presence;
use headcount_simulations::alone::alone;
use headcount_simulations::{Simulation, World};

const MS: Duration = Duration::from_millis(1);

type Mistake = fn(&mut World);

thread_local! {
    /// Where this thread's last panic was, and what it said.
    static TOLD: RefCell<String> = const { RefCell::new(String::new()) };
}

fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It sets a hook of its own the first time: not while this one is being set.
        alone(0, || ()).unwrap();
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            TOLD.set(info.to_string());
            usual(info);
        }));
    });
}

fn is_told_here(mistake: impl FnOnce(), words: &str) {
    note_panics();
    catch_unwind(AssertUnwindSafe(mistake)).expect_err(words);
    let told = TOLD.take();
    assert!(told.starts_with(concat!("panicked at ", file!(), ":")) && told.contains(words), "{told}");
}

#[test]
fn a_world_that_cannot_be_is_refused_where_it_is_chosen() {
    let choose = || Simulation::new(1);
    is_told_here(|| drop(choose().nodes(0)), "a world has one machine or more");
    is_told_here(|| drop(Simulation::of([""; 0])), "a world has one machine or more");
    is_told_here(|| drop(Simulation::of(["a", "b", "a"])), "there are two machines \"a\"");
    is_told_here(|| drop(choose().latency(20 * MS..MS)), "a message cannot take 20ms at least and 1ms at most");
    is_told_here(|| drop(choose().tick(MS / 2)), "a step takes 1 ms or more, not 500µs");
}

/// Found by a new user's review: they were told at lines of the library, without the names that there are.
#[test]
fn what_a_story_asks_for_in_vain_is_told_where_it_asks() {
    let nobody = "there is no machine \"n9\" in this world; there are n0, n1, n2";
    let mistakes: [(Mistake, &str); 22] = [
        (|world| world.boot("n9"), nobody),
        (|world| world.start("n9"), nobody),
        (|world| world.crash("n9"), nobody),
        (|world| world.restart("n9"), nobody),
        (|world| world.power_off("n9"), nobody),
        (|world| world.pause("n9"), nobody),
        (|world| world.resume("n9"), nobody),
        (|world| drop(world.leave("n9")), nobody),
        (|world| world.partition(&["n0"], &["n1", "n9"]), nobody),
        (|world| world.partition_one_way(&["n0"], &["n9"]), nobody),
        (|world| world.mend("n0", "n9"), nobody),
        (|world| world.set_clock("n9", 1), nobody),
        (|world| assert_eq!(world.state_of("n0", "n9"), None), nobody),
        (|world| assert!(world.is_ready("n9")), nobody),
        (|world| world.on("n9", async |presence| drop(presence.get("key").await)), nobody),
        (|world| world.read("n1", async |presence| drop(presence.get("key").await)), "n1 does not run"),
        (|world| drop(world.node("n1")), "n1 does not run"),
        (|world| world.crash("n1"), "n1 does not run"),
        (|world| world.cut("n0", "n0"), "a machine cannot be cut from itself"),
        (|world| world.slow_link("n0", "n1", 9 * MS..MS), "a message cannot take 9ms at least and 1ms at most"),
        (|world| world.lose("n0", "n1", 101), "101 of a hundred are too many"),
        (|world| assert!(world.until("it snows", MS, |_| false) < MS), "not within 1ms: it snows"),
    ];
    Simulation::new(1).run(|world| {
        for (mistake, words) in mistakes {
            is_told_here(|| mistake(world), words);
        }
    });
}
