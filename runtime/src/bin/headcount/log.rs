//! What the program says on stderr while it runs.
//!
//! Of other crates only warnings are told; a level given by the operator is for ours. Standard output belongs to the
//! console and is never written to from here.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::args::Task;

/// Starts the log at `level`, or at the task's own.
///
/// # Errors
/// A sentence when `level` is none.
pub(crate) fn start(level: Option<&str>, task: &Task) -> Result<(), String> {
    let level = level.unwrap_or(match task {
        Task::Node(_) => "info",
        // Its progress stands on stderr.
        Task::Import(_) => "warn",
        // The demo tells its story by itself, warnings about the crash that it stages included.
        Task::Demo(_) => "error",
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter(level)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // It would be told by `eprintln!`, which panics when nobody reads stderr any more.
        .log_internal_errors(false)
        .init();
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    let directives = match level.to_ascii_lowercase().as_str() {
        "off" => "off".to_owned(),
        "error" => "error".to_owned(),
        word @ ("warn" | "info" | "debug" | "trace") => format!("warn,headcount={word}"),
        // Any other single word would be taken for the name of a module, and the log would be silent.
        _ if !level.contains('=') => return Err(bad(level)),
        _ => level.to_owned(),
    };
    EnvFilter::builder().parse(directives).map_err(|_| bad(level))
}

fn bad(level: &str) -> String {
    let level: String = level.chars().take(64).collect();
    format!(
        "log level {level:?} (from --log or HEADCOUNT_LOG) is none of error, warn, info, debug, trace, off, \
         or directives such as warn,headcount=debug"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_our_crates_and_others_only_warn() {
        assert_eq!(filter("DEBUG").unwrap().to_string(), "headcount=debug,warn");
        assert_eq!(filter("headcount_cluster=trace").unwrap().to_string(), "headcount_cluster=trace");
    }

    #[test]
    fn a_misspelt_level_is_refused_and_not_taken_for_a_module() {
        for bad in ["verbose", "", "a=b=c", "headcount=loud"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
