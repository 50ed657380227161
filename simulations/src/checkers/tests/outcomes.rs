//! G5: what is left and what was answered follow from what was seen.

use super::*;

#[test]
fn what_is_left_in_the_end_has_a_witness() {
    let check = witness::check;
    let with_set = |change: fn(&mut Vec<Bytes>)| {
        move |shown: &mut Shown| {
            if let Shown::Set(members) = shown {
                change(members);
            }
        }
    };
    rejects(check, "which nothing took away", |history| {
        shown_in_the_end(history, "set", with_set(|members| members.retain(|member| member != "c")));
    });
    rejects(check, "had seen it took away", |history| {
        shown_in_the_end(history, "set", with_set(|members| members.insert(0, "a".into())));
    });
    rejects(check, "which nobody wrote", |history| {
        shown_in_the_end(history, "set", with_set(|members| members.push("zz".into())));
    });
    rejects(check, "may be", |history| shown_in_the_end(history, "sum", |shown| *shown = Shown::Value("8".into())));
    rejects(check, "may be", |history| shown_in_the_end(history, "text", |shown| *shown = Shown::Value("x".into())));
    rejects(check, "is missing", |history| shown_in_the_end(history, "text", |shown| *shown = Shown::Missing));
    rejects(check, "nothing is to be there", |history| {
        shown_in_the_end(history, "hash", |shown| {
            *shown = Shown::Hash(vec![("f".into(), "5".into()), ("g".into(), "3".into())]);
        });
    });
    let list =
        |elements: [&'static str; 4]| move |shown: &mut Shown| *shown = Shown::List(elements.map(Bytes::from).to_vec());
    rejects(check, "at the wrong side", |history| shown_in_the_end(history, "list", list(["p", "q", "r", "o"])));
    rejects(check, "not together", |history| shown_in_the_end(history, "list", list(["o", "q", "p", "r"])));
    rejects(check, "only, and shows", |history| {
        shown_in_the_end(history, "list", |shown| *shown = Shown::Set(Vec::new()));
    });
}

#[test]
fn an_order_on_one_redis_explains_what_is_left() {
    rejects(witness::check, "no order on one Redis", |history| {
        shown_in_the_end(history, "sum", |shown| *shown = Shown::Value("4".into()));
    });
    rejects(witness::check, "no order on one Redis", |history| {
        shown_in_the_end(history, "list", |shown| *shown = Shown::List(["r", "o", "p", "q"].map(Bytes::from).to_vec()));
    });
    rejects(witness::check, "no order on one Redis", |history| {
        shown_in_the_end(history, "hash", |shown| *shown = Shown::Hash(vec![("f".into(), "4".into())]));
    });
}

#[test]
fn a_removal_takes_only_what_it_had_seen() {
    rejects(witness::check, "which nothing took away", |history| {
        // Had it not seen the addition, what it removed would have stayed.
        let removal = asked(history, "SREM set b");
        removal.saw.values_mut().for_each(|seq| *seq = 0);
    });
}

#[test]
fn answers_follow_from_what_a_node_had_seen() {
    for (words, reply) in [
        ("SADD set a b", Reply::Integer(1)),
        ("SREM set a", Reply::Integer(0)),
        ("SCARD set", Reply::Integer(7)),
        ("INCRBY sum 4", Reply::Integer(4)),
        ("HINCRBY hash f 4", Reply::Integer(4)),
        ("HDEL hash g", Reply::Integer(0)),
        ("GET text", Reply::Bulk("x".into())),
        ("GET text", Reply::Nil),
        ("LRANGE list 0 -1", Reply::Array(vec!["p".into(), "q".into(), "o".into(), "r".into()].into())),
        ("RPUSH list r", Reply::Integer(3)),
        ("SMEMBERS set", Reply::Array(vec!["a".into()].into())),
        ("SINTER other set", Reply::Array(vec!["c".into()].into())),
        ("SINTER other set", Reply::Array(vec!["c".into(), "z".into(), "nowhere-else".into()].into())),
    ] {
        rejects(witness::check, words, |history| answer(history, words, reply));
    }
}

#[test]
fn what_was_written_while_a_snapshot_was_loaded_has_a_witness_too() {
    let without = |member: &'static str| {
        move |shown: &mut Shown| {
            if let Shown::Set(members) = shown {
                members.retain(|other| other != member);
            }
        }
    };
    rejects(witness::check, "which nothing took away", |history| {
        asked(history, "SADD set z").loading = true;
        shown_in_the_end(history, "set", without("c"));
    });
    rejects(witness::check, "may be", |history| {
        asked(history, "INCRBY sum 4").loading = true;
        shown_in_the_end(history, "sum", |shown| *shown = Shown::Value("8".into()));
    });
    rejects(witness::check, "had seen it took away", |history| {
        asked(history, "SREM set a").loading = true;
        shown_in_the_end(history, "set", |shown| {
            if let Shown::Set(members) = shown {
                members.insert(0, "a".into());
            }
        });
    });
}

