//! A client: somebody at a node who asks one thing after the other, and hears what it subscribed to.
//!
//! What a client does runs in the process's turns, so it stands still with it and ends with it. What the node knew before and what it wrote
//! itself is noted around the first poll of a command: a local command is carried out there and then, and nothing else runs meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{AbortHandle, Abortable, LocalBoxFuture};
use futures::{FutureExt, StreamExt};
use headcount::{
    Ack, ClusterPresence, Command, Error, Event, MemberState, Presence, Reply, Subscription, Tracked, Tracking,
    Watching,
};
use headcount_cluster::Origin;
use headcount_presence::handle::Shared;

use super::sight::{known, presence_key};
use super::watcher::Watcher;
use crate::history::{Asked, Copied, Heard, Readied, Shown};
use crate::model::words;
use crate::plan::{Ask, Via};
use crate::stage::{Look, Stage};

/// How long a write waits for others to have it.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);

pub(super) type Clock = Rc<dyn Fn() -> u64>;

/// What was asked and heard so far.
#[derive(Default)]
pub(super) struct Notebook {
    pub(super) asked: Vec<Asked>,
    pub(super) heard: Vec<Heard>,
    pub(super) copied: Vec<Copied>,
    pub(super) readied: Vec<Readied>,
    /// How many subscriptions to a topic or a pattern a client has begun.
    subscriptions: BTreeMap<(u32, String, bool), u32>,
    /// The states of the processes that run.
    pub(super) running: Vec<Arc<Shared>>,
}

impl Notebook {
    /// Writes an answer down, and who has by then what had to be with others.
    fn answer(&mut self, index: usize, at: u64, answer: Result<Reply, Error>) {
        let running = &self.running;
        let asked = &mut self.asked[index];
        if let (Ask::Command { via: Via::Peer | Via::Majority | Via::All, .. }, Some(author), Some((_, last))) =
            (&asked.ask, asked.process, asked.wrote)
        {
            let has_it = |shared: &&Arc<Shared>| shared.read(|state, _| known(state).get(&author) >= Some(&last));
            asked.had_by = Some(running.iter().filter(has_it).count());
        }
        asked.answer = Some((at, answer));
    }
}

/// Somebody at a node.
pub(super) struct Client {
    number: u32,
    node: usize,
    base: ClusterPresence,
    session: Rc<RefCell<Option<ClusterPresence>>>,
    tracked: Rc<RefCell<Option<Tracked>>>,
    pending: Option<Pending>,
    ears: Rc<Ears>,
    /// The topics that it has subscribed to.
    topics: Vec<String>,
    /// The patterns that it has subscribed to, each with what ends the reading of it.
    patterns: Vec<(String, AbortHandle)>,
    clock: Clock,
    notes: Rc<RefCell<Notebook>>,
}

/// What a client waits for.
struct Pending {
    index: usize,
    is_done: Rc<Cell<bool>>,
    abort: AbortHandle,
}

impl Client {
    pub(super) fn new(number: u32, node: usize, look: &Look, clock: Clock, notes: Rc<RefCell<Notebook>>) -> Self {
        Self {
            number,
            node,
            // Of its own family: it must not end others' subscriptions.
            base: ClusterPresence::new(look.presence.shared()),
            session: Rc::default(),
            tracked: Rc::default(),
            pending: None,
            ears: Rc::default(),
            topics: Vec::new(),
            patterns: Vec::new(),
            clock,
            notes,
        }
    }

    /// Whether it is with this process.
    pub(super) fn sits_at(&self, node: usize, look: &Look) -> bool {
        self.node == node && Arc::ptr_eq(self.base.shared(), look.presence.shared())
    }

