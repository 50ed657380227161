//! Mistakes of the one who starts the program, and the streams of the process.
//!
//! Settings that cannot work exit with 1 and one line that says where the mistake is, wrong usage exits with 2. Input
//! that ends, output that nobody reads and garbage from the network end nothing.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::process::{Node, PATIENCE, Plan, free_address, program};

/// Runs the program to its end.
fn run(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = program();
    command.args(args).envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_bad_setting_is_told_at_its_source_and_the_exit_code_is_1() {
    type Variable = (&'static str, &'static str);
    let table: [(&[&str], &[Variable], &str); 5] = [
        (
            &["node", "--listen", "nonsense"],
            &[],
            "error: --listen: setting `listen` is \"nonsense\", but must be an IP",
        ),
        (
            &["node", "--advertise", "0.0.0.0:1"],
            &[],
            "error: --advertise: setting `advertise` is 0.0.0.0:1, but must be",
        ),
        (
            &["node", "--join-timeout", "10"],
            &[],
            "error: --join-timeout: setting `join_timeout` is \"10\", but must be",
        ),
        (
            &["node"],
            &[("HEADCOUNT_SEED", "a:1")],
            "error: environment: there is no variable `HEADCOUNT_SEED`; did you mean",
        ),
        (
            &["node"],
            &[("HEADCOUNT_SEEDS", "a")],
            "error: HEADCOUNT_SEEDS: setting `seeds` is \"a\", but must be host:port",
        ),
    ];
    for (args, environment, expected) in table {
        let output = run(args, environment);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stderr(&output).starts_with(expected), "{}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1);
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_bad_key_in_a_file_is_told_with_file_line_and_the_nearest_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    std::fs::write(&file, "name = \"a\"\n\nrequire-join = true\n").unwrap();
    let path = file.to_str().unwrap();
    let output = run(&["node", "--config", path], &[]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("error: {path}, line 3: there is no setting `require-join`; did you mean `require_join`?\n");
    assert_eq!(stderr(&output), expected);
}

#[test]
fn wrong_usage_exits_with_2() {
    for args in [&["nod"][..], &[], &["node", "--nmae", "a"], &["demo", "--nodes", "1"], &["node", "--log", "loud"]] {
        assert_eq!(run(args, &[]).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn flags_are_above_the_environment_and_that_above_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    std::fs::write(&file, "name = \"file\"\ncluster = \"file\"\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let mut command = program();
    command.args(["node", "--name", "flag", "--config"]).arg(&file);
    command.env("HEADCOUNT_NAME", "environment").env("HEADCOUNT_CLUSTER", "environment");
    let mut node = Node::spawn(Plan::new("flag"), command);
    let ready = node.ready();
    assert!(ready.starts_with("ready flag 127.0.0.1:"), "{ready}");
    assert!(ready.contains(" cluster=environment "), "{ready}");
}

#[test]
fn without_a_name_a_node_is_called_by_its_host_and_port() {
    let address = free_address();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let mut command = program();
    command.args(["node", "--listen", &address]);
    let mut node = Node::spawn(Plan::new("nameless"), command);
    let ready = node.ready();
    let name = ready.split(' ').nth(1).unwrap();
    assert!(name.ends_with(&format!(":{port}")) && name.len() > port.len() + 1, "{ready}");
}

#[test]
fn the_end_of_standard_input_closes_the_console_and_the_node_runs_on() {
    let a = Plan::new("a");
    let mut first = a.start();
    let mut second = Plan::new("b").seeds([&a]).start();
    first.send("SUBSCRIBE chat\nSADD lobby alice");
    first.close_stdin();
    second.eventually_shows("SMEMBERS lobby", &["\"alice\""]);
    first.logs("the node runs on");
    assert!(first.runs());
    second.ask("PUBLISH chat hello");
    while first.message() != "message chat \"hello\"" {}
    first.signal(Signal::TERM);
    assert!(first.exit().success());
}

#[test]
fn without_a_console_standard_input_is_not_read() {
    let mut node = Plan::new("a").flags(&["--no-console"]).start();
    node.send("QUIT\n");
    node.close_stdin();
    let plan = Plan::new("b").seeds([&node.plan]);
    let mut other = plan.start();
    other.ask("SADD lobby alice");
    assert!(node.runs());
    node.signal(Signal::TERM);
    assert!(node.exit().success());
}

#[test]
fn a_closed_standard_output_does_not_end_the_node() {
    let a = Plan::new("a");
    let mut command = program();
    command.args(["node", "--name", "a", "--listen", &a.address, "--cluster", "test"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    drop(child.stdout.take());
    stdin.write_all(b"SADD lobby alice\nSMEMBERS lobby\nSADD lobby bob\n").unwrap();
    let mut b = Plan::new("b").seeds([&a]).start();
    b.eventually_shows("SMEMBERS lobby", &["\"alice\"", "\"bob\""]);
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn ctrl_d_on_a_terminal_leaves_also_while_a_command_waits() {
    for typed in ["", "BLPOP nothing 0\n", "PING\nBLPOP nothing 0\n"] {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let keyboard = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut command = program();
        command.args(["node", "--name", "a", "--listen", &free_address()]);
        let mut child = command.stdin(keyboard).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut terminal = File::from(terminal);
        terminal.write_all(format!("{typed}\x04").as_bytes()).unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let status = child.try_wait().unwrap();
        let _ = child.kill();
        assert!(status.is_some_and(|status| status.success()), "{typed:?}: {status:?}");
    }
}

#[test]
fn garbage_on_the_port_leaves_the_node_alive() {
    let a = Plan::new("a");
    let mut node = a.start();
    for garbage in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0xff; 4096], &[0; 64]] {
        let mut stream = TcpStream::connect(&a.address).unwrap();
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(garbage, &a.address).unwrap();
    }
    assert_eq!(node.ask("PING"), ["PONG"]);
    let mut other = Plan::new("b").seeds([&a]).start();
    node.ask("SADD lobby alice");
    other.eventually_shows("SMEMBERS lobby", &["\"alice\""]);
}