#[test]
fn a_removal_may_have_taken_what_its_node_saw_of_a_snapshot_and_nothing_that_came_later() {
    for (is_loading, has_loaded, was_later) in
        [(false, false, false), (true, false, false), (false, true, false), (true, true, true)]
    {
        let mut history = truth();
        let (addition, removal) = (asked(&mut history, "SADD set a b").clone(), asked(&mut history, "SREM set b"));
        let author = addition.process.unwrap();
        removal.loading = is_loading;
        *removal.saw.get_mut(&author).unwrap() = 0;
        let process = removal.process.unwrap();
        if has_loaded {
            let since = history.samples.iter_mut().filter(|sample| sample.at > 9_500);
            since.for_each(|sample| seen(sample, 1).stats.snapshots_loaded = 1);
        }
        if was_later {
            asked(&mut history, "SADD set a b").at = 12_000;
        }
        assert_eq!(history.processes[1].origin, process);
        let may_have_taken_it = (is_loading || has_loaded) && !was_later;
        assert_eq!(witness::check(&history).is_kept(), may_have_taken_it, "{is_loading} {has_loaded} {was_later}");
    }
}

/// What happened when a node removed something, died, came back, and was forgotten under its former origin.
fn truth_of_the_forgotten() -> (History, Origin) {
    let mut told = Told(Vec::new());
    told.command(8_000, 0, 0, Via::Shared, "SET text x");
    told.command(8_500, 1, 2, Via::Shared, "DEL text");
    told.command(9_000, 0, 0, Via::Shared, "RPUSH list p");
    told.command(9_500, 1, 2, Via::Shared, "DEL list");
    told.0.push(Step { at_ms: 12_000, event: plan::Event::Fault(Fault::Crash { node: 2 }) });
    told.0.push(Step { at_ms: 13_000, event: plan::Event::Fault(Fault::Start { node: 2 }) });
    told.command(34_000, 0, 0, Via::Shared, "GET text");
    let plan = Plan { storm_ms: 35_000, steps: told.0, ..plan() };
    let history = play(&plan, &mut CoreWorld::of(&plan));
    let dead = history.processes.iter().find(|process| process.until.is_some()).unwrap().origin;
    let end = history.samples.last().unwrap();
    assert!(end.running().all(|(_, seen)| !seen.vector.contains_key(&dead) && seen.forgotten[&dead] == 2), "{end:#?}");
    (history, dead)
}

#[test]
fn what_the_dead_did_stays_seen_when_they_are_forgotten() {
    let (history, dead) = truth_of_the_forgotten();
    for verdict in check(&history) {
        assert!(verdict.is_kept(), "{verdict:#?}");
    }

    let mut lie = history.clone();
    assert_eq!(asked(&mut lie, "GET text").saw.remove(&dead), Some(2));
    let verdict = witness::check(&lie);
    assert!(verdict.broken.iter().any(|breach| breach.words.contains("is missing")), "{verdict:?}");

    let mut lie = history.clone();
    for node in 0..3 {
        last(&mut lie, node).forgotten.insert(dead, 0);
    }
    let verdict = witness::check(&lie);
    assert!(verdict.broken.iter().any(|breach| breach.words.contains("is missing")), "{verdict:?}");

    let mut lie = history;
    last(&mut lie, 1).forgotten.remove(&dead);
    let verdict = streams::check(&lie);
    assert!(verdict.broken.iter().any(|breach| breach.words.contains("now knows it up to None")), "{verdict:?}");
}

