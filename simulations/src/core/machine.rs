//! A machine: an address, a clock, and the process that may run on it.
//!
//! While a process stands still, what comes to it waits here, as in the buffers of a kernel: all of a stream, and as many datagrams as
//! a socket keeps. Its timers wait too, and fire late.

use std::collections::VecDeque;
use std::sync::Arc;

use super::clock::{MachineClock, Now};
use super::connection::End;
use super::event::{Piece, Timer};
use super::gossip::Message;
use super::process::Process;

/// Datagrams that wait for a process which does not read.
const MAX_WAITING_DATAGRAMS: usize = 256;

/// A machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Without power there is only silence.
    pub(crate) has_power: bool,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) process: Option<Box<Process>>,
    pub(crate) starts: u64,
    pub(crate) is_paused: bool,
    inbox: Inbox,
}

/// What waits for a process that stands still.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) input: VecDeque<Input>,
    pub(crate) timers: VecDeque<Timer>,
    /// Jobs that were woken.
    pub(crate) jobs: Vec<u64>,
    datagrams: usize,
}

/// What can come to a process.
#[derive(Debug)]
pub(crate) enum Input {
    Piece { to: End, piece: Piece },
    Datagram { from: u32, message: Message },
}

impl Machine {
    pub(crate) fn new(now: &Now) -> Self {
        Self {
            has_power: true,
            clock: Arc::new(MachineClock::new(now)),
            process: None,
            starts: 0,
            is_paused: false,
            inbox: Inbox::default(),
        }
    }

    pub(crate) fn keep(&mut self, input: Input) {
        if matches!(input, Input::Datagram { .. }) {
            if self.inbox.datagrams == MAX_WAITING_DATAGRAMS {
                return;
            }
            self.inbox.datagrams += 1;
        }
        self.inbox.input.push_back(input);
    }

    pub(crate) fn keep_timer(&mut self, timer: Timer) {
        self.inbox.timers.push_back(timer);
    }

    pub(crate) fn keep_job(&mut self, number: u64) {
        self.inbox.jobs.push(number);
    }

    pub(crate) fn take_inbox(&mut self) -> Inbox {
        std::mem::take(&mut self.inbox)
    }
}
