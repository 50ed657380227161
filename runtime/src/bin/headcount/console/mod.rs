//! The console: one command a line in Redis's words, and replies as `redis-cli --no-raw` prints them.
//!
//! Commands run one at a time and are answered in order; messages of subscriptions appear between replies, each as one
//! line. What runs commands is the node's [`Presence`], what only a console has (subscriptions, `MEMBERS`, `HELP` ..)
//! is here. Two threads do the blocking reading and writing, so that a terminal that nobody reads never holds the node.
//!
//! - `line`: a line into words
//! - `request`: words into what is asked
//! - `reply`: an answer into text
//! - `report`: `MEMBERS`, `STATS`, `HELP`
//! - `subscriptions`: topics, and their messages on the way to the output
//! - `input`, `output`: the two threads

mod input;
mod line;
mod output;
pub(crate) mod reply;
pub(crate) mod report;
mod request;
mod subscriptions;

use std::future::pending;

use headcount::{Error, Presence as _};
use tokio::sync::watch;

pub(crate) use input::Input;
pub(crate) use output::Output;

use input::Line;
use request::Request;
use subscriptions::{Kind, Subscriptions};

use crate::served::Served;

/// Why a console ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// `QUIT` or `EXIT`.
    Quit,
    /// Ctrl-D on a terminal.
    TerminalClosed,
    /// The end of any other input.
    InputClosed,
}

/// A console on a node.
pub(crate) struct Console<'a, N: Served> {
    node: &'a N,
    presence: N::Presence,
    output: &'a Output,
    subscriptions: Subscriptions<N::Presence>,
    /// Whether it was said that the node is ready.
    ready: watch::Receiver<bool>,
}

impl<'a, N: Served> Console<'a, N> {
    /// A console that has not read anything.
    pub(crate) fn new(node: &'a N, output: &'a Output, ready: watch::Receiver<bool>) -> Self {
        let presence = node.presence();
        let subscriptions = Subscriptions::new(presence.clone(), output.clone());
        Self { node, presence, output, subscriptions, ready }
    }

    /// Answers lines until there are no more, or one of them ends the console. Ctrl-D on a terminal ends it also while a command
    /// waits, unless more was typed behind that. Its subscriptions outlive an input that is not a terminal: `echo 'SUBSCRIBE chat' | headcount node` goes on printing messages.
    pub(crate) async fn run(mut self, mut input: Input) -> End {
        let mut typed_ahead = None;
        loop {
            let line = match typed_ahead.take() {
                Some(line) => line,
                None => match input.next().await {
                    Some(line) => line,
                    None => break,
                },
            };
            let is_terminal = input.is_terminal();
            let answer = tokio::select! {
                biased;
                answer = self.answer_line(line) => answer,
                () = closed(&mut input, &mut typed_ahead), if is_terminal => {
                    self.output.print(&reply::error("ERR the terminal was closed before this command was answered")).await;
                    return End::TerminalClosed;
                }
            };
            match answer {
                Ok(text) => self.output.print(&text).await,
                Err(Quit) => return End::Quit,
            }
        }
        if input.is_terminal() {
            return End::TerminalClosed;
        }
        self.subscriptions.detach();
        End::InputClosed
    }

    async fn answer_line(&mut self, line: Line) -> Result<String, Quit> {
        match line {
            Line::Text(text) => self.answer(&text).await,
            Line::TooLong => Ok(reply::error(&format!("ERR a line has at most {} bytes", input::MAX_LINE_BYTES))),
        }
    }

    /// The text that answers a line; empty when the line is.
    async fn answer(&mut self, line: &[u8]) -> Result<String, Quit> {
        let words = match line::split(line) {
            Ok(words) if words.is_empty() => return Ok(String::new()),
            Ok(words) => words,
            Err(unbalanced) => return Ok(reply::error(&unbalanced.to_string())),
        };
        let answer = match Request::parse(&words) {
            Ok(Request::Quit) => return Err(Quit),
            Ok(request) => {
                if request.needs_ready() {
                    // It can only fail when nobody will say it any more: the program is about to end.
                    let _ = self.ready.wait_for(|ready| *ready).await;
                }
                self.execute(request).await
            }
            Err(error) => Err(error),
        };
        Ok(answer.unwrap_or_else(|error| reply::error(&error.to_string())))
    }

    async fn execute(&mut self, request: Request) -> Result<String, Error> {
        Ok(match request {
            Request::Run(command) => reply::text(&command.execute(&self.presence).await?),
            Request::RunHomed(command) => reply::text(&command.execute(&self.presence.homed()).await?),
            Request::RunOwned(command) => reply::text(&command.execute(&self.presence.owned()).await?),
            Request::Subscribe(topics) => self.subscriptions.add(Kind::Topic, topics).await?,
            Request::Psubscribe(patterns) => self.subscriptions.add(Kind::Pattern, patterns).await?,
            Request::Unsubscribe(topics) => self.subscriptions.remove(Kind::Topic, topics).await,
            Request::Punsubscribe(patterns) => self.subscriptions.remove(Kind::Pattern, patterns).await,
            Request::Members => self.node.members().await?,
            Request::Stats => self.node.stats(),
            Request::Digest => format!("\"{:016x}\"\n", self.node.digest()?),
            Request::Ping(None) => "PONG\n".to_owned(),
            Request::Ping(Some(words)) => reply::bulk(&words),
            Request::Help => report::HELP.to_owned(),
            Request::Quit => unreachable!("`answer` ends the console on QUIT before anything is executed"),
        })
    }
}

/// Returns when an input has ended; never when a line waits, which was meant to be answered.
async fn closed(input: &mut Input, typed_ahead: &mut Option<Line>) {
    *typed_ahead = input.next().await;
    if typed_ahead.is_some() {
        pending::<()>().await;
    }
}

/// The console was asked to end.
struct Quit;
