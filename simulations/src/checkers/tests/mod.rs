//! Each checker accepts what happened and rejects what did not: one true history, and false ones made of it.

mod loads;
mod told;

use std::sync::OnceLock;

use bytes::Bytes;
use headcount::Error::{Closed, OutcomeUnknown};
use headcount::{Event, MemberState, Reply};
use headcount_cluster::Origin;

use self::told::{Told, plan, plan_of_a_leave};
use super::stability::Stability;
use super::*;
use crate::core::CoreWorld;
use crate::history::{Asked, BEFORE_THE_END_MS, End, Keys, Sample, Seen, Shown};
use crate::plan::{self, Ask, Fault, HomeRequires, Plan, Step, Via};
use crate::play::play;

/// What happened.
fn truth() -> History {
    static TRUTH: OnceLock<History> = OnceLock::new();
    TRUTH.get_or_init(|| play(&plan(), &mut CoreWorld::of(&plan()))).clone()
}

/// Shows that a checker rejects what a lie makes of the truth, and says so in words with this in them.
fn rejects(check: fn(&History) -> Verdict, words: &str, lie: impl FnOnce(&mut History)) {
    let mut history = truth();
    let verdict = check(&history);
    assert!(verdict.is_kept() && verdict.judged > 0, "of the truth: {verdict:?}");
    lie(&mut history);
    assert!(history != truth(), "a lie has to differ from the truth");
    let verdict = check(&history);
    assert!(verdict.broken.iter().any(|breach| breach.words.contains(words)), "{words:?} is not told: {verdict:?}");
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        (&self.asked, &self.heard, &self.copied, &self.processes, &self.readied, &self.samples)
            == (&other.asked, &other.heard, &other.copied, &other.processes, &other.readied, &other.samples)
            && self.plan == other.plan
    }
}

fn seen(sample: &mut Sample, node: usize) -> &mut Seen {
    sample.nodes[node].as_mut().unwrap()
}

fn last(history: &mut History, node: usize) -> &mut Seen {
    seen(history.samples.last_mut().unwrap(), node)
}

/// All samples of a node in the calm, from so long after its beginning.
fn calm(history: &mut History, node: usize, from_ms: u64) -> impl Iterator<Item = &mut Seen> {
    let begin = history.calm_at + from_ms;
    history
        .samples
        .iter_mut()
        .filter(move |sample| sample.at >= begin)
        .filter_map(move |sample| sample.nodes[node].as_mut())
}

fn asked<'a>(history: &'a mut History, words: &str) -> &'a mut Asked {
    let is_it = |asked: &&mut Asked| matches!(&asked.ask, Ask::Command { words: of, .. } if of == words);
    history.asked.iter_mut().find(is_it).unwrap()
}

fn answer(history: &mut History, words: &str, reply: Reply) {
    asked(history, words).answer.as_mut().unwrap().1 = Ok(reply);
}

fn set<'a>(seen: &'a mut Seen, key: &str) -> &'a mut Vec<Bytes> {
    let shown = seen.keys.get_mut(key).unwrap();
    if *shown == Shown::Missing {
        *shown = Shown::Set(Vec::new());
    }
    if let Shown::Set(members) = shown { members } else { panic!("{key} is no set: {shown:?}") }
}

fn add(seen: &mut Seen, key: &str, member: &'static str) {
    let members = set(seen, key);
    members.push(member.into());
    members.sort();
}

/// Changes what all nodes show in the end.
fn shown_in_the_end(history: &mut History, key: &str, change: impl Fn(&mut Shown)) {
    for node in 0..3 {
        change(last(history, node).keys.get_mut(key).unwrap());
    }
}

#[test]
fn what_happened_keeps_every_promise_and_puts_each_to_the_test() {
    for verdict in check(&truth()) {
        // Of a leave there is another story.
        assert!(verdict.is_kept() && (verdict.judged > 0 || verdict.promise == "leaves"), "{verdict:#?}");
    }
}

