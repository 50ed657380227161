//! Standard output, from a thread of its own.
//!
//! Texts are written in the order in which they were printed and flushed as soon as no more are waiting. A reader that
//! is slow holds those who print, never the node. When nobody reads any more, what is printed is dropped, and the node
//! runs on.

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

/// Texts that wait to be written.
const MAX_WAITING_TEXTS: usize = 256;

/// Where the console prints. A clone prints to the same place.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    texts: mpsc::Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Text(String),
    /// The last one: tell when everything before is written, then end.
    Finish(oneshot::Sender<()>),
}

impl Output {
    /// Starts writing.
    pub(crate) fn start() -> Self {
        let (texts, waiting) = mpsc::channel(MAX_WAITING_TEXTS);
        let write = move || write_all(&mut io::stdout().lock(), waiting);
        if let Err(reason) = std::thread::Builder::new().name("console-output".to_owned()).spawn(write) {
            warn!("no console: cannot start a thread to write standard output: {reason}");
        }
        Self { texts }
    }

    /// Prints a text, which ends its own lines. Waits while the reader is far behind.
    pub(crate) async fn print(&self, text: &str) {
        if !text.is_empty() {
            // It fails only when nobody reads any more, which `write_all` has told.
            let _ = self.texts.send(Message::Text(text.to_owned())).await;
        }
    }

    /// Waits until what was printed is written, but not longer than `most`.
    pub(crate) async fn finish(&self, most: Duration) {
        let (done, written) = oneshot::channel();
        let finish = async {
            if self.texts.send(Message::Finish(done)).await.is_ok() {
                let _ = written.await;
            }
        };
        if tokio::time::timeout(most, finish).await.is_err() {
            warn!("the last replies were not read; leaving without");
        }
    }
}

fn write_all(output: &mut impl Write, mut waiting: mpsc::Receiver<Message>) {
    while let Some(message) = waiting.blocking_recv() {
        let written = match message {
            Message::Text(text) => output.write_all(text.as_bytes()).and_then(|()| flush_if_idle(output, &waiting)),
            Message::Finish(done) => {
                let _ = output.flush();
                let _ = done.send(());
                return;
            }
        };
        if let Err(reason) = written {
            warn!("standard output is closed ({reason}); the node runs on and prints no more");
            return;
        }
    }
}

fn flush_if_idle(output: &mut impl Write, waiting: &mpsc::Receiver<Message>) -> io::Result<()> {
    if waiting.is_empty() { output.flush() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(texts: &[&str]) -> mpsc::Receiver<Message> {
        let (sender, waiting) = mpsc::channel(MAX_WAITING_TEXTS);
        for text in texts {
            sender.try_send(Message::Text((*text).to_owned())).unwrap();
        }
        waiting
    }

    #[test]
    fn texts_come_out_in_order() {
        let mut out = Vec::new();
        write_all(&mut out, filled(&["a\n", "b\n", "c\n"]));
        assert_eq!(out, b"a\nb\nc\n");
    }

    #[test]
    fn a_closed_output_ends_the_writing_and_later_texts_are_dropped() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sender, waiting) = mpsc::channel(1);
        sender.try_send(Message::Text("a\n".to_owned())).unwrap();
        write_all(&mut Closed, waiting);
        let output = Output { texts: sender };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(output.print("b\n"));
    }
}
