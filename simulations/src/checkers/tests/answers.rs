//! G6: homes answer once, and no element is lost.

use super::*;

#[test]
fn homes_answer_once() {
    let check = homed::check;
    for requires in [HomeRequires::Any, HomeRequires::Majority] {
        let with = |lie: fn(&mut History)| {
            move |history: &mut History| {
                history.plan.settings.home_requires = requires;
                lie(history);
            }
        };
        rejects(
            check,
            "one sum",
            with(|history| {
                let counts =
                    history.asked.iter_mut().filter(|asked| matches!(&asked.ask, Ask::Command { via: Via::Homed, .. }));
                counts.for_each(|asked| asked.answer.as_mut().unwrap().1 = Ok(Reply::Integer(1)));
            }),
        );
        rejects(check, "one former value", with(|history| answer(history, "GETSET swap s3", Reply::Bulk("s0".into()))));
        rejects(
            check,
            "two won",
            with(|history| {
                let locks = history
                    .asked
                    .iter_mut()
                    .filter(|asked| matches!(&asked.ask, Ask::Command { words, .. } if words.starts_with("SET lock")));
                locks.for_each(|asked| asked.answer.as_mut().unwrap().1 = Ok(Reply::Ok));
            }),
        );
        rejects(
            check,
            "one element",
            with(|history| {
                answer(history, "BLPOP queue more 1", Reply::Array(vec!["queue".into(), "e0".into()].into()));
            }),
        );
    }
    rejects(check, "was never pushed", |history| answer(history, "LPOP queue", Reply::Bulk("e9".into())));
    rejects(check, "sees less than", |history| answer(history, "GET tickets", Reply::Bulk("1".into())));
    rejects(check, "that nobody popped", |history| {
        shown_in_the_end(history, "queue", |shown| *shown = Shown::List(vec!["e3".into()]));
    });
    rejects(check, "is still in", |history| {
        history.plan.settings.home_requires = HomeRequires::Majority;
        shown_in_the_end(history, "queue", |shown| *shown = Shown::List(["e0", "e2", "e3"].map(Bytes::from).to_vec()));
    });
}

#[test]
fn homes_answer_once_while_nodes_come_and_go_and_who_was_answered_lives() {
    let twice = |history: &mut History| answer(history, "INCRBY spanning 3", Reply::Integer(2));
    rejects(homed::check, "one sum", twice);
    let excuses: [fn(&mut History); 4] = [
        |history| history.processes[0].until = Some((26_200, End::Died)),
        |history| {
            let (at_ms, pause) = (26_000, Fault::Pause { node: 1 });
            let place = history.plan.steps.partition_point(|step| step.at_ms <= at_ms);
            history.plan.steps.insert(place, Step { at_ms, event: plan::Event::Fault(pause) });
        },
        |history| {
            let before = history.samples.iter_mut().filter(|sample| (24_000..=25_500).contains(&sample.at));
            before.for_each(|sample| seen(sample, 1).linked.clear());
        },
        |history| {
            let later = history.samples.iter_mut().filter(|sample| (28_000..30_000).contains(&sample.at));
            later.for_each(|sample| seen(sample, 1).members.clear());
        },
    ];
    assert!(is_handed_over(&mut truth()));
    for excuse in excuses {
        let mut history = truth();
        excuse(&mut history);
        assert!(!is_handed_over(&mut history));
    }
}

#[test]
fn what_a_pop_took_is_unknown_when_its_process_dies_around_its_giving_up() {
    let lost = |(died, is_disturbed): (Option<u64>, bool)| {
        let mut history = truth();
        if is_disturbed {
            disturb(&mut history, 14_100);
        }
        shown_in_the_end(&mut history, "queue", |shown| *shown = Shown::List(vec!["e2".into(), "e3".into()]));
        let pop = asked(&mut history, "BLPOP queue more 1");
        (pop.answer, pop.given_up) = (None, Some(14_000));
        let process = pop.process;
        let of_it = history.processes.iter_mut().filter(|one| Some(one.origin) == process);
        of_it.for_each(|one| one.until = died.map(|at| (at, End::Died)));
        homed::check(&history).broken.iter().any(|breach| breach.words.contains("that nobody popped"))
    };
    let deaths = [(None, false), (None, true), (Some(14_500), false), (Some(19_000), false)];
    assert_eq!(deaths.map(lost), [true, true, false, true]);
    // Found by storm 266 of the full world: it did not hear what was popped for it, and died.
    assert!(!lost((Some(19_000), true)));
}

