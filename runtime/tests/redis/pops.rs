//! Blocking pops whose caller goes away, and whose connection does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::FutureExt;
use headcount::{Presence, RedisPresence};
use tokio::sync::Notify;

use crate::proxy::Proxy;
use crate::server::{DEADLINE, Server, until};

/// Knows when a future has something to say.
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Polls a pop, of one element that is pushed as soon as it waits, until its answer is there, and not once more.
async fn answered<F: Future>(mut popping: Pin<&mut F>, server: &Server, command: &str) {
    let woken = Arc::new(Woken(Notify::new()));
    let mut poll = || popping.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&woken))));
    while !server.clients().await.contains(command) {
        assert!(matches!(poll(), Poll::Pending));
    }
    while woken.0.notified().now_or_never().is_some() {}
    server.other(&["RPUSH", "jobs", "one"]).await;
    woken.0.notified().await;
}

async fn jobs(server: &Server) -> Vec<String> {
    redis::from_redis_value(server.other(&["LRANGE", "jobs", "0", "-1"]).await).unwrap()
}

#[tokio::test]
async fn an_element_whose_caller_goes_away_before_it_looks_is_put_back_where_it_was() {
    let server = Server::start().await;
    let redis = server.presence("a").await;
    let mut popping = Box::pin(redis.blpop("jobs", Duration::ZERO));
    answered(popping.as_mut(), &server, "cmd=blpop").await;
    redis.rpush("jobs", "two").await.unwrap();
    drop(popping);
    until("it is the first again", || async { jobs(&server).await == ["one", "two"] }).await;

    redis.del("jobs").await.unwrap();
    let mut popping = Box::pin(redis.brpop("jobs", Duration::ZERO));
    answered(popping.as_mut(), &server, "cmd=brpop").await;
    redis.rpush("jobs", "zero").await.unwrap();
    drop(popping);
    until("it is the last again", || async { jobs(&server).await == ["zero", "one"] }).await;
}

#[tokio::test]
async fn an_element_is_put_back_also_when_nobody_has_a_handle_any_more() {
    let server = Server::start().await;
    let redis = server.presence("a").await;
    let mut popping = Box::pin(redis.blpop("jobs", Duration::ZERO));
    answered(popping.as_mut(), &server, "cmd=blpop").await;
    drop(popping);
    drop(redis);
    until("it is there again", || async { jobs(&server).await == ["one"] }).await;
}

#[tokio::test]
async fn an_element_that_a_full_redis_does_not_take_back_is_offered_again() {
    let server = Server::start().await;
    let redis = server.presence("a").await;
    let mut popping = Box::pin(redis.blpop("jobs", Duration::ZERO));
    answered(popping.as_mut(), &server, "cmd=blpop").await;
    server.other(&["CONFIG", "SET", "maxmemory", "1"]).await;
    drop(popping);
    until("it has been refused", || async { server.info("commandstats").await.contains("cmdstat_lpush:calls=0") })
        .await;
    server.other(&["CONFIG", "SET", "maxmemory", "0"]).await;
    until("it is there again", || async { jobs(&server).await == ["one"] }).await;
}

/// A pop whose connection has got stuck may have taken something: to give the connection up would be to lose it.
#[tokio::test]
async fn an_element_on_a_connection_that_answers_late_is_put_back_however_late_it_is() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let options = server.options().host("127.0.0.1", proxy.port).command_timeout(Duration::from_millis(200));
    let redis = options.name("a").connect().await.unwrap();
    proxy.hold_at("BLPOP");
    let waiting = tokio::spawn({
        let redis = redis.clone();
        async move { redis.blpop("jobs", Duration::ZERO).await }
    });
    until("it waits", || async { server.clients().await.contains("cmd=blpop") }).await;
    server.other(&["RPUSH", "jobs", "one"]).await;
    waiting.abort();
    until("Redis is asked again", || async { server.calls("client|unblock").await >= 3 }).await;
    assert_eq!(jobs(&server).await, [""; 0]);
    proxy.release();
    until("it is there again", || async { jobs(&server).await == ["one"] }).await;
}

/// Pops from as many lists at once, so that as many connections are left when they have ended.
async fn pop_at_once(redis: &RedisPresence, lists: usize) {
    let pops: Vec<_> = (0..lists).map(|list| redis.blpop(format!("list:{list}"), Duration::ZERO)).collect();
    let pushes = async {
        for list in 0..lists {
            redis.rpush(format!("list:{list}"), "element").await.unwrap();
        }
    };
    for popped in futures::future::join(futures::future::join_all(pops), pushes).await.0 {
        assert!(popped.unwrap().is_some());
    }
}

#[tokio::test]
async fn the_first_pops_after_a_restart_of_the_redis_work() {
    let mut server = Server::start().await;
    let redis = server.presence("a").await;
    pop_at_once(&redis, 8).await;
    server.kill();
    server.start_again().await;
    server.other(&["RPUSH", "jobs", "0", "1", "2", "3", "4", "5", "6", "7"]).await;
    for n in 0..8 {
        assert_eq!(redis.blpop("jobs", DEADLINE).await, Ok(Some(("jobs".into(), n.to_string().into()))));
    }
}

#[tokio::test]
async fn a_pop_that_a_demoted_redis_ends_says_so_and_the_next_goes_where_the_address_leads() {
    let (old, new) = (Server::start().await, Server::start().await);
    let proxy = Proxy::before(&old).await;
    let options = old.options().host("127.0.0.1", proxy.port).lease(Duration::from_hours(1));
    let redis = options.name("a").connect().await.unwrap();
    pop_at_once(&redis, 2).await;
    let waiting = tokio::spawn({
        let redis = redis.clone();
        async move { redis.blpop("jobs", Duration::ZERO).await }
    });
    until("it waits", || async { old.clients().await.contains("cmd=blpop") }).await;
    old.other(&["REPLICAOF", "127.0.0.1", &new.port.to_string()]).await;
    let told = waiting.await.unwrap().unwrap_err().to_string();
    assert!(told.contains("instance state changed"), "{told}");
    let told = redis.blpop("jobs", DEADLINE).await.unwrap_err().to_string();
    assert!(told.contains("READONLY"), "on the connection that was kept: {told}");
    proxy.lead_to(&new);
    new.other(&["RPUSH", "jobs", "one"]).await;
    assert_eq!(redis.blpop("jobs", DEADLINE).await, Ok(Some(("jobs".into(), "one".into()))));
}
