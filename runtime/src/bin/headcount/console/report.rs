//! Answers that Redis has no words for: who is in the cluster, how the node does, and what can be typed.
//!
//! Each is plain lines for people, and steady enough for a script: a member's name, address and state are the first three
//! words of its line, and counts are `name:value` as in Redis's `INFO`.

use std::fmt::Write as _;

use headcount::{Member, MemberState, NodeStats};
#[cfg(feature = "redis")]
use headcount::{RedisMember, RedisStats};

pub(super) const HELP: &str = "\
Strings    SET key value [EX seconds], SETEX key seconds value, GET key, INCR key, DECR key, INCRBY key n, DECRBY key n
Sets       SADD key member.., SREM key member.., SMEMBERS key, SISMEMBER key member, SCARD key, SINTER key..
Hashes     HSET key field value.., HGET key field, HGETALL key, HDEL key field.., HEXISTS key field, HLEN key,
           HINCRBY key field n, HINCRBYEX key field n seconds
Lists      RPUSH key value.., LPUSH key value.., RPOP key, LPOP key, LLEN key, LRANGE key start stop,
           BRPOP key.. seconds, BLPOP key.. seconds
Once       SET key value NX [EX seconds], SETNX key value, GETSET key value, HOMED INCR key (and its like)
Keys       EXISTS key.., DEL key.., EXPIRE key seconds, PERSIST key, TTL key
Topics     SUBSCRIBE topic.., PSUBSCRIBE pattern.., UNSUBSCRIBE [topic..], PUNSUBSCRIBE [pattern..],
           PUBLISH topic message, CHANNELS [pattern]
Presence   OWNED command..   the same command, but its rows leave with this node
Cluster    MEMBERS, STATS, DIGEST, PING [message]
Console    HELP, QUIT (leaves the cluster, as Ctrl-D on a terminal, also while a pop waits)
Quote values with blanks: \"hello all\" with \\n \\t \\xHH \\\" inside, or 'single quotes'.
";

/// A line for each member, this node first.
pub(crate) fn members(me: &Member, members: &[(Member, MemberState)]) -> String {
    let name = members.iter().map(|(member, _)| member.node.as_str().len()).max().unwrap_or(0);
    let addr = members.iter().map(|(member, _)| member.addr.to_string().len()).max().unwrap_or(0);
    let line = |(member, state): &(Member, MemberState)| {
        let mark = if member.origin() == me.origin() { "  (this node)" } else { "" };
        format!(
            "{:name$}  {:addr$}  {:4}  incarnation {}{mark}\n",
            member.node.as_str(),
            member.addr.to_string(),
            state_name(*state),
            member.incarnation,
        )
    };
    members.iter().map(line).collect()
}

/// A line for each member over a Redis, by name. Where each runs the Redis does not know.
#[cfg(feature = "redis")]
pub(crate) fn redis_members(me: &str, members: &[(RedisMember, MemberState)]) -> String {
    let name = members.iter().map(|(member, _)| member.name.len()).max().unwrap_or(0);
    let line = |(member, state): &(RedisMember, MemberState)| {
        let mark = if member.name == me { "  (this node)" } else { "" };
        format!("{:name$}  -  {:4}  lease {}{mark}\n", member.name, state_name(*state), member.origin)
    };
    members.iter().map(line).collect()
}

/// A line `name:value` for each count of a node over a Redis.
#[cfg(feature = "redis")]
pub(crate) fn redis_stats(stats: &RedisStats) -> String {
    format!(
        "connected:{}\nlease_held:{}\nowned_rows:{}\ntopics:{}\nblocked_pops:{}\nmembers_up:{}\n",
        u8::from(stats.connected),
        u8::from(stats.lease_held),
        stats.owned_rows,
        stats.topics,
        stats.blocked_pops,
        stats.members_up,
    )
}