#[test]
fn an_answer_is_given_again_only_when_all_that_had_it_may_have_ended() {
    // Of all that were there more than half had it; and once all held the same, all had.
    for (has_settled, is_kept) in [(false, [false, true, true]), (true, [false, false, true])] {
        let mut history = truth();
        history.plan.settings.home_requires = HomeRequires::Majority;
        answer(&mut history, "GETSET swap s3", Reply::Bulk("s0".into()));
        let between = history.samples.iter_mut().filter(|sample| (12_100..13_100).contains(&sample.at));
        between.filter(|_| !has_settled).for_each(|sample| seen(sample, 1).digest ^= 1);
        for (process, is_kept) in is_kept.into_iter().enumerate() {
            history.processes[process].until = Some((12_900, End::Died));
            assert_eq!(homed::check(&history).is_kept(), is_kept, "{process} {has_settled}");
        }
    }
}

/// As if a link had been cut and mended, so that nothing is quiet.
/// Whether what spans the death of a home has to be answered in knowledge of what was before.
fn is_handed_over(history: &mut History) -> bool {
    let (one, other) = (asked(history, "INCRBY spanning 2").clone(), asked(history, "INCRBY spanning 3").clone());
    handover::knows_the_first(&Stability::of(history), &one, &other, (one.at, other.answer.as_ref().unwrap().0))
}

/// Found by thundering-join 6353: all seeds died and two of them started, found each other, and none of the others.
#[test]
fn the_next_home_learns_nothing_from_those_whom_nobody_of_a_new_cluster_knows() {
    for (finds_others, holds) in [(true, true), (false, false)] {
        let mut history = truth();
        for sample in history.samples.iter_mut().filter(|sample| (28_000..30_000).contains(&sample.at)) {
            let old = seen(sample, 0).clone();
            let new = [Origin(1), Origin(2)].map(|origin| {
                let members = [Origin(1), Origin(2)].map(|member| (member, MemberState::Up)).into();
                Some(Seen { origin, members, ..old.clone() })
            });
            sample.nodes.extend(new);
            if finds_others {
                sample.nodes[3].as_mut().unwrap().members.insert(old.origin, MemberState::Up);
                seen(sample, 0).members.insert(Origin(1), MemberState::Up);
            }
        }
        assert_eq!(is_handed_over(&mut history), holds, "{finds_others}");
    }
}

fn disturb(history: &mut History, at_ms: u64) {
    let faults = [(at_ms, Fault::Cut { from: 0, to: 1 }), (at_ms + 1, Fault::Mend { from: 0, to: 1 })];
    history.plan.steps.extend(faults.map(|(at_ms, fault)| Step { at_ms, event: plan::Event::Fault(fault) }));
    history.plan.steps.sort_by_key(|step| step.at_ms);
}

