//! Frames on a link: how a stream of bytes is cut, and what may be in it.
//!
//! A frame is a little-endian `u32` with the length of what follows, one class byte, and the payload. The length is checked before a
//! byte is allocated for it. The decoder is pure and keeps this invariant: however the bytes are chunked, the same frames come out;
//! and after the first error nothing more does, because a stream that lost its place has no next frame.
//! Payloads share the read buffer: whoever keeps one for long copies it, or keeps the buffer alive.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::event::Class;

/// Bytes of the length.
pub const LENGTH_BYTES: usize = 4;

/// Bytes of the class.
pub const CLASS_BYTES: usize = 1;

/// Bytes in front of a payload.
pub const HEADER_BYTES: usize = LENGTH_BYTES + CLASS_BYTES;

/// What the cluster says on a link by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ControlFrame {
    /// The sender lives.
    Heartbeat = 1,
    /// The sender leaves; it sends nothing after this.
    Goodbye = 2,
    /// The sender has taken note of the goodbye.
    GoodbyeConfirmed = 3,
}

impl ControlFrame {
    /// The payload of this frame.
    pub fn payload(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Heartbeat => &[1],
            Self::Goodbye => &[2],
            Self::GoodbyeConfirmed => &[3],
        })
    }

    /// Reads the payload of a control frame.
    ///
    /// # Errors
    /// [`FrameError::UnknownControl`] for anything that [`ControlFrame::payload`] does not write.
    pub fn parse(payload: &[u8]) -> Result<Self, FrameError> {
        match payload {
            [1] => Ok(Self::Heartbeat),
            [2] => Ok(Self::Goodbye),
            [3] => Ok(Self::GoodbyeConfirmed),
            other => Err(FrameError::UnknownControl { first_byte: other.first().copied(), bytes: other.len() }),
        }
    }
}

/// The header of a frame with a payload of `payload_bytes`.
///
/// # Panics
/// When the payload exceeds 4 GiB: the link refuses it long before.
pub fn header(class: Class, payload_bytes: usize) -> [u8; HEADER_BYTES] {
    let length = u32::try_from(payload_bytes + CLASS_BYTES).expect("the link bounds payloads to 16 MiB");
    let [a, b, c, d] = length.to_le_bytes();
    [a, b, c, d, class_byte(class)]
}

/// Appends a whole frame.
pub fn encode(class: Class, payload: &[u8], buffer: &mut Vec<u8>) {
    buffer.put_slice(&header(class, payload.len()));
    buffer.put_slice(payload);
}

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    max_frame_bytes: usize,
    failed: Option<FrameError>,
}

impl FrameDecoder {
    /// How much more is read at once.
    const READ_BYTES: usize = 128 << 10;

    /// A decoder that refuses frames (class byte and payload) over `max_frame_bytes`.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), max_frame_bytes, failed: None }
    }

    /// Where the next bytes go, with room for a read. The room does not depend on what a length promised.
    pub fn read_buffer(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < Self::READ_BYTES / 4 {
            self.buffer.reserve(Self::READ_BYTES);
        }
        &mut self.buffer
    }

    /// The next whole frame, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`FrameError`], for ever after the first.
    pub fn next_frame(&mut self) -> Result<Option<(Class, Bytes)>, FrameError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.cut().inspect_err(|error| self.failed = Some(error.clone())),
        }
    }

    fn cut(&mut self) -> Result<Option<(Class, Bytes)>, FrameError> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length < CLASS_BYTES {
            return Err(FrameError::Empty);
        }
        if length > self.max_frame_bytes {
            return Err(FrameError::TooLong { bytes: length, max_bytes: self.max_frame_bytes });
        }
        let Some(&class) = rest.first() else {
            return Ok(None);
        };
        let class = class_of(class)?;
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        Ok(Some((class, self.buffer.split_to(length - CLASS_BYTES).freeze())))
    }
}

fn class_byte(class: Class) -> u8 {
    match class {
        Class::Control => 1,
        Class::Stream => 2,
        Class::Bulk => 3,
    }
}

fn class_of(byte: u8) -> Result<Class, FrameError> {
    match byte {
        1 => Ok(Class::Control),
        2 => Ok(Class::Stream),
        3 => Ok(Class::Bulk),
        byte => Err(FrameError::UnknownClass { byte }),
    }
}

