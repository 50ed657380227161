//! Messages from node to node.

use std::time::Duration;

use headcount::{Presence, Subscription};
use headcount_simulations::{Simulation, World};

use crate::reading::{LONG, heard, secs};
use crate::seeds::seeds;

const MESSAGES: usize = 500;

fn publish(world: &mut World, name: &'static str) {
    world.on(name, async move |presence| {
        for n in 0..MESSAGES {
            assert_eq!(presence.publish("chat", format!("{name} {n}")).await.unwrap(), 2, "two subscribe");
        }
    });
}

/// What a subscriber hears until nothing more comes.
fn hear_out(world: &mut World, subscription: &mut Subscription, expected: usize) -> Vec<String> {
    let mut messages = Vec::new();
    let place = &mut messages;
    world.until("the messages have come", LONG, |_| {
        place.extend(heard(subscription));
        place.len() >= expected
    });
    world.run_for(secs(2));
    messages.extend(heard(subscription));
    messages
}

#[test]
fn a_message_that_is_published_after_a_subscription_is_heard_once_and_in_order() {
    for seed in seeds(&[]) {
        Simulation::of(["a", "b", "c"]).seed(seed).run(|world| {
            world.start_all();
            world.settle();
            let mut chat = world.on("a", async |presence| presence.subscribe("chat").await.unwrap());
            // Publishing follows at once: the subscription has waited for every live peer.
            let mut all = world.on("c", async |presence| presence.psubscribe("ch*").await.unwrap());
            publish(world, "b");
            publish(world, "c");
            for subscription in [&mut chat, &mut all] {
                let messages = hear_out(world, subscription, 2 * MESSAGES);
                assert_eq!(messages.len(), 2 * MESSAGES, "none twice");
                for publisher in ["b", "c"] {
                    let from: Vec<&String> = messages.iter().filter(|message| message.starts_with(publisher)).collect();
                    let expected: Vec<String> = (0..MESSAGES).map(|n| format!("{publisher} {n}")).collect();
                    assert_eq!(from, expected.iter().collect::<Vec<_>>(), "in {publisher}'s order");
                }
            }
        });
    }
}

#[test]
fn an_ended_subscription_is_forgotten_everywhere() {
    for seed in seeds(&[]) {
        Simulation::of(["a", "b"]).seed(seed).run(|world| {
            world.start_all();
            world.settle();
            let chat = world.on("a", async |presence| presence.subscribe("chat").await.unwrap());
            let channels =
                |world: &World| world.read("b", async |presence| presence.channels(None).await.unwrap().len());
            assert_eq!(channels(world), 1, "b has confirmed it");
            drop(chat);
            world.until("b knows that nobody listens", LONG, |world| channels(world) == 0);
            assert_eq!(world.on("b", async |presence| presence.publish("chat", "anybody?").await.unwrap()), 0);
        });
    }
}

#[test]
fn subscriptions_of_a_node_that_comes_back_from_a_partition_are_known_again() {
    for seed in seeds(&[]) {
        Simulation::of(["a", "b"]).seed(seed).run(|world| {
            world.start_all();
            world.settle();
            let mut chat = world.on("a", async |presence| presence.subscribe("chat").await.unwrap());
            world.settle();
            world.partition(&["a"], &["b"]);
            world.run_for(Duration::from_secs(10));
            world.heal();
            world.settle();
            world.until("b knows a's subscription", LONG, |world| {
                !world.read("b", async |presence| presence.channels(None).await.unwrap()).is_empty()
            });
            world.on("b", async |presence| presence.publish("chat", "welcome back").await.unwrap());
            assert_eq!(hear_out(world, &mut chat, 1), ["welcome back"]);
        });
    }
}
