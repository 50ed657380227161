//! What commands answer, on one node: as Redis does.

use headcount_cluster::WallMs;

use crate::dot::Owner;
use crate::error::Error;
use crate::limits::{Limits, MAX_KEPT_LIST};
use crate::reply::{Ttl, Type};
use crate::shared::list::End;
use crate::state::State;

const NOW: WallMs = WallMs(1_000_000);
const SHARED: Owner = Owner::SHARED;

fn node() -> State {
    State::local(Limits::default(), 0)
}

#[test]
fn a_set_counts_what_is_new_and_what_was_there() {
    let mut node = node();
    assert_eq!(node.sadd(SHARED, b"s", &[b"a", b"b", b"a"], NOW), Ok(2));
    assert_eq!(node.sadd(SHARED, b"s", &[b"a", b"c"], NOW), Ok(1));
    assert_eq!(node.scard(b"s", NOW), Ok(3));
    assert_eq!(node.srem(b"s", &[b"a", b"a", b"x"], NOW), Ok(1));
    assert_eq!(node.sismember(b"s", b"a", NOW), Ok(false));
    assert_eq!(node.sismember(b"missing", b"a", NOW), Ok(false));
    node.check_invariants();
}

#[test]
fn an_intersection_has_what_all_have_and_a_missing_set_empties_it() {
    let mut node = node();
    node.sadd(SHARED, b"a", &[b"1", b"2", b"3"], NOW).unwrap();
    node.sadd(SHARED, b"b", &[b"2", b"3", b"4"], NOW).unwrap();
    let mut both = node.sinter(&[b"a", b"b"], NOW).unwrap();
    both.sort();
    assert_eq!(both, ["2", "3"]);
    assert_eq!(node.sinter(&[b"a", b"missing"], NOW).unwrap().len(), 0);
    node.set(SHARED, b"text", b"x", None, NOW).unwrap();
    assert!(matches!(node.sinter(&[b"missing", b"text"], NOW), Err(Error::WrongType { .. })));
}