/// What a peer sent that is not a frame. The link closes with this as its reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame without a class byte.
    #[error("the peer sent a frame of length 0")]
    Empty,
    /// A frame over the limit.
    #[error("the peer announced a frame of {bytes} bytes; `max_frame_bytes` is {max_bytes} here")]
    TooLong {
        /// Its announced length.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// A class byte without a meaning.
    #[error("the peer sent a frame of the unknown class {byte}")]
    UnknownClass {
        /// The class byte.
        byte: u8,
    },
    /// A control frame without a meaning.
    #[error("the peer sent an unknown control frame of {bytes} bytes beginning with {first_byte:?}")]
    UnknownControl {
        /// Its first byte.
        first_byte: Option<u8>,
        /// Its length.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(decoder: &mut FrameDecoder) -> Result<Vec<(Class, Bytes)>, FrameError> {
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    fn any_class() -> impl Strategy<Value = Class> {
        prop_oneof![Just(Class::Control), Just(Class::Stream), Just(Class::Bulk)]
    }

    #[test]
    fn a_frame_is_taken_at_the_limit_and_refused_one_byte_past_it() {
        for (payload, fits) in [(99, true), (100, false)] {
            let mut bytes = Vec::new();
            encode(Class::Stream, &vec![0; payload], &mut bytes);
            let mut decoder = FrameDecoder::new(100);
            decoder.read_buffer().extend_from_slice(&bytes);
            assert_eq!(decoder.next_frame().is_ok(), fits);
        }
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let mut decoder = FrameDecoder::new(16 << 20);
        decoder.read_buffer().extend_from_slice(&header(Class::Bulk, 15 << 20));
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(decoder.read_buffer().capacity() < 1 << 20);
    }

    #[test]
    fn an_http_request_is_an_error_and_stays_one() {
        let mut decoder = FrameDecoder::new(4 << 20);
        decoder.read_buffer().extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
        let error = decoder.next_frame().unwrap_err();
        assert!(matches!(error, FrameError::TooLong { .. }));
        decoder.read_buffer().extend_from_slice(&header(Class::Stream, 0));
        assert_eq!(decoder.next_frame(), Err(error));
    }

    #[test]
    fn an_empty_frame_an_unknown_class_and_an_unknown_control_frame_are_named() {
        let table: [(&[u8], FrameError); 2] =
            [(&[0, 0, 0, 0], FrameError::Empty), (&[1, 0, 0, 0, 9], FrameError::UnknownClass { byte: 9 })];
        for (bytes, expected) in table {
            let mut decoder = FrameDecoder::new(100);
            decoder.read_buffer().extend_from_slice(bytes);
            assert_eq!(decoder.next_frame(), Err(expected));
        }
        assert!(matches!(ControlFrame::parse(&[]), Err(FrameError::UnknownControl { .. })));
        assert!(matches!(ControlFrame::parse(&[9]), Err(FrameError::UnknownControl { .. })));
    }

    #[test]
    fn control_frames_are_read_as_written() {
        for frame in [ControlFrame::Heartbeat, ControlFrame::Goodbye, ControlFrame::GoodbyeConfirmed] {
            assert_eq!(ControlFrame::parse(&frame.payload()), Ok(frame));
        }
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_the_bytes_are_chunked(
            frames in proptest::collection::vec((any_class(), proptest::collection::vec(any::<u8>(), 0..200)), 0..20),
            cuts in proptest::collection::vec(1_usize..60, 1..50),
        ) {
            let mut bytes = Vec::new();
            for (class, payload) in &frames {
                encode(*class, payload, &mut bytes);
            }
            let mut decoder = FrameDecoder::new(1_000);
            let mut seen = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                decoder.read_buffer().extend_from_slice(now);
                seen.extend(drain(&mut decoder).unwrap());
                rest = later;
            }
            let expected: Vec<_> = frames.into_iter().map(|(class, payload)| (class, Bytes::from(payload))).collect();
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn garbage_never_panics(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..10)) {
            let mut decoder = FrameDecoder::new(64);
            for chunk in chunks {
                decoder.read_buffer().extend_from_slice(&chunk);
                let _ = drain(&mut decoder);
            }
        }
    }
}
