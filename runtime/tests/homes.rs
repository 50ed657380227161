//! Commands whose answer is unique in the cluster, on real nodes: in the calm, and when the home dies in the middle.

use std::collections::BTreeSet;
use std::time::Duration;

use headcount::{Config, Error, HomeRequires, LocalPresence, Node, Presence, TryAgain};

const DEADLINE: Duration = Duration::from_mins(1);

async fn start(name: &str, seeds: &[&Node], requires: HomeRequires) -> Node {
    let seeds: Vec<String> = seeds.iter().map(|seed| seed.me().addr.to_string()).collect();
    let builder = Node::builder(name).listen("127.0.0.1:0").seeds(seeds).home_requires(requires);
    let node = builder.start().await.expect("a node starts");
    node.ready().await.expect("it is ready");
    node
}

async fn three(requires: HomeRequires) -> [Node; 3] {
    let a = start("a", &[], requires).await;
    let b = start("b", &[&a], requires).await;
    let c = start("c", &[&a, &b], requires).await;
    let met = async {
        for node in [&a, &b, &c] {
            while node.members().current().len() < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    tokio::time::timeout(DEADLINE, met).await.expect("the nodes meet");
    [a, b, c]
}

/// Tries until the answer is another than "try again".
async fn persist<T, F: Future<Output = Result<T, Error>>>(call: impl FnMut() -> F) -> T {
    persist_or(call).await.unwrap_or_else(|error| panic!("{error}"))
}

/// As [`persist`], where another error is an answer too.
async fn persist_or<T, F: Future<Output = Result<T, Error>>>(mut call: impl FnMut() -> F) -> Result<T, Error> {
    let tried = async {
        loop {
            match call().await {
                Err(Error::TryAgain(_)) => {}
                answer => return answer,
            }
        }
    };
    tokio::time::timeout(DEADLINE, tried).await.expect("an answer in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_job_of_a_queue_is_taken_once_though_a_node_dies_while_all_take() {
    const JOBS: usize = 3_000;
    let [a, b, c] = three(HomeRequires::Any).await;
    for job in 0..JOBS {
        a.presence().rpush(format!("jobs-{}", job % 10), job.to_string()).await.unwrap();
    }
    let workers: Vec<_> = [&a, &b]
        .into_iter()
        .map(|node| {
            let presence = node.presence();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for queue in (0..10).map(|n| format!("jobs-{n}")) {
                    while let Some(job) = persist(|| presence.lpop(&queue)).await {
                        taken.push(job);
                    }
                }
                taken
            })
        })
        .collect();
    let on_c = c.presence();
    for _ in 0..50 {
        // Taken by a node that dies before it has done anything with it: nobody else gets it.
        if let Ok(Some(job)) = on_c.lpop("jobs-9").await {
            a.presence().sadd("taken by c", job).await.unwrap();
        }
    }
    c.kill();
    let mut taken: Vec<_> = a.presence().smembers("taken by c").await.unwrap().to_vec();
    for worker in workers {
        taken.extend(worker.await.unwrap());
    }
    let distinct: BTreeSet<_> = taken.iter().collect();
    assert_eq!((taken.len(), distinct.len()), (JOBS, JOBS), "each once, none lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_from_a_homed_counter_are_unique() {
    let nodes = three(HomeRequires::Any).await;
    let drawn = nodes.iter().map(|node| {
        let ids = node.presence().homed();
        tokio::spawn(async move {
            let mut drawn = Vec::new();
            for _ in 0..200 {
                drawn.push(persist(|| ids.incr("id")).await);
            }
            drawn
        })
    });
    let mut all = BTreeSet::new();
    for drawn in drawn.collect::<Vec<_>>() {
        all.extend(drawn.await.unwrap());
    }
    assert_eq!(all, (1..=600).collect::<BTreeSet<i64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_pop_hears_of_a_push_elsewhere_and_outlives_its_home() {
    let [a, b, c] = three(HomeRequires::Any).await;
    let waiting: Vec<_> = (0..8)
        .map(|queue| {
            let presence = b.presence();
            tokio::spawn(async move { presence.brpop([format!("q{queue}"), format!("r{queue}")], DEADLINE).await })
        })
        .collect();
    assert_eq!(b.presence().blpop("empty", Duration::from_millis(50)).await, Ok(None));
    c.kill(); // the home of some of them
    for queue in 0..8 {
        a.presence().lpush(format!("r{queue}"), queue.to_string()).await.unwrap();
    }
    for (queue, waiting) in waiting.into_iter().enumerate() {
        let (key, job) = waiting.await.unwrap().unwrap().expect("an element");
        assert_eq!((key, job), (format!("r{queue}").into(), queue.to_string().into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_majority_that_is_required_a_lock_is_refused() {
    let [a, b, c] = three(HomeRequires::Majority).await;
    let (on_a, on_b) = (a.presence(), b.presence());
    assert!(persist(|| on_a.set_nx_ex("lock", "a", 60)).await);
    assert!(!persist(|| on_b.set_nx("lock", "b")).await);
    b.kill();
    c.kill();
    let refused = async {
        loop {
            match a.presence().set_nx("other", "a").await {
                Err(Error::TryAgain(TryAgain::NoMajority { up: 1, known: 3 })) => return,
                Ok(true) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Ok(false) => panic!("nobody else can have it"),
            }
            a.presence().del("other").await.unwrap();
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.expect("it says so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_with_smaller_caps_refuses_by_name_and_in_its_words() {
    let mut config = Config::default();
    "127.0.0.1:0".clone_into(&mut config.listen);
    config.limits.max_value_bytes = 4;
    let small = Node::builder("small").config(config).start().await.unwrap();
    small.ready().await.unwrap();
    let large = start("large", &[&small], HomeRequires::Any).await;
    let presence = large.presence();
    for n in 0.. {
        // Of these keys some have their home on either node.
        match persist_or(|| presence.set_nx(format!("lock-{n}"), "too large there")).await {
            Ok(set) => assert!(set),
            Err(Error::RefusedByHome { home, reason }) => {
                assert!(home == "small" && reason.contains("max_value_bytes"), "{home}: {reason}");
                assert_eq!(presence.exists(format!("lock-{n}")).await, Ok(0));
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_presence_without_a_cluster_is_its_own_home() {
    let presence = LocalPresence::new();
    assert_eq!(presence.set_nx("lock", "me").await, Ok(true));
    assert_eq!(presence.set_nx("lock", "you").await, Ok(false));
    assert_eq!(presence.compare_and_set("lock", Some(b"me"), None).await, Ok(true));
    assert_eq!(presence.getset("k", "1").await, Ok(None));
    assert_eq!(presence.homed().incr("k").await, Ok(2));
    assert_eq!(presence.owned().set_nx("x", "y").await, Err(Error::HomedOwned));
    let waiting = {
        tokio::spawn({
            let presence = presence.clone();
            async move { presence.brpop("q", Duration::ZERO).await }
        })
    };
    tokio::task::yield_now().await;
    presence.rpush("q", ["a", "b"]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(Some(("q".into(), "b".into()))));
    assert_eq!(presence.blpop(["none", "q"], Duration::from_millis(1)).await, Ok(Some(("q".into(), "a".into()))));
    assert_eq!(presence.blpop("q", Duration::from_millis(1)).await, Ok(None));
}
