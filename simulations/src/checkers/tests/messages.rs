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

#[test]
fn what_a_client_had_not_read_when_its_process_died_is_not_missed() {
    let mut history = truth();
    let process = history.heard[0].process;
    history.processes.iter_mut().find(|of| of.origin == process).unwrap().until = Some((25_500, End::Died));
    history.asked.retain(|asked| asked.ask != Ask::Listen);
    history.heard.retain(|heard| heard.at < 16_500 || heard.topic != "news");
    assert!(topics::check(&history).is_kept());
    history.asked.retain(|asked| asked.ask != Ask::Dawdle);
    assert!(!topics::check(&history).is_kept());
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
