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
    /// Show a whole cluster at work: nodes, players, a crash, and a check of everything at the end
    Demo(DemoTask),
}

const NODE_NOTES: &str = "\
Settings come from the configuration file, then HEADCOUNT_* variables (HEADCOUNT_NAME, HEADCOUNT_SEEDS, \
HEADCOUNT_LIMITS_MAX_KEY_BYTES, ..), then flags; the later one wins.

Standard input is a console: one command a line in Redis's words; HELP lists them. Ctrl-D on a terminal leaves; the end of \
any other input closes the console and the node runs on. SIGINT and SIGTERM leave gracefully, a second one stops at once.

Two nodes on one machine:
  headcount node --name a --listen 127.0.0.1:7946
  headcount node --name b --listen 127.0.0.1:7947 --seeds 127.0.0.1:7946";

#[derive(Debug, Default, Args)]
pub(crate) struct NodeTask {
    /// The node's name, unique among live nodes [default: host name and port]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where to listen, UDP and TCP alike [default: 127.0.0.1:7946]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// Where other nodes reach this one [default: the listen address]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) advertise: Option<String>,
    /// Nodes to find the cluster by, separated by commas
    #[arg(long, value_name = "HOST:PORT,..")]
    pub(crate) seeds: Option<String>,
    /// The cluster's name; nodes of different clusters refuse each other [default: headcount]
    #[arg(long)]
    pub(crate) cluster: Option<String>,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE", env = "HEADCOUNT_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// How long to look for a first seed before going on alone [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub(crate) join_timeout: Option<String>,
    /// Fail instead of going on alone
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) require_join: Option<String>,
    /// What a key's home needs to serve; the same on all nodes [default: any]
    #[arg(long, value_name = "any|majority")]
    pub(crate) home_requires: Option<String>,
    /// Do not read standard input; needed in the background of a terminal
    #[arg(long)]
    pub(crate) no_console: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoTask {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    pub(crate) nodes: u8,
    /// How long the players play; the crash and the checks take the time they need
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
            Task::Demo(_) => panic!("{line} is a node"),
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
        assert_eq!(task.seeds.as_deref(), Some("127.0.0.1:7947,127.0.0.1:7948"));
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
