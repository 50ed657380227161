//! The program's flags.
//!
//! Flags that are settings of a node stay text here: [`headcount::config::Layers`] reads them, so that a value means
//! the same and fails in the same words whether it comes from a flag, a variable or a file.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Who is here, on which node, and who must hear about it: presence for a fleet of game servers.
#[derive(Debug, Parser)]
#[command(name = "headcount", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// What goes to stderr: error, warn, info, debug, trace, off, or directives such as `warn,headcount=debug`
    /// [default: info; for the demo error]
    #[arg(long, global = true, env = "HEADCOUNT_LOG", hide_env_values = true, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Run one node, with a console on standard input
    #[command(after_long_help = NODE_NOTES)]
    Node(Box<NodeTask>),
    /// Copy the strings, sets, hashes and lists of a Redis into a running cluster
    #[command(after_long_help = IMPORT_NOTES)]
    Import(Box<ImportTask>),
    /// Show a whole cluster at work: nodes, players, a crash, and a check of everything at the end
    Demo(DemoTask),
}

const NODE_NOTES: &str = "\
Settings come from the configuration file, then HEADCOUNT_* variables (HEADCOUNT_NAME, HEADCOUNT_SEEDS, \
HEADCOUNT_LIMITS_MAX_KEY_BYTES, ..), then flags; the later one wins.

Standard input is a console: one command a line in Redis's words; HELP lists them. Ctrl-D on a terminal leaves; the end of \
any other input closes the console and the node runs on. SIGINT and SIGTERM leave gracefully, a second one stops at once.

Two nodes on one machine, which have the same seeds, so that each finds the other whichever starts again:
  headcount node --name a --listen 127.0.0.1:7946 --seeds 127.0.0.1:7946,127.0.0.1:7947
  headcount node --name b --listen 127.0.0.1:7947 --seeds 127.0.0.1:7946,127.0.0.1:7947

The same over a Redis:
  headcount node --name a --backend redis://127.0.0.1:6379/0";

#[derive(Debug, Default, Args)]
pub(crate) struct NodeTask {
    /// The node's name, unique among live nodes [default: host name and port; over a Redis host name and a drawn number]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where to listen, UDP and TCP alike [default: 127.0.0.1:7946]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterFlags,
    /// Fail instead of going on alone
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) require_join: Option<String>,
    /// Where the data is: `cluster`, or a Redis as redis://user:password@host:port/database. A password is better given in
    /// `HEADCOUNT_BACKEND` or the configuration file, where other users of the machine do not see it [default: cluster]
    #[arg(long, value_name = "cluster|REDIS-URL")]
    pub(crate) backend: Option<String>,
    /// Do not read standard input; needed in the background of a terminal
    #[arg(long)]
    pub(crate) no_console: bool,
}

/// How to become a member of a cluster.
#[derive(Debug, Default, Args)]
pub(crate) struct ClusterFlags {
    /// Where other nodes reach this one [default: the listen address]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) advertise: Option<String>,
    /// Nodes to find the cluster by, separated by commas: any few, the same for all nodes
    #[arg(long, value_name = "HOST:PORT,..")]
    pub(crate) seeds: Option<String>,
    /// The cluster's name; nodes of different clusters refuse each other [default: headcount]
    #[arg(long)]
    pub(crate) cluster: Option<String>,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE", env = "HEADCOUNT_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// How long to look for a first seed [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub(crate) join_timeout: Option<String>,
    /// What a key's home needs to serve; the same on all nodes [default: any]
    #[arg(long, value_name = "any|majority")]
    pub(crate) home_requires: Option<String>,
}

const IMPORT_NOTES: &str = "\
It joins the cluster as a node called `import`, copies, waits until others have all of it, and leaves. The Redis is only read. \
Deadlines come along, rounded up to a second. What nodes own in that Redis becomes shared: stop them first.

Of the settings those of [redis] say how it is read: `key_prefix` (only such keys, and without it), `root_certificates`, `connect_timeout`, \
`command_timeout` (at least 30s), `wait_for_redis`.

Run it again when it was cut off: keys that are there whole are skipped, and of others what is missing is added. A key that holds \
something else in the cluster is refused, unless --replace is given. It exits with 0 when every key was taken, with 1 when one could not be or \
something failed, with 130 when it was stopped.

  headcount import redis://127.0.0.1:6379/0 --dry-run
  headcount import redis://127.0.0.1:6379/0 --seeds 127.0.0.1:7946 --cluster demo --pattern 'room*'";

// Without Redis it is only there to be refused in words.
#[cfg_attr(not(feature = "redis"), allow(dead_code))]
#[derive(Debug, Args)]
pub(crate) struct ImportTask {
    /// The Redis to copy from: redis://user:password@host:port/database; rediss:// is TLS. Other users of the machine do not see
    /// it when it is given in `HEADCOUNT_IMPORT_FROM`
    #[arg(env = "HEADCOUNT_IMPORT_FROM", hide_env_values = true, value_name = "REDIS-URL")]
    pub(crate) from: String,
    /// Only keys that this glob matches
    #[arg(long, value_name = "GLOB")]
    pub(crate) pattern: Option<String>,
    /// Only tell what would be copied and what could not be; needs no cluster
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Put keys of the Redis in the place of what the cluster has under them
    #[arg(long)]
    pub(crate) replace: bool,
    /// Where to listen while it copies, UDP and TCP alike [default: a free port of the address that reaches the seeds]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterFlags,
}

#[derive(Debug, Args)]
pub(crate) struct DemoTask {
    /// How many nodes, 2 to 16
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    pub(crate) nodes: u8,
    /// How many seconds the players play, 4 to 3600; the crash and the checks take the time they need
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(4..=3600))]
    pub(crate) seconds: u16,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn node(line: &str) -> NodeTask {
        match Arguments::try_parse_from(line.split(' ')).unwrap().task {
            Task::Node(task) => *task,
            Task::Import(_) | Task::Demo(_) => panic!("{line} is a node"),
        }
    }

    #[test]
    fn the_flags_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_node_takes_the_flags_of_the_readme() {
        let task = node(
            "headcount node --name a --listen 127.0.0.1:7946 --advertise 127.0.0.1:7946 \
             --seeds 127.0.0.1:7947,127.0.0.1:7948 --cluster demo",
        );
        assert_eq!(task.name.as_deref(), Some("a"));
        assert_eq!(task.cluster.seeds.as_deref(), Some("127.0.0.1:7947,127.0.0.1:7948"));
        assert_eq!(task.require_join, None);
    }

    #[test]
    fn require_join_is_a_switch_that_can_also_be_told_off() {
        assert_eq!(node("headcount node --require-join").require_join.as_deref(), Some("true"));
        assert_eq!(node("headcount node --require-join=false").require_join.as_deref(), Some("false"));
        assert!(node("headcount node --require-join --no-console").no_console);
    }

    #[test]
    fn wrong_usage_is_refused() {
        let table = [
            ("headcount", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("headcount nod", ErrorKind::InvalidSubcommand),
            ("headcount node --nmae a", ErrorKind::UnknownArgument),
            ("headcount node --name", ErrorKind::InvalidValue),
            ("headcount demo --nodes 1", ErrorKind::ValueValidation),
            ("headcount demo --nodes 17", ErrorKind::ValueValidation),
            ("headcount demo --seconds soon", ErrorKind::ValueValidation),
        ];
        for (line, expected) in table {
            assert_eq!(Arguments::try_parse_from(line.split(' ')).unwrap_err().kind(), expected, "{line}");
        }
    }
}
