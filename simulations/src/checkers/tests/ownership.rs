//! G2 and G3: rows of the dead are not seen, and rows of the living are.

use super::*;

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
