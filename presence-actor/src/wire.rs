//! What nodes say to each other about presence.
//!
//! A frame is an encoded [`Frame`] and then, for the bulky kinds, raw bytes: operations and messages are encoded
//! once and copied as they are, whoever they go to. Variants are numbered on the wire in the order in which they stand
//! here: append, never reorder, never reuse. Nothing in a frame is trusted: counts are walked, not allocated.

use headcount_cluster::codec::{self, CodecError};
use headcount_cluster::{GoneReason, Hlc, NodeId, Origin, WallMs};
use serde::{Deserialize, Serialize};

use crate::blob::Blob;
use crate::dot::Owner;
use crate::homed::{Answer, Dot, HomedCommand, Record, Refusal, Take};
use crate::limits::{MAX_POSITION, MAX_SEQUENCE};
use crate::op::{Action, Op, Raw, Several};
use crate::pubsub::interest::Kind;
use crate::shared::list::ElementKey;

/// A version vector on the wire.
pub(crate) type WireVector = Vec<(Origin, u64)>;

/// What a node knows of all origins' streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) vector: WireVector,
    /// Origins that are Gone and of which the sender holds nothing. They are known just the same.
    pub(crate) retired: WireVector,
    /// Origins that the sender has forgotten: in a snapshot all that it remembers, otherwise those that the receiver
    /// still speaks of.
    pub(crate) forgotten: WireVector,
}

impl Known {
    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Origin, u64)> {
        self.vector.iter().chain(&self.retired).chain(&self.forgotten).copied()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Frame {
    /// The first frame on a link, from both sides.
    Hello {
        known: Known,
        ready: bool,
        /// Origins that are Gone for good: their owned rows must not come back. And for how many milliseconds each may still come back, under
        /// another, that was given up for its silence.
        gone: Vec<(Origin, u64)>,
        /// Peers that are Up: who joins should meet them before it says that it is ready.
        up: Vec<(Origin, NodeId)>,
        /// Nodes that are Down, or were given up for their silence not long ago: who joins counts them too.
        absent: Vec<NodeId>,
    },
    /// What the sender knows. `resync` asks the peer to push its own stream from there.
    Vector { known: Known, ready: bool, resync: bool },
    /// Asks for what the peer knows beyond this vector.
    Pull { number: u64, vector: WireVector },
    /// The pull with this number asked for operations that are not kept any more; a snapshot has them.
    BeyondLog { number: u64 },
    /// Operations of an origin, numbered from `first`; their encodings follow.
    Ops { origin: Origin, first: u64, count: u64 },
    /// The sender has applied the peer's own operations up to this one.
    Applied { seq: u64 },
    /// Numbers of subscribers; [`Subscribers`] follow. `reset` says that earlier ones are void.
    Interest { version: u64, reset: bool, count: u64 },
    /// The sender has taken note of the peer's interest up to this version.
    InterestNoted { version: u64 },
    /// Messages; [`Message`]s follow. `after` is the last of the sender's own operations before any of them.
    Messages { after: u64, count: u64 },
    /// Origins that are Gone for good, and for how many milliseconds each may still come back, under another, that was given up for its silence.
    Gone { gone: Vec<(Origin, u64)>, reason: GoneReason },
    /// Asks for a snapshot under a number of the sender's choice.
    SnapshotRequest { id: u64 },
    /// The snapshot cannot be served or finished now.
    SnapshotRefused { id: u64 },
    /// A part of a snapshot; [`Part`]s follow. What it covers is in the last one and was noted before the first.
    Snapshot { id: u64, parts: u64, last: Option<Known> },
    /// Asks a key's home to carry a command out once it has applied the caller's operations up to `after`; `confirm`: and to
    /// say when more than half of the nodes have it.
    Ask { number: u64, command: HomedCommand, after: u64, confirm: bool },
    /// The answer to a command that wrote nothing; the others' answers travel in what they wrote.
    Answer { number: u64, outcome: Result<Answer, Refusal> },
    /// More than half of the nodes have what the command wrote.
    Confirmed { number: u64 },
    /// The caller does not wait for the answer any more.
    Withdraw { number: u64 },
    /// The sender waits for an element of one of these lists, since this moment.
    Wait { number: u64, keys: Vec<Blob>, since: WallMs },
    /// There is an element of this list for who waits under the number; or none yet.
    Offer { number: u64, key: Option<Blob> },
    /// The sender waits no more.
    EndWait { number: u64 },
    /// Asks whether the receiver holds the view with this number, and no other for a while. As a home of it the sender writes under stamps up to this.
    Agree { number: u64, view: u64, until: Hlc },
    /// It does, and this is what it knows; or it does not. Homes of other views may have written under stamps up to this.
    Agreed { number: u64, vector: Option<WireVector>, used: Hlc },
    /// What the command wrote was not known to more than half of the nodes when the home's agreement lapsed.
    Lapsed { number: u64 },
    /// Asks a node that has this operation, which took an element, who else took that.
    AskTaken { element: ElementKey, by: Dot },
    /// All pops of an element that the sender knows of, and what became of them, its own for sure.
    Taken { element: ElementKey, takes: Vec<Take> },
}

/// A number of subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subscribers<'a> {
    pub(crate) kind: Kind,
    #[serde(borrow)]
    pub(crate) name: Raw<'a>,
    pub(crate) count: u32,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow)]
    pub(crate) topic: Raw<'a>,
    #[serde(borrow)]
    pub(crate) payload: Raw<'a>,
}