#[test]
fn an_answer_that_all_had_is_not_given_again_whatever_parted_them_afterwards() {
    let again = |history: &mut History| {
        disturb(history, 12_150);
        answer(history, "GETSET swap s3", Reply::Bulk("s0".into()));
    };
    rejects(homed::check, "one former value", again);
    // Parted before all had it.
    let mut history = truth();
    again(&mut history);
    for sample in history.samples.iter_mut().filter(|sample| (12_100..13_100).contains(&sample.at)) {
        seen(sample, 1).digest ^= 1;
    }
    assert!(homed::check(&history).is_kept());
    // Somebody was ready without it, between two looks at all nodes.
    for knows in [true, false] {
        let mut history = truth();
        again(&mut history);
        let at = asked(&mut history, "GETSET swap s3").answer.as_ref().unwrap().0;
        let before = history.until(at).last().unwrap();
        let all = before.nodes[0].as_ref().unwrap().vector.clone();
        let knew = if knows { all } else { Vector::new() };
        history.readied.push(Readied { origin: Origin(77), at, knew });
        assert_eq!(homed::check(&history).is_kept(), !knows);
        // Found by storm 8932: who had it left before the next look.
        for sample in history.samples.iter_mut().filter(|sample| sample.at > at) {
            sample.nodes.iter_mut().flatten().for_each(|seen| seen.vector.clear());
        }
        assert_eq!(homed::check(&history).is_kept(), !knows);
    }
}

/// Found by storm 872 of the full world: who had joined before the first of the answers was no excuse, though the split had not ended.
#[test]
fn an_answer_is_given_again_while_a_split_lasts_that_somebody_has_joined() {
    for (heals, is_kept) in [(false, true), (true, false)] {
        let mut history = truth();
        history.plan.settings.home_requires = HomeRequires::Majority;
        answer(&mut history, "GETSET swap s3", Reply::Bulk("s0".into()));
        disturb(&mut history, 12_500);
        history.processes[2].from = 11_000;
        let one = history.processes[1].origin;
        for sample in &mut history.samples {
            if sample.at < 11_000 {
                sample.nodes[2] = None;
            }
            let is_split = !heals || sample.at < 12_000;
            if (10_000..14_000).contains(&sample.at) && is_split {
                seen(sample, 0).members.remove(&one);
            }
        }
        assert_eq!(homed::check(&history).is_kept(), is_kept, "{heals}");
    }
}

#[test]
fn a_lock_is_its_winner_s_until_something_ends_it() {
    let check = homed::check;
    // The removal was answered before anybody had asked for the lock.
    let all_win = |history: &mut History| {
        let is_lock =
            |asked: &&mut Asked| matches!(&asked.ask, Ask::Command { words, .. } if words.starts_with("SET lock"));
        history.asked.iter_mut().filter(is_lock).for_each(|asked| asked.answer.as_mut().unwrap().1 = Ok(Reply::Ok));
    };
    rejects(check, "two won", all_win);
    let mut history = truth();
    all_win(&mut history);
    asked(&mut history, "DEL lock").at = 12_250;
    (asked(&mut history, "DEL lock")).answer = Some((13_500, Ok(Reply::Integer(1))));
    assert!(check(&history).is_kept(), "it may have been opened in between");
    for other in [Reply::Nil, Reply::Bulk("other".into())] {
        rejects(check, "does not see what", |history| answer(history, "GET lock", other));
    }
    rejects(check, "at the end n0 shows", |history| {
        shown_in_the_end(history, "lock", |shown| *shown = Shown::Value("other".into()));
    });
}

#[test]
fn no_two_replace_the_same_value() {
    let told_yes = |n: usize| {
        move |history: &mut History| {
            let is_exchange = |asked: &&mut Asked| matches!(&asked.ask, Ask::CompareAndSet { seconds: None, .. });
            let exchange = history.asked.iter_mut().filter(is_exchange).nth(n).unwrap();
            exchange.answer.as_mut().unwrap().1 = Ok(Reply::Bulk("x0".into()));
        }
    };
    rejects(homed::check, "one former value", told_yes(3));
}

/// Found by storm 1768 of the full world: what a session had pushed was missed after the session had ended.
#[test]
fn what_a_session_pushed_is_lost_when_it_has_ended() {
    for (via, ends, is_lost) in [
        (Via::Session, Some(1), false),
        (Via::Session, Some(-1), true),
        (Via::Session, None, true),
        (Via::Shared, Some(1), true),
    ] {
        let mut history = truth();
        shown_in_the_end(&mut history, "queue", |shown| *shown = Shown::List(vec!["e3".into()]));
        let push = asked(&mut history, "RPUSH queue e2");
        push.ask = Ask::Command { via, words: "RPUSH queue e2".to_owned() };
        let (client, node, at) = (push.client, push.node, push.at);
        let end =
            ends.map(|later: i64| Asked::of_nobody(client, node, &Ask::EndSession, at.saturating_add_signed(later)));
        history.asked.extend(end);
        let verdict = homed::check(&history);
        let words = verdict.broken.iter().any(|breach| breach.words.contains("that nobody popped"));
        assert_eq!(words, is_lost, "{via:?} {ends:?}: {verdict:?}");
    }
}