/// Found by hearsay 4441: what a node had counted and seen deleted goes with its own deletion too, wherever the first has not come.
#[test]
fn an_answer_follows_from_a_deletion_that_overtook_another() {
    let mut told = Told(Vec::new());
    told.command(8_000, 0, 0, Via::Shared, "INCRBY sum 3");
    told.0.push(Step { at_ms: 9_000, event: plan::Event::Fault(Fault::Cut { from: 2, to: 1 }) });
    told.command(9_000, 1, 2, Via::Shared, "DEL sum");
    told.command(9_000, 2, 1, Via::Shared, "INCRBY sum 4");
    told.command(9_050, 0, 0, Via::Shared, "DEL sum");
    told.command(9_100, 2, 1, Via::Shared, "INCRBY sum 5");
    told.0.push(Step { at_ms: 9_200, event: plan::Event::Fault(Fault::Mend { from: 2, to: 1 }) });
    let plan = Plan { storm_ms: 12_000, steps: told.0, ..plan() };
    let mut history = play(&plan, &mut CoreWorld::of(&plan));
    let removal = asked(&mut history, "DEL sum").clone();
    let last = asked(&mut history, "INCRBY sum 5").clone();
    assert!(!last.has_seen(&removal) && last.answer.is_some_and(|(_, reply)| reply == Ok(Reply::Integer(5))));
    for (sum, is_kept) in [(5, true), (8, false)] {
        answer(&mut history, "INCRBY sum 5", Reply::Integer(sum));
        assert_eq!(witness::check(&history).is_kept(), is_kept, "{sum}");
    }
}

#[test]
fn of_several_types_the_last_is_left() {
    for wrong in [Shown::Missing, Shown::Value("v".into()), Shown::Hash(vec![("f".into(), "1".into())])] {
        rejects(mixed::check, "is left by the last who wrote", |history| {
            shown_in_the_end(history, "mixed", |shown| *shown = wrong.clone());
        });
    }
    // Written at once: nothing is said.
    let mut history = truth();
    let (author, (_, last)) =
        (asked(&mut history, "SET mixed v").process.unwrap(), asked(&mut history, "SET mixed v").wrote.unwrap());
    let before = mixed::check(&history).judged;
    asked(&mut history, "DEL mixed").saw.insert(author, last - 1);
    assert!(mixed::check(&history).judged < before);
}

/// Found by split-brain 7129: who deleted knew the second to add a member, who knew the first, and did not know the first.
#[test]
fn what_came_last_of_several_types_had_seen_all_before_it() {
    let mut told = Told(Vec::new());
    told.command(8_000, 0, 0, Via::Shared, "SADD set a");
    told.command(8_500, 0, 0, Via::Shared, "DEL set other");
    told.0.push(Step { at_ms: 9_000, event: plan::Event::Fault(Fault::Cut { from: 2, to: 1 }) });
    told.command(9_000, 1, 2, Via::Shared, "SADD set b");
    told.command(9_050, 0, 0, Via::Shared, "SADD set b c");
    told.command(9_100, 2, 1, Via::Shared, "DEL set");
    told.0.push(Step { at_ms: 9_200, event: plan::Event::Fault(Fault::Mend { from: 2, to: 1 }) });
    let plan = Plan { storm_ms: 12_000, steps: told.0, ..plan() };
    let mut history = play(&plan, &mut CoreWorld::of(&plan));
    let first = asked(&mut history, "SADD set b").clone();
    let second = asked(&mut history, "SADD set b c").clone();
    let removal = asked(&mut history, "DEL set");
    assert!(second.has_seen(&first) && removal.has_seen(&second) && !removal.has_seen(&first));
    let verdict = mixed::check(&history);
    assert!(verdict.is_kept(), "{verdict:?}");
    assert_eq!(last(&mut history, 0).keys["set"], Shown::Set(vec!["b".into()]));

    // Had it seen the first too, nothing would be left.
    asked(&mut history, "DEL set").saw.insert(first.process.unwrap(), first.wrote.unwrap().1);
    let verdict = mixed::check(&history);
    assert!(verdict.broken.iter().any(|breach| breach.words.contains("Missing is left by the last")), "{verdict:?}");
}
