//! G8 and G9: at rest nothing is left over, and caps hold.

use super::*;

#[test]
fn at_rest_nothing_is_left_over() {
    rejects(leaks::check, "open_calls is 1", |history| last(history, 0).stats.open_calls = 1);
    rejects(leaks::check, "unconfirmed_ops is 2", |history| last(history, 1).stats.unconfirmed_ops = 2);
    rejects(leaks::check, "oplog_bytes is 9", |history| last(history, 2).stats.oplog_bytes = 9);
    rejects(leaks::check, "subscriptions is 0, not 3", |history| last(history, 1).stats.subscriptions = 0);
    rejects(leaks::check, "topics is {}", |history| last(history, 2).topics.clear());
    rejects(leaks::check, "ghost", |history| last(history, 2).topics.push("ghost".into()));
    rejects(leaks::check, "watches is 1", |history| last(history, 2).stats.watches = 1);
}

#[test]
fn who_gives_up_an_unsubscribe_before_the_node_took_it_is_subscribed() {
    let begun_at = |begun: Option<u64>| {
        move |history: &mut History| {
            let is_it = |asked: &&Asked| matches!(asked.ask, Ask::Subscribe { .. });
            let mut later = history.asked.iter().rfind(is_it).unwrap().clone();
            let Ask::Subscribe { topic } = later.ask else { unreachable!() };
            let now = later.answer.take().unwrap().0 + 1;
            (later.ask, later.at, later.begun, later.given_up) =
                (Ask::Unsubscribe { topic }, now, begun, Some(now + 1));
            history.asked.push(later);
        }
    };
    let mut history = truth();
    begun_at(None)(&mut history);
    assert!(leaks::check(&history).is_kept(), "{:?}", leaks::check(&history));
    rejects(leaks::check, "subscriptions is", begun_at(Some(0)));
}

#[test]
fn caps_hold() {
    rejects(bounds::check, "memory_bytes", |history| last(history, 0).stats.memory_bytes = usize::MAX);
    rejects(bounds::check, "oplog_bytes", |history| {
        calm(history, 0, 10_000).for_each(|seen| seen.stats.oplog_bytes = 1 << 30);
    });
    // It was looked at often, and no round has come since the last write.
    let mut history = truth();
    let begin = history.samples.iter().position(|sample| sample.at >= history.calm_at + 10_000).unwrap();
    let writer = seen(&mut history.samples[begin], 0);
    writer.stats.oplog_bytes = 1 << 30;
    *writer.vector.get_mut(&writer.origin).unwrap() += 1;
    let often = history.samples[begin].clone();
    history.samples.splice(begin..begin, std::iter::repeat_n(often, 5));
    assert!(bounds::check(&history).is_kept(), "{:?}", bounds::check(&history));
    rejects(bounds::check, "garbage_frames", |history| last(history, 1).stats.garbage_frames = 1);
    rejects(bounds::check, "had waited, 1 may wait", |history| {
        history.plan.settings.subscriber_queue = 1;
        let again = history.heard.last().unwrap().clone();
        history.heard.push(again);
    });
    rejects(bounds::check, "subscriptions", |history| {
        history.plan.settings.max_subscriptions = 0;
    });
}

#[test]
fn caps_of_what_waits_and_of_memory_hold() {
    rejects(bounds::check, "queued_bytes", |history| last(history, 0).stats.queued_bytes = usize::MAX);
    rejects(bounds::check, "was granted `SADD set c`", |history| {
        asked(history, "SADD set c").memory_bytes = usize::MAX;
    });
    rejects(bounds::check, "origins", |history| last(history, 1).stats.origins += 10);
    rejects(bounds::check, "has 2 blocked pops open, 1 may be", |history| {
        history.plan.settings.max_blocked_pops = 1;
        asked(history, "BLPOP line 8").process = asked(history, "BLPOP line 9").process;
    });
    rejects(bounds::check, "calls to homes open, 0 may be", |history| history.plan.settings.max_homed_calls = 0);
}

#[test]
fn at_rest_nobody_speaks_of_the_dead_of_whom_no_row_is_left() {
    let check = leaks::check;
    let dead = truth().processes.iter().find(|process| process.until.is_some()).unwrap().origin;
    let release = |history: &mut History| (0..3).for_each(|node| last(history, node).held = false);
    rejects(check, "which is dead and of which there has been no row", |history| {
        release(history);
        (0..3).for_each(|node| last(history, node).authors.clear());
    });
    let mut history = truth();
    release(&mut history);
    last(&mut history, 1).authors.insert(dead);
    assert!(check(&history).is_kept(), "of whom there is a row: {:?}", check(&history));
    // Found by storm 2162: what a node erases it remembers for those who were absent when it joined, and whose that was with it.
    (0..3).for_each(|node| last(&mut history, node).authors.clear());
    assert!(!check(&history).is_kept());
    last(&mut history, 0).expects_strangers = true;
    assert!(check(&history).is_kept(), "for whom nobody has met: {:?}", check(&history));
    rejects(check, "for somebody who was silent, and nobody was", |history| {
        history.plan.settings.grace_ms = 600_000;
    });
    // Found by storm 2914 of the full world: whoever had never met somebody gave him up, while one whom it had Up still held him for Up.
    for has_met in [false, true] {
        let mut history = truth();
        for sample in &mut history.samples {
            for (node, seen) in sample.nodes.iter_mut().take(2).enumerate() {
                let Some(seen) = seen.as_mut().filter(|seen| seen.members.contains_key(&dead)) else { continue };
                if node == 1 || has_met && sample.at < 27_000 {
                    seen.members.insert(dead, MemberState::Up);
                } else {
                    seen.members.remove(&dead);
                }
            }
        }
        assert_eq!(check(&history).is_kept(), !has_met, "{:?}", check(&history));
    }
}

#[test]
fn at_rest_no_key_is_stored_that_nobody_sees() {
    rejects(leaks::check, "of which readers saw", |history| last(history, 0).stats.keys += 1);
    // It expires at the very end.
    let mut history = truth();
    shown_in_the_end(&mut history, "set", |shown| *shown = Shown::Missing);
    assert!(leaks::check(&history).is_kept());
    // Somebody looked again in the same moment, and not at all keys.
    let looked =
        history.samples.iter().rposition(|sample| sample.at + BEFORE_THE_END_MS <= history.samples.last().unwrap().at);
    let mut again = history.samples[looked.unwrap()].clone();
    again.nodes.iter_mut().flatten().for_each(|seen| seen.keys = Keys::default());
    history.samples.insert(looked.unwrap() + 1, again);
    assert!(leaks::check(&history).is_kept(), "{:?}", leaks::check(&history));
    let judged = leaks::check(&history).judged;
    assert_eq!(judged, leaks::check(&truth()).judged, "it has its say");
    last(&mut history, 0).stats.keys += 1;
    assert!(!leaks::check(&history).is_kept());
}