#[test]
fn no_more_is_lost_than_pops_may_have_taken_unheard() {
    let lost = |errors: [headcount::Error; 2]| {
        let mut history = truth();
        shown_in_the_end(&mut history, "queue", |shown| *shown = Shown::List(vec!["e3".into()]));
        for (words, error) in ["BLPOP queue more 1", "LPOP queue"].into_iter().zip(errors) {
            asked(&mut history, words).answer.as_mut().unwrap().1 = Err(error);
        }
        homed::check(&history).broken.iter().any(|breach| breach.words.contains("that nobody popped"))
    };
    assert!(lost([OutcomeUnknown, OutcomeUnknown]), "three are missing");
    assert!(lost([OutcomeUnknown, Closed]));
    let mut history = truth();
    asked(&mut history, "LPOP queue").answer.as_mut().unwrap().1 = Err(OutcomeUnknown);
    assert!(homed::check(&history).is_kept(), "one is missing");
    asked(&mut history, "LPOP queue").answer.as_mut().unwrap().1 = Err(Closed);
    assert!(!homed::check(&history).is_kept(), "nothing was done");
    // Whoever leaves hears first what was popped for it, unless its home falls silent.
    let (process, at) = (asked(&mut history, "LPOP queue").process.unwrap(), asked(&mut history, "LPOP queue").at);
    history.processes.iter_mut().find(|of| of.origin == process).unwrap().until = Some((at + 10, End::Left));
    assert!(!homed::check(&history).is_kept(), "it waits for its home");
    let fault = Step { at_ms: at + 5, event: plan::Event::Fault(Fault::Crash { node: 2 }) };
    history.plan.steps.push(fault);
    history.plan.steps.sort_by_key(|step| step.at_ms);
    assert!(homed::check(&history).is_kept(), "its home may be dead");
}

#[test]
fn an_answer_is_given_again_by_who_started_alone_and_not_by_who_joined() {
    // One that had been there for long, and one that started between the answers.
    for (from, knows_others, is_kept) in
        [(1_000, true, false), (1_000, false, true), (12_600, true, false), (12_600, false, true)]
    {
        let mut history = truth();
        history.plan.settings.home_requires = HomeRequires::Majority;
        answer(&mut history, "GETSET swap s3", Reply::Bulk("s0".into()));
        history.processes[2].from = from;
        let third = history.processes[2].origin;
        for sample in &mut history.samples {
            if sample.at < from {
                sample.nodes[2] = None;
            }
            if !knows_others {
                for seen in sample.nodes.iter_mut().flatten() {
                    seen.members.remove(&third);
                }
                sample.nodes[2].iter_mut().for_each(|seen| seen.members.clear());
            }
        }
        assert_eq!(homed::check(&history).is_kept(), is_kept, "{from} {knows_others}");
    }
}

#[test]
fn nobody_waits_beside_an_element_while_all_is_quiet() {
    rejects(homed::check, "and beside it waits", |history| {
        asked(history, "BLPOP beside 9").answer = Some((22_000, Ok(Reply::Nil)));
    });
}

