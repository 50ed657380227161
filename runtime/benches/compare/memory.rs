//! What a million rows take: resident bytes here, each kind in a process of its own, beside a Redis's `used_memory`.

use headcount::LocalPresence;

use crate::competitor::Unavailable;
use crate::measure::{self, MILLION, resident};
use crate::redis::Redis;
use crate::rows::Rows;

/// Prints the comparison.
pub(crate) fn compare() {
    println!("memory, bytes a row, everything included            headcount      Redis     ratio");
    let mut without = None;
    for rows in Rows::ALL {
        let bytes = measure::alone(rows.flag()).parse::<u64>().expect("a number of bytes");
        let ours = bytes as f64 / MILLION as f64;
        match of_redis(rows) {
            Ok(bytes) => {
                let theirs = bytes as f64 / MILLION as f64;
                println!("  {:<48}  {ours:>9.1}  {theirs:>9.1}  {:>8.2}", rows.label(), ours / theirs);
            }
            Err(reason) => {
                println!("  {:<48}  {ours:>9.1}  not measured", rows.label());
                without = Some(reason);
            }
        }
    }
    if let Some(reason) = without {
        println!("  no Redis to compare memory with: {reason}");
    }
    println!();
}

/// Bytes by which this process grows.
pub(crate) fn of_headcount(rows: Rows) -> u64 {
    let presence = LocalPresence::new();
    let before = resident();
    rows.write(&presence, 0..MILLION);
    resident() - before
}

fn of_redis(rows: Rows) -> Result<u64, Unavailable> {
    let failed = |error: std::io::Error| Unavailable::Failed("redis-server", error.to_string());
    Redis::start()?.memory_of(rows).map_err(failed)
}
