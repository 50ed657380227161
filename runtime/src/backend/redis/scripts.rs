//! The Lua that keeps a row and its owners together in one step.
//!
//! All keys of the caller stand plainly in Redis. What is known of owners stands beside them, under `<prefix>headcount:`, and only the
//! scripts write it: `leases` (origins by the end of their lease), `names` and `nodes` (origins by name and back), `dead` (origins that are being
//! swept), `owners:<origin>`, `owned:<owner>` and `rows:<key>` (who has what, both ways), `lost:<origin>` (what an origin has not yet been told that it
//! lost), `deadlines` (keys with owned rows by when a command last changed their expiry), `seq` (the latest moment) and `run` (of which process of
//! Redis, the epoch that began with it, and with which moment). A key whose rows are all shared has nothing there.

use redis::{Cmd, Script};

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        /// All scripts, ready to be sent.
        #[derive(Debug)]
        pub(super) struct Scripts {
            $(pub(super) $name: Prepared,)*
        }

        impl Scripts {
            pub(super) fn new() -> Self {
                Self {
                    $($name: Prepared::new(concat!(
                        include_str!("lua/ownership.lua"), "\n", include_str!(concat!("lua/", stringify!($name), ".lua"))
                    )),)*
                }
            }
        }
    };
}

scripts!(
    sadd, remove, hset, set, exchange, count, del, acquire, renew, sweep, release, leave, reassert, audit, expire,
    members
);

/// A script and its name in Redis.
#[derive(Debug)]
pub(super) struct Prepared {
    text: &'static str,
    hash: String,
}

/// A script with its keys and arguments.
#[derive(Debug, Clone)]
pub(super) struct Call {
    text: &'static str,
    hash: String,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

impl Prepared {
    fn new(text: &'static str) -> Self {
        Self { text, hash: Script::new(text).get_hash().to_owned() }
    }

    pub(super) fn call<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) -> Call {
        let keys = keys.into_iter().map(<[u8]>::to_vec).collect();
        Call { text: self.text, hash: self.hash.clone(), keys, args: Vec::new() }
    }
}

impl Call {
    pub(super) fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.args.push(arg.as_ref().to_vec());
        self
    }

    pub(super) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a [u8]>) -> Self {
        self.args.extend(args.into_iter().map(<[u8]>::to_vec));
        self
    }

    /// By the script's name, which Redis knows once it has seen the text.
    pub(super) fn by_name(&self) -> Cmd {
        self.command("EVALSHA", self.hash.as_bytes())
    }

    /// With the whole text.
    pub(super) fn in_full(&self) -> Cmd {
        self.command("EVAL", self.text.as_bytes())
    }

    fn command(&self, name: &str, script: &[u8]) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.args);
        command
    }
}
