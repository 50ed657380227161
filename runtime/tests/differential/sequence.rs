//! Sequences of commands: on few keys of all types, with short lives, values that are nearly numbers, and words that are missing.

use std::fmt;

use bytes::Bytes;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

/// Commands in a sequence.
const LENGTH: usize = 50;

const KEYS: [&[u8]; 4] = [b"a", b"b", b"c", b""];
const VALUES: [&[u8]; 6] = [b"v", b"\xff\0", b"\r\n", b"a", b"b", b"0"];
const NUMBERS: [&str; 4] = ["1", "-1", "0", "7"];
const LARGE: [&str; 4] = ["9223372036854775807", "-9223372036854775808", "9223372036854775800", "-9223372036854775806"];
const NO_NUMBERS: [&str; 9] = ["", "x", "+1", "01", " 1", "1.0", "-", "9223372036854775808", "-0"];
const SECONDS: [&str; 8] = ["1", "2", "3", "100", "0", "-1", "9223372036854775807", "-9223372036854775808"];
const TIMEOUTS: [&str; 6] = ["0.001", "0.002", "1e-3", "-1", "x", ""];

/// One of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Command(Vec<Bytes>),
    /// Time passes.
    Pass {
        seconds: u64,
    },
}

impl Step {
    /// The command's name.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Command(words) => String::from_utf8_lossy(&words[0]).into_owned(),
            Self::Pass { .. } => String::new(),
        }
    }

    /// By how much it counts, if it does.
    pub(crate) fn counts_by(&self) -> Option<i64> {
        let Self::Command(words) = self else { return None };
        let by = match self.name().as_str() {
            "INCR" | "DECR" => return Some(1),
            "INCRBY" | "DECRBY" => words.get(2)?,
            "HINCRBY" => words.get(3)?,
            _ => return None,
        };
        std::str::from_utf8(by).ok()?.parse().ok()
    }

    pub(crate) fn command(line: &str) -> Self {
        Self::Command(line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(words) => {
                let quoted =
                    |word: &Bytes| if word.is_empty() { "\"\"".into() } else { word.escape_ascii().to_string() };
                f.write_str(&words.iter().map(quoted).collect::<Vec<String>>().join(" "))
            }
            Self::Pass { seconds } => write!(f, "({seconds} s pass)"),
        }
    }
}

/// Steps, of which shrinking takes out whichever are not needed; and what is asked at the end.
#[derive(Clone)]
pub(crate) struct Sequence {
    drawn: Vec<Option<Step>>,
    last: Vec<Step>,
}

impl Sequence {
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.drawn.iter().flatten().chain(&self.last)
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.drawn.iter().flatten().try_for_each(|step| write!(f, "\n    {step}"))
    }
}

/// All that there is to know of each key.
fn last() -> Vec<Step> {
    let about = |key: &&'static [u8]| {
        let key = Bytes::from_static(key);
        let plain = ["EXISTS", "TTL", "GET", "SMEMBERS", "HGETALL"];
        let mut steps: Vec<_> = plain.iter().map(|name| Step::Command(vec![(*name).into(), key.clone()])).collect();
        steps.push(Step::Command(vec!["LRANGE".into(), key, "0".into(), "-1".into()]));
        steps
    };
    KEYS.iter().flat_map(about).collect()
}

pub(crate) fn sequences() -> impl Strategy<Value = Sequence> {
    // A step is all but certain, and none is what it shrinks to.
    let drawn = prop::collection::vec(weighted(1.0 - f64::EPSILON, step()), LENGTH);
    drawn.prop_map(|drawn| Sequence { drawn, last: last() })
}

fn step() -> impl Strategy<Value = Step> {
    let pass = (1_u64..4).prop_map(|seconds| Step::Pass { seconds });
    // Now and then words are missing at the end.
    let cut = (command(), 1_usize..3).prop_map(|(mut words, cut)| {
        words.truncate(words.len().saturating_sub(cut).max(1));
        words
    });
    let commands = prop_oneof![30 => command(), 1 => cut];
    prop_oneof![12 => commands.prop_map(Step::Command), 1 => pass]
}

