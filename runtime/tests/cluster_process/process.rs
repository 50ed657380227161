//! One `headcount node` as a process: started with flags, asked on standard input, killed when it is dropped.
//!
//! A command is followed by a `PING` with a mark of its own, whose answer ends the command's: replies have no length, and
//! messages may come between them. A failed test shows the log of each of its processes.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::ports::free_port;

/// How long anything may take. It is long because machines that run tests are slow at times, and costs nothing when
/// they are not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// How a process is started.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) address: String,
    cluster: String,
    seeds: Vec<String>,
    redis: Option<String>,
    flags: Vec<String>,
}

impl Plan {
    /// A node with a free address, and no seeds.
    pub(crate) fn new(name: &str) -> Self {
        let address = free_address();
        let (cluster, seeds) = ("test".to_owned(), Vec::new());
        Self { name: name.to_owned(), address, cluster, seeds, redis: None, flags: Vec::new() }
    }

    /// A node over a Redis.
    #[cfg(feature = "redis")]
    pub(crate) fn over(name: &str, url: &str) -> Self {
        Self { redis: Some(url.to_owned()), ..Self::new(name) }
    }

    /// The same with the addresses of other plans as seeds.
    pub(crate) fn seeds<'a>(mut self, others: impl IntoIterator<Item = &'a Plan>) -> Self {
        self.seeds.extend(others.into_iter().map(|plan| plan.address.clone()));
        self
    }

    /// The same in another cluster.
    pub(crate) fn cluster(mut self, cluster: &str) -> Self {
        cluster.clone_into(&mut self.cluster);
        self
    }

    /// The same with more flags.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// Starts the process and does not wait for anything.
    pub(crate) fn spawn(&self) -> Node {
        let mut command = program();
        command.args(["node", "--name", &self.name]);
        match &self.redis {
            Some(url) => command.args(["--backend", url]),
            None => command.args(["--listen", &self.address, "--cluster", &self.cluster]),
        };
        if !self.seeds.is_empty() {
            command.args(["--seeds", &self.seeds.join(",")]);
        }
        command.args(&self.flags);
        Node::spawn(self.clone(), command)
    }

    /// Starts the process and waits until it is ready.
    pub(crate) fn start(&self) -> Node {
        let mut node = self.spawn();
        node.ready();
        node
    }
}

/// Plans of nodes that all have all others as seeds.
pub(crate) fn plans<const N: usize>(names: [&str; N]) -> [Plan; N] {
    let bare = names.map(Plan::new);
    bare.clone().map(|plan| {
        let others: Vec<&Plan> = bare.iter().filter(|other| other.name != plan.name).collect();
        plan.clone().seeds(others)
    })
}

/// Nodes that are ready and see each other.
pub(crate) fn cluster<const N: usize>(names: [&str; N]) -> [Node; N] {
    let mut nodes = plans(names).map(|plan| plan.spawn());
    for node in &mut nodes {
        node.ready();
    }
    for node in &mut nodes {
        for name in names {
            node.eventually("MEMBERS", &format!("{name} is up"), |lines| state_of(lines, name) == Some("up"));
        }
    }
    nodes
}

/// The program with an environment that has no settings.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headcount"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEADCOUNT_") {
            command.env_remove(name);
        }
    }
    command
}

/// The state that `MEMBERS` shows of a node; of two incarnations that of the later.
pub(crate) fn state_of<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    let line = lines.iter().rfind(|line| line.split_whitespace().next() == Some(name))?;
    line.split_whitespace().nth(2)
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) plan: Plan,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    log: Arc<Mutex<String>>,
    log_reader: Option<JoinHandle<()>>,
    /// Lines of messages that came between replies.
    messages: VecDeque<String>,
    asked: u64,
}

