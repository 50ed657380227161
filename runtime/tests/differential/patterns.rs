//! Patterns of topics mean here what they mean in Redis, odd ones too.

use bytes::Bytes;
use futures::FutureExt;
use headcount::Presence;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::answer::Answer;
use crate::local::Local;
use crate::over_there::Redis;
use crate::runner;
use crate::sequence::Step;

/// What topics and patterns are made of.
const BYTES: &[u8] = b"aab-]^\\*?[\xff";
const PATTERN_BYTES: &[u8] = b"aabc-]^\\*?[";

#[test]
fn a_pattern_matches_what_it_matches_in_redis() {
    let redis = Redis::start();
    let (hearing, asking) = (redis.connect(), redis.connect());
    let topics = vec(vec(select(BYTES), 0..5), 1..6);
    let patterns = vec(vec(select(PATTERN_BYTES), 0..7), 20);
    let outcome = runner(2_000).run(&(topics, patterns), |(topics, patterns)| {
        let mut here = Local::new();
        let mut subscriptions = Vec::new();
        for topic in &topics {
            let subscription = here.presence().subscribe(topic).now_or_never().expect("there are no peers to wait for");
            subscriptions.push(subscription.unwrap());
            hearing.ask(&[vec![b"SUBSCRIBE".to_vec(), topic.clone()]]);
        }
        let listing: Vec<_> = patterns
            .iter()
            .map(|pattern| [&b"PUBSUB"[..], b"CHANNELS", pattern].map(<[u8]>::to_vec).to_vec())
            .collect();
        let theirs = asking.ask(&listing);
        for topic in &topics {
            hearing.ask(&[vec![b"UNSUBSCRIBE".to_vec(), topic.clone()]]);
        }
        for (pattern, theirs) in patterns.iter().zip(theirs) {
            let step = Step::Command([&b"PUBSUB"[..], b"CHANNELS", pattern].map(Bytes::copy_from_slice).to_vec());
            let (ours, theirs) = (here.play(&step), Answer::theirs(&step, theirs));
            prop_assert_eq!(ours, theirs, "{}", step);
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
