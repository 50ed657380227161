//! Deadlines and the lives of locks, by clocks that are wrong.

use super::*;

#[test]
fn a_lock_with_a_life_is_its_winner_s_until_that_is_over() {
    let wins = |history: &mut History, at: u64| {
        let other = asked(history, "SET lease theirs NX EX 5");
        (other.at, other.answer) = (at, Some((at + 10, Ok(Reply::Ok))));
    };
    // The first took it at 18 s and kept it at 20 s, for 5 s each time.
    for at in [22_000, 24_000] {
        rejects(homed::check, "two won", |history| wins(history, at));
    }
    let mut history = truth();
    wins(&mut history, 25_500);
    assert!(homed::check(&history).is_kept());
    rejects(homed::check, "does not see what", |history| answer(history, "GET lease", Reply::Nil));
}

#[test]
fn what_has_a_life_is_shown_until_its_deadline() {
    let reads = |history: &mut History, reply: Reply| {
        let reads = history
            .asked
            .iter_mut()
            .filter(|asked| matches!(&asked.ask, Ask::Command { words, .. } if words == "GET brief"));
        reads.for_each(|asked| asked.answer.as_mut().unwrap().1 = Ok(reply.clone()));
    };
    rejects(deadlines::check, "at 15000 ms", |history| reads(history, Reply::Bulk("v".into())));
    rejects(deadlines::check, "at 10000 ms", |history| reads(history, Reply::Nil));
}

/// A clock is set.
fn set_clock(history: &mut History, at_ms: u64, node: usize, ahead_ms: i64) {
    let event = plan::Event::Fault(Fault::SetClock { node, ahead_ms });
    history.plan.steps.push(Step { at_ms, event });
    history.plan.steps.sort_by_key(|step| step.at_ms);
}

#[test]
fn of_two_who_give_a_key_a_life_the_longer_holds() {
    let check = lives::check;
    for wrong in [5, -1, 8] {
        rejects(check, "was to live for (9, 9) s", |history| answer(history, "TTL mortal", Reply::Integer(wrong)));
    }
    rejects(check, "was to live:", |history| answer(history, "TTL mortal", Reply::Integer(-2)));
    rejects(check, "was to live no longer", |history| answer(history, "EXISTS mortal", Reply::Integer(1)));
    // Who had seen the longer takes it away.
    let mut history = truth();
    let longer = asked(&mut history, "EXPIRE mortal 9");
    let (author, (_, number)) = (longer.process.unwrap(), longer.wrote.unwrap());
    asked(&mut history, "EXPIRE mortal 5").saw.insert(author, number);
    answer(&mut history, "TTL mortal", Reply::Integer(5));
    assert!(check(&history).is_kept(), "{:?}", check(&history));
    // By a clock that is two seconds ahead the longer is set for later, and by who reads there is less left.
    for (node, left) in [(1, 11), (0, 7)] {
        let mut history = truth();
        set_clock(&mut history, if node == 1 { 20_500 } else { 21_200 }, node, 2_000);
        assert!(!check(&history).is_kept());
        answer(&mut history, "TTL mortal", Reply::Integer(left));
        assert!(check(&history).is_kept(), "{:?}", check(&history));
    }
}

#[test]
fn of_clocks_that_are_set_each_moment_is_judged_by_what_they_showed() {
    // One that shows the deadline hides it, and shows nothing from then on; one that does not yet may go on.
    rejects(deadlines::check, "it was set by client", |history| set_clock(history, 9_500, 1, 10_000));
    let mut history = truth();
    set_clock(&mut history, 9_500, 1, -10_000);
    assert!(deadlines::check(&history).is_kept());
    let reads = history.asked.iter_mut().filter(|asked| asked.ask.to_string() == "GET brief");
    reads.for_each(|read| read.answer.as_mut().unwrap().1 = Ok(Reply::Bulk("v".into())));
    assert!(deadlines::check(&history).is_kept());
    // Set long before, it excuses nothing.
    rejects(deadlines::check, "the last was set by client", |history| {
        set_clock(history, 1_000, 1, 10_000);
        set_clock(history, 2_000, 1, 0);
        asked(history, "GET brief").answer.as_mut().unwrap().1 = Ok(Reply::Nil);
    });
    let wins = |history: &mut History, ahead_ms: i64| {
        set_clock(history, 23_000, 2, ahead_ms);
        asked(history, "SET lease theirs NX EX 5").answer.as_mut().unwrap().1 = Ok(Reply::Ok);
    };
    rejects(homed::check, "two won", |history| wins(history, 500));
    let mut history = truth();
    wins(&mut history, 3_000);
    assert!(homed::check(&history).is_kept());
    let passes = |history: &mut History, ahead_ms: i64| {
        set_clock(history, 17_000, 0, ahead_ms);
        let served = asked(history, "BLPOP line 9").answer.replace((26_200, Ok(Reply::Nil)));
        asked(history, "BLPOP line 8").answer = served;
    };
    rejects(homed::check, "and not to client 7", |history| passes(history, -500));
    let mut history = truth();
    passes(&mut history, 3_000);
    assert!(homed::check(&history).is_kept());
}