/// A row's write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireTag {
    pub(crate) origin: Origin,
    pub(crate) owner: Owner,
    pub(crate) seq: u64,
    pub(crate) stamp: Hlc,
}

/// A row of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WireContent<'a> {
    Value {
        #[serde(borrow)]
        value: Raw<'a>,
        expiry: WireExpiry,
    },
    Count {
        epoch: u64,
        total: i64,
        erased_through: u64,
        erased: i64,
    },
    /// A contribution that was erased whole, and how far.
    Spent {
        epoch: u64,
        total: i64,
    },
}

/// What a value says about its key's expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WireExpiry {
    Superseded,
    Never,
    At(WallMs),
}

/// A piece of a snapshot: a key, or rows of the key named last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Part<'a> {
    /// What follows is of this key.
    Key(#[serde(borrow)] Raw<'a>),
    /// A row of the string.
    String(WireTag, #[serde(borrow)] WireContent<'a>),
    /// A row of a field.
    Field(#[serde(borrow)] Raw<'a>, WireTag, #[serde(borrow)] WireContent<'a>),
    /// A row of a member.
    Member(#[serde(borrow)] Raw<'a>, WireTag),
    /// An expiry row.
    Expiry(WireTag, Option<WallMs>),
    /// An element of a list.
    Element(ElementKey, Owner, #[serde(borrow)] Raw<'a>),
    /// A caller has heard all answers up to this number.
    Settled(Origin, u64),
    /// A call's answer, and the operation that it travelled in.
    Answered(Origin, u64, Record),
}

/// Encodes a frame; what follows it is appended to the result.
pub(crate) fn encode(frame: &Frame) -> Vec<u8> {
    codec::encode(frame)
}

/// Takes the frame off the front of a payload.
pub(crate) fn decode(payload: &mut &[u8]) -> Result<Frame, CodecError> {
    let frame: Frame = codec::take_versioned(payload)?;
    let known = match &frame {
        Frame::Hello { known, .. } | Frame::Vector { known, .. } => Some(known),
        Frame::Snapshot { last, .. } => last.as_ref(),
        Frame::Pull { vector, .. } | Frame::Agreed { vector: Some(vector), .. } => {
            vector.iter().try_for_each(|(_, seq)| believable(*seq))?;
            None
        }
        Frame::Ops { first: seq, .. }
        | Frame::Applied { seq }
        | Frame::Messages { after: seq, .. }
        | Frame::Ask { number: seq, .. }
        | Frame::Answer { number: seq, .. }
        | Frame::Confirmed { number: seq }
        | Frame::Lapsed { number: seq }
        | Frame::Withdraw { number: seq }
        | Frame::Wait { number: seq, .. }
        | Frame::Offer { number: seq, .. }
        | Frame::EndWait { number: seq } => return believable(*seq).map(|()| frame),
        Frame::AskTaken { element, by } => {
            believable_name(element)?;
            believable(by.seq)?;
            None
        }
        Frame::Taken { element, takes } => {
            believable_name(element)?;
            takes.iter().try_for_each(|take| believable(take.dot.seq.max(take.call.1)))?;
            None
        }
        Frame::BeyondLog { .. }
        | Frame::Interest { .. }
        | Frame::InterestNoted { .. }
        | Frame::Gone { .. }
        | Frame::SnapshotRequest { .. }
        | Frame::SnapshotRefused { .. }
        | Frame::Agree { .. }
        | Frame::Agreed { vector: None, .. } => None,
    };
    known.into_iter().flat_map(Known::iter).try_for_each(|(_, seq)| believable(seq))?;
    Ok(frame)
}

/// Takes an operation off the front of a run.
pub(crate) fn decode_op<'a>(run: &mut &'a [u8]) -> Result<Op<'a>, CodecError> {
    let op: Op<'_> = codec::take(run)?;
    match &op.action {
        Action::Incr { step, .. } => believable(step.epoch)?,
        Action::Push { position, values, .. } => {
            believable_position(*position)?;
            something(values)?;
        }
        Action::Sadd { members, .. } => something(members)?,
        Action::Take { element, .. } => believable_name(element)?,
        Action::Settled { through } => believable(*through)?,
        Action::Set { .. }
        | Action::Del { .. }
        | Action::Srem { .. }
        | Action::Hset { .. }
        | Action::Hdel { .. }
        | Action::Expire { .. }
        | Action::EndSession { .. } => {}
    }
    op.answers.iter().try_for_each(|answered| believable(answered.number))?;
    if let Some(seen) = op.action.seen() {
        seen.dots.iter().try_for_each(|(_, seq)| believable(*seq))?;
        seen.counts.iter().try_for_each(|count| believable(count.seq.max(count.epoch)))?;
    }
    Ok(op)
}

/// Takes a piece of a snapshot off the front of a chunk.
pub(crate) fn decode_part<'a>(chunk: &mut &'a [u8]) -> Result<Part<'a>, CodecError> {
    let part: Part<'_> = codec::take(chunk)?;
    match &part {
        Part::Key(_) => {}
        Part::Settled(_, through) => believable(*through)?,
        Part::Element(name, ..) => believable_name(name)?,
        Part::Answered(_, number, record) => {
            believable(*number)?;
            believable(record.dot.seq)?;
            record.taken.iter().try_for_each(|taken| believable_name(&taken.element))?;
        }
        Part::Member(_, tag) | Part::Expiry(tag, _) => believable(tag.seq)?,
        Part::String(tag, content) | Part::Field(_, tag, content) => {
            believable(tag.seq)?;
            match content {
                WireContent::Value { .. } => {}
                WireContent::Spent { epoch, .. } => believable(*epoch)?,
                WireContent::Count { epoch, erased_through, .. } => {
                    believable(*epoch)?;
                    if *erased_through >= tag.seq {
                        return Err(CodecError::malformed("a contribution that is erased beyond its last step"));
                    }
                }
            }
        }
    }
    Ok(part)
}

