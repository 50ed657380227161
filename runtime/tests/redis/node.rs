//! A node over a Redis: who else is there, and how it ends.

use futures::StreamExt;
use headcount::config::Config;
use headcount::{Error, MemberState, Node, NodeBuilder, NodeError, Presence, RedisMembers, RedisNode};

use crate::server::{DEADLINE, LEASE, Server, next, until};

async fn start(server: &Server, name: &str) -> RedisNode {
    Node::builder(name).redis(server.options()).start().await.unwrap()
}

/// What is told next of a member.
async fn told(members: &mut RedisMembers) -> (String, MemberState) {
    let event = tokio::time::timeout(DEADLINE, members.next()).await.expect("something is told").unwrap();
    (event.member.name, event.state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go_with_their_leases() {
    let server = Server::start().await;
    let a = start(&server, "a").await;
    let mut members = a.members();
    assert_eq!(names(&members), ["a"]);
    let b = start(&server, "b").await;
    assert_eq!(told(&mut members).await, ("b".into(), MemberState::Up));
    assert_eq!(names(&b.members()), ["a", "b"]);
    b.leave().await.unwrap();
    assert_eq!(told(&mut members).await, ("b".into(), MemberState::Gone));
    let c = start(&server, "c").await;
    c.presence().owned().sadd("lobby", "chris").await.unwrap();
    assert_eq!(told(&mut members).await, ("c".into(), MemberState::Up));
    c.kill();
    // Whether anybody looks between its end and its sweep is chance.
    let mut last = told(&mut members).await;
    if last == ("c".into(), MemberState::Down) {
        last = told(&mut members).await;
    }
    assert_eq!(last, ("c".into(), MemberState::Gone));
    until("what c owned is gone", || async { a.presence().exists("lobby").await == Ok(0) }).await;
    assert_eq!(names(&members), ["a"]);
    assert_eq!(a.ask_members().await.unwrap().len(), 1);
}

fn names(members: &RedisMembers) -> Vec<String> {
    members.current().into_iter().map(|(member, _)| member.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_ends_with_its_last_handle_whoever_still_has_its_presence() {
    let server = Server::start().await;
    let (a, b) = (start(&server, "a").await, start(&server, "b").await);
    let presence = a.presence();
    let mut heard = presence.subscribe("t").await.unwrap();
    presence.owned().sadd("lobby", "alice").await.unwrap();
    let clone = a.clone();
    drop(a);
    assert_eq!(presence.scard("lobby").await, Ok(1), "one handle is left");
    assert_eq!((clone.stats().owned_rows, clone.stats().members_up >= 1), (1, true));
    drop(clone);
    assert_eq!(presence.scard("lobby").await, Err(Error::Closed));
    assert_eq!(next(&mut heard).await, None);
    until("its lease ends", || async { b.presence().exists("lobby").await == Ok(0) }).await;
    let left = b.clone();
    b.leave().await.unwrap();
    assert_eq!(left.ready().await, Err(Error::Closed));
    assert_eq!(left.ask_members().await, Err(Error::Closed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_redis_lost_its_data_is_not_ready_until_it_has_a_lease_again() {
    let server = Server::start().await;
    let a = start(&server, "a").await;
    let mut members = a.members();
    a.presence().owned().sadd("lobby", "alice").await.unwrap();
    server.other(&["FLUSHALL"]).await;
    until("it has noticed", || async { a.presence().exists("lobby").await == Ok(1) }).await;
    a.ready().await.unwrap();
    assert!(a.stats().lease_held && a.stats().connected);
    // Under another origin it is another member of the same name.
    let mut seen = vec![told(&mut members).await, told(&mut members).await];
    seen.sort_by_key(|(_, state)| *state == MemberState::Up);
    assert_eq!(seen, [("a".into(), MemberState::Gone), ("a".into(), MemberState::Up)]);
}

#[tokio::test]
async fn a_configuration_for_a_redis_does_not_start_a_node_of_a_cluster() {
    let mut config = Config::default();
    config.redis.url = Some("redis://:secret@127.0.0.1:1/0".into());
    config.redis.lease = LEASE;
    let refused = Node::builder("a").config(config).start().await.unwrap_err();
    let told = refused.to_string();
    assert!(matches!(refused, NodeError::Config(_)) && told.contains("`backend`"), "{told}");
    assert!(told.contains("NodeBuilder::redis") && !told.contains("secret"), "{told}");
    let nobody = Node::builder("no name").redis("redis://127.0.0.1:1").start().await.unwrap_err();
    assert!(nobody.to_string().contains("setting `name`"), "{nobody}");
}

#[tokio::test]
async fn nodes_without_a_name_do_not_meet_under_one() {
    let server = Server::start().await;
    let nameless = || NodeBuilder::from(Config::default()).redis(server.options()).start();
    let (a, b) = (nameless().await.unwrap(), nameless().await.unwrap());
    assert_eq!(a.ask_members().await.unwrap().len(), 2);
    let host = |node: &RedisNode| node.name().rsplit_once(':').unwrap().0.to_owned();
    assert_eq!(host(&a), host(&b), "they are called by their host");
}
