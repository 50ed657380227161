//! What goes wrong, and what ends going wrong.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A change of the world for the worse, or back. Nodes are numbers; a fault of a node that is in no state for it (a crash of one that
/// does not run) does nothing and is not counted. Directions are one-way: `from` speaks and `to` does not hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // A field is the node or the direction that the variant speaks of.
pub enum Fault {
    /// A process starts where none runs, under the machine's name and a new incarnation. All start by themselves at 0.
    Start { node: usize },
    /// A process dies and its machine closes its connections.
    Crash { node: usize },
    /// A machine dies: there is only silence.
    PowerOff { node: usize },
    /// A process leaves gracefully.
    Leave { node: usize },
    /// A process stops (SIGSTOP): its machine keeps its connections, nothing is read or written, timers fire late.
    Pause { node: usize },
    /// It goes on.
    Resume { node: usize },
    /// Nothing passes in this direction. Streams wait for it, as TCP's do, until they time out; datagrams are lost.
    Cut { from: usize, to: usize },
    /// It passes again.
    Mend { from: usize, to: usize },
    /// Of a hundred datagrams in this direction so many are lost, and as many pieces of streams arrive late, as after a retransmission.
    Lose { from: usize, to: usize, percent: u8 },
    /// Of a hundred datagrams in this direction so many arrive twice.
    Repeat { from: usize, to: usize, percent: u8 },
    /// All that passes in this direction takes between so many milliseconds; datagrams overtake each other then.
    Delay { from: usize, to: usize, min_ms: u32, max_ms: u32 },
    /// What is sent in this direction from now on arrives so much later, all at once.
    Clog { from: usize, to: usize, ms: u32 },
    /// In this direction so many bytes pass in a second: outboxes fill.
    Narrow { from: usize, to: usize, bytes_per_second: u32 },
    /// As wide as ever.
    Widen { from: usize, to: usize },
    /// A machine's wall clock is set so many milliseconds ahead of the true time, or behind it.
    SetClock { node: usize, ahead_ms: i64 },
    /// The connection between the two breaks just when a piece of a snapshot passes, once.
    BreakSnapshot { from: usize, to: usize },
}

/// A fault without its details: what a report counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // `Fault` documents them.
pub enum FaultKind {
    Start,
    Crash,
    PowerOff,
    Leave,
    Pause,
    Resume,
    Cut,
    Mend,
    Lose,
    Repeat,
    Delay,
    Clog,
    Narrow,
    Widen,
    SetClock,
    BreakSnapshot,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Start,
        Self::Crash,
        Self::PowerOff,
        Self::Leave,
        Self::Pause,
        Self::Resume,
        Self::Cut,
        Self::Mend,
        Self::Lose,
        Self::Repeat,
        Self::Delay,
        Self::Clog,
        Self::Narrow,
        Self::Widen,
        Self::SetClock,
        Self::BreakSnapshot,
    ];

    /// Whether messages meet it, for as long as it lasts: each that does counts as one time. Of others each fault does.
    pub fn is_met_by_messages(self) -> bool {
        match self {
            Self::Cut | Self::Lose | Self::Repeat | Self::Delay | Self::Clog | Self::Narrow => true,
            Self::Start
            | Self::Crash
            | Self::PowerOff
            | Self::Leave
            | Self::Pause
            | Self::Resume
            | Self::Mend
            | Self::Widen
            | Self::SetClock
            | Self::BreakSnapshot => false,
        }
    }

    /// What it is called in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Crash => "crash",
            Self::PowerOff => "power off",
            Self::Leave => "leave",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cut => "cut",
            Self::Mend => "mend",
            Self::Lose => "loss",
            Self::Repeat => "repetition",
            Self::Delay => "delay",
            Self::Clog => "clog",
            Self::Narrow => "narrow link",
            Self::Widen => "widened link",
            Self::SetClock => "clock set",
            Self::BreakSnapshot => "broken snapshot",
        }
    }
}

impl Fault {
    /// Its kind.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Start { .. } => FaultKind::Start,
            Self::Crash { .. } => FaultKind::Crash,
            Self::PowerOff { .. } => FaultKind::PowerOff,
            Self::Leave { .. } => FaultKind::Leave,
            Self::Pause { .. } => FaultKind::Pause,
            Self::Resume { .. } => FaultKind::Resume,
            Self::Cut { .. } => FaultKind::Cut,
            Self::Mend { .. } => FaultKind::Mend,
            Self::Lose { .. } => FaultKind::Lose,
            Self::Repeat { .. } => FaultKind::Repeat,
            Self::Delay { .. } => FaultKind::Delay,
            Self::Clog { .. } => FaultKind::Clog,
            Self::Narrow { .. } => FaultKind::Narrow,
            Self::Widen { .. } => FaultKind::Widen,
            Self::SetClock { .. } => FaultKind::SetClock,
            Self::BreakSnapshot { .. } => FaultKind::BreakSnapshot,
        }
    }

    /// Between whom it lies: who speaks and who hears. A fault of a node is between that one and itself.
    pub fn ends(&self) -> (usize, usize) {
        match *self {
            Self::Start { node }
            | Self::Crash { node }
            | Self::PowerOff { node }
            | Self::Leave { node }
            | Self::Pause { node }
            | Self::Resume { node }
            | Self::SetClock { node, .. } => (node, node),
            Self::Cut { from, to }
            | Self::Mend { from, to }
            | Self::Lose { from, to, .. }
            | Self::Repeat { from, to, .. }
            | Self::Delay { from, to, .. }
            | Self::Clog { from, to, .. }
            | Self::Narrow { from, to, .. }
            | Self::Widen { from, to, .. }
            | Self::BreakSnapshot { from, to } => (from, to),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { node } => write!(f, "n{node} starts"),
            Self::Crash { node } => write!(f, "n{node} crashes"),
            Self::PowerOff { node } => write!(f, "n{node} loses its power"),
            Self::Leave { node } => write!(f, "n{node} leaves"),
            Self::Pause { node } => write!(f, "n{node} stops"),
            Self::Resume { node } => write!(f, "n{node} goes on"),
            Self::Cut { from, to } => write!(f, "n{to} does not hear n{from} any more"),
            Self::Mend { from, to } => write!(f, "n{to} hears n{from} again"),
            Self::Lose { from, to, percent } => write!(f, "{percent} % of what n{from} sends n{to} is lost"),
            Self::Repeat { from, to, percent } => write!(f, "{percent} % of n{from}'s datagrams reach n{to} twice"),
            Self::Delay { from, to, min_ms, max_ms } => write!(f, "n{from} to n{to} takes {min_ms} to {max_ms} ms"),
            Self::Clog { from, to, ms } => write!(f, "what n{from} sends n{to} is stuck for {ms} ms"),
            Self::Narrow { from, to, bytes_per_second } => {
                write!(f, "n{from} to n{to} carries {bytes_per_second} B/s")
            }
            Self::Widen { from, to } => write!(f, "n{from} to n{to} is wide again"),
            Self::SetClock { node, ahead_ms } => write!(f, "n{node}'s clock is set {ahead_ms:+} ms"),
            Self::BreakSnapshot { from, to } => write!(f, "n{from}'s next snapshot to n{to} breaks"),
        }
    }
}