impl Node {
    pub(crate) fn spawn(plan: Plan, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (lines, stdout) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        let mut err = child.stderr.take().unwrap();
        let log_reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(1..) = err.read(&mut bytes).inspect(|&read| {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }) {}
        });
        let stdin = child.stdin.take();
        Self { plan, child, stdin, stdout, log, log_reader: Some(log_reader), messages: VecDeque::new(), asked: 0 }
    }

    /// Waits for the line that says that the node is ready.
    pub(crate) fn ready(&mut self) -> String {
        let line = self.line();
        assert!(line.starts_with("ready "), "{line:?} is not a ready line\n{}", self.story());
        line
    }

    /// The lines that answer a command.
    pub(crate) fn ask(&mut self, command: &str) -> Vec<String> {
        self.asked += 1;
        let end = format!("end-{}", self.asked);
        self.send(&format!("{command}\nPING {end}\n"));
        let end = format!("{end:?}");
        let mut answer = Vec::new();
        loop {
            let line = self.line();
            if line == end {
                return answer;
            }
            if ["message ", "pmessage ", "gap "].iter().any(|kind| line.starts_with(kind)) {
                self.messages.push_back(line);
            } else {
                answer.push(line);
            }
        }
    }

    /// Asks until the answer is good.
    pub(crate) fn eventually(&mut self, command: &str, what: &str, good: impl Fn(&[String]) -> bool) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let answer = self.ask(command);
            if good(&answer) {
                return answer;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{}: still not: {what}; {command} says {answer:#?}\n{}",
                self.plan.name,
                self.story()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks until the answer is these values, in any order.
    pub(crate) fn eventually_shows(&mut self, command: &str, expected: &[&str]) {
        let mut sorted: Vec<&str> = expected.to_vec();
        sorted.sort_unstable();
        self.eventually(command, &format!("shows {sorted:?}"), |lines| values(lines) == sorted);
    }

    /// The next line that is a message.
    pub(crate) fn message(&mut self) -> String {
        match self.messages.pop_front() {
            Some(message) => message,
            None => self.line(),
        }
    }

    /// Writes to standard input.
    pub(crate) fn send(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("standard input was not closed by the test");
        if let Err(reason) = stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()) {
            panic!("{} takes no commands: {reason}\n{}", self.plan.name, self.story());
        }
    }

    /// Ends standard input.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops the process as Ctrl-Z would; returns when none of its threads runs any more.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let stopped = waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED).unwrap();
        assert!(stopped.is_some_and(|(_, status)| status.stopped()), "{} has ended\n{}", self.plan.name, self.story());
    }

    /// Dies as by `kill -9`; the plan to start it again.
    pub(crate) fn kill(mut self) -> Plan {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.plan.clone()
    }

    /// Whether the process still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until the process ends by itself and its log is complete.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.log_reader.take().map(JoinHandle::join);
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "{} does not end\n{}", self.plan.name, self.story());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the log has a text.
    pub(crate) fn logs(&self, text: &str) {
        let begun = Instant::now();
        while !self.log.lock().unwrap().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "{} never said {text:?}\n{}", self.plan.name, self.story());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the process has said on stderr.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The lines of the log that have a text.
    pub(crate) fn log_lines(&self, text: &str) -> Vec<String> {
        self.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }

    /// What an ended process said of why it failed: the end of its log from `error:` on.
    pub(crate) fn error(&self) -> String {
        let log = self.log();
        let at = log.find("error: ").unwrap_or_else(|| panic!("no error was told\n{}", self.story()));
        log[at..].to_owned()
    }

    fn line(&mut self) -> String {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("{} says nothing\n{}", self.plan.name, self.story()),
            Err(RecvTimeoutError::Disconnected) => panic!("{} has ended\n{}", self.plan.name, self.story()),
        }
    }

    fn story(&self) -> String {
        format!("log of {}:\n{}", self.plan.name, self.log())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.story());
        }
    }
}

/// The values of an answer without their indices, sorted, because sets and hashes have no order.
pub(crate) fn values(lines: &[String]) -> Vec<&str> {
    let value = |line: &'_ str| -> Option<usize> {
        let (index, _) = line.split_once(") ")?;
        index.trim_start().parse::<u32>().is_ok().then_some(index.len() + 2)
    };
    let mut values: Vec<&str> = lines.iter().map(|line| &line[value(line).unwrap_or(0)..]).collect();
    values.sort_unstable();
    values
}

/// An address that nothing listens on, neither by TCP nor by UDP.
pub(crate) fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}