#[test]
fn nodes_that_differ_or_are_not_together_have_not_converged() {
    rejects(convergence::check, "have differed for", |history| {
        calm(history, 1, 20_000).for_each(|seen| seen.digest ^= 1);
    });
    rejects(convergence::check, "still not together", |history| {
        calm(history, 1, 0).for_each(|seen| seen.linked.clear());
    });
    rejects(convergence::check, "still not together", |history| {
        calm(history, 0, 0).for_each(|seen| seen.members.values_mut().for_each(|state| *state = MemberState::Down));
    });
    rejects(convergence::check, "still not together", |history| {
        calm(history, 2, 0).for_each(|seen| seen.loading = true);
    });
    rejects(convergence::check, "were together only", |history| {
        let begin = history.calm_at;
        let early = history.samples.iter_mut().filter(|sample| (begin..begin + 25_000).contains(&sample.at));
        early.for_each(|sample| sample.nodes[0].as_mut().unwrap().paused = true);
    });
}

#[test]
fn rows_of_the_dead_are_not_to_be_seen() {
    rejects(orphans::check, "for Up", |history| {
        let late = history.samples.iter_mut().filter(|sample| sample.at > 31_000 && sample.at < 34_000);
        late.for_each(|sample| add(seen(sample, 0), "own", "mortal"));
    });
    rejects(orphans::check, "for Up, which ended at", |history| {
        let dead = history.processes[2].origin;
        let late = history.samples.iter_mut().filter(|sample| sample.at > 26_000 && sample.at < 38_000);
        late.for_each(|sample| {
            seen(sample, 0).members.insert(dead, MemberState::Up);
        });
    });
    rejects(orphans::check, "whose owner has ended", |history| add(last(history, 1), "own", "mortal"));
    rejects(orphans::check, "whose owner has ended", |history| add(last(history, 2), "own", "brief"));
    rejects(orphans::check, "whose owner has ended", |history| {
        *last(history, 0).keys.get_mut("fields").unwrap() =
            Shown::Hash(vec![("f".into(), "mortal".into()), ("g".into(), "alive".into())]);
    });
}

#[test]
fn rows_of_the_living_are_to_be_seen() {
    let forget = |seen: &mut Seen| set(seen, "own").retain(|member| member != "alive");
    rejects(false_death::check, "alive", |history| forget(last(history, 0)));
    rejects(false_death::check, "holds the owner for Up", |history| {
        // Also of an owner that dies later.
        let before = history.samples.iter_mut().filter(|sample| sample.at > 12_000 && sample.at < 20_000);
        before.for_each(|sample| set(seen(sample, 0), "own").retain(|member| member != "mortal"));
    });
    rejects(false_death::check, "holds the owner for Up", |history| {
        let while_another_was_dead =
            history.samples.iter_mut().filter(|sample| sample.at > 29_000 && sample.at < 33_500);
        while_another_was_dead.for_each(|sample| {
            seen(sample, 0).ready = false;
            forget(seen(sample, 0));
        });
    });
    rejects(false_death::check, "alive", |history| {
        history.samples.iter_mut().filter(|sample| sample.at > 19_500 && sample.at < 20_500).for_each(|sample| {
            *seen(sample, 2).keys.get_mut("fields").unwrap() = Shown::Missing;
        });
    });
}

#[test]
fn what_is_known_of_an_origin_grows_and_was_written() {
    let author = truth().samples.last().unwrap().nodes[0].as_ref().unwrap().origin;
    let dead = truth().processes.iter().find(|process| process.until.is_some()).unwrap().origin;
    rejects(streams::check, "and now knows it up to Some", |history| {
        *last(history, 1).vector.get_mut(&author).unwrap() -= 1;
    });
    rejects(streams::check, "and now knows it up to None", |history| {
        assert!(last(history, 1).vector.remove(&author).is_some());
    });
    rejects(streams::check, "which has written", |history| *last(history, 1).vector.get_mut(&author).unwrap() += 1);
    rejects(streams::check, "which has written", |history| {
        let after = history.samples.iter_mut().find(|sample| sample.at > 27_000).unwrap();
        *seen(after, 1).vector.get_mut(&dead).unwrap() += 1;
    });
}

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

