//! Counts the frames of a link in the bytes that are written to it.
//!
//! The production decoder keeps payloads; a counter needs the headers only, and has to know while a frame passes whether it belongs to a
//! snapshot. A stream begins with one handshake message, after which there are frames. A stream that is neither is counted as
//! nothing.

use headcount_cluster::Class;
use headcount_cluster::link::frame::{CLASS_BYTES, HEADER_BYTES, header};
use headcount_cluster::link::handshake::{PREFIX_BYTES, decode_prefix};

/// What some bytes held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Metered {
    /// Frames that began in them. The links' own, heartbeats and goodbyes, are not counted.
    pub(crate) frames: u64,
    /// Bytes of those frames, with their headers.
    pub(crate) frame_bytes: u64,
    /// Whether one of them belongs to a snapshot.
    pub(crate) snapshot: bool,
}

/// Where a direction of a connection is in its frames.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    greeted: bool,
    /// The beginning of a prefix or a header.
    begun: Vec<u8>,
    /// Bytes of a body that are still to come.
    skip: usize,
    /// It is no link.
    lost: bool,
}

impl Meter {
    /// Takes note of the next bytes.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Metered {
        let mut metered = Metered::default();
        while !bytes.is_empty() && !self.lost {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let wanted = if self.greeted { HEADER_BYTES } else { PREFIX_BYTES };
            let taken = (wanted - self.begun.len()).min(bytes.len());
            self.begun.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.begun.len() == wanted {
                self.begin(&mut metered);
                self.begun.clear();
            }
        }
        metered
    }

    /// A prefix or a header is whole.
    fn begin(&mut self, metered: &mut Metered) {
        if let Ok(prefix) = <&[u8; PREFIX_BYTES]>::try_from(&self.begun[..]) {
            match decode_prefix(prefix) {
                Ok((_, body)) => (self.greeted, self.skip) = (true, body),
                Err(_) => self.lost = true,
            }
            return;
        }
        let &[a, b, c, d, class] = &self.begun[..] else { return };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        self.skip = length.saturating_sub(CLASS_BYTES);
        let is = |of| header(of, 0)[HEADER_BYTES - 1] == class;
        if !is(Class::Control) {
            metered.frames += 1;
            metered.frame_bytes += (HEADER_BYTES + self.skip) as u64;
            metered.snapshot |= is(Class::Bulk);
        }
    }
}

#[cfg(test)]
mod tests {
    use headcount_cluster::link::frame::encode;
    use headcount_cluster::link::handshake;

    use super::*;

    #[test]
    fn frames_are_counted_however_the_bytes_are_cut() {
        let mut bytes = handshake::encode(&"a greeting of some length");
        encode(Class::Stream, &[7; 300], &mut bytes);
        encode(Class::Control, &[1], &mut bytes);
        encode(Class::Bulk, &[7; 20], &mut bytes);
        for size in [1, 3, 7, 64, bytes.len()] {
            let mut meter = Meter::default();
            let mut sum = Metered::default();
            for chunk in bytes.chunks(size) {
                let metered = meter.read(chunk);
                sum.frames += metered.frames;
                sum.frame_bytes += metered.frame_bytes;
                sum.snapshot |= metered.snapshot;
            }
            assert_eq!(sum, Metered { frames: 2, frame_bytes: 330, snapshot: true }, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_link_counts_as_nothing() {
        assert_eq!(Meter::default().read(&[7; 100]), Metered::default());
    }
}