    /// Asks something of its node, unless it waits for something else.
    pub(super) fn ask(&mut self, ask: &Ask, look: &Look, stage: &mut dyn Stage) {
        match ask {
            Ask::Dawdle | Ask::Listen | Ask::GiveUp => {
                let index = self.note(ask, look);
                match ask {
                    Ask::Dawdle => self.ears.is_closed.set(true),
                    Ask::Listen => self.listen(),
                    _ => self.give_up(),
                }
                let now = (self.clock)();
                self.notes.borrow_mut().asked[index].answer = Some((now, Ok(Reply::Ok)));
            }
            Ask::EndSession => {
                self.give_up();
                let index = self.note(ask, look);
                let work = self.work(ask);
                self.start(index, work, stage);
            }
            Ask::Command { .. }
            | Ask::CompareAndSet { .. }
            | Ask::Watch { .. }
            | Ask::Follow { .. }
            | Ask::Track { .. }
            | Ask::Untrack
            | Ask::Subscribe { .. }
            | Ask::Unsubscribe { .. }
            | Ask::SubscribePattern { .. }
            | Ask::UnsubscribePattern { .. } => {
                if self.is_busy() {
                    return;
                }
                let index = self.note(ask, look);
                let work = self.work(ask);
                self.start(index, work, stage);
            }
        }
    }

    /// Goes away from a process that goes on: its session and subscriptions end.
    pub(super) fn leave(&mut self, stage: &mut dyn Stage) {
        self.give_up();
        let Some(look) = stage.look(self.node).filter(|look| self.sits_at(self.node, look)) else { return };
        self.ask(&Ask::EndSession, &look, stage);
        let topics = self.topics.iter().map(|topic| Ask::Unsubscribe { topic: topic.clone() });
        let patterns = self.patterns.iter().map(|(pattern, _)| Ask::UnsubscribePattern { pattern: pattern.clone() });
        for ask in topics.chain(patterns).collect::<Vec<_>>() {
            let index = self.note(&ask, &look);
            let work = self.work(&ask);
            self.start(index, work, stage);
        }
    }

    /// Reads what its subscriptions bring, from now on.
    pub(super) fn listen(&self) {
        self.ears.is_closed.set(false);
        self.ears.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Gives up what it waits for.
    pub(super) fn give_up(&mut self) {
        let Some(pending) = self.pending.take().filter(|pending| !pending.is_done.get()) else { return };
        pending.abort.abort();
        let now = (self.clock)();
        self.notes.borrow_mut().asked[pending.index].given_up = Some(now);
    }

    fn is_busy(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| !pending.is_done.get())
    }

    /// Writes down that it asks, and returns where.
    fn note(&self, ask: &Ask, look: &Look) -> usize {
        let mut asked = Asked::of_nobody(self.number, self.node, ask, (self.clock)());
        asked.process = Some(look.me.origin());
        asked.holders = holders(ask, look);
        let mut notes = self.notes.borrow_mut();
        notes.asked.push(asked);
        notes.asked.len() - 1
    }