#[test]
fn what_was_acknowledged_is_there_in_the_end() {
    let lose = |history: &mut History, words: &str| {
        let (author, (first, _)) = (asked(history, words).process.unwrap(), asked(history, words).wrote.unwrap());
        for sample in &mut history.samples {
            sample
                .nodes
                .iter_mut()
                .flatten()
                .filter_map(|seen| seen.vector.get_mut(&author))
                .for_each(|seq| *seq = first - 1);
        }
    };
    rejects(acknowledged::check, "SADD set after", |history| lose(history, "SADD set after"));
    rejects(acknowledged::check, "SADD set of-most", |history| lose(history, "SADD set of-most"));
    rejects(acknowledged::check, "SADD set of-all", |history| lose(history, "SADD set of-all"));
}

/// Takes all that one origin wrote from a node, from some time on.
fn forget(history: &mut History, node: usize, author: Origin, from: u64) {
    let seen = history.samples.iter_mut().filter(|sample| sample.at >= from).filter_map(|it| it.nodes[node].as_mut());
    seen.for_each(|seen| {
        seen.vector.remove(&author);
        seen.forgotten.remove(&author);
    });
}

#[test]
fn what_was_acknowledged_by_who_took_a_new_incarnation_is_there_in_the_end() {
    // The first node goes on under another origin, and everybody forgets the one that wrote, from the beginning or after having heard of it.
    let go_on = |history: &mut History, lives: bool| {
        let (at, old, new) = (27_000, history.processes[0].origin, Origin(77));
        history.processes[0].until = Some((at, if lives { End::Reincarnated } else { End::Died }));
        if lives {
            let again = crate::history::Process { node: 0, origin: new, from: at, until: None };
            history.processes.push(again);
        }
        history.asked.retain(|asked| asked.process != Some(old) || asked.at < at);
        for sample in history.samples.iter_mut().filter(|sample| sample.at >= at) {
            for seen in sample.nodes.iter_mut().flatten() {
                seen.origin = if seen.origin == old { new } else { seen.origin };
                if let Some(state) = seen.members.remove(&old) {
                    seen.members.insert(new, state);
                }
                seen.linked.iter_mut().filter(|peer| **peer == old).for_each(|peer| *peer = new);
                seen.linked.sort_unstable();
            }
        }
        old
    };
    rejects(acknowledged::check, "SADD set c", |history| {
        let old = go_on(history, true);
        (0..3).for_each(|node| forget(history, node, old, 0));
    });
    // It died, and one that lives was seen to have what it wrote.
    rejects(acknowledged::check, "SADD set c", |history| {
        let old = go_on(history, false);
        (0..3).for_each(|node| forget(history, node, old, 33_000));
    });
    // It died, and nobody who lives was.
    let mut history = truth();
    let old = go_on(&mut history, false);
    (0..3).for_each(|node| forget(&mut history, node, old, 0));
    assert!(acknowledged::check(&history).is_kept());
}

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
    let holds = |mut history: History| {
        let (one, other) =
            (asked(&mut history, "INCRBY spanning 2").clone(), asked(&mut history, "INCRBY spanning 3").clone());
        handover::knows_the_first(&Stability::of(&history), &one, &other, (one.at, other.answer.as_ref().unwrap().0))
    };
    assert!(holds(truth()));
    for excuse in excuses {
        let mut history = truth();
        excuse(&mut history);
        assert!(!holds(history));
    }
}

