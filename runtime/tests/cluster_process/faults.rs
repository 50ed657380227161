//! Crashes, stops, returns and goodbyes.
//!
//! What a fault must not do is looked for as long as the test waits for what it must do: a node that says goodbye is never
//! seen as down, and a node that is down loses nothing but its visibility.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::{cluster, state_of};

#[test]
fn after_kill_9_owned_rows_vanish_and_shared_rows_stay() {
    let [mut a, mut b, mut c] = cluster(["a", "b", "c"]);
    c.ask("SADD lobby carol");
    c.ask("OWNED SADD lobby chris");
    c.ask("OWNED HSET player:chris node c");
    c.ask("INCRBY games 7");
    for node in [&mut a, &mut b] {
        node.eventually_shows("SMEMBERS lobby", &["\"carol\"", "\"chris\""]);
        node.eventually_shows("EXISTS player:chris", &["(integer) 1"]);
        node.eventually_shows("GET games", &["\"7\""]);
    }
    c.kill();
    for node in [&mut a, &mut b] {
        node.eventually_shows("SMEMBERS lobby", &["\"carol\""]);
        node.eventually_shows("EXISTS player:chris", &["(integer) 0"]);
        assert_eq!(node.ask("GET games"), ["\"7\""]);
        assert_eq!(state_of(&node.ask("MEMBERS"), "c"), Some("down"), "a suspicion hides, and destroys nothing");
    }
}

#[test]
fn a_restarted_node_has_caught_up_before_it_says_ready() {
    let [mut a, mut b, c] = cluster(["a", "b", "c"]);
    let plan = c.kill();
    for number in 0..500 {
        a.ask(&format!("SADD lobby player-{number}"));
    }
    b.ask("INCRBY games 5");
    a.eventually_shows("GET games", &["\"5\""]);
    b.eventually_shows("SCARD lobby", &["(integer) 500"]);
    let mut c = plan.spawn();
    let ready = c.ready();
    assert!(ready.starts_with(&format!("ready c {} cluster=test members=", plan.address)), "{ready}");
    assert!(ready.contains("by=synchronised("), "{ready}");
    assert_eq!(c.ask("SCARD lobby"), ["(integer) 500"], "at once, not eventually");
    assert_eq!(c.ask("GET games"), ["\"5\""]);
}

#[test]
fn a_node_that_was_killed_and_restarted_counts_on_from_what_it_had_passed_on() {
    let [mut a, mut b] = cluster(["a", "b"]);
    b.ask("INCRBY games 10");
    b.ask("OWNED SADD online bob");
    a.eventually_shows("GET games", &["\"10\""]);
    a.eventually_shows("SMEMBERS online", &["\"bob\""]);
    let mut b = b.kill().start();
    assert_eq!(b.ask("INCRBY games 1"), ["(integer) 11"]);
    b.ask("OWNED SADD online bert");
    a.eventually_shows("GET games", &["\"11\""]);
    a.eventually_shows("SMEMBERS online", &["\"bert\""]);
    b.eventually_shows("SMEMBERS online", &["\"bert\""]);
}

#[test]
fn a_stopped_node_is_down_and_when_continued_nothing_of_it_is_lost_or_doubled() {
    let [mut a, mut b, mut c] = cluster(["a", "b", "c"]);
    c.ask("OWNED SADD online chris");
    for node in [&mut a, &mut b] {
        node.eventually_shows("SMEMBERS online", &["\"chris\""]);
    }
    for _ in 0..100 {
        c.ask("INCR games");
    }
    // Stopped at once after the last reply: what was acknowledged may or may not have left the process.
    c.stop();
    for node in [&mut a, &mut b] {
        node.eventually_shows("SMEMBERS online", &["(empty array)"]);
        node.eventually("MEMBERS", "c is down", |lines| state_of(lines, "c") == Some("down"));
        node.ask("INCRBY games 1000");
    }
    a.ask("SADD lobby while-away");
    c.signal(Signal::CONT);
    for node in [&mut a, &mut b, &mut c] {
        node.eventually_shows("SMEMBERS online", &["\"chris\""]);
        node.eventually_shows("GET games", &["\"2100\""]);
        node.eventually_shows("SMEMBERS lobby", &["\"while-away\""]);
    }
    c.ask("INCR games");
    for node in [&mut a, &mut b] {
        node.eventually_shows("GET games", &["\"2101\""]);
        node.eventually("MEMBERS", "c is up", |lines| state_of(lines, "c") == Some("up"));
    }
}