/// Found by storm 5626: who had begun to wait before most of the others died was held for passed over.
#[test]
fn somebody_may_wait_beside_an_element_while_no_majority_runs() {
    for (requires, dead, is_kept) in [
        (HomeRequires::Majority, vec![1, 2], true),
        (HomeRequires::Majority, vec![2], false),
        (HomeRequires::Any, vec![1, 2], false),
    ] {
        let mut history = truth();
        history.plan.settings.home_requires = requires;
        asked(&mut history, "BLPOP beside 9").answer = Some((22_000, Ok(Reply::Nil)));
        for sample in history.samples.iter_mut().filter(|sample| (13_500..20_000).contains(&sample.at)) {
            for node in &dead {
                sample.nodes[*node] = None;
            }
        }
        let verdict = homed::check(&history);
        let waits = verdict.broken.iter().any(|breach| breach.words.contains("and beside it waits"));
        assert_eq!(!waits, is_kept, "{requires:?} {dead:?}: {verdict:?}");
    }
}

fn counted_too_much(history: &mut History) {
    let is_count = |asked: &&mut Asked| matches!(&asked.ask, Ask::Command { words, .. } if words == "INCRBY tickets 1");
    let counts = history.asked.iter_mut().filter(is_count);
    counts.last().unwrap().answer.as_mut().unwrap().1 = Ok(Reply::Integer(5));
}

/// Found by cut-off 5049: a home was cut off and Down for a moment between two looks, and what it had counted unheard came to light.
#[test]
fn what_two_homes_counted_is_no_breach_where_one_went_down_between_two_looks() {
    for (went_down, is_kept) in [(11_500, false), (12_500, true), (13_500, false)] {
        let mut history = truth();
        counted_too_much(&mut history);
        let later = history.samples.iter_mut().filter(|sample| sample.at > went_down);
        later.flat_map(|sample| &mut sample.nodes[1]).for_each(|seen| seen.suspicions += 1);
        let verdict = homed::check(&history);
        let grew = verdict.broken.iter().any(|breach| breach.words.contains("grew by more than"));
        assert_eq!(!grew, is_kept, "{went_down}: {verdict:?}");
    }
}

#[test]
fn homes_count_once_and_serve_in_turn() {
    rejects(homed::check, "grew by more than", counted_too_much);
    rejects(homed::check, "has to be at least", |history| {
        answer(history, "INCRBY spanning 3", Reply::Integer(0));
    });
    rejects(homed::check, "sees less than", |history| {
        // Also on a node that was told nothing, once all have had it.
        let reads = history.asked.iter_mut().filter(|asked| asked.ask.to_string() == "GET tickets");
        reads.last().unwrap().answer.as_mut().unwrap().1 = Ok(Reply::Bulk("3".into()));
        disturb(history, 12_150);
    });
    rejects(homed::check, "and not to client 7", |history| {
        let served = asked(history, "BLPOP line 9").answer.replace((26_200, Ok(Reply::Nil)));
        asked(history, "BLPOP line 8").answer = served;
    });
}

#[test]
fn an_element_comes_back_only_for_somebody_who_did_not_get_it() {
    let again = |history: &mut History| {
        disturb(history, 11_500);
        asked(history, "LPOP queue").at = 11_450;
        asked(history, "LPOP queue").answer = Some((11_600, Ok(Reply::Bulk("e0".into()))));
        answer(history, "BLPOP queue more 1", Reply::Array(vec!["queue".into(), "e0".into()].into()));
    };
    rejects(homed::check, "one element", again);
    // A third had popped it on another side, and gave up.
    let mut history = truth();
    again(&mut history);
    let mut third = asked(&mut history, "LPOP queue").clone();
    (third.client, third.answer, third.given_up) = (12, None, Some(11_700));
    history.asked.push(third);
    let verdict = homed::check(&history);
    assert!(!verdict.broken.iter().any(|breach| breach.words.contains("one element")), "{verdict:?}");
}

#[test]
fn a_value_that_two_homes_may_have_written_is_replaced_by_each() {
    let twice = |history: &mut History| answer(history, "GETSET swap s3", Reply::Bulk("s0".into()));
    rejects(homed::check, "one former value", twice);
    let mut history = truth();
    twice(&mut history);
    let written = asked(&mut history, "GETSET swap s0").at;
    disturb(&mut history, written);
    assert!(homed::check(&history).is_kept());
}
