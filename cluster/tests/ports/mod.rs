//! Ports for what a test starts.

use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};

/// A port of 127.0.0.1 on which nothing listens, and which no other test of this process is given. Ports are below those that the system hands
/// out for connections, and begin at another number in each test process.
///
/// It is connected to and not bound: a process that another test starts in that moment would inherit the socket and hold the port.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 200) as u16 * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            return port;
        }
    }
}
