//! G7: messages, and what is told of changes.

use super::*;

#[test]
fn messages_come_once_in_order_and_none_is_lost_uncounted() {
    rejects(topics::check, "published later", |history| history.heard.swap(1, 3));
    rejects(topics::check, "2 times", |history| history.heard.insert(2, history.heard[1].clone()));
    rejects(topics::check, "nobody has published there", |history| {
        let Event::Message { payload, .. } = &mut history.heard[0].event else { panic!("the first is no gap") };
        *payload = "other".into();
    });
    rejects(topics::check, "nobody has published there", |history| history.heard[0].at = 1_000);
    rejects(topics::check, "nobody has published there", |history| history.heard[0].topic = "olds".to_owned());
    rejects(topics::check, "missed `PUBLISH news m2`", |history| drop(history.heard.remove(2)));
    rejects(topics::check, "missed `PUBLISH news late`", |history| history.heard.clear());
}

#[test]
fn who_hears_a_message_finds_what_was_written_before_it() {
    rejects(found::check, "and finds 0 of them", |history| history.heard[3].saw.clear());
    rejects(found::check, "hears b\"m4\"", |history| {
        let author = history.heard[4].process;
        let publisher = history.heard[4].saw.keys().copied().find(|origin| *origin != author).unwrap();
        for heard in &mut history.heard {
            *heard.saw.get_mut(&publisher).unwrap() -= 1;
        }
    });
}

#[test]
fn a_message_whose_loss_was_counted_is_not_held_against_anybody() {
    // Counted by whom, for whom, and when.
    for (by, of, between, is_kept) in [
        (0, 1, 15_000..15_400, true),
        (0, 2, 15_000..15_400, false),
        (2, 1, 15_000..15_400, false),
        (0, 1, 8_000..9_000, false),
        (0, 1, 19_000..20_000, false),
    ] {
        let mut history = truth();
        history.heard.remove(2);
        let peer = history.processes[of].origin;
        let count = |history: &mut History, from: u64| {
            let samples = history.samples.iter_mut().filter(|sample| sample.at > from);
            for seen in samples.filter_map(|sample| sample.nodes[by].as_mut()) {
                seen.stats.messages_dropped += 1;
                *seen.dropped_for.entry(peer).or_default() += 1;
            }
        };
        count(&mut history, between.start);
        assert_eq!(topics::check(&history).is_kept(), is_kept, "by {by} for {of} in {between:?}");
        history.heard.remove(2);
        assert!(!topics::check(&history).is_kept(), "one that was counted excuses one");
        count(&mut history, between.end);
        let excuses_two = is_kept && between.end < 16_000;
        assert_eq!(topics::check(&history).is_kept(), excuses_two, "by {by} for {of} in {between:?}, twice");
    }

    let mut history = truth();
    history.heard[2].event = Event::Gap { missed: Some(1) };
    assert!(topics::check(&history).is_kept());
    history.heard.remove(5);
    assert!(!topics::check(&history).is_kept(), "a gap says nothing about what came after it");
    history.heard.remove(3);
    history.heard[2].event = Event::Gap { missed: Some(3) };
    assert!(!topics::check(&history).is_kept(), "however much it says");
}