#[test]
fn a_hash_counts_new_fields_and_the_last_of_two_values_stays() {
    let mut node = node();
    assert_eq!(node.hset(SHARED, b"h", &[b"f", b"1", b"g", b"2", b"f", b"3"], NOW), Ok(2));
    assert_eq!(node.hget(b"h", b"f", NOW).unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(node.hset(SHARED, b"h", &[b"f", b"4"], NOW), Ok(0));
    assert_eq!(node.hlen(b"h", NOW), Ok(2));
    assert_eq!(node.hexists(b"h", b"x", NOW), Ok(false));
    assert_eq!(node.hdel(b"h", &[b"f", b"f", b"x"], NOW), Ok(1));
    assert_eq!(node.hdel(b"h", &[b"g"], NOW), Ok(1));
    assert_eq!(node.exists(&[b"h"], NOW), Ok(0), "the last field takes the key with it");
    node.check_invariants();
}

fn texts(values: Vec<bytes::Bytes>) -> Vec<String> {
    values.into_iter().map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

fn pop(node: &mut State, end: End) -> Option<bytes::Bytes> {
    node.pop(end, b"l", |_| None, NOW).unwrap().into_value()
}

#[test]
fn a_list_grows_and_shrinks_at_both_ends_and_goes_with_its_last_element() {
    let mut node = node();
    assert_eq!(node.push(SHARED, End::Right, b"l", &[b"c", b"d"], NOW), Ok(2));
    assert_eq!(node.push(SHARED, End::Left, b"l", &[b"b", b"a"], NOW), Ok(4));
    assert_eq!(texts(node.lrange(b"l", 0, -1, NOW).unwrap()), ["a", "b", "c", "d"]);
    assert_eq!(pop(&mut node, End::Left).as_deref(), Some(&b"a"[..]));
    assert_eq!(pop(&mut node, End::Right).as_deref(), Some(&b"d"[..]));
    assert_eq!(node.llen(b"l", NOW), Ok(2));
    node.expire(b"l", 100, NOW).unwrap();
    pop(&mut node, End::Right);
    pop(&mut node, End::Right);
    assert_eq!(pop(&mut node, End::Right), None);
    assert_eq!((node.exists(&[b"l"], NOW), node.stats().keys, node.stats().rows), (Ok(0), 0, 0));
    assert_eq!(node.push(SHARED, End::Right, b"l", &[], NOW), Err(Error::WrongArity { command: "rpush".into() }));
    node.sadd(SHARED, b"s", &[b"a"], NOW).unwrap();
    assert!(matches!(node.pop(End::Left, b"s", |_| None, NOW), Err(Error::WrongType { needed: Type::List, .. })));
    assert!(matches!(node.push(SHARED, End::Left, b"s", &[b"x"], NOW), Err(Error::WrongType { .. })));
    node.check_invariants();
}

#[test]
fn a_range_counts_from_either_end_and_is_cut_to_what_is_there() {
    let mut node = node();
    node.push(SHARED, End::Right, b"l", &[b"a", b"b", b"c"], NOW).unwrap();
    for (start, stop, expected) in [
        (0, 0, "a"),
        (0, 1, "ab"),
        (-2, -1, "bc"),
        (-100, 100, "abc"),
        (1, 0, ""),
        (3, 5, ""),
        (-1, -2, ""),
        (i64::MIN, i64::MAX, "abc"),
        (i64::MAX, i64::MAX, ""),
        (i64::MIN, i64::MIN, ""),
        (0, -4, ""),
    ] {
        assert_eq!(texts(node.lrange(b"l", start, stop, NOW).unwrap()).concat(), expected, "{start} {stop}");
    }
    assert_eq!(node.lrange(b"missing", 0, -1, NOW), Ok(vec![]));
}

#[test]
fn counters_count_from_text_and_refuse_what_is_no_integer_or_too_large() {
    let mut node = node();
    assert_eq!(node.incrby(SHARED, b"n", 1, NOW), Ok(1));
    assert_eq!(node.incrby(SHARED, b"n", -3, NOW), Ok(-2));
    node.set(SHARED, b"t", b"41", None, NOW).unwrap();
    assert_eq!(node.incrby(SHARED, b"t", 1, NOW), Ok(42));
    assert_eq!(node.get(b"t", NOW).unwrap().as_deref(), Some(&b"42"[..]));
    node.set(SHARED, b"x", b"4 1", None, NOW).unwrap();
    assert_eq!(node.incrby(SHARED, b"x", 1, NOW), Err(Error::NotAnInteger));
    node.set(SHARED, b"max", i64::MAX.to_string().as_bytes(), None, NOW).unwrap();
    assert_eq!(node.incrby(SHARED, b"max", 1, NOW), Err(Error::Overflow));
    node.hset(SHARED, b"h", &[b"f", b"x"], NOW).unwrap();
    assert_eq!(node.hincrby(SHARED, b"h", b"f", 1, NOW), Err(Error::HashValueNotAnInteger));
    assert_eq!(node.hincrby(SHARED, b"h", b"n", i64::MIN, NOW), Ok(i64::MIN));
    assert_eq!(node.hincrby(SHARED, b"h", b"n", -1, NOW), Err(Error::Overflow));
}

#[test]
fn a_wrong_type_names_both_types() {
    let mut node = node();
    node.sadd(SHARED, b"s", &[b"a"], NOW).unwrap();
    let error = node.hset(SHARED, b"s", &[b"f", b"v"], NOW).unwrap_err();
    assert_eq!(error, Error::WrongType { key: "s".into(), found: Type::Set, needed: Type::Hash });
    assert!(error.to_string().starts_with("WRONGTYPE ") && error.to_string().contains("set"), "{error}");
    assert!(matches!(node.get(b"s", NOW), Err(Error::WrongType { .. })));
    assert!(matches!(node.incrby(SHARED, b"s", 1, NOW), Err(Error::WrongType { .. })));
    node.set(SHARED, b"s", b"v", None, NOW).unwrap();
    assert_eq!(node.get(b"s", NOW).unwrap().as_deref(), Some(&b"v"[..]), "SET replaces any type");
    node.check_invariants();
}

#[test]
fn keys_expire_at_their_deadline_and_not_before() {
    let mut node = node();
    node.set(SHARED, b"k", b"v", Some(10), NOW).unwrap();
    assert_eq!(node.ttl(b"k", NOW).unwrap().as_seconds(), 10);
    assert!(node.get(b"k", NOW.plus_ms(9_999)).unwrap().is_some());
    assert_eq!(node.get(b"k", NOW.plus_ms(10_000)), Ok(None));
    assert_eq!(node.ttl(b"k", NOW.plus_ms(10_000)), Ok(Ttl::Missing));
    node.handle_time(NOW.plus_ms(10_000));
    assert_eq!(node.stats().keys, 0);
}

#[test]
fn expiry_is_set_kept_and_taken_away_as_in_redis() {
    let mut node = node();
    assert_eq!(node.expire(b"missing", 10, NOW), Ok(false));
    node.sadd(SHARED, b"s", &[b"a"], NOW).unwrap();
    assert_eq!(node.ttl(b"s", NOW), Ok(Ttl::Never));
    assert_eq!(node.persist(b"s", NOW), Ok(false));
    assert_eq!(node.expire(b"s", 10, NOW), Ok(true));
    node.sadd(SHARED, b"s", &[b"b"], NOW).unwrap();
    assert_eq!(node.ttl(b"s", NOW).unwrap().as_seconds(), 10, "SADD keeps it");
    assert_eq!(node.persist(b"s", NOW), Ok(true));
    assert_eq!(node.ttl(b"s", NOW), Ok(Ttl::Never));
    node.expire(b"s", 10, NOW).unwrap();
    node.set(SHARED, b"s", b"v", None, NOW).unwrap();
    assert_eq!(node.ttl(b"s", NOW), Ok(Ttl::Never), "SET clears it");
    node.expire(b"s", 5, NOW).unwrap();
    node.expire(b"s", 50, NOW).unwrap();
    assert_eq!(node.ttl(b"s", NOW).unwrap().as_seconds(), 50);
    assert_eq!(node.expire(b"s", -1, NOW), Ok(true), "a deadline in the past deletes");
    assert_eq!(node.exists(&[b"s"], NOW), Ok(0));
    assert_eq!(node.set(SHARED, b"s", b"v", Some(0), NOW), Err(Error::InvalidExpiry { command: "setex" }));
    node.sadd(SHARED, b"s", &[b"a"], NOW).unwrap();
    assert_eq!(node.expire(b"s", i64::MAX, NOW), Err(Error::InvalidExpiry { command: "expire" }));
    node.check_invariants();
}

#[test]
fn a_key_written_after_its_deadline_begins_anew() {
    let mut node = node();
    node.sadd(SHARED, b"s", &[b"old"], NOW).unwrap();
    node.expire(b"s", 1, NOW).unwrap();
    let later = NOW.plus_ms(1_500);
    assert_eq!(node.sadd(SHARED, b"s", &[b"new"], later), Ok(1));
    assert_eq!(node.smembers(b"s", later).unwrap(), ["new"]);
    assert_eq!(node.ttl(b"s", later), Ok(Ttl::Never));
}

#[test]
fn the_last_member_takes_the_expiry_with_it() {
    let mut node = node();
    node.sadd(SHARED, b"s", &[b"a"], NOW).unwrap();
    node.expire(b"s", 10, NOW).unwrap();
    node.srem(b"s", &[b"a"], NOW).unwrap();
    assert_eq!(node.stats().rows, 0);
    node.sadd(SHARED, b"s", &[b"b"], NOW).unwrap();
    assert_eq!(node.ttl(b"s", NOW), Ok(Ttl::Never));
}

#[test]
fn hincrbyex_counts_and_sets_the_expiry_or_does_neither() {
    let mut node = node();
    assert_eq!(node.hincrbyex(SHARED, b"ch", b"lock", 1, 10, NOW), Ok(1));
    assert_eq!(node.hincrbyex(SHARED, b"ch", b"lock", 1, 20, NOW), Ok(2));
    assert_eq!(node.ttl(b"ch", NOW).unwrap().as_seconds(), 20);
    assert!(node.hincrbyex(SHARED, b"ch", b"lock", 1, i64::MAX, NOW).is_err());
    assert_eq!(node.hget(b"ch", b"lock", NOW).unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_set_that_did_not_change_gives_its_readers_one_list_up_to_the_cap() {
    let mut node = node();
    let names: Vec<String> = (0..=MAX_KEPT_LIST).map(|n| n.to_string()).collect();
    for name in &names[1..] {
        node.sadd(SHARED, b"lobby", &[name.as_bytes()], NOW).unwrap();
    }
    let (first, second) = (node.smembers(b"lobby", NOW).unwrap(), node.smembers(b"lobby", NOW).unwrap());
    assert_eq!(first.as_ptr(), second.as_ptr());
    node.sadd(SHARED, b"lobby", &[names[0].as_bytes()], NOW).unwrap();
    let (third, fourth) = (node.smembers(b"lobby", NOW).unwrap(), node.smembers(b"lobby", NOW).unwrap());
    assert_eq!((second.len(), third.len()), (MAX_KEPT_LIST, MAX_KEPT_LIST + 1));
    assert_ne!(third.as_ptr(), fourth.as_ptr(), "past the cap each reader has a list of its own");
}

#[test]
fn a_session_takes_its_rows_and_leaves_those_of_others() {
    let mut node = node();
    let (first, second) = (node.open_session(), node.open_session());
    node.sadd(first, b"lobby", &[b"alice"], NOW).unwrap();
    node.sadd(second, b"lobby", &[b"alice", b"bob"], NOW).unwrap();
    node.hset(first, b"at", &[b"alice", b"1"], NOW).unwrap();
    node.end_session(first, NOW);
    let mut members = node.smembers(b"lobby", NOW).unwrap().to_vec();
    members.sort();
    assert_eq!(members, ["alice", "bob"]);
    assert_eq!(node.hlen(b"at", NOW), Ok(0));
    node.end_session(second, NOW);
    assert_eq!(node.stats().rows, 0);
    node.check_invariants();
}

#[test]
fn every_cap_holds_at_the_cap_and_refuses_one_past_it() {
    let limits = Limits {
        max_key_bytes: 4,
        max_value_bytes: 4,
        max_arguments: 3,
        max_command_bytes: 8,
        max_topic_bytes: 4,
        max_message_bytes: 4,
        max_subscriptions: 1,
        ..Limits::default()
    };
    let mut node = State::local(limits, 0);
    assert!(node.set(SHARED, b"1234", b"1234", None, NOW).is_ok());
    assert!(matches!(node.set(SHARED, b"12345", b"1", None, NOW), Err(Error::TooLarge { name: "max_key_bytes", .. })));
    assert!(matches!(
        node.set(SHARED, b"1", b"12345", None, NOW),
        Err(Error::TooLarge { name: "max_value_bytes", .. })
    ));
    assert!(node.sadd(SHARED, b"s", &[b"1", b"2", b"3"], NOW).is_ok());
    let four: [&[u8]; 4] = [b"1", b"2", b"3", b"4"];
    assert!(matches!(node.sadd(SHARED, b"s", &four, NOW), Err(Error::TooMany { name: "max_arguments", .. })));
    assert!(node.sadd(SHARED, b"s", &[b"1234", b"5678"], NOW).is_ok());
    let heavy: [&[u8]; 3] = [b"1234", b"5678", b"9"];
    assert!(matches!(node.sadd(SHARED, b"s", &heavy, NOW), Err(Error::TooLarge { name: "max_command_bytes", .. })));
    assert!(matches!(node.publish(b"12345", b""), Err(Error::TooLarge { name: "max_topic_bytes", .. })));
    assert!(matches!(node.publish(b"1234", b"12345"), Err(Error::TooLarge { name: "max_message_bytes", .. })));
    assert_eq!(node.publish(b"1234", b"1234"), Ok(0));
    let family = node.open_family();
    let kind = crate::pubsub::interest::Kind::Topic;
    assert!(node.subscribe(kind, b"t", family, SHARED).is_ok());
    let past = node.subscribe(kind, b"t", family, SHARED);
    assert!(matches!(past, Err(Error::TooMany { name: "max_subscriptions", .. })));
}

#[test]
fn keys_members_and_values_are_any_bytes_and_may_be_empty() {
    let mut node = node();
    node.set(SHARED, b"", b"", None, NOW).unwrap();
    assert_eq!(node.get(b"", NOW).unwrap().as_deref(), Some(&b""[..]));
    node.sadd(SHARED, b"\xff\0", &[b"", b"\0"], NOW).unwrap();
    assert_eq!(node.scard(b"\xff\0", NOW), Ok(2));
}

#[test]
fn commands_without_values_are_refused() {
    let mut node = node();
    assert_eq!(node.sadd(SHARED, b"s", &[], NOW), Err(Error::WrongArity { command: "sadd".into() }));
    assert_eq!(node.del(&[], NOW), Err(Error::WrongArity { command: "del".into() }));
    assert_eq!(node.sinter(&[], NOW), Err(Error::WrongArity { command: "sinter".into() }));
}

#[test]
fn a_closed_node_refuses_and_does_not_change() {
    let mut node = node();
    node.set(SHARED, b"k", b"v", None, NOW).unwrap();
    let digest = node.digest();
    node.close();
    assert_eq!(node.set(SHARED, b"k", b"w", None, NOW), Err(Error::Closed));
    assert_eq!(node.get(b"k", NOW), Err(Error::Closed));
    assert_eq!(node.publish(b"t", b"m"), Err(Error::Closed));
    assert_eq!(node.digest(), digest);
}
