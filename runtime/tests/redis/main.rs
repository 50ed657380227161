//! `RedisPresence` against a real Redis, one for each test, started here on a free port and stopped with the test.

mod commands;
mod faults;
mod ownership;
mod server;
mod topics;