/// Something that goes wrong, and what it does to a history.
type Trouble = (&'static str, fn(&mut History));

/// What is seen of a node that is not together with another.
type Sight = fn(&mut Seen, Origin);

/// A lie: what n0 told n1 at 15.2 s was lost, and nobody counted it.
fn without_a_message() -> History {
    let mut history = truth();
    history.heard.remove(2);
    history
}

/// Something goes wrong, as the plan has it.
fn goes_wrong(history: &mut History, at_ms: u64, fault: Fault) {
    history.plan.steps.push(Step { at_ms, event: plan::Event::Fault(fault) });
    history.plan.steps.sort_by_key(|step| step.at_ms);
}

/// The samples around the time of the message.
fn samples_then(history: &mut History) -> impl Iterator<Item = &mut Sample> {
    history.samples.iter_mut().filter(|sample| (12_000..20_000).contains(&sample.at))
}

/// n0 is not linked to n2 then, and both hold each other for Down.
fn are_apart_of_the_third(history: &mut History) {
    for sample in samples_then(history) {
        for (one, other) in [(0, 2), (2, 0)] {
            let other = seen(sample, other).origin;
            let seen = seen(sample, one);
            seen.linked.retain(|peer| *peer != other);
            seen.members.insert(other, MemberState::Down);
        }
    }
}

#[test]
fn what_two_lose_is_held_against_them_whatever_happens_to_a_third() {
    let troubles: [Trouble; 6] = [
        ("is cut off", |history| {
            goes_wrong(history, 13_000, Fault::Cut { from: 0, to: 2 });
            goes_wrong(history, 13_000, Fault::Cut { from: 2, to: 0 });
            are_apart_of_the_third(history);
        }),
        ("is behind a narrow link, and stands still", |history| {
            goes_wrong(history, 13_000, Fault::Narrow { from: 0, to: 2, bytes_per_second: 200 });
            goes_wrong(history, 14_000, Fault::Pause { node: 2 });
            samples_then(history).for_each(|sample| seen(sample, 2).paused = true);
        }),
        ("restarts", |history| {
            goes_wrong(history, 13_000, Fault::Crash { node: 2 });
            goes_wrong(history, 18_000, Fault::Start { node: 2 });
            let before = history.processes.iter_mut().find(|process| process.node == 2).unwrap();
            let mut after = before.clone();
            before.until = Some((13_000, End::Died));
            (after.origin, after.from) = (Origin(99), 18_000);
            history.processes.push(after);
            samples_then(history).filter(|sample| sample.at < 18_000).for_each(|sample| sample.nodes[2] = None);
        }),
        ("leaves", |history| goes_wrong(history, 14_000, Fault::Leave { node: 2 })),
        ("loads a snapshot that breaks", |history| {
            goes_wrong(history, 13_000, Fault::BreakSnapshot { from: 0, to: 2 });
            samples_then(history).for_each(|sample| seen(sample, 2).loading = true);
            let later = history.samples.iter_mut().filter(|sample| sample.at > 14_500);
            later.for_each(|sample| sample.broken_snapshots = 1);
        }),
        ("has a subscriber that waits for what it has to load", |history| {
            are_apart_of_the_third(history);
            samples_then(history).for_each(|sample| seen(sample, 1).loading = true);
        }),
    ];
    for (words, trouble) in troubles {
        let mut history = truth();
        trouble(&mut history);
        assert!(topics::check(&history).is_kept(), "nothing is lost while it {words}");
        history.heard.remove(2);
        assert!(!topics::check(&history).is_kept(), "while it {words}");
        let peer = history.processes.iter().find(|process| process.node == 1).unwrap().origin;
        for sample in history.samples.iter_mut().filter(|sample| sample.at > 15_000) {
            seen(sample, 0).dropped_for.insert(peer, 1);
        }
        assert!(topics::check(&history).is_kept(), "it was counted while it {words}");
    }
}

#[test]
fn what_two_lose_while_something_is_wrong_between_them_is_nobodys_fault() {
    for fault in [
        Fault::Cut { from: 0, to: 1 },
        Fault::Cut { from: 1, to: 0 },
        Fault::Lose { from: 0, to: 1, percent: 5 },
        Fault::Narrow { from: 0, to: 1, bytes_per_second: 200 },
        Fault::Delay { from: 1, to: 0, min_ms: 1, max_ms: 4_000 },
        Fault::Clog { from: 0, to: 1, ms: 500 },
        Fault::Pause { node: 1 },
        Fault::Leave { node: 0 },
    ] {
        let mut history = without_a_message();
        goes_wrong(&mut history, 15_100, fault);
        assert!(topics::check(&history).is_kept(), "{fault}");
    }
    let sights: [Sight; 4] = [
        |seen, other| *seen.members.get_mut(&other).unwrap() = MemberState::Down,
        |seen, other| seen.linked.retain(|peer| *peer != other),
        |seen, _| seen.ready = false,
        |seen, _| seen.paused = true,
    ];
    for (index, sight) in sights.iter().enumerate() {
        for (node, other) in [(0, 1), (1, 0), (2, 0)] {
            let mut history = without_a_message();
            for sample in samples_then(&mut history) {
                let other = seen(sample, other).origin;
                sight(seen(sample, node), other);
            }
            assert_eq!(topics::check(&history).is_kept(), node < 2, "n{node} and n{other}, {index}");
        }
    }
    for (pair, is_kept) in [([0, 1], true), ([1, 0], true), ([0, 2], false)] {
        let mut history = without_a_message();
        goes_wrong(&mut history, 13_000, Fault::BreakSnapshot { from: pair[0], to: pair[1] });
        history.samples.iter_mut().filter(|sample| sample.at > 14_500).for_each(|sample| sample.broken_snapshots = 1);
        assert_eq!(topics::check(&history).is_kept(), is_kept, "{pair:?}");
    }
    let mut history = without_a_message();
    let process = history.processes.iter_mut().find(|process| process.node == 1).unwrap();
    process.until = Some((18_100, End::Reincarnated));
    let mut next = process.clone();
    (next.origin, next.from, next.until) = (Origin(99), 18_100, None);
    history.processes.push(next);
    assert!(topics::check(&history).is_kept(), "others held it for Gone");
}

#[test]
fn who_publishes_on_the_subscriber_s_node_needs_no_link() {
    for (fault, is_kept) in [(Fault::Cut { from: 0, to: 1 }, false), (Fault::Pause { node: 1 }, true)] {
        let mut history = without_a_message();
        goes_wrong(&mut history, 13_000, fault);
        let subscriber = history.processes.iter().find(|process| process.node == 1).unwrap().origin;
        let lost = asked(&mut history, "PUBLISH news m2");
        (lost.node, lost.process) = (1, Some(subscriber));
        lost.saw.clear();
        assert_eq!(topics::check(&history).is_kept(), is_kept, "{fault}");
    }
}

/// A message waits with the subscriber's node until all is there that its publisher had written before, and that may wait for a third node's writes.
#[test]
fn what_waits_for_a_thirds_writes_is_not_missed_while_that_cannot_tell_of_them() {
    let lags = |history: &mut History| {
        for sample in samples_then(history) {
            let author = seen(sample, 0).origin;
            *seen(sample, 1).vector.get_mut(&author).unwrap() = 1;
        }
    };
    let mut history = without_a_message();
    lags(&mut history);
    assert!(!topics::check(&history).is_kept(), "while all are well nothing is waited for so long");
    are_apart_of_the_third(&mut history);
    assert!(topics::check(&history).is_kept(), "{:?}", topics::check(&history));
}

/// The one who stops reading at 16.5 s never reads what came from then on, and its process dies at 25.5 s.
fn dies_with_a_message_unread() -> History {
    let mut history = truth();
    let process = history.heard[0].process;
    history.processes.iter_mut().find(|of| of.origin == process).unwrap().until = Some((25_500, End::Died));
    history.heard.retain(|heard| heard.at < 16_500 || heard.topic != "news");
    history
}

#[test]
fn what_a_client_had_not_read_when_its_process_died_is_not_missed() {
    let mut history = dies_with_a_message_unread();
    history.asked.retain(|asked| asked.ask != Ask::Listen);
    assert!(topics::check(&history).is_kept());
    let dawdle = history.asked.iter_mut().find(|asked| asked.ask == Ask::Dawdle).unwrap();
    dawdle.process = Some(Origin(99));
    assert!(!topics::check(&history).is_kept(), "it did not read in another process, and this one's it reads");
    history.asked.retain(|asked| asked.ask != Ask::Dawdle);
    assert!(!topics::check(&history).is_kept());
}

/// Found by storms 158, 352 and 522: a client wanted to read again while its node stood still, and that died so.
#[test]
fn what_a_client_wanted_to_read_while_its_process_stood_still_until_it_died_is_not_missed() {
    // When it wants to read again, and until when its process stands still, which begins at 21 s.
    for (listens_at, still_until, is_kept) in [
        (23_000, 30_000, true),
        (21_000, 30_000, true),
        (25_500, 24_000, true),
        (20_500, 30_000, false),
        (23_000, 24_000, false),
        (24_500, 24_000, false),
    ] {
        let mut history = dies_with_a_message_unread();
        history.asked.iter_mut().find(|asked| asked.ask == Ask::Listen).unwrap().at = listens_at;
        goes_wrong(&mut history, 21_000, Fault::Pause { node: 1 });
        goes_wrong(&mut history, still_until, Fault::Resume { node: 1 });
        let meanwhile = history.samples.iter_mut().filter(|sample| (21_000..still_until).contains(&sample.at));
        meanwhile.for_each(|sample| seen(sample, 1).paused = true);
        assert_eq!(topics::check(&history).is_kept(), is_kept, "it reads from {listens_at}, still until {still_until}");
    }
}

#[test]
fn who_follows_a_key_or_a_topic_knows_what_is_there() {
    let check = watchers::check;
    rejects(check, "is there", |history| history.copied[0].known = Shown::Missing);
    rejects(check, "is there", |history| shown_in_the_end(history, "set", |shown| *shown = Shown::Missing));
    rejects(check, "what does not fit", |history| history.copied[0].misfit = Some((9_000, "a change".to_owned())));
    let key = "headcount:presence:room";
    rejects(check, "tracked are", |history| shown_in_the_end(history, key, |shown| *shown = Shown::Missing));
    rejects(check, "tracked are", |history| {
        let is_untrack = |asked: &Asked| asked.ask == Ask::Untrack;
        history.asked.retain(|asked| !is_untrack(asked));
    });
    rejects(leaks::check, "watches is", |history| drop(history.copied.pop()));
}

#[test]
fn a_pattern_brings_the_messages_of_its_topics_and_says_so() {
    fn by_pattern(history: &mut History) -> &mut crate::history::Heard {
        history.heard.iter_mut().find(|heard| heard.is_pattern).unwrap()
    }
    rejects(topics::check, "as one of", |history| {
        let Event::Message { pattern, .. } = &mut by_pattern(history).event else { panic!("it is no gap") };
        *pattern = None;
    });
    rejects(topics::check, "nobody has published there", |history| {
        let Event::Message { topic, .. } = &mut by_pattern(history).event else { panic!("it is no gap") };
        *topic = "news".into();
    });
    rejects(topics::check, "missed `PUBLISH olds second`", |history| {
        let is_second = |heard: &&crate::history::Heard| matches!(&heard.event, Event::Message { payload, .. } if payload == "second");
        let index = history.heard.iter().position(|heard| is_second(&heard)).unwrap();
        history.heard.remove(index);
    });
    // Nobody seeks them any more.
    let mut history = truth();
    let mut end = history.asked.iter().find(|asked| matches!(asked.ask, Ask::SubscribePattern { .. })).unwrap().clone();
    (end.ask, end.at) = (Ask::UnsubscribePattern { pattern: "ol*".to_owned() }, 15_000);
    history.asked.push(end);
    history.heard.retain(|heard| !heard.is_pattern);
    assert!(topics::check(&history).is_kept(), "{:?}", topics::check(&history));
}

/// Found by storm 3460: a node stood still while its client asked to be present with something else, and gave that up.
#[test]
fn what_a_node_never_took_ends_nobodys_presence() {
    for (begun, is_kept) in [(None, true), (Some(50_000), false)] {
        let mut history = truth();
        let tracks = |asked: &&Asked| matches!(asked.ask, Ask::Track { .. });
        let mut again = history.asked.iter().find(tracks).unwrap().clone();
        (again.at, again.begun, again.wrote, again.answer) = (50_000, begun, None, None);
        history.asked.push(again);
        assert_eq!(watchers::check(&history).is_kept(), is_kept, "{begun:?}");
    }
}
