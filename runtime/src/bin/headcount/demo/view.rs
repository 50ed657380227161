//! What is shown while the demo runs: on a terminal a table with a progress bar that stays at the bottom, elsewhere plain
//! lines, one a second.
//!
//! The story goes above the table, line by line. Nothing here decides anything: a demo without a reader plays and checks
//! the same.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::fleet::Counts;

/// How often the table is drawn; plain lines come every [`PLAIN_INTERVAL`].
const TABLE_INTERVAL: Duration = Duration::from_millis(250);
const PLAIN_INTERVAL: Duration = Duration::from_secs(1);

const HEADER: &str = "  node  members     keys     rows    owned  messages/s  delay";

/// One node's line.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// `None` while the node is dead.
    pub(super) counts: Option<Counts>,
    pub(super) delay: Option<Duration>,
}

/// The screen.
#[derive(Debug)]
pub(super) struct View {
    table: Option<Table>,
    interval: Duration,
    shown: Option<Instant>,
    /// What each node had heard when it was last shown.
    heard: Vec<u64>,
}

/// The lines at the bottom of a terminal.
#[derive(Debug)]
struct Table {
    all: MultiProgress,
    header: ProgressBar,
    rows: Vec<ProgressBar>,
    bar: ProgressBar,
}

impl View {
    /// A screen for `nodes` nodes and a demo of `length`.
    pub(super) fn new(nodes: usize, length: Duration) -> Self {
        let table = std::io::stdout().is_terminal().then(|| Table::new(nodes, length));
        let interval = if table.is_some() { TABLE_INTERVAL } else { PLAIN_INTERVAL };
        Self { table, interval, shown: None, heard: vec![0; nodes] }
    }

    /// Prints a line of the story.
    pub(super) fn say(&self, text: &str) {
        match &self.table {
            Some(table) => table.all.suspend(|| print(text)),
            None => print(text),
        }
    }

    /// Whether it is time to show the numbers again.
    pub(super) fn is_due(&self) -> bool {
        self.shown.is_none_or(|shown| shown.elapsed() >= self.interval)
    }

    /// Shows the numbers.
    pub(super) fn show(&mut self, clock: Duration, rows: &[Row]) {
        let rates = self.rates(rows);
        match &self.table {
            Some(table) => table.show(clock, rows, &rates),
            None => print(&plain_line(clock, rows, &rates)),
        }
    }

    /// Takes the table away; what is said after it stays alone.
    pub(super) fn finish(&mut self) {
        if let Some(table) = self.table.take() {
            let _ = table.all.clear();
        }
    }

    /// Messages a second on each node since the last time.
    fn rates(&mut self, rows: &[Row]) -> Vec<u64> {
        let now = Instant::now();
        let span = self.shown.replace(now).map_or(self.interval, |shown| now - shown).as_secs_f64();
        let mut rates = Vec::new();
        for (before, row) in self.heard.iter_mut().zip(rows) {
            let heard = row.counts.map_or(0, |counts| counts.heard);
            rates.push((heard.saturating_sub(*before) as f64 / span) as u64);
            *before = heard;
        }
        rates
    }
}

impl Table {
    fn new(nodes: usize, length: Duration) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let line = || all.add(ProgressBar::new_spinner().with_style(style("{msg}")));
        let header = line();
        let rows = (0..nodes).map(|_| line()).collect();
        let bar = all.add(ProgressBar::new(length.as_millis() as u64).with_style(style("  [{bar:50}] {msg}")));
        Self { all, header, rows, bar }
    }

    fn show(&self, clock: Duration, rows: &[Row], rates: &[u64]) {
        self.header.set_message(HEADER);
        for ((line, row), rate) in self.rows.iter().zip(rows).zip(rates) {
            line.set_message(table_line(row, *rate));
        }
        let length = self.bar.length().unwrap_or(0);
        self.bar.set_position((clock.as_millis() as u64).min(length));
        self.bar.set_message(format!("{:.0} s of {:.0} s", clock.as_secs_f64(), length as f64 / 1000.0));
    }
}

fn table_line(row: &Row, rate: u64) -> String {
    match row.counts {
        Some(counts) => format!(
            "  {:<4}  {:>7}  {:>7}  {:>7}  {:>7}  {:>10}  {}",
            row.name,
            counts.members,
            HumanCount(counts.keys as u64).to_string(),
            HumanCount(counts.rows as u64).to_string(),
            HumanCount(counts.owned as u64).to_string(),
            HumanCount(rate).to_string(),
            delay(row.delay),
        ),
        None => format!("  {:<4}  dead", row.name),
    }
}

/// The first running node's view of the whole, and of each node what differs.
fn plain_line(clock: Duration, rows: &[Row], rates: &[u64]) -> String {
    let counts = rows.iter().find_map(|row| row.counts);
    let (members, keys, shown_rows) = counts.map_or((0, 0, 0), |counts| (counts.members, counts.keys, counts.rows));
    let owned: Vec<String> = rows
        .iter()
        .map(|row| match row.counts {
            Some(counts) => format!("{} {}", row.name, counts.owned),
            None => format!("{} dead", row.name),
        })
        .collect();
    let slowest = rows.iter().filter_map(|row| row.delay).max();
    format!(
        "{:5.1} s  members {members}  keys {keys}  rows {shown_rows}  delay {}  messages {}/s  owned {}",
        clock.as_secs_f64(),
        delay(slowest),
        HumanCount(rates.iter().sum()),
        owned.join(", "),
    )
}

/// A delay in milliseconds.
pub(super) fn delay(delay: Option<Duration>) -> String {
    delay.map_or_else(|| "-".to_owned(), |delay| format!("{:.2} ms", delay.as_secs_f64() * 1000.0))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are fixed and well-formed").progress_chars("=> ")
}

/// Prints a line. A reader that went away is no reason to panic: the checks and the exit code are worth as much without
/// it.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let counts = Counts { members: 2, keys: 1234, rows: 56789, owned: 120, heard: 0 };
        vec![
            Row { name: "a".to_owned(), counts: Some(counts), delay: Some(Duration::from_micros(214)) },
            Row { name: "b".to_owned(), counts: None, delay: None },
        ]
    }

    #[test]
    fn columns_stand_below_their_heads() {
        let rows = rows();
        assert_eq!(table_line(&rows[0], 4567), "  a           2    1,234   56,789      120       4,567  0.21 ms");
        assert_eq!(table_line(&rows[1], 0), "  b     dead");
        assert_eq!(HEADER.find("  delay"), table_line(&rows[0], 4567).find("  0.21 ms"));
    }

    #[test]
    fn a_plain_line_says_the_same() {
        assert_eq!(
            plain_line(Duration::from_secs(12), &rows(), &[4000, 567]),
            " 12.0 s  members 2  keys 1234  rows 56789  delay 0.21 ms  messages 4,567/s  owned a 120, b dead"
        );
    }
}