#[test]
fn sigterm_leaves_gracefully_and_the_others_see_it_go_without_it_being_down() {
    for signal in [Signal::TERM, Signal::INT] {
        let [mut a, mut b] = cluster(["a", "b"]);
        b.ask("OWNED SADD online bob");
        a.eventually_shows("SMEMBERS online", &["\"bob\""]);
        b.signal(signal);
        assert!(b.exit().success());
        a.eventually("MEMBERS", "b is gone", |lines| {
            let state = state_of(lines, "b");
            assert_ne!(state, Some("down"), "a goodbye is no suspicion");
            state != Some("up")
        });
        a.eventually_shows("SMEMBERS online", &["(empty array)"]);
    }
}

#[test]
fn signals_that_keep_coming_end_a_leave_that_waits_for_a_stopped_peer() {
    let [mut a, mut b] = cluster(["a", "b"]);
    b.ask("SADD linked yes");
    a.eventually_shows("SMEMBERS linked", &["\"yes\""]);
    b.stop();
    a.signal(Signal::TERM);
    a.logs("SIGTERM: leaving");
    while a.runs() {
        a.signal(Signal::TERM);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(a.exit().code(), Some(130));
}

/// Found by an operator's review: each was told that the other had given it up, and would be back, and that its last writes may be lost.
#[test]
fn nodes_that_leave_at_once_beside_a_dead_one_tell_neither_that_they_were_given_up_nor_that_writes_may_be_lost() {
    let [mut a, mut b, c] = cluster(["a", "b", "c"]);
    a.ask("SADD lobby alice");
    b.eventually_shows("SMEMBERS lobby", &["\"alice\""]);
    a.eventually("STATS", "b has it", |lines| lines.contains(&"unconfirmed_ops:0".to_owned()));
    c.kill();
    for node in [&mut a, &mut b] {
        node.eventually("MEMBERS", "c is down", |lines| state_of(lines, "c") == Some("down"));
    }
    for node in [&a, &b] {
        node.signal(Signal::TERM);
    }
    for node in [&mut a, &mut b] {
        assert!(node.exit().success());
        let log = node.log();
        assert!(log.contains("not confirmed: c"), "{log}");
        for untrue in ["given this node up", "long silence", "new incarnation", "goes on under", "may be lost"] {
            assert!(!log.contains(untrue), "{log}");
        }
    }
}

#[test]
fn a_node_that_leaves_beside_a_stopped_one_tells_of_the_writes_that_nobody_has() {
    let [mut a, b] = cluster(["a", "b"]);
    b.stop();
    a.ask("SADD lobby alice");
    a.signal(Signal::TERM);
    assert!(a.exit().success());
    assert!(a.log().contains("the last writes of this node (1) may be lost"), "{}", a.log());
}

#[test]
fn quit_leaves_as_a_signal_does() {
    let [mut a, mut b] = cluster(["a", "b"]);
    b.send("QUIT\n");
    assert!(b.exit().success());
    a.eventually("MEMBERS", "b is gone", |lines| {
        let state = state_of(lines, "b");
        assert_ne!(state, Some("down"));
        state != Some("up")
    });
}

#[test]
fn a_node_that_left_can_come_back_under_its_name() {
    let [mut a, mut b] = cluster(["a", "b"]);
    b.ask("SADD lobby bob");
    b.send("QUIT\n");
    b.exit();
    let plan = b.plan.clone();
    let mut b = plan.start();
    assert_eq!(b.ask("SMEMBERS lobby"), ["1) \"bob\""]);
    a.eventually("MEMBERS", "b is up", |lines| state_of(lines, "b") == Some("up"));
}
