//! One suite for all backends: what [`Presence`](headcount::Presence) answers, whatever stands behind it.
//!
//! A case is written once, over the trait, and becomes a test for each backend. Where a backend has several nodes each command goes to a random
//! one, and what is read was written so that all have it. A backend is added by a line in `backends!`, beside what starts it
//! ([`backend::Backend`]); the words in which it differs from the others ([`differs`]) are what cases ask and what the table of the
//! README is made of. `coverage` fails when a method or an error of the trait is in no case.

#![allow(clippy::unwrap_used)] // All of this is a test, what helps there too.

/// The backends, one a line: runs a macro for each.
macro_rules! backends {
    ($run:ident! { $($args:tt)* }) => {
        $run! { local, crate::local::Local; $($args)* }
        $run! { cluster, crate::cluster::Cluster; $($args)* }
        #[cfg(feature = "redis")]
        $run! { redis, crate::over_redis::OverRedis; $($args)* }
    };
}

/// Makes a test of each case for each backend.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        backends! { tests_on! { $($case),+ } }
    };
}

macro_rules! tests_on {
    ($module:ident, $backend:ty; $($case:ident),+) => {
        mod $module {$(
            #[tokio::test]
            async fn $case() {
                super::$case::<$backend>().await;
            }
        )+}
    };
}

mod backend;
mod cluster;
mod differs;
mod local;
#[cfg(feature = "redis")]
mod over_redis;
#[cfg(feature = "redis")]
#[path = "../../../cluster/tests/ports/mod.rs"]
mod ports;
#[cfg(feature = "redis")]
#[allow(dead_code)] // the tests of presence over a Redis use more of it
#[path = "../redis/server.rs"]
mod server;
mod stage;

mod blocking_pops;
mod counters;
mod hashes;
mod keys;
mod limits;
mod lists;
mod ownership;
mod sets;
mod strings;
mod topics;
mod types;
mod words;

#[cfg(feature = "redis")]
mod coverage;
