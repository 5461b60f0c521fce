//! What keeps the program running for years: its configuration, and how it ends.

pub(crate) mod backup;
pub(crate) mod config;
pub(crate) mod exit;
pub(crate) mod options;
pub(crate) mod state;

use crate::base::{Wall, limits};

/// Before when no clock is right that this program meets: it was not made yet. Packages say when
/// they were; a day is left for clocks that differ.
pub(crate) fn made() -> Wall {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let seconds: u64 = env!("BARNACLE_MADE").parse().unwrap_or(0);
    Wall(seconds.saturating_mul(1000).saturating_sub(DAY_MS)).max(limits::CLOCK_MIN)
}

/// Version and commit.
pub(crate) fn version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("BARNACLE_COMMIT"), ")")
}