/// An addition of nothing would leave a container without rows.
fn something(values: &Several<'_>) -> Result<(), CodecError> {
    if values.0.is_empty() { Err(CodecError::malformed("an addition of nothing")) } else { Ok(()) }
}

fn believable_name(name: &ElementKey) -> Result<(), CodecError> {
    believable(name.seq)?;
    believable_position(name.position)
}

fn believable_position(position: i64) -> Result<(), CodecError> {
    if !(-MAX_POSITION..=MAX_POSITION).contains(&position) {
        return Err(CodecError::malformed("a position beyond MAX_POSITION"));
    }
    Ok(())
}

fn believable(seq: u64) -> Result<(), CodecError> {
    if seq > MAX_SEQUENCE {
        return Err(CodecError::malformed("a sequence number beyond MAX_SEQUENCE"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::list::End;

    #[test]
    fn the_numbers_on_the_wire_stay() {
        let element = ElementKey { position: 0, stamp: Hlc(1), origin: Origin(1), seq: 1, index: 0 };
        let by = Dot { origin: Origin(1), seq: 2 };
        let frames = [
            (Frame::Hello { known: Known::default(), ready: false, gone: vec![], up: vec![], absent: vec![] }, 0),
            (Frame::Vector { known: Known::default(), ready: false, resync: false }, 1),
            (Frame::Pull { number: 1, vector: vec![] }, 2),
            (Frame::BeyondLog { number: 1 }, 3),
            (Frame::Ops { origin: Origin(1), first: 1, count: 1 }, 4),
            (Frame::Applied { seq: 1 }, 5),
            (Frame::Interest { version: 1, reset: false, count: 0 }, 6),
            (Frame::InterestNoted { version: 1 }, 7),
            (Frame::Messages { after: 0, count: 0 }, 8),
            (Frame::Gone { gone: vec![], reason: GoneReason::Left }, 9),
            (Frame::SnapshotRequest { id: 1 }, 10),
            (Frame::SnapshotRefused { id: 1 }, 11),
            (Frame::Snapshot { id: 1, parts: 0, last: None }, 12),
            (
                Frame::Ask {
                    number: 1,
                    command: HomedCommand::Pop { end: End::Left, key: b"k"[..].into(), wait: None },
                    after: 0,
                    confirm: false,
                },
                13,
            ),
            (Frame::Answer { number: 1, outcome: Ok(Answer::Nil) }, 14),
            (Frame::Confirmed { number: 1 }, 15),
            (Frame::Withdraw { number: 1 }, 16),
            (Frame::Wait { number: 1, keys: vec![], since: WallMs(1) }, 17),
            (Frame::Offer { number: 1, key: None }, 18),
            (Frame::EndWait { number: 1 }, 19),
            (Frame::Agree { number: 1, view: 1, until: Hlc(1) }, 20),
            (Frame::Agreed { number: 1, vector: None, used: Hlc(1) }, 21),
            (Frame::Lapsed { number: 1 }, 22),
            (Frame::AskTaken { element, by }, 23),
            (Frame::Taken { element, takes: vec![Take { dot: by, call: (Origin(1), 1), fate: None }] }, 24),
        ];
        for (frame, number) in frames {
            let bytes = encode(&frame);
            assert_eq!(bytes[1], number, "{frame:?}");
            assert_eq!(decode(&mut &bytes[..]), Ok(frame));
        }
    }
}
