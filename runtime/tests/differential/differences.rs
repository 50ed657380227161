//! Where the two differ on purpose: the table of the README, line by line, played on both.

use crate::answer::Answer;
use crate::local::Local;
use crate::over_there::Redis;
use crate::sequence::Step;

/// Whether two answers to the last of these steps differ as told: what was counted, of which the first line below is about, may be beyond 64 bits.
pub(crate) fn is_told(steps: &[&Step], ours: &Answer, theirs: &Answer) -> bool {
    let is_overflow = matches!(ours, Answer::Refused(kind) if kind.ends_with("would overflow"));
    let counted =
        steps.iter().filter_map(|step| step.counts_by()).try_fold(0_i64, |all, by| all.checked_add(by.checked_abs()?));
    is_overflow && matches!(theirs, Answer::Integer(_)) && counted.is_none()
}

struct Difference {
    /// As it is told.
    command: &'static str,
    here: &'static str,
    there: &'static str,
    /// What is played, and what the last of it answers here and in Redis.
    cases: &'static [(&'static [&'static str], &'static str, &'static str)],
}

const DIFFERENCES: [Difference; 4] = [
    Difference {
        command: "a node's own counts of a counter beyond 64 bits, of a sum within: `SET a -1`, `INCRBY a 9223372036854775807`, `INCRBY a 1`",
        here: "`ERR increment or decrement would overflow`",
        there: "counted",
        cases: &[
            (
                &["SET a -1", "INCRBY a 9223372036854775807", "INCRBY a 1"],
                "ERR increment or decrement would overflow",
                "9223372036854775807",
            ),
            (
                &["HSET a f 2", "HINCRBY a f -9223372036854775808", "HINCRBY a f -1"],
                "ERR increment or decrement would overflow",
                "-9223372036854775807",
            ),
        ],
    },
    Difference {
        command: "a deadline beyond the year 10,889",
        here: "`ERR invalid expire time`",
        there: "taken",
        cases: &[
            (&["SET a v EX 999999999999"], "ERR invalid expire time", "OK"),
            (&["SETEX a 999999999999 v"], "ERR invalid expire time", "OK"),
            (&["SET a v", "EXPIRE a 999999999999"], "ERR invalid expire time", "1"),
        ],
    },
    Difference {
        command: "options that are not in `Presence`: `SET .. XX`, `EXPIRE .. NX`, `LPOP .. 2`",
        here: "`ERR syntax error`, `ERR wrong number of arguments`",
        there: "taken",
        cases: &[
            (&["SET a v XX"], "ERR syntax error", "nil"),
            (&["SET a v PX 5000"], "ERR syntax error", "OK"),
            (&["EXPIRE a 9 NX"], "ERR wrong number of arguments for 'expire' command", "0"),
            (&["RPUSH a 1 2 3", "LPOP a 2"], "ERR wrong number of arguments for 'lpop' command", "[\"1\", \"2\"]"),
        ],
    },
    Difference {
        command: "`HINCRBYEX` and `CHANNELS`",
        here: "as Colyseus has them",
        there: "`ERR unknown command`",
        cases: &[(&["HINCRBYEX a f 1 9"], "1", "ERR unknown command"), (&["CHANNELS"], "[]", "ERR unknown command")],
    },
];

#[test]
fn each_difference_is_as_it_is_told() {
    let redis = Redis::start();
    for (steps, here, there) in DIFFERENCES.iter().flat_map(|difference| difference.cases) {
        let steps: Vec<Step> = steps.iter().copied().map(Step::command).collect();
        let mut local = Local::new();
        let ours = steps.iter().map(|step| local.play(step)).last().unwrap();
        let theirs = redis.play(&steps).pop().unwrap();
        assert_eq!(
            (ours.to_string().as_str(), theirs.to_string().as_str()),
            (*here, *there),
            "{}",
            steps.last().unwrap()
        );
    }
}

#[test]
fn the_readme_tells_users_of_each() {
    let readme = include_str!("../../../README.md");
    let (_, table) = readme.split_once("| | here | in Redis |\n|---|---|---|\n").expect("the README has the table");
    let told: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let known = DIFFERENCES.iter().map(|line| format!("| {} | {} | {} |", line.command, line.here, line.there));
    assert_eq!(told, known.collect::<Vec<String>>());
}