#[test]
fn what_a_pop_took_is_unknown_when_its_process_dies_around_its_giving_up() {
    let lost = |died: Option<u64>| {
        let mut history = truth();
        shown_in_the_end(&mut history, "queue", |shown| *shown = Shown::List(vec!["e2".into(), "e3".into()]));
        let pop = asked(&mut history, "BLPOP queue more 1");
        (pop.answer, pop.given_up) = (None, Some(14_000));
        let process = pop.process;
        let of_it = history.processes.iter_mut().filter(|one| Some(one.origin) == process);
        of_it.for_each(|one| one.until = died.map(|at| (at, End::Died)));
        homed::check(&history).broken.iter().any(|breach| breach.words.contains("that nobody popped"))
    };
    assert_eq!([None, Some(14_500), Some(19_000)].map(lost), [true, false, true]);
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
fn of_the_same_rows_all_readers_see_the_same() {
    rejects(convergence::check, "of the same rows", |history| {
        *last(history, 1).keys.get_mut("text").unwrap() = Shown::Value("x".into());
    });
}

#[test]
fn who_says_that_it_is_ready_has_what_the_others_had() {
    rejects(joiners::check, "less than any other had", |history| {
        let origin = history.processes.last().unwrap().origin;
        let joiner = history.readied.iter_mut().find(|readied| readied.origin == origin);
        joiner.unwrap().knew.clear();
    });
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

#[test]
fn nobody_waits_beside_an_element_while_all_is_quiet() {
    rejects(homed::check, "and beside it waits", |history| {
        asked(history, "BLPOP beside 9").answer = Some((22_000, Ok(Reply::Nil)));
    });
}

#[test]
fn homes_count_once_and_serve_in_turn() {
    rejects(homed::check, "grew by more than", |history| {
        let is_count =
            |asked: &&mut Asked| matches!(&asked.ask, Ask::Command { words, .. } if words == "INCRBY tickets 1");
        let counts = history.asked.iter_mut().filter(is_count);
        counts.last().unwrap().answer.as_mut().unwrap().1 = Ok(Reply::Integer(5));
    });
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
fn the_living_are_not_given_up_before_the_grace_is_over() {
    rejects(false_death::check, "gave it up", |history| {
        let alive = history.processes[1].origin;
        let late = history.samples.iter_mut().filter(|sample| sample.at > 20_000);
        late.for_each(|sample| {
            seen(sample, 0).members.remove(&alive);
        });
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

#[test]
fn who_asks_in_a_whole_cluster_is_answered() {
    let check = calm::check;
    let lock = "SET calm:lock:1 n1 NX EX 5";
    for lie in [None, Some(Err(OutcomeUnknown)), Some(Ok(Reply::Nil))] {
        rejects(check, lock, |history| {
            let asked = asked(history, lock);
            asked.answer = lie.map(|answer| (asked.at + 100, answer));
        });
    }
    rejects(check, "calm:count", |history| asked(history, "INCRBY calm:count 1").answer.as_mut().unwrap().0 += 2_000);
    rejects(check, "subscribe calm:topic", |history| {
        let mut subscriptions = history.asked.iter_mut().filter(|asked| matches!(asked.ask, Ask::Subscribe { .. }));
        subscriptions.next_back().unwrap().answer = None;
    });
    // Where something is wrong at the time, or the home may have no room for it, nothing is said.
    let mut history = truth();
    let (at, before) = (asked(&mut history, lock).at, calm::check(&history).judged);
    asked(&mut history, lock).answer = None;
    let around = history.samples.iter_mut().filter(|sample| sample.at <= at && at < sample.at + 1_000);
    around.for_each(|sample| seen(sample, 2).stats.memory_bytes = history.plan.settings.max_memory_bytes);
    let verdict = calm::check(&history);
    assert!(verdict.is_kept() && (1..before).contains(&verdict.judged), "{verdict:?}");
    let mut history = truth();
    asked(&mut history, lock).answer = None;
    history.samples.iter_mut().filter(|sample| sample.at > at).for_each(|sample| seen(sample, 0).paused = true);
    assert!(calm::check(&history).is_kept());
}

#[test]
fn what_others_had_to_have_they_had_when_it_was_answered() {
    for (words, had_by) in [("SADD set of-most", 1), ("SADD set of-all", 2), ("SADD calm:set peer.0", 1)] {
        rejects(acknowledged::check, "had to have by then", |history| {
            let asked = asked(history, words);
            assert!(asked.had_by >= Some(asked.holders));
            asked.had_by = Some(had_by);
        });
    }
    // One of them ended before it was answered.
    let mut history = truth();
    let asked = asked(&mut history, "SADD set of-most");
    asked.had_by = Some(1);
    let (at, author) = (asked.at, asked.process);
    asked.answer.as_mut().unwrap().0 = at + 10;
    let other = history.processes.iter_mut().find(|process| Some(process.origin) != author && process.until.is_none());
    other.unwrap().until = Some((at + 5, End::Died));
    let verdict = acknowledged::check(&history);
    assert!(!verdict.broken.iter().any(|breach| breach.words.contains("had to have by then")), "{verdict:?}");
}

#[test]
fn who_is_read_from_when_it_is_ready_has_what_the_others_knew() {
    let read = |history: &mut History, ready: bool| {
        let joiner = history.processes.last().unwrap().clone();
        let ask = Ask::Command { via: Via::Shared, words: "SMEMBERS set".to_owned() };
        let mut asked = Asked::of_nobody(20, joiner.node, &ask, joiner.from + 1);
        (asked.process, asked.ready) = (Some(joiner.origin), ready);
        history.asked.push(asked);
    };
    rejects(joiners::check, "is ready when it is asked `SMEMBERS set`", |history| read(history, true));
    let mut history = truth();
    read(&mut history, false);
    assert!(joiners::check(&history).is_kept());
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

#[test]
fn who_leaves_is_gone_at_once_and_what_it_had_answered_is_not() {
    let history = play(&plan_of_a_leave(), &mut CoreWorld::of(&plan_of_a_leave()));
    let verdict = parting::check(&history);
    assert!(verdict.is_kept() && verdict.judged > 0, "{verdict:?}");
    let leaver = history.processes.iter().find(|process| process.until.is_some()).unwrap().origin;
    let with = |lie: &dyn Fn(&mut Seen)| {
        let mut history = history.clone();
        let after = history.samples.iter_mut().filter(|sample| (17_000..22_000).contains(&sample.at));
        after.for_each(|sample| lie(seen(sample, 0)));
        parting::check(&history)
    };
    for state in [MemberState::Up, MemberState::Down] {
        let kept = with(&|seen| seen.members.extend([(leaver, state)]));
        assert!(kept.broken.iter().any(|breach| breach.words.contains("still has")), "{kept:?}");
    }
    let lost = with(&|seen| {
        seen.vector.remove(&leaver);
        seen.forgotten.remove(&leaver);
    });
    assert!(lost.broken.iter().any(|breach| breach.words.contains("had answered for 1")), "{lost:?}");
    // Who stands still has not been told.
    let excused = with(&|seen| {
        seen.paused = true;
        seen.members.insert(leaver, MemberState::Down);
    });
    assert!(excused.is_kept(), "{excused:?}");
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
    rejects(check, "for somebody who was silent, and nobody was", |history| {
        history.plan.settings.grace_ms = 600_000;
    });
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

#[test]
fn what_was_removed_before_a_row_was_written_excuses_nothing() {
    let removed_at = |history: &mut History, begun: u64| {
        let mut removal = asked(history, "DEL gone").clone();
        removal.ask = Ask::Command { via: Via::Shared, words: "DEL own".to_owned() };
        (removal.at, removal.begun, removal.answer) = (begun, Some(begun), Some((begun, Ok(Reply::Integer(1)))));
        history.asked.push(removal);
        set(last(history, 0), "own").retain(|member| member != "alive");
    };
    rejects(false_death::check, "alive", |history| removed_at(history, 8_150));
    let mut history = truth();
    removed_at(&mut history, 8_300);
    assert!(false_death::check(&history).is_kept());
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

#[test]
fn a_member_of_two_owners_is_to_be_seen_while_one_of_them_lives() {
    let forget = |history: &mut History| set(last(history, 0), "own").retain(|member| member != "both");
    rejects(false_death::check, "both", forget);
    // The session has ended, and with it alone the member is gone.
    let mut history = truth();
    forget(&mut history);
    let is_of_node =
        |asked: &&mut Asked| matches!(&asked.ask, Ask::Command { via: Via::Node, words } if words == "SADD own both");
    history.asked.iter_mut().find(is_of_node).unwrap().wrote = None;
    assert!(false_death::check(&history).is_kept());
}