fn word(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

fn key() -> impl Strategy<Value = Bytes> {
    prop_oneof![6 => Just(KEYS[0]), 3 => Just(KEYS[1]), 1 => Just(KEYS[2]), 1 => Just(KEYS[3])].prop_map(word)
}

fn number() -> impl Strategy<Value = Bytes> {
    prop_oneof![16 => select(&NUMBERS[..]), 2 => select(&LARGE[..]), 1 => select(&NO_NUMBERS[..])].prop_map(word)
}

fn seconds() -> impl Strategy<Value = Bytes> {
    prop_oneof![12 => select(&SECONDS[..]), 1 => select(&NO_NUMBERS[..])].prop_map(word)
}

fn timeout() -> impl Strategy<Value = Bytes> {
    prop_oneof![4 => Just(TIMEOUTS[0]), 1 => select(&TIMEOUTS[..])].prop_map(word)
}

fn value() -> impl Strategy<Value = Bytes> {
    let bytes = select(&VALUES[..]).prop_map(word);
    prop_oneof![2 => bytes, 1 => number(), 1 => select(&NO_NUMBERS[..]).prop_map(word)]
}

fn position() -> impl Strategy<Value = Bytes> {
    prop_oneof![6 => (-4_i64..5).prop_map(|at| word(at.to_string())), 1 => number()]
}

fn several(what: impl Strategy<Value = Bytes>) -> impl Strategy<Value = Vec<Bytes>> {
    prop::collection::vec(what, 1..4)
}

/// A command with a name and fixed parts.
macro_rules! words {
    ($name:literal $(, $part:expr)*) => {
        words!(@ $name, (), $($part,)*)
    };
    (@ $name:literal, (),) => { Just(vec![word($name)]).boxed() };
    (@ $name:literal, (), $($part:expr,)+) => {
        [$($part.prop_map(Words::into_words).boxed()),+]
            .prop_map(|parts| std::iter::once(word($name)).chain(parts.into_iter().flatten()).collect::<Vec<Bytes>>())
            .boxed()
    };
}

/// One word or several.
trait Words {
    fn into_words(self) -> Vec<Bytes>;
}

impl Words for Bytes {
    fn into_words(self) -> Vec<Bytes> {
        vec![self]
    }
}

impl Words for Vec<Bytes> {
    fn into_words(self) -> Vec<Bytes> {
        self
    }
}

fn literal(text: &'static str) -> Just<Bytes> {
    Just(Bytes::from_static(text.as_bytes()))
}

fn command() -> BoxedStrategy<Vec<Bytes>> {
    prop_oneof![
        4 => strings(),
        3 => sets(),
        4 => hashes(),
        4 => lists(),
        4 => of_any_type(),
    ]
    .boxed()
}

fn strings() -> BoxedStrategy<Vec<Bytes>> {
    prop_oneof![
        words!("SET", key(), value()),
        words!("SET", key(), value(), literal("EX"), seconds()),
        words!("SETEX", key(), seconds(), value()),
        words!("SET", key(), value(), literal("NX")),
        words!("SET", key(), value(), literal("NX"), literal("EX"), seconds()),
        words!("SET", key(), value(), literal("EX"), seconds(), literal("NX")),
        words!("SETNX", key(), value()),
        words!("GETSET", key(), value()),
        words!("GET", key()),
        words!("INCR", key()),
        words!("DECR", key()),
        words!("INCRBY", key(), number()),
        words!("DECRBY", key(), number()),
    ]
    .boxed()
}

fn sets() -> BoxedStrategy<Vec<Bytes>> {
    prop_oneof![
        3 => words!("SADD", key(), several(value())),
        2 => words!("SREM", key(), several(value())),
        1 => words!("SMEMBERS", key()),
        1 => words!("SISMEMBER", key(), value()),
        1 => words!("SCARD", key()),
        1 => words!("SINTER", several(key())),
    ]
    .boxed()
}

fn hashes() -> BoxedStrategy<Vec<Bytes>> {
    let pairs = prop::collection::vec((value(), value()), 1..4);
    let pairs = pairs.prop_map(|pairs| pairs.into_iter().flat_map(|(f, v)| [f, v]).collect::<Vec<Bytes>>());
    prop_oneof![
        3 => words!("HSET", key(), pairs),
        2 => words!("HINCRBY", key(), value(), number()),
        2 => words!("HDEL", key(), several(value())),
        1 => words!("HGET", key(), value()),
        1 => words!("HGETALL", key()),
        1 => words!("HEXISTS", key(), value()),
        1 => words!("HLEN", key()),
    ]
    .boxed()
}

fn lists() -> BoxedStrategy<Vec<Bytes>> {
    prop_oneof![
        4 => words!("RPUSH", key(), several(value())),
        4 => words!("LPUSH", key(), several(value())),
        3 => words!("RPOP", key()),
        3 => words!("LPOP", key()),
        2 => words!("LLEN", key()),
        4 => words!("LRANGE", key(), position(), position()),
        1 => words!("BRPOP", several(key()), timeout()),
        1 => words!("BLPOP", several(key()), timeout()),
    ]
    .boxed()
}

fn of_any_type() -> BoxedStrategy<Vec<Bytes>> {
    prop_oneof![
        3 => words!("DEL", several(key())),
        4 => words!("EXPIRE", key(), seconds()),
        2 => words!("PERSIST", key()),
        3 => words!("TTL", key()),
        2 => words!("EXISTS", several(key())),
        1 => words!("PUBLISH", value(), value()),
        1 => words!("PUBSUB", literal("CHANNELS")),
    ]
    .boxed()
}