    fn work(&mut self, ask: &Ask) -> Work {
        match ask {
            Ask::Command { via, words } => {
                Box::pin(run(self.base.clone(), Rc::clone(&self.session), *via, words.clone()))
            }
            Ask::CompareAndSet { key, expected, new, seconds } => {
                let (base, key, new, seconds) = (self.base.clone(), key.clone(), new.clone(), *seconds);
                let expected = expected.as_ref().map(|expected| Bytes::from(expected.clone()));
                Box::pin(async move { Ok((exchange(base, key, expected, new, seconds).await?, None)) })
            }
            Ask::Subscribe { topic } => {
                self.topics.push(topic.clone());
                let (base, reader, topic) = (self.base.clone(), self.reader(topic, false), topic.clone());
                Box::pin(async move {
                    let subscription = base.subscribe(topic).await?;
                    Ok((Reply::Ok, Some(reader.read(subscription).boxed_local())))
                })
            }
            Ask::SubscribePattern { pattern } => {
                let (end, is_read) = AbortHandle::new_pair();
                self.patterns.push((pattern.clone(), end));
                let (base, reader, pattern) = (self.base.clone(), self.reader(pattern, true), pattern.clone());
                Box::pin(async move {
                    let subscription = base.psubscribe(pattern).await?;
                    let reads = Abortable::new(reader.read(subscription), is_read).map(drop);
                    Ok((Reply::Ok, Some(reads.boxed_local())))
                })
            }
            Ask::UnsubscribePattern { pattern } => {
                let (ended, others): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.patterns).into_iter().partition(|(of, _)| of == pattern);
                self.patterns = others;
                // Who does not read a pattern any more is not subscribed to it.
                for (_, end) in &ended {
                    end.abort();
                }
                Box::pin(async move { Ok((Reply::Integer(ended.len() as i64), None)) })
            }
            Ask::Watch { key } => {
                let (base, key, watcher) = (self.base.clone(), key.clone(), self.watcher(key.clone()));
                Box::pin(async move {
                    let watch = base.watch(key).await?;
                    Ok((Reply::Ok, Some(watcher().watch(watch).boxed_local())))
                })
            }
            Ask::Follow { topic } => {
                let (base, topic, watcher) = (self.base.clone(), topic.clone(), self.watcher(presence_key(topic)));
                Box::pin(async move {
                    let diffs = base.watch_presences(topic).await?;
                    Ok((Reply::Ok, Some(watcher().follow(diffs).boxed_local())))
                })
            }
            Ask::Track { topic, meta } => {
                let (base, topic, meta, tracked) =
                    (self.base.clone(), topic.clone(), meta.clone(), Rc::clone(&self.tracked));
                let key = self.number.to_string();
                Box::pin(async move {
                    drop(tracked.borrow_mut().take());
                    let guard = base.track(topic, key, meta).await?;
                    *tracked.borrow_mut() = Some(guard);
                    Ok((Reply::Ok, None))
                })
            }
            Ask::Untrack => {
                let tracked = Rc::clone(&self.tracked);
                Box::pin(async move {
                    drop(tracked.borrow_mut().take());
                    Ok((Reply::Ok, None))
                })
            }
            Ask::Unsubscribe { topic } => {
                self.topics.retain(|of| of != topic);
                let (base, topic) = (self.base.clone(), topic.clone());
                Box::pin(async move { Ok((Reply::Integer(base.unsubscribe(topic).await? as i64), None)) })
            }
            Ask::EndSession => {
                let session = Rc::clone(&self.session);
                Box::pin(async move {
                    drop(session.borrow_mut().take());
                    Ok((Reply::Ok, None))
                })
            }
            Ask::Dawdle | Ask::Listen | Ask::GiveUp => Box::pin(async { Ok((Reply::Ok, None)) }),
        }
    }

    /// Who will keep a copy of a key, from when it is watched.
    fn watcher(&self, key: String) -> impl FnOnce() -> Watcher + 'static {
        let (client, node, shared) = (self.number, self.node, Arc::clone(self.base.shared()));
        let (ears, clock, notes) = (Rc::clone(&self.ears), Rc::clone(&self.clock), Rc::clone(&self.notes));
        move || {
            let process = shared.read(|state, _| state.origin());
            let copied = Copied { client, node, process, key, known: Shown::Missing, gaps: 0, misfit: None };
            Watcher::new(copied, ears, clock, notes)
        }
    }

    /// Who will read the next subscription to a topic or a pattern.
    fn reader(&self, topic: &str, is_pattern: bool) -> Reader {
        let mut notes = self.notes.borrow_mut();
        let begun = notes.subscriptions.entry((self.number, topic.to_owned(), is_pattern)).or_default();
        *begun += 1;
        Reader {
            client: self.number,
            node: self.node,
            topic: topic.to_owned(),
            is_pattern,
            subscription: *begun - 1,
            process: self.base.shared().read(|state, _| state.origin()),
            shared: Arc::clone(self.base.shared()),
            ears: Rc::clone(&self.ears),
            turn: Cell::new(0),
            clock: Rc::clone(&self.clock),
            notes: Rc::clone(&self.notes),
        }
    }

    /// Lets what was asked run in the process.
    fn start(&mut self, index: usize, work: Work, stage: &mut dyn Stage) {
        let is_done = Rc::new(Cell::new(false));
        let (abort, registration) = AbortHandle::new_pair();
        self.pending = Some(Pending { index, is_done: Rc::clone(&is_done), abort });
        let (shared, notes) = (Arc::clone(self.base.shared()), Rc::clone(&self.notes));
        let observed = observed(shared, Rc::clone(&self.clock), notes, index, work);
        let (notes, clock) = (Rc::clone(&self.notes), Rc::clone(&self.clock));
        let job = async move {
            let Ok(outcome) = Abortable::new(observed, registration).await else { return };
            is_done.set(true);
            let (answer, reads) = match outcome {
                Ok((reply, reads)) => (Ok(reply), reads),
                Err(error) => (Err(error), None),
            };
            notes.borrow_mut().answer(index, clock(), answer);
            if let Some(reads) = reads {
                reads.await;
            }
        };
        // A process that ends just now never answers, and its client finds out at its next question.
        stage.run(self.node, Box::pin(job));
    }
}

