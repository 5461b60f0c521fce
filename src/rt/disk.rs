//! How much was written to files that last: flash cards wear out by it.

use std::sync::atomic::{AtomicU64, Ordering};

/// One number for the process: files are written by several threads.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// So many bytes more.
pub(crate) fn count(bytes: u64) {
    WRITTEN.fetch_add(bytes, Ordering::Relaxed);
}

/// Bytes since the start.
#[must_use]
pub(crate) fn written() -> u64 {
    WRITTEN.load(Ordering::Relaxed)
}
