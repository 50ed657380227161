//! How much is done at once: what one frame carries, and what one hold of the lock works off.
//!
//! The caps that a node runs with are those of [`crate::limits`]. They stand in a value of their own so that tests can take small ones:
//! what goes wrong between two slices or two frames shows in a handful of rows then, and not in thousands.

use crate::limits::{FRAME_TARGET_BYTES, MAX_SWEPT_AGAIN_BYTES, SLICE_ROWS, SNAPSHOT_CHUNK_ROWS};

/// A node's portions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portions {
    /// [`FRAME_TARGET_BYTES`].
    pub(crate) frame_bytes: usize,
    /// [`SNAPSHOT_CHUNK_ROWS`].
    pub(crate) chunk_rows: usize,
    /// [`SLICE_ROWS`].
    pub(crate) slice_rows: usize,
    /// [`MAX_SWEPT_AGAIN_BYTES`].
    pub(crate) swept_again_bytes: usize,
}

impl Default for Portions {
    fn default() -> Self {
        Self {
            frame_bytes: FRAME_TARGET_BYTES,
            chunk_rows: SNAPSHOT_CHUNK_ROWS,
            slice_rows: SLICE_ROWS,
            swept_again_bytes: MAX_SWEPT_AGAIN_BYTES,
        }
    }
}