/// What a client does in its process: its answer, and how it reads from then on.
type Work = LocalBoxFuture<'static, Outcome>;
type Outcome = Result<(Reply, Option<LocalBoxFuture<'static, ()>>), Error>;

/// On how many nodes a write has to be before it is answered.
fn holders(ask: &Ask, look: &Look) -> usize {
    let Ask::Command { via, .. } = ask else { return 1 };
    let up = look.members.iter().filter(|(_, state)| *state == MemberState::Up).count();
    match via {
        Via::Shared | Via::Node | Via::Session | Via::Homed => 1,
        Via::Peer => 2,
        Via::Majority => 1 + look.members.len().div_ceil(2),
        Via::All => 1 + up,
    }
}

/// Carries work out, and notes what the node knew before its first poll and what it wrote in it: nothing when it was refused there and then, or found
/// nothing to remove, whatever the node did in the same turn as somebody's home.
async fn observed(
    shared: Arc<Shared>,
    clock: Clock,
    notes: Rc<RefCell<Notebook>>,
    index: usize,
    mut work: Work,
) -> Outcome {
    let (origin, saw, loading) = shared.read(|state, _| (state.origin(), known(state), state.is_loading()));
    let ready = shared.read(|state, _| state.ready().is_some());
    let memory_bytes = shared.read(|state, _| state.stats().memory_bytes);
    let first: Poll<Outcome> = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
    let (before, after) = (saw.get(&origin).copied().unwrap_or(0), shared.read(|state, _| state.written()));
    {
        let asked = &mut notes.borrow_mut().asked[index];
        asked.process = Some(origin);
        asked.begun = Some(clock());
        asked.saw = saw;
        asked.loading = loading;
        asked.ready = ready;
        asked.memory_bytes = memory_bytes;
        asked.wrote = (after > before && !has_done_nothing(&asked.ask, &first)).then_some((before + 1, after));
    }
    match first {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => work.await,
    }
}

/// Whether something was over at once, and wrote nothing.
fn has_done_nothing(ask: &Ask, first: &Poll<Outcome>) -> bool {
    let is_removal =
        || matches!(words::command(ask), Some(Command::Del { .. } | Command::Srem { .. } | Command::Hdel { .. }));
    match first {
        Poll::Ready(Err(_)) => true,
        Poll::Ready(Ok((Reply::Integer(0), _))) => is_removal(),
        Poll::Ready(Ok(_)) | Poll::Pending => false,
    }
}

/// Runs a command through the kind of handle that is asked for.
async fn run(base: ClusterPresence, session: Rc<RefCell<Option<ClusterPresence>>>, via: Via, words: String) -> Outcome {
    let command = Command::parse(&words::split(&words))?;
    let handle = match via {
        Via::Shared => base,
        Via::Node => base.owned(),
        Via::Session => session.borrow_mut().get_or_insert_with(|| base.session()).clone(),
        Via::Homed => base.homed(),
        Via::Peer => base.acknowledged(Ack::Peers(1), ACKNOWLEDGED_WITHIN),
        Via::Majority => base.acknowledged(Ack::Majority, ACKNOWLEDGED_WITHIN),
        Via::All => base.acknowledged(Ack::All, ACKNOWLEDGED_WITHIN),
    };
    Ok((command.execute(&handle).await?, None))
}

/// Replaces what is expected under a key, or what the node shows; answers what that was.
async fn exchange(
    presence: ClusterPresence,
    key: String,
    expected: Option<Bytes>,
    new: Option<String>,
    seconds: Option<i64>,
) -> Result<Reply, Error> {
    let expected = if expected.is_some() { expected } else { presence.get(&*key).await? };
    let (old, new) = (expected.as_deref(), new.as_deref());
    let is_done = match (new, seconds) {
        (Some(new), Some(seconds)) => presence.compare_and_set_ex(&*key, old, new, seconds).await?,
        (new, _) => presence.compare_and_set(&*key, old, new.map(str::as_bytes)).await?,
    };
    Ok(if is_done { expected.map_or(Reply::Nil, Reply::Bulk) } else { Reply::Integer(0) })
}

/// Whether a client reads what it is told.
#[derive(Default)]
pub(super) struct Ears {
    is_closed: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Ears {
    /// Whether it reads; if not, it is told when it does.
    fn is_reading(&self, context: &Context<'_>) -> bool {
        if self.is_closed.get() {
            self.waiting.borrow_mut().push(context.waker().clone());
        }
        !self.is_closed.get()
    }

    /// Waits until it reads.
    pub(super) async fn opened(&self) {
        poll_fn(|context| if self.is_reading(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// Who reads a subscription.
struct Reader {
    client: u32,
    node: usize,
    topic: String,
    is_pattern: bool,
    subscription: u32,
    /// The process under its incarnation when it subscribed.
    process: Origin,
    shared: Arc<Shared>,
    ears: Rc<Ears>,
    /// How often it had read all that there was.
    turn: Cell<u64>,
    clock: Clock,
    notes: Rc<RefCell<Notebook>>,
}

impl Reader {
    /// Writes down what is heard, until the subscription ends.
    async fn read(self, mut subscription: Subscription) {
        while let Some(event) = poll_fn(|context| self.poll(&mut subscription, context)).await {
            let heard = Heard {
                client: self.client,
                node: self.node,
                process: self.process,
                topic: self.topic.clone(),
                is_pattern: self.is_pattern,
                subscription: self.subscription,
                at: (self.clock)(),
                saw: self.shared.read(|state, _| known(state)),
                turn: self.turn.get(),
                event,
            };
            self.notes.borrow_mut().heard.push(heard);
        }
    }

    fn poll(&self, subscription: &mut Subscription, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if !self.ears.is_reading(context) {
            return Poll::Pending;
        }
        let event = subscription.poll_next_unpin(context);
        self.turn.set(self.turn.get() + u64::from(event.is_pending()));
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::CoreWorld;
    use crate::plan::Settings;

    /// Found by storm 5814 and 6958: a node answered another's call in the turn in which it refused a command, or found nothing to remove.
    #[test]
    fn what_is_refused_or_finds_nothing_wrote_nothing_though_its_node_did() {
        let mut world = CoreWorld::new(1, 1, &Settings::default());
        world.advance_to(10_000);
        let presence = world.look(0).unwrap().presence.clone();
        for (words, answer, wrote) in [
            ("SREM set b", Ok(Reply::Integer(1)), Some((1, 1))),
            ("SADD set a", Ok(Reply::Integer(0)), Some((2, 2))),
            ("SREM set b", Ok(Reply::Integer(0)), None),
            ("INCRBY text 1", Err(Error::NotAnInteger), None),
        ] {
            let ask = Ask::Command { via: Via::Shared, words: words.to_owned() };
            let notes: Rc<RefCell<Notebook>> = Rc::default();
            notes.borrow_mut().asked.push(Asked::of_nobody(0, 0, &ask, 0));
            let handle = presence.clone();
            let work: Work = Box::pin(async move {
                handle.incr("as somebody's home").await?;
                answer.map(|reply| (reply, None))
            });
            let observed = observed(Arc::clone(presence.shared()), Rc::new(|| 0), Rc::clone(&notes), 0, work);
            assert!(observed.now_or_never().is_some());
            assert_eq!(notes.borrow().asked[0].wrote, wrote, "{words}");
        }
        assert_eq!(presence.shared().read(|state, _| state.written()), 4);
    }
}
