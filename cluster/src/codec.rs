//! Bytes from values and back: the only file that knows bincode.
//!
//! A message is one version byte and then the value in bincode's variable-length integers. Decoding takes anything
//! that a network may bring: it never panics, and what it allocates is bounded before it is allocated, in
//! proportion to the length of the input. Trailing bytes are an error, so that a message has one reading.
//! bincode is unmaintained (RUSTSEC-2025-0141); replacing it means replacing this file and raising the version.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_MESSAGE_BYTES;

/// The version that this build writes and reads.
pub const CODEC_VERSION: u8 = 1;

/// Encodes a value.
///
/// # Panics
/// When the value's `Serialize` fails, which derived implementations over plain data do not.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(64);
    encode_into(value, &mut buffer);
    buffer
}

/// Appends a value's encoding to `buffer`.
///
/// # Panics
/// When the value's `Serialize` fails, which derived implementations over plain data do not.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) {
    buffer.push(CODEC_VERSION);
    append(value, buffer);
}

/// Appends a value's encoding to `buffer` without a version byte, for values inside a message that has one.
///
/// # Panics
/// As [`encode_into`].
pub fn append<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, buffer, bincode::config::standard())
        .expect("a growing buffer takes every write, and our wire types serialise without failing");
}

/// Takes a value written by [`append`] off the front of `input`. The value may borrow from it.
///
/// # Errors
/// [`CodecError::Malformed`]; `input` is then unchanged. [`CodecError::TooLong`] for an input over the cap.
pub fn take<'a, T: Deserialize<'a>>(input: &mut &'a [u8]) -> Result<T, CodecError> {
    if input.len() > MAX_MESSAGE_BYTES {
        return Err(CodecError::TooLong { bytes: input.len() });
    }
    let config = limited::<{ MAX_MESSAGE_BYTES * 16 }>();
    let (value, read) = bincode::serde::borrow_decode_from_slice(input, config)
        .map_err(|error| CodecError::Malformed { reason: error.to_string() })?;
    *input = &input[read..];
    Ok(value)
}

/// Takes a value written by [`encode`] off the front of `input`, which may go on with other things.
///
/// # Errors
/// As [`take`], and [`CodecError::Version`], [`CodecError::Empty`]; `input` is then unchanged.
pub fn take_versioned<'a, T: Deserialize<'a>>(input: &mut &'a [u8]) -> Result<T, CodecError> {
    let (&version, mut body) = input.split_first().ok_or(CodecError::Empty)?;
    if version != CODEC_VERSION {
        return Err(CodecError::Version { found: version });
    }
    let value = take(&mut body)?;
    *input = body;
    Ok(value)
}

/// Decodes a value that fills `bytes` exactly.
///
/// # Errors
/// [`CodecError`] for anything that [`encode`] of the same version did not write; nothing is kept of it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(CodecError::TooLong { bytes: bytes.len() });
    }
    let (&version, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    if version != CODEC_VERSION {
        return Err(CodecError::Version { found: version });
    }
    let (value, read) = decode_bounded(body)?;
    if read != body.len() {
        return Err(CodecError::Trailing { bytes: body.len() - read });
    }
    Ok(value)
}

/// bincode's limit counts decoded bytes, of which a varint of one byte may become sixteen. It is a
/// constant, hence the steps: a lie about a length costs at most 16 times the step that the input reached.
fn decode_bounded<T: DeserializeOwned>(body: &[u8]) -> Result<(T, usize), CodecError> {
    const SMALL: usize = 4 << 10;
    const MEDIUM: usize = 256 << 10;
    let decoded = if body.len() <= SMALL {
        bincode::serde::decode_from_slice(body, limited::<{ SMALL * 16 }>())
    } else if body.len() <= MEDIUM {
        bincode::serde::decode_from_slice(body, limited::<{ MEDIUM * 16 }>())
    } else {
        bincode::serde::decode_from_slice(body, limited::<{ MAX_MESSAGE_BYTES * 16 }>())
    };
    decoded.map_err(|error| CodecError::Malformed { reason: error.to_string() })
}

fn limited<const N: usize>() -> Configuration<LittleEndian, Varint, Limit<N>> {
    bincode::config::standard().with_limit::<N>()
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Not even a version byte.
    #[error("the message is empty")]
    Empty,
    /// Written by a version that this build does not read.
    #[error("the message has codec version {found}; this build reads version {CODEC_VERSION}")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// Longer than the cap.
    #[error("the message has {bytes} bytes; the limit MAX_MESSAGE_BYTES is {MAX_MESSAGE_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not the encoding of the expected type.
    #[error("the message is malformed: {reason}")]
    Malformed {
        /// The decoder's words.
        reason: String,
    },
    /// The value ended before the message did.
    #[error("the message has {bytes} bytes after its end")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

impl CodecError {
    /// For a value that has the form of its type and cannot be meant.
    pub fn malformed(reason: &str) -> Self {
        Self::Malformed { reason: reason.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Sample {
        Numbers(Vec<u64>),
        Text { name: String, body: Vec<u8> },
        Nothing,
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for sample in [
            Sample::Numbers(vec![0, 250, 251, u64::MAX]),
            Sample::Text { name: "lobby".into(), body: vec![1; 10_000] },
            Sample::Nothing,
        ] {
            assert_eq!(decode::<Sample>(&encode(&sample)).unwrap(), sample);
        }
    }

    #[test]
    fn another_version_and_trailing_bytes_are_named() {
        let mut bytes = encode(&Sample::Nothing);
        bytes.push(9);
        assert_eq!(decode::<Sample>(&bytes), Err(CodecError::Trailing { bytes: 1 }));
        bytes[0] = 7;
        assert_eq!(decode::<Sample>(&bytes), Err(CodecError::Version { found: 7 }));
        assert_eq!(decode::<Sample>(&[]), Err(CodecError::Empty));
    }

    #[test]
    fn a_message_is_taken_at_the_limit_and_refused_one_byte_past_it() {
        let fits = encode(&vec![7_u8; MAX_MESSAGE_BYTES - 6]);
        assert_eq!(fits.len(), MAX_MESSAGE_BYTES);
        assert!(decode::<Vec<u8>>(&fits).is_ok());
        let over = encode(&vec![7_u8; MAX_MESSAGE_BYTES - 5]);
        assert!(matches!(decode::<Vec<u8>>(&over), Err(CodecError::TooLong { .. })));
    }

    #[test]
    fn a_claimed_length_beyond_the_input_is_refused() {
        let mut bytes = vec![CODEC_VERSION, 253];
        bytes.extend(u64::MAX.to_le_bytes());
        assert!(matches!(decode::<Vec<u8>>(&bytes), Err(CodecError::Malformed { .. })));
        assert!(matches!(decode::<String>(&bytes), Err(CodecError::Malformed { .. })));
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_a_value_but_never_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(first) = bytes.first_mut() {
                *first = CODEC_VERSION;
            }
            let _ = decode::<Sample>(&bytes);
            let _ = decode::<Vec<String>>(&bytes);
        }
    }
}