/// A state in a word.
fn state_name(state: MemberState) -> &'static str {
    match state {
        MemberState::Up => "up",
        MemberState::Down => "down",
        MemberState::Gone => "gone",
    }
}

/// A line `name:value` for each count, as Redis's `INFO` has them.
pub(crate) fn stats(stats: &NodeStats) -> String {
    let (presence, cluster) = (&stats.presence, &stats.cluster);
    let owned: usize = presence.owned_rows.iter().map(|(_, rows)| rows).sum();
    let mut text = String::new();
    let mut line = |name: &str, value: u64| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name}:{value}");
    };
    line("keys", presence.keys as u64);
    line("rows", presence.rows as u64);
    line("memory_bytes", presence.memory_bytes as u64);
    line("memory_limit", presence.memory_limit as u64);
    line("owned_rows", owned as u64);
    line("type_conflicts", presence.type_conflicts as u64);
    line("origins", presence.origins as u64);
    line("subscriptions", presence.subscriptions as u64);
    line("watches", presence.watches as u64);
    line("oplog_bytes", presence.oplog_bytes as u64);
    line("open_calls", presence.open_calls as u64);
    line("calls_to_try_again", presence.calls_to_try_again);
    line("calls_of_unknown_outcome", presence.calls_of_unknown_outcome);
    line("queued_bytes", presence.queued_bytes as u64);
    line("unconfirmed_ops", presence.unconfirmed_ops);
    line("local_ops", presence.local_ops);
    line("remote_ops", presence.remote_ops);
    line("duplicate_ops", presence.duplicate_ops);
    line("repaired_ops", presence.repaired_ops);
    line("repaired_bytes", presence.repaired_bytes);
    line("snapshots_loaded", presence.snapshots_loaded);
    line("snapshots_served", presence.snapshots_served);
    line("snapshot_bytes_served", presence.snapshot_bytes_served);
    line("messages_published", presence.messages_published);
    line("messages_delivered", presence.messages_delivered);
    line("messages_dropped", presence.messages_dropped);
    line("changes_missed", presence.changes_missed);
    line("garbage_frames", presence.garbage_frames + cluster.garbage_frames);
    line("clocks_ahead", presence.clocks_ahead);
    line("links_up", cluster.links_up as u64);
    line("links_lost", cluster.links_lost);
    line("known_incarnations", cluster.known_incarnations as u64);
    line("garbage_handshakes", cluster.garbage_handshakes);
    line("garbage_datagrams", cluster.garbage_datagrams);
    line("dropped_connections", cluster.dropped_connections);
    line("refused_other_cluster", cluster.refused.other_cluster);
    line("refused_other_setting", cluster.refused.other_setting);
    line("refused_version", cluster.refused.incompatible_version);
    line("refused_name_in_use", cluster.refused.name_in_use);
    line("refused_cluster_full", cluster.refused.cluster_full);
    line("oversized_datagrams", cluster.oversized_datagrams);
    line("unsent_datagrams", cluster.unsent_datagrams);
    line("bytes_in", cluster.bytes_in);
    line("bytes_out", cluster.bytes_out);
    line("datagrams_in", cluster.datagrams_in);
    line("datagrams_out", cluster.datagrams_out);
    line("reincarnations", cluster.reincarnations);
    text
}

#[cfg(test)]
mod tests {
    use headcount::{Incarnation, NodeId};

    use super::*;

    #[test]
    fn members_are_one_aligned_line_each() {
        let member = |name: &str, port: u16| Member {
            node: NodeId::new(name).unwrap(),
            incarnation: Incarnation(0x1f),
            addr: ([127, 0, 0, 1], port).into(),
        };
        let me = member("a", 7946);
        let all = [(me.clone(), MemberState::Up), (member("game-2", 80), MemberState::Down)];
        assert_eq!(
            members(&me, &all),
            "a       127.0.0.1:7946  up    incarnation 1f  (this node)\n\
             game-2  127.0.0.1:80    down  incarnation 1f\n"
        );
    }
}
